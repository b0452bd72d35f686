//! How the messages of a wallbox are answered, apart from its transactions.
//!
//! Lenient: what can be understood is understood, and what cannot gets an answer that ends the
//! matter.

use serde::Serialize;
use serde_json::value::RawValue;
use tracing::{debug, info, warn};

use crate::clock::{Now, Timestamp};
use crate::evse::{Ask, Measured, Report, Verdict};
use crate::ids::{ConnectorId, IdTag};
use crate::ocpp::ChargePointStatus;
use crate::ocpp::frame::MessageId;
use crate::ocpp::messages::{
    self, Acceptance, Accepted, Authorize, AuthorizeResponse, BootNotification,
    BootNotificationResponse, DataTransfer, DataTransferResponse, DataTransferStatus, Empty,
    HeartbeatResponse, MeterValues, RegistrationStatus, StatusNotification,
};
use crate::ocpp::rpc::CallFailure;
use crate::ocpp::{Action, ErrorCode, Reading, timestamp};
use crate::units::MilliAmps;

use super::dead_man::{Floor, Life};
use super::relaying::{WHOLE, Waiting};
use super::sample_clock::SampleClock;
use super::set_up::Boot;
use super::station::{Context, Station};
use super::transacting::id_tag_info;

/// The vendor of status noise that the wallbox repeats unless it is accepted.
/// Quirk: `EVBox`: sends `evbStatusNotification` as a DataTransfer.
const EVBOX: &str = "EV-BOX";

/// The tag of a start that we ask for, where neither configuration nor wallbox names one.
const OUR_TAG: &str = "CHARGEWARDEN";

/// By our clock older meter values tell nothing of a connector that does not charge.
const LATE: jiff::SignedDuration = jiff::SignedDuration::from_mins(1);

/// No wallbox has more on a phase: a larger value is one in mA that says A.
const IMPLAUSIBLE: MilliAmps = MilliAmps::from_amps(1000);

impl Station {
    /// Carries out a CALL of the wallbox and answers it, now or when the upstream has answered.
    pub(super) fn answer(
        &mut self,
        context: &mut Context<'_>,
        id: &MessageId,
        action: &str,
        payload: &RawValue,
    ) {
        if action != "BootNotification" {
            self.set_up.heard();
        }
        match action {
            "BootNotification" => self.boot(context, id, payload),
            "Heartbeat" => self.reply(
                id,
                &HeartbeatResponse {
                    current_time: context.now.wall,
                },
            ),
            "StatusNotification" => self.status(context, id, payload),
            "MeterValues" => self.meter_values(context, id, payload),
            "Authorize" => self.authorize(context.now.mono, id, payload),
            "StartTransaction" => self.start(context, id, payload),
            "StopTransaction" => self.stop(context, id, payload),
            "DataTransfer" | "SignCertificate" if self.has_backend(WHOLE) => {
                self.relay(id, action, payload);
            }
            "DataTransfer" => self.data_transfer(id, payload),
            "DiagnosticsStatusNotification"
            | "FirmwareStatusNotification"
            | "LogStatusNotification"
            | "SecurityEventNotification"
            | "SignedFirmwareStatusNotification" => {
                self.reply(id, &Empty {});
                self.notice(WHOLE, action, payload);
            }
            // Certificates of wallboxes are not ours to sign.
            "SignCertificate" => self.reply(
                id,
                &Accepted {
                    status: Acceptance::Rejected,
                },
            ),
            _ if Action::from_name(action).is_none() && self.has_backend(WHOLE) => {
                self.relay(id, action, payload);
            }
            _ => self.refuse_action(id, action),
        }
    }

    /// Unknown: `NotImplemented`; known, but not for a central system: `NotSupported`.
    fn refuse_action(&mut self, id: &MessageId, action: &str) {
        let (code, what) = match Action::from_name(action) {
            None => (ErrorCode::NotImplemented, "unknown action"),
            Some(_) => (
                ErrorCode::NotSupported,
                "not an action for a central system",
            ),
        };
        debug!(charge_point = %self.plan.id, action, what, "a call was refused");
        self.refuse(id, &CallFailure::new(code, what));
    }

    pub(super) fn refuse(&mut self, id: &MessageId, why: &CallFailure) {
        let frame = self.rpc.refuse(id, why);
        self.send(frame, false);
    }

