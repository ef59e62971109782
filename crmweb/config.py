"""Every setting, read from the environment once, typed, with one line of meaning each.

To add a setting: one field below. `docs/settings.md` lists them and a test fails when one is missing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from email.utils import parseaddr
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

NEW_KEY = "Make one: python -c 'import secrets; print(secrets.token_hex(32))'"
NO_MAIL_SERVER = (
    "write an address like smtps://user:password@mail.example.com or smtp://mail.example.com:587?tls=1; "
    "in the user name and the password the signs @ / ? # are written %40 %2F %3F %23."
)


def setting(default: Any, variable: str, meaning: str) -> Any:
    """A field of Settings that `variable` of the environment sets."""
    return field(default=default, metadata={"variable": variable, "meaning": meaning})


@dataclass(frozen=True, repr=False)  # passwords stand in it
class Settings:
    """The process's settings. Construct with keywords, or from the environment by `read`."""

    environment: str = setting(
        "development",
        "CRMWEB_ENV",
        "`development` or `production`; production refuses demo data and weak secrets.",
    )
    database_url: str = setting(
        "", "DATABASE_URL", "SQLAlchemy address of the database; empty: SQLite in `instance/crmweb.db`."
    )
    secret_key: str = setting(
        "", "SECRET_KEY", "Signs tokens; empty: made once and kept in `instance/`. Required in production."
    )
    host: str = setting(
        "127.0.0.1", "HOST", "Address to listen on; anything but loopback never gets demo people."
    )
    port: int = setting(8000, "PORT", "Port to listen on.")
    instance: str = setting(
        "",
        "CRMWEB_INSTANCE",
        "Folder for the database, the key and side files; empty: `instance/` beside the code.",
    )
    demo: bool = setting(
        True, "DEMO", "`0`: `make run` starts with an empty database instead of the demo company."
    )
    base_url: str = setting(
        "",
        "CRMWEB_BASE_URL",
        "Public address of the site, for links in one-time invitations; empty: the request's own host.",
    )
    trusted_hosts: str = setting(
        "",
        "CRMWEB_TRUSTED_HOSTS",
        "Host names that are answered, with commas; empty: the base URL's host, or any while there is none.",
    )
    proxies: int = setting(
        0, "CRMWEB_PROXIES", "How many proxies in front set X-Forwarded-*; 0: those headers are ignored."
    )
    timezone: str = setting(
        "UTC",
        "CRMWEB_TIMEZONE",
        "The company's zone (IANA name): due dates and quiet days count in it.",
    )
    locale: str = setting(
        "en", "CRMWEB_LOCALE", "How numbers and dates are written for people who chose nothing."
    )
    default_currency: str = setting(
        "USD", "CRMWEB_DEFAULT_CURRENCY", "Currency of a deal that names none (ISO 4217)."
    )
    max_workflow_rules_per_entity: int = setting(
        100, "CRMWEB_MAX_WORKFLOW_RULES_PER_ENTITY", "Most workflow rules per entity type."
    )
    max_custom_fields_per_entity: int = setting(
        50, "CRMWEB_MAX_CUSTOM_FIELDS_PER_ENTITY", "Most custom fields per record."
    )
    activity_timeline_limit: int = setting(
        100, "CRMWEB_ACTIVITY_TIMELINE_LIMIT", "Entries that a timeline shows at once."
    )
    rule_rounds: int = setting(5, "CRMWEB_RULE_ROUNDS", "Most rounds of rules that one change may set off.")
    rule_actions: int = setting(
        50, "CRMWEB_RULE_ACTIONS", "Most rule actions per record that the person touched."
    )
    rule_log_days: int = setting(
        365,
        "CRMWEB_RULE_LOG_DAYS",
        "Days after which it is forgotten which rules looked, failed or were cut; what they did stays.",
    )
    rule_failures: int = setting(5, "CRMWEB_RULE_FAILURES", "Failures in a row after which a rule is paused.")
    sqlite_synchronous: str = setting(
        "FULL",
        "CRMWEB_SQLITE_SYNCHRONOUS",
        "`FULL` or `NORMAL` (faster; a power cut may lose the last commits).",
    )
    session_idle_days: int = setting(
        14, "CRMWEB_SESSION_IDLE_DAYS", "Days without a request after which a sign-in ends."
    )
    session_max_days: int = setting(90, "CRMWEB_SESSION_MAX_DAYS", "Days after which every sign-in ends.")
    purge_days: int = setting(
        30, "CRMWEB_PURGE_DAYS", "Days that deleted records are kept before they are purged."
    )
    smtp_url: str = setting(
        "",
        "CRMWEB_SMTP_URL",
        "Mail server: `smtps://user:password@host`, `smtp://user:password@host:587?tls=1`; empty: no mail is sent.",
    )
    mail_from: str = setting(
        "", "CRMWEB_MAIL_FROM", "Sender of all mail, such as `Crmweb <crm@example.com>`."
    )
    max_body: int = setting(2 * 1024 * 1024, "CRMWEB_MAX_BODY", "Most bytes of a request's body.")

    def __post_init__(self) -> None:
        if self.environment not in ("development", "production"):
            raise ValueError("CRMWEB_ENV is `development` or `production`.")
        if self.sqlite_synchronous not in ("FULL", "NORMAL"):
            raise ValueError("CRMWEB_SQLITE_SYNCHRONOUS is `FULL` or `NORMAL`.")
        if self.is_production and 0 < len(self.secret_key) < 32:
            raise ValueError(f"SECRET_KEY is too short to be safe. {NEW_KEY}")
        if self.activity_timeline_limit < 1:
            raise ValueError("CRMWEB_ACTIVITY_TIMELINE_LIMIT is at least 1.")
        site = urlsplit(self.base_url)
        if self.base_url and (
            site.scheme not in ("http", "https") or not site.hostname or site.path.strip("/")
        ):
            raise ValueError(
                f"CRMWEB_BASE_URL: “{self.base_url}” is no address like https://crm.example.com."
            )
        self._check_mail()
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError) as unknown:
            raise ValueError(
                f"CRMWEB_TIMEZONE: “{self.timezone}” is no time zone, write one like Europe/Berlin."
            ) from unknown

    def _check_mail(self) -> None:
        if not self.smtp_url:
            return
        if fault := _fault_of_mail_server(self.smtp_url):
            raise ValueError(f"CRMWEB_SMTP_URL: {fault}")
        if not self.mail_from:
            raise ValueError("CRMWEB_MAIL_FROM is missing: the address that mail comes from.")
        local, _, domain = (sender := parseaddr(self.mail_from)[1]).rpartition("@")
        if not (local and domain and sender.isascii() and self.mail_from.isprintable()):
            raise ValueError(
                f"CRMWEB_MAIL_FROM: “{self.mail_from}” holds no address, write one like "
                "Crmweb <crm@example.com>; a name with a comma stands in quotes."
            )

    @property
    def is_production(self) -> bool:
        return self.environment == "production"


