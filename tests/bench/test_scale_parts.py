import json
from pathlib import Path

import pytest

from needstream.bench import capacity, growth, scale, scale_plan, scale_report
from needstream.bench.progress import Curve


def case(customers: int, store: str = "rocksdict://", **figures: float) -> dict:
    given = {"cpu_us": 100.0, "rss_mb": 300.0, "broker_cores": 0.2, "per_s": 5_000.0, "open_after_s": 5.0}
    return {"customers": customers, "store": store, "state_mean_bytes": 2_000, **given, **figures}


def test_curve_reads_between_two_looks_by_a_straight_line():
    curve = Curve()
    for at_s, value in ((10.0, 0.0), (12.0, 100.0), (13.0, 100.0)):
        curve.add(at_s, value)

    assert (11.0, 50.0, 100.0) == (curve.reached_s(50.0), curve.value(11.0), curve.value(99.0))


def test_curve_refuses_what_was_never_reached():
    curve = Curve()
    curve.add(10.0, 5.0)

    with pytest.raises(ValueError, match="never applied"):
        curve.reached_s(6.0)


def test_two_workers_are_compared_with_what_the_cores_left_over_allow():
    one = case(1, cpu_us=100.0, per_s=8_000.0)
    two = case(1, per_s=12_000.0, broker_cores=0.4) | {"others_cores": 0.1}

    told = scale.worker_ratios(one, two, cores=2)

    assert {"cores": 2, "cores_left": 1.5, "allowed_per_s": 15_000.0, "of_allowed": 0.8, "of_one": 1.5} == told


def test_more_than_the_cores_allow_is_doubted():
    told = {"of_allowed": 1.39, "cases": [case(1) | {"repeated": 0}, case(1) | {"repeated": 12}]}

    doubts = scale_report._doubts(told)

    assert ["More than the cores allow", "12 records"] == [doubts[0][2:27], doubts[1][2:12]]


def test_customers_are_compared_by_store_with_the_middle_of_the_rounds():
    cases = [
        case(10_000, cpu_us=90.0),
        case(10_000, cpu_us=100.0),
        case(10_000, cpu_us=500.0),
        case(1_010_000, cpu_us=120.0, rss_mb=800.0),
    ]

    told = scale.customer_ratios(cases)

    assert ({"rocksdict://": 1.2}, {"rocksdict://": 500.0}) == (told["cpu_ratio"], told["mb_per_million"])


def point(events: int, *, rss_mb: float, stored: int, since: int = 0) -> dict:
    return {"events": events, "rss_mb": rss_mb, "stored_bytes": stored, "disk_mb": 10.0, "process_since": since}


def test_growth_compares_the_end_with_a_tenth_of_the_way():
    points = [
        point(50, rss_mb=90, stored=900),
        point(100, rss_mb=100, stored=1_000),
        point(1_000, rss_mb=105, stored=1_020),
    ]

    told = growth.ratios(points)

    assert (100, 1.05, 1.02) == (told["from_events"], told["rss_ratio"], told["stored_ratio"])


def test_growth_does_not_compare_the_memory_of_two_processes():
    points = [point(100, rss_mb=100, stored=1_000), point(1_000, rss_mb=90, stored=1_020, since=500)]

    assert "rss_ratio" not in growth.ratios(points)


def test_what_a_broken_off_run_sent_is_not_sent_again():
    batch = [("a", 0, b"k", b"1"), ("a", 1, b"k", b"2"), ("a", 0, b"k", b"3")]

    missing = list(growth._not_sent(batch, {("a", 0): 10, ("a", 1): 4}, there={("a", 0): 11, ("a", 1): 4}))

    assert [("a", 1, b"k", b"2"), ("a", 0, b"k", b"3")] == missing


def test_a_part_that_was_not_run_stays_in_the_file(tmp_path):
    scale_report.merged(tmp_path, {"skew": {"cpu_ratio": 1.0}})

    told = scale_report.merged(tmp_path, {"workers": {"of_one": 1.5}})

    assert {"skew": {"cpu_ratio": 1.0}, "workers": {"of_one": 1.5}} == told == scale_report.read(tmp_path)


@pytest.mark.parametrize(
    ("plan", "word"),
    [
        (scale_plan.ScalePlan(parts=("all",)), "all"),
        (scale_plan.ScalePlan(stores=("disk",)), "disk"),
        (scale_plan.ScalePlan(sizes=()), "customers"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused_by_name(plan, word):
    with pytest.raises(ValueError, match=word):
        scale_plan.checked(plan)


def test_capacity_follows_the_arithmetic_of_the_page():
    found = capacity.Basis(
        cpu_us=120.0,
        broker_us=40.0,
        mb_per_million=500.0,
        base_mb=300.0,
        state_bytes=2_000,
        open_s_per_million=30.0,
        customers=1,
    )

    need = capacity.need(found, millions=10, per_s=10_000)

    assert (2, 8, 5.6, 20.0, 120.0, 0.4) == (
        need.worker_cores,
        need.partitions,
        need.memory_gb,
        need.disk_gb,
        need.changelog_gb,
        need.broker_cores,
    )


def test_the_scarcest_resource_comes_first():
    found = capacity.Basis(
        cpu_us=100.0,
        broker_us=40.0,
        mb_per_million=500.0,
        base_mb=500.0,
        state_bytes=2_000,
        open_s_per_million=30.0,
        customers=1,
    )

    told = capacity.limits(found, {"examples_per_customer_day": 1.0, "per_example_us": 864.0})

    assert ["coming back", "memory", "learning", "processor time"] == [name.partition(":")[0] for name, _ in told]
    assert [10.0, 15.0, 60.0, 86.4] == [round(millions, 3) for _, millions in told]


def test_what_was_not_measured_is_said_and_nothing_outside_the_marks_changes():
    page = f"before\n{capacity.BEGIN}\nold\n{capacity.END}\nafter\n"

    told = capacity.filled(page, Path("nowhere"))

    assert told.startswith(f"before\n{capacity.BEGIN}\n")
    assert told.endswith(f"{capacity.END}\nafter\n")
    assert capacity.NOT_MEASURED in told
    assert "old" not in told


def test_the_capacity_page_says_what_the_results_say():
    root = Path(__file__).parents[2]
    page = (root / "docs" / "capacity.md").read_text(encoding="utf-8")

    assert capacity.filled(page, root / "bench" / "results") == page


def test_report_names_the_command_of_each_part():
    machine = {"processor": "x", "cores": 2, "python": "y", "packages": {"needstream": "0"}}
    told = {
        "machine": machine,
        "broker": "embedded",
        "seed": 7,
        "made": "now",
        "took_s": 1,
        "command": "needstream bench scale",
    }
    learned = {"events": 1, "customers": 1, "days": 1.0, "examples": 1, "models": 7}
    part = {**told, **learned, "examples_per_customer_day": 1.0, "per_example_us": 1.0}

    assert "`needstream bench scale`" in scale_report.text({"learning": json.loads(json.dumps(part))})
