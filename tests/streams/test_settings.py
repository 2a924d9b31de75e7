"""Settings come from one mapping, and a wrong one is refused by name with what is valid."""

from pathlib import Path

import pytest

from needstream.streams import settings


def test_an_empty_environment_gives_the_defaults() -> None:
    assert settings.Settings() == settings.from_mapping({})


def test_every_variable_reaches_its_setting(tmp_path: Path) -> None:
    models = tmp_path / "models.jsonl"
    models.touch()
    given = {
        "NEEDSTREAM_BROKER": "a:1,b:2",
        "NEEDSTREAM_APP_ID": "mine",
        "NEEDSTREAM_PACK": "shop",
        "NEEDSTREAM_STORE": "rocksdict://",
        "NEEDSTREAM_DATA_DIR": "/tmp/x",
        "NEEDSTREAM_STANDBY": "1",
        "NEEDSTREAM_WEB_HOST": "0.0.0.0",
        "NEEDSTREAM_WEB_PORT": "0",
        "NEEDSTREAM_MODEL_KEY": "sixteen characters",
        "NEEDSTREAM_MODELS": str(models),
        "NEEDSTREAM_FUTURE_TOLERANCE": "1m",
        "NEEDSTREAM_ORDERING_WAIT": "2s",
        "NEEDSTREAM_IDENTITY_WAIT": "3s",
        "NEEDSTREAM_IDLE_AFTER": "1h",
        "NEEDSTREAM_STALL_AFTER": "4m",
        "NEEDSTREAM_DEAD_LETTER_ALERT": "0.1",
        "NEEDSTREAM_DEAD_LETTER_STOP": "0.2",
        "NEEDSTREAM_LOG_LEVEL": "debug",
    }
    expected = settings.Settings(
        broker="a:1,b:2",
        app_id="mine",
        pack="shop",
        store="rocksdict://",
        data_dir=Path("/tmp/x"),
        standby=1,
        web_host="0.0.0.0",
        web_port=0,
        model_key=b"sixteen characters",
        models=models,
        future_tolerance_ms=60_000,
        ordering_wait_ms=2_000,
        identity_wait_ms=3_000,
        idle_after_ms=3_600_000,
        stall_after_ms=240_000,
        dead_letter_alert=0.1,
        dead_letter_stop=0.2,
        log_level="DEBUG",
    )

    assert expected == settings.from_mapping(given)
    assert set(settings.Settings.__struct_fields__) == {reader[0] for reader in settings._READERS.values()}


def test_variables_of_other_programs_are_ignored() -> None:
    assert settings.Settings() == settings.from_mapping({"PATH": "/bin", "NEEDSTREAM_DATA": "/data"})


def test_a_misspelt_variable_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(
        settings.SettingsRefused, match="NEEDSTREAM_BROKR is no setting; did you mean NEEDSTREAM_BROKER"
    ):
        settings.from_mapping({"NEEDSTREAM_BROKR": "x"})


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("NEEDSTREAM_BROKER", "localhost", "must be host:port"),
        ("NEEDSTREAM_APP_ID", " ", "must not be empty"),
        ("NEEDSTREAM_WEB_PORT", "70000", "must be a port number"),
        ("NEEDSTREAM_WEB_PORT", "x", "must be a port number"),
        ("NEEDSTREAM_STORE", "redis://", "must be memory:// or rocksdict://"),
        ("NEEDSTREAM_MODELS", "/nowhere", "is no file"),
        ("NEEDSTREAM_IDLE_AFTER", "soon", "no duration"),
        ("NEEDSTREAM_DEAD_LETTER_ALERT", "5", "more than 0 and at most 1"),
        ("NEEDSTREAM_DEAD_LETTER_STOP", "never", "more than 0 and at most 1"),
        ("NEEDSTREAM_LOG_LEVEL", "LOUD", "must be one of DEBUG"),
    ],
)
def test_an_unusable_value_is_refused_with_place_value_and_remedy(variable: str, value: str, told: str) -> None:
    with pytest.raises(settings.SettingsRefused) as refused:
        settings.from_mapping({variable: value})

    assert f"{variable}={value!r}" in str(refused.value)
    assert told in str(refused.value)


def test_a_refused_key_is_not_shown() -> None:
    with pytest.raises(settings.SettingsRefused) as refused:
        settings.from_mapping({"NEEDSTREAM_MODEL_KEY": "secret"})

    assert "secret" not in str(refused.value)


def test_every_setting_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()

    assert [] == [variable for variable in settings._READERS if f"| `{variable}` |" not in page]
