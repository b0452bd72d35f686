"""The real daemon against charge points and a backend made of the package `ocpp`, and against
devices made of `pymodbus`. Started by `run`.

    interop.py [WORD…]        only the scenarios with one of these words in their names
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
import tempfile
import time
import traceback
from pathlib import Path

from certificates import CERTIFICATES
from daemon import FUSE, Daemon, until
from delivery import DELIVERY
from dual import gateway_dual
from emulated import EMULATED
from emulated_links import LINKS
from emulated_orders import ORDERS
from many import gateway_virtual, gateway_whole
from frames import Tap
from gateway import GATEWAY
from modbus import Grid, PowerBrain, Rtu, Tcp
from report import Report, check
from secured import SECURED
from trouble import TROUBLE
from wallbox import Fuse, Wallbox, dial
from websockets.exceptions import InvalidStatus

BOUND = 300  # seconds for everything
HERE = Path(__file__).parent
TAG = "04A2B3C4D5"


async def refused(daemon: Daemon, address: str, **options) -> int | None:
    """The HTTP status a connection is refused with; None if it is not."""
    try:
        connection = await dial(daemon, address, **options)
    except InvalidStatus as refusal:
        return refusal.response.status_code
    await connection.close()
    return None


async def pinned(daemon: Daemon) -> ssl.SSLContext:
    """Trusts the certificate the daemon shows, and nothing else; the host name must fit, too."""
    pem = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", daemon.port))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pem)
    return context


async def who_may_connect(folder: Path) -> None:
    async with Daemon(folder, passwords={"CB-2": "right"}) as daemon:
        check("a stranger gets 404", await refused(daemon, "CB-9") == 404)
        seen = [box["address"] for box in (await daemon.status())["unknown_charge_points"]]
        check("a stranger is listed in the status", seen == ["CB-9"], seen)
        check("a wrong password gets 401", await refused(daemon, "CB-2", password="wrong") == 401)
        check("no password gets 401", await refused(daemon, "CB-2") == 401)
        check("the right password gets in", await refused(daemon, "CB-2", password="right") is None)
        check("who needs no password gets in", await refused(daemon, "CB-1") is None)
        check("SIGTERM ends the daemon well", await daemon.stop() == 0)


async def one_car_then_two(folder: Path) -> None:
    async with Daemon(folder) as daemon:
        left = await Wallbox.connect(daemon, "CB-1")
        check("ws: the subprotocol is ocpp1.6", left.subprotocol == "ocpp1.6", left.subprotocol)
        boot = await left.boot()
        check("ws: boot is accepted", boot.status == "Accepted" and boot.interval == 300, boot)
        await until("an idle wallbox is limited", lambda: left.limits)
        check("an idle wallbox is allowed 0 A", left.allowed() == 0, left.limits)

        right = await Wallbox.connect(daemon, "CB-2", tls=await pinned(daemon))
        check("wss: the certificate names localhost; the subprotocol is ocpp1.6",
              right.subprotocol == "ocpp1.6")
        check("wss: boot is accepted", (await right.boot()).status == "Accepted")
        await until("an idle wallbox is limited", lambda: right.limits)
        fuse = Fuse(left, right)

        early = len(left.limits)
        await left.start_charging(TAG)
        check("a transaction is accepted", left.verdict == "Accepted" and left.transaction > 0)
        check("nothing is granted before the start is answered",
              not any(left.limits[early:left.limits_at_answer]), left.limits)
        answered = time.monotonic()
        await until("the first grant", lambda: left.allowed() >= 6)
        waited = time.monotonic() - answered
        check("the first grant follows within 2 s", waited < 2.5, f"{waited:.1f} s")
        await until("all it can take", lambda: left.allowed() == 16)
        check("a car alone gets the maximum of its wallbox", True)

        async def measured():
            return (await daemon.evse("left"))["measured_a"] == [16.0, 16.0, 16.0]

        await until("the measured current is in the status", measured)
        evse = await daemon.evse("left")
        check("the status tells what charges",
              evse["online"] and evse["status"] == "Charging" and evse["offered_a"] == 16.0
              and evse["transaction"]["id"] == left.transaction, evse)
        check("the status never shows a whole id tag", TAG not in str(evse), evse)

        await right.start_charging("04FFEEDDCC")
        await until("two equal shares", lambda: left.allowed() == right.allowed() == FUSE / 2)
        check("two cars share the fuse", True)
        check("two transactions have two ids", left.transaction != right.transaction)

        await left.stop_charging()
        await until("nothing without a transaction", lambda: left.allowed() == 0)
        check("after its stop a wallbox is allowed 0 A", True)
        await until("what became free", lambda: right.allowed() == 16)
        check("what became free goes to the other car", True)
        await right.stop_charging()
        await until("nothing without a transaction", lambda: right.allowed() == 0)
        check("at no instant was the fuse overloaded", fuse.peak <= FUSE, fuse.peak)
        fuse.open()
        await left.close()
        await right.close()


async def two_idle(daemon: Daemon) -> tuple[Wallbox, Wallbox, Fuse]:
    boxes = []
    for address in ("CB-1", "CB-2"):
        boxes.append(await Wallbox.connect(daemon, address))
        await boxes[-1].boot()
    await until("idle wallboxes are limited", lambda: all(box.limits for box in boxes))
    return (*boxes, Fuse(*boxes))


async def what_a_lowering_frees_goes_on_soon(folder: Path) -> None:
    async with Daemon(folder) as daemon:
        left, right, fuse = await two_idle(daemon)
        await left.start_charging(TAG)
        await until("all it can take", lambda: left.allowed() == 16)
        await left.send_meter_values()
        left.metering = False  # from now on it says what it draws when it is asked
        asked_before = left.asked_for_values
        await right.start_charging("04FFEEDDCC")
        # Before silence itself would count as obedience, a minute after its last values.
        await until("two equal shares", lambda: left.allowed() == right.allowed() == FUSE / 2)
        asked = left.asked_for_values - asked_before
        check("who was lowered is asked, and the other has its share", 1 <= asked <= 5, asked)
        check("at no instant was the fuse overloaded", fuse.peak <= FUSE, fuse.peak)
        fuse.open()
        await left.close()
        await right.close()


async def killed_in_mid_transaction(folder: Path) -> None:
    async with Daemon(folder) as daemon:
        box = await Wallbox.connect(daemon, "CB-1")
        await box.boot()
        await until("an idle wallbox is limited", lambda: box.limits)
        request = await box.start_charging(TAG)
        number = box.transaction
        daemon.kill()
        await daemon.start()
        known = (await daemon.evse("left"))["transaction"]
        check("kill -9: the transaction is still known", known and known["id"] == number, known)
        box = await box.resume(daemon)
        again = await box.call(request, unique_id=f"start-{box.id}", suppress=False)
        check("kill -9: the start sent again has the same id", again.transaction_id == number, again)
        again = await box.call(request, suppress=False)
        check("so it has under a new message id", again.transaction_id == number, again)

        async def goes_on():
            return box.allowed() == 16 and (await daemon.evse("left"))["setpoint_a"] == 16.0

        # A wallbox that came back without a BootNotification is left alone for some seconds.
        await until("the car charges as before", goes_on, 30)
        check("kill -9: the car goes on charging", True)
        await box.stop_charging()
        check("kill -9: the stop is accepted", True)

        async def ended():
            return (await daemon.evse("left"))["transaction"] is None

        await until("the transaction is over", ended)
        await until("nothing without a transaction", lambda: box.allowed() == 0)
        second = await box.start_charging(TAG)
        check("an id is never used again", box.transaction != number, second)
        await box.close()


async def a_wallbox_that_does_not_listen(folder: Path) -> None:
    async with Daemon(folder) as daemon:
        deaf, late, fuse = await two_idle(daemon)
        await deaf.start_charging(TAG)
        await until("all it can take", lambda: deaf.allowed() == 16)
        deaf.deaf = True
        await late.start_charging("04FFEEDDCC")
        await until("somebody is asked to lower", lambda: deaf.ignored)
        # A while in which nothing may happen: longer than the 5 s after which the others pay.
        await asyncio.sleep(8)
        check("who does not listen keeps its current, and nobody gets what is not free",
              deaf.allowed() == 16 and late.allowed() == 0, (deaf.allowed(), late.allowed()))
        deaf.deaf = False
        await until("two equal shares", lambda: deaf.allowed() == late.allowed() == FUSE / 2, 90)
        check("when it listens again, both share", True)
        check("at no instant was the fuse overloaded", fuse.peak <= FUSE, fuse.peak)
        fuse.open()
        await deaf.close()
        await late.close()


HOUSE = """
[[meter]]
name = "grid"
device = "sdm630"
address = "{meter}"
id = 9
poll = "500ms"

