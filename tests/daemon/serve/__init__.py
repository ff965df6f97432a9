"""Tests of diffs to frames to clients."""
