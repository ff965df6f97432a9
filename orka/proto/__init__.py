"""The wire between `orkad` and its clients: names, messages, frames, handshake, errors.

Stdlib and msgspec only. Importing this package imports nothing else, because a
one-shot `orkactl` must start in milliseconds: it takes `errors`, `names`, `tinypack`
and `address` (no msgspec), and never `messages`.
"""
