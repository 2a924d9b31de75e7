"""The Faust agents: decode a batch, step, send, store."""
