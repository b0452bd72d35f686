"""A storm over real sockets: charge points made of the package `ocpp` come, go, answer late, lose
their links and are killed with the daemon; at no instant may they draw more than the fuse carries.

    storm.py [SECONDS [SEED]]        default: 20 seconds, a new seed (printed)
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import tempfile
import time
from pathlib import Path

from daemon import FUSE, Daemon
from frames import Tap
from wallbox import Fuse, Wallbox
from websockets.exceptions import ConnectionClosed

ADDRESSES = ["CB-1", "CB-2", "CB-3"]


class Storm:
    """One place for each address; the charge point at it may be away."""

    def __init__(self, daemon: Daemon, chance: random.Random):
        self.daemon = daemon
        self.chance = chance
        self.boxes: dict[str, Wallbox] = {}
        self.fuse = Fuse()
        self.done: dict[str, int] = {}

    def note(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1

    async def arrive(self, address: str) -> None:
        box = await Wallbox.connect(self.daemon, address)
        self.put(address, box)
        await box.boot()

    def put(self, address: str, box: Wallbox) -> None:
        """A box that takes over from another on a new connection stands in its place."""
        old = self.boxes.get(address)
        self.fuse.boxes = [b for b in self.fuse.boxes if b is not old] + [box]
        self.boxes[address] = box

    async def once(self, address: str) -> None:
        box = self.boxes[address]
        trip = "stop" if box.transaction is not None else "start"
        acts = [trip, trip, trip, "slow", "quick", "reconnect", "reboot", "rest", "rest"]
        act = self.chance.choice(acts)
        if act == "start":
            await box.start_charging(f"TAG{self.chance.randrange(5)}")
        elif act == "stop":
            await box.stop_charging()
        elif act == "slow":
            box.answers_after = self.chance.uniform(0.5, 7.0)
        elif act == "quick":
            box.answers_after = 0.0
        elif act == "reconnect":
            self.put(address, await box.resume(self.daemon))
        elif act == "reboot":
            again = await box.resume(self.daemon)
            self.put(address, again)
            await again.boot()
        self.note(act)

    async def drive(self, address: str, until: float) -> None:
        await self.arrive(address)
        while time.monotonic() < until:
            try:
                await self.once(address)
            except (asyncio.TimeoutError, ConnectionClosed, OSError):
                self.note("failed")
                await self.recover(address)
            await asyncio.sleep(self.chance.uniform(0.1, 3.0))

    async def recover(self, address: str) -> None:
        """The daemon is gone for a moment: the box keeps its limit and dials again."""
        for _ in range(100):
            try:
                self.put(address, await self.boxes[address].resume(self.daemon))
                return
            except OSError:
                await asyncio.sleep(0.1)

    async def kill(self, until: float) -> None:
        """kill -9 now and then."""
        while True:
            await asyncio.sleep(self.chance.uniform(8.0, 20.0))
            if time.monotonic() > until - 5:
                return
            self.daemon.kill()
            await asyncio.sleep(self.chance.uniform(0.0, 2.0))
            await self.daemon.start()
            self.note("kill -9")


async def storm(folder: Path, seconds: float, seed: int) -> bool:
    async with Daemon(folder / "storm") as daemon:
        weather = Storm(daemon, random.Random(seed))
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(weather.kill(until))
            for address in ADDRESSES:
                tasks.create_task(weather.drive(address, until))
        for box in weather.boxes.values():
            await box.close()
        weather.fuse.open()
    print(f"storm of {seconds:g} s, seed {seed}: {dict(sorted(weather.done.items()))}")
    print(f"peak {weather.fuse.peak:.1f} A of {FUSE:g} A, {Tap.judged} frames judged, {len(Tap.wrong)} wrong")
    for wrong in Tap.wrong[:10]:
        print(wrong)
    return weather.fuse.peak <= FUSE + 0.05 and weather.fuse.peak > 0 and not Tap.wrong


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    logging.getLogger("ocpp").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="storm-") as folder:
        bound = asyncio.wait_for(storm(Path(folder), seconds, seed), seconds + 120)
        held = asyncio.run(bound)
    print("1 passed, 0 failed" if held else "0 passed, 1 failed")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
