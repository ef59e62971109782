"""How gunicorn serves Crmweb, wherever it is started: `make run`, the Procfile, the container, the browser tests.

Gunicorn reads this file by itself. Processes, not threads: a thread more in a worker makes the slowest answers slower.
`WEB_CONCURRENCY` sets the number of processes.
"""

from __future__ import annotations

import os
import socket
from typing import Any

_host = os.environ.get("HOST") or "127.0.0.1"
_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

bind = f"{f'[{_host}]' if ':' in _host else _host}:{os.environ.get('PORT') or 8000}"
# Browsers open connections in advance and say nothing on them. A process that waits for the first word serves nobody
# else meanwhile; Linux can wait in its place, elsewhere threads do.
_can_wait = hasattr(socket, "TCP_DEFER_ACCEPT")
_longest_silence = 120  # seconds; browsers give up sooner
worker_class, threads = ("sync", 1) if _can_wait else ("gthread", 4)
workers = int(os.environ.get("WEB_CONCURRENCY") or _cores + 1)
timeout = 30
graceful_timeout = 10
loglevel = "warning"
control_socket_disable = True
# The heartbeat file belongs in memory: on a busy disk it could make a healthy worker look dead.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108
# The application is made once, before the processes part: they start sooner and share its memory.
preload_app = True


def when_ready(server: Any) -> None:
    """Hand a connection to a process only once something was said on it."""
    for listener in server.LISTENERS if _can_wait else ():
        listener.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _longest_silence)


def post_fork(_server: Any, worker: Any) -> None:
    """Two processes must never share a database connection that was opened before they parted."""
    application = worker.app.wsgi()
    with application.app_context():
        application.extensions["sqlalchemy"].engine.dispose(close=False)
