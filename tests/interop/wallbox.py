"""A charge point on top of the package `ocpp`, with a car that takes what it is allowed."""

from __future__ import annotations

import asyncio
import ssl
from datetime import datetime, timezone

from daemon import Daemon
from frames import Raw, Tap
from ocpp.routing import after, on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import Action
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

HARDWARE_MAXIMUM = 16.0
MINIMUM = 6.0
PHASES = 3
VOLTAGE = 230.0


def now() -> datetime:
    return datetime.now(timezone.utc)


def stamp() -> str:
    return now().strftime("%Y-%m-%dT%H:%M:%SZ")


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


class Wallbox(Raw, ChargePoint):
    """One connector. `connect` it, use it, `close` it."""

    def __init__(self, address: str, connection: Tap):
        super().__init__(address, connection, response_timeout=10)
        self.profiles: dict[tuple, dict] = {}  # by connector, purpose and stack level
        self.limits: list[float] = []  # what was allowed after each profile
        self.transaction: int | None = None
        self.started = now()
        self.energy = 1000.0
        self.limits_at_answer = 0
        self.metering = True  # sends meter values by itself
        self.deaf = False
        self.answers_after = 0.0
        self.ignored = 0
        self.asked_for_values = 0
        self.settings = {
            "NumberOfConnectors": "1",
            "SupportedFeatureProfiles": "Core,SmartCharging,RemoteTrigger",
            "ChargeProfileMaxStackLevel": "8",
            "ChargingScheduleAllowedChargingRateUnit": "Current",
            "ChargingScheduleMaxPeriods": "24",
            "MaxChargingProfilesInstalled": "8",
            "HeartbeatInterval": "300",
            "MeterValueSampleInterval": "60",
            "MeterValuesSampledData": "Energy.Active.Import.Register",
            "WebSocketPingInterval": "0",
        }

    @classmethod
    async def connect(cls, daemon: Daemon, address: str, **options) -> "Wallbox":
        connection = await dial(daemon, address, **options)
        box = cls(address, Tap(connection))
        box.subprotocol = connection.subprotocol
        box.tasks = [asyncio.create_task(box.serve()), asyncio.create_task(box.meter())]
        return box

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self._connection.close()

    async def resume(self, daemon: Daemon) -> "Wallbox":
        """The same wallbox on a new connection."""
        await self.close()
        box = await Wallbox.connect(daemon, self.id)
        box.profiles, box.transaction = self.profiles, self.transaction
        box.started, box.energy, box.settings = self.started, self.energy, self.settings
        box.answers_after, box.metering = self.answers_after, self.metering
        return box

    # What the car does ---------------------------------------------------------------------------

    def allowed(self) -> float:
        """Amperes per phase that the stored profiles allow now."""
        limit = self.limit_of("TxProfile") if self.transaction else None
        if limit is None:
            limit = self.limit_of("TxDefaultProfile")
        limits = [HARDWARE_MAXIMUM, limit, self.limit_of("ChargePointMaxProfile")]
        return min(limit for limit in limits if limit is not None)

    def limit_of(self, purpose: str) -> float | None:
        stacked = [p for p in self.profiles.values() if p["charging_profile_purpose"] == purpose]
        for profile in sorted(stacked, key=lambda p: -p["stack_level"]):
            limit = self.limit_now(profile)
            if limit is not None:
                return limit
        return None

    def limit_now(self, profile: dict) -> float | None:
        at, schedule = now(), profile["charging_schedule"]
        if "valid_from" in profile and at < instant(profile["valid_from"]):
            return None
        if "valid_to" in profile and at >= instant(profile["valid_to"]):
            return None
        begin = self.started if self.transaction else at
        if profile["charging_profile_kind"] == "Absolute" and "start_schedule" in schedule:
            begin = instant(schedule["start_schedule"])
        elapsed = (at - begin).total_seconds()
        if elapsed < 0 or elapsed >= schedule.get("duration", float("inf")):
            return None
        period = [p for p in schedule["charging_schedule_period"] if p["start_period"] <= elapsed][-1]
        limit = float(period["limit"])
        if schedule["charging_rate_unit"] == "W":
            limit /= VOLTAGE * period.get("number_phases", PHASES)
        return limit

    def draw(self) -> float:
        """Amperes on each phase."""
        allowed = self.allowed()
        return allowed if self.transaction and allowed >= MINIMUM else 0.0

    async def meter(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.energy += self.draw() * VOLTAGE * PHASES / 3600
            if self.transaction and self.metering:
                try:
                    await self.send_meter_values()
                except (asyncio.TimeoutError, ConnectionClosed):
                    pass  # the scenario notices

    async def send_meter_values(self) -> None:
        amperes = f"{self.draw():.1f}"
        sampled = [
            {"value": amperes, "measurand": "Current.Import", "phase": phase, "unit": "A"}
            for phase in ("L1", "L2", "L3")
        ]
        sampled.append({"value": f"{self.energy:.0f}", "unit": "Wh"})
        values = [{"timestamp": stamp(), "sampled_value": sampled}]
        await self.call(
            call.MeterValues(connector_id=1, transaction_id=self.transaction, meter_value=values)
        )

    # What a person does --------------------------------------------------------------------------

    async def boot(self) -> call_result.BootNotification:
        answer = await self.call(
            call.BootNotification(charge_point_vendor="Interop", charge_point_model="One")
        )
        await self.notify("Available", connector=0)
        await self.notify("Charging" if self.transaction else "Available")
        return answer

    async def notify(self, status: str, connector: int = 1) -> None:
        await self.call(
            call.StatusNotification(connector_id=connector, error_code="NoError", status=status)
        )

    async def start_charging(self, tag: str) -> call.StartTransaction:
        """Plugs in, authorizes and starts; returns the request, to be sent again."""
        await self.notify("Preparing")
        answer = await self.call(call.Authorize(id_tag=tag), suppress=False)
        self.authorized = answer.id_tag_info["status"]
        request = call.StartTransaction(
            connector_id=1, id_tag=tag, meter_start=int(self.energy), timestamp=stamp()
        )
        answer = await self.call(request, unique_id=f"start-{self.id}", suppress=False)
        self.started, self.transaction = now(), answer.transaction_id
        self.verdict = answer.id_tag_info["status"]
        await self.notify("Charging")
        return request

    async def stop_charging(self, reason: str | None = None) -> call_result.StopTransaction:
        self.energy += 10  # so that the next start differs from this one, however soon it is
        request = call.StopTransaction(
            transaction_id=self.transaction, meter_stop=int(self.energy), timestamp=stamp(),
            reason=reason,
        )
        answer = await self.call(request, suppress=False)
        self.transaction = None
        await self.notify("Finishing")
        await self.notify("Available")
        return answer

    # What the daemon asks ------------------------------------------------------------------------

    async def serve(self) -> None:
        try:
            await self.start()
        except ConnectionClosed:
            pass  # the scenario notices

    async def act_late(self, raw_msg) -> None:
        await asyncio.sleep(self.answers_after)
        try:
            await super().route_message(raw_msg)
        except ConnectionClosed:
            pass  # too late for this connection

    async def route_message(self, raw_msg):
        if self.deaf and '"SetChargingProfile"' in raw_msg:
            self.ignored += 1
            return
        if self.answers_after and raw_msg.startswith("[2,"):
            self.tasks.append(asyncio.create_task(self.act_late(raw_msg)))
            return
        if raw_msg.startswith(f'[3,"start-{self.id}"'):
            self.limits_at_answer = len(self.limits)
        await super().route_message(raw_msg)

    @on(Action.set_charging_profile)
    def on_set_charging_profile(self, connector_id, cs_charging_profiles):
        profile = cs_charging_profiles
        purpose, level = profile["charging_profile_purpose"], profile["stack_level"]
        same = [
            key
            for key, old in self.profiles.items()
            if old["charging_profile_id"] == profile["charging_profile_id"]
        ]
        for key in same:
            del self.profiles[key]
        self.profiles[(connector_id, purpose, level)] = profile
        self.limits.append(self.allowed())
        return call_result.SetChargingProfile(status="Accepted")

    @on(Action.clear_charging_profile)
    def on_clear_charging_profile(
        self, id=None, connector_id=None, charging_profile_purpose=None, stack_level=None
    ):
        def matches(key, profile):
            wanted = [(connector_id, key[0]), (charging_profile_purpose, key[1]), (stack_level, key[2])]
            if id is not None:
                wanted = [(id, profile["charging_profile_id"])]
            return all(want is None or want == have for want, have in wanted)

        cleared = [key for key, profile in self.profiles.items() if matches(key, profile)]
        for key in cleared:
            del self.profiles[key]
        return call_result.ClearChargingProfile(status="Accepted" if cleared else "Unknown")

    @on(Action.get_configuration)
    def on_get_configuration(self, key=None):
        wanted = key or list(self.settings)
        known = [
            {"key": name, "readonly": False, "value": self.settings[name]}
            for name in wanted
            if name in self.settings
        ]
        unknown = [name for name in wanted if name not in self.settings]
        return call_result.GetConfiguration(configuration_key=known, unknown_key=unknown)

    @on(Action.change_configuration)
    def on_change_configuration(self, key, value):
        known = key in self.settings
        if known:
            self.settings[key] = value
        return call_result.ChangeConfiguration(status="Accepted" if known else "NotSupported")

    @on(Action.remote_start_transaction)
    def on_remote_start(self, id_tag, connector_id=None, charging_profile=None):
        return call_result.RemoteStartTransaction(status="Accepted")

    @after(Action.remote_start_transaction)
    async def after_remote_start(self, id_tag, connector_id=None, charging_profile=None):
        await self.start_charging(id_tag)

    @on(Action.remote_stop_transaction)
    def on_remote_stop(self, transaction_id):
        known = transaction_id == self.transaction
        return call_result.RemoteStopTransaction(status="Accepted" if known else "Rejected")

    @after(Action.remote_stop_transaction)
    async def after_remote_stop(self, transaction_id):
        if transaction_id == self.transaction:
            await self.stop_charging("Remote")

    @on(Action.data_transfer)
    def on_data_transfer(self, vendor_id, message_id=None, data=None):
        return call_result.DataTransfer(status="Accepted", data=f"heard: {data}")

    @on(Action.trigger_message)
    def on_trigger_message(self, requested_message, connector_id=None):
        known = requested_message in ("StatusNotification", "MeterValues", "BootNotification")
        return call_result.TriggerMessage(status="Accepted" if known else "NotImplemented")

    @after(Action.trigger_message)
    async def after_trigger_message(self, requested_message, connector_id=None):
        if requested_message == "StatusNotification":
            await self.notify("Charging" if self.transaction else "Available")
        elif requested_message == "MeterValues":
            self.asked_for_values += 1
            await self.send_meter_values()
        elif requested_message == "BootNotification":
            await self.boot()


async def dial(daemon: Daemon, address: str, tls: ssl.SSLContext | None = None, password=None):
    scheme = "wss" if tls else "ws"
    user = f"{address}:{password}@" if password else ""
    return await connect(
        f"{scheme}://{user}localhost:{daemon.port}/ocpp/{address}",
        host="127.0.0.1",
        ssl=tls,
        subprotocols=["ocpp1.6"],
        proxy=None,
        open_timeout=10,
        close_timeout=2,
    )


class Fuse:
    """Watches that the boxes behind it never draw more than it carries."""

    def __init__(self, *boxes: Wallbox):
        self.boxes = list(boxes)
        self.peak = 0.0
        self.task = asyncio.create_task(self.watch())

    async def watch(self) -> None:
        while True:
            self.peak = max(self.peak, sum(box.draw() for box in self.boxes))
            await asyncio.sleep(0.01)

    def open(self) -> None:
        self.task.cancel()
