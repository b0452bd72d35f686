//! The billing backend of the demo: what it does by itself, and what it heard last.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::cli::grid::{Grid, Head, Look, Row, cell, clean};
use crate::clock::{Now, Random};
use crate::daemon::listener::Listener;
use crate::ids::{ChargeBoxId, ConnectorId, IdTag};
use crate::ocpp::charging_profile::ChargingProfilePurpose;
use crate::ocpp::timestamp;
use crate::sim::backend::{Command, Entry, Event, Limit, Server, listen, serve};
use crate::sim::{Backend, BackendPlan};
use crate::units::MilliAmps;

/// Whom it limits.
pub(super) const LIMITED: &str = "DE*DEMO*E1";

const LIMIT: i32 = 8;
const BEFORE_THE_LIMIT: Duration = Duration::from_secs(20);
const LIMITED_FOR: Duration = Duration::from_secs(30);
const AFTER_THE_LIMIT: Duration = Duration::from_secs(30);

/// A gateway tries for the third time 25 to 41 seconds after it lost its backend: the backend shall
/// be back by then, because the fourth time would try the patience of whoever looks on.
const AWAY: Duration = Duration::from_secs(24);

/// While another program has its port.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Enough to see what happened last; more would fill the memory of a demo that nobody ends.
const LEDGER: usize = 100;

const SHOWN: usize = 5;

/// What came so late did wait.
const LATE_SECONDS: i64 = 5;

/// Limits a wallbox for a while, goes away for a while, and so on until `stop`.
pub(super) async fn run(mut listener: Listener, heard: Heard, stop: CancellationToken) {
    let port = listener.local_port();
    let plan = BackendPlan {
        ledger_limit: LEDGER,
        ..BackendPlan::default()
    };
    let mut backend = Backend::new(plan, Random::new(super::SEED));
    let mut reader = Reader::default();
    let told = heard.clone();
    backend.inspect(move |entry| {
        if let Some(what) = reader.read(entry) {
            told.say(entry.at, entry.client_id.as_str(), what);
        }
    });
    loop {
        let open = stop.child_token();
        let server = serve(listener, backend, open.clone());
        let left = stop.run_until_cancelled(be_there(&server, &heard)).await;
        open.cancel();
        server.ended().await;
        let Some(Some(same)) = left else { return };
        let Some(again) = stop.run_until_cancelled(come_back(port)).await else {
            return;
        };
        (backend, listener) = (same, again);
    }
}

/// Returns the backend with all that it knows, when it goes away.
async fn be_there(server: &Server, heard: &Heard) -> Option<Backend> {
    let told = heard.clone();
    let here = move |now, _: &mut Backend| told.say(now, "–", "the backend is here".to_owned());
    server.with(here).await?;
    sleep(BEFORE_THE_LIMIT).await;
    server.with(ask_for_readings).await?;
    let limit = Limit::Amps(MilliAmps::from_amps(LIMIT));
    let purpose = ChargingProfilePurpose::ChargePointMaxProfile;
    command(server, Command::limit(ConnectorId(0), purpose, limit)).await;
    sleep(LIMITED_FOR).await;
    command(server, Command::clear_all()).await;
    sleep(AFTER_THE_LIMIT).await;
    let told = heard.clone();
    let leave = move |now, backend: &mut Backend| {
        let what = format!(
            "the backend goes away for {} s; cars go on, messages wait",
            AWAY.as_secs()
        );
        told.say(now, "–", what);
        leave(now, backend)
    };
    server.with(leave).await
}

async fn command(server: &Server, command: Command) {
    let send = move |now, backend: &mut Backend| {
        // Whoever is not connected is not limited this time.
        let _ = backend.command(now, &LIMITED.into(), command);
    };
    server.with(send).await;
}

/// So often that some wait when it was away.
fn ask_for_readings(now: Now, backend: &mut Backend) {
    let connected: Vec<ChargeBoxId> = backend.connected().cloned().collect();
    for client_id in connected {
        let command = Command::ChangeConfiguration {
            key: "MeterValueSampleInterval".to_owned(),
            value: "5".to_owned(),
        };
        // It is connected.
        let _ = backend.command(now, &client_id, command);
    }
}

