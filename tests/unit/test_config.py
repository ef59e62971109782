"""Settings: read from the environment once, typed, refused by the variable's name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields

import pytest

from crmweb import config, create_app
from crmweb.config import Settings, read


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    before = config.settings
    yield
    config.use(before)


def test_without_an_environment_the_defaults_are_the_documents() -> None:
    settings = read({})
    assert (settings.max_workflow_rules_per_entity, settings.max_custom_fields_per_entity) == (100, 50)
    assert (settings.activity_timeline_limit, settings.default_currency) == (100, "USD")
    assert (settings.host, settings.port, settings.sqlite_synchronous) == ("127.0.0.1", 8000, "FULL")


def test_every_setting_has_its_variable_and_its_meaning() -> None:
    variables = [entry.metadata["variable"] for entry in fields(Settings)]
    assert len(variables) == len(set(variables))
    assert all(entry.metadata["meaning"].endswith(".") for entry in fields(Settings))
    plain = {"DATABASE_URL", "SECRET_KEY", "HOST", "PORT", "DEMO"}
    assert all(name.startswith("CRMWEB_") or name in plain for name in variables)


def test_the_environment_is_read_typed() -> None:
    settings = read({"PORT": "9000", "DEMO": "0", "CRMWEB_DEFAULT_CURRENCY": " EUR ", "CRMWEB_LOCALE": "de"})
    assert (settings.port, settings.demo, settings.default_currency, settings.locale) == (
        9000,
        False,
        "EUR",
        "de",
    )


@pytest.mark.parametrize(
    ("written", "demo"), [("0", False), ("no", False), ("False", False), ("1", True), ("yes", True)]
)
def test_yes_and_no_are_written_in_several_ways(written: str, demo: bool) -> None:
    assert read({"DEMO": written}).demo is demo


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert read({"PORT": "", "CRMWEB_TIMEZONE": ""}) == read({})


def test_other_variables_do_not_matter() -> None:
    assert read({"PATH": "/bin", "CRMWEB_UNKNOWN": "1"}) == read({})


def test_keywords_go_before_the_environment() -> None:
    assert read({"PORT": "9000"}, port=9001).port == 9001


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "eight"),
        ("PORT", "-1"),
        ("CRMWEB_ACTIVITY_TIMELINE_LIMIT", "0"),
        ("CRMWEB_RULE_ROUNDS", "2.5"),
        ("CRMWEB_ENV", "staging"),
        ("CRMWEB_SQLITE_SYNCHRONOUS", "OFF"),
        ("CRMWEB_TIMEZONE", "Mars/Olympus"),
        ("CRMWEB_TIMEZONE", "Europe"),
        ("CRMWEB_TIMEZONE", "../../etc/passwd"),
        ("CRMWEB_BASE_URL", "crm.example.com"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ValueError, match=variable):
        read({variable: value})


def test_production_refuses_a_weak_secret() -> None:
    with pytest.raises(ValueError, match="SECRET_KEY"):
        read({"CRMWEB_ENV": "production", "SECRET_KEY": "short"})
    assert read({"CRMWEB_ENV": "production", "SECRET_KEY": "k" * 32}).is_production


def test_an_unknown_currency_is_refused_when_the_application_starts() -> None:
    """D8: the documents' own implementation never read the setting."""
    with pytest.raises(ValueError, match="CRMWEB_DEFAULT_CURRENCY: “banana”"):
        create_app(read({"CRMWEB_DEFAULT_CURRENCY": "banana"}))


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        config.settings.port = 1  # type: ignore[misc]
