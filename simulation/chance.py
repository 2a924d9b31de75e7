"""Draws the standard library does not name: whether something happens, and how often."""

import math
import random


def happens(rng: random.Random, probability: float) -> bool:
    """Draw whether something of this probability (0 to 1) happens."""
    return rng.random() < probability


def poisson(rng: random.Random, mean: float) -> int:
    """Draw a Poisson number; fit for the small means of daily events."""
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count
