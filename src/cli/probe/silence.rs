//! What to look at when nothing answers.

use std::fmt::Write as _;

use super::asker::{Asker, is_alive};
use crate::cli::output;
use crate::modbus::{Address, Failure, Table};

/// Units that are often there.
const LIKELY: [u8; 4] = [1, 2, 3, 255];

/// A text for people. If the line is open, a few other units are asked.
pub(super) async fn explain(
    address: &Address,
    unit: u8,
    failure: &Failure,
    asker: &mut Asker,
) -> String {
    let mut text = match failure {
        Failure::NoConnection(why) => {
            return format!(
                "{address}: no connection: {why}.\n\nLook at:\n{}",
                unreachable(address)
            );
        }
        Failure::Exception(code) => format!(
            "{address}: a gateway answers, but reaches no unit {unit} (exception {code}).\n"
        ),
        Failure::Silent => {
            format!("{address}: the connection opens, but unit {unit} does not answer.\n")
        }
    };
    output::print_error(&format!(
        "unit {unit} does not answer; others are tried …\n"
    ));
    let others = others(asker, unit).await;
    if others.is_empty() {
        let _ = write!(
            text,
            "Nor does any other of {}.\n\nLook at:\n{}",
            list(&LIKELY),
            silent(address)
        );
    } else {
        let _ = writeln!(
            text,
            "Others that do: {}. Say which one with --id.",
            list(&others)
        );
    }
    text
}

async fn others(asker: &mut Asker, unit: u8) -> Vec<u8> {
    let mut found = Vec::new();
    for other in LIKELY.into_iter().filter(|other| *other != unit) {
        if is_alive(&asker.read(other, Table::Holding, 8000, 2).await) {
            found.push(other);
        }
    }
    found
}

fn list(units: &[u8]) -> String {
    let units: Vec<String> = units.iter().map(u8::to_string).collect();
    units.join(", ")
}

const fn unreachable(address: &Address) -> &'static str {
    match address {
        Address::Tcp { .. } => {
            "  - the address: is the device on, and does it answer a ping?\n  \
             - the port: 502 for most; a Power Brain has 4701, its S0 meters 4702 and 4703\n  \
             - whether Modbus TCP is switched on in the device\n  \
             - whether something else holds the only connection that the device allows\n"
        }
        Address::Serial { .. } => {
            "  - the device file: `ls -l /dev/serial/by-id` shows adapters that are plugged\n  \
             - the rights: the user must belong to its group, mostly dialout\n  \
             - whether another program has it open, the daemon for example\n"
        }
    }
}

const fn silent(address: &Address) -> &'static str {
    match address {
        Address::Tcp { .. } => {
            "  - the id that is set in the device\n  \
             - behind a gateway: its baud rate and parity, and the wires A and B\n  \
             - whether the port speaks Modbus TCP at all\n"
        }
        Address::Serial { .. } => {
            "  - the id that is set in the device\n  \
             - baud rate, parity and stop bits: the same on both sides\n  \
             - the wires: A and B swapped, ground, 120 ohms at both ends of the line\n  \
             - whether another master speaks on the line\n"
        }
    }
}
