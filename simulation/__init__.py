"""A population with known needs, what was planted in it, and the reader of real files: the project's own test bench."""
