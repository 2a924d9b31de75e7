"""``python -m bench``: the benchmark of the pure core with its defaults, as ``needstream bench core`` runs it."""

from needstream.bench import core
from needstream.bench.load import BUSY, QUIET

BOTH = (BUSY, QUIET)

if __name__ == "__main__":
    print("\n\n".join(core.text(core.measure(customers=300, days=90, seed=7, population=each)) for each in BOTH))