def read(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """The settings that the environment gives, then `overrides` by field name.

    Raises ValueError naming the variable when a value cannot be used.
    """
    values: dict[str, Any] = {}
    source = os.environ if environ is None else environ
    for entry in fields(Settings):
        variable = entry.metadata["variable"]
        if variable in source and source[variable] != "":
            values[entry.name] = _typed(variable, source[variable], entry.default)
    return Settings(**{**values, **overrides})


def _typed(variable: str, text: str, default: Any) -> Any:
    if isinstance(default, bool):
        return text.strip().lower() not in ("0", "false", "no", "off")
    if isinstance(default, int):
        try:
            number = int(text)
        except ValueError as wrong:
            raise ValueError(f"{variable}: “{text}” is not a whole number.") from wrong
        if number < 0:
            raise ValueError(f"{variable}: {number} is below zero.")
        return number
    return text.strip()


def _fault_of_mail_server(url: str) -> str:
    """What is wrong with a mail server's address, if anything. Quotes nothing of it: a password may stand anywhere."""
    try:
        server = urlsplit(url)
        is_whole = bool((server.hostname or "").encode("idna")) and server.port != 0
    except ValueError:
        return NO_MAIL_SERVER
    is_bare = server.path in ("", "/") and server.query in ("", "tls=1") and not server.fragment
    if not (is_whole and is_bare and server.scheme in ("smtp", "smtps")):
        return NO_MAIL_SERVER
    user, password = unquote(server.username or ""), unquote(server.password or "")
    if bool(user) != bool(password):
        return "a user name and its password go together, write both or none."
    if not (user + password).isascii():
        return "user name and password can hold only ASCII signs; give the mail account another password."
    if user and server.scheme == "smtp" and server.query != "tls=1":
        return "a password needs encryption, smtps:// or ?tls=1 at the end."
    return ""


settings = Settings()


def use(chosen: Settings) -> Settings:
    """Make `chosen` the process's settings."""
    global settings
    settings = chosen
    return settings
