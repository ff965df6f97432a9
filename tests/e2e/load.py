"""Load on an API server: objects that change all the time, whatever the server says meanwhile."""

from __future__ import annotations

import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

from tests.e2e.processes import eventually
from tests.e2e.servers import Kind, Server

AGAIN_SECONDS = 20.0  # for a server that takes 1.3 s, and what the backoffs add to it
REBUILDING = (404, 429, 503)  # what it answers meanwhile


def insist(act: Callable[[], object]) -> None:
    """Do it as soon as the server takes it."""

    def tried() -> bool:
        try:
            act()
        except urllib.error.HTTPError as exc:
            exc.close()
            if exc.code not in REBUILDING:
                raise
            return False
        return True

    eventually(tried, AGAIN_SECONDS, "the server takes it")


@contextmanager
def churn(server: Server, kind: Kind, namespace: str, names: list[str]) -> Iterator[None]:
    """Change these objects all the time; what the server refuses meanwhile is tried again."""
    over = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        random = Random(5)
        try:
            while not over.is_set():
                insist(lambda: server.api.touch(kind, random.choice(names), namespace))
                time.sleep(0.01)
        except BaseException as exc:  # noqa: BLE001 -- raised again where the test sees it
            failures.append(exc)

    thread = threading.Thread(target=run, name="churn")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if failures:
        raise failures[0]
