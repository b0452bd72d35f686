//! The status as a table for people.

pub use super::grid::Look;
use super::grid::{Cell, Grid, Head, Paint, Row, cell, clean, push_painted};
use crate::site::status::{
    CircuitStatus, EvseStatus, GatewayStatus, MeterStatus, StatusDocument, UnknownChargePoint,
};

/// Draws the whole status; "–" stands for what is not known.
pub fn render(document: &StatusDocument, look: Look) -> String {
    let mut text = heading(document);
    evses(&document.evses).draw(&mut text, look);
    circuits(&document.circuits).draw(&mut text, look);
    meters(&document.meters).draw(&mut text, look);
    gateways(&document.evses).draw(&mut text, look);
    unknown(&document.unknown_charge_points).draw(&mut text, look);
    if !document.errors.is_empty() {
        text.push('\n');
    }
    for error in &document.errors {
        let error = format!("error: {}", clean(error));
        push_painted(&mut text, &error, Paint::Red, look);
        text.push('\n');
    }
    text
}

/// Puts `text` in the place of what the terminal shows, without a flicker.
pub fn screen(text: &str) -> String {
    format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
}

const UNKNOWN: &str = "–";

fn heading(document: &StatusDocument) -> String {
    let server = &document.ocpp_server;
    let plural = if server.connections == 1 { "" } else { "s" };
    format!(
        "chargewarden {} · load management: {} · up {} · OCPP port {}, TLS {}, {} connection{plural}\n",
        clean(&document.version),
        clean(&document.load_management),
        duration(document.uptime_s),
        server.port,
        clean(&server.tls),
        server.connections,
    )
}

fn evses(evses: &[EvseStatus]) -> Grid {
    let row = |it: &EvseStatus| {
        let session = it.transaction.as_ref();
        let status = match it.status.as_deref() {
            _ if !it.online => cell("offline").painted(Paint::Yellow),
            None => cell(UNKNOWN),
            Some("Charging") => cell("Charging").painted(Paint::Green),
            Some("Faulted") => cell("Faulted").painted(Paint::Red),
            Some(other) => cell(other),
        };
        Row {
            cells: vec![
                cell(&it.name),
                status,
                amps(it.offered_a),
                amps(it.setpoint_a),
                phases(it.measured_a),
                thousands(it.power_w.map(f64::from)),
                thousands(session.and_then(|it| it.energy_wh).map(watt_hours)),
                cell(
                    session
                        .and_then(|it| it.id_tag.as_deref())
                        .unwrap_or(UNKNOWN),
                ),
            ],
            note: clean(&it.reason),
        }
    };
    Grid {
        heads: &[
            Head::Left("EVSE"),
            Head::Left("STATUS"),
            Head::Right("OFFERED A"),
            Head::Right("SETPOINT A"),
            Head::Right("MEASURED A"),
            Head::Right("kW"),
            Head::Right("kWh"),
            Head::Left("TAG"),
        ],
        note_head: "WHY NOT MORE",
        rows: evses.iter().map(row).collect(),
    }
}

fn circuits(circuits: &[CircuitStatus]) -> Grid {
    let row = |it: &CircuitStatus| {
        let meter = match it.meter.as_str() {
            "stale" => cell("stale").painted(Paint::Yellow),
            "none" => cell(UNKNOWN),
            other => cell(other),
        };
        Row {
            cells: vec![
                cell(&it.name),
                fuse(it.limit_a),
                phases(Some(it.offered_a)),
                phases(it.house_a),
                meter,
            ],
            note: if it.failsafe {
                "failsafe current holds".to_owned()
            } else {
                String::new()
            },
        }
    };
    Grid {
        heads: &[
            Head::Left("CIRCUIT"),
            Head::Right("FUSE A"),
            Head::Right("OFFERED L1/L2/L3 A"),
            Head::Right("HOUSE L1/L2/L3 A"),
            Head::Left("METER"),
        ],
        note_head: "",
        rows: circuits.iter().map(row).collect(),
    }
}

