"""Tests of orkactl."""
