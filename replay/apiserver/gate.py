"""A door that tasks wait at, turned open and shut by fault verbs."""

from __future__ import annotations

import trio


class Gate:
    """Open or shut; waiting returns when the state is as wanted."""

    def __init__(self, *, is_open: bool) -> None:
        self.is_open = is_open
        self._changed = trio.Event()

    def __repr__(self) -> str:
        return f"<Gate {'open' if self.is_open else 'shut'}>"

    def open(self) -> None:
        """Let everyone through."""
        self._set(is_open=True)

    def shut(self) -> None:
        """Hold everyone up."""
        self._set(is_open=False)

    async def wait_open(self) -> None:
        """Return when the gate is open."""
        await self._wait(is_open=True)

    async def wait_shut(self) -> None:
        """Return when the gate is shut."""
        await self._wait(is_open=False)

    def _set(self, *, is_open: bool) -> None:
        self.is_open = is_open
        self._changed.set()
        self._changed = trio.Event()

    async def _wait(self, *, is_open: bool) -> None:
        await trio.lowlevel.checkpoint()
        while self.is_open is not is_open:
            await self._changed.wait()
