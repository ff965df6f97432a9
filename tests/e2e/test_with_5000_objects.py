"""`orkactl ls` of very many objects beside `kubectl get`.

The last file of the suite by its name: what it makes on the shared server stays there, and every
later orkad would have to list it.
"""

from __future__ import annotations

import re
import time
from datetime import datetime

from tests.e2e.harness import Orka
from tests.e2e.servers import CERTIFICATES, FakeServer, RealServer, Server, fill

COUNT = 5000
NAMESPACES = 20
UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}

Row = tuple[str, str, float]  # namespace, name, age in seconds


def age_seconds(text: str) -> int:
    """`2m5s` as a number."""
    parts = re.findall(r"(\d+)([dhms])", text)
    assert "".join(number + unit for number, unit in parts) == text != "", text
    return sum(int(number) * UNITS[unit] for number, unit in parts)


def coarse(age: float) -> int:
    """How much of an age is not printed: from ten minutes on, its seconds."""
    return 60 if age >= 590 else 0


def listed(server: Server) -> tuple[list[Row], float, float]:
    """What the server's own client prints, and between which times it did."""
    before = time.time()
    if isinstance(server, RealServer):
        lines = server.plane.kubectl("get", CERTIFICATES.resource, "-A", "--no-headers")
        cells = [line.split() for line in lines.splitlines()]
        rows = [(row[0], row[1], float(age_seconds(row[-1]))) for row in cells]
    else:
        rows = [
            (*key, before - datetime.fromisoformat(meta["creationTimestamp"]).timestamp())
            for key, meta in server.api.objects(CERTIFICATES).items()
        ]
    return rows, before, time.time()


def test_ls_of_5000_certificates_equals_kubectl_get(orka: Orka, server: Server) -> None:
    """The same rows by namespace, then name, with the AGE that kubectl gives, to the second."""
    if isinstance(server, RealServer):
        server.plane.load(COUNT, namespaces=NAMESPACES)
    else:
        assert isinstance(server, FakeServer)
        fill(server, COUNT, NAMESPACES)
    orka.start()
    orka.ctl("ls", CERTIFICATES.resource, "-A").ok()

    theirs, began, ended = listed(server)
    started = time.time()
    done = orka.ctl("ls", CERTIFICATES.resource, "-A")
    finished = time.time()

    assert done.stderr == ""
    rows = done.rows()
    assert len(rows) >= COUNT
    assert len({row[0] for row in rows}) >= NAMESPACES
    assert [row[:2] for row in rows] == [[namespace, name] for namespace, name, _ in theirs]
    assert rows == sorted(rows, key=lambda row: row[:2])
    youngest, oldest = started - ended - 1, finished - began + 1
    wrong = [
        (row, age)
        for row, (_, _, age) in zip(rows, theirs, strict=True)
        if not youngest - coarse(age) <= age_seconds(row[2]) - age <= oldest + coarse(age)
    ]
    assert wrong == []
