"""orkactl: thin, blocking, and quick to start."""
