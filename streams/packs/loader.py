"""Reads a domain pack from YAML and refuses a wrong one with file, line, field, value and what is valid.

A pack is a folder of up to three files that are read as one; it is used whole or not at all.
"""

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import yaml

from needstream.schemas import pack as packs
from needstream.streams.packs import expectations
from needstream.streams.packs.expectations import Trail
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.refusals import DefinitionError

_FILES = ("pack.yaml", "models.yaml", "scenarios.yaml")
_NAMED = ("scenarios", "models")
_WORDS = "words"
_IN_A_KEY = "key` in `"
_SOME_KEY = "..."
"""How msgspec writes the key of a mapping whose value is wrong."""
_STEP = re.compile(r"\[([0-9]+)\]|(\.\.\.|[^.\[\]]+)")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_MISSING = re.compile(r"Object missing required field `(.*)`")


class PackRefused(ValueError):
    """Raised when a pack cannot be used; the message starts with file and line."""


def shipped() -> list[str]:
    """The names of the packs that come with needstream."""
    root = resources.files("needstream.streams.packs")
    return sorted(each.name for each in root.iterdir() if each.is_dir() and (each / _FILES[0]).is_file())


def load(name_or_folder: str) -> Definitions:
    """The compiled pack of a shipped name, or of a folder with ``pack.yaml`` and its siblings.

    Raises:
        PackRefused: unknown name, unreadable YAML, or any mistake in it.
    """
    source = _Source()
    folder = _folder(name_or_folder)
    for file in _FILES:
        if (folder / file).is_file():
            source.read(folder / file)
    try:
        return Definitions(msgspec.convert(source.declared, packs.Pack))
    except msgspec.ValidationError as error:
        raise source.refusal_of(error) from error
    except DefinitionError as error:
        raise source.refusal(_parsed(error.place), error.problem) from error


def _folder(name_or_folder: str) -> Path:
    folder = Path(name_or_folder)
    if (folder / _FILES[0]).is_file():
        return folder
    known = shipped()
    if name_or_folder in known:
        return Path(str(resources.files("needstream.streams.packs") / name_or_folder))
    message = f"{name_or_folder!r} is neither a shipped pack ({', '.join(known)}) nor a folder with a {_FILES[0]}"
    raise PackRefused(message)


