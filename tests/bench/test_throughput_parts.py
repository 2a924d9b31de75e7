import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from needstream.bench import agreement, census, chart, figures, load, merging, plan, report
from needstream.bench.contending import Progress, task
from needstream.schemas.times import DAY_MS
from needstream.simulation.noise import Arrival

PARTITION = 3


def choices(**chosen: Any) -> plan.Choices:
    standard: dict[str, Any] = {
        "jobs": [],
        "contenders": [],
        "rounds": 1,
        "events": 0,
        "customers": 20,
        "populations": [],
        "seed": 7,
        "broker": "embedded",
        "output": Path("somewhere"),
    }
    return plan.Choices(**{**standard, **chosen})  # type: ignore[typeddict-item]


def result(contender: str, *rates: float) -> figures.Result:
    rounds = [
        figures.Round(events=1000, wall_s=1000 / rate, cpu_s=500 / rate, outputs=1, snapshots=1) for rate in rates
    ]
    return figures.Result(contender, 1000, rounds)


def records(*timestamps: int) -> list[Any]:
    return [SimpleNamespace(timestamp=at, offset=offset) for offset, at in enumerate(timestamps)]


def test_records_of_several_topics_leave_in_the_order_they_happened() -> None:
    merged = merging.InOrder({("clicks", PARTITION): 2, ("payments", PARTITION): 1})

    merged.push("clicks", PARTITION, records=records(1, 3))
    merged.push("payments", PARTITION, records=records(2))
    left = [(topic, record.timestamp) for topic, _, record in merged.release(10)]

    assert left == [("clicks", 1), ("payments", 2), ("clicks", 3)]


def test_nothing_leaves_before_every_input_with_records_left_shows_its_next() -> None:
    merged = merging.InOrder({("clicks", PARTITION): 1, ("payments", PARTITION): 1})

    merged.push("clicks", PARTITION, records=records(1))

    assert merged.release(10) == []


def test_an_empty_input_is_not_waited_for() -> None:
    merged = merging.InOrder({("clicks", PARTITION): 1, ("payments", PARTITION): 0})

    merged.push("clicks", PARTITION, records=records(1))

    assert len(merged.release(10)) == 1


def test_a_round_takes_at_most_so_many_of_each_partition() -> None:
    merged = merging.InOrder({("clicks", 0): 3, ("clicks", 1): 3})

    for number in (0, 1):
        merged.push("clicks", number, records=records(1, 2, 3))
    numbers = [number for _, number, _ in merged.release(2)]

    assert numbers == [0, 0, 1, 1]


def test_a_rate_is_that_of_the_events_between_the_marks() -> None:
    marks = [
        {"events": 100, "monotonic_s": 50.0, "cpu_s": 3.0},
        {"events": 1_100, "monotonic_s": 52.0, "cpu_s": 4.0},
    ]

    told = figures.of_report({"marks": marks, "outputs": 5})

    assert (told.per_s, told.cpu_us) == (500.0, 1000.0)


def test_a_run_whose_marks_fell_together_has_no_rate() -> None:
    mark = {"events": 100, "monotonic_s": 50.0, "cpu_s": 3.0}

    with pytest.raises(ValueError, match="more events"):
        figures.of_report({"marks": [mark, mark]})


def test_a_ratio_is_of_medians_and_only_where_both_ran() -> None:
    skipped = figures.Result("bytewax", 1000, skipped="not installed")
    jobs = {"full": [result("needstream", 100, 400, 200), result("quix", 100), skipped], "count": [result("quix", 50)]}

    assert figures.ratios(jobs) == {"full/quix": 2.0}


def test_the_spread_reaches_from_the_slowest_round_to_the_quickest() -> None:
    assert figures.spread([3.0, 1.0, 2.0]) == figures.Spread(2.0, 1.0, 3.0)


def test_what_is_missing_extra_or_different_is_counted() -> None:
    expected = {("alerts", "1"): {"a": 1}, ("alerts", "2"): {"a": 2}, ("alerts", "3"): {"a": 3}}
    found = {("alerts", "1"): {"a": 1}, ("alerts", "2"): {"a": 0}, ("alerts", "4"): {"a": 4}}

    assert agreement.compare(expected, found) == agreement.Agreement(equal=1, missing=1, extra=1, different=1)


