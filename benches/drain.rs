//! How fast a queue is delivered when its backend is back: 2000 messages of 500 sessions, through the
//! whole daemon and over a real socket, to a backend that answers at once. Beside it a bare loop that
//! reads the same messages from SQLite, sends each, waits for its answer and notes that in a commit
//! as durable as ours. The ratio shows what the daemon adds: its tasks and threads, and the numbers
//! of the backend in each message.
//!
//! The daemon waits for the disk before each message, so that at most one comes twice after a crash:
//! a StartTransaction that comes twice is billed twice. The last line shows what that costs: a loop
//! that commits for 64 messages at once.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]
#![expect(clippy::disallowed_methods, reason = "a stopwatch needs a clock")]

use std::error::Error;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use chargewarden::clock::Timestamp;
use chargewarden::config::{self, Config};
use chargewarden::daemon::Daemon;
use chargewarden::ids::{ConnectorId, EntryId, Seq, TransactionNumber};
use chargewarden::journal::{Entry, EntryKind, EntryState, Filed, Record, Stopped, Transaction};
use chargewarden::store;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

const SESSIONS: u32 = 500;

/// Our rate is at least this part of that of the bare loop.
const LEAST: f64 = 0.3;

/// Each way is gone so often, in turn, and the fastest counts: disks and machines are noisy.
const ROUNDS: usize = 5;

