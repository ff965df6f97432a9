"""Tests of rows to text."""
