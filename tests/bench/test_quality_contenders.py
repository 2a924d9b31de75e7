import random
from collections.abc import Iterator

import pytest
from bench.quality import contenders, goals, harness, measuring, report, rivals
from bench.quality.goals import Run
from bench.quality.harness import Said
from bench.quality.task import Question, Task

from needstream.models.rules import Rules
from needstream.schemas import pack
from needstream.schemas.signals import LabelledExample, ModelDecision
from needstream.streams.packs import loader

HASTY = Rules(champion="linear", challengers=("forest",), promotion=pack.Promotion(margin=0.0, min_examples=100))


def _interaction(count: int, *, delay: float = 0.0) -> tuple[Question, ...]:
    """A label that no straight line can tell: whether both features are of one sign."""
    rng = random.Random(1)
    asked = []
    for place in range(count):
        values = (rng.choice((-1.0, 1.0)), rng.choice((-1.0, 1.0)))
        label = rng.random() < (0.9 if values[0] == values[1] else 0.1)
        asked.append(Question(float(place), place + delay, values, label))
    return tuple(asked)


def _task(questions: tuple[Question, ...]) -> Task:
    return Task(name="t", group="t", source="s", licence="l", delay="none", features=("a", "b"), questions=questions)


def test_promotion_changes_no_line() -> None:
    tracked = contenders.Tracked(("a", "b"), HASTY)

    said = harness.judged(_interaction(3000), tracked)

    assert "forest" == tracked.champion
    assert {"served", "linear", "forest", "line of the champion"} == said.keys()
    assert {1500} == {len(each) for each in said.values()}


def test_example_names_who_was_served_when_it_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    tracked = contenders.Tracked(("a", "b"), HASTY)
    learned: list[LabelledExample] = []
    learn = tracked._track.learn

    def noting(example: LabelledExample) -> list[ModelDecision]:
        learned.append(example)
        return learn(example)

    monkeypatch.setattr(tracked._track, "learn", noting)
    asked: list[Said] = []
    say = tracked.say
    monkeypatch.setattr(tracked, "say", lambda values: asked.append(say(values)) or asked[-1])

    harness.ask(_interaction(3000, delay=200), tracked)

    served = [said.served_by for said in asked[: len(learned)]]
    assert {"linear", "forest"} == set(served)
    assert [f"model-{kind}-0" for kind in served] == [example.model_version for example in learned]
    assert {("forest", "line", "linear")} == {tuple(sorted(example.contestants)) for example in learned}


def _declared() -> Iterator[Rules]:
    for name in ("bank", "shop"):
        for model in loader.load(name).pack.models:
            yield Rules(champion=model.champion, challengers=model.challengers)


def test_shipped_rules_are_what_every_pack_declares() -> None:
    assert {contenders.SHIPPED.kinds()} == {rules.kinds() for rules in _declared()}


def test_clock_scores_as_many_models_as_the_bank_declares() -> None:
    assert measuring.PACK_MODELS == len(loader.load("bank").pack.models)


def test_lines_as_shipped_stand_beside_the_others() -> None:
    measured = measuring.measure(_task(_interaction(400)), HASTY)

    assert {goals.SERVED, goals.AS_SHIPPED, "blend as shipped", goals.BASE_RATE} <= measured.lines.keys()
    assert {goals.SERVED, goals.AS_SHIPPED} == measured.differences.keys()
    assert goals.AS_SHIPPED not in measuring.measure(_task(_interaction(400)), HASTY, as_shipped=False).lines


def test_calibrated_trees_are_the_same_trees() -> None:
    pytest.importorskip("lightgbm")
    questions = _interaction(2000)

    said = harness.ask(questions, rivals.CalibratedToo(rivals.LightGbm(len(questions))))

    assert said[goals.BATCH] == harness.ask(questions, rivals.LightGbm(len(questions)))[goals.BATCH]
    assert said[goals.CALIBRATED] != said[goals.BATCH]


def test_windowed_trees_forget_what_is_older() -> None:
    pytest.importorskip("lightgbm")
    questions = _interaction(2000)
    turned = [Question(each.at, each.due, each.values, not each.label) for each in questions[:1000]]
    stream = [*turned, *questions[1000:]]

    windowed = harness.ask(stream, rivals.LightGbm(2000, goals.WINDOWED, newest=400))[goals.WINDOWED]
    whole = harness.ask(stream, rivals.LightGbm(2000))[goals.BATCH]

    likely = next(place for place in range(1990, 2000) if stream[place].values[0] == stream[place].values[1])
    assert windowed[likely] > 0.8
    assert whole[likely] < 0.6


def test_goals_table_has_a_column_for_each_judged_line() -> None:
    measured = measuring.measure(_task(_interaction(400)), HASTY)
    runs: dict[str, list[Run]] = {"t": [measured.lines]}
    lines = {goals.SERVED: "this", goals.AS_SHIPPED: "that"}
    told = report.Report(
        command="c",
        lines=lines,
        versions={},
        tasks=[measured],
        drift={},
        timing={},
        skipped={},
        verdicts=[each for line in lines for each in goals.verdicts(runs, {"t": [measured.differences]}, line=line)],
    )

    text = report.markdown(told)

    assert "| task | goal | limit | served | | served as shipped | |" in text
    assert {7} == {line.count(" |") for line in text if line.startswith("| t | ")}
