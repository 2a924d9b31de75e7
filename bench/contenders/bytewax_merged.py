"""Bytewax with the merging source for every job, also where its own connector would do; see ``bytewax``."""

from needstream.bench.contenders import bytewax

if __name__ == "__main__":
    bytewax.main(always_merged=True)
