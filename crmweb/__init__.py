"""Crmweb: a self-hosted pipeline board for sales teams."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from crmweb import config
from crmweb.config import Settings

__version__ = "0.1.0"
ROOT = Path(__file__).resolve().parent.parent


def create_app(settings: Settings | None = None) -> Flask:
    """The WSGI application, with `settings` or those of the environment.

    Raises ValueError naming the variable when a setting cannot be used, RuntimeError in production without SECRET_KEY.
    """
    settings = config.use(settings or config.read())
    _refuse_unknown_currency(settings)
    instance = Path(settings.instance or ROOT / "instance").resolve()
    instance.mkdir(parents=True, exist_ok=True)
    app = Flask(
        __name__, instance_path=str(instance), template_folder=str(ROOT / "templates"), static_folder=None
    )  # fmt: skip
    app.config.update(_flask_config(settings, instance))
    app.jinja_env.undefined = jinja2.StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    if settings.proxies:
        hops = settings.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    _bind_extensions(app)
    _add_pages(app)
    return app


def _flask_config(settings: Settings, instance: Path) -> dict[str, Any]:
    url = settings.database_url or f"sqlite:///{instance / 'crmweb.db'}"
    return {
        "SETTINGS": settings,
        "SECRET_KEY": settings.secret_key or _own_key(settings, instance),
        "SQLALCHEMY_DATABASE_URI": _driver(url),
        "SQLALCHEMY_ENGINE_OPTIONS": _engine_options(url),
        "MAX_CONTENT_LENGTH": settings.max_body,
        "MAX_FORM_PARTS": 1000,
        "TRUSTED_HOSTS": _trusted_hosts(settings),
        "WTF_CSRF_TIME_LIMIT": None,
        "WTF_CSRF_CHECK_DEFAULT": False,
        "WTF_CSRF_SSL_STRICT": False,  # asks for a Referer, which privacy tools take away; Origin is checked instead
        "SESSION_COOKIE_SAMESITE": "Lax",
    }


def _trusted_hosts(settings: Settings) -> list[str] | None:
    named = [name.strip() for name in settings.trusted_hosts.split(",") if name.strip()]
    if settings.base_url:
        named.append(urlsplit(settings.base_url).hostname or "")
    # Whoever asks from this machine by these names (a health check, `make run`) is answered always.
    return [*named, "localhost", "127.0.0.1"] if named else None


def _driver(url: str) -> str:
    for short in ("postgres://", "postgresql://"):
        if url.startswith(short):
            return "postgresql+psycopg://" + url.removeprefix(short)
    return url


def _engine_options(url: str) -> dict[str, Any]:
    if not url.startswith("sqlite"):
        return {"pool_pre_ping": True, "connect_args": {"prepare_threshold": None}}
    try:
        import pysqlite3  # noqa: PLC0415  newer than the system's: SQLite before 3.51.3 has a WAL race
    except ImportError:
        return {}
    return {"module": pysqlite3.dbapi2}


def _own_key(settings: Settings, instance: Path) -> str:
    if settings.is_production:
        raise RuntimeError(f"SECRET_KEY is required with CRMWEB_ENV=production. {config.NEW_KEY}")
    file = instance / "secret_key"
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
            made.write(secrets.token_hex(32))
    except FileExistsError:
        pass
    return file.read_text().strip()


def _refuse_unknown_currency(settings: Settings) -> None:
    from crmweb.models.currency import as_currency  # noqa: PLC0415

    try:
        as_currency(settings.default_currency)
    except ValueError as unknown:
        raise ValueError(f"CRMWEB_DEFAULT_CURRENCY: {unknown}") from unknown


def _bind_extensions(app: Flask) -> None:
    from crmweb import changes, services, transactions  # noqa: F401, PLC0415  they listen once the models are mapped
    from crmweb.extensions import csrf, db, migrate  # noqa: PLC0415

    db.init_app(app)
    migrate.init_app(app, db, directory=str(ROOT / "migrations"))
    csrf.init_app(app)
    with app.app_context():
        transactions.prepare_engine(db.engine)


def _add_pages(app: Flask) -> None:
    from crmweb import cli, web  # noqa: PLC0415

    web.init_app(app)
    cli.init_app(app)
