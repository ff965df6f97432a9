"""Tests of the bundled API server and the corpus."""
