"""Latest hands the newest value to any number of readers and waits for none of them."""

from __future__ import annotations

import trio
from trio.testing import MockClock, assert_checkpoints

from orka.daemon.world.latest import Latest


async def test_a_slow_reader_misses_values_but_never_the_last(autojump_clock: MockClock) -> None:
    """The writer is not held up; the reader ends at the newest value."""
    latest = Latest(0)
    seen: list[int] = []

    async def read() -> None:
        version = 0
        while not seen or seen[-1] < 10:
            value, version = await latest.wait_newer(version)
            seen.append(value)
            await trio.sleep(3)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        for value in range(1, 11):
            await trio.sleep(1)
            latest.publish(value)

    assert seen[0] == 0
    assert seen[-1] == 10
    assert len(seen) < 10


async def test_an_amended_value_wakes_nobody(autojump_clock: MockClock) -> None:
    """Bookkeeping readers need not know of replaces the value quietly."""
    latest = Latest("a")
    _, version = await latest.wait_newer(0)

    latest.amend("b")

    with trio.move_on_after(60) as scope:
        await latest.wait_newer(version)
    assert scope.cancelled_caught
    assert latest.value == "b"
    assert repr(latest) == "<Latest version=1 'b'>"


async def test_waiting_checkpoints_even_if_already_newer() -> None:
    """A reader in a loop cannot starve the others."""
    latest = Latest(1)

    with assert_checkpoints():
        await latest.wait_newer(0)