    pub(super) fn reply<T: Serialize>(&mut self, id: &MessageId, answer: &T) {
        self.reply_text(id, &messages::write(answer));
    }

    pub(super) fn reply_text(&mut self, id: &MessageId, payload: &str) {
        let frame = self.rpc.answer(id, payload);
        self.send(frame, false);
    }

    /// Always accepted and answered at once. A boot in mid-transaction is a reboot: the transaction
    /// stays open, its stop or its next meter values will tell.
    fn boot(&mut self, context: &mut Context<'_>, id: &MessageId, payload: &RawValue) {
        // What cannot be read is a wallbox of which nothing is known: it is served all the same.
        let boot = messages::parse::<BootNotification>(payload).map_or_else(
            |_| Boot::default(),
            |said| Boot {
                vendor: said.charge_point_vendor,
                model: said.charge_point_model,
                firmware: said.firmware_version.unwrap_or_default(),
                serial: said
                    .charge_point_serial_number
                    .or(said.charge_box_serial_number)
                    .unwrap_or_default(),
            },
        );
        info!(
            charge_point = %self.plan.id,
            vendor = boot.vendor.as_str(),
            model = boot.model.as_str(),
            firmware = boot.firmware.as_str(),
            "a wallbox booted"
        );
        if self.known.boot.as_ref() != Some(&boot) {
            // Another box or another firmware: what the old one understood says nothing.
            self.remember(super::set_up::Known {
                boot: Some(boot),
                ..Default::default()
            });
        }
        let interval = i64::try_from(self.plan.heartbeat_interval.as_secs()).unwrap_or(i64::MAX);
        let answer = BootNotificationResponse {
            status: RegistrationStatus::Accepted,
            current_time: context.now.wall,
            interval,
        };
        self.reply(id, &answer);
        self.notice(WHOLE, "BootNotification", payload);
        self.just_booted = true;
        self.follow_up.begin();
        self.nobody_falls_back();
        for connector in self.connectors.values_mut() {
            connector.setpoint.forget();
            connector.floor = Floor::default();
            connector.life = Life::default();
        }
        // It may have set its clock.
        self.sample_clock = SampleClock::default();
        self.begin(context.now.mono, true);
        self.report_all(&Report::Booted);
    }

    fn status(&mut self, context: &mut Context<'_>, message: &MessageId, payload: &RawValue) {
        self.reply(message, &Empty {});
        let Ok(said) = messages::parse::<StatusNotification>(payload) else {
            return;
        };
        let (id, status) = (said.connector_id, said.status);
        self.notice(id, "StatusNotification", payload);
        if let Some(time) = said.timestamp.as_deref().and_then(timestamp::parse_lenient) {
            self.learn_clock(time);
        }
        let Some(connector) = self.connector(id) else {
            return;
        };
        if status == ChargePointStatus::Faulted && connector.status != Some(status) {
            let (code, info) = (said.error_code.as_str(), said.info.as_deref());
            warn!(charge_point = %self.plan.id, connector = id.0, code, info, "a connector is faulted");
        }
        let Some(connector) = self.connector(id) else {
            return;
        };
        connector.status = Some(status);
        connector.preparing_since = (status == ChargePointStatus::Preparing)
            .then(|| connector.preparing_since.unwrap_or(context.now.mono));
        connector.status_is_fresh = true;
        self.report(id, Report::Status(status));
        self.weigh_transaction(context.now, id, status);
        self.report_demand(id);
        self.offer_remote_start(id, status);
    }

    /// Quirk: `MicroOcpp`: a clock that was never set shows 1970, where a schedule of this year has
    /// not begun. What the wallbox took counts for nothing then.
    fn learn_clock(&mut self, shown: Timestamp) {
        let is_set = !timestamp::clock_not_set(shown);
        if std::mem::replace(&mut self.clock_is_set, is_set) && !is_set {
            warn!(charge_point = %self.plan.id, "the clock of a wallbox was never set: its limits begin in 1970");
            for connector in self.connectors.values_mut() {
                connector.setpoint.forget();
            }
        }
    }