[[circuit]]
name = "house"
max-current = 25
meter = "grid"
"""

BRAIN = """
[[evse]]
name = "{name}"
device = "power-brain"
address = "{address}"
id = {unit}
max-current = 16
failsafe-current = 6
"""


async def a_metered_house_with_a_power_brain(folder: Path) -> None:
    brain = PowerBrain()
    grid = Grid([5.0, 5.0, 5.0], brain)
    async with Tcp(brain.device(1), grid.device(9)) as line:
        site = HOUSE.format(meter=line.address)
        site += BRAIN.format(name="brain", address=line.address, unit=1)
        async with Daemon(folder, site=site) as daemon:
            async def fresh():
                status = await daemon.status()
                return status["meters"][0]["state"] == "fresh" and status["evses"][0]["online"]

            await until("the meter and the Power Brain answer", fresh)
            check("pymodbus: a free Power Brain is disabled", brain.values[8094] == 0)
            brain.plugged = True
            await until("the Power Brain is enabled", lambda: brain.draws() >= 6)
            await until("all it can take", lambda: brain.allowed() == 16, 60)
            check("pymodbus: a plugged car charges with all that is left", True)

            async def told():
                evse = await daemon.evse("brain")
                return (evse["status"] == "Charging" and evse["measured_a"] == [16.0, 16.0, 16.0]
                        and evse["energy_wh"] > 123456 and evse["transaction"])

            await until("the status tells what charges", told)
            check("pymodbus: the status tells what charges", True)
            house = (await daemon.status())["circuits"][0]["house_a"]
            check("pymodbus: the house load is the meter less the EVSE",
                  all(abs(amps - 5.0) < 0.5 for amps in house), house)
            grid.house = [5.0, 15.0, 5.0]
            switched = time.monotonic()
            await until("less for the car", lambda: 6 <= brain.allowed() <= 9.1, 5)
            check("pymodbus: a cooker takes from the car within 3 s",
                  time.monotonic() - switched < 3, time.monotonic() - switched)
            await line.stop()

            async def stale():
                status = await daemon.status()
                return status["meters"][0]["state"] == "stale" and not status["evses"][0]["online"]

            await until("the lost line is seen", stale, 30)
            await line.start()
            await until("both are back", fresh, 30)
            check("pymodbus: a lost line comes back by itself", True)
            brain.plugged = False

            async def over():
                evse = await daemon.evse("brain")
                return evse["status"] == "Available" and evse["transaction"] is None

            await until("the session is over", over)
            await until("nothing without a car", lambda: brain.values[8094] == 0)
            check("pymodbus: no register was written that should not be", not brain.judge(), brain.judge())


async def two_power_brains_on_a_serial_line(folder: Path) -> None:
    left, right = PowerBrain("W00-0001"), PowerBrain("W00-0002")
    async with Rtu(left.device(1), right.device(2)) as line:
        site = "[[circuit]]\nname = \"house\"\nmax-current = 20\n"
        for unit, name in [(1, "left"), (2, "right")]:
            site += BRAIN.format(name=name, address=line.address, unit=unit)
        async with Daemon(folder, site=site) as daemon:
            async def online():
                return all(evse["online"] for evse in (await daemon.status())["evses"])

            await until("both Power Brains answer", online, 30)
            check("pymodbus: two Power Brains share a serial line", True)
            left.plugged = right.plugged = True
            await until("two equal shares", lambda: left.allowed() == right.allowed() == 10, 60)
            check("pymodbus: they share the fuse", True)
            for _ in range(5):
                line.garbage = b"\x00\xff\x01\x03garbage"
                await asyncio.sleep(0.3)
            await until("both answer after garbage on the line", online, 30)
            check("pymodbus: garbage on the line does no harm",
                  left.allowed() == right.allowed() == 10, (left.allowed(), right.allowed()))
            wrong = left.judge() + right.judge()
            check("pymodbus: no register of theirs was written that should not be", not wrong, wrong)


ONE_BY_ONE = [
    who_may_connect,
    one_car_then_two,
    what_a_lowering_frees_goes_on_soon,
    killed_in_mid_transaction,
    a_wallbox_that_does_not_listen,
    a_metered_house_with_a_power_brain,
    two_power_brains_on_a_serial_line,
]


TOGETHER = [*GATEWAY, *TROUBLE, *DELIVERY, gateway_dual, gateway_whole, gateway_virtual,
            *EMULATED, *LINKS, *ORDERS, *CERTIFICATES, *SECURED]


async def play(scenario, home: Path) -> None:
    """One scenario that breaks must not hide the others."""
    failed_before = Report.failed
    try:
        await scenario(home)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        where = [frame for frame in frames if Path(frame.filename).parent == HERE][-1]
        what = str(error).replace("\n", " ")[:300]
        check(scenario.__name__, False,
              f"{type(error).__name__}: {what} at {where.name}:{where.lineno}")
    if Report.failed > failed_before and (home / "log").exists():
        log = (home / "log").read_text(errors="replace").splitlines()
        print("\n".join([f"the end of the log of {home.name}:", *log[-30:]]), flush=True)


async def main(wanted: list[str]) -> None:
    """All scenarios, or those with one of the `wanted` words in their names."""
    def is_wanted(scenario) -> bool:
        return not wanted or any(word in scenario.__name__ for word in wanted)

    with tempfile.TemporaryDirectory(prefix="interop-") as folder:
        for scenario in filter(is_wanted, ONE_BY_ONE):
            await play(scenario, Path(folder) / scenario.__name__)
        # Most of their time goes by with waiting for each other.
        together = [play(it, Path(folder) / it.__name__) for it in filter(is_wanted, TOGETHER)]
        await asyncio.gather(*together)
    check(f"all {Tap.judged} frames of the daemon fit the official schemas",
          Tap.judged and not Tap.wrong, "\n".join(Tap.wrong[:10]))


if __name__ == "__main__":
    logging.getLogger("ocpp").setLevel(logging.CRITICAL)
    try:
        asyncio.run(asyncio.wait_for(main(sys.argv[1:]), BOUND))
    except asyncio.TimeoutError:
        check(f"everything within {BOUND} s", False)
    print(f"{Report.passed} passed, {Report.failed} failed")
    sys.exit(1 if Report.failed else 0)
