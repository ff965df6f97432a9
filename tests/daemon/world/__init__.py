"""Tests of deltas to snapshots to diffs."""
