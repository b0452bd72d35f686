//! `chargewarden evse enable|disable NAME`.

use std::io::{Write, stdout};
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::control_client::{ControlClient, failed, output_failed};

/// Switches the EVSE `name` on or off until the next reload or start.
pub fn evse(socket: &Path, name: &str, enable: bool) -> ExitCode {
    let (verb, state) = if enable {
        ("enable", "enabled")
    } else {
        ("disable", "disabled")
    };
    let request = json!({ "do": verb, "evse": name });
    match ControlClient::connect(socket).and_then(|mut client| client.ask(&request)) {
        Err(error) => failed(&error),
        Ok(_) => match writeln!(stdout(), "{name}: {state}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => output_failed(&error),
        },
    }
}
