"""One wallbox with two connectors, each of which is a charge point at a backend of its own."""

from __future__ import annotations

import json
from pathlib import Path

from backend import Backend
from between import EVSE, HOUSE, accepted, actions, calls, profile, register, values_of
from daemon import Daemon, until
from ocpp.v16 import call
from report import check
from wallbox import Wallbox, stamp


class TwoConnectors:
    """What is said of, and to, the connectors of one wallbox."""

    def __init__(self, box: Wallbox):
        self.box = box
        box.settings["NumberOfConnectors"] = "2"

    async def start(self, connector: int, tag: str, meter: int) -> int:
        await self.box.notify("Preparing", connector)
        await self.box.call(call.Authorize(id_tag=tag), suppress=False)
        request = call.StartTransaction(
            connector_id=connector, id_tag=tag, meter_start=meter, timestamp=stamp()
        )
        answer = await self.box.call(request, suppress=False)
        await self.box.notify("Charging", connector)
        return answer.transaction_id

    async def stop(self, number: int, meter: int, reason: str) -> None:
        request = call.StopTransaction(
            transaction_id=number, meter_stop=meter, timestamp=stamp(), reason=reason
        )
        await self.box.call(request, suppress=False)

    def limit(self, connector: int) -> float | None:
        stored = [it for (place, _, _), it in self.box.profiles.items() if place == connector]
        top = max(stored, key=lambda it: it["stack_level"], default=None)
        return top and top["charging_schedule"]["charging_schedule_period"][0]["limit"]


