"""A Power Brain and a grid meter on servers of the package `pymodbus`, over TCP and a serial line."""

from __future__ import annotations

import asyncio
import os
import struct
import threading
import time
import tty

from daemon import free_port
from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

MINIMUM = 6.0
VOLTAGE = 230.0
READ_HOLDING, READ_INPUT, WRITE_ONE, WRITE_SEVERAL = 3, 4, 6, 16
FLASH = {8080, 8081, 8082, 8083, 8084, 8085}
VOLATILE = {8086, 8087, 8088, 8091, 8093, 8094}


def words(form: str, value) -> list[int]:
    raw = struct.pack(form, value)
    return [int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2)]


def text(value: str, registers: int) -> list[int]:
    raw = value.encode().ljust(2 * registers, b"\0")
    return [int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2)]


class PowerBrain:
    """The registers of a wallbox with a three-phase car that follows within a second."""

    def __init__(self, serial: str = "W00-0001"):
        self.serial = serial
        self.values = {8081: 160, 8082: 1, 8083: 0, 8084: 300, 8085: 0, 8091: 0, 8093: 160, 8094: 0}
        self.plugged = False
        self.willing = True  # the car takes what it is offered
        self.restarts, self.wakes_at = 7, 0.0
        self.tag, self.tags = "", 0
        self.energy, self.since = 123456.0, time.monotonic()
        self.writes: list[tuple[int, int]] = []
        self.told_at, self.drawn = time.monotonic(), 0.0

    def allowed(self) -> float:
        limit = self.values[8093] / 10
        return limit if self.values[8094] and limit >= MINIMUM else 0.0

    def draws(self) -> float:
        self.advance()
        return self.drawn

    def advance(self) -> None:
        now = time.monotonic()
        self.energy += 3 * VOLTAGE * self.drawn * (now - self.since) / 3600
        self.since = now
        if now - self.told_at >= 0.5:
            self.drawn = self.allowed() if self.plugged and self.willing else 0.0

    def tap(self, tag: str) -> None:
        """Somebody holds a card to the reader."""
        self.tag, self.tags = tag, self.tags + 1

    def unplug(self) -> None:
        self.advance()
        self.plugged, self.drawn = False, 0.0

    def lose_power(self) -> None:
        """Whoever listens in its place must be gone meanwhile. For some time after it the energy
        register reads 0, as in a real one."""
        self.advance()
        self.values |= {8091: 0, 8093: self.values[8081], 8094: self.values[8082]}
        self.tag, self.tags, self.drawn = "", 0, 0.0
        self.restarts, self.wakes_at = self.restarts + 1, time.monotonic() + 4

    def image(self) -> dict[int, int]:
        self.advance()
        state = 0 if not self.plugged else 2 if self.drawn else 1
        tenths = round(self.drawn * 10)
        register = 0 if time.monotonic() < self.wakes_at else int(self.energy)
        blocks = {
            8000: [0xCF05, 0, 1, 0x101, 0x0100, 7, 256, 0],
            8008: text(self.serial, 8),
            8016: text("cFos Power Brain", 16),
            8057: [1] + words(">Q", register) + words(">I", round(3 * VOLTAGE * self.drawn)),
            8064: words(">I", tenths) * 3,
            8090: [320],
            8092: [state],
            8095: [tenths] + text(self.tag, 15) + [self.tags % 65536, 1, 0],
            8120: words(">I", self.restarts),
        }
        image = dict(self.values)
        for address, block in blocks.items():
            image.update(enumerate(block, address))
        return image

    async def access(self, function, start, address, count, registers, new):
        if function in (READ_HOLDING, WRITE_ONE, WRITE_SEVERAL):
            if new is not None:
                for register, value in enumerate(new, address):
                    if register not in FLASH | VOLATILE or (register == 8093 and not 60 <= value <= 630):
                        return ExcCodes.ILLEGAL_VALUE
                    self.writes.append((register, value))
                    self.advance()
                    self.values[register] = value
                    self.told_at = time.monotonic()
            for register, value in self.image().items():
                if start <= register < start + len(registers):
                    registers[register - start] = value
            return None
        return ExcCodes.ILLEGAL_FUNCTION

    def device(self, unit: int) -> SimDevice:
        blank = SimData(8000, count=130, values=0, datatype=DataType.REGISTERS)
        return SimDevice(unit, simdata=blank, action=self.access)

    def judge(self) -> list[str]:
        """What should not have been written."""
        wrong = [f"{r} := {v}" for r, v in self.writes if r in FLASH - {8083, 8084, 8085}]
        wrong += [f"{r} was written twice" for r in FLASH
                  if sum(register == r for register, _ in self.writes) > 1]
        return wrong


