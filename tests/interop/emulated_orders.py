"""What a backend may ask of a Power Brain that it takes for an OCPP charge point."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

from between import TAG
from daemon import until
from ocpp.v16 import call
from report import check
from scene import FIRST, Scene

OTHER = "04FFEEDDCC"


def ahead(seconds: float) -> str:
    at = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def emulated_reset(folder: Path) -> None:
    async with Scene(folder, "reset") as scene:
        brain, account = scene.brain, scene.account
        for number, (kind, reason) in enumerate([("Soft", "SoftReset"), ("Hard", "HardReset")], 1):
            await scene.charge()
            seat, boots = account.seat, len(account.all("BootNotification"))
            answer = await scene.ask(call.Reset(type=kind))
            check(f"reset: {kind} is accepted", answer.status == "Accepted", answer)
            stop = await scene.stopped(number)
            check(f"reset: it ends the transaction with {reason}",
                  stop.get("reason") == reason and stop["transactionId"] == FIRST + number - 1, stop)
            await until("another boot",
                        lambda: len(account.all("BootNotification")) == boots + 1, 30)
            check("reset: on a new connection", account.seat is not seat)
            await until("no current", lambda: not brain.values[8094])
            await asyncio.sleep(3)
            check("reset: the daemon goes on, and nobody charges",
                  scene.daemon.process.poll() is None and brain.draws() == 0
                  and len(scene.starts()) == number, scene.starts())
            brain.unplug()
            await scene.told("Available", 20)
        await scene.charge()
        start = await scene.started(3)
        check("reset: the next car charges", len(scene.starts()) == 3, start)


async def emulated_availability(folder: Path) -> None:
    async with Scene(folder, "availability") as scene:
        brain = scene.brain

        async def change(kind: str, connector: int = 1) -> str:
            request = call.ChangeAvailability(connector_id=connector, type=kind)
            return (await scene.ask(request)).status

        check("availability: what it is already is accepted", await change("Operative") == "Accepted")
        await scene.charge()
        check("availability: a transaction is not ended by it",
              await change("Inoperative") == "Scheduled" and brain.draws() >= 6)
        await asyncio.sleep(3)
        check("availability: it goes on", not scene.stops() and brain.draws() >= 6)
        brain.unplug()
        await scene.told("Unavailable")
        stop = await scene.stopped()
        check("availability: after it nobody may charge", stop["transactionId"] == FIRST, stop)
        await asyncio.sleep(1)  # what was answered is on disk
        scene.daemon.kill()
        await scene.daemon.start()
        await until("it is back", lambda: scene.account.seat, 30)
        brain.plugged = True
        await asyncio.sleep(3)
        await scene.tap(TAG)
        await asyncio.sleep(3)
        check("availability: nor after a kill -9",
              scene.status() == "Unavailable" and len(scene.starts()) == 1 and not brain.values[8094],
              (scene.status(), scene.starts()))
        answer = await scene.ask(call.RemoteStartTransaction(id_tag=TAG, connector_id=1))
        check("availability: nor from afar", answer.status == "Rejected", answer)
        check("availability: back in service", await change("Operative") == "Accepted")
        await scene.told("Preparing")
        await scene.tap(TAG)
        await scene.charges()
        await asyncio.sleep(3)
        await scene.tap(TAG)
        await scene.told("Finishing")
        brain.unplug()
        await scene.told("Available")
        check("availability: the whole charge point", await change("Inoperative", 0) == "Accepted")
        await until("both", lambda: scene.status() == "Unavailable"
                    and (0, "Unavailable") in scene.account.statuses())
        check("availability: and again", await change("Operative", 0) == "Accepted")
        await scene.told("Available")


async def emulated_reservation(folder: Path) -> None:
    async with Scene(folder, "reservation") as scene:
        brain = scene.brain

        async def reserve(number: int, seconds: float = 600, connector: int = 1) -> str:
            request = call.ReserveNow(connector_id=connector, expiry_date=ahead(seconds),
                                      id_tag=OTHER, reservation_id=number)
            return (await scene.ask(request)).status

        check("reservation: accepted", await reserve(5) == "Accepted")
        await scene.told("Reserved")
        answer = await scene.ask(call.RemoteStartTransaction(id_tag=TAG, connector_id=1))
        check("reservation: not for others", answer.status == "Rejected", answer)
        brain.plugged = True
        await asyncio.sleep(2)
        await scene.tap(TAG)
        await asyncio.sleep(3)
        check("reservation: nor with a card", not scene.starts() and not brain.values[8094])
        await scene.tap(OTHER)
        await scene.charges()
        start = await scene.started()
        check("reservation: its card starts, with its number",
              start["idTag"] == OTHER and start.get("reservationId") == 5, start)
        check("reservation: an occupied one cannot be reserved", await reserve(6) == "Occupied")
        brain.unplug()
        await scene.told("Available")

        check("reservation: another", await reserve(7) == "Accepted")
        await scene.told("Reserved")
        status = (await scene.ask(call.CancelReservation(reservation_id=8))).status
        check("reservation: one that is not there cannot be cancelled", status == "Rejected", status)
        status = (await scene.ask(call.CancelReservation(reservation_id=7))).status
        check("reservation: cancelled", status == "Accepted", status)
        await scene.told("Available")
        check("reservation: a short one", await reserve(9, 4) == "Accepted")
        await scene.told("Reserved")
        await scene.told("Available", 10)
        check("reservation: one of the past", await reserve(10, -60) == "Rejected")
        check("reservation: any connector", await reserve(11, connector=0) == "Accepted")
        await asyncio.sleep(1)  # what was answered is on disk
        scene.daemon.kill()
        await scene.daemon.start()
        await until("it is back", lambda: scene.account.seat, 30)
        status = (await scene.ask(call.CancelReservation(reservation_id=11))).status
        check("reservation: it survives a kill -9", status == "Accepted", status)


async def emulated_keys(folder: Path) -> None:
    async with Scene(folder, "keys") as scene:
        everything = await scene.read()
        required = {"AuthorizeRemoteTxRequests", "ClockAlignedDataInterval", "ConnectionTimeOut",
                    "GetConfigurationMaxKeys", "HeartbeatInterval", "LocalAuthorizeOffline",
                    "LocalPreAuthorize", "MeterValuesAlignedData", "MeterValuesSampledData",
                    "MeterValueSampleInterval", "NumberOfConnectors", "ResetRetries",
                    "ConnectorPhaseRotation", "StopTransactionOnInvalidId", "StopTxnAlignedData",
                    "StopTxnSampledData", "SupportedFeatureProfiles", "TransactionMessageAttempts",
                    "TransactionMessageRetryInterval", "UnlockConnectorOnEVSideDisconnect",
                    "LocalAuthListEnabled", "LocalAuthListMaxLength", "SendLocalListMaxLength",
                    "ChargeProfileMaxStackLevel", "ChargingScheduleAllowedChargingRateUnit",
                    "ChargingScheduleMaxPeriods", "MaxChargingProfilesInstalled"}
        check("keys: all that OCPP requires, and no password",
              required <= set(everything) and "AuthorizationKey" not in everything,
              required - set(everything))
        answer = await scene.ask(call.GetConfiguration(key=["NoSuchKey", "numberofconnectors"]))
        check("keys: one that nobody knows, and one in other letters",
              answer.unknown_key == ["NoSuchKey"] and len(answer.configuration_key) == 1, answer)
        said = [await scene.write(key, value) for key, value in [
            ("ConnectionTimeOut", "45"), ("ConnectionTimeOut", "soon"), ("NumberOfConnectors", "2"),
            ("NoSuchKey", "1"), ("MeterValuesSampledData", "Voltage"), ("StopTxnSampledData", "")]]
        check("keys: what may be written", said == [
            "Accepted", "Rejected", "Rejected", "NotSupported", "Rejected", "Accepted"], said)
        await asyncio.sleep(1)  # what was answered is on disk
        scene.daemon.kill()
        await scene.daemon.start()
        await until("it is back", lambda: scene.account.seat, 30)
        known = await scene.read("ConnectionTimeOut")
        check("keys: they survive a kill -9", known == {"ConnectionTimeOut": "45"}, known)
        await judge_triggers(scene)
        await judge_the_rest(scene)


async def judge_triggers(scene: Scene) -> None:
    account = scene.account
    for message in ("BootNotification", "Heartbeat", "StatusNotification", "MeterValues",
                    "DiagnosticsStatusNotification", "FirmwareStatusNotification"):
        before = len(account.all(message))
        request = call.TriggerMessage(requested_message=message, connector_id=1)
        status = (await scene.ask(request)).status
        if status == "Accepted":
            await until(f"a {message}", lambda: len(account.all(message)) > before)
        check(f"keys: a trigger of {message} is answered as it is meant",
              status in ("Accepted", "NotImplemented")
              or (status == "Rejected" and message == "BootNotification"), status)
    triggered = [sample.get("context") for it in account.all("MeterValues")
                 for value in it.payload["meterValue"] for sample in value["sampledValue"]]
    check("keys: meter values come as triggered ones", set(triggered) == {"Trigger"}, triggered)


async def judge_the_rest(scene: Scene) -> None:
    seat = scene.account.seat
    answer = await seat.call(call.DataTransfer(vendor_id="org.example"), suppress=False)
    check("keys: DataTransfer of nobody we know", answer.status == "UnknownVendorId", answer)
    for action, payload in [("VendorsOwn", "{}"), ("UpdateFirmware", update()),
                            ("Reset", '{"type":"Warm"}'), ("ReserveNow", '{"connectorId":"1"}')]:
        answer = await seat.ask(action, payload)
        check(f"keys: {action} {payload[:20]} is answered with an error", answer[0] == "4", answer)
    answer = await seat.ask("GetDiagnostics", '{"location":"ftp://example.org/"}')
    check("keys: GetDiagnostics has no file to offer", answer[0] == "3" and json.loads(answer[2]) == {},
          answer)
    entries = [{"id_tag": "04LIST", "id_tag_info": {"status": "Accepted"}}]
    answer = await seat.call(call.SendLocalList(
        list_version=3, update_type="Full", local_authorization_list=entries), suppress=False)
    version = await seat.call(call.GetLocalListVersion(), suppress=False)
    check("keys: a local list is taken", answer.status == "Accepted" and version.list_version == 3,
          (answer, version))
    await scene.backend.stop()
    scene.brain.plugged = True
    await asyncio.sleep(2)
    await scene.tap("04LIST")
    await scene.charges()
    check("keys: who stands in it charges without the backend", True)
    await scene.backend.start()
    start = await scene.started()
    check("keys: which hears of it later", start["idTag"] == "04LIST", start)


def update() -> str:
    return f'{{"location":"ftp://example.org/","retrieveDate":"{ahead(1)}"}}'


ORDERS = [emulated_reset, emulated_availability, emulated_reservation, emulated_keys]
