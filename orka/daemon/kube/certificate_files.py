"""A client certificate's two files to the pair for the next handshake, followed as they change."""

from __future__ import annotations

import logging
from collections.abc import Callable

from orka.daemon.kube.connection import CertificateFiles, ClientCertificate
from orka.daemon.kube.kubeconfig_files import Read, why_unreadable
from orka.daemon.kube.tls import why_no_pair
from orka.proto.errors import ConfigError

log = logging.getLogger("orka.kube.credentials")


class FileCertificate:
    """The pair of two files, read at each look: they are small, and looks are few.

    Whoever renews them writes one after the other. Until both are there and belong together, the
    pair before them is kept, and the log has one line.
    """

    def __init__(self, files: CertificateFiles, *, user: str, read: Callable[[str], bytes]) -> None:
        """Raises ConfigError if there is no usable pair to begin with."""
        self._files = files
        self._read: Read = read
        self.last_failure: str | None = None
        try:
            self._pair = self._load()
        except OSError as exc:
            raise ConfigError(f'user "{user}": {exc.filename}: {why_unreadable(exc)}') from exc
        why = why_no_pair(self._pair)
        if why:
            raise ConfigError(
                f'user "{user}": client-certificate {files.certificate_path} and '
                f"client-key {files.key_path}: {why}"
            )

    def __repr__(self) -> str:
        return f"<FileCertificate {self._files.certificate_path} failure={self.last_failure!r}>"

    def current(self) -> ClientCertificate:
        """The newest usable pair."""
        try:
            pair = self._load()
            why = why_no_pair(pair) if pair != self._pair else ""
        except OSError as exc:
            self._failed(f"{exc.filename}: {why_unreadable(exc)}")
            return self._pair
        if why:
            self._failed(why)
            return self._pair
        self._pair, self.last_failure = pair, None
        return self._pair

    def _load(self) -> ClientCertificate:
        files = self._files
        return ClientCertificate(self._read(files.certificate_path), self._read(files.key_path))

    def _failed(self, why: str) -> None:
        if self.last_failure is None:
            log.warning(
                "certificate-files-unusable path=%s why=%r kept-old=True",
                self._files.certificate_path,
                why,
            )
        self.last_failure = why
