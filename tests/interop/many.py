"""Several connectors, of one wallbox or of two, behind one charge point at the backend."""

from __future__ import annotations

import json
from pathlib import Path

from backend import Backend
from between import EVSE, HOUSE, TAG, accepted, calls
from daemon import Daemon, until
from ocpp.v16 import call
from report import check
from wallbox import Wallbox, stamp


def start(connector: int, meter: int) -> call.StartTransaction:
    return call.StartTransaction(
        connector_id=connector, id_tag=TAG, meter_start=meter, timestamp=stamp()
    )


async def connectors(seat) -> list[str]:
    request = call.GetConfiguration(key=["NumberOfConnectors"])
    answer = await seat.call(request, suppress=False)
    return [row["value"] for row in answer.configuration_key]


async def gateway_whole(folder: Path) -> None:
    async with Backend(one=42) as backend:
        site = HOUSE
        for connector in (1, 2):
            site += EVSE.format(name=f"c{connector}", address="CB-1", connector=connector,
                                url=backend.url, client="one")
        async with Daemon(folder, site=site) as daemon:
            account = backend.accounts["one"]
            box = await Wallbox.connect(daemon, "CB-1")
            box.metering, box.settings["NumberOfConnectors"] = False, "2"
            await box.boot()
            await box.notify("Available", 2)
            await accepted(account)
            check("whole: two connectors", await connectors(account.seat) == ["2"])
            await until("both", lambda: (2, "Available") in account.statuses())
            answer = await box.call(start(2, 7), suppress=False)
            heard = account.all("StartTransaction")[0].payload
            check("whole: connector 2 is connector 2", heard["connectorId"] == 2, heard)
            check("whole: with the backend's id", answer.transaction_id == 42, answer)
            box.raw_answers["RemoteStartTransaction"] = '{"status":"Accepted"}'
            payload = f'{{"idTag":"{TAG}"}}'
            await account.seat.ask("RemoteStartTransaction", payload)
            got = calls(box.tap.received, "RemoteStartTransaction")
            check("whole: RemoteStart without a connector stays without", got == [payload], got)
            await box.close()


async def gateway_virtual(folder: Path) -> None:
    """Two wallboxes of one connector each."""
    async with Backend(one=42) as backend:
        site = HOUSE
        for number in (1, 2):
            site += EVSE.format(name=f"c{number}", address=f"CB-{number}", connector=1,
                                url=backend.url, client="one")
        async with Daemon(folder, site=site) as daemon:
            account = backend.accounts["one"]
            boxes = []
            for number in (1, 2):
                box = await Wallbox.connect(daemon, f"CB-{number}")
                box.metering = False
                await box.boot()
                boxes.append(box)
            await accepted(account)
            await until("both", lambda: (2, "Available") in account.statuses())
            check("virtual: two connectors", await connectors(account.seat) == ["2"])
            boots = account.all("BootNotification")
            check("virtual: one boot", len(boots) == 1, boots)
            for number, box in enumerate(boxes, 1):
                answer = await box.call(start(1, number), suppress=False)
                heard = account.all("StartTransaction")[-1].payload
                check(f"virtual: wallbox {number} is connector {number}",
                      heard["connectorId"] == number and heard["meterStart"] == number
                      and answer.transaction_id == 41 + number, (heard, answer))
                box.transaction = answer.transaction_id
            request = call.RemoteStopTransaction(transaction_id=43)
            answer = await account.seat.call(request, suppress=False)
            await until("its stop", lambda: account.all("StopTransaction"))
            stop = account.all("StopTransaction")[0].payload
            check("virtual: RemoteStop goes to the wallbox of the transaction",
                  answer.status == "Accepted" and stop["transactionId"] == 43
                  and not calls(boxes[0].tap.received, "RemoteStopTransaction"), (answer, stop))
            request = call.RemoteStartTransaction(id_tag=TAG, connector_id=2)
            answer = await account.seat.call(request, suppress=False)
            got = [json.loads(it) for box in boxes
                   for it in calls(box.tap.received, "RemoteStartTransaction")]
            check("virtual: RemoteStart on connector 2 goes to wallbox 2, as its connector 1",
                  answer.status == "Accepted" and got == [{"connectorId": 1, "idTag": TAG}]
                  and calls(boxes[1].tap.received, "RemoteStartTransaction"), got)
            await until("its start", lambda: len(account.all("StartTransaction")) == 3)
            answer = await account.seat.ask("UnlockConnector", '{"connectorId":3}')
            check("virtual: a connector that is not there has no lock",
                  answer[0] == "3" and json.loads(answer[2]) == {"status": "NotSupported"}, answer)
            for box in boxes:
                await box.close()
