"""orka keeps a live, truthful view of Kubernetes kinds and hands it out over a Unix socket."""

__version__ = "0.1.0"
