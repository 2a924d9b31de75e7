"""Golden stories: files in, files out, and every byte of what was said.

A folder per shipped scenario; a story is ``<name>.yaml``, what must come of it ``<name>.json``. After an intended
change ``PYTHONPATH=tests/support python tests/replay/test_stories.py`` writes the expectations anew, to be read in the
diff.
"""

import datetime
import functools
import itertools
import json
import random
from pathlib import Path

import msgspec
import pytest
import yaml

import builders
import stories
from needstream.models.anomaly import AnomalyLearner
from needstream.models.standing import Standing
from needstream.schemas import pack as packs
from needstream.schemas.times import parse_rfc3339
from needstream.streams import topics
from needstream.streams.packs import loader
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.replay import Replay, ReplayOptions

FOLDER = Path(__file__).parent
STORIES = sorted(FOLDER.glob("*/*.yaml"))
OUTPUTS = (topics.NEED_SIGNALS, topics.CHURN_ALERTS, topics.ALERTS, topics.DECISIONS)
START = datetime.date(2025, 3, 1)
QUIET = 6_000
"""Enough that somebody can be more unusual than 99.98 % of them."""

BANK = loader.load("bank")

TRUE = packs.Condition(feature="balance_observations", at_least=0.0)
"""What a dropped condition is replaced with."""

IMPLIED = {
    ("loan_rate_shopping", "when"): "an application after the last look also clears the alarm (unless)",
    ("balance_jump", "when.all[4]"): "last month's highest balance is known after a month only",
    ("balance_drop", "when.all[4]"): "last month's lowest balance is known after a month only",
    ("salary_missing", "when"): "the wait is longer; holds against a salary that becomes known late",
    ("application_abandoned", "when"): "submitting also clears the alarm (unless)",
    ("application_abandoned", "unless"): "a submitted application is not open either (when)",
}
"""Conditions that others imply: kept in the pack because they say what is meant, and against late events."""


def test_every_shipped_scenario_has_a_story_that_fires_and_one_that_does_not():
    fired = {(path.parent.name, _fires(path)) for path in STORIES}

    assert set(itertools.product({each.id for each in BANK.pack.scenarios}, [True, False])) <= fired


