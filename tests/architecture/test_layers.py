"""What import-linter cannot say about the core, and what nobody may know about the simulation."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_LINES = 350
CORE = {
    "schemas": {"msgspec", "orjson"},
    "models": {"msgspec", "numpy", "orjson", "river"},
    "streams/pipeline": {"msgspec", "orjson"},
}
# Asking any of these is asking the world: the time, an identity nobody can replay, a file.
WORLDLY_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "open", "input", "getenv"}
VAGUE_NAMES = {
    *("data", "info", "item", "obj", "ts", "dt", "tmp", "manager", "handler", "helper", "helpers"),
    *("util", "utils", "common", "process", "misc"),
}


def modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def imported_names(module: Path) -> set[str]:
    """Return every absolute name a module imports; `from a import b` counts as `a.b`."""
    names = set()
    for node in ast.walk(ast.parse(module.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def worldly_calls(source: str) -> set[str]:
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    names = {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}
    return names & WORLDLY_CALLS


@pytest.mark.parametrize("folder", CORE)
def test_the_core_leans_on_few_libraries(folder: str) -> None:
    tops = {name.split(".")[0] for module in modules(folder) for name in imported_names(module)}

    assert set() == tops - sys.stdlib_module_names - CORE[folder] - {"needstream"}


def test_the_pipeline_knows_no_shell() -> None:
    streams = {
        name
        for module in modules("streams/pipeline")
        for name in imported_names(module)
        if name.startswith("needstream.streams")
    }

    assert set() == {name for name in streams if not name.startswith("needstream.streams.pipeline")}


@pytest.mark.parametrize("folder", CORE)
def test_the_core_asks_nothing_of_the_world(folder: str) -> None:
    asked = {module.name: worldly_calls(module.read_text(encoding="utf-8")) for module in modules(folder)}

    assert {} == {name: calls for name, calls in asked.items() if calls}


def test_a_planted_clock_call_is_found() -> None:
    assert {"now"} == worldly_calls("from datetime import datetime\ndecided = datetime.now()")


def test_what_was_planted_is_known_to_the_simulation_alone() -> None:
    told = {
        module.name for module in modules("streams", "models") if "truth.jsonl" in module.read_text(encoding="utf-8")
    }

    assert set() == told


def test_no_module_outgrows_a_reader() -> None:
    lengths = {
        module.relative_to(ROOT).as_posix(): len(module.read_bytes().splitlines())
        for module in modules("schemas", "models", "streams", "simulation")
    }

    assert {} == {module: lines for module, lines in lengths.items() if lines > MAX_LINES}


def test_no_module_has_a_name_that_says_nothing() -> None:
    stems = {module.stem for module in modules("schemas", "models", "streams", "simulation", "tests/support")}

    assert set() == stems & VAGUE_NAMES