/// Takes the backend away from its server, which then ends the connections.
fn leave(now: Now, backend: &mut Backend) -> Backend {
    let connected: Vec<ChargeBoxId> = backend.connected().cloned().collect();
    for client_id in connected {
        backend.hang_up(now, &client_id);
    }
    while backend.poll_output().is_some() {}
    let nobody = Backend::new(BackendPlan::default(), Random::new(super::SEED));
    mem::replace(backend, nobody)
}

async fn come_back(port: u16) -> Listener {
    sleep(AWAY).await;
    loop {
        match listen((Ipv4Addr::LOCALHOST, port).into(), None, None) {
            Ok(listener) => return listener,
            Err(_) => sleep(TRY_AGAIN).await,
        }
    }
}

/// The last lines of what the backend heard. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<Mutex<VecDeque<Line>>>);

#[derive(Debug, Clone)]
struct Line {
    time: String,
    from: String,
    what: String,
}

impl Heard {
    /// Draws them below the table.
    pub(super) fn draw(&self, text: &mut String, look: Look) {
        let row = |line: &Line| Row {
            cells: vec![cell(&line.time), cell(&line.from)],
            note: clean(&line.what),
        };
        let grid = Grid {
            heads: &[Head::Left("BACKEND HEARD"), Head::Left("FROM")],
            note_head: "WHAT",
            rows: self.lines().iter().map(row).collect(),
        };
        grid.draw(text, look);
    }

