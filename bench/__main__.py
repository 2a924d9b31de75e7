"""``python -m bench``: the benchmark of the pure core with its defaults, as ``needstream bench core`` runs it."""

from needstream.bench import core

if __name__ == "__main__":
    print(core.text(core.measure(customers=300, days=90, seed=7)))