@pytest.mark.parametrize("path", STORIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_story_ends_exactly_as_told(path, tmp_path):
    assert _expected(path) == _told(path, BANK, folder=tmp_path)


def _drops(declared):
    """Every way to drop one leaf of a scenario's conditions: its place, and the scenario without it."""
    absence = declared.absence
    for place, when in _without_a_leaf(declared.when, "when"):
        yield place, msgspec.structs.replace(declared, when=when)
    for place, rearm_when in _without_a_leaf(declared.rearm_when, "rearm_when"):
        yield place, msgspec.structs.replace(declared, rearm_when=None if rearm_when is TRUE else rearm_when)
    if absence is not None:
        if absence.unless:
            yield "unless", msgspec.structs.replace(declared, absence=msgspec.structs.replace(absence, unless=()))
        for place, only_if in _without_a_leaf(absence.only_if, "only_if"):
            yield place, msgspec.structs.replace(declared, absence=msgspec.structs.replace(absence, only_if=only_if))


def _without_a_leaf(condition, place):
    if condition is None:
        return
    if condition.feature is not None:
        yield place, TRUE
    for word in ("all", "any", "none"):
        parts = getattr(condition, word) or ()
        for index, part in enumerate(parts):
            for inner, changed in _without_a_leaf(part, f"{place}.{word}[{index}]"):
                replaced = (*parts[:index], changed, *parts[index + 1 :])
                yield inner, msgspec.structs.replace(condition, **{word: replaced})


def _mutants():
    return sorted({(declared.id, place) for declared in BANK.pack.scenarios for place, _ in _drops(declared)})


@pytest.mark.parametrize(("scenario", "place"), _mutants())
def test_a_dropped_condition_spoils_a_story(tmp_path, scenario, *, place):
    scenarios = tuple(
        dict(_drops(each)).get(place, each) if each.id == scenario else each for each in BANK.pack.scenarios
    )
    mutant = stories.changed(BANK, scenarios=scenarios)

    assert _spoiled(scenario, mutant, folder=tmp_path) is ((scenario, place) not in IMPLIED)


@pytest.mark.parametrize("scenario", ["loan_rate_shopping", "application_abandoned"])
def test_conditions_that_imply_each_other_are_not_both_superfluous(tmp_path, scenario):
    def bare(declared):
        absence = msgspec.structs.replace(declared.absence, unless=())
        return msgspec.structs.replace(declared, when=TRUE, absence=absence)

    scenarios = tuple(bare(each) if each.id == scenario else each for each in BANK.pack.scenarios)

    assert _spoiled(scenario, stories.changed(BANK, scenarios=scenarios), folder=tmp_path)


def _spoiled(scenario, definitions, *, folder):
    return any(
        _signals(_expected(path)) != _signals(_told(path, definitions, folder=folder / path.stem))
        for path in STORIES
        if path.parent.name == scenario
    )


def _told(path, definitions: Definitions, *, folder):
    """Replay a story from files into files."""
    story = yaml.safe_load(path.read_text(encoding="utf-8"))
    source = folder / "in"
    source.mkdir(parents=True)
    told = [_event(said) for said in story["events"]]
    # Time passes because somebody else logs in.
    told.append(_event({"day": story["until_day"], "at": "23:00", "does": "login", "customer": "another"}))
    for event in told:
        with (source / f"{stories.topic_of(event)}.jsonl").open("ab") as file:
            file.write(builders.bytes_of(event) + b"\n")
    latest_ms = parse_rfc3339("2026-01-01T00:00:00Z")
    replay = Replay(definitions, ReplayOptions(latest_ms=latest_ms))
    if story.get("among") == "quiet customers":
        replay.scorer.publish(_quiet_customers(definitions.pack.features))
    replay.run(source, folder / "out")
    return {topic: _lines(folder / "out" / f"{topic}.jsonl") for topic in OUTPUTS}


@functools.cache
def _quiet_customers(features):
    """Where a model stands that has seen many customers who hardly do anything; it says nothing but who is unusual."""
    chance = random.Random(7)
    learner = AnomalyLearner(features)
    for _ in range(QUIET):
        learner.learn([chance.choice((0.0, 0.0, chance.uniform(0, 8))) for _ in features])
    return Standing(
        name=BANK.models[0].declared.name,
        features=features,
        version=10**9,
        champion="pair",
        contestants={},
        anomaly=learner.export(),
    )


def _event(said):
    fields = dict(said)
    day = START + datetime.timedelta(days=fields.pop("day"))
    fields["at"] = f"{day.isoformat()}T{fields.pop('at')}:00Z"
    kind = fields.pop("does")
    if kind == "consent":
        return builders.consent(**fields)
    if kind in ("profile", "preference", "credit_score", "erasure"):
        return builders.customer_event(kind, **fields)
    if "amount" in fields:
        return builders.transaction(kind, **fields)
    return builders.click(kind, **fields)


def _lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _expected(path):
    return json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def _fires(path):
    return any(scenario == path.parent.name for scenario, _ in _signals(_expected(path)))


def _signals(told):
    """What was signalled and when, whatever the wording."""
    return [(signal["scenario"], signal["event_time"]) for topic in OUTPUTS[:3] for signal in told[topic]]


if __name__ == "__main__":
    import tempfile

    for told_path in STORIES:
        with tempfile.TemporaryDirectory() as made:
            said_anew = _told(told_path, BANK, folder=Path(made))
        text = json.dumps(said_anew, ensure_ascii=False, indent=2) + "\n"
        told_path.with_suffix(".json").write_text(text, encoding="utf-8")
