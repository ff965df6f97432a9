"""Made-up Kubernetes: a scriptable API server and recorded deltas, for tests and for the demo."""
