"""A mail server of our own: keeps what it is given, or refuses it as it is told to."""

from __future__ import annotations

import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from threading import Thread


class Mailbox(socketserver.ThreadingTCPServer):
    """`letters` are those taken, each with its recipient. `refuses`: the answer to every recipient, if any."""

    daemon_threads = True
    letters: list[tuple[str, EmailMessage]]
    refuses = ""

    @property
    def url(self) -> str:
        """What CRMWEB_SMTP_URL says of it."""
        return f"smtp://127.0.0.1:{self.server_address[1]}"


class _Talk(socketserver.StreamRequestHandler):
    server: Mailbox

    def handle(self) -> None:
        self._say("220 mailbox")
        recipient = ""
        for line in self.rfile:
            command = line.decode().strip()
            if command.upper().startswith("RCPT") and self.server.refuses:
                self._say(self.server.refuses)
                continue
            if command.upper().startswith("RCPT"):
                recipient = command.partition("<")[2].rstrip(">")
            if command.upper() == "DATA":
                self._say("354 go on")
                letter = message_from_bytes(
                    b"".join(iter(self.rfile.readline, b".\r\n")), policy=policy.default
                )
                self.server.letters.append((recipient, letter))
            self._say("221 bye" if command.upper() == "QUIT" else "250 fine")

    def _say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())


@contextmanager
def open_mailbox() -> Iterator[Mailbox]:
    """Inside, a mail server answers on a free port of this machine."""
    with Mailbox(("127.0.0.1", 0), _Talk) as server:
        server.letters = []
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
