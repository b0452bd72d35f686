//! `chargewarden reload`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::control_client::{ClientError, ControlClient, failed, output_failed};
use super::{exit, output};

/// The daemon waits for wallboxes to answer, and for a slow disk, before it gives up.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Answer {
    after_restart: Vec<String>,
    warnings: Vec<String>,
}

/// Lets the daemon read its configuration again, and says what came of it.
pub(super) fn reload(socket: &Path) -> ExitCode {
    let asked = ControlClient::connect(socket).and_then(|mut client| {
        let line = client.ask_patiently(&json!({ "do": "reload" }), PATIENCE)?;
        serde_json::from_str(&line).map_err(|error| client.not_understood(error))
    });
    match asked {
        Err(error) => {
            let code = failed(&error);
            match error {
                // The file is right and was not taken all the same.
                ClientError::Refused(_) => exit::IO.into(),
                _ => code,
            }
        }
        Ok(answer) => match output::print(&text(&answer)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => output_failed(&error),
        },
    }
}

fn text(answer: &Answer) -> String {
    let mut text = "the new configuration is in force\n".to_owned();
    for key in &answer.after_restart {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{key}: changed, but only a restart brings it into force"
        );
    }
    for warning in &answer.warnings {
        let _ = writeln!(text, "{warning}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_restart_and_what_is_odd_is_said() {
        let answer = Answer {
            after_restart: vec!["ocpp-server.port".to_owned()],
            warnings: vec!["site.toml:3:1: warning: odd".to_owned()],
        };
        assert_eq!(
            text(&answer),
            "the new configuration is in force\n\
             ocpp-server.port: changed, but only a restart brings it into force\n\
             site.toml:3:1: warning: odd\n"
        );
    }
}
