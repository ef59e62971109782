"""The settings: documented row by row, read from the environment, refused in words."""

from __future__ import annotations

import re
from dataclasses import Field, fields
from pathlib import Path
from traceback import format_exception

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
        ("CRMWEB_SMTP_URL", "smtps://mail.example.com", "CRMWEB_MAIL_FROM is missing"),
        ("CRMWEB_TIMEZONE", "Mars/Olympus", "CRMWEB_TIMEZONE: “Mars/Olympus” is no time zone"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_naming_its_variable(
    variable: str, value: str, words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        config.read({variable: value})


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mail.example.com", "write an address like smtps://"),
        ("https://mail.example.com", "write an address like"),
        ("smtp://", "write an address like"),
        ("smtp://mail..example.com", "write an address like"),
        ("smtp://mail.example.com:99999", "write an address like"),
        ("smtp://mail.example.com?tls=yes", "write an address like"),
        (
            "smtps://me:hunter/wolf@mail.example.com",
            "in the user name and the password the signs @ / ? # are written %40",
        ),
        ("smtps://me:12/wolf@mail.example.com", "the signs"),
        ("smtps://me:hunter#wolf@mail.example.com", "the signs"),
        ("smtps://me:hunter[wolf@mail.example.com", "write an address like"),
        ("smtps://me@mail.example.com", "a user name and its password go together"),
        ("smtps://:hunter@mail.example.com", "a user name and its password go together"),
        ("smtps://me:hunter%C3%A9@mail.example.com", "only ASCII signs"),
        ("smtp://me:hunter@mail.example.com", "a password needs encryption, smtps:// or ?tls=1"),
    ],
)
def test_a_mail_server_that_cannot_be_used_is_refused_without_quoting_a_password(
    url: str, words: str
) -> None:
    with pytest.raises(ValueError, match=f"^CRMWEB_SMTP_URL: .*{re.escape(words)}") as refused:
        config.read({"CRMWEB_SMTP_URL": url, "CRMWEB_MAIL_FROM": "crm@example.com"})
    told = "".join(format_exception(refused.value))
    assert "hunter" not in told
    assert "wolf" not in told


@pytest.mark.parametrize(
    "url", ["smtp://localhost:25", "smtps://me:p%40ss@[::1]", "smtp://me:p@h:587/?tls=1"]
)
def test_a_mail_server_is_taken_as_the_document_writes_it(url: str) -> None:
    assert config.read({"CRMWEB_SMTP_URL": url, "CRMWEB_MAIL_FROM": "Crm <crm@example.com>"}).smtp_url == url


@pytest.mark.parametrize(
    "sender", ["Crmweb", "Crm, Ltd <crm@example.com>", "@example.com", "Crm\nTo: <a@b>", "é@b"]
)
def test_a_sender_that_is_no_address_is_refused(sender: str) -> None:
    with pytest.raises(ValueError, match=r"^CRMWEB_MAIL_FROM: [^”]*” holds no address, write one like"):
        config.read({"CRMWEB_SMTP_URL": "smtp://localhost", "CRMWEB_MAIL_FROM": sender})


def test_settings_in_a_message_or_a_log_show_no_password() -> None:
    url = "smtps://me:secret@mail.example.com"
    assert "secret" not in repr(config.Settings(smtp_url=url, mail_from="a@b", secret_key="secret"))
