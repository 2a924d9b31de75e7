"""Readers that turn published data sets into needstream events and count what they leave out."""
