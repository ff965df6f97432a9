"""What the scripts decide without running anything."""