def test_the_moment_of_the_decision_is_no_difference() -> None:
    outputs = [[("alerts.v1", b"c", b'{"decided_at":"%s","a":1}' % at, [("ce_id", b"1")])] for at in (b"now", b"later")]

    assert agreement.of_outputs(outputs[0]) == agreement.of_outputs(outputs[1])


def test_the_load_has_no_anonymous_events_and_no_device_ids() -> None:
    known = b'{"event_id":"2","event_time":"2025-01-01T00:00:01Z","customer_id":"c","anonymous_id":"d"}'
    stranger = b'{"event_id":"1","event_time":"2025-01-01T00:00:00Z","customer_id":null,"anonymous_id":"d"}'
    arrivals = [Arrival(1, "clickstream.v1", "d", stranger), Arrival(2, "clickstream.v1", "c", known)]

    (record,) = load.ordered(arrivals)

    assert record.key == b"c"
    assert b"anonymous_id" not in record.value


def test_equal_seeds_give_equal_loads() -> None:
    assert load.generate(200, customers=20, seed=3) == load.generate(200, customers=20, seed=3)


def test_the_load_is_in_event_time_order() -> None:
    times_ms = [record.at_ms for record in load.generate(200, customers=20, seed=3)]

    assert times_ms == sorted(times_ms)


def test_an_unknown_contender_is_refused_with_what_is_valid() -> None:
    with pytest.raises(ValueError, match=r"'flunk' is unknown; valid are needstream"):
        plan.make(choices(contenders=["flunk"]))


def test_a_plan_tells_the_command_that_repeats_it() -> None:
    command = plan.make(choices(jobs=["full"], contenders=["needstream", "limit"], events=5_000)).command

    assert command == (
        "needstream bench --jobs=full --contenders=needstream,limit --rounds=1 --population=busy --seed=7 "
        "--broker=embedded --customers=20 --events=5000"
    )


def test_an_unknown_population_is_refused_with_what_is_valid() -> None:
    with pytest.raises(ValueError, match=r"'idle' is unknown; valid are busy, quiet"):
        plan.make(choices(populations=["idle"]))


def test_too_few_customers_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 20 customers"):
        plan.make(choices(customers=19))


def test_nothing_chosen_is_the_busy_population_with_its_own_sizes() -> None:
    chosen = plan.make(choices(customers=0))

    assert (load.BUSY, load.BUSY.customers, load.BUSY.events) == (chosen.population, chosen.customers, chosen.events)


def test_a_full_run_lasts_as_long_in_both_populations() -> None:
    days = [each.events["full"] / each.customers / each.per_customer_and_day for each in load.POPULATIONS.values()]

    assert all(75 <= length <= 90 for length in days)


def test_a_second_population_runs_the_full_job_alone_with_its_own_sizes() -> None:
    second = plan.make(choices(jobs=["full", "count"], customers=0, populations=["busy", "quiet"])).second()

    assert second is not None
    assert (("full",), load.QUIET, {"full": 50_000}, 500) == (
        second.jobs,
        second.population,
        second.events,
        second.customers,
    )


def test_one_population_has_no_second() -> None:
    assert plan.make(choices(populations=["quiet", "quiet"])).second() is None


def test_a_contender_named_twice_runs_once() -> None:
    assert plan.make(choices(contenders=["limit", "limit"])).contenders == ("limit",)


@pytest.mark.parametrize("population", load.POPULATIONS.values(), ids=lambda each: each.name)
def test_a_population_has_at_least_as_many_events_as_it_says(population: load.Population) -> None:
    records = load.generate(12_000, customers=120, seed=5, population=population)
    days = (records[-1].at_ms - records[0].at_ms) / DAY_MS

    found = len(records) / 120 / days

    assert population.per_customer_and_day * 0.9 <= found <= population.per_customer_and_day * 1.4


