"""What a page says, as a person reads it."""

from __future__ import annotations

import html
import re

from werkzeug.test import TestResponse


def text(answer: TestResponse | str) -> str:
    """What a page says, without its tags."""
    page = answer if isinstance(answer, str) else answer.text
    body = re.sub(r"<(script|style|svg|noscript).*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())
