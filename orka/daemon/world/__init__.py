"""Deltas to immutable snapshots to diffs. No HTTP, no sockets."""
