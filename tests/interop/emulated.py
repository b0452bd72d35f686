"""A Power Brain that its backend takes for an OCPP charge point: sessions and limits."""

from __future__ import annotations

import asyncio
from pathlib import Path

from between import TAG, actions, profile
from daemon import until
from ocpp.v16 import call
from report import check
from scene import FIRST, Scene, limit, registers

IDENTITY = 'vendor = "Interop"\nmodel = "One"\nserial = "SN-1"\nfirmware = "1.2.3"\n'
FIXED = f'fixed-id-tag = "{TAG}"'
OTHER = "04FFEEDDCC"
SAMPLED = "Energy.Active.Import.Register,Power.Active.Import,Current.Import"


async def emulated_card(folder: Path) -> None:
    async with Scene(folder, "card", gateway=IDENTITY) as scene:
        brain, account = scene.brain, scene.account
        boots = [it.payload for it in account.all("BootNotification")]
        check("card: one boot, with the words of the configuration", boots == [{
            "chargePointVendor": "Interop", "chargePointModel": "One",
            "chargePointSerialNumber": "SN-1", "firmwareVersion": "1.2.3"}], boots)
        check("card: the charge point and its connector are Available",
              {(0, "Available"), (1, "Available")} <= set(account.statuses()), account.statuses())
        check("card: a free Power Brain is disabled", brain.values[8094] == 0)
        written = [await scene.write("MeterValueSampleInterval", "1"),
                   await scene.write("MeterValuesSampledData", SAMPLED),
                   await scene.write("StopTxnSampledData", "Energy.Active.Import.Register")]
        check("card: what is sampled is taken", written == ["Accepted"] * 3, written)

        brain.plugged = True
        await scene.told("Preparing")
        await asyncio.sleep(2)
        check("card: a car without a card waits", not brain.values[8094] and not scene.starts())
        await scene.tap(TAG)
        await scene.charges(16)
        await scene.told("Charging")
        heard = account.all("Authorize", "StartTransaction", "StatusNotification")
        names = [it.payload.get("status", it.action) for it in heard]
        order = [names.index(it) for it in ("Preparing", "Authorize", "StartTransaction", "Charging")]
        check("card: Preparing, Authorize, StartTransaction and Charging in order",
              order == sorted(order), names)
        start = scene.starts()[0]
        check("card: the start says the card and the register, in Wh",
              start["idTag"] == TAG and start["connectorId"] == 1
              and 0 <= brain.energy - start["meterStart"] <= 60, (start, brain.energy))

        await until("three samples", lambda: len(account.all("MeterValues")) >= 3)
        judge_samples(account.all("MeterValues"))
        await asyncio.sleep(2)
        await scene.tap(OTHER)
        await until("the other card", lambda: len(account.all("Authorize")) == 2)
        await asyncio.sleep(2)
        check("card: another card ends nothing", not scene.stops() and brain.draws() == 16)
        await scene.tap(TAG)
        await until("the stop", scene.stops)
        await scene.told("Finishing")
        judge_stop(scene)
        check("card: its own card ends it without being asked about",
              [it.payload["idTag"] for it in account.all("Authorize")] == [TAG, OTHER])
        await until("nothing after the stop", lambda: not brain.values[8094])
        await asyncio.sleep(2)
        check("card: the car that stays gets nothing more", brain.draws() == 0)
        brain.unplug()
        await scene.told("Available")
        scene.legal()


def judge_samples(samples) -> None:
    check("card: each sample belongs to the transaction",
          all(it.payload.get("transactionId") == FIRST for it in samples), samples[0])
    values = [value for it in samples for value in it.payload["meterValue"]]
    found = [sample for value in values for sample in value["sampledValue"]]
    check("card: they are periodic ones",
          {it.get("context", "Sample.Periodic") for it in found} == {"Sample.Periodic"}, found)
    measured = {it.get("measurand", "Energy.Active.Import.Register") for it in found}
    check("card: of what the backend asked for", measured == set(SAMPLED.split(",")), measured)
    phases = {it["phase"] for it in found if it.get("measurand") == "Current.Import"}
    check("card: the current of each phase", phases == {"L1", "L2", "L3"}, phases)
    amps = [float(it["value"]) for it in found if it.get("measurand") == "Current.Import"]
    check("card: and it is that of the Power Brain", max(amps) == 16.0, amps)
    many = registers(samples)
    check("card: its register rises", many == sorted(many) and many[-1] > many[0], many)


