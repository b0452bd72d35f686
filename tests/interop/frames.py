"""Judges every frame the daemon sends by the official schemas."""

from __future__ import annotations

import functools
import json
import os
from decimal import Decimal

import ocpp
from jsonschema import Draft4Validator

SCHEMAS = os.path.join(ocpp.__path__[0], "v16", "schemas")


@functools.lru_cache(maxsize=None)
def validator(schema: str) -> Draft4Validator:
    # Decimal on both sides: 21.4 is no multiple of 0.1 in floats.
    with open(os.path.join(SCHEMAS, schema + ".json"), encoding="utf-8-sig") as file:
        return Draft4Validator(json.load(file, parse_float=Decimal))


class Tap:
    """A WebSocket connection whose incoming frames are judged on the way to the charge point."""

    judged = 0
    wrong: list[str] = []

    def __init__(self, connection):
        self.connection = connection
        self.actions: dict[str, str] = {}

    async def send(self, text: str) -> None:
        frame = json.loads(text)
        if frame[0] == 2:
            self.actions[frame[1]] = frame[2]
        await self.connection.send(text)

    async def recv(self) -> str:
        text = await self.connection.recv()
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
            validator(action).validate(payload)
        elif frame[0] == 3:
            _, message_id, payload = frame
            validator(self.actions.pop(message_id) + "Response").validate(payload)
        else:
            kind, message_id, code, description, details = frame
            if kind != 4 or not isinstance(description, str) or not isinstance(details, dict):
                raise ValueError("no CALLERROR")
            self.actions.pop(message_id)
