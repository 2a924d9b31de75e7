"""How the served score does for each part of the customers: tier, age band, channel.

In goes a history, out come the same figures and gaps that a live learner keeps, over the newest judged examples.
"""

import numpy as np

from needstream.models.slices import ATTRIBUTES, UNKNOWN, Gap, SliceBook, SliceQuality
from needstream.streams.evaluation.histories import Flags, History


def book(history: History, judged: Flags) -> tuple[list[SliceQuality], list[Gap]]:
    """Every slice of an attribute that was recorded, and the slices that are served worse than the others."""
    kept = SliceBook(history.model)
    for place in np.flatnonzero(judged).tolist():
        score = float(history.served[place])
        kept.observe(
            {attribute: values[place] for attribute, values in history.slices.items()},
            score,
            label=bool(history.labels[place]),
            reached=score >= history.enter_score,
        )
    figures, gaps = kept.figures(), kept.gaps()
    told = {
        attribute
        for attribute in ATTRIBUTES
        if any(each.attribute == attribute and each.value != UNKNOWN for each in figures)
    }
    return [each for each in figures if each.attribute in told], [gap for gap in gaps if gap.attribute in told]
