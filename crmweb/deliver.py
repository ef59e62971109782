"""Sends what waits in the outbox, by e-mail: claim, send, and note what came of it; back off, give up.

A delivery is claimed in a transaction of its own before it is sent, so two workers never send the same one. When a
worker dies between sending and noting, the claim ends after a while and it is sent once more, with the same Message-ID.
"""

from __future__ import annotations

import logging
import smtplib
import ssl
from base64 import b64encode
from contextlib import suppress
from datetime import timedelta
from email.errors import MessageError
from email.header import Header
from email.message import EmailMessage
from email.policy import Policy
from email.utils import format_datetime, parseaddr
from functools import partial
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import changes, clock, config
from crmweb.models import Delivery, Notification, User

log = logging.getLogger("crmweb.deliver")
TIMEOUT = 20.0
"""Seconds that the mail server has for each answer."""
BACK_OFF = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 720))
"""Waits after the first try that failed, the second, and so on; when all are over it is given up."""
CLAIM = timedelta(minutes=10)
"""How long a worker has for one delivery before another may try it."""
LONGEST = 300
UNWRITABLE = (ValueError, IndexError, MessageError)
"""What Python's e-mail package raises about addresses and headers that make no sense."""


class Letter(NamedTuple):
    """A claimed delivery."""

    id: UUID
    address: str
    subject: str
    body: str


class Fault(NamedTuple):
    """Why it did not arrive. `is_final`: it never will; `is_of_server`: no other one would arrive now either."""

    words: str
    is_final: bool = False
    is_of_server: bool = False


def send_due(most: int) -> int:
    """Try up to `most` deliveries that are due; answers how many. Stops early while the server cannot be reached."""
    if not config.settings.smtp_url:
        return 0
    for tried in range(most):
        letter = changes.commit(_claim, cause="bookkeeping")
        if letter is None:
            return tried
        fault = _send(letter)
        changes.commit(partial(_note, letter.id, fault), cause="bookkeeping")
        if fault and fault.is_of_server:
            return tried + 1
    return most


def _claim(session: Session) -> Letter | None:
    due = (
        select(Delivery)
        .join(Notification, Notification.id == Delivery.notification_id)
        .join(User, User.id == Notification.user_id)
        .where(Delivery.sent_at.is_(None), Delivery.failed_at.is_(None), Delivery.withdrawn_at.is_(None))
        .where(Delivery.due_at <= clock.now(), User.is_active)
        .order_by(Delivery.due_at, Delivery.id)
        .limit(1)
        .with_for_update(of=Delivery, skip_locked=True)
    )
    claimed = session.scalars(due).first()
    if claimed is None:
        return None
    claimed.attempts += 1
    claimed.due_at = clock.now() + CLAIM
    return Letter(claimed.id, claimed.address, claimed.subject, claimed.body)


def _note(delivery_id: UUID, fault: Fault | None, session: Session) -> None:
    tried = session.get(Delivery, delivery_id, with_for_update=True, populate_existing=True)
    if tried is None:
        return  # purged meanwhile, with what it told of
    tried.error = fault.words[:LONGEST] if fault else None
    if fault is None:
        tried.sent_at = clock.now()
    elif fault.is_final or tried.attempts > len(BACK_OFF):
        tried.failed_at = clock.now()
        log.warning("e-mail %s is given up after try %d: %s", tried.id, tried.attempts, fault.words)
    else:
        tried.due_at = clock.now() + BACK_OFF[tried.attempts - 1]


def _send(letter: Letter) -> Fault | None:
    try:
        server = _connected()
    except (OSError, ValueError) as error:  # smtplib's own are OSErrors; a challenge can make no sense
        return Fault(_words(error), is_of_server=True)
    try:
        server.send_message(_message(letter), parseaddr(config.settings.mail_from)[1], [letter.address])
    except OSError as error:
        return Fault(_words(error), is_final=_is_final(error))
    except UNWRITABLE as wrong:
        return Fault(f"This cannot be written as an e-mail: {wrong}", is_final=True)
    finally:
        with suppress(OSError):
            server.quit()
    return None


class Subject(str):
    """A subject that arrives sign by sign as it was written.

    The e-mail package reads a plain one first, and turns an encoded word in it (`=?utf-8?q?…?=`) into what that stands
    for, even into line breaks: whoever names a deal could write headers.
    """

    __slots__ = ()
    name = "Subject"

    def fold(self, *, policy: Policy) -> str:
        """The header as it is sent; the e-mail package asks for it."""
        written = Header(self, "utf-8", header_name=self.name).encode(linesep=policy.linesep)
        return f"{self.name}: {written}{policy.linesep}"


def _message(letter: Letter) -> EmailMessage:
    sender, message = config.settings.mail_from, EmailMessage()
    if "=?" in letter.address or parseaddr(letter.address)[1] != letter.address:
        raise ValueError(f"“{letter.address}” is not one address")
    message["From"], message["To"], message["Subject"] = sender, letter.address, Subject(letter.subject)
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = f"<{letter.id}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # no out-of-office answers
    message.set_content(letter.body)
    return message


def _connected() -> smtplib.SMTP:
    url, tls = urlsplit(config.settings.smtp_url), ssl.create_default_context()
    host = url.hostname or ""
    if url.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, url.port or 465, timeout=TIMEOUT, context=tls)
    else:
        server = smtplib.SMTP(host, url.port or 587, timeout=TIMEOUT)
    try:
        if url.scheme == "smtp" and url.query == "tls=1":
            server.starttls(context=tls)
        if url.username:
            server.login(*_login())
    except BaseException:
        server.close()
        raise
    return server


def _is_final(error: OSError) -> bool:
    """Whether the server said that this letter will never be taken; a refused sender is the operator's to mend."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPDataError):
        return error.smtp_code >= 500
    return isinstance(error, smtplib.SMTPNotSupportedError)


def _login() -> tuple[str, str]:
    url = urlsplit(config.settings.smtp_url)
    return unquote(url.username or ""), unquote(url.password or "")


def _words(error: OSError | ValueError) -> str:
    words = str(error) or type(error).__name__
    match error:
        case smtplib.SMTPRecipientsRefused():
            words = " ".join(_answer(*answer) for answer in error.recipients.values())
        case smtplib.SMTPAuthenticationError():
            words = f"The login was refused: {_without_login(_answer(error.smtp_code, error.smtp_error))}"
        case smtplib.SMTPResponseException():
            words = _answer(error.smtp_code, error.smtp_error)
        case ssl.SSLCertVerificationError():
            words = f"The mail server’s certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            words = f"No TLS with the mail server at this port ({error.reason})"
        case OSError(strerror=str(words)):
            pass
    return words


def _answer(code: int, said: bytes | str) -> str:
    words = said.decode(errors="replace") if isinstance(said, bytes) else said
    shown = "".join(sign if sign.isprintable() else " " for sign in words)  # it comes into the log
    return f"{code} {' '.join(shown.split())}"


def _without_login(words: str) -> str:
    """The server's words, but for the password, as which it may repeat what it was told."""
    user, password = _login()
    told = (b64encode(secret.encode()).decode() for secret in (f"\0{user}\0{password}", password))
    for secret in (*told, password):
        words = words.replace(secret, "…")
    return words
