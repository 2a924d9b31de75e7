"""What a pack could have said at a place: the valid fields, words or form, read off the types of the pack language."""

import re
from collections.abc import Iterator

from msgspec import inspect

from needstream.schemas import pack as packs

Trail = tuple[str | int, ...]

_FORMS = (
    (inspect.type_info(packs.Duration), "a number and a unit (ms, s, m, h, d), such as 30m or 14d"),
    (inspect.type_info(packs.Name), "a name of lower-case letters, digits and underscores that begins with a letter"),
    (inspect.type_info(packs.FactPattern), "a fact such as tx.deposit, or a whole family such as tx.*"),
)


def valid_at(trail: Trail) -> str:
    """Words for what is valid at a place of a pack, empty when there is nothing to say."""
    said = (_words(declared) for declared in _declared_at(trail))
    return " or ".join(dict.fromkeys(words for words in said if words))


def fields_at(trail: Trail) -> list[str]:
    """The fields that a mapping at a place of a pack may have."""
    structs = [declared for declared in _declared_at(trail) if isinstance(declared, inspect.StructType)]
    fields = [field.encode_name for struct in structs for field in struct.fields]
    # A scenario of a file is a template: ``products`` writes it out once per product.
    return [*fields, "products"] if len(trail) == 2 and trail[0] == "scenarios" else fields  # noqa: PLR2004


def keys_at(trail: Trail) -> str:
    """What the keys of a mapping at a place of a pack may be, in words."""
    return " or ".join(dict.fromkeys(_words(key) for key in _keys_at(trail)))


def is_key(trail: Trail, key: str) -> bool:
    """Whether a mapping at a place of a pack may have the key."""
    return any(_fits(declared, key) for declared in _keys_at(trail))


def _keys_at(trail: Trail) -> list[inspect.Type]:
    mappings = [declared for declared in _declared_at(trail) if isinstance(declared, inspect.DictType)]
    return [key for mapping in mappings for key in _alternatives(mapping.key_type)]


def _fits(declared: inspect.Type, key: str) -> bool:
    if isinstance(declared, inspect.LiteralType):
        return key in declared.values
    if isinstance(declared, inspect.StrType):
        longest, pattern = declared.max_length, declared.pattern
        return (longest is None or len(key) <= longest) and (pattern is None or re.search(pattern, key) is not None)
    return False


def _declared_at(trail: Trail) -> list[inspect.Type]:
    declared = list(_alternatives(inspect.type_info(packs.Pack)))
    for step in trail:
        declared = [each for outer in declared for inner in _inside(outer, step) for each in _alternatives(inner)]
    return declared


def _alternatives(declared: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(declared, inspect.UnionType):
        for each in declared.types:
            yield from _alternatives(each)
    elif isinstance(declared, inspect.Metadata):
        yield from _alternatives(declared.type)
    else:
        yield declared


def _inside(declared: inspect.Type, step: str | int) -> Iterator[inspect.Type]:
    if isinstance(declared, inspect.StructType):
        yield from (field.type for field in declared.fields if field.encode_name == step)
    elif isinstance(declared, inspect.DictType):
        yield declared.value_type
    elif isinstance(declared, inspect.VarTupleType) and isinstance(step, int):
        yield declared.item_type
    elif isinstance(declared, inspect.TupleType) and isinstance(step, int):
        yield from declared.item_types[step : step + 1]


def _words(declared: inspect.Type) -> str:
    if isinstance(declared, inspect.LiteralType):
        return "one of " + ", ".join(str(value) for value in declared.values)
    if isinstance(declared, inspect.StrType):
        return next((words for form, words in _FORMS if form == declared), "a text")
    if isinstance(declared, inspect.FloatType | inspect.IntType):
        kind = "a whole number" if isinstance(declared, inspect.IntType) else "a number"
        bounds = ((declared.ge, "at least"), (declared.gt, "above"), (declared.le, "at most"), (declared.lt, "below"))
        return " ".join([kind, *(f"{word} {bound}" for bound, word in bounds if bound is not None)])
    if isinstance(declared, inspect.BoolType):
        return "true or false"
    if isinstance(declared, inspect.VarTupleType | inspect.TupleType):
        return "a list"
    if isinstance(declared, inspect.StructType | inspect.DictType):
        return "a mapping"
    return ""
