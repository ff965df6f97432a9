"""Credentials that are rotated under load, against a real kube-apiserver."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from orka.daemon.kube.client import LOOK_SECONDS, HttpxKubeClient
from orka.daemon.kube.connection import (
    CertificateFiles,
    Connection,
    Credentials,
    Impersonation,
    StaticToken,
    TokenFile,
)
from orka.daemon.kube.http import JSON
from orka.daemon.kube.watch import ReflectorConfig, ReflectorSource
from orka.daemon.model import Resource, UpstreamLedger
from tests.controlplane.fixture import ADMIN_TOKEN, ControlPlane, binaries, control_plane
from tests.daemon.kube.harness import ModelSink
from tests.support.fakes import RecordingCounters

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CERTIFICATES = Resource("cert-manager.io", "v1", "Certificate", "certificates", namespaced=True)
RATE = 1000.0  # changes a second
OBJECTS = 500


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A server that takes client certificates, with objects to change."""
    if binaries() is None:
        pytest.skip("no Go toolchain")
    with control_plane(tmp_path_factory.mktemp("plane"), client_ca=True) as running:
        running.apply_crds("cert-manager")
        running.load(OBJECTS)
        yield running


def renew(plane: ControlPlane, certificate_path: Path, key_path: Path) -> None:
    """A new key and a certificate of the same user, from the server's client CA."""
    pki = plane.directory / "pki"
    ca = x509.load_pem_x509_certificate((pki / "client-ca.crt").read_bytes())
    ca_key = load_pem_private_key((pki / "client-ca.key").read_bytes(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
            x509.NameAttribute(NameOID.COMMON_NAME, "renewed"),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@dataclass
class Watched:
    """One reflector on a client of its own, and all that it was told."""

    client: HttpxKubeClient
    sink: ModelSink
    ledger: UpstreamLedger
    counters: RecordingCounters

    def seen(self) -> set[tuple[object, str]]:
        """Every state of every object that was told."""
        return {(key, version) for _, key, version in self.sink.changes}

    def requests(self) -> dict[str, int]:
        """By verb."""
        return {verb: count for (verb, _), count in self.ledger.counts.items()}


@asynccontextmanager
async def watching(plane: ControlPlane, credentials: Credentials) -> AsyncIterator[Watched]:
    """Certificates, watched as this user until the block ends."""
    connection = Connection(
        plane.server, ca=plane.ca.read_bytes(), credentials=credentials, user="me"
    )
    client = HttpxKubeClient(connection)
    watched = Watched(client, ModelSink(), UpstreamLedger(), RecordingCounters())
    source = ReflectorSource(
        client,
        CERTIFICATES,
        ReflectorConfig("dev", float("inf")),
        random=Random(1),
        ledger=watched.ledger,
        counters=watched.counters,
        served=_served,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.run)
        nursery.start_soon(source.run, watched.sink)
        with trio.fail_after(60):
            while not watched.sink.replaced:
                await trio.sleep(0.05)
        yield watched
        nursery.cancel_scope.cancel(reason="the test is over")
        await client.aclose()


async def _served() -> bool:
    await trio.lowlevel.checkpoint()
    return True


async def settled(*watches: Watched) -> None:
    """Wait until all show the same, and go on doing so."""
    with trio.fail_after(60):
        quiet = 0
        while quiet < 10:
            same = all(other.sink.objects == watches[0].sink.objects for other in watches)
            before = len(watches[0].sink.changes)
            await trio.sleep(0.1)
            quiet = quiet + 1 if same and before == len(watches[0].sink.changes) else 0


async def test_a_renewed_client_certificate_under_load_loses_no_event_and_makes_no_list(
    plane: ControlPlane, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The watch is resumed under the new one at once: its state never changes, nothing is told."""
    certificate, key = tmp_path / "client.crt", tmp_path / "client.key"
    renew(plane, certificate, key)
    files = Credentials(certificate=CertificateFiles(str(certificate), str(key)))
    admin = Credentials(StaticToken(ADMIN_TOKEN))
    async with watching(plane, files) as rotated, watching(plane, admin) as steady:
        with ExitStack() as stack:
            churn = plane.churn(rate=RATE, seconds=60)
            done = await trio.to_thread.run_sync(stack.enter_context, churn)
            began = time.monotonic()
            await trio.sleep(2)
            await trio.to_thread.run_sync(renew, plane, certificate, key)
            with trio.fail_after(LOOK_SECONDS + 10):
                while not rotated.counters.counts["watch_restarts_total{renewed}"]:
                    await trio.sleep(0.05)
            await trio.sleep(3)
            seconds = time.monotonic() - began
            await trio.to_thread.run_sync(stack.close)
        await settled(rotated, steady)

        assert rotated.requests() == {"watchlist": 1, "watch": 1}
        assert steady.requests() == {"watchlist": 1}
        assert rotated.seen() == steady.seen()
        assert rotated.sink.states == ["syncing", "live"]
        record_property("changes_per_second", round(done["objects"] / seconds))


async def test_a_rotated_token_is_used_after_a_401(plane: ControlPlane, tmp_path: Path) -> None:
    """The file is read again at once; the request is answered."""
    path = tmp_path / "token"
    path.write_text("outdated")
    connection = Connection(
        plane.server,
        ca=plane.ca.read_bytes(),
        credentials=Credentials(TokenFile(str(path))),
    )
    client = HttpxKubeClient(connection)
    assert (await client.get("/api", {}, JSON)).status == 401
    path.write_text(ADMIN_TOKEN)
    assert (await client.get("/api", {}, JSON)).status == 200
    await client.aclose()


async def test_the_server_takes_impersonation(plane: ControlPlane) -> None:
    """All four headers, a key with odd bytes among them; the refusal names who we act as."""
    acting = Impersonation("ann", "42", ("dev",), (("a/b c", ("x",)),))
    connection = Connection(
        plane.server,
        ca=plane.ca.read_bytes(),
        credentials=Credentials(StaticToken(ADMIN_TOKEN), impersonation=acting),
    )
    client = HttpxKubeClient(connection)
    answer = await client.get("/api/v1/secrets", {}, JSON)
    await client.aclose()

    assert answer.status == 403
    assert b'User \\"ann\\"' in answer.body
