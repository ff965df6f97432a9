"""The newest value for any number of readers: level-triggered, so a slow one holds up nobody."""

from __future__ import annotations

from typing import Generic, TypeVar

import trio

T = TypeVar("T")


class Latest(Generic[T]):
    """One writer publishes, readers wait for something newer than what they have seen.

    Values in between may be missed, the last one never is.
    """

    def __init__(self, value: T) -> None:
        self._value = value
        self._version = 1
        self._changed = trio.Event()

    def __repr__(self) -> str:
        return f"<Latest version={self._version} {self._value!r}>"

    @property
    def value(self) -> T:
        """The newest value."""
        return self._value

    @property
    def version(self) -> int:
        """Grows by one per publish; readers start from 0."""
        return self._version

    def publish(self, value: T) -> None:
        """Make `value` the newest; everyone who waits is woken."""
        self._value = value
        self._version += 1
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    def amend(self, value: T) -> None:
        """Replace the newest value by one that readers need not be woken for."""
        self._value = value

    async def wait_newer(self, than: int) -> tuple[T, int]:
        """The newest value and its version, as soon as that is newer than `than`."""
        await trio.lowlevel.checkpoint()
        while self._version <= than:
            await self._changed.wait()
        return self._value, self._version
