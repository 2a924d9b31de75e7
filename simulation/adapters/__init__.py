"""Readers that turn published data sets into needstream events; each yields (topic, key, event bytes) and counts what it left out."""
