"""What the tests of the gateway have in common: one wallbox, its backend, and what is said."""

from __future__ import annotations

import json

from backend import Account, Backend
from daemon import Daemon, until
from frames import parts
from wallbox import Wallbox, stamp

TAG = "04A2B3C4D5"
LOCAL_IDS = 1_000_000_000  # where the daemon's own transaction ids begin

HOUSE = """
[[circuit]]
name = "house"
max-current = 63
"""

EVSE = """
[[evse]]
name = "{name}"
device = "ocpp1.6"
address = "{address}"
id = {connector}
max-current = 16
failsafe-current = 0
[evse.gateway]
url = "{url}"
client-id = "{client}"
"""


def one_evse(backend: Backend, client: str = "one") -> str:
    return HOUSE + EVSE.format(
        name="garage", address="CB-1", connector=1, url=backend.url, client=client
    )


async def arrive(daemon: Daemon, account: Account, address: str = "CB-1") -> Wallbox:
    """A wallbox that says nothing by itself, and that its backend knows of."""
    box = await Wallbox.connect(daemon, address)
    box.metering = False
    await box.boot()
    await accepted(account)
    await until("an idle wallbox is limited", lambda: box.limits and not box.allowed())
    return box


async def accepted(account: Account, seconds: float = 30.0) -> None:
    def there() -> bool:
        return account.seat is not None and (1, "Available") in account.statuses()

    await until("the backend knows the charge point", there, seconds)


def actions(heard) -> list[str]:
    return [it.action for it in heard]


def values_of(number: int | None, *sampled: str, connector: int = 1) -> str:
    """The payload of a MeterValues, written by hand: `sampled` are sampledValues."""
    transaction = "" if number is None else f'"transactionId": {number},'
    return (f'{{"connectorId":{connector}, {transaction}"meterValue":[{{"timestamp":"{stamp()}",'
            f'"sampledValue":[{",".join(sampled)}]}}]}}')


def signed_value(token: str, context: str = "Transaction.Begin") -> str:
    return (f'{{"value": {token},"context":"{context}","format":"SignedData",'
            '"measurand":"Energy.Active.Import.Register","unit":"kWh"}')


def register(value: int, context: str = "Sample.Clock") -> str:
    return f'{{"value":"{value}","context":"{context}","unit":"Wh"}}'


def calls(sent: list[str], action: str) -> list[str]:
    """The payloads of the CALLs of a name among frames."""
    frames = [parts(text) for text in sent]
    return [frame[3] for frame in frames if frame[0] == "2" and json.loads(frame[2]) == action]


async def stop_with(box: Wallbox, *sampled: str, reason: str = "Local") -> str:
    """Ends the transaction with `transactionData`; returns the payload as sent."""
    payload = (f'{{"transactionId":{box.transaction},"idTag":"{TAG}","meterStop": 4711,'
               f'"timestamp":"{stamp()}","reason":"{reason}","transactionData":[{{"timestamp":'
               f'"{stamp()}","sampledValue":[{",".join(sampled)}]}}]}}')
    answer = await box.ask("StopTransaction", payload)
    assert answer[0] == "3", answer
    box.transaction = None
    box.energy += 10  # so that the next start differs from this one
    await box.notify("Finishing")
    await box.notify("Available")
    return payload


def profile(limit: float, purpose: str = "TxDefaultProfile", number: int = 5) -> dict:
    return {
        "charging_profile_id": number,
        "stack_level": 0,
        "charging_profile_purpose": purpose,
        "charging_profile_kind": "Relative",
        "charging_schedule": {
            "charging_rate_unit": "A",
            "charging_schedule_period": [{"start_period": 0, "limit": limit}],
        },
    }
