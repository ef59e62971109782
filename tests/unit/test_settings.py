"""The settings: documented row by row, read from the environment, refused in words."""

from __future__ import annotations

import re
from dataclasses import Field, fields
from pathlib import Path

import pytest

from crmweb import config

CHECKOUT = Path(__file__).parents[2]
DOCUMENT = CHECKOUT / "docs" / "settings.md"
SETTINGS = fields(config.Settings)


def row(setting: Field[object]) -> str:
    """How a setting stands in the table."""
    default = setting.default
    if isinstance(default, bool):
        default = int(default)
    shown = "–" if default == "" else f"`{default}`"
    return f"| `{setting.metadata['variable']}` | {shown} | {setting.metadata['meaning']} |"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.metadata["variable"])
def test_each_setting_stands_in_the_table_as_it_is(setting: Field[object]) -> None:
    assert row(setting) in DOCUMENT.read_text().splitlines(), f"docs/settings.md needs: {row(setting)}"


def test_the_table_names_no_setting_that_is_gone() -> None:
    named = re.findall(r"^\| `([A-Z_]+)` \|", DOCUMENT.read_text(), re.MULTILINE)
    known = [setting.metadata["variable"] for setting in SETTINGS]
    assert sorted(named) == sorted([*known, "WEB_CONCURRENCY"])


@pytest.mark.parametrize(
    "path", [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))], ids=lambda path: path.name
)
def test_documents_name_only_settings_that_exist(path: Path) -> None:
    named = set(re.findall(r"\bCRMWEB_[A-Z_]+\b", path.read_text()))
    assert named <= {setting.metadata["variable"] for setting in SETTINGS} | {"CRMWEB_CHROMIUM"}


def test_settings_come_from_the_environment() -> None:
    given = config.read({"PORT": "9000", "DEMO": "0", "CRMWEB_ENV": "production", "CRMWEB_PURGE_DAYS": "7"})
    assert (given.port, given.demo, given.environment, given.purge_days) == (9000, False, "production", 7)
    assert config.read({}) == config.Settings()


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert config.read({"PORT": "", "CRMWEB_TIMEZONE": ""}) == config.Settings()


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("PORT", "eighty", "PORT: “eighty” is not a whole number."),
        ("CRMWEB_PURGE_DAYS", "-1", "CRMWEB_PURGE_DAYS: -1 is below zero."),
        ("CRMWEB_ENV", "staging", "CRMWEB_ENV is `development` or `production`."),
        ("CRMWEB_SQLITE_SYNCHRONOUS", "OFF", "CRMWEB_SQLITE_SYNCHRONOUS is `FULL` or `NORMAL`."),
        ("CRMWEB_SMTP_URL", "mail.example.com", "CRMWEB_SMTP_URL is an address like smtps://"),
        (
            "CRMWEB_SMTP_URL",
            "smtp://me:secret@mail.example.com",
            "CRMWEB_SMTP_URL: a password needs encryption",
        ),
        ("CRMWEB_SMTP_URL", "smtps://mail.example.com", "CRMWEB_MAIL_FROM is missing"),
        ("CRMWEB_TIMEZONE", "Mars/Olympus", "CRMWEB_TIMEZONE: “Mars/Olympus” is no time zone"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_naming_its_variable(
    variable: str, value: str, words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        config.read({variable: value})
