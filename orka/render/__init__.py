"""Rows to text, pure: the daemon and the client print the same bytes."""