    fn say(&self, now: Now, from: &str, what: String) {
        let line = Line {
            time: now.wall.strftime("%H:%M:%SZ").to_string(),
            from: from.to_owned(),
            what,
        };
        let mut lines = self.lines();
        lines.push_back(line);
        if lines.len() > SHOWN {
            lines.pop_front();
        }
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds what a person wants to know of it: who starts, and what a stop costs.
#[derive(Debug, Default)]
struct Reader {
    /// The StartTransaction that is not answered.
    asks: BTreeMap<ChargeBoxId, Value>,
    /// The register at the start of each transaction, in Wh.
    begins: BTreeMap<(ChargeBoxId, i64), f64>,
}

impl Reader {
    fn read(&mut self, entry: &Entry) -> Option<String> {
        match &entry.event {
            Event::Call {
                action, payload, ..
            } => {
                let payload = serde_json::from_str(payload).ok()?;
                self.called(entry, action, payload)
            }
            Event::Answer { action, outcome } if action == "StartTransaction" => {
                let answer: Value = serde_json::from_str(outcome.payload()?).ok()?;
                self.started(entry, answer.get("transactionId")?.as_i64()?)
            }
            Event::Outcome {
                action, outcome, ..
            } if outcome.payload()?.contains("Accepted") => match action.as_str() {
                "SetChargingProfile" => Some(format!("takes a limit of {LIMIT} A")),
                "ClearChargingProfile" => Some("is limited no more".to_owned()),
                _ => None,
            },
            _ => None,
        }
    }

    fn called(&mut self, entry: &Entry, action: &str, payload: Value) -> Option<String> {
        match action {
            "StartTransaction" => {
                self.asks.insert(entry.client_id.clone(), payload);
                None
            }
            "StopTransaction" => {
                let number = payload.get("transactionId")?.as_i64()?;
                // What comes once more says nothing new.
                let begin = self.begins.remove(&(entry.client_id.clone(), number))?;
                let drawn = (payload.get("meterStop")?.as_f64()? - begin) / 1000.0;
                let late = late(entry.at, &payload);
                Some(format!("stops transaction {number}: {drawn:.2} kWh{late}"))
            }
            _ => None,
        }
    }

    fn started(&mut self, entry: &Entry, number: i64) -> Option<String> {
        let start = self.asks.remove(&entry.client_id)?;
        let begin = start.get("meterStart")?.as_f64()?;
        self.begins.insert((entry.client_id.clone(), number), begin);
        let tag = IdTag::from(start.get("idTag")?.as_str()?).masked();
        let late = late(entry.at, &start);
        Some(format!("starts transaction {number} with tag {tag}{late}"))
    }
}

/// How long a message waited, if it did.
fn late(now: Now, payload: &Value) -> String {
    let written = payload.get("timestamp").and_then(Value::as_str);
    let age = written
        .and_then(timestamp::parse_lenient)
        .map_or(0, |at| now.wall.duration_since(at).as_secs());
    if age >= LATE_SECONDS {
        format!(", {age} s ago")
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Mono;
    use crate::sim::backend::{CommandNumber, Outcome};

    fn entry(event: Event) -> Entry {
        Entry {
            at: Now {
                mono: Mono::START,
                wall: "2026-01-15T10:00:40Z".parse().unwrap(),
            },
            client_id: LIMITED.into(),
            event,
        }
    }

    fn call(reader: &mut Reader, action: &str, payload: &Value) -> Option<String> {
        reader.read(&entry(Event::Call {
            id: "1".to_owned(),
            action: action.to_owned(),
            payload: payload.to_string(),
        }))
    }

    fn started(reader: &mut Reader, number: i64) -> Option<String> {
        let start = json!({"connectorId": 1, "idTag": "04A2B3C4D5", "meterStart": 1000,
                           "timestamp": "2026-01-15T10:00:39Z"});
        assert_eq!(call(reader, "StartTransaction", &start), None);
        let answer = json!({"transactionId": number, "idTagInfo": {"status": "Accepted"}});
        reader.read(&entry(Event::Answer {
            action: "StartTransaction".to_owned(),
            outcome: Outcome::Result(answer.to_string()),
        }))
    }

    #[test]
    fn a_start_shows_its_tag_masked_and_a_stop_its_energy_once() {
        let mut reader = Reader::default();
        assert_eq!(
            started(&mut reader, 3).as_deref(),
            Some("starts transaction 3 with tag 04A2…D5")
        );
        let stop =
            json!({"transactionId": 3, "meterStop": 3345, "timestamp": "2026-01-15T10:00:17Z"});
        assert_eq!(
            call(&mut reader, "StopTransaction", &stop).as_deref(),
            Some("stops transaction 3: 2.35 kWh, 23 s ago")
        );
        assert_eq!(call(&mut reader, "StopTransaction", &stop), None);
        assert_eq!(call(&mut reader, "Heartbeat", &json!({})), None);
    }

    #[test]
    fn a_limit_shows_when_it_is_taken_and_not_when_it_is_refused() {
        let mut reader = Reader::default();
        let mut answered = |status: &str| {
            reader.read(&entry(Event::Outcome {
                number: CommandNumber(1),
                action: "SetChargingProfile".to_owned(),
                outcome: Outcome::Result(json!({"status": status}).to_string()),
            }))
        };
        assert_eq!(
            answered("Accepted").as_deref(),
            Some("takes a limit of 8 A")
        );
        assert_eq!(answered("Rejected"), None);
    }

    #[test]
    fn only_the_last_lines_are_shown() {
        let heard = Heard::default();
        let mut text = String::new();
        heard.draw(&mut text, Look::default());
        assert_eq!(text, "");
        for number in 0..=SHOWN {
            let now = entry(Event::Up).at;
            heard.say(now, LIMITED, format!("line {number}\x1b"));
        }
        heard.draw(&mut text, Look::default());
        assert!(text.starts_with(
            "\nBACKEND HEARD  FROM        WHAT\n10:00:40Z      DE*DEMO*E1  line 1\u{fffd}\n"
        ));
        assert_eq!(text.lines().count(), 2 + SHOWN);
    }

    #[test]
    fn it_comes_back_as_the_same_backend() {
        let mut backend = Backend::new(BackendPlan::default(), Random::new(1));
        let (now, link) = (entry(Event::Up).at, crate::ids::LinkId(1));
        backend.handle_up(now, link, &LIMITED.into());
        let start = r#"[2,"1","StartTransaction",{"connectorId":1,"idTag":"T","meterStart":0,"timestamp":"2026-01-15T10:00:00Z"}]"#;
        backend.handle_frame(now, link, start);
        let mut back = leave(now, &mut backend);
        assert_eq!(
            (back.ledger().starts(LIMITED), back.connected().count()),
            (1, 0)
        );
        assert_eq!(back.poll_output(), None);
        assert_eq!(backend.ledger().starts(LIMITED), 0);
    }
}
