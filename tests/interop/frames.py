"""Judges every frame the daemon sends by the official schemas."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import time
import uuid
from decimal import Decimal

import ocpp
from jsonschema import Draft4Validator

PATIENCE = 8.0  # seconds that the daemon waits for an answer at the least
SCHEMAS = os.path.join(ocpp.__path__[0], "v16", "schemas")


@functools.lru_cache(maxsize=None)
def validator(schema: str) -> Draft4Validator:
    # Decimal on both sides: 21.4 is no multiple of 0.1 in floats.
    with open(os.path.join(SCHEMAS, schema + ".json"), encoding="utf-8-sig") as file:
        return Draft4Validator(json.load(file, parse_float=Decimal))


def parts(frame: str) -> list[str]:
    """The elements of a frame, byte for byte as they stand in it."""
    decoder, space, found = json.JSONDecoder(), re.compile(r"[ \t\r\n]*"), []
    at = space.match(frame).end()
    while frame[at] != "]":
        start = space.match(frame, at + 1).end()
        _, end = decoder.raw_decode(frame, start)
        found.append(frame[start:end])
        at = space.match(frame, end).end()
    return found


class Tap:
    """A WebSocket connection whose incoming frames are judged on the way to who stands for one end
    of it; every frame is kept as it went over the wire."""

    judged = 0
    wrong: list[str] = []
    excused: set[str] = set()  # payloads that are relayed, and that a test made illegal on purpose

    def __init__(self, connection):
        self.connection = connection
        self.actions: dict[str, str] = {}
        self.sent: list[str] = []
        self.received: list[str] = []
        self.called: dict[str, float] = {}  # when the daemon asked what is not answered yet

    async def send(self, text: str) -> None:
        frame = json.loads(text)
        if frame[0] == 2:
            self.actions[frame[1]] = frame[2]
        else:
            self.called.pop(frame[1], None)
        self.sent.append(text)
        await self.connection.send(text)

    async def recv(self) -> str:
        text = await self.connection.recv()
        self.received.append(text)
        Tap.judged += 1
        try:
            self.judge(text)
        except Exception as error:  # whatever is wrong with a frame, the report shall name it
            Tap.wrong.append(f"{error} in {text}".replace("\n", " "))
        return text

    async def close(self) -> None:
        await self.connection.close()

    def judge(self, text: str) -> None:
        frame = json.loads(text, parse_float=Decimal)
        if frame[0] == 2:
            _, message_id, action, payload = frame
            if not isinstance(message_id, str) or not 0 < len(message_id) <= 36:
                raise ValueError("a bad message id")
            now = time.monotonic()
            if any(now - asked < PATIENCE for asked in self.called.values()):
                raise ValueError("a second CALL before the first is answered")
            self.called[message_id] = now
            if parts(text)[3] not in Tap.excused:
                validator(action).validate(payload)
        elif frame[0] == 3:
            _, message_id, payload = frame
            action = self.actions.pop(message_id)
            if parts(text)[2] not in Tap.excused:
                validator(action + "Response").validate(payload)
        else:
            kind, message_id, code, description, details = frame
            if kind != 4 or not isinstance(description, str) or not isinstance(details, dict):
                raise ValueError("no CALLERROR")
            self.actions.pop(message_id)


class Raw:
    """Mixed into a `ChargePoint` of the package, at either end: sends and answers what the package
    would write in words of its own."""

    def __init__(self, address, connection: Tap, response_timeout=30):
        super().__init__(address, connection, response_timeout)
        self.tap = connection
        self.raw_answers: dict[str, str] = {}  # by action
        self.awaited: dict[str, asyncio.Future] = {}

    async def ask(self, action: str, payload: str) -> list[str]:
        """Sends a CALL with this very payload; returns the parts of what answers it."""
        message_id = str(uuid.uuid4())
        answer = self.awaited[message_id] = asyncio.get_running_loop().create_future()
        async with self._call_lock:
            await self.tap.send(f'[2,"{message_id}","{action}",{payload}]')
            return await asyncio.wait_for(answer, self._response_timeout)

    async def route_message(self, raw_msg: str) -> None:
        frame = parts(raw_msg)
        answer = self.awaited.pop(json.loads(frame[1]), None) if frame[0] != "2" else None
        if answer is not None:
            answer.set_result(frame)
        elif frame[0] == "2" and json.loads(frame[2]) in self.raw_answers:
            await self.tap.send(f"[3,{frame[1]},{self.raw_answers[json.loads(frame[2])]}]")
        else:
            await super().route_message(raw_msg)
