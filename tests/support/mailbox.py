"""A mail server of our own: keeps what it is given, or refuses it as it is told to; plain, or with TLS and a login."""

from __future__ import annotations

import socketserver
import ssl
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from threading import Thread
from urllib.parse import quote

CERTIFICATE = Path(__file__).with_suffix(".pem")
"""What the server shows; whoever is to trust it says so with SSL_CERT_FILE."""


class Mailbox(socketserver.ThreadingTCPServer):
    """`letters` are those taken, each with its recipient.

    `tls`: "" for none, `starttls` or `smtps`. `login`: the user and password it asks for, in the way `asks`. `refuses`:
    the answer to every recipient, if any; `refuses_login` to a wrong password, `{said}` in it is what it was told.
    `overheard`: the lines that came in the clear.
    """

    daemon_threads = True
    letters: list[tuple[str, EmailMessage]]
    overheard: list[str]
    tls = ""
    login: tuple[str, str] | None = None
    asks = "PLAIN"
    refuses = ""
    refuses_login = "535 Wrong password"

    @property
    def url(self) -> str:
        """What CRMWEB_SMTP_URL says of it."""
        user = f"{':'.join(quote(word, safe='') for word in self.login)}@" if self.login else ""
        scheme, query = (
            ("smtps" if self.tls == "smtps" else "smtp"),
            "?tls=1" if self.tls == "starttls" else "",
        )
        return f"{scheme}://{user}127.0.0.1:{self.server_address[1]}{query}"


class _Talk(socketserver.StreamRequestHandler):
    server: Mailbox
    recipient = ""

    def handle(self) -> None:
        with suppress(OSError):  # whoever does not trust us hangs up
            if self.server.tls == "smtps":
                self._encrypt()
            self._say("220 mailbox")
            while line := self.rfile.readline():
                self._answer(line.decode(errors="replace").strip())

    def finish(self) -> None:
        super().finish()
        self.request.close()  # an encrypted one is not the one that the server knows

    def _answer(self, line: str) -> None:
        if not self._is_encrypted:
            self.server.overheard.append(line)
        verb, _, rest = line.partition(" ")
        match verb.upper():
            case "EHLO":
                self._say("\r\n".join(["250-mailbox", *self._offers(), "250 8BITMIME"]))
            case "STARTTLS":
                self._say("220 go on")
                self._encrypt()
            case "AUTH" if rest == "CRAM-MD5":
                self._say("334 no")  # a challenge comes in base64, which this is not
            case "AUTH":
                said = b64decode(rest.removeprefix("PLAIN ")).decode().split("\0")[1:]
                is_right = said == [*(self.server.login or ())]
                self._say("235 welcome" if is_right else self.server.refuses_login.format(said=rest))
            case "RCPT" if self.server.refuses:
                self._say(self.server.refuses)
            case "RCPT":
                self.recipient = rest.partition("<")[2].rpartition(">")[0]
                self._say("250 fine")
            case "DATA":
                self._say("354 go on")
                self._keep(b"".join(iter(self.rfile.readline, b".\r\n")))
            case "QUIT":
                self._say("221 bye")
            case _:
                self._say("250 fine")

    def _offers(self) -> list[str]:
        if self.server.tls == "starttls" and not self._is_encrypted:
            return ["250-STARTTLS"]
        return [f"250-AUTH {self.server.asks}"] if self.server.login else []

    def _keep(self, data: bytes) -> None:
        self.server.letters.append((self.recipient, message_from_bytes(data, policy=policy.default)))
        self._say("250 fine")

    @property
    def _is_encrypted(self) -> bool:
        return isinstance(self.request, ssl.SSLSocket)

    def _encrypt(self) -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(CERTIFICATE)
        self.request = tls.wrap_socket(self.request, server_side=True)
        self.setup()  # reads and writes go through it from here on

    def _say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())


@contextmanager
def open_mailbox(tls: str = "", login: tuple[str, str] | None = None) -> Iterator[Mailbox]:
    """Inside, a mail server answers on a free port of this machine."""
    with Mailbox(("127.0.0.1", 0), _Talk) as server:
        server.letters, server.overheard, server.tls, server.login = [], [], tls, login
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