def counted(population: load.Population, models: Path) -> census.Census:
    records = load.generate(6_000, customers=40, seed=5, population=population)
    load.learn(records[:1_000], models)
    return census.taken(records, models, population=population)


def test_samples_and_sessions_are_a_smaller_part_of_a_busy_customers_event(tmp_path: Path) -> None:
    busy, quiet = (counted(each, tmp_path / each.name) for each in (load.BUSY, load.QUIET))

    assert ("busy", "quiet") == (busy.population, quiet.population)
    assert busy.samples_per_event * 3 < quiet.samples_per_event
    assert busy.session_ends_per_event < quiet.session_ends_per_event


def test_models_that_saw_too_little_are_named(tmp_path: Path) -> None:
    load.learn(load.generate(500, customers=20, seed=5), tmp_path / "models")

    assert {"loan", "churn", "soft_churn"} <= set(load.cold(tmp_path / "models"))


def told(population: str, rate: float, *, beside: report.Told | None = None) -> report.Told:
    described = census.of(census.Rare(1, 2, 3), population=population, events=10, people=(5, 2.0))
    facts = {"processor": "x", "cores": 2, "system": "s", "python": "p", "packages": {"needstream": "0"}}
    core = {"load": census.as_dict(described), "events": 1, "mean_bytes": 1.0, "customers": 1, "seed": 7}
    core |= {"loads_us": 1.0, "decode_us": 2.0, "full_us": 3.0, "state_median_bytes": 1, "state_largest_bytes": 1}
    return report.Told(
        plan.make(choices(jobs=["full"], populations=[population])),
        {"full": [result("needstream", rate), result("quix", 100.0)]},
        facts,
        "pinned",
        core,
        load=census.as_dict(described),
        cold=["card"] if beside else [],
        beside=beside,
    )


def test_a_second_population_has_a_key_and_a_table_of_its_own() -> None:
    both = told("busy", 300.0, beside=told("quiet", 200.0))

    written, page = report.as_dict(both), report.text(both)

    assert ({"full/quix": 3.0}, {"full/quix": 2.0}) == (written["ratios"], written["quiet"]["ratios"])
    assert ("busy", "quiet") == (written["load"]["population"], written["quiet"]["load"]["population"])
    assert "## full, quiet population" in page
    assert "| busy | full/quix | 3.00 |" in page
    assert "| quiet | full/quix | 2.00 |" in page
    assert "not warm: card, population busy" in page


def test_a_result_says_what_its_customers_do() -> None:
    page = report.text(told("busy", 300.0))

    assert (
        "population `busy`: 1.00 events a customer and day (5 customers, 2 days); an event brings 0.100 session ends, "
        "0.200 samples of all models and 0.300 matured examples"
    ) in page
    assert "quiet" not in report.as_dict(told("busy", 300.0))


def test_a_slow_contender_gets_the_first_part_of_the_events() -> None:
    chosen = plan.make(choices(events=50_000))

    assert [chosen.events_of("full", name) for name in ("needstream", "faust_per_event")] == [50_000, 5_000]


def test_the_chart_has_a_bar_for_every_contender_that_ran() -> None:
    ran = [result("needstream", 200.0), result("quix", 50.0), figures.Result("bytewax", 1000, skipped="missing")]

    picture = chart.draw({"full": ran})

    assert len(re.findall(r'<rect x="', picture)) == 2
    assert "bytewax" not in picture


def test_progress_notes_the_first_counts_at_and_behind_warm_up_and_end(tmp_path: Path) -> None:
    given = {"job": "count", "bootstrap": "b:1", "group": "g", "prefix": "p-", "events": 100, "warm-up": 10}
    path = tmp_path / "report.json"
    chosen = task([part for name, value in {**given, "report": path}.items() for part in (f"--{name}", str(value))])
    progress = Progress(chosen)

    told = [progress.durable(count) for count in (5, 12, 60, 100)]
    progress.finish(outputs=0)

    assert told == [False, False, False, True]
    assert re.findall(r'"events": (\d+)', path.read_text(encoding="utf-8")) == ["12", "100"]