class Grid:
    """An Eastron SDM630 that measures a house and the wallboxes in it."""

    def __init__(self, house: list[float], *boxes: PowerBrain):
        self.house, self.boxes = house, boxes
        self.peaks = [0.0]

    def currents(self) -> list[float]:
        drawn = sum(box.draws() for box in self.boxes)
        return [amps + drawn for amps in self.house]

    async def access(self, function, start, address, count, registers, new):
        if function != READ_INPUT or new is not None:
            return ExcCodes.ILLEGAL_FUNCTION
        amps = self.currents()
        self.peaks.append(max(amps))
        jitter = 1 + (time.monotonic_ns() % 997) / 1e6
        values = {0x34: sum(amps) * VOLTAGE, 0x46: 50.0, 0x48: 4711.5, 0x4A: 12.25}
        for phase in range(3):
            values |= {2 * phase: VOLTAGE * jitter, 6 + 2 * phase: amps[phase] * jitter,
                       0xC + 2 * phase: amps[phase] * VOLTAGE * jitter}
        for register, value in values.items():
            for at, word in enumerate(words(">f", value), register):
                if start <= at < start + len(registers):
                    registers[at - start] = word
        return None

    def device(self, unit: int) -> SimDevice:
        blank = SimData(0, count=0x200, values=0, datatype=DataType.REGISTERS)
        return SimDevice(unit, simdata=blank, action=self.access)


class Tcp:
    """Devices behind one TCP port. `async with`."""

    def __init__(self, *devices: SimDevice):
        self.devices, self.port = list(devices), free_port()
        self.server: ModbusTcpServer | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> "Tcp":
        await self.start()
        return self

    async def __aexit__(self, kind, error, trace) -> None:
        await self.stop()

    async def start(self) -> None:
        self.server = ModbusTcpServer(self.devices, address=("127.0.0.1", self.port))
        await self.server.serve_forever(background=True)

    async def stop(self) -> None:
        if self.server:
            await self.server.shutdown()
        self.server = None


class Rtu:
    """Devices on a serial line, made of two pseudo-terminals. `async with`."""

    def __init__(self, *devices: SimDevice):
        self.devices = list(devices)
        self.ends = [os.openpty() for _ in range(2)]
        for master, slave in self.ends:
            tty.setraw(master)
            tty.setraw(slave)
        self.names = [os.ttyname(slave) for _, slave in self.ends]
        self.open = True
        self.garbage = b""

    @property
    def address(self) -> str:
        return f"{self.names[0]},19200,8,n,1"

    def pump(self, source: int, sink: int, dirty: bool) -> None:
        while self.open:
            try:
                data = os.read(source, 512)
                if dirty and self.garbage:
                    data, self.garbage = self.garbage + data, b""
                os.write(sink, data)
            except OSError:
                return

    async def __aenter__(self) -> "Rtu":
        (ours, _), (theirs, _) = self.ends
        for source, sink, dirty in [(ours, theirs, False), (theirs, ours, True)]:
            threading.Thread(target=self.pump, args=(source, sink, dirty), daemon=True).start()
        self.server = ModbusSerialServer(self.devices, framer=FramerType.RTU, port=self.names[1], baudrate=19200)
        await self.server.serve_forever(background=True)
        return self

    async def __aexit__(self, kind, error, trace) -> None:
        self.open = False
        await self.server.shutdown()
        for end in self.ends:
            for descriptor in end:
                os.close(descriptor)
