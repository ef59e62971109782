"""Whether this process can serve: for load balancers, containers and `make run`."""

from __future__ import annotations

from flask import Blueprint, Response
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from crmweb.extensions import db
from crmweb.web.access import access

bp = Blueprint("health", __name__)


@bp.get("/healthz")
@access("public")
def show() -> Response:
    """200 when the database answers, else 503."""
    try:
        db.session().execute(select(1))
    except SQLAlchemyError:
        return Response("The database does not answer.\n", 503, mimetype="text/plain")
    return Response("ok\n", mimetype="text/plain")