fn meters(meters: &[MeterStatus]) -> Grid {
    let row = |it: &MeterStatus| Row {
        cells: vec![
            cell(&it.name),
            match it.state.as_str() {
                "stale" => cell("stale").painted(Paint::Yellow),
                other => cell(other),
            },
            amps(it.age_s),
            phases(it.current_a),
            thousands(it.power_w.map(f64::from)),
        ],
        note: String::new(),
    };
    Grid {
        heads: &[
            Head::Left("METER"),
            Head::Left("STATE"),
            Head::Right("AGE s"),
            Head::Right("L1/L2/L3 A"),
            Head::Right("kW"),
        ],
        note_head: "",
        rows: meters.iter().map(row).collect(),
    }
}

fn gateways(evses: &[EvseStatus]) -> Grid {
    let row = |(evse, it): (&EvseStatus, &GatewayStatus)| {
        let state = match it.state.as_str() {
            "accepted" => cell("accepted").painted(Paint::Green),
            "rejected" => cell("rejected").painted(Paint::Red),
            other => cell(other).painted(Paint::Yellow),
        };
        let dead_letters = cell(&it.dead_letters.to_string());
        Row {
            cells: vec![
                cell(&evse.name),
                cell(&it.client_id),
                state,
                cell(&it.queued.to_string()),
                match it.dead_letters {
                    0 => dead_letters,
                    _ => dead_letters.painted(Paint::Red),
                },
                amps(it.limit_a),
            ],
            note: clean(&it.url),
        }
    };
    let with_backend = evses
        .iter()
        .filter_map(|it| Some((it, it.gateway.as_ref()?)));
    Grid {
        heads: &[
            Head::Left("BACKEND OF"),
            Head::Left("CLIENT ID"),
            Head::Left("STATE"),
            Head::Right("QUEUED"),
            Head::Right("DEAD LETTERS"),
            Head::Right("LIMIT A"),
        ],
        note_head: "URL",
        rows: with_backend.map(row).collect(),
    }
}

fn unknown(boxes: &[UnknownChargePoint]) -> Grid {
    let row = |it: &UnknownChargePoint| Row {
        cells: vec![cell(&it.address), cell(&it.peer), cell(&it.last_seen)],
        note: String::new(),
    };
    Grid {
        heads: &[
            Head::Left("UNKNOWN CHARGE POINT"),
            Head::Left("FROM"),
            Head::Left("LAST SEEN"),
        ],
        note_head: "",
        rows: boxes.iter().map(row).collect(),
    }
}

fn amps(value: Option<f64>) -> Cell {
    cell(&value.map_or(UNKNOWN.to_owned(), |it| format!("{it:.1}")))
}

fn thousands(value: Option<f64>) -> Cell {
    cell(&value.map_or(UNKNOWN.to_owned(), |it| format!("{:.2}", it / 1000.0)))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "two decimals of a kWh are shown"
)]
const fn watt_hours(value: i64) -> f64 {
    value as f64
}

fn phases(values: Option<[f64; 3]>) -> Cell {
    cell(&values.map_or(UNKNOWN.to_owned(), |[l1, l2, l3]| {
        format!("{l1:.1}/{l2:.1}/{l3:.1}")
    }))
}

fn fuse([l1, l2, l3]: [f64; 3]) -> Cell {
    if l1.to_bits() == l2.to_bits() && l2.to_bits() == l3.to_bits() {
        cell(&l1.to_string())
    } else {
        cell(&format!("{l1}/{l2}/{l3}"))
    }
}

