"""The daemon: API server bytes in, snapshots and diffs out over a Unix socket."""
