"""The gateway between a wallbox and a backend that makes trouble, or wants something unusual."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from backend import Backend
from between import (LOCAL_IDS, TAG, accepted, actions, arrive, calls, one_evse, register, stop_with,
                     values_of)
from daemon import Daemon, until
from frames import Tap, parts
from ocpp.v16 import call
from report import check
from wallbox import Wallbox, stamp

VERDICT = (r'"idTagInfo":{"expiryDate":"2036-12-31T23:59:59.000+01:00", "status":"Accepted",'
           r'"parentIdTag":"F\u00fcr"}')


def start_with(meter: int) -> str:
    return (f'{{"connectorId":1,"idTag":"{TAG}","meterStart":{meter},'
            f'"timestamp":"{stamp()}"}}')


async def gateway_answers(folder: Path) -> None:
    """What a backend may well answer."""
    async with Backend(one=42) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await arrive(daemon, account)
        seat = account.seat
        seat.raw_answers["Authorize"] = f"{{ {VERDICT}}}"
        answer = await box.ask("Authorize", f'{{"idTag":"{TAG}"}}')
        check("answers: every byte of a verdict", answer[2] == f"{{ {VERDICT}}}", answer)
        for count, number in enumerate([0, -1, 2**63 - 1, 5, 5]):
            seat.raw_answers["StartTransaction"] = f'{{{VERDICT}, "transactionId": {number}}}'
            answer = await box.ask("StartTransaction", start_with(count))
            box.transaction = mine = json.loads(answer[2])["transactionId"]
            check(f"answers: for id {number} the wallbox gets one that it can store",
                  0 < mine < 2**31, answer)
            check(f"answers: with id {number} every other byte stays",
                  answer[2] == f'{{{VERDICT}, "transactionId": {mine}}}', answer)
            await stop_with(box, register(4711, "Transaction.End"))
            await until("the stop", lambda: len(account.all("StopTransaction")) == count + 1)
            stop = account.all("StopTransaction")[-1].payload
            check(f"answers: the stop of id {number} has it", stop["transactionId"] == number, stop)
        await box.close()


async def gateway_slow(folder: Path) -> None:
    """A backend that answers, but not in time."""
    async with Backend(one=42) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await arrive(daemon, account)
        box._response_timeout = 20
        await box.call(call.Authorize(id_tag=TAG), suppress=False)
        account.delays["Authorize"] = 13
        asked = time.monotonic()
        answer = await box.call(call.Authorize(id_tag=TAG), suppress=False)
        waited = time.monotonic() - asked
        check("slow: after 10 s a known tag is accepted without the backend",
              answer.id_tag_info["status"] == "Accepted" and 9 < waited < 12, (answer, waited))
        await asyncio.sleep(4)
        account.delays = {"StartTransaction": 19}
        asked = time.monotonic()
        answer = json.loads((await box.ask("StartTransaction", start_with(7)))[2])
        waited = time.monotonic() - asked
        box.transaction = answer["transactionId"]
        check("slow: after 15 s a start is answered without the backend",
              answer["idTagInfo"]["status"] == "Accepted" and box.transaction >= LOCAL_IDS
              and waited < 17, (answer, waited))
        await box.ask("MeterValues", values_of(box.transaction, register(8)))
        await stop_with(box, register(4711, "Transaction.End"))
        await until("the stop", lambda: account.all("StopTransaction"), 40)
        billed = [(it.action, it.payload.get("transactionId")) for it in account.billed()]
        check("slow: the late answer counts: one start, and its id in what follows",
              billed == [("StartTransaction", None), ("MeterValues", 42), ("StopTransaction", 42)],
              billed)
        await box.close()


async def gateway_killed(folder: Path) -> None:
    """kill -9 while the backend thinks about a start."""
    async with Backend(one=42) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await arrive(daemon, account)
        account.delays["StartTransaction"] = 60
        payload = start_with(7)
        asking = asyncio.create_task(box.ask("StartTransaction", payload))
        await until("the start", lambda: account.all("StartTransaction"))
        asking.cancel()
        daemon.kill()
        account.delays = {}
        await daemon.start()
        box = await box.resume(daemon)
        answer = await box.ask("StartTransaction", payload)
        box.transaction = json.loads(answer[2])["transactionId"]
        await stop_with(box, register(4711, "Transaction.End"))
        await until("the stop", lambda: account.all("StopTransaction"), 40)
        await asyncio.sleep(1)
        *starts, stop = account.billed()
        check("killed: the start that was not answered is repeated once, byte by byte",
              [it.raw for it in starts] == [payload] * 2, starts)
        check("killed: the stop has the id of its answer", stop.payload["transactionId"] == 42, stop)
        await box.close()


async def gateway_refusing(folder: Path) -> None:
    """A backend that answers a message with a CALLERROR, again and again."""
    async with Backend(one=42) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await arrive(daemon, account)
        for key, value in [("TransactionMessageAttempts", "2"),
                           ("TransactionMessageRetryInterval", "1")]:
            await account.seat.call(call.ChangeConfiguration(key=key, value=value), suppress=False)
        await box.start_charging(TAG)
        poison = values_of(box.transaction, register(1100, "Transaction.Begin"))
        poison = poison.replace('"unit":"Wh"', '"unit":"Elephants"')
        Tap.excused.add(poison)
        await box.ask("MeterValues", poison)
        await stop_with(box, register(4711, "Transaction.End"))
        await until("the stop", lambda: account.all("StopTransaction"), 40)
        billed = actions(account.billed())
        check("refusing: two attempts, then the next message goes",
              billed == ["StartTransaction", "MeterValues", "MeterValues", "StopTransaction"], billed)
        raw = [it.raw for it in account.all("MeterValues")]
        check("refusing: both are the wallbox's words", raw == [poison] * 2, raw)
        log = (folder / "log").read_text()
        check("refusing: the log has an error about it", "refuses a message for good" in log)
        await box.close()


NOBODYS = '{"nobodys":"own"}'


async def gateway_errors(folder: Path) -> None:
    async with Backend(one=42) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await arrive(daemon, account)
        Tap.excused.add(NOBODYS)
        for name, here, there in [("wallbox", box, account.seat), ("backend", account.seat, box)]:
            answer = await here.ask("NobodysOwn", NOBODYS)
            said = [it for it in map(parts, there.tap.sent) if it[0] == "4"]
            check(f"errors: the {name} gets the words of who refuses",
                  len(said) == 1 and answer[2:] == said[0][2:], (answer, said))
        for number in ["4711", '"4711"', json.dumps("ü" * 36), '"a\\/b"']:
            await account.seat.tap.send(f'[2,{number},"GetLocalListVersion",{{}}]')
            await box.tap.send(f'[2,{number},"Heartbeat",{{}}]')
            for end in (account.seat, box):
                await until("an answer", lambda: any(
                    parts(it)[:2] == ["3", number] for it in end.tap.received), 5)
        check("errors: message ids come back as they were", True)
        await box.close()


async def gateway_denied(folder: Path) -> None:
    """A backend that says no while it is there, to a wallbox that does not care."""
    async with Backend(one=42) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await arrive(daemon, account)
        account.start_status = "Blocked"
        await box.start_charging("BAD1")
        check("denied: the backend's no reaches the wallbox",
              box.authorized == box.verdict == "Blocked", (box.authorized, box.verdict))
        await asyncio.sleep(3)
        check("denied: nobody charges without a yes", box.allowed() == 0, box.limits)
        await box.close()


async def deny_late(folder: Path, who: str, by_backend: bool) -> None:
    """A late refusal, with StopTransactionOnInvalidId = false at the wallbox."""
    key = "StopTransactionOnInvalidId"
    async with Backend(one=42) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await Wallbox.connect(daemon, "CB-1")
        box.metering, box.settings[key] = False, str(by_backend).lower()
        await box.boot()
        await accepted(account)
        if by_backend:
            request = call.ChangeConfiguration(key=key, value="false")
            await account.seat.call(request, suppress=False)
        assert box.settings[key] == "false"
        await box.call(call.Authorize(id_tag=TAG), suppress=False)
        await until("an idle wallbox is limited", lambda: box.limits)
        await asyncio.sleep(2)
        await backend.stop()
        await box.start_charging(TAG)
        await until("a current", lambda: box.allowed() == 16)
        account.start_status = "Invalid"
        await backend.start()
        await until("the start", lambda: account.all("StartTransaction"), 40)
        await until("no current", lambda: box.allowed() == 0)
        await asyncio.sleep(2)
        stops = calls(box.tap.received, "RemoteStopTransaction")
        check(f"denied late, as {who} had set: no current, and the transaction stays open",
              not stops and not account.all("StopTransaction"), stops)
        if box.transaction:
            await box.stop_charging("EVDisconnected")
            await until("the stop", lambda: account.all("StopTransaction"))
            stop = account.all("StopTransaction")[0].payload
            check(f"denied late, as {who} had set: its stop says what the wallbox says",
                  (stop["transactionId"], stop["reason"]) == (42, "EVDisconnected"), stop)
        await box.close()


async def gateway_denied_late(folder: Path) -> None:
    await deny_late(folder, "the backend", by_backend=True)


async def gateway_denied_late_at_the_wallbox(folder: Path) -> None:
    await deny_late(folder, "the installer", by_backend=False)


async def gateway_pending(folder: Path) -> None:
    async with Backend(one=42) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        account.boot_status, account.boot_interval = "Pending", 3
        box = await Wallbox.connect(daemon, "CB-1")
        box.metering = False
        boot = await box.boot()
        check("pending: the wallbox never notices", boot.status == "Accepted", boot)
        await until("a boot", lambda: account.all("BootNotification"))
        answer = await account.seat.call(
            call.GetConfiguration(key=["NumberOfConnectors"]), suppress=False
        )
        check("pending: the backend may ask for keys",
              answer.configuration_key[0]["value"] == "1", answer)
        answer = await account.seat.call(call.RemoteStartTransaction(id_tag=TAG), suppress=False)
        check("pending: it may not start", answer.status == "Rejected", answer)
        answer = await box.call(call.Authorize(id_tag=TAG), suppress=False)
        check("pending: an unknown tag is refused", answer.id_tag_info["status"] != "Accepted",
              answer)
        early = set(actions(account.heard))
        check("pending: the backend hears nothing but BootNotification",
              early == {"BootNotification"}, early)
        account.boot_status, account.boot_interval = "Accepted", 300
        await accepted(account)
        check("pending: once accepted, the backend learns the status", True)
        await box.close()


async def relayed(seat, box: Wallbox, action: str, payload: str, said: str) -> bool:
    """Whether the wallbox hears these bytes, and the backend those."""
    box.raw_answers[action] = said
    answer = await seat.ask(action, payload)
    heard = calls(box.tap.received, action)
    return heard == [payload] and answer[::2] == ["3", said]


RELAYED = [
    ("UnlockConnector", '{ "connectorId": 1}', '{"status" :"UnlockFailed"}'),
    ("ChangeAvailability", '{"connectorId": 0, "type":"Inoperative"}', '{"status": "Scheduled"}'),
    ("ReserveNow", '{"connectorId":1, "expiryDate":"2036-01-01T00:00:00Z", '
                   rf'"idTag":"{TAG}","reservationId": 7}}', '{"status": "Occupied"}'),
    ("CancelReservation", '{"reservationId": 7}', '{"status": "Rejected"}'),
    ("GetDiagnostics", r'{"location": "ftp:\/\/example.org"}', '{"fileName": "x.log"}'),
    ("Reset", '{"type": "Soft"}', '{"status": "Rejected"}'),
]


async def gateway_commands(folder: Path) -> None:
    async with Backend(one=42) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await arrive(daemon, account)
        seat = account.seat
        for action, payload, said in RELAYED:
            check(f"commands: {action} and its answer, every byte",
                  await relayed(seat, box, action, payload, said),
                  (box.tap.received[-1], seat.tap.received[-1]))
        answer = await seat.ask("UpdateFirmware",
                                '{"location":"ftp://x","retrieveDate":"2036-01-01T00:00:00Z"}')
        check("commands: UpdateFirmware is not for backends here",
              answer[0] == "4" and "UpdateFirmware" not in str(box.tap.received), answer)

        for message in ["BootNotification", "Heartbeat", "StatusNotification", "MeterValues"]:
            before = len(account.all(message))
            request = call.TriggerMessage(requested_message=message, connector_id=1)
            answer = await seat.call(request, suppress=False)
            check(f"commands: TriggerMessage {message} is accepted", answer.status == "Accepted")
            await until(f"{message} on demand", lambda: len(account.all(message)) > before)

        request = call.SendLocalList(list_version=3, update_type="Full", local_authorization_list=[
            {"id_tag": "LISTED", "id_tag_info": {"status": "Accepted"}},
            {"id_tag": "BADLY", "id_tag_info": {"status": "Blocked"}},
        ])
        answer = await seat.call(request, suppress=False)
        check("commands: SendLocalList is accepted", answer.status == "Accepted", answer)
        answer = await seat.call(call.GetLocalListVersion(), suppress=False)
        check("commands: the local list has its version", answer.list_version == 3, answer)
        daemon.kill()
        await backend.stop()
        await daemon.start()
        box = await box.resume(daemon)
        verdicts = [(await box.call(call.Authorize(id_tag=tag))).id_tag_info["status"]
                    for tag in ["LISTED", "BADLY", "STRANGER"]]
        check("commands: without the backend, after a kill -9, the list decides",
              verdicts == ["Accepted", "Blocked", "Invalid"], verdicts)
        await box.close()


TROUBLE = [
    gateway_answers,
    gateway_slow,
    gateway_killed,
    gateway_refusing,
    gateway_errors,
    gateway_denied,
    gateway_denied_late,
    gateway_denied_late_at_the_wallbox,
    gateway_pending,
    gateway_commands,
]
