//! What a wallbox tells of itself by itself, and what its clock shows.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::wire::{OwnCall, Purpose};
use super::{Registration, Wallbox, call};
use crate::clock::{Mono, Now};
use crate::ids::ConnectorId;
use crate::ocpp::ChargePointStatus;
use crate::sim::Quirk;

/// How soon [`Quirk::BootLoop`] boots anew.
const BOOT_LOOP: Duration = Duration::from_secs(5);

/// When it has enough of that.
const BOOT_LOOP_LASTS: Duration = Duration::from_mins(1);

impl Wallbox {
    pub(super) fn tell_statuses(&mut self, now: Now) {
        if self.registration != Registration::Accepted || !self.wire.connected {
            return;
        }
        let whole = if self.operative {
            ChargePointStatus::Available
        } else {
            ChargePointStatus::Unavailable
        };
        if self.told.replace(whole) != Some(whole) {
            self.tell(now, ConnectorId(0), whole, false);
        }
        let hides_cars = self.hides_cars();
        let changed: Vec<(ConnectorId, ChargePointStatus)> = self
            .connectors
            .iter_mut()
            .filter_map(|(id, connector)| {
                let status = shown(connector.status(), hides_cars);
                (connector.told.replace(status) != Some(status)).then_some((*id, status))
            })
            .collect();
        for (id, status) in changed {
            self.tell(now, id, status, false);
        }
    }

    pub(super) fn hides_cars(&self) -> bool {
        self.plan.has(Quirk::AvailableWhilePlugged)
    }

    pub(super) fn shown(&self, status: ChargePointStatus) -> ChargePointStatus {
        shown(status, self.hides_cars())
    }

    pub(super) fn tell(
        &mut self,
        now: Now,
        id: ConnectorId,
        status: ChargePointStatus,
        triggered: bool,
    ) {
        let payload = json!({"connectorId": id.0, "errorCode": "NoError",
            "status": status.as_str(), "timestamp": self.stamp(now)});
        self.wire.call(OwnCall {
            triggered,
            ..call("StatusNotification", payload, Purpose::Status(id))
        });
    }

    pub(super) fn boot_notification(&self) -> OwnCall {
        let payload = json!({
            "chargePointVendor": self.plan.vendor, "chargePointModel": self.plan.model,
            "chargePointSerialNumber": self.plan.id.as_str().chars().take(25).collect::<String>(),
            "firmwareVersion": self.plan.firmware});
        call("BootNotification", payload, Purpose::Boot)
    }

    /// When [`Quirk::BootLoop`] boots anew.
    pub(super) fn boots_again_at(&self) -> Option<Mono> {
        let first = *self.looping_since.as_ref()?;
        let accepted = self.registration == Registration::Accepted;
        let at = self.accepted_at + BOOT_LOOP;
        (accepted && at.since(first) < BOOT_LOOP_LASTS).then_some(at)
    }

    pub(super) fn heartbeat_at(&self) -> Option<Mono> {
        let interval = self.keys.count("HeartbeatInterval");
        let wanted = self.wire.idle() && interval > 0;
        wanted.then(|| self.wire.last_sent + Duration::from_secs(interval))
    }

    /// What its own clock shows.
    pub(super) fn clock(&self, now: Now) -> Timestamp {
        if self.plan.has(Quirk::Clock1970) {
            let up = SignedDuration::try_from(now.mono.0).unwrap_or(SignedDuration::MAX);
            return Timestamp::UNIX_EPOCH
                .saturating_add(up)
                .unwrap_or(Timestamp::MAX);
        }
        now.wall.checked_add(self.skew).unwrap_or(now.wall)
    }

    pub(super) fn stamp(&self, now: Now) -> String {
        let (ahead, zone) = if self.plan.has(Quirk::NoZoneTimestamps) {
            (0, "")
        } else if self.plan.has(Quirk::ShortZone) {
            (3, "+03")
        } else if self.plan.has(Quirk::LocalTime) {
            (2, "Z")
        } else {
            (0, "Z")
        };
        let shown = self
            .clock(now)
            .saturating_add(SignedDuration::from_hours(ahead));
        let shown = shown.unwrap_or(Timestamp::MAX);
        format!("{}{zone}", shown.strftime("%Y-%m-%dT%H:%M:%S%.3f"))
    }
}

fn shown(status: ChargePointStatus, hides_cars: bool) -> ChargePointStatus {
    match status {
        ChargePointStatus::Preparing | ChargePointStatus::Finishing if hides_cars => {
            ChargePointStatus::Available
        }
        status => status,
    }
}
