"""Messages that are repeated, misnumbered or must wait, on their way through the gateway."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from backend import Backend
from between import TAG, actions, arrive, one_evse, register, stop_with, values_of
from daemon import Daemon, until
from frames import Tap
from ocpp.v16 import call
from report import check
from wallbox import stamp


def stop_of(number: int, meter: int) -> str:
    return f'{{"transactionId":{number},"meterStop":{meter},"timestamp":"{stamp()}"}}'


async def gateway_misnumbered(folder: Path) -> None:
    async with Backend(one=42) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await arrive(daemon, account)
        await box.start_charging(TAG)
        await box.ask("MeterValues", values_of(0, register(1100)))
        await until("its values", lambda: account.all("MeterValues"))
        values = account.all("MeterValues")[0].payload
        check("misnumbered: meter values with id 0 belong to the open transaction",
              values.get("transactionId") == 42, values)
        answer = await box.ask("StopTransaction", stop_of(-1, 2000))
        await until("the stop", lambda: account.all("StopTransaction"))
        stop = account.all("StopTransaction")[0].payload
        check("misnumbered: a stop with id -1, too", answer[0] == "3" and stop["transactionId"] == 42,
              (answer, stop))
        answer = await box.ask("StopTransaction", stop_of(987654, 3000))
        check("misnumbered: a stop of nobody's transaction is no error for the wallbox",
              answer[0] == "3", answer)
        await box.close()


async def gateway_repeated(folder: Path) -> None:
    async with Backend(one=42) as backend, Daemon(folder, site=one_evse(backend)) as daemon:
        account = backend.accounts["one"]
        box = await arrive(daemon, account)
        await box.start_charging(TAG)
        number, values = box.transaction, values_of(box.transaction, register(1100))
        for _ in range(2):
            await box.ask("MeterValues", values)
        stop = await stop_with(box, register(4711, "Transaction.End"))
        await box.ask("StopTransaction", stop)
        await until("the stop", lambda: account.all("StopTransaction"))
        daemon.kill()
        await daemon.start()
        box = await box.resume(daemon)
        answer = await box.ask("StopTransaction", stop)
        check("repeated: the wallbox gets an answer", answer[0] == "3", answer)
        await until("the backend again", lambda: account.seat)
        box.energy += 10
        await box.start_charging(TAG)
        await until("the next start", lambda: len(account.all("StartTransaction")) == 2)
        check("repeated: meter values and stop arrive once, the stop also across a kill -9",
              actions(account.billed()) == ["StartTransaction", "MeterValues", "StopTransaction",
                                            "StartTransaction"], actions(account.billed()))
        check("repeated: the next transaction has an id of its own",
              box.transaction not in (None, number), box.transaction)
        boots = len(account.all("BootNotification"))
        await box.boot()
        await until("another boot", lambda: len(account.all("BootNotification")) > boots)
        check("repeated: a wallbox that boots again boots at the backend", True)
        await box.close()


PAID = (r'{"vendorId":"org.example.giro","messageId":"Paid",'
        r'"data":{"iban":"\u0044E\/**","eur": 20.00}}')
PAID_TOO = PAID.replace("20.00", "21.50")


async def gateway_giro(folder: Path) -> None:
    """Payments are kept for a backend that is away."""
    Tap.excused |= {PAID, PAID_TOO}
    async with Backend(one=42) as backend:
        site = one_evse(backend) + 'queue-data-transfer = ["org.example.giro"]\npassword = "s3cret"\n'
        async with Daemon(folder, site=site) as daemon:
            account = backend.accounts["one"]
            box = await arrive(daemon, account)
            account.raw_answers["DataTransfer"] = '{"status":"Accepted"}'
            said = account.seat.tap.connection.request.headers.get("Authorization")
            basic = "Basic " + base64.b64encode(b"one:s3cret").decode()
            check("giro: the password is shown to the backend", said == basic, said)
            await box.call(call.Authorize(id_tag=TAG), suppress=False)
            await backend.stop()
            answer = await box.ask("DataTransfer", PAID)
            check("giro: a payment is taken while the backend is away",
                  json.loads(answer[2]) == {"status": "Accepted"}, answer)
            await box.start_charging(TAG)
            daemon.kill()
            await daemon.start()
            box = await box.resume(daemon)
            await box.ask("DataTransfer", PAID_TOO)
            await stop_with(box, register(4711, "Transaction.End"))
            await backend.start()
            await until("the stop", lambda: account.all("StopTransaction"), 40)
            heard = account.all("DataTransfer", "StartTransaction", "StopTransaction")
            check("giro: payments and transaction arrive in order, across a kill -9",
                  actions(heard) == ["DataTransfer", "StartTransaction", "DataTransfer",
                                     "StopTransaction"], actions(heard))
            raw = [it.raw for it in account.all("DataTransfer")]
            check("giro: every byte of the payments",
                  raw == [PAID, PAID_TOO], raw)
            await box.close()


DELIVERY = [gateway_misnumbered, gateway_repeated, gateway_giro]
