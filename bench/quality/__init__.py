"""The quality benchmark: labelled streams, what is judged on them, and the report."""
