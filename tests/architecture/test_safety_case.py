"""The safety case and the alert rules name tests, metrics and sections that exist."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from needstream.streams import app, metrics
from needstream.streams.settings import Settings

ROOT = Path(__file__).parents[2]
SAFETY_CASE = (ROOT / "docs/safety-case.md").read_text(encoding="utf-8")
HAZARDS = re.split(r"^### ", SAFETY_CASE, flags=re.MULTILINE)[1:]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
RULES = [
    rule for group in yaml.safe_load((ROOT / "deploy/alerts.yml").read_text())["groups"] for rule in group["rules"]
]


def _tests_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def _anchors(path: Path) -> set[str]:
    """The names under which GitHub lets a reader jump to a section."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_test_the_safety_case_names_exists() -> None:
    named = TEST.findall(SAFETY_CASE)
    existing = {path: _tests_in(ROOT / path) if (ROOT / path).exists() else set() for path, _ in named}

    assert len(named) == SAFETY_CASE.count("tests/") - SAFETY_CASE.count("`tests/kafka`")
    assert [] == [f"{path}::{name}" for path, name in named if name not in existing[path]]


def test_every_hazard_says_what_could_happen_what_is_done_which_test_fails_and_what_remains() -> None:
    parts = ("- **What could happen.**", "- **What we do.**", "- **Tests.**", "- **What remains.**")

    assert [] == [
        hazard.splitlines()[0]
        for hazard in HAZARDS
        if [1] * 4 != [hazard.count(part) for part in parts] or not TEST.search(hazard)
    ]


@pytest.mark.asyncio
async def test_delivery_is_at_least_once(tmp_path: Path) -> None:
    made = app.create_app(Settings(data_dir=tmp_path, web_port=0), 1)

    assert "at_least_once" == made.conf.processing_guarantee.value


def test_every_metric_an_alert_names_exists() -> None:
    listed = set(re.findall(r"^    (needstream_\w+)", metrics.__doc__ or "", re.MULTILINE))
    named = {name.removesuffix("_bucket") for rule in RULES for name in re.findall(r"needstream_\w+", rule["expr"])}

    assert named
    assert set() == named - listed


def test_every_alert_points_to_a_section_that_exists() -> None:
    targets = {rule["alert"]: rule["annotations"]["runbook_url"].partition("#") for rule in RULES}

    assert [] == [alert for alert, (path, _, anchor) in targets.items() if anchor not in _anchors(ROOT / path)]


def test_prometheus_reads_the_alert_rules() -> None:
    configured = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())

    assert ["alerts.yml"] == configured["rule_files"]