def judge_stop(scene: Scene) -> None:
    stop = scene.stops()[0]
    check("card: the stop is local, by that card",
          stop.get("reason", "Local") == "Local" and stop.get("idTag") == TAG
          and stop["transactionId"] == FIRST, stop)
    check("card: and says the register", 0 <= scene.brain.energy - stop["meterStop"] <= 60,
          (stop, scene.brain.energy))
    samples = [sample for value in stop.get("transactionData", []) for sample in value["sampledValue"]]
    contexts = [it.get("context") for it in samples]
    check("card: with what was sampled from the begin to the end",
          contexts[:1] + contexts[-1:] == ["Transaction.Begin", "Transaction.End"], contexts)
    check("card: whose ends are those of the bill",
          [samples[0]["value"], samples[-1]["value"]]
          == [str(scene.starts()[0]["meterStart"]), str(stop["meterStop"])], samples)


async def emulated_fixed_tag(folder: Path) -> None:
    async with Scene(folder, "fixed tag", more=FIXED) as scene:
        for number in (FIRST, FIRST + 1):
            scene.brain.plugged = True
            await scene.charges(16)
            await scene.told("Charging")
            start = await scene.started(number - FIRST + 1)
            check("fixed tag: to plug in is enough", start["idTag"] == TAG, start)
            scene.brain.unplug()
            stop = await scene.stopped(number - FIRST + 1)
            check("fixed tag: to unplug ends it, and the stop says so",
                  stop.get("reason") == "EVDisconnected" and stop["transactionId"] == number, stop)
            await scene.told("Available")
        billed = actions(scene.account.all("StartTransaction", "StopTransaction"))
        check("fixed tag: two sessions, two transactions",
              billed == ["StartTransaction", "StopTransaction"] * 2, billed)
        scene.legal()


async def emulated_refused_tag(folder: Path) -> None:
    async with Scene(folder, "refused tag", more='fixed-id-tag = "BADTAG"') as scene:
        scene.brain.plugged = True
        await until("the backend is asked", lambda: scene.account.all("Authorize"))
        await asyncio.sleep(3)
        check("refused tag: the car waits", scene.status() == "Preparing" and not scene.starts()
              and not scene.brain.values[8094], scene.status())
        await scene.tap(TAG)
        await scene.charges()
        start = await scene.started()
        check("refused tag: a card of a driver is as good as ever", start["idTag"] == TAG, start)
        scene.account.start_status = "Blocked"
        await asyncio.sleep(3)
        await scene.tap(TAG)
        await scene.told("Finishing")
        scene.brain.unplug()
        await scene.told("Available")
        scene.brain.plugged = True
        await until("asked again", lambda: len(scene.account.all("Authorize")) >= 3)
        await asyncio.sleep(3)
        await scene.tap(TAG)
        stop = await scene.stopped(2)
        check("refused tag: what StartTransaction refuses ends as DeAuthorized",
              stop.get("reason") == "DeAuthorized" and stop["transactionId"] == FIRST + 1, stop)
        await until("nothing after it", lambda: not scene.brain.values[8094])
        check("refused tag: and its car gets nothing more", True)
        scene.legal()


async def emulated_remote(folder: Path) -> None:
    async with Scene(folder, "remote") as scene:
        brain = scene.brain
        request = call.RemoteStartTransaction(
            id_tag=OTHER, connector_id=1, charging_profile=profile(8, "TxProfile"))
        check("remote: a start without a car is accepted",
              (await scene.ask(request)).status == "Accepted")
        await scene.told("Preparing")
        brain.plugged = True
        await scene.charges(8)
        start = await scene.started()
        check("remote: its tag starts when the car is there", start["idTag"] == OTHER, start)
        await asyncio.sleep(3)
        check("remote: its profile limits it to 8 A", brain.allowed() == 8, brain.allowed())
        check("remote: nobody starts twice", (await scene.ask(request)).status == "Rejected")
        answer = await scene.ask(call.RemoteStopTransaction(transaction_id=999))
        check("remote: nor stops what is not there", answer.status == "Rejected", answer)
        answer = await scene.ask(call.UnlockConnector(connector_id=1))
        check("remote: a Power Brain has no lock that could be opened",
              answer.status == "NotSupported" and not scene.stops(), answer)
        answer = await scene.ask(call.RemoteStopTransaction(transaction_id=FIRST))
        check("remote: a stop with the backend's id is accepted", answer.status == "Accepted", answer)
        await scene.told("Finishing")
        stop = await scene.stopped()
        check("remote: and says Remote",
              stop.get("reason") == "Remote" and stop["transactionId"] == FIRST, stop)

        request = call.RemoteStartTransaction(id_tag=TAG)
        check("remote: a plugged car is started again, also without a connector",
              (await scene.ask(request)).status == "Accepted")
        await scene.charges(16)
        start = await scene.started(2)
        check("remote: and the old profile is gone", start["idTag"] == TAG, start)
        brain.unplug()
        await scene.told("Available")

        check("remote: ConnectionTimeOut is taken",
              await scene.write("ConnectionTimeOut", "3") == "Accepted")
        await scene.ask(request)
        await scene.told("Preparing")
        await scene.told("Available", 6)
        brain.plugged = True
        await asyncio.sleep(4)
        check("remote: a start that nobody plugs in for is over after it",
              len(scene.starts()) == 2 and brain.draws() == 0, scene.starts())
        scene.legal()


