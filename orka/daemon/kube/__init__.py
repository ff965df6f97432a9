"""The API server's side: HTTP bytes to deltas. Knows the model, not the world."""
