//! Every register of a Power Brain, with the name that its maker gives it.

use super::asker::{Asker, is_alive};
use crate::cli::columns::Table;
use crate::modbus::{Answer, Failure, Table as Registers};

const UNKNOWN: &str = "–";

/// How a register is shown.
#[derive(Clone, Copy)]
enum Show {
    /// So many characters, two in each register.
    Text(u16),
    Number,
    Hex,
    /// Major and minor number in one register.
    Version,
    /// Two registers, the vendor in the first.
    Vendor,
    Long,
    /// Two registers, -1 = none.
    Power,
    Huge,
    /// Steps of 0.1.
    Tenths,
    /// Two registers in steps of 0.1.
    LongTenths,
    /// A number and what it means.
    Choice(&'static [(u16, &'static str)]),
    /// What each bit means.
    Bits(&'static [(u16, &'static str)]),
}

struct Entry {
    address: u16,
    show: Show,
    name: &'static str,
    unit: &'static str,
    /// For what is not clear from the name.
    meaning: &'static str,
}

const fn entry(
    address: u16,
    show: Show,
    name: &'static str,
    unit: &'static str,
    meaning: &'static str,
) -> Entry {
    Entry {
        address,
        show,
        name,
        unit,
        meaning,
    }
}

const OFF_ON: Show = Show::Choice(&[(0, "off"), (1, "on")]);

const STATES: Show = Show::Choice(&[
    (0, "A: no vehicle"),
    (1, "B: vehicle plugged"),
    (2, "C: charging"),
    (3, "D: charging, with ventilation"),
    (4, "E: no power"),
    (5, "F: error"),
    (9, "error of the DC sensor"),
]);

const PHASES: Show = Show::Bits(&[(0, "measures single phases")]);

const INPUTS: Show = Show::Bits(&[
    (0, "S0 input 1"),
    (1, "S0 input 2"),
    (8, "phases may be switched while plugged"),
    (9, "bit 10 is valid"),
    (10, "second relay present"),
    (11, "second relay controlled from outside"),
]);

/// What wallbox and S0 units have in common.
#[rustfmt::skip]
const COMMON: &[Entry] = &[
    entry(8000, Show::Vendor, "vendor_id", "", ""),
    entry(8002, Show::Number, "product_id", "", ""),
    entry(8003, Show::Hex, "device_id", "", ""),
    entry(8004, Show::Version, "product_version", "", ""),
    entry(8005, Show::Number, "product_build", "", ""),
    entry(8006, Show::Version, "mapping_version", "", ""),
    entry(8008, Show::Text(8), "serial_no", "", ""),
    entry(8016, Show::Text(16), "name", "", ""),
    entry(8040, Show::Number, "slave_id", "", "Modbus unit"),
];

/// The wallbox alone: unit 1, usually at port 4701.
#[rustfmt::skip]
const WALLBOX: &[Entry] = &[
    entry(8080, Show::Tenths, "def_fixed_current", "A", "8091 after power-on"),
    entry(8081, Show::Tenths, "def_charg_cur_limit", "A", "8093 after power-on"),
    entry(8082, OFF_ON, "def_charging_enable", "", "8094 after power-on"),
    entry(8083, Show::Long, "fail_safe_duration", "s", "without a request until 8085 holds; 0 = never"),
    entry(8085, Show::Tenths, "fail_safe_current", "A", "0 = no charging"),
    entry(8086, Show::Number, "disconnect_cp", "s", "for which the control pilot is still cut"),
    entry(8087, Show::Choice(&[(0, "three phases"), (1, "one phase")]), "relay_select", "", ""),
    entry(8088, OFF_ON, "relay2", "", ""),
    entry(8090, Show::Tenths, "cable_current", "A", "what the cable bears; 0 = no cable"),
    entry(8091, Show::Tenths, "fixed_current", "A", "instead of 8090; 0 = none"),
    entry(8092, STATES, "charge_pilot_state", "", ""),
    entry(8093, Show::Tenths, "charging_cur_limit", "A", "the limit that is set"),
    entry(8094, OFF_ON, "charging_enable", "", ""),
    entry(8095, Show::Tenths, "charging_current", "A", "what the vehicle is told"),
    entry(8096, Show::Text(15), "last_rfid", "", "the last card"),
    entry(8111, Show::Number, "detected_rfids", "", "cards so far"),
    entry(8112, Show::Choice(&[(0, "none"), (1, "attached")]), "has_meter", "", ""),
    entry(8113, INPUTS, "s0_inputs", "", ""),
    entry(8120, Show::Long, "count_restart", "", "restarts of the hardware"),
];