/// What the loop reads at once, and one of the two commits at once.
const GROUP: u32 = 64;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<ExitCode> {
    let queue: Vec<Queued> = (0..SESSIONS).flat_map(session).collect();
    let (mut ours, mut single, mut grouped) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(through_the_daemon(&queue)?);
        single.push(through_a_loop(&queue, 1)?);
        grouped.push(through_a_loop(&queue, GROUP)?);
    }
    println!("{} messages, the fastest of {ROUNDS} times", queue.len());
    println!("what                       | messages/s | of the first loop");
    let bare = rate(&queue, &single);
    let ratio = rate(&queue, &ours) / bare;
    for (what, rate) in [
        ("the daemon", ratio * bare),
        ("loop, a commit for each", bare),
        ("loop, a commit for 64", rate(&queue, &grouped)),
    ] {
        println!("{what:26} | {rate:10.0} | {:17.2}", rate / bare);
    }
    println!("must: the daemon >= {LEAST} of the first loop");
    Ok(if ratio >= LEAST {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Messages in a second, in the fastest of these rounds.
fn rate(queue: &[Queued], rounds: &[Duration]) -> f64 {
    let fastest = rounds.iter().min().copied().unwrap_or_default();
    let messages = u32::try_from(queue.len()).unwrap_or(u32::MAX);
    f64::from(messages) / fastest.as_secs_f64()
}

/// A message that waits.
struct Queued {
    session: u32,
    kind: EntryKind,
    /// No two are alike.
    timestamp: String,
    payload: String,
}

fn session(session: u32) -> [Queued; 4] {
    let values = EntryKind::Values { thinnable: true };
    [EntryKind::Start, values, values, EntryKind::Stop].map({
        let mut minute = session * 4;
        move |kind| {
            minute += 1;
            let at = Timestamp::UNIX_EPOCH + Duration::from_mins(minute.into());
            let (timestamp, id) = (at.to_string(), 1_000_000 + session);
            let sampled = |measurand, unit, value: u32| json!({"measurand": measurand, "unit": unit, "value": value.to_string(), "context": "Sample.Periodic"});
            let payload = match kind {
                EntryKind::Start => {
                    json!({"connectorId": 1, "idTag": "04A2BC19", "meterStart": minute, "timestamp": timestamp})
                }
                EntryKind::Stop => {
                    json!({"transactionId": id, "idTag": "04A2BC19", "meterStop": minute, "timestamp": timestamp, "reason": "Local"})
                }
                EntryKind::Values { .. } | EntryKind::DataTransfer => {
                    json!({"connectorId": 1, "transactionId": id, "meterValue": [{"timestamp": timestamp, "sampledValue": [
                        sampled("Energy.Active.Import.Register", "Wh", minute),
                        sampled("Power.Active.Import", "W", 11_040),
                        sampled("Current.Offered", "A", 16),
                    ]}]})
                }
            };
            Queued {
                session,
                kind,
                timestamp,
                payload: payload.to_string(),
            }
        }
    })
}

/// From the accepted BootNotification to the answer to the last message.
fn through_the_daemon(queue: &[Queued]) -> Outcome<Duration> {
    let (listener, dir) = (TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, directory()?);
    let config = configuration(dir.path(), listener.local_addr()?.port())?;
    file(&config, queue)?;
    let (runtime, messages) = (tokio::runtime::Runtime::new()?, queue.len());
    let heard = runtime.block_on(async {
        let daemon = Daemon::start(&config, None)?;
        let heard = tokio::task::spawn_blocking(move || listen(&listener, messages)).await;
        daemon.stop().await;
        heard?
    })?;
    heard.check(queue)?;
    heard.check_transactions()?;
    let left = store::open(dir.path(), |_| {})?.recovered.entries;
    let queued = |state| state == EntryState::Queued;
    let left = left.values().filter(|it| queued(it.progress.state));
    // The last answer may have come too late to be noted.
    if left.count() > 1 {
        return Err("messages were delivered and still wait".into());
    }
    Ok(heard.took)
}

/// Not in the directory for temporary files, which is in memory on some machines.
fn directory() -> Outcome<TempDir> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

fn configuration(dir: &Path, port: u16) -> Outcome<Config> {
    let text = format!(
        r#"
[manager]
state-dir = "."
control-socket = "control.sock"

[ocpp-server]
tls = "off"

[[circuit]]
name = "house"
max-current = 32

[[evse]]
name = "garage"
device = "ocpp1.6"
address = "CB-1"
max-current = 16

[evse.gateway]
url = "ws://127.0.0.1:{port}/"
client-id = "CP-1"
"#
    );
    let (mut config, _) =
        config::read(&dir.join("drain.toml"), &text).map_err(|problems| problems.to_string())?;
    config.server.port = 0; // a free one
    Ok(config)
}

/// Writes the queue into the journal, as it is after the backend was away.
fn file(config: &Config, queue: &[Queued]) -> Outcome<()> {
    let gateway = config.plan.gateways.first().ok_or("no gateway")?;
    let writer = store::open(&config.manager.state_dir, |_| {})?.writer;
    let boot = Record::Memory {
        owner: format!("gateway {}", gateway.identity()),
        key: "boot".to_owned(),
        value: Some(json!({"chargePointVendor": "V", "chargePointModel": "M"}).to_string()),
    };
    let transactions = (0..SESSIONS).map(transaction).map(Record::Transaction);
    let entries = (1..).map(EntryId).zip(queue).map(|(id, message)| {
        Record::Entry(Filed {
            id,
            identity: Some(gateway.identity()),
            entry: Entry {
                address: "CB-1".into(),
                connector: ConnectorId(1),
                transaction: Some(number(message.session)),
                kind: message.kind,
                payload: message.payload.clone(),
                received: Timestamp::UNIX_EPOCH,
            },
        })
    });
    let records = [boot].into_iter().chain(transactions).chain(entries);
    for (seq, record) in (1..).map(Seq).zip(records) {
        writer.write(seq, record);
    }
    writer.close();
    Ok(())
}

fn number(session: u32) -> TransactionNumber {
    TransactionNumber(1_000_000 + i64::from(session))
}

fn transaction(session: u32) -> Transaction {
    Transaction {
        number: number(session),
        address: "CB-1".into(),
        connector: ConnectorId(1),
        wallbox_id: number(session).0,
        id_tag: Some("04A2BC19".into()),
        meter_start: None,
        started: String::new(),
        received: Timestamp::UNIX_EPOCH,
        stopped: Some(Stopped {
            meter_stop: None,
            timestamp: String::new(),
            reason: "Local".to_owned(),
            received: Timestamp::UNIX_EPOCH,
        }),
    }
}

/// The same way by the shortest code: `group` messages are sent before what became of them is
/// committed.
fn through_a_loop(queue: &[Queued], group: u32) -> Outcome<Duration> {
    let (listener, dir) = (TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, directory()?);
    let database = database(&dir.path().join("loop.db"), queue)?;
    let (address, messages) = (listener.local_addr()?, queue.len());
    let backend = thread::spawn(move || listen(&listener, messages));
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (mut socket, _) = tungstenite::client(format!("ws://{address}/CP-1"), stream)?;
    ask(&mut socket, "BootNotification", "{}")?;
    let mut next = database.prepare(
        "SELECT id, action, payload FROM queue WHERE state = 'queued' ORDER BY id LIMIT ?",
    )?;
    let mut done = database.prepare("UPDATE queue SET state = 'delivered' WHERE id = ?")?;
    loop {
        let rows = next.query_map([GROUP], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let rows = rows.collect::<Result<Vec<(i64, String, String)>, _>>()?;
        if rows.is_empty() {
            break;
        }
        for part in rows.chunks(usize::try_from(group)?) {
            for (_, action, payload) in part {
                ask(&mut socket, action, payload)?;
            }
            let transaction = database.unchecked_transaction()?;
            for (id, ..) in part {
                done.execute([id])?;
            }
            transaction.commit()?;
        }
    }
    let heard = backend.join().map_err(|_| "the backend died")??;
    heard.check(queue)?;
    Ok(heard.took)
}

/// The queue on disk; every commit is as durable as those of the journal.
fn database(path: &Path, queue: &[Queued]) -> Outcome<Connection> {
    let database = Connection::open(path)?;
    database.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute_batch(
        "CREATE TABLE queue (id INTEGER PRIMARY KEY, action TEXT, payload TEXT, state TEXT);
         CREATE INDEX waiting ON queue (id) WHERE state = 'queued';",
    )?;
    let transaction = database.unchecked_transaction()?;
    for message in queue {
        let row = [message.kind.action(), &message.payload];
        database.execute("INSERT INTO queue VALUES (NULL, ?, ?, 'queued')", row)?;
    }
    transaction.commit()?;
    Ok(database)
}

/// Makes a CALL and waits for its answer.
fn ask(socket: &mut WebSocket<TcpStream>, action: &str, payload: &str) -> Outcome<()> {
    let call = format!(r#"[2,"1","{action}",{payload}]"#);
    socket.send(Message::text(call))?;
    socket.read()?;
    Ok(())
}

/// What a backend heard.
struct Heard {
    /// Action, timestamp and transaction id of each message of the queue.
    messages: Vec<(String, String, Option<i64>)>,
    took: Duration,
}

/// A backend that answers at once: takes one connection, and so many messages of transactions.
fn listen(listener: &TcpListener, messages: usize) -> Outcome<Heard> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let mut socket = tungstenite::accept(stream)?;
    let mut heard = Heard {
        messages: Vec::with_capacity(messages),
        took: Duration::ZERO,
    };
    let mut began = Instant::now();
    while heard.messages.len() < messages {
        let Message::Text(text) = socket.read()? else {
            continue;
        };
        let (_, id, action, payload): (u8, Value, String, Value) = serde_json::from_str(&text)?;
        let answer = heard.answer(&action, &payload);
        socket.send(Message::text(json!([3, id, answer]).to_string()))?;
        if action == "BootNotification" {
            began = Instant::now();
        }
    }
    heard.took = began.elapsed();
    Ok(heard)
}

impl Heard {
    fn answer(&mut self, action: &str, payload: &Value) -> Value {
        let mut keep = |timestamp: &str| {
            let timestamp = payload.pointer(timestamp).and_then(Value::as_str);
            let timestamp = timestamp.unwrap_or_default().to_owned();
            let id = payload["transactionId"].as_i64();
            self.messages.push((action.to_owned(), timestamp, id));
            self.messages.len()
        };
        match action {
            "BootNotification" => {
                json!({"status": "Accepted", "currentTime": Timestamp::now().to_string(), "interval": 300})
            }
            "StartTransaction" => {
                let id = keep("/timestamp");
                json!({"transactionId": id, "idTagInfo": {"status": "Accepted"}})
            }
            "MeterValues" => {
                keep("/meterValue/0/timestamp");
                json!({})
            }
            "StopTransaction" => {
                keep("/timestamp");
                json!({})
            }
            _ => json!({}),
        }
    }

    /// Everything came once, in order.
    fn check(&self, queue: &[Queued]) -> Outcome<()> {
        let queued = queue.iter().map(|it| (it.kind.action(), &*it.timestamp));
        let heard = self.messages.iter();
        let heard = heard.map(|(action, timestamp, _)| (&**action, &**timestamp));
        if !heard.eq(queued) {
            return Err("messages are missing or in the wrong order".into());
        }
        Ok(())
    }

    /// Each session has the id that the backend gave it.
    fn check_transactions(&self) -> Outcome<()> {
        let mut given = None;
        for (place, (action, _, id)) in (1..).zip(&self.messages) {
            if action == "StartTransaction" {
                given = Some(place);
            } else if *id != given {
                return Err(format!("message {place} is of {id:?}, not {given:?}").into());
            }
        }
        Ok(())
    }
}