/// The two largest units.
fn duration(seconds: f64) -> String {
    let whole = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let seconds = whole.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> StatusDocument {
        serde_json::from_value(json!({
            "ok": true, "version": "0.1.0", "load_management": "control", "uptime_s": 3725.9,
            "ocpp_server": {"port": 19520, "tls": "detect", "connections": 2},
            "circuits": [
                {"name": "house", "limit_a": [63.0, 63.0, 63.0], "house_a": [3.2, 1.0, 0.4],
                 "offered_a": [26.6, 26.6, 26.6], "meter": "fresh", "failsafe": false},
                {"name": "garage", "limit_a": [32.0, 32.0, 25.5], "house_a": null,
                 "offered_a": [26.6, 26.6, 26.6], "meter": "stale", "failsafe": true}],
            "meters": [{"name": "grid", "state": "fresh", "age_s": 0.4,
                        "current_a": [20.1, 19.0, 18.0], "power_w": 13000}],
            "evses": [
                {"name": "garage-left", "device": "ocpp1.6", "address": "CB-4711", "id": 1,
                 "enabled": true, "online": true, "status": "Charging", "offered_a": 10.6,
                 "setpoint_a": 10.6, "phases": 3, "measured_a": [10.5, 10.6, 10.4],
                 "power_w": 7250, "energy_wh": 123_456, "reason": "limit: circuit house, L1",
                 "transaction": {"id": 17, "id_tag": "04A2…D5", "started": "2026-11-21T09:00:00Z",
                                 "energy_wh": 2300},
                 "gateway": {"url": "wss://backend.example/path/", "client_id": "DE*ABC*E1",
                             "state": "disconnected", "queued": 37, "dead_letters": 1,
                             "limit_a": 8.0}},
                {"name": "Stellplatz für Gäste", "device": "ocpp1.6", "address": "CB-2", "id": 1,
                 "enabled": true, "online": false, "status": "Charging", "offered_a": 16.0,
                 "setpoint_a": null, "phases": 1, "measured_a": null, "power_w": null,
                 "energy_wh": null, "reason": "cannot be reached and keeps what it was last told",
                 "transaction": null, "gateway": null},
                {"name": "c", "device": "ocpp1.6", "address": "CB-3", "id": 1,
                 "enabled": true, "online": true, "status": null, "offered_a": 0.0,
                 "setpoint_a": 0.0, "phases": 3, "measured_a": [0.0, 0.0, 0.0], "power_w": 0,
                 "energy_wh": 5, "reason": "no transaction", "transaction": null,
                 "gateway": {"url": "wss://backend.example/path/", "client_id": "DE*ABC*E2",
                             "state": "accepted", "queued": 0, "dead_letters": 0,
                             "limit_a": null}}],
            "unknown_charge_points": [{"address": "CB-9", "peer": "192.168.1.77",
                                       "last_seen": "2026-11-21T09:00:00Z"}],
            "errors": ["the disk refuses the journal: 3 records wait"]
        }))
        .unwrap()
    }

    fn plain(width: Option<usize>) -> Look {
        Look {
            width,
            colours: false,
        }
    }

    #[test]
    fn everything_is_shown_where_there_is_room() {
        insta::assert_snapshot!(render(&document(), plain(None)), @r"
        chargewarden 0.1.0 · load management: control · up 1 h 2 min · OCPP port 19520, TLS detect, 2 connections

        EVSE                  STATUS    OFFERED A  SETPOINT A      MEASURED A    kW   kWh  TAG      WHY NOT MORE
        garage-left           Charging       10.6        10.6  10.5/10.6/10.4  7.25  2.30  04A2…D5  limit: circuit house, L1
        Stellplatz für Gäste  offline        16.0           –               –     –     –  –        cannot be reached and keeps what it was last told
        c                     –               0.0         0.0     0.0/0.0/0.0  0.00     –  –        no transaction

        CIRCUIT      FUSE A  OFFERED L1/L2/L3 A  HOUSE L1/L2/L3 A  METER
        house            63      26.6/26.6/26.6       3.2/1.0/0.4  fresh
        garage   32/32/25.5      26.6/26.6/26.6                 –  stale  failsafe current holds

        METER  STATE  AGE s      L1/L2/L3 A     kW
        grid   fresh    0.4  20.1/19.0/18.0  13.00

        BACKEND OF   CLIENT ID  STATE         QUEUED  DEAD LETTERS  LIMIT A  URL
        garage-left  DE*ABC*E1  disconnected      37             1      8.0  wss://backend.example/path/
        c            DE*ABC*E2  accepted           0             0        –  wss://backend.example/path/

        UNKNOWN CHARGE POINT  FROM          LAST SEEN
        CB-9                  192.168.1.77  2026-11-21T09:00:00Z

        error: the disk refuses the journal: 3 records wait
        ");
    }

    #[test]
    fn a_reason_that_is_too_long_is_cut_where_the_terminal_ends() {
        let mut document = document();
        document.evses.truncate(2);
        document.evses[0].gateway = None;
        document.circuits.clear();
        document.meters.clear();
        document.unknown_charge_points.clear();
        document.errors.clear();
        let text = render(&document, plain(Some(130)));
        insta::assert_snapshot!(text, @r"
        chargewarden 0.1.0 · load management: control · up 1 h 2 min · OCPP port 19520, TLS detect, 2 connections

        EVSE                  STATUS    OFFERED A  SETPOINT A      MEASURED A    kW   kWh  TAG      WHY NOT MORE
        garage-left           Charging       10.6        10.6  10.5/10.6/10.4  7.25  2.30  04A2…D5  limit: circuit house, L1
        Stellplatz für Gäste  offline        16.0           –               –     –     –  –        cannot be reached and keeps what it w…
        ");
        assert!(text.lines().all(|line| line.chars().count() <= 130));
    }

    #[test]
    fn on_a_narrow_terminal_a_reason_has_a_line_of_its_own() {
        let mut document = document();
        document.evses.truncate(1);
        document.evses[0].gateway = None;
        document.circuits.clear();
        document.meters.clear();
        document.unknown_charge_points.clear();
        document.errors.clear();
        insta::assert_snapshot!(render(&document, plain(Some(80))), @r"
        chargewarden 0.1.0 · load management: control · up 1 h 2 min · OCPP port 19520, TLS detect, 2 connections

        EVSE         STATUS    OFFERED A  SETPOINT A      MEASURED A    kW   kWh  TAG
        garage-left  Charging       10.6        10.6  10.5/10.6/10.4  7.25  2.30  04A2…D5
            limit: circuit house, L1
        ");
    }

    #[test]
    fn colours_do_not_change_what_is_written_or_where() {
        let coloured = render(
            &document(),
            Look {
                width: None,
                colours: true,
            },
        );
        assert!(coloured.contains("\x1b[32mCharging"));
        let mut without = coloured;
        for code in [0, 1, 31, 32, 33] {
            without = without.replace(&format!("\x1b[{code}m"), "");
        }
        assert_eq!(without, render(&document(), plain(None)));
    }

    #[test]
    fn a_wallbox_cannot_steer_the_terminal_or_widen_the_table() {
        let mut document = document();
        document.unknown_charge_points[0].address =
            format!("\x1b[2J\n\u{202e}{}", "x".repeat(9999));
        document.evses[0].reason = "\x1b]0;title\x07".to_owned();
        document.errors[0] = "\r\x1b[1A".to_owned();
        let text = render(&document, plain(None));
        assert!(!text.contains(['\x1b', '\x07', '\r', '\u{202e}']));
        assert!(text.contains(" \u{fffd}]0;title\u{fffd}\n"));
        assert!(text.lines().all(|line| line.chars().count() < 200));
    }

    #[test]
    fn no_width_is_too_small_and_no_number_too_large() {
        let mut document = document();
        document.uptime_s = f64::NAN;
        document.evses[0].offered_a = Some(f64::INFINITY);
        for width in 0..200 {
            assert!(render(&document, plain(Some(width))).contains("garage-left"));
        }
    }

    #[test]
    fn a_duration_has_its_two_largest_units() {
        for (seconds, expected) in [
            (0.9, "0 s"),
            (61.0, "1 min 1 s"),
            (3725.9, "1 h 2 min"),
            (200_000.0, "2 d 7 h"),
            (-1.0, "0 s"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
    }

    #[test]
    fn a_new_screen_wipes_what_the_old_one_left() {
        assert_eq!(screen("a\nb\n"), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
    }
}