    /// Quirk: Autel, Easee and others: a plugged car begins only after a RemoteStartTransaction.
    /// The tag is asked for like one that was presented; some take only their own.
    fn offer_remote_start(&mut self, id: ConnectorId, status: ChargePointStatus) {
        let Some(plan) = self.connectors.get(&id).and_then(|c| c.plan.as_ref()) else {
            return;
        };
        let wanted = plan.profile.remote_start && !self.plan.observe;
        if !wanted || status != ChargePointStatus::Preparing || self.ledger.open_of(id).is_some() {
            return;
        }
        let own = self.known.own_tag.as_deref().map(IdTag::from);
        let tag = plan
            .fixed_id_tag
            .clone()
            .or(own)
            .unwrap_or_else(|| OUR_TAG.into());
        self.ask(
            self.evses_of(id),
            Ask::Authorize {
                tag: tag.clone(),
                payload: messages::write(&Authorize {
                    id_tag: tag.clone(),
                }),
            },
            Waiting::RemoteStart(id, tag),
        );
    }

    fn meter_values(&mut self, context: &mut Context<'_>, message: &MessageId, payload: &RawValue) {
        let Ok(said) = messages::parse::<MeterValues<'_>>(payload) else {
            self.reply_text(message, "{}");
            return;
        };
        let reading = Reading::of(&said.meter_value);
        self.adopt(context, said.connector_id, said.transaction_id, &reading);
        self.file_values(context.now, &said, &reading, payload);
        self.reply_text(message, "{}");
        self.learn_draw(context.now, &said, &reading);
    }

    fn learn_draw(&mut self, now: Now, said: &MeterValues<'_>, reading: &Reading) {
        let id = said.connector_id;
        let over = reading.has_transaction_end || self.is_over_for(id, said.transaction_id);
        let flows_now = !self.are_of_the_past(now, said) && !over;
        let measured = Measured {
            current: reading.current.filter(|current| {
                flows_now && current.0.into_iter().all(|amps| amps < IMPLAUSIBLE)
            }),
            power: reading.power.filter(|_| flows_now),
            energy: reading.energy,
        };
        let Some(connector) = self.connector(id) else {
            return;
        };
        connector.measure(measured);
        if measured != Measured::default() {
            self.report(id, Report::Measured(measured));
        }
        self.car_draws(now.mono, id, &measured);
    }

    /// Quirk: Ocular: closing meter values come after the stop, and no others after them.
    fn is_over_for(&self, id: ConnectorId, transaction: Option<i64>) -> bool {
        let open = self.ledger.open_of(id).map(|open| open.wallbox_id);
        transaction.is_some_and(|said| open != Some(said) && self.ledger.knows(said))
    }

    /// Meter values that a wallbox kept while it was away tell what flowed then. So do, at a
    /// connector that does not charge, any that are late by our clock.
    fn are_of_the_past(&mut self, now: Now, said: &MeterValues<'_>) -> bool {
        let times = said
            .meter_value
            .iter()
            .filter_map(|value| timestamp::parse_lenient(&value.timestamp));
        let Some(newest) = times.max() else {
            return false;
        };
        let kept_back = self.sample_clock.is_of_the_past(now, newest);
        let late = !timestamp::clock_not_set(newest) && now.wall.duration_since(newest) > LATE;
        let connector = self.connectors.get(&said.connector_id);
        let charges = connector
            .and_then(|connector| connector.status)
            .is_none_or(|status| {
                matches!(
                    status,
                    ChargePointStatus::Charging
                        | ChargePointStatus::SuspendedEV
                        | ChargePointStatus::SuspendedEVSE
                )
            });
        kept_back || (late && !charges)
    }

    pub(super) fn answer_authorize(&mut self, id: &MessageId, verdict: &Verdict) {
        self.reply(
            id,
            &AuthorizeResponse {
                id_tag_info: id_tag_info(verdict),
            },
        );
    }

    fn data_transfer(&mut self, id: &MessageId, payload: &RawValue) {
        let said = messages::parse::<DataTransfer>(payload);
        let status = match said {
            Ok(said) if said.vendor_id.eq_ignore_ascii_case(EVBOX) => DataTransferStatus::Accepted,
            _ => DataTransferStatus::UnknownVendorId,
        };
        self.reply(id, &DataTransferResponse { status, data: None });
    }
}
