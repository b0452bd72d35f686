"""A Power Brain made of `pymodbus`, the daemon that plays a charge point for it, and its backend."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from pathlib import Path

from backend import Backend, Heard
from between import HOUSE, TAG
from daemon import Daemon, until
from modbus import PowerBrain, Tcp
from ocpp.v16 import call
from report import check

FIRST = 7001  # the number that the backend gives to the first transaction
HELD = 5.0  # seconds for which the same card may be the one that is still held to the reader

EVSE = """
[[evse]]
name = "{name}"
device = "power-brain"
address = "{address}"
max-current = 16
failsafe-current = 6
{more}
[evse.gateway]
url = "{url}"
client-id = "one"
{gateway}
"""

# OCPP 1.6 §4.9: from what to what the status of a connector may change.
LEGAL = {
    "Available": "Preparing Charging SuspendedEV SuspendedEVSE Reserved Unavailable Faulted",
    "Preparing": "Available Charging SuspendedEV SuspendedEVSE Finishing Faulted",
    "Charging": "Available SuspendedEV SuspendedEVSE Finishing Unavailable Faulted",
    "SuspendedEV": "Available Charging SuspendedEVSE Finishing Unavailable Faulted",
    "SuspendedEVSE": "Available Charging SuspendedEV Finishing Unavailable Faulted",
    "Finishing": "Available Preparing Unavailable Faulted",
    "Reserved": "Available Preparing Unavailable Faulted",
    "Unavailable": "Available Preparing Charging SuspendedEV SuspendedEVSE Faulted",
}


class Scene:
    """`async with`; `word` begins what is checked in the end."""

    def __init__(self, folder: Path, word: str, more="", gateway="", manager=""):
        self.word, self.backend = word, Backend(one=FIRST)
        self.account = self.backend.accounts["one"]
        self.brain = PowerBrain()
        self.tapped = ("", 0.0)
        self.line = Tcp(self.brain.device(1))
        site = HOUSE + EVSE.format(name="yard", address=self.line.address, more=more,
                                   url=self.backend.url, gateway=gateway)
        self.daemon = Daemon(folder, site=site, manager=manager)

    async def __aenter__(self) -> "Scene":
        await self.backend.start()
        await self.line.start()
        await self.daemon.start()
        try:
            await self.told("Available")
            await until("a seat", lambda: self.account.seat)
        except BaseException:
            await self.__aexit__(None, AssertionError(), None)
            raise
        return self

    async def __aexit__(self, kind, error, trace) -> None:
        try:
            if error is None:
                self.judge()
        finally:
            self.daemon.kill()
            await self.line.stop()
            await self.backend.stop()

    def judge(self) -> None:
        wrong = self.brain.judge()
        check(f"{self.word}: no register was written that should not be", not wrong, wrong)
        wrong = disorder(self.account.billed())
        check(f"{self.word}: time and register never go back in what is billed", not wrong, wrong)

    # What the backend heard ----------------------------------------------------------------------

    def status(self) -> str:
        """The last of connector 1."""
        return [status for connector, status in self.account.statuses() if connector == 1][-1]

    async def told(self, status: str, seconds: float = 15.0) -> None:
        """Waits until connector 1 has this status."""
        def there() -> bool:
            return (1, status) in self.account.statuses() and self.status() == status

        await until(f"{status} at the backend", there, seconds)

    def legal(self) -> None:
        """Judges the history of connector 1; only where no connection was lost."""
        said = [status for connector, status in self.account.statuses() if connector == 1]
        steps = [(old, new) for old, new in zip(said, said[1:]) if old != new]
        wrong = [step for step in steps if step[1] not in LEGAL.get(step[0], step[1]).split()]
        check(f"{self.word}: every change of the status is a legal one", not wrong, (wrong, said))

    def starts(self) -> list[dict]:
        return [it.payload for it in self.account.all("StartTransaction")]

    async def started(self, number: int = 1) -> dict:
        """Waits for the start of that transaction, counted from 1."""
        await until(f"start {number}", lambda: len(self.starts()) >= number, 40)
        return self.starts()[number - 1]

    async def stopped(self, number: int = 1) -> dict:
        """Waits for that stop."""
        await until(f"stop {number}", lambda: len(self.stops()) >= number, 40)
        return self.stops()[number - 1]

    def stops(self) -> list[dict]:
        return [it.payload for it in self.account.all("StopTransaction")]

    # What the backend asks -----------------------------------------------------------------------

    async def ask(self, request):
        """The answer of the charge point."""
        await until("the charge point is there", lambda: self.account.seat, 40)
        return await self.account.seat.call(request, suppress=False)

    async def write(self, key: str, value: str) -> str:
        return (await self.ask(call.ChangeConfiguration(key=key, value=value))).status

    async def read(self, *keys: str) -> dict:
        answer = await self.ask(call.GetConfiguration(key=list(keys)))
        return {row["key"]: row.get("value") for row in answer.configuration_key or []}

    # What a driver does --------------------------------------------------------------------------

    async def charge(self, tag: str = TAG) -> None:
        """Plugs in and holds up a card; waits for the current."""
        self.brain.plugged = True
        await self.told_locally("Preparing")
        await self.tap(tag)
        await self.charges()

    async def tap(self, tag: str) -> None:
        """A card; the same one again only after a while, because one that is held counts once."""
        last, at = self.tapped
        if last == tag:
            await asyncio.sleep(max(0.0, at + HELD - time.monotonic()))
        self.tapped = (tag, time.monotonic())
        self.brain.tap(tag)

    async def charges(self, amps: float = 6, seconds: float = 30.0) -> None:
        await until(f"{amps:g} A for the car", lambda: self.brain.draws() >= amps, seconds)

    async def pauses(self) -> None:
        """Nothing flows, and the backend knows why."""
        await self.told("SuspendedEVSE")
        await until("no current", lambda: not self.brain.values[8094] and self.brain.draws() == 0)

    async def told_locally(self, status: str, seconds: float = 15.0) -> None:
        async def there() -> bool:
            return (await self.daemon.evse("yard"))["status"] == status

        await until(f"{status} in the status of the daemon", there, seconds)

    async def transaction(self) -> dict | None:
        return (await self.daemon.evse("yard"))["transaction"]

    async def queued(self) -> int:
        return (await self.daemon.evse("yard"))["gateway"]["queued"]


def registers(billed: list[Heard]) -> list[int]:
    """Every energy register of some messages, in Wh, as they came."""
    found = []
    for heard in billed:
        payload = heard.payload
        found += [payload["meterStart"]] if "meterStart" in payload else []
        values = payload.get("meterValue", []) + payload.get("transactionData", [])
        for value in sorted(values, key=lambda it: it["timestamp"]):
            found += [round(float(sample["value"]) * (1000 if sample.get("unit") == "kWh" else 1))
                      for sample in value["sampledValue"] if is_register(sample)]
        found += [payload["meterStop"]] if "meterStop" in payload else []
    return found


def is_register(sample: dict) -> bool:
    measurand = sample.get("measurand", "Energy.Active.Import.Register")
    return measurand == "Energy.Active.Import.Register" and "phase" not in sample


def disorder(billed: list[Heard]) -> list:
    """Messages that are older, or say less, than those before them. What a stop repeats of its
    transaction stands in its `transactionData` and is left out."""
    wrong, before, energy = [], 0.0, 0
    for heard in billed:
        payload = {key: it for key, it in heard.payload.items() if key != "transactionData"}
        times = [payload.get("timestamp")] + [it["timestamp"] for it in payload.get("meterValue", [])]
        for text in filter(None, times):
            at = datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
            if at < before:
                wrong.append(f"{text} in {heard.action} is older than what came before by {before - at:.3f} s")
            before = max(at, before)
        for register in registers([heard._replace(payload=payload)]):
            if register < energy:
                wrong.append(f"{register} Wh in {heard.action} after {energy} Wh")
            energy = max(energy, register)
    if before > time.time() + 5:
        wrong.append("a time to come")
    return wrong


def limit(amps: float, purpose: str = "TxDefaultProfile", number: int = 5) -> call.SetChargingProfile:
    profile = {
        "charging_profile_id": number,
        "stack_level": 0,
        "charging_profile_purpose": purpose,
        "charging_profile_kind": "Absolute",
        "charging_schedule": {
            "start_schedule": "2026-01-01T00:00:00Z",
            "charging_rate_unit": "A",
            "charging_schedule_period": [{"start_period": 0, "limit": amps}],
        },
    }
    return call.SetChargingProfile(connector_id=1, cs_charging_profiles=profile)
