"""A billing backend on top of the package `ocpp`: one or more charge points may dial it."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
from datetime import datetime, timezone
from typing import NamedTuple

from daemon import free_port
from frames import Raw, Tap, parts
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.enums import Action
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

BILLING = ("StartTransaction", "MeterValues", "StopTransaction")


def clock() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Heard(NamedTuple):
    """A CALL as it came."""

    action: str
    payload: dict
    raw: str  # the payload, byte for byte


class Account:
    """What the backend knows of one charge point, whether it is connected or not."""

    def __init__(self, first_id: int):
        self.ids = itertools.count(first_id)
        self.heard: list[Heard] = []
        self.boot_status, self.boot_interval = "Accepted", 300
        self.start_status = "Accepted"
        self.raw_answers: dict[str, str] = {}  # by action
        self.delays: dict[str, float] = {}  # seconds before an action is answered
        self.seat: Seat | None = None

    def all(self, *actions: str) -> list[Heard]:
        return [heard for heard in self.heard if heard.action in actions]

    def billed(self) -> list[Heard]:
        """What belongs to transactions; a wallbox may also be metered between them."""
        return [it for it in self.all(*BILLING)
                if it.action != "MeterValues" or "transactionId" in it.payload]

    def statuses(self) -> list[tuple[int, str]]:
        heard = self.all("StatusNotification")
        return [(it.payload["connectorId"], it.payload["status"]) for it in heard]


class Seat(Raw, ChargePoint):
    """One connection of a charge point."""

    def __init__(self, name: str, connection: Tap, account: Account):
        super().__init__(name, connection, response_timeout=15)
        self.account, self.raw_answers = account, account.raw_answers
        self.late: set[asyncio.Task] = set()

    async def route_message(self, raw_msg: str) -> None:
        frame = parts(raw_msg)
        if frame[0] == "2":
            heard = Heard(json.loads(frame[2]), json.loads(frame[3]), frame[3])
            self.account.heard.append(heard)
            if heard.action in self.account.delays:
                self.late.add(asyncio.create_task(self.answer_late(raw_msg, heard.action)))
                return
        await super().route_message(raw_msg)

    async def answer_late(self, raw_msg: str, action: str) -> None:
        await asyncio.sleep(self.account.delays[action])
        try:
            await super().route_message(raw_msg)
        except ConnectionClosed:
            pass  # too late for this connection

    @on(Action.boot_notification)
    def on_boot(self, **boot):
        status, interval = self.account.boot_status, self.account.boot_interval
        return call_result.BootNotification(current_time=clock(), interval=interval, status=status)

    @on(Action.heartbeat)
    def on_heartbeat(self):
        return call_result.Heartbeat(current_time=clock())

    @on(Action.status_notification)
    def on_status(self, **status):
        return call_result.StatusNotification()

    @on(Action.authorize)
    def on_authorize(self, id_tag):
        status = "Blocked" if id_tag.startswith("BAD") else "Accepted"
        return call_result.Authorize(id_tag_info={"status": status})

    @on(Action.start_transaction)
    def on_start(self, **start):
        return call_result.StartTransaction(
            transaction_id=next(self.account.ids),
            id_tag_info={"status": self.account.start_status},
        )

    @on(Action.meter_values)
    def on_meter_values(self, **values):
        return call_result.MeterValues()

    @on(Action.stop_transaction)
    def on_stop(self, **stop):
        return call_result.StopTransaction(id_tag_info={"status": self.account.start_status})

    @on(Action.data_transfer)
    def on_data_transfer(self, vendor_id, message_id=None, data=None):
        return call_result.DataTransfer(status="Accepted", data=f"paid: {data}")


class Backend:
    """`async with`; it may go away and come back meanwhile."""

    def __init__(self, tls: ssl.SSLContext | None = None, **first_ids: int):
        """`first_ids`: of the charge points it knows, the first transaction id of each."""
        self.tls = tls
        self.port = free_port()
        self.accounts = {name: Account(first) for name, first in first_ids.items()}
        self.server = None

    @property
    def url(self) -> str:
        return f"{'wss' if self.tls else 'ws'}://127.0.0.1:{self.port}/ocpp/"

    async def __aenter__(self) -> "Backend":
        await self.start()
        return self

    async def __aexit__(self, kind, error, trace) -> None:
        await self.stop()

    async def start(self) -> None:
        self.server = await serve(
            self.attend, "127.0.0.1", self.port, ssl=self.tls, subprotocols=["ocpp1.6"],
            close_timeout=1,
        )

    async def stop(self) -> None:
        if self.server:
            self.server.close()
            await self.server.wait_closed()
        self.server = None

    async def attend(self, connection) -> None:
        name = connection.request.path.removeprefix("/ocpp/")
        account = self.accounts.get(name)
        if account is None:
            return
        account.seat = seat = Seat(name, Tap(connection), account)
        try:
            await seat.start()
        except ConnectionClosed:
            pass
        finally:
            if account.seat is seat:
                account.seat = None
            for task in seat.late:
                task.cancel()
