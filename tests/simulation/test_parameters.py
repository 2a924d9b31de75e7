import pytest

from needstream.simulation import parameters


@pytest.mark.parametrize(
    ("choices", "named"),
    [
        ({"customers": 0}, "customers"),
        ({"days": 0}, "days"),
        ({"start_ms": parameters.DEFAULT_START_MS + 1}, "start_ms"),
        ({"late_share": 1.5}, "late_share"),
        ({"bots": -1}, "bots"),
        ({"screens_per_day": -0.1}, "screens_per_day"),
        ({"screens_per_day": 201.0}, "screens_per_day"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(choices: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        parameters.SimulationParameters(**choices)  # type: ignore[arg-type]


def test_the_end_is_the_midnight_after_the_last_day() -> None:
    chosen = parameters.SimulationParameters(days=2)

    assert chosen.at(2) == chosen.end_ms
