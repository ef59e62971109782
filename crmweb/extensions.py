"""The Flask extensions, unbound; `create_app` binds them."""

from __future__ import annotations

from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect

from crmweb.models import Base

db = SQLAlchemy(metadata=Base.metadata, session_options={"expire_on_commit": False, "autoflush": False})
migrate = Migrate(render_as_batch=True, compare_type=True)
csrf = CSRFProtect()
