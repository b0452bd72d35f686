"""The real daemon between a backend and wallboxes that are both made of the package `ocpp`."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path

from backend import Account, Backend
from between import (LOCAL_IDS, TAG, actions, arrive, calls, one_evse, profile, register,
                     signed_value, stop_with, values_of)
from daemon import Daemon, until
from frames import Tap
from ocpp.v16 import call
from pyocmf import OCMF, PyOCMFError
from report import check
from signed import Meter, digest, digests, tokens


async def gateway_session(folder: Path) -> None:
    async with Backend(one=7001) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await arrive(daemon, account)
        boots = account.all("BootNotification")
        said = calls(box.tap.sent, "BootNotification")[-1]
        check("gateway: the wallbox's own words boot at the backend, once",
              [boot.raw for boot in boots] == [said], boots)
        await until("status of the whole wallbox", lambda: (0, "Available") in account.statuses())
        request = call.ChangeConfiguration(key="MeterValueSampleInterval", value="1")
        answer = await account.seat.call(request, suppress=False)
        check("gateway: the backend asks for a sample each second", answer.status == "Accepted")

        request = await box.start_charging(TAG)
        check("gateway: the backend's verdict reaches the wallbox",
              box.authorized == box.verdict == "Accepted", (box.authorized, box.verdict))
        check("gateway: the backend's transaction id reaches the wallbox",
              box.transaction == 7001, box.transaction)
        heard = account.all("Authorize", "StartTransaction", "StatusNotification")
        names = [it.payload.get("status", it.action) for it in heard][-4:]
        check("gateway: Preparing, Authorize, StartTransaction and Charging in order",
              names == ["Preparing", "Authorize", "StartTransaction", "Charging"], names)
        check("gateway: id tag and register are the wallbox's",
              account.all("StartTransaction")[0].payload
              == {"connectorId": 1, "idTag": TAG, "meterStart": request.meter_start,
                  "timestamp": request.timestamp}, account.all("StartTransaction"))
        await until("a current for the car", lambda: box.allowed() == 16)
        await asyncio.sleep(1.2)  # nobody expects a periodic value before its time

        tried = tokens(Meter())
        sent = [values_of(7001, register(1100, "Sample.Periodic")), values_of(7001, register(1200))]
        sent.append(values_of(7001, signed_value(tried["OCMF"])))
        for payload in sent:
            await box.ask("MeterValues", payload)
        sent.append(await stop_with(box, signed_value(tried["OCMF"]),
                                    signed_value(tried["OCMF"], "Transaction.End")))
        await until("the stop", lambda: account.all("StopTransaction"))
        await until("the status after it", lambda: account.statuses()[-1] == (1, "Available"))
        billed = account.billed()
        check("gateway: start, meter values, signed meter values and stop once and in order",
              actions(billed) == ["StartTransaction", *["MeterValues"] * 3, "StopTransaction"],
              actions(billed))
        check("gateway: every byte of them is the wallbox's",
              [it.raw for it in billed[1:]] == sent, [it.raw for it in billed[1:]])
        await box.close()


async def gateway_signed(folder: Path) -> None:
    meter = Meter()
    async with Backend(one=1) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await arrive(daemon, account)
        await box.start_charging(TAG)
        tried = tokens(meter)
        for name, token in tried.items():
            value = signed_value(token)
            payload = values_of(box.transaction, value)
            await box.ask("MeterValues", payload)
        stop = await stop_with(box, *(signed_value(token) for token in tried.values()))
        await until("the stop", lambda: account.all("StopTransaction"))
        wire = [it.raw for it in account.all("MeterValues")]
        check("gateway: each signed message came once", len(wire) == len(tried), len(wire))
        begins = [digests(text) for text in wire]
        ends = digests(account.all("StopTransaction")[0].raw)
        assert ends and digests(stop) == [digest(token) for token in tried.values()]
        for at, (name, token) in enumerate(tried.items()):
            seen = [*begins[at], ends[at]]
            check(f"gateway: signed values, {name}: the same SHA-256 on both legs",
                  seen == [digest(token)] * 2, (digest(token), seen))

        values = account.all("StopTransaction")[0].payload["transactionData"][0]["sampledValue"]
        record = values[list(tried).index("OCMF")]["value"]
        check("gateway: pyocmf verifies what the backend received",
              OCMF.from_string(record).verify_signature(meter.public_key))
        long = values[list(tried).index("12 kB")]["value"]
        check("gateway: and the one of 12 kB",
              OCMF.from_string(long).verify_signature(meter.public_key))
        flipped = record.replace('"ID":"56213C05"', '"ID":"56213C06"')
        assert flipped != record
        try:
            verified = OCMF.from_string(flipped).verify_signature(meter.public_key)
        except PyOCMFError:
            verified = False
        check("gateway: not with one character flipped", not verified)
        await box.close()


ODD_UP = (r'{ "vendorId":"org.example.pay" ,"messageId":"Paid","extra":[1.50, 2e3 ],'
          r'"data":{"url":"https:\/\/example.org\/", "name":"Stra\u00dfe", "amount": 16.0 }}')
ODD_ANSWER = r'{"status":"Accepted", "data":{ "receipt":"\u20ac 16.00","n":1.0}}'
ODD_DOWN = (r'{"vendorId":"org.example.pay","data":{"tariff":[{"price":0.390, "cur":"\u20AC"}],'
            r' "path":"a\/b"} }')
OWN_UP = r'{"anything": [true,null, 1.0], "text":"a\/b"}'
OWN_ANSWER = r'{ "whatever":{"x":1.10}}'


async def gateway_data_transfer(folder: Path) -> None:
    Tap.excused |= {ODD_UP, ODD_ANSWER, ODD_DOWN, OWN_UP, OWN_ANSWER}
    async with Backend(one=1) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await arrive(daemon, account)
        seat = account.seat

        request = call.DataTransfer(vendor_id="org.example", message_id="m", data='{"a":"ß/\\n"}')
        answer = await box.call(request, suppress=False)
        sent = calls(box.tap.sent, "DataTransfer")[-1]
        check("gateway: DataTransfer from the wallbox, as it is",
              account.all("DataTransfer")[-1].raw == sent, account.all("DataTransfer"))
        check("gateway: and the backend's answer", answer.data == f"paid: {request.data}", answer)
        answer = await seat.call(request, suppress=False)
        sent = calls(seat.tap.sent, "DataTransfer")[-1]
        check("gateway: DataTransfer from the backend, as it is",
              calls(box.tap.received, "DataTransfer") == [sent], box.tap.received[-1])
        check("gateway: and the wallbox's answer", answer.data == f"heard: {request.data}", answer)

        seat.raw_answers["DataTransfer"] = box.raw_answers["DataTransfer"] = ODD_ANSWER
        answer = await box.ask("DataTransfer", ODD_UP)
        check("gateway: an object in the data of the wallbox, every byte",
              account.all("DataTransfer")[-1].raw == ODD_UP, account.all("DataTransfer")[-1])
        check("gateway: and every byte of the backend's answer", answer[::2] == ["3", ODD_ANSWER], answer)
        answer = await seat.ask("DataTransfer", ODD_DOWN)
        check("gateway: an object in the data of the backend, every byte",
              calls(box.tap.received, "DataTransfer")[-1] == ODD_DOWN, box.tap.received[-1])
        check("gateway: and every byte of the wallbox's answer", answer[::2] == ["3", ODD_ANSWER], answer)

        seat.raw_answers["VendorsOwn"] = box.raw_answers["VendorsOwn"] = OWN_ANSWER
        answer = await box.ask("VendorsOwn", OWN_UP)
        check("gateway: an action nobody knows goes up, and its answer down, every byte",
              calls(seat.tap.received, "VendorsOwn") == [OWN_UP]
              and answer[::2] == ["3", OWN_ANSWER], answer)
        answer = await seat.ask("VendorsOwn", OWN_UP)
        check("gateway: and the other way round",
              calls(box.tap.received, "VendorsOwn") == [OWN_UP]
              and answer[::2] == ["3", OWN_ANSWER], answer)

        await backend.stop()
        answer = await box.ask("DataTransfer", ODD_UP)
        check("gateway: without a backend DataTransfer is rejected at once",
              answer[0] == "3" and json.loads(answer[2]) == {"status": "Rejected"}, answer)
        await box.close()


async def gateway_remote(folder: Path) -> None:
    async with Backend(one=501) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await arrive(daemon, account)
        box.metering = True
        early = len(box.limits)
        request = call.RemoteStartTransaction(
            id_tag=TAG, connector_id=1, charging_profile=profile(8, "TxProfile")
        )
        answer = await account.seat.call(request, suppress=False)
        check("gateway: RemoteStart is accepted by the wallbox", answer.status == "Accepted", answer)
        got = [json.loads(payload) for payload in calls(box.tap.received, "RemoteStartTransaction")]
        check("gateway: RemoteStart reaches the wallbox without the profile",
              got == [{"connectorId": 1, "idTag": TAG}], got)
        await until("a transaction", lambda: box.transaction)
        check("gateway: a remote start has the backend's id", box.transaction == 501, box.transaction)
        await until("the limit of the profile", lambda: box.allowed() == 8)
        await asyncio.sleep(3)
        check("gateway: the profile of the remote start limits its transaction to 8 A",
              box.allowed() == 8 and max(box.limits[early:]) == 8, box.limits)

        answer = await account.seat.call(
            call.RemoteStopTransaction(transaction_id=999), suppress=False
        )
        check("gateway: RemoteStop of an unknown id is rejected", answer.status == "Rejected", answer)
        answer = await account.seat.call(
            call.RemoteStopTransaction(transaction_id=501), suppress=False
        )
        check("gateway: RemoteStop with the backend's id is accepted",
              answer.status == "Accepted", answer)
        await until("the stop", lambda: account.all("StopTransaction"))
        stop = account.all("StopTransaction")[0].payload
        check("gateway: the stop has the backend's id and the reason Remote",
              stop["transactionId"] == 501 and stop.get("reason") == "Remote", stop)

        await until("nothing without a transaction", lambda: box.allowed() == 0)
        await box.start_charging(TAG)
        await until("the local limit", lambda: box.allowed() == 16)
        check("gateway: the profile of a remote start ends with its transaction", True)
        await box.close()


async def composite(account: Account) -> list[tuple]:
    """What the backend is told that connector 1 may draw, from when on."""
    request = call.GetCompositeSchedule(connector_id=1, duration=60, charging_rate_unit="A")
    answer = await account.seat.call(request, suppress=False)
    periods = (answer.charging_schedule or {}).get("charging_schedule_period", [])
    return [(period["start_period"], period["limit"]) for period in periods]


async def gateway_profiles(folder: Path) -> None:
    async with Backend(one=1) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await arrive(daemon, account)
        seat, box.metering = account.seat, True

        async def put(limit: float) -> str:
            request = call.SetChargingProfile(
                connector_id=1, cs_charging_profiles=profile(limit)
            )
            return (await seat.call(request, suppress=False)).status

        check("gateway: SetChargingProfile 10 A is accepted", await put(10) == "Accepted")
        await asyncio.sleep(1.1 - time.time() % 1)  # all that follows is in one second
        early = len(box.limits)
        await box.start_charging(TAG)
        await until("the backend's limit", lambda: box.allowed() == 10)
        said = await composite(account)
        check("gateway: in the second of the start GetCompositeSchedule says 10 A",
              said == [(0, 10)], said)
        await asyncio.sleep(1.5)
        check("gateway: the wallbox is limited to 10 A from the start",
              box.allowed() == max(box.limits[early:]) == 10, box.limits)
        said = await composite(account)
        check("gateway: GetCompositeSchedule says 10 A", said == [(0, 10)], said)
        reason = (await daemon.evse("garage"))["reason"]
        check("gateway: the status names the backend as the reason", "backend" in reason, reason)

        await daemon.command("limit", "house", str(7 * 230 * 3))
        await until("the lower limit", lambda: box.allowed() == 7)
        said = await composite(account)
        check("gateway: a local limit of 7 A is lower than the backend's: it holds, and is told",
              said == [(0, 7)], said)
        await daemon.command("limit", "house", "off")
        await until("the backend's limit again", lambda: box.allowed() == 10)
        check("gateway: 5 A is less than a car takes: accepted", await put(5) == "Accepted")
        await until("a pause", lambda: box.allowed() == 0)
        said = await composite(account)
        check("gateway: the wallbox pauses, the composite schedule says 5 A", said == [(0, 5)], said)

        check("gateway: 32 A is accepted", await put(32) == "Accepted")
        await until("the local limit", lambda: box.allowed() == 16)
        await put(10)
        await until("the backend's limit", lambda: box.allowed() == 10)
        answer = await seat.call(call.ClearChargingProfile(), suppress=False)
        check("gateway: ClearChargingProfile is accepted", answer.status == "Accepted", answer)
        await until("the local limit again", lambda: box.allowed() == 16)
        check("gateway: then the local limit holds again", True)
        said = await composite(account)
        check("gateway: GetCompositeSchedule says 16 A, the local limit", said == [(0, 16)], said)
        answer = await seat.call(call.ClearChargingProfile(), suppress=False)
        check("gateway: a second ClearChargingProfile clears nothing: Unknown",
              answer.status == "Unknown", answer)
        await asyncio.sleep(2)
        asked = [json.loads(it)["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"]
                 for it in calls(box.tap.received, "SetChargingProfile")]
        limits = [period["limit"] for periods in asked for period in periods]
        check("gateway: the wallbox was never told anything but 0 or 6 to 16 A",
              all(limit == 0 or 6 <= limit <= 16 for limit in limits), limits)
        clears = calls(box.tap.received, "ClearChargingProfile")
        check("gateway: no ClearChargingProfile of the backend reaches the wallbox",
              "{}" not in clears and box.allowed() == 16, clears)
        unfit = call.SetChargingProfile(connector_id=0,
                                        cs_charging_profiles=profile(8, "TxProfile", 9))
        answer = await seat.call(unfit, suppress=False)
        check("gateway: a TxProfile on connector 0 is rejected", answer.status == "Rejected", answer)
        await box.close()


async def gateway_keys(folder: Path) -> None:
    async with Backend(one=1) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await arrive(daemon, account)
        box.settings |= {"LightIntensity": "50", "BackendURL": "ws://here/"}
        seat = account.seat

        async def read(*keys: str) -> tuple[dict, list]:
            answer = await seat.call(call.GetConfiguration(key=list(keys)), suppress=False)
            rows = answer.configuration_key or []
            return {row["key"]: row.get("value") for row in rows}, answer.unknown_key or []

        async def write(key: str, value: str) -> str:
            request = call.ChangeConfiguration(key=key, value=value)
            return (await seat.call(request, suppress=False)).status

        known, unknown = await read("HeartbeatInterval", "LightIntensity", "NoSuchKey",
                                    "NumberOfConnectors")
        check("gateway: GetConfiguration mixes our keys with the wallbox's",
              known == {"HeartbeatInterval": "300", "LightIntensity": "50",
                        "NumberOfConnectors": "1"} and unknown == ["NoSuchKey"], (known, unknown))
        everything, _ = await read()
        check("gateway: GetConfiguration of everything has both, and no password",
              {"HeartbeatInterval", "LightIntensity", "MeterValueSampleInterval"} <= set(everything)
              and "AuthorizationKey" not in everything, everything)
        check("gateway: the profiles that the gateway adds are in SupportedFeatureProfiles",
              {"Core", "SmartCharging"} <= set(everything["SupportedFeatureProfiles"].split(",")),
              everything["SupportedFeatureProfiles"])

        check("gateway: HeartbeatInterval is ours: accepted",
              await write("HeartbeatInterval", "2") == "Accepted")
        known, _ = await read("HeartbeatInterval")
        check("gateway: the backend reads it, and the wallbox keeps its own",
              known == {"HeartbeatInterval": "2"} and box.settings["HeartbeatInterval"] == "300",
              (known, box.settings["HeartbeatInterval"]))
        check("gateway: a key of the backend's address is rejected",
              await write("BackendURL", "ws://there/") == "Rejected")
        changed = calls(box.tap.received, "ChangeConfiguration")
        check("gateway: and never reaches the wallbox",
              box.settings["BackendURL"] == "ws://here/" and "BackendURL" not in str(changed))
        check("gateway: a key that is the wallbox's is relayed",
              await write("LightIntensity", "80") == "Accepted"
              and box.settings["LightIntensity"] == "80")
        check("gateway: a key that nobody knows gets the wallbox's answer",
              await write("NoSuchKey", "1") == "NotSupported"
              and "NoSuchKey" in str(calls(box.tap.received, "ChangeConfiguration")))

        check("gateway: MeterValueSampleInterval 900 is accepted",
              await write("MeterValueSampleInterval", "900") == "Accepted")
        known, _ = await read("MeterValueSampleInterval")
        check("gateway: the backend reads 900", known == {"MeterValueSampleInterval": "900"}, known)
        box.metering = True
        await box.start_charging(TAG)
        await until("a current", lambda: box.allowed() == 16)
        await asyncio.sleep(5)
        check("gateway: the wallbox samples at least every 10 s",
              0 < int(box.settings["MeterValueSampleInterval"]) <= 10, box.settings)
        samples = len(calls(box.tap.sent, "MeterValues"))
        relayed = len(account.all("MeterValues"))
        check("gateway: of a sample each second the backend gets one in 900 s",
              samples >= 4 and relayed <= 1, (samples, relayed))
        await box.ask("MeterValues", values_of(box.transaction, signed_value('"OCMF|{}|{}"')))
        await until("a signed one", lambda: len(account.all("MeterValues")) > relayed)
        check("gateway: signed values are not thinned", True)
        check("gateway: MeterValueSampleInterval 2 is accepted",
              await write("MeterValueSampleInterval", "2") == "Accepted")
        before, samples = len(account.all("MeterValues")), len(calls(box.tap.sent, "MeterValues"))
        await asyncio.sleep(8)
        relayed = len(account.all("MeterValues")) - before
        samples = len(calls(box.tap.sent, "MeterValues")) - samples
        check("gateway: then it gets one in 2 s", samples >= 7 and 3 <= relayed <= 5,
              (samples, relayed))
        beats = len(account.all("Heartbeat"))
        check("gateway: a new HeartbeatInterval takes effect at once", 3 <= beats <= 10,
              f"{beats} heartbeats in more than 13 s, at one in 2 s")
        await box.close()


async def gateway_away(folder: Path) -> None:
    async with Backend(one=42) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await arrive(daemon, account)
        await box.call(call.Authorize(id_tag=TAG), suppress=False)
        await backend.stop()
        sent = []

        async def session(killed: bool) -> int:
            await box.start_charging(TAG)
            number = box.transaction
            sent.append(calls(box.tap.sent, "StartTransaction")[-1])
            for at, value in enumerate([register(1100), signed_value(rf'"OCMF|{number}\/|"')]):
                sent.append(values_of(number, value))
                await box.ask("MeterValues", sent[-1])
                if killed and at == 0:
                    await again()
                    # As if the answers had been lost with the daemon.
                    answer = await box.ask("StartTransaction", sent[-2])
                    check("gateway: kill -9: the start sent again has the same id",
                          json.loads(answer[2])["transactionId"] == number, answer)
                    await box.ask("MeterValues", sent[-1])
            sent.append(await stop_with(box, register(1300, "Transaction.End")))
            return number

        async def again() -> None:
            nonlocal box
            daemon.kill()
            await daemon.start()
            box = await box.resume(daemon)

        ids = [await session(killed=False)]
        check("gateway: without a backend a known tag charges with an id of ours",
              box.authorized == box.verdict == "Accepted" and ids[0] >= LOCAL_IDS,
              (box.authorized, box.verdict, ids))
        answer = await box.call(call.Authorize(id_tag="STRANGER"), suppress=False)
        check("gateway: without a backend an unknown tag is refused",
              answer.id_tag_info["status"] != "Accepted", answer)
        ids.append(await session(killed=True))
        check("gateway: nothing reaches a backend that is away", not account.billed())

        async def queued():
            return (await daemon.evse("garage"))["gateway"]["queued"]

        waiting = await queued()
        await backend.start()
        await until("both stops", lambda: len(account.all("StopTransaction")) == 2, 40)
        await asyncio.sleep(1)
        billed = account.billed()
        one = ["StartTransaction", "MeterValues", "MeterValues", "StopTransaction"]
        check("gateway: the status told how much waits", waiting == len(billed), waiting)
        repeats = [it for at, it in enumerate(billed) if it in billed[:at]]
        check("gateway: what is sent again across a kill -9 arrives once", not repeats, repeats)
        billed = [it for at, it in enumerate(billed) if it not in billed[:at]]
        check("gateway: both sessions arrive later, in order, across a kill -9",
              actions(billed) == one * 2, actions(billed))
        theirs = [re.sub(r'("transactionId": ?)\d+', rf"\g<1>{42 + at // 4}", text)
                  for at, text in enumerate(sent)]
        check("gateway: with the backend's ids, and else every byte is the wallbox's",
              [it.raw for it in billed] == theirs, [it.raw for it in billed])
        await until("nothing waits", lambda: empty(queued))
        await box.close()


async def empty(queued) -> bool:
    return await queued() == 0


async def gateway_ids(folder: Path) -> None:
    """The backend comes back while a transaction runs that began without it."""
    async with Backend(one=42) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await arrive(daemon, account)
        await box.call(call.Authorize(id_tag=TAG), suppress=False)
        await backend.stop()
        await box.start_charging(TAG)
        number = box.transaction
        await backend.start()
        await until("the start", lambda: account.all("StartTransaction"), 40)
        await until("the seat", lambda: account.seat)
        # Its answer is on the wire; a command that follows must not overtake it.
        answer = await account.seat.call(
            call.RemoteStopTransaction(transaction_id=42), suppress=False
        )
        got = calls(box.tap.received, "RemoteStopTransaction")
        check("gateway: RemoteStop with the backend's id reaches the wallbox with its own",
              answer.status == "Accepted" and [json.loads(it) for it in got]
              == [{"transactionId": number}], (answer, got))
        await until("the stop", lambda: account.all("StopTransaction"))
        stop = account.all("StopTransaction")[0].payload
        check("gateway: the stop of it has the backend's id", stop["transactionId"] == 42, stop)
        boots = len(account.all("BootNotification"))
        check("gateway: no BootNotification while a transaction runs", boots == 1, boots)
        await box.close()


async def gateway_late_refusal(folder: Path) -> None:
    async with Backend(one=42) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await arrive(daemon, account)
        await box.call(call.Authorize(id_tag=TAG), suppress=False)
        await backend.stop()
        await box.start_charging(TAG)
        number = box.transaction
        check("gateway: a tag of the cache charges without the backend",
              box.verdict == "Accepted", box.verdict)
        account.start_status = "Invalid"
        await backend.start()
        await until("the stop", lambda: account.all("StopTransaction"), 40)
        got = [json.loads(it) for it in calls(box.tap.received, "RemoteStopTransaction")]
        check("gateway: a late refusal ends the transaction at the wallbox",
              got == [{"transactionId": number}], got)
        stop = account.all("StopTransaction")[0].payload
        check("gateway: its stop says DeAuthorized, with the backend's id",
              stop.get("reason") == "DeAuthorized" and stop["transactionId"] == 42, stop)
        wire = json.loads(calls(box.tap.sent, "StopTransaction")[-1])
        check("gateway: and else what the wallbox said",
              {**wire, "reason": "DeAuthorized", "transactionId": 42} == stop, (wire, stop))
        account.start_status = "Accepted"
        await backend.stop()
        answer = await box.call(call.Authorize(id_tag=TAG), suppress=False)
        check("gateway: the refused tag is remembered", answer.id_tag_info["status"] == "Invalid",
              answer)
        await box.close()


GATEWAY = [
    gateway_session,
    gateway_signed,
    gateway_data_transfer,
    gateway_remote,
    gateway_profiles,
    gateway_keys,
    gateway_away,
    gateway_ids,
    gateway_late_refusal,
]