async def gateway_dual(folder: Path) -> None:
    async with Backend(left=77) as one, Backend(right=77) as two:
        site = HOUSE + EVSE.format(name="left", address="CB-1", connector=1, url=one.url,
                                   client="left")
        site += EVSE.format(name="right", address="CB-1", connector=2, url=two.url, client="right")
        async with Daemon(folder, site=site) as daemon:
            left, right = one.accounts["left"], two.accounts["right"]
            box = await Wallbox.connect(daemon, "CB-1")
            box.metering = False
            # Commands are heard, and answered, but carried out by hand here.
            accepts = '{"status":"Accepted"}'
            box.raw_answers |= {"RemoteStartTransaction": accepts, "RemoteStopTransaction": accepts}
            connectors = TwoConnectors(box)
            await box.call(call.BootNotification(
                charge_point_vendor="Interop", charge_point_model="Two",
                charge_point_serial_number="SN1",
            ))
            for connector in (0, 1, 2):
                await box.notify("Available", connector)
            await accepted(left)
            await accepted(right)
            serials = [account.all("BootNotification")[0].payload["chargePointSerialNumber"]
                       for account in (left, right)]
            check("dual: each backend sees a charge point with a serial number of its own",
                  serials[0] != serials[1] and all(it.startswith("SN1") for it in serials), serials)
            answer = await right.seat.call(
                call.GetConfiguration(key=["NumberOfConnectors"]), suppress=False
            )
            check("dual: which has one connector",
                  [row["value"] for row in answer.configuration_key] == ["1"], answer)

            seen = len(left.heard)
            second = await connectors.start(2, "04BBBBBBBB", 20)
            await until("its status", lambda: (1, "Charging") in right.statuses())
            start = right.all("StartTransaction")[0].payload
            check("dual: connector 2 is connector 1 at its backend",
                  start["connectorId"] == 1 and start["meterStart"] == 20, start)
            check("dual: its transaction is unknown to the other backend",
                  not [it for it in left.heard[seen:] if it.action != "Heartbeat"],
                  left.heard[seen:])
            first = await connectors.start(1, "04AAAAAAAA", 10)
            await until("its status", lambda: (1, "Charging") in left.statuses())
            check("dual: two backends give the same id, the wallbox gets two",
                  first != second and 77 in (first, second), (first, second))
            await box.ask("MeterValues", values_of(second, register(25), connector=2))
            await until("its values", lambda: right.all("MeterValues"))
            values = right.all("MeterValues")[0].payload
            check("dual: meter values with the backend's connector and id",
                  values["connectorId"] == 1 and values["transactionId"] == 77, values)

            answer = await left.seat.call(
                call.RemoteStopTransaction(transaction_id=77), suppress=False
            )
            got = [json.loads(it) for it in calls(box.tap.received, "RemoteStopTransaction")]
            check("dual: RemoteStop means the transaction of that backend",
                  answer.status == "Accepted" and got == [{"transactionId": first}], got)
            await connectors.stop(first, 15, "Remote")
            await connectors.stop(second, 29, "Local")
            for connector in (1, 2):
                await box.notify("Available", connector)
            await until("two stops", lambda: left.all("StopTransaction")
                        and right.all("StopTransaction"))
            stops = [[(it.payload["transactionId"], it.payload["meterStop"])
                      for it in account.all("StopTransaction")] for account in (left, right)]
            check("dual: each backend gets its stop", stops == [[(77, 15)], [(77, 29)]], stops)
            check("dual: and nothing else",
                  [actions(it.billed()) for it in (left, right)] == [
                      ["StartTransaction", "StopTransaction"],
                      ["StartTransaction", "MeterValues", "StopTransaction"]],
                  [actions(it.billed()) for it in (left, right)])

            request = call.RemoteStartTransaction(
                id_tag="04CCCCCCCC", connector_id=1, charging_profile=profile(8, "TxProfile")
            )
            answer = await right.seat.call(request, suppress=False)
            got = [json.loads(it) for it in calls(box.tap.received, "RemoteStartTransaction")]
            check("dual: RemoteStart goes to connector 2, without its profile",
                  answer.status == "Accepted"
                  and got == [{"connectorId": 2, "idTag": "04CCCCCCCC"}], got)
            third = await connectors.start(2, "04CCCCCCCC", 29)
            await until("the limit of the profile", lambda: connectors.limit(2) == 8)
            check("dual: its profile limits connector 2 to 8 A", connectors.limit(1) == 0,
                  connectors.limit(1))

            box.raw_answers["UnlockConnector"] = '{"status":"Unlocked"}'
            await right.seat.call(call.UnlockConnector(connector_id=1), suppress=False)
            got = calls(box.tap.received, "UnlockConnector")
            check("dual: UnlockConnector goes to connector 2", got == ['{"connectorId":2}'], got)
            request = call.TriggerMessage(requested_message="MeterValues")
            answer = await right.seat.call(request, suppress=False)
            got = json.loads(calls(box.tap.received, "TriggerMessage")[-1])
            check("dual: TriggerMessage without a connector goes to connector 2",
                  got == {"requestedMessage": "MeterValues", "connectorId": 2}, got)

            fourth = await connectors.start(1, "04AAAAAAAA", 15)
            boots = len(right.all("BootNotification"))
            answer = await right.seat.call(call.Reset(type="Soft"), suppress=False)
            await until("a boot", lambda: len(right.all("BootNotification")) > boots)
            got = [json.loads(it) for it in calls(box.tap.received, "RemoteStopTransaction")]
            check("dual: Reset of one charge point ends its transaction, and only that",
                  answer.status == "Accepted" and not calls(box.tap.received, "Reset")
                  and got == [{"transactionId": first}, {"transactionId": third}], (answer, got))
            await connectors.stop(third, 35, "Remote")
            await connectors.stop(fourth, 25, "Local")
            await until("their stops", lambda: len(left.all("StopTransaction")) == 2
                        and len(right.all("StopTransaction")) == 2)
            billed = [it.payload["meterStop"] for account in (left, right)
                      for it in account.all("StopTransaction")]
            check("dual: each backend has the stops of its own", billed == [15, 25, 29, 35], billed)
            boots = len(left.all("BootNotification"))
            check("dual: the other charge point did not boot", boots == 1, boots)
            await box.close()
