"""Drills against the real worker: kill it, move its partitions, take its broker away, send it everything twice."""