/// An S0 input as a meter: units 2 and 3, usually at ports 4702 and 4703.
#[rustfmt::skip]
const PULSES: &[Entry] = &[
    entry(8042, Show::Long, "pulses_per_kwh", "", ""),
    entry(8044, Show::Bits(&[(0, "L1"), (1, "L2"), (2, "L3")]), "simulated_phases", "", ""),
    entry(8045, Show::Number, "voltage_l1", "V", "nominal"),
    entry(8046, Show::Number, "voltage_l2", "V", "nominal"),
    entry(8047, Show::Number, "voltage_l3", "V", "nominal"),
    entry(8050, Show::Huge, "pulse_count", "", ""),
    entry(8054, Show::Long, "pulse_interval", "ms", "between the last two"),
    entry(8056, Show::Choice(&[(0, "current flows"), (1, "no current")]), "input_level", "", ""),
];

/// The attached meter of a wallbox, or what an S0 unit makes of its pulses.
#[rustfmt::skip]
const METER: &[Entry] = &[
    entry(8057, PHASES, "meter_flags", "", ""),
    entry(8058, Show::Huge, "energy", "Wh", "active import"),
    entry(8062, Show::Power, "power", "W", ""),
    entry(8064, Show::LongTenths, "current_l1", "A", ""),
    entry(8066, Show::LongTenths, "current_l2", "A", ""),
    entry(8068, Show::LongTenths, "current_l3", "A", ""),
];

/// Whether an answer to the first two registers is that of a Power Brain.
pub(super) fn is_one(answer: &Answer) -> bool {
    answer
        .as_ref()
        .is_ok_and(|words| words.first() == Some(&0xCF05))
}

/// What the device is, in a few words, and all its registers as a table.
///
/// # Errors
///
/// Why nothing was read.
pub(super) async fn show(asker: &mut Asker, unit: u8) -> Result<(String, String), Failure> {
    match asker.read(unit, Registers::Holding, 8000, 2).await {
        answer if is_alive(&answer) => {}
        answer => answer.map(drop)?,
    }
    let mut table = Table::new(&["register", "name", "value", "unit", "meaning"]);
    let name = entries(asker, unit, COMMON, &mut table).await;
    let wallbox = asker.read(unit, Registers::Holding, 8092, 1).await.is_ok();
    let kind = if wallbox {
        let meter = asker.read(unit, Registers::Holding, 8112, 1).await;
        if meter.is_ok_and(|words| words.first().is_some_and(|it| *it != 0)) {
            entries(asker, unit, METER, &mut table).await;
        }
        entries(asker, unit, WALLBOX, &mut table).await;
        "wallbox"
    } else {
        entries(asker, unit, PULSES, &mut table).await;
        entries(asker, unit, METER, &mut table).await;
        "S0 meter"
    };
    let name = name.unwrap_or_else(|| "cFos Power Brain".to_owned());
    Ok((format!("{name} ({kind})"), table.render()))
}

/// Adds a row for each entry; returns what the device calls itself.
async fn entries(
    asker: &mut Asker,
    unit: u8,
    entries: &[Entry],
    table: &mut Table,
) -> Option<String> {
    let mut name = None;
    for run in entries.chunk_by(|a, b| b.address == a.address + a.show.count()) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            continue;
        };
        let count = last.address + last.show.count() - first.address;
        let whole = asker
            .read(unit, Registers::Holding, first.address, count)
            .await;
        for entry in run {
            // Older firmware has some registers less, and refuses the whole run.
            let words = match &whole {
                Ok(words) => {
                    let from = usize::from(entry.address - first.address);
                    Ok(words.get(from..).unwrap_or_default().to_vec())
                }
                Err(Failure::Exception(_)) => {
                    let count = entry.show.count();
                    asker
                        .read(unit, Registers::Holding, entry.address, count)
                        .await
                }
                Err(failure) => Err(failure.clone()),
            };
            let (value, meaning) = match words {
                Ok(words) => entry.show.value(&words).unwrap_or_default(),
                Err(failure) => (UNKNOWN.to_owned(), failure.to_string()),
            };
            if entry.name == "name" && !value.is_empty() && value != UNKNOWN {
                name = Some(value.clone());
            }
            let meaning = [meaning.as_str(), entry.meaning]
                .into_iter()
                .find(|it| !it.is_empty());
            table.row(vec![
                entry.address.to_string(),
                entry.name.to_owned(),
                value,
                entry.unit.to_owned(),
                meaning.unwrap_or_default().to_owned(),
            ]);
        }
    }
    name
}

