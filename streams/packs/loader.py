"""Reads a domain pack from YAML and refuses a wrong one with file, line, field and what is valid."""

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import yaml

from needstream.schemas import pack as packs
from needstream.streams.pipeline.definitions import DefinitionError, Definitions

_FILES = ("pack.yaml", "models.yaml", "scenarios.yaml")


class PackRefused(ValueError):
    """Raised when a pack cannot be used; the message starts with file and line."""


def shipped() -> list[str]:
    """The names of the packs that come with needstream."""
    root = resources.files("needstream.streams.packs")
    return sorted(
        each.name for each in root.iterdir() if each.is_dir() and (each / _FILES[0]).is_file()
    )


def load(name_or_folder: str) -> Definitions:
    """The compiled pack of a shipped name, or of a folder with ``pack.yaml`` and its siblings.

    Raises:
        PackRefused: unknown name, unreadable YAML, or any mistake in it.
    """
    folder = _folder(name_or_folder)
    merged: dict[str, Any] = {}
    places: dict[tuple[str | int, ...], tuple[str, int]] = {}
    for file in _FILES:
        path = folder / file
        if path.is_file():
            _read(path, merged, places)
    try:
        pack = msgspec.convert(merged, packs.Pack)
    except msgspec.ValidationError as error:
        raise PackRefused(_located(str(error), places, merged)) from error
    try:
        return Definitions(pack)
    except DefinitionError as error:
        trail = _trail(error.place, merged)
        file, line = _place(trail, places)
        message = f"{file}:{line}: {error}"
        raise PackRefused(message) from error


def _folder(name_or_folder: str) -> Path:
    folder = Path(name_or_folder)
    if (folder / _FILES[0]).is_file():
        return folder
    if name_or_folder in shipped():
        return Path(str(resources.files("needstream.streams.packs") / name_or_folder))
    message = (
        f"{name_or_folder!r} is neither a shipped pack ({', '.join(shipped())}) "
        f"nor a folder with a {_FILES[0]}"
    )
    raise PackRefused(message)


def _read(
    path: Path, merged: dict[str, Any], places: dict[tuple[str | int, ...], tuple[str, int]]
) -> None:
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        message = f"{path}:{line}: no valid YAML: {getattr(error, 'problem', error)}"
        raise PackRefused(message) from error
    if not isinstance(root, yaml.MappingNode):
        message = f"{path}:1: a pack file is a mapping"
        raise PackRefused(message)
    declared = yaml.SafeLoader("").construct_document(root)
    lines = dict(_lines(root, ()))
    for key, section in declared.items():
        if key in merged:
            message = f"{path}:{lines[(key,)]}: {key} is declared twice"
            raise PackRefused(message)
        if key == "scenarios" and isinstance(section, list):
            section, moved = _per_product(section)
            for index, origin in enumerate(moved):
                for trail, line in lines.items():
                    if trail[:2] == ("scenarios", origin):
                        places[("scenarios", index, *trail[2:])] = (str(path), line)
        else:
            for trail, line in lines.items():
                if trail[:1] == (key,):
                    places[trail] = (str(path), line)
        merged[key] = section


def _per_product(section: list[Any]) -> tuple[list[Any], list[int]]:
    """One scenario per product where ``products`` is given, ``{product}`` standing for its name."""
    expanded: list[Any] = []
    origins: list[int] = []
    for index, scenario in enumerate(section):
        products = scenario.get("products") if isinstance(scenario, dict) else None
        if not isinstance(products, list):
            expanded.append(scenario)
            origins.append(index)
            continue
        template = {key: part for key, part in scenario.items() if key != "products"}
        for product in products:
            expanded.append(_filled(template, str(product)) | {"product": product})
            origins.append(index)
    return expanded, origins


def _filled(part: Any, product: str) -> Any:
    if isinstance(part, str):
        return part.replace("{product}", product)
    if isinstance(part, list):
        return [_filled(each, product) for each in part]
    if isinstance(part, dict):
        return {key: _filled(each, product) for key, each in part.items()}
    return part


def _lines(
    node: yaml.Node, trail: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], int]]:
    yield trail, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            yield (*trail, key.value), key.start_mark.line + 1
            for inner, line in _lines(child, (*trail, key.value)):
                if inner != (*trail, key.value):
                    yield inner, line
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield from _lines(child, (*trail, index))


def _located(
    error: str, places: dict[tuple[str | int, ...], tuple[str, int]], merged: dict[str, Any]
) -> str:
    what, _, where = error.partition(" - at `")
    path = re.sub(r"^(?:(?:key|value|values)`? in `?)*", "", where.rstrip("`"))
    trail = _trail(path.removeprefix("$").removeprefix("."), merged)
    file, line = _place(trail, places)
    field = ".".join(str(part) for part in trail) or "the pack"
    found = _value_at(trail, merged)
    value = f" (found {found!r})" if isinstance(found, str | int | float | bool) else ""
    return f"{file}:{line}: {field}: {what}{value}"


def _trail(path: str, merged: dict[str, Any]) -> tuple[str | int, ...]:
    """Keys and indexes of ``scenarios[2].when.feature`` or ``scenarios.some_id``."""
    trail: list[str | int] = []
    for part in path.replace("[", ".[").split("."):
        if part.startswith("["):
            inner = part.strip("[]")
            if inner.isdigit():
                trail.append(int(inner))
        elif part.isdigit():
            trail.append(int(part))
        elif part:
            trail.append(part)
    if len(trail) > 1 and trail[0] in ("scenarios", "models") and isinstance(trail[1], str):
        name = trail[1]
        for index, declared in enumerate(merged.get(str(trail[0]), ())):
            if name in (declared.get("id"), declared.get("name")):
                trail[1] = index
                break
    return tuple(trail)


def _place(
    trail: tuple[str | int, ...], places: dict[tuple[str | int, ...], tuple[str, int]]
) -> tuple[str, int]:
    while trail:
        if trail in places:
            return places[trail]
        trail = trail[:-1]
    return next(iter(places.values()), (_FILES[0], 1))


def _value_at(trail: tuple[str | int, ...], merged: Any) -> Any:
    found = merged
    for part in trail:
        try:
            found = found[part]
        except (KeyError, IndexError, TypeError):
            return None
    return found
