"""Builders, strategies and fakes shared by the tests."""
