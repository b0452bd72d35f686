//! `chargewarden limit CIRCUIT WATTS|on|off`.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::control_client::{ControlClient, failed, output_failed};
use super::output;

/// What the external limit signal shall say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// So many watts.
    Watts(u32),
    /// What `limit-signal` of the circuit says.
    On,
    /// Nothing any more.
    Off,
}

/// Reads `WATTS|on|off`.
pub(super) fn signal(text: &str) -> Result<Signal, String> {
    match text {
        "on" => Ok(Signal::On),
        "off" => Ok(Signal::Off),
        watts => watts
            .parse()
            .map(Signal::Watts)
            .map_err(|_| "write a whole number of watts, on or off".to_owned()),
    }
}

/// Sets the external limit signal of a circuit.
pub(super) fn limit(socket: &Path, circuit: &str, signal: Signal) -> ExitCode {
    let (watts, says) = match signal {
        Signal::Watts(watts) => (json!(watts), format!("{watts} W")),
        Signal::On => (Value::Bool(true), "on".to_owned()),
        Signal::Off => (Value::Null, "off".to_owned()),
    };
    let request = json!({ "do": "limit", "circuit": circuit, "watts": watts });
    match ControlClient::connect(socket).and_then(|mut client| client.ask(&request)) {
        Err(error) => failed(&error),
        Ok(_) => match output::print(&format!("limit of {circuit}: {says}\n")) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => output_failed(&error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_a_number_of_watts_on_or_off() {
        assert_eq!(signal("4200"), Ok(Signal::Watts(4200)));
        assert_eq!(signal("on"), Ok(Signal::On));
        assert_eq!(signal("off"), Ok(Signal::Off));
        for wrong in ["", "-1", "4.2kW", "ON", "NaN"] {
            assert!(signal(wrong).is_err(), "{wrong}");
        }
    }
}
