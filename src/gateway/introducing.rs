//! Who we say that we are (OCPP 1.6 §4.2): what the wallbox says of itself, or what the
//! configuration says of one that we play.

use std::time::Duration;

use crate::clock::Mono;
use crate::ocpp::messages::{self, BootNotification};
use crate::ocpp::splice::splice;

use super::gateway::Gateway;

/// A wallbox that never says who it is gets a name of ours after this.
pub(super) const NAMELESS: Duration = Duration::from_mins(1);

/// What a Modbus wallbox is where neither the configuration nor the device says it.
const MAKER: &str = "cFos";
const MODEL: &str = "Power Brain";

impl Gateway {
    /// From when there is something to say; `None` = not before a wallbox has come.
    pub(super) fn introduction(&self, now: Mono) -> Option<Mono> {
        let plan = &self.plan.boot;
        let named = self.members.are_emulated() && plan.vendor.is_some() && plan.model.is_some();
        if named || self.boot.is_some() {
            return Some(now);
        }
        let plays = self.members.iter().any(|it| !it.plan.is_ocpp);
        plays.then(|| now + NAMELESS)
    }

    /// The wallbox that speaks for all says what it is. An OCPP wallbox does that when it has
    /// booted; of one that we play only news are worth a boot, because that may end transactions.
    pub(super) fn take_boot(&mut self, now: Mono, payload: &str) {
        let before = self.boot_payload();
        self.boot = Some(payload.to_owned());
        self.remember_text("boot", payload);
        self.connection.introduce_at(now);
        if !self.members.are_emulated() {
            self.boot_again(now);
        } else if self.boot_payload() != before {
            self.registration.outdated = true;
        }
    }

    /// The backend is to hear who we are now, and nothing runs or waits that it could take amiss.
    pub(super) fn is_to_boot_anew(&self) -> bool {
        let idle = self.outbox.len() == 0 && self.transactions.open().next().is_none();
        self.registration.outdated && idle
    }

    /// The configuration counts first, then the device.
    fn own_boot(&self) -> String {
        let said = self
            .boot
            .as_ref()
            .and_then(|it| serde_json::from_str(it).ok());
        let said: BootNotification = said.unwrap_or_default();
        let plan = &self.plan.boot;
        let first = |configured: &Option<String>, said: Option<String>, most| {
            let said = said.filter(|said| !said.trim().is_empty());
            let text = configured.clone().or(said)?;
            Some(text.chars().take(most).collect::<String>())
        };
        let vendor = first(&plan.vendor, Some(said.charge_point_vendor), 20);
        let model = first(&plan.model, Some(said.charge_point_model), 20);
        messages::write(&BootNotification {
            charge_point_vendor: vendor.unwrap_or_else(|| MAKER.to_owned()),
            charge_point_model: model.unwrap_or_else(|| MODEL.to_owned()),
            charge_point_serial_number: first(&plan.serial, said.charge_point_serial_number, 25),
            firmware_version: first(&plan.firmware, said.firmware_version, 50),
            meter_serial_number: first(&None, said.meter_serial_number, 25),
            meter_type: first(&None, said.meter_type, 25),
            ..BootNotification::default()
        })
    }

    /// What the wallbox says of itself; where several EVSEs of one wallbox are charge points of
    /// their own, each has a serial number of its own.
    pub(super) fn boot_payload(&self) -> String {
        if self.members.are_emulated() {
            return self.own_boot();
        }
        let plan = &self.plan.boot;
        let Some(boot) = &self.boot else {
            return messages::write(&BootNotification {
                charge_point_vendor: plan.vendor.clone().unwrap_or_else(|| "unknown".to_owned()),
                charge_point_model: plan.model.clone().unwrap_or_else(|| "unknown".to_owned()),
                charge_point_serial_number: plan.serial.clone(),
                firmware_version: plan.firmware.clone(),
                ..BootNotification::default()
            });
        };
        let Some(suffix) = &self.plan.serial_suffix else {
            return boot.clone();
        };
        let said = serde_json::from_str::<BootNotification>(boot).ok();
        let serial = said.and_then(|said| said.charge_point_serial_number);
        let Some(serial) = serial else {
            return boot.clone();
        };
        let kept: String = serial.chars().take(25 - suffix.len().min(25)).collect();
        let serial = messages::write(&format!("{kept}{suffix}"));
        splice(boot, &[("chargePointSerialNumber", &serial)]).unwrap_or_else(|| boot.clone())
    }
}