impl Show {
    const fn count(self) -> u16 {
        match self {
            Self::Text(count) => count,
            Self::Number
            | Self::Hex
            | Self::Version
            | Self::Tenths
            | Self::Choice(_)
            | Self::Bits(_) => 1,
            Self::Vendor | Self::Long | Self::Power | Self::LongTenths => 2,
            Self::Huge => 4,
        }
    }

    /// The value, and what it means where that is more than the number.
    fn value(self, words: &[u16]) -> Option<(String, String)> {
        let words = words.get(..usize::from(self.count()))?;
        let number = words
            .iter()
            .take(4)
            .fold(0_u64, |sum, word| (sum << 16) | u64::from(*word));
        let word = words.first().copied().unwrap_or(0);
        let plain = |text: String| Some((text, String::new()));
        match self {
            Self::Text(_) => plain(text(words)),
            Self::Number | Self::Long | Self::Huge => plain(number.to_string()),
            Self::Version => plain(format!("{}.{}", word >> 8, word & 0xFF)),
            Self::Hex | Self::Vendor => plain(format!("0x{word:04X}")),
            Self::Power if number == 0xFFFF_FFFF => {
                Some((UNKNOWN.to_owned(), "none yet".to_owned()))
            }
            Self::Power => {
                let high = words.first().copied().unwrap_or(0).cast_signed();
                let low = words.get(1).copied().unwrap_or(0);
                plain((i32::from(high) * 0x1_0000 + i32::from(low)).to_string())
            }
            Self::Tenths | Self::LongTenths => plain(format!("{}.{}", number / 10, number % 10)),
            Self::Choice(choices) => {
                let meaning = choices.iter().find(|(choice, _)| *choice == word);
                let meaning = meaning.map_or("?", |(_, meaning)| meaning);
                Some((word.to_string(), meaning.to_owned()))
            }
            Self::Bits(bits) => {
                let set = bits.iter().filter(|(bit, _)| word & (1 << bit) != 0);
                let set: Vec<&str> = set.map(|(_, meaning)| *meaning).collect();
                Some((word.to_string(), set.join(", ")))
            }
        }
    }
}

fn text(words: &[u16]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    let end = bytes.iter().position(|byte| *byte == 0);
    let bytes = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
    crate::cli::grid::clean(&String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(show: Show, words: &[u16]) -> String {
        let (value, meaning) = show.value(words).unwrap();
        format!("{value} {meaning}").trim_end().to_owned()
    }

    #[test]
    fn registers_are_shown_as_people_speak_of_them() {
        assert_eq!(shown(Show::Vendor, &[0xCF05, 0]), "0xCF05");
        assert_eq!(shown(Show::Version, &[0x0102]), "1.2");
        assert_eq!(shown(Show::Tenths, &[165]), "16.5");
        assert_eq!(shown(Show::Power, &[0xFFFF, 0xFFFF]), "– none yet");
        assert_eq!(shown(Show::Power, &[0xFFFF, 0xFF9C]), "-100");
        assert_eq!(shown(Show::Power, &[0x8000, 0]), "-2147483648");
        assert_eq!(shown(Show::Huge, &[0, 0, 1, 1]), "65537");
        assert_eq!(shown(STATES, &[2]), "2 C: charging");
        assert_eq!(shown(STATES, &[7]), "7 ?");
        let inputs = "257 S0 input 1, phases may be switched while plugged";
        assert_eq!(shown(INPUTS, &[257]), inputs);
        assert_eq!(shown(Show::Text(3), &[0x6346, 0x6F73, 0]), "cFos");
        assert_eq!(shown(Show::Text(1), &[0x1B41]), "\u{fffd}A");
        assert!(Show::Huge.value(&[1]).is_none());
    }

    #[test]
    fn no_request_touches_more_registers_than_one_frame_holds_and_none_is_listed_twice() {
        for entries in [COMMON, WALLBOX, PULSES, METER] {
            for pair in entries.windows(2) {
                assert!(pair[0].address + pair[0].show.count() <= pair[1].address);
            }
            let (first, last) = (&entries[0], entries.last().unwrap());
            assert!(last.address + last.show.count() - first.address <= 125);
        }
    }
}
