"""Benchmarks: what needstream costs, beside others that do the same work."""
