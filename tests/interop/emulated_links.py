"""A Power Brain as a charge point while power, links and the daemon itself come and go."""

from __future__ import annotations

import asyncio
from pathlib import Path

from between import HOUSE, TAG, actions
from backend import Backend
from daemon import Daemon, until
from modbus import PowerBrain, Tcp
from ocpp.v16 import call
from report import check
from scene import EVSE, FIRST, Scene, registers

FIXED = f'fixed-id-tag = "{TAG}"'


async def emulated_power_cut(folder: Path) -> None:
    async with Scene(folder, "power cut") as scene:
        brain = scene.brain
        brain.values[8082] = 0
        await scene.write("MeterValueSampleInterval", "1")

        async def cut(unplugged: bool) -> None:
            await scene.line.stop()
            brain.lose_power()
            await asyncio.sleep(2)
            if unplugged:
                brain.unplug()
            await scene.line.start()

        await scene.charge()
        await until("two samples", lambda: len(scene.account.all("MeterValues")) >= 2)
        await cut(unplugged=False)
        await scene.charges(6, 40)
        check("power cut: the transaction goes on with the car",
              len(scene.starts()) == 1 and not scene.stops(), (scene.starts(), scene.stops()))
        samples = len(scene.account.all("MeterValues"))
        await until("samples again", lambda: len(scene.account.all("MeterValues")) >= samples + 2)
        last = registers(scene.account.billed())[-1]
        check("power cut: and its register is the right one", 0 <= brain.energy - last <= 60,
              (brain.energy, last))
        await cut(unplugged=True)
        stop = await scene.stopped()
        check("power cut: a car that left in the dark ended it with PowerLoss",
              stop.get("reason") == "PowerLoss" and stop["transactionId"] == FIRST, stop)
        check("power cut: with the last register", 0 <= brain.energy - stop["meterStop"] <= 30,
              (stop, brain.energy))
        await scene.told("Available")
        await scene.charge()
        start = await scene.started(2)
        check("power cut: the next car charges", start["meterStart"] >= stop["meterStop"], start)


async def emulated_killed(folder: Path) -> None:
    async with Scene(folder, "killed") as scene:
        brain, daemon = scene.brain, scene.daemon
        await scene.write("MeterValueSampleInterval", "1")
        await scene.charge()
        await until("two samples", lambda: len(scene.account.all("MeterValues")) >= 2)
        daemon.kill()
        await daemon.start()
        samples = len(scene.account.all("MeterValues"))
        await until("samples again", lambda: len(scene.account.all("MeterValues")) >= samples + 2, 30)
        await scene.charges()
        numbers = {it.payload.get("transactionId") for it in scene.account.all("MeterValues")}
        check("killed: the transaction goes on under its number",
              numbers == {FIRST} and len(scene.starts()) == 1, (numbers, scene.starts()))
        daemon.kill()
        await asyncio.sleep(1)
        brain.unplug()
        await daemon.start()
        stop = await scene.stopped()
        check("killed: who left meanwhile is stopped by the register",
              stop.get("reason") in ("PowerLoss", "EVDisconnected")
              and stop["transactionId"] == FIRST
              and 0 <= brain.energy - stop["meterStop"] <= 30, (stop, brain.energy))
        await scene.told("Available", 30)
        await scene.charge()
        await scene.started(2)
        daemon.kill()
        await daemon.start()
        await scene.charges(6, 30)
        await until("its card counts", scene.transaction, 30)
        await asyncio.sleep(3)
        await scene.tap(TAG)
        stop = await scene.stopped(2)
        check("killed: the card that began before ends it after",
              stop.get("reason", "Local") == "Local" and stop["transactionId"] == FIRST + 1
              and len(scene.starts()) == 2, (stop, scene.starts()))


