"""Wrong usage of `deadletters` is answered before any broker is asked."""

import pytest

from needstream.streams.cli import main

NOBODY = ["--broker", "127.0.0.1:1"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["list", "--topic", "clicks"], "there are clickstream.v1, transactions.v1"),
        (["list", "--reason", "not_json"], "there are deserialization_empty"),
        (["list", "--since", "yesterday"], "2025-03-01T09:30:00Z"),
        (["list", "--until", "2025-03-01T09:30:00"], "2025-03-01T09:30:00Z"),
        (["list", "--partition", "-1"], "--partition"),
        (["show", "12"], "write partition:offset"),
        (["replay", "1:x", "--yes"], "write partition:offset"),
        (["replay", "--yes"], "places, a filter, or --all"),
    ],
)
def test_wrong_usage_is_explained_and_exits_with_two(arguments, told, capsys):
    assert 2 == main.call(["deadletters", *arguments, *NOBODY])
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["list"], ["show", "1:2"], ["replay", "--all", "--yes"]])
def test_a_broker_that_is_not_there_fails_with_one_line(arguments, capsys):
    assert 1 == main.call(["deadletters", *arguments, *NOBODY])
    answer = capsys.readouterr().err
    assert "no broker answers at 127.0.0.1:1" in answer
    assert 1 == len(answer.splitlines())
