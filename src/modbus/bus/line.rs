//! The task of one TCP peer or serial line.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, trace};

use super::connection::{Broken, Connection, plain};
use super::turns::{Query, Turns};
use crate::clock::Random;
use crate::ids::DeviceId;
use crate::modbus::{Address, Answer, Failure, Request};

const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Less than anybody waits before asking again: otherwise both waits would add up.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Puts requests on a [`Line`].
#[derive(Debug, Clone)]
pub struct LineHandle {
    queue: mpsc::UnboundedSender<Query>,
}

impl LineHandle {
    /// Asks a device. Exactly one answer comes back, unless the line is cancelled first. Whoever
    /// asks waits for it before the device is asked again: this alone bounds the queue.
    pub fn ask(&self, device: DeviceId, unit: u8, request: Request) {
        // A line that has ended answers nobody: the process is about to end, too.
        let _ = self.queue.send(Query {
            device,
            unit,
            request,
        });
    }
}

/// All that is asked over one TCP connection or serial line: one request at a time, writes first,
/// otherwise in turn, and whoever was silent last after the others.
///
/// Any error or timeout drops the connection, so that a late answer is never taken for another.
/// The next request opens a new one; where that fails, there is a pause that grows, and what is
/// asked meanwhile is answered at once.
pub struct Line<T> {
    address: Address,
    random: Random,
    queue: mpsc::UnboundedReceiver<Query>,
    turns: Turns,
    answers: mpsc::Sender<T>,
    connection: Option<Connection>,
    pause: Option<Pause>,
}

/// After a failure to connect.
#[derive(Debug)]
struct Pause {
    until: Instant,
    length: Duration,
    why: String,
}

/// Makes a line and what puts requests on it. Nothing is opened before the first request. The
/// randomness spreads the attempts to reconnect.
pub fn line<T>(
    address: Address,
    random: Random,
    answers: mpsc::Sender<T>,
) -> (LineHandle, Line<T>) {
    let (sender, queue) = mpsc::unbounded_channel();
    let line = Line {
        address,
        random,
        queue,
        turns: Turns::default(),
        answers,
        connection: None,
        pause: None,
    };
    (LineHandle { queue: sender }, line)
}

impl<T: From<(DeviceId, Answer)>> Line<T> {
    /// Works until it is cancelled, nobody asks or nobody listens any more.
    pub async fn run(mut self, cancel: CancellationToken) {
        cancel.run_until_cancelled(self.work()).await;
    }

    async fn work(&mut self) {
        while let Some(query) = self.next().await {
            let answer = self.serve(&query).await;
            let silent = matches!(answer, Err(Failure::Silent));
            self.turns.heard(query.device, silent);
            trace!(line = %self.address, device = ?query.device, unit = query.unit, request = ?query.request, ?answer, "a device was asked");
            let answer = T::from((query.device, answer));
            if self.answers.send(answer).await.is_err() {
                return;
            }
        }
    }

    async fn next(&mut self) -> Option<Query> {
        if self.turns.is_empty() {
            let query = self.queue.recv().await?;
            self.turns.push(query);
        }
        while let Ok(query) = self.queue.try_recv() {
            self.turns.push(query);
        }
        self.turns.pop()
    }

    async fn serve(&mut self, query: &Query) -> Answer {
        loop {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            let proven = connection.proven;
            match connection.call(query.unit, &query.request).await {
                Ok(answer) => {
                    self.connection = Some(connection);
                    self.pause = None;
                    return answer.map_err(Failure::Exception);
                }
                // The peer is there, and others may share it with the silent one: no pause.
                Err(Broken::Silent) => return Err(Failure::Silent),
                // Many devices close a connection after a while; once, that is no failure.
                Err(Broken::Closed(why)) if proven => {
                    debug!(line = %self.address, why = plain(&why), "a connection was lost");
                }
                Err(why) => {
                    let why = why.to_string();
                    debug!(line = %self.address, why, "a connection was dropped");
                    if !proven {
                        self.take_a_pause(&why);
                    }
                    return Err(Failure::NoConnection(why));
                }
            }
        }
    }

    async fn connect(&mut self) -> Result<Connection, Failure> {
        if let Some(pause) = &self.pause
            && Instant::now() < pause.until
        {
            return Err(Failure::NoConnection(pause.why.clone()));
        }
        match Connection::open(&self.address).await {
            Ok(connection) => {
                debug!(line = %self.address, "a connection was opened");
                Ok(connection)
            }
            Err(error) => {
                let why = plain(&error);
                debug!(line = %self.address, why, "a connection cannot be opened");
                self.take_a_pause(&why);
                Err(Failure::NoConnection(why))
            }
        }
    }

    /// Twice as long as the last one, and up to a fifth more.
    fn take_a_pause(&mut self, why: &str) {
        let length = self
            .pause
            .as_ref()
            .map_or(FIRST_WAIT, |last| (last.length * 2).min(LONGEST_WAIT));
        let fifth = u64::try_from(length.as_millis() / 5).unwrap_or(0);
        let jitter = Duration::from_millis(self.random.below(fifth));
        self.pause = Some(Pause {
            until: Instant::now() + length + jitter,
            length,
            why: why.to_owned(),
        });
    }
}