async def emulated_limits(folder: Path) -> None:
    async with Scene(folder, "limits", more=FIXED) as scene:
        brain, daemon = scene.brain, scene.daemon
        answer = await scene.ask(limit(10))
        check("limits: 10 A of the backend is accepted", answer.status == "Accepted", answer)
        brain.plugged = True
        await scene.charges(10)
        await asyncio.sleep(3)
        check("limits: it holds from the start", brain.allowed() == 10, brain.allowed())
        check("limits: and is told as it is", await composite(scene) == 10)
        reason = (await daemon.evse("yard"))["reason"]
        check("limits: the status names the backend", "backend" in reason, reason)

        await daemon.command("limit", "house", str(7 * 230 * 3))
        await until("the lower one", lambda: brain.allowed() == 7)
        check("limits: 7 A here is less, and is told", await composite(scene) == 7)
        await daemon.command("limit", "house", "1000")
        await scene.pauses()
        check("limits: load management pauses", not scene.stops())
        await daemon.command("limit", "house", "off")
        await scene.charges(10)
        await scene.told("Charging")

        await scene.ask(limit(0))
        await scene.pauses()
        check("limits: the backend pauses", not scene.stops())
        await daemon.command("limit", "house", "1000")
        await scene.ask(call.ClearChargingProfile())
        await asyncio.sleep(3)
        check("limits: it charges only when both allow it",
              brain.draws() == 0 and scene.status() == "SuspendedEVSE", scene.status())
        await daemon.command("limit", "house", "off")
        await scene.charges(16)
        await scene.told("Charging")
        brain.willing = False
        await scene.told("SuspendedEV")
        check("limits: a car that takes nothing is another matter", True)
        brain.willing = True
        await scene.told("Charging")
        check("limits: no pause ended anything", len(scene.starts()) == 1 and not scene.stops(),
              (scene.starts(), scene.stops()))
        brain.unplug()
        await scene.told("Available")
        stop = await scene.stopped()
        check("limits: unplugging does", stop["transactionId"] == FIRST, stop)
        scene.legal()


async def composite(scene: Scene) -> float:
    """What connector 1 may draw now, by its own words."""
    answer = await scene.ask(call.GetCompositeSchedule(
        connector_id=1, duration=60, charging_rate_unit="A"))
    return answer.charging_schedule["charging_schedule_period"][0]["limit"]


async def emulated_observe(folder: Path) -> None:
    """Where nothing is managed here, a Power Brain is a plain client of its backend."""
    observe = 'load-management = "observe"\n'
    async with Scene(folder, "observe", more=FIXED, manager=observe) as scene:
        brain = scene.brain
        await scene.ask(limit(9))
        brain.plugged = True
        await scene.charges(9)
        await asyncio.sleep(3)
        check("observe: the backend alone limits", brain.allowed() == 9, brain.allowed())
        await scene.ask(limit(0))
        await scene.pauses()
        check("observe: pauses", not scene.stops())
        await scene.ask(call.ClearChargingProfile())
        await scene.charges(16)
        answer = await scene.ask(call.RemoteStopTransaction(transaction_id=FIRST))
        await scene.told("Finishing")
        stop = await scene.stopped()
        check("observe: and ends", answer.status == "Accepted" and stop["transactionId"] == FIRST,
              (answer, stop))
        await until("nothing after it", lambda: not brain.values[8094])
        scene.legal()


EMULATED = [
    emulated_card,
    emulated_fixed_tag,
    emulated_refused_tag,
    emulated_remote,
    emulated_limits,
    emulated_observe,
]
