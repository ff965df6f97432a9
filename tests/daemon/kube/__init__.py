"""Tests of bytes to deltas."""
