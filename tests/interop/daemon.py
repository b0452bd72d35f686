"""Starts, asks and ends the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

BINARY = os.path.abspath(os.environ["CHARGEWARDEN"])
FUSE = 20.0

SERVER = """
[manager]
state-dir = "state"
control-socket = "control.sock"
start-up-hold = "1s"
ocpp-raise-interval = "1s"
{manager}
[ocpp-server]
address = "127.0.0.1"
port = {port}
meter-interval = "1s"
"""

CONFIG = SERVER + """
[[circuit]]
name = "house"
max-current = {fuse}
"""

EVSE = """
[[evse]]
name = "{name}"
device = "ocpp1.6"
address = "{address}"
max-current = 16
failsafe-current = 0
"""


GIVEN: set[int] = set()


def free_port() -> int:
    """Below those that the system gives to whoever connects, and never the same one twice, because
    scenarios run beside each other: it stays free until it is listened on, and while it is not."""
    while True:
        port = random.randrange(20_000, 32_000)
        if port in GIVEN:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            GIVEN.add(port)
            return port


async def until(what: str, probe, seconds: float = 15.0):
    """Polls `probe` until it is true, and returns what it says."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(0.05)


class Daemon:
    """One daemon with a folder, a port and a configuration of its own."""

    def __init__(
        self,
        folder: Path,
        passwords: dict[str, str] | None = None,
        site: str | None = None,
        manager: str = "",
    ):
        """Three wallboxes behind one fuse, or the circuits and devices of `site`; `manager` are
        more lines of that section."""
        folder.mkdir()
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen | None = None
        if site is not None:
            text = SERVER.format(port=self.port, manager=manager) + site
            (folder / "chargewarden.toml").write_text(text)
            return
        text = CONFIG.format(port=self.port, manager=manager, fuse=FUSE)
        for name, address in [("left", "CB-1"), ("right", "CB-2"), ("yard", "CB-3")]:
            text += EVSE.format(name=name, address=address)
            if passwords and address in passwords:
                text += f'[evse.ocpp]\npassword = "{passwords[address]}"\n'
        (folder / "chargewarden.toml").write_text(text)

    async def __aenter__(self) -> "Daemon":
        await self.start()
        return self

    async def __aexit__(self, kind, error, trace) -> None:
        self.kill()

    async def start(self) -> None:
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "run", "--config", str(self.folder / "chargewarden.toml")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        await until("the daemon listens and answers", self.ready)

    async def ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended with {self.process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return await self.status() is not None
        except OSError:
            return False

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        await until("the daemon ends", lambda: self.process.poll() is not None)
        return self.process.returncode

    async def status(self) -> dict | None:
        asked = await asyncio.create_subprocess_exec(
            BINARY,
            "status",
            "--json",
            "--socket",
            str(self.folder / "control.sock"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        answer, _ = await asked.communicate()
        return json.loads(answer) if asked.returncode == 0 else None

    async def command(self, *words: str) -> None:
        """`chargewarden limit house on` and the like."""
        socket_of = ["--socket", str(self.folder / "control.sock")]
        done = await asyncio.create_subprocess_exec(
            BINARY, *words, *socket_of, stdout=subprocess.DEVNULL
        )
        if await done.wait():
            raise AssertionError(f"{words} ended with {done.returncode}")

    async def evse(self, name: str) -> dict:
        document = await self.status()
        return next(evse for evse in document["evses"] if evse["name"] == name)
