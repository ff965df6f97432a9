"""Diffs to frames to clients over the Unix socket."""
