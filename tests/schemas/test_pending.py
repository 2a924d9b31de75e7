"""Pending predictions are kept packed: what was packed is opened again as it was, and marked without being opened."""

from hypothesis import given
from hypothesis import strategies as st

from needstream.schemas import pending
from needstream.schemas.pending import Ask, Prediction

names = st.sampled_from(["loan", "card", "wealth", "soft_churn"])
versions = st.sampled_from(
    ["cold", "", "loan-pair-7", "card-blend-4294967294", "card-blend-4294967295", "loan-pair-07"]
)
levels = st.lists(st.integers(0, 2**16 - 1), max_size=8).map(
    lambda each: pending.squeezed(b"".join(level.to_bytes(2, "little") for level in each))
)
asks = st.builds(
    lambda horizon_ms, score, version, said: (horizon_ms, score, version, said),
    st.sampled_from([1, 14 * 86_400_000, 365 * 86_400_000]),
    st.none() | st.integers(0, 10**9).map(lambda parts: round(parts / 10**9, 9)),
    versions,
    levels,
)


def made(made_ms: int, asked: dict[str, tuple[int, float | None, str, bytes]]) -> Prediction:
    said = {
        name: Ask(made_ms + horizon_ms, score, version, contestants=contestants)
        for name, (horizon_ms, score, version, contestants) in asked.items()
    }
    return Prediction(made_ms, b"features", f"set{made_ms % 2}", said)


predictions = st.builds(made, st.integers(0, 2**42), st.dictionaries(names, asks, min_size=1))


def packed(*each: Prediction) -> tuple[list[pending.Pending], bytes]:
    kept, shared = [], pending.NOTHING
    for prediction in each:
        one, shared = pending.packed(prediction, pending.tidied(kept, shared))
        kept.append(one)
    return kept, shared


def opened(kept: list[pending.Pending], shared: bytes) -> list[Prediction]:
    return [pending.opened(each, pending.shared_in(shared)) for each in kept]


@given(st.lists(predictions, max_size=6))
def test_what_was_packed_is_opened_as_it_was(each: list[Prediction]) -> None:
    assert each == opened(*packed(*each))


@given(st.lists(predictions, min_size=1, max_size=4), names, st.integers(-1, 2))
def test_a_mark_reaches_every_prediction_whose_horizon_it_falls_into_both_ends_included(
    each: list[Prediction], name: str, beside_ms: int
) -> None:
    kept, shared = packed(*each)
    moments = [ask.due_ms + beside_ms for one in each for ask in one.asks.values()] + [each[0].made_ms - beside_ms]
    for at_ms in moments:
        pending.mark(kept, pending.shared_in(shared), name=name, at_ms=at_ms)
        for prediction in each:
            ask = prediction.asks.get(name)
            if ask is not None and prediction.made_ms <= at_ms <= ask.due_ms:
                ask.converted = True

    assert each == opened(kept, shared)


@given(st.lists(predictions, min_size=1, max_size=4), names, st.lists(st.floats(0, 1.2), max_size=4))
def test_marks_that_come_in_order_are_the_same_whether_it_is_known_or_not(
    each: list[Prediction], name: str, moments: list[float]
) -> None:
    inquiring, shared = packed(*sorted(each, key=lambda one: one.made_ms))
    knowing, _ = packed(*sorted(each, key=lambda one: one.made_ms))
    for at_ms in sorted(int(moment * 2**42) for moment in moments):
        pending.mark(inquiring, pending.shared_in(shared), name=name, at_ms=at_ms)
        pending.mark(knowing, pending.shared_in(shared), name=name, at_ms=at_ms, is_in_order=True)

    assert opened(inquiring, shared) == opened(knowing, shared)


@given(predictions, st.data())
def test_what_is_due_is_taken_out_and_the_rest_stays(prediction: Prediction, data: st.DataObject) -> None:
    (kept,), shared = packed(prediction)
    marked = data.draw(st.sampled_from(sorted(prediction.asks)))
    pending.set_mark(kept, pending.shared_in(shared), name=marked, marked=True)
    prediction.asks[marked].converted = True
    until_ms = data.draw(st.sampled_from([ask.due_ms for ask in prediction.asks.values()])) - data.draw(
        st.integers(0, 1)
    )
    due = {name: ask for name, ask in prediction.asks.items() if ask.due_ms <= until_ms}

    taken = [*pending.due([kept], pending.shared_in(shared), until_ms=until_ms)]

    assert [due] * bool(due) == [each.asks for each in taken]
    assert prediction.asks.keys() - due.keys() == opened([kept], shared)[0].asks.keys()
    assert all(prediction.asks[name] == ask for name, ask in opened([kept], shared)[0].asks.items())


def test_what_is_shared_does_not_grow_with_versions_nobody_waits_for() -> None:
    kept: list[pending.Pending] = []
    shared = pending.NOTHING
    for number in range(1_000):
        one, shared = pending.packed(
            made(number, {"loan": (1, 0.5, f"release-{number}-candidate", b"")}), pending.tidied(kept, shared)
        )
        kept = [*kept, one][-4:]

    assert len(pending.shared_in(shared).kinds) <= pending.MOST_ASKED // 2
    assert [f"release-{number}-candidate" for number in range(996, 1_000)] == [
        each.asks["loan"].model_version for each in opened(kept, shared)
    ]


def test_nothing_is_shared_when_nothing_waits() -> None:
    _, shared = packed(made(0, {"loan": (1, 0.5, "loan-pair-7", b"")}))

    assert pending.NOTHING == pending.tidied([], shared)
