//! How some wallboxes write what they have to say.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::WallboxPlan;
use super::wire::with;
use crate::clock::Random;
use crate::sim::Quirk;

/// The quirks that change nothing but the text of frames.
#[derive(Debug, Clone)]
pub(super) struct Handwriting(BTreeSet<Quirk>);

impl Handwriting {
    pub(super) fn of(plan: &WallboxPlan) -> Self {
        Self(plan.quirks.clone())
    }

    pub(super) fn message_id(&self, random: &mut Random) -> Value {
        if self.0.contains(&Quirk::NumericMessageIds) {
            json!(random.below(1 << 31))
        } else {
            json!(random.uuid())
        }
    }

    /// The payload of a CALL.
    pub(super) fn payload(&self, action: &str, mut payload: Value) -> Value {
        for quirk in &self.0 {
            payload = match (quirk, action) {
                (Quirk::AbsurdRegisters, "StartTransaction") => {
                    with(payload, "meterStart", i32::MAX)
                }
                (Quirk::AbsurdRegisters, "StopTransaction") => with(payload, "meterStop", -1),
                (Quirk::AbsurdTransactionIds, "StopTransaction") => {
                    with(payload, "transactionId", i64::MAX)
                }
                (Quirk::OddMeterValues, "MeterValues") => oddly(payload),
                (Quirk::ExtraMembers, "Authorize") => with(payload, "connectorId", 1),
                (Quirk::ExtraMembers, _) => with(payload, "vendorExtension", json!([1, {}])),
                (Quirk::NullPayloads, _) if payload == json!({}) => Value::Null,
                _ => payload,
            };
        }
        payload
    }

    /// A frame as it leaves.
    pub(super) fn text(&self, frame: &Value) -> String {
        let mut text = frame.to_string();
        if self.0.contains(&Quirk::SignsReadings) {
            // Legal JSON that whoever writes it anew writes otherwise.
            text = text.replace('/', "\\/").replace('ß', "\\u00df");
        }
        if self.0.contains(&Quirk::BrokenLists) {
            text.replace("[{", "[,{")
        } else {
            text
        }
    }
}

/// Units with another prefix, phases to neutral, blanks around numbers.
fn oddly(mut payload: Value) -> Value {
    let values = payload.get_mut("meterValue").and_then(Value::as_array_mut);
    let samples = values
        .into_iter()
        .flatten()
        .filter_map(|value| value.get_mut("sampledValue")?.as_array_mut())
        .flatten();
    for sample in samples {
        let number = sample["value"].as_str().and_then(|text| text.parse().ok());
        let number: f64 = number.unwrap_or_default();
        let (number, unit) = match sample["unit"].as_str() {
            Some("W") => (number / 1000.0, "kW"),
            Some("Wh") => (number / 1000.0, "kWh"),
            Some("A") => (number * 1000.0, "mA"),
            _ => continue,
        };
        sample["value"] = json!(format!(" {number} "));
        sample["unit"] = json!(unit);
        if let Some(phase) = sample["phase"].as_str() {
            sample["phase"] = json!(format!("{phase}-N"));
        }
    }
    payload
}
