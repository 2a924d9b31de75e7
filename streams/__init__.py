"""The stream processor: a pure pipeline, and the shells that run it."""