class _Source:
    """What the files of a pack declare, and where each part of it stands."""

    def __init__(self) -> None:
        self.declared: dict[str, Any] = {}
        self._places: dict[Trail, tuple[Path, int]] = {}

    def read(self, path: Path) -> None:
        """Add one file."""
        root = _composed(path)
        try:
            lines = dict(_lines(root, (), path=path))
            sections: dict[str, Any] = yaml.SafeLoader("").construct_document(root)
        except yaml.MarkedYAMLError as error:
            raise _unreadable(path, error) from error
        except RecursionError as error:
            raise _refused(path, 1, problem="no valid YAML for a pack: something in it contains itself") from error
        for key, section in sections.items():
            if key in self.declared:
                raise _refused(path, lines[(key,)], problem=f"{key} is declared in {self._places[(key,)][0]} already")
            if key == "scenarios" and isinstance(section, list):
                self.declared[key], origins = _per_product(section)
            else:
                self.declared[key], origins = section, None
            self._note(key, lines, path=path, origins=origins)

    def refusal(self, trail: Trail, problem: str) -> PackRefused:
        """The refusal of what is declared at a place."""
        path, line = self._place(trail)
        return _refused(path, line, problem=f"{self._spoken(trail)}: {problem}")

    def refusal_of(self, error: msgspec.ValidationError) -> PackRefused:
        """The refusal for what does not have the form of the pack language."""
        problem, _, where = str(error).partition(" - at `")
        is_key = where.startswith(_IN_A_KEY)
        trail = _parsed(where.removeprefix(_IN_A_KEY).rstrip("`").removeprefix("$"))
        if trail[:2] == (_WORDS, _SOME_KEY):
            trail = (_WORDS, self._wrong_words(), *trail[2:])
        if is_key:
            wrong = next(key for key in self._value_at(trail) if not expectations.is_key(trail, key))
            return self.refusal((*trail, wrong), f"there is no such key; write {expectations.keys_at(trail)}")
        unknown, missing = _UNKNOWN.match(problem), _MISSING.match(problem)
        if unknown:
            valid = ", ".join(expectations.fields_at(trail))
            return self.refusal((*trail, unknown[1]), f"there is no such field; fields are {valid}")
        if missing:
            valid = expectations.valid_at((*trail, missing[1]))
            return self.refusal(trail, f"{missing[1]} is missing; write {valid}")
        valid = expectations.valid_at(trail)
        if trail[:1] == (_WORDS,) and (fields := expectations.fields_at(trail)):
            valid = f"{valid} of {' and '.join(fields)}, each a text"
        found = self._found(trail)
        return self.refusal(trail, f"found {found}; write {valid}" if valid else f"found {found}: {problem}")

    def _wrong_words(self) -> str:
        """The first entry of ``words`` that does not have its form; msgspec does not tell which it is."""
        for name, texts in self.declared[_WORDS].items():
            try:
                msgspec.convert(texts, packs.Texts)
            except msgspec.ValidationError:
                return str(name)
        return _SOME_KEY

    def _note(self, key: str, lines: dict[Trail, int], *, path: Path, origins: list[int] | None) -> None:
        for trail, line in lines.items():
            if trail[:1] != (key,):
                continue
            if origins is None or len(trail) == 1:
                self._places[trail] = (path, line)
                continue
            for index, origin in enumerate(origins):
                if trail[1] == origin:
                    self._places[(key, index, *trail[2:])] = (path, line)

    def _place(self, trail: Trail) -> tuple[Path, int]:
        while trail:
            if trail in self._places:
                return self._places[trail]
            trail = trail[:-1]
        return next(iter(self._places.values()), (Path(_FILES[0]), 1))

    def _spoken(self, trail: Trail) -> str:
        """``scenarios.balance_drop.when.all[0]``: what has a name is called by it."""
        if not trail:
            return "the pack"
        words = ""
        for depth, part in enumerate(trail):
            if part == _SOME_KEY:
                continue
            name = self._name_at(trail[: depth + 1]) if depth == 1 and trail[0] in _NAMED else None
            words += f".{name}" if name else f"[{part}]" if isinstance(part, int) else f".{part}"
        return words.removeprefix(".")

    def _name_at(self, trail: Trail) -> str | None:
        declared = self._value_at(trail)
        name = (declared.get("id") or declared.get("name")) if isinstance(declared, dict) else None
        return name if isinstance(name, str) else None

    def _found(self, trail: Trail) -> str:
        if _SOME_KEY in trail:
            return repr(self._value_at(trail[: trail.index(_SOME_KEY)]))
        value = self._value_at(trail)
        return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)

    def _value_at(self, trail: Trail) -> Any:
        found: Any = self.declared
        for part in trail:
            try:
                found = found[part]
            except (KeyError, IndexError, TypeError):
                return None
        return found


def _composed(path: Path) -> yaml.MappingNode:
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise _refused(path, 1, problem=f"no UTF-8 text: {error}") from error
    except yaml.YAMLError as error:
        raise _unreadable(path, error) from error
    if not isinstance(root, yaml.MappingNode):
        raise _refused(path, 1, problem="a pack file is a mapping of sections, such as products: [...]")
    return root


def _lines(node: yaml.Node, trail: Trail, *, path: Path) -> Iterator[tuple[Trail, int]]:
    """Where each part of a file stands: a field at its key, an element of a list at its beginning."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, child in node.value:
            line = key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:str":
                problem = f"the key {key.value} is not read as text (YAML takes on, off, yes and no for truth values)"
                raise _refused(path, line, problem=f"{problem}; write it in quotes if it is meant")
            if key.value in seen:
                raise _refused(path, line, problem=f"{key.value} is declared twice")
            seen.add(key.value)
            yield (*trail, key.value), line
            yield from _lines(child, (*trail, key.value), path=path)
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield (*trail, index), child.start_mark.line + 1
            yield from _lines(child, (*trail, index), path=path)


def _per_product(section: list[Any]) -> tuple[list[Any], list[int]]:
    """One scenario per product where ``products`` is given, and which scenario of the file each comes from."""
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


def _parsed(place: str) -> Trail:
    """Keys and indexes of ``scenarios[2].when.feature`` or ``consent[...].default``."""
    return tuple(int(index) if index else name for index, name in _STEP.findall(place))


def _unreadable(path: Path, error: yaml.YAMLError) -> PackRefused:
    mark = getattr(error, "problem_mark", None)
    return _refused(path, mark.line + 1 if mark else 1, problem=f"no valid YAML: {getattr(error, 'problem', error)}")


def _refused(path: Path, line: int, *, problem: str) -> PackRefused:
    return PackRefused(f"{path}:{line}: {problem}")