async def emulated_away(folder: Path) -> None:
    async with Scene(folder, "away") as scene:
        brain, account = scene.brain, scene.account
        await scene.write("MeterValueSampleInterval", "1")

        async def leave() -> None:
            before = await scene.transaction()
            brain.unplug()
            await scene.told_locally("Available")
            check("away: it was a transaction", before and await scene.transaction() is None, before)

        await scene.charge()
        await leave()
        await scene.stopped()
        known = len(account.billed())
        await scene.backend.stop()
        await asyncio.sleep(3)
        await scene.tap("STRANGER")
        brain.plugged = True
        await asyncio.sleep(4)
        check("away: a tag that nobody knows is refused",
              await scene.transaction() is None and not brain.values[8094])
        await scene.tap(TAG)
        await scene.charges()
        check("away: one that the backend allowed before charges", True)
        await asyncio.sleep(3)
        await leave()
        await asyncio.sleep(1)
        await scene.charge()
        scene.daemon.kill()
        await scene.daemon.start()
        await scene.charges(6, 30)
        await asyncio.sleep(3)
        await leave()
        waiting = await scene.queued()
        check("away: nothing reached the backend", len(account.billed()) == known)
        await scene.backend.start()
        await until("all stops", lambda: len(scene.stops()) == 3, 60)
        await until("nothing waits", lambda: empty(scene), 20)
        billed = account.billed()[known:]
        check("away: the status told how much waits", waiting == len(billed), (waiting, len(billed)))
        names = [name for at, name in enumerate(actions(billed))
                 if name != "MeterValues" or at == 0 or billed[at - 1].action != "MeterValues"]
        check("away: both sessions arrive later, in order, across a kill -9",
              names == ["StartTransaction", "MeterValues", "StopTransaction"] * 2, names)
        numbers = [it.payload["transactionId"] for it in billed if "transactionId" in it.payload]
        check("away: under the numbers that the backend gives them",
              numbers == sorted(numbers) and set(numbers) == {FIRST + 1, FIRST + 2}, numbers)
        check("away: and then the status", scene.status() == "Available", scene.status())


async def empty(scene: Scene) -> bool:
    return await scene.queued() == 0


async def emulated_two(folder: Path) -> None:
    """Two Power Brains are the connectors of one charge point."""
    brains = [PowerBrain("W00-0001"), PowerBrain("W00-0002")]
    async with Backend(one=FIRST) as backend, Tcp(brains[0].device(1)) as one:
        async with Tcp(brains[1].device(1)) as two:
            site = HOUSE
            for name, line in [("left", one), ("right", two)]:
                site += EVSE.format(name=name, address=line.address, more=FIXED, url=backend.url,
                                    gateway="")
            async with Daemon(folder, site=site) as daemon:
                await play_two(backend, brains, daemon)


async def play_two(backend: Backend, brains: list[PowerBrain], daemon: Daemon) -> None:
    account = backend.accounts["one"]
    await until("both", lambda: {(1, "Available"), (2, "Available")} <= set(account.statuses()), 40)
    check("two: one charge point", len(account.all("BootNotification")) == 1)
    for brain in reversed(brains):
        brain.plugged = True
        await until("a current", lambda: brain.draws() >= 6, 30)
    starts = [it.payload["connectorId"] for it in account.all("StartTransaction")]
    check("two: with two connectors", starts == [2, 1], starts)
    await account.seat.call(call.RemoteStopTransaction(transaction_id=FIRST), suppress=False)
    await until("the stop", lambda: account.all("StopTransaction"))
    await until("no current", lambda: brains[1].draws() == 0)
    check("two: a remote stop means one of them", brains[0].draws() >= 6)
    answer = await account.seat.call(call.Reset(type="Soft"), suppress=False)
    await until("the other stop", lambda: len(account.all("StopTransaction")) == 2)
    stop = account.all("StopTransaction")[1].payload
    check("two: a reset means both", answer.status == "Accepted"
          and stop["transactionId"] == FIRST + 1 and stop.get("reason") == "SoftReset", stop)
    await until("another boot", lambda: len(account.all("BootNotification")) == 2, 30)
    check("two: and the daemon lives", await daemon.status() is not None)


LINKS = [emulated_power_cut, emulated_killed, emulated_away, emulated_two]
