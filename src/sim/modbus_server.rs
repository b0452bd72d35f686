//! Serves simulated Modbus devices over a real socket or serial line, by real clocks.

use std::collections::BTreeMap;
use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_serial::SerialStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::clock::Mono;
use crate::daemon::clock::Clock;
use crate::modbus::bus::open_serial_port;
use crate::modbus::{Address, Answer, Failure, Request};

mod units;
mod wire;

pub use units::{MeteredHouse, PowerBrainWithDrivers};

use wire::Asked;

/// Devices are looked at this often, whether somebody asks them or not.
const TICK: Duration = Duration::from_millis(100);

/// On a serial line half a request is forgotten after this silence.
const GAP: Duration = Duration::from_millis(50);

/// The device behind the gateway does not answer.
const NO_TARGET: u8 = 11;

/// A device behind a Modbus unit number.
pub trait Unit: Send {
    /// Answers its master.
    ///
    /// # Errors
    /// What the master hears instead; nothing for [`Failure::Silent`].
    fn handle_request(&mut self, now: Mono, request: &Request) -> Answer;

    /// Lets time pass.
    fn advance(&mut self, now: Mono);
}

/// Devices by their unit numbers.
pub type Units = BTreeMap<u8, Box<dyn Unit>>;

/// Where masters find the devices.
#[derive(Debug)]
pub enum Port {
    /// Any number of connections.
    Tcp(TcpListener),
    /// One line, on which only the unit that is meant speaks.
    Serial(SerialStream),
}

impl Port {
    /// Listens on a TCP port or opens a serial line.
    ///
    /// # Errors
    /// If the system does not let it.
    pub async fn open(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp { host, port } => {
                let listener = TcpListener::bind((host.as_str(), *port)).await?;
                Ok(Self::Tcp(listener))
            }
            Address::Serial { .. } => Ok(Self::Serial(open_serial_port(address)?)),
        }
    }
}

/// A request on its way to the task that owns the devices.
struct Question {
    unit: u8,
    request: Request,
    answer: oneshot::Sender<Answer>,
}

/// Puts questions to the devices.
#[derive(Clone)]
struct Desk(mpsc::Sender<Question>);

impl Desk {
    /// `None` when nobody answers any more.
    async fn ask(&self, unit: u8, asked: &Asked) -> Option<Answer> {
        let request = match &asked.request {
            Ok(request) => request.clone(),
            Err(exception) => return Some(Err(Failure::Exception(*exception))),
        };
        let (answer, answered) = oneshot::channel();
        let question = Question {
            unit,
            request,
            answer,
        };
        self.0.send(question).await.ok()?;
        answered.await.ok()
    }
}

/// Serves `units` at `port` until `stop`.
///
/// # Errors
/// If the socket or line breaks.
pub async fn run(port: Port, mut units: Units, stop: CancellationToken) -> io::Result<()> {
    let clock = Clock::start();
    let (sender, mut questions) = mpsc::channel(16);
    let connections = TaskTracker::new();
    let stop = stop.child_token();
    let _hang_up = stop.clone().drop_guard();
    let carried = async {
        match port {
            Port::Tcp(listener) => accept(listener, Desk(sender), &connections, &stop).await,
            Port::Serial(line) => serve_line(line, Desk(sender)).await,
        }
    };
    let mut carried = pin!(carried);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        select! {
            () = stop.cancelled() => return Ok(()),
            broken = &mut carried => return broken,
            _ = tick.tick() => {
                let now = clock.now().mono;
                units.values_mut().for_each(|unit| unit.advance(now));
            }
            Some(question) = questions.recv() => {
                let now = clock.now().mono;
                let unit = units.get_mut(&question.unit);
                let answer = unit.map_or(Err(Failure::Exception(NO_TARGET)), |unit| {
                    unit.handle_request(now, &question.request)
                });
                // Whoever hung up meanwhile needs no answer.
                let _ = question.answer.send(answer);
            }
        }
    }
}

async fn accept(
    listener: TcpListener,
    desk: Desk,
    connections: &TaskTracker,
    stop: &CancellationToken,
) -> io::Result<()> {
    loop {
        let (stream, peer) = listener.accept().await?;
        debug!(%peer, "a master connects");
        let (desk, stop) = (desk.clone(), stop.clone());
        connections.spawn(async move {
            let served = stop.run_until_cancelled(serve_connection(stream, desk));
            if let Some(Err(error)) = served.await {
                debug!(%peer, %error, "a master is gone");
            }
        });
    }
}

/// Answers one master after the other's frame (Modbus Messaging on TCP/IP §3.1.3).
async fn serve_connection(mut stream: TcpStream, desk: Desk) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let transaction = stream.read_u16().await?;
        let protocol = stream.read_u16().await?;
        let length = stream.read_u16().await?;
        let unit = stream.read_u8().await?;
        if protocol != 0 || !(2..=254).contains(&length) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut pdu = vec![0; usize::from(length) - 1];
        stream.read_exact(&mut pdu).await?;
        let Some(asked) = Asked::decode(&pdu) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let Some(answer) = desk.ask(unit, &asked).await else {
            return Ok(());
        };
        let Some(pdu) = asked.encode(&answer) else {
            continue;
        };
        let length = u16::try_from(pdu.len() + 1).unwrap_or(u16::MAX);
        let mut frame = Vec::with_capacity(pdu.len() + 7);
        for word in [transaction, 0, length] {
            frame.extend(word.to_be_bytes());
        }
        frame.push(unit);
        frame.extend(pdu);
        stream.write_all(&frame).await?;
    }
}

async fn serve_line(mut line: SerialStream, desk: Desk) -> io::Result<()> {
    let (mut buffer, mut bytes) = (Vec::new(), [0; 256]);
    loop {
        let read = if buffer.is_empty() {
            line.read(&mut bytes).await?
        } else {
            let Ok(read) = timeout(GAP, line.read(&mut bytes)).await else {
                buffer.clear();
                continue;
            };
            read?
        };
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer.extend(bytes.iter().take(read));
        while let Some((unit, pdu)) = wire::take_frame(&mut buffer) {
            let Some(asked) = Asked::decode(&pdu) else {
                continue;
            };
            let Some(answer) = desk.ask(unit, &asked).await else {
                return Ok(());
            };
            // On a line the others' requests are heard, too.
            let meant = answer != Err(Failure::Exception(NO_TARGET));
            if let Some(pdu) = asked.encode(&answer).filter(|_| meant) {
                line.write_all(&wire::frame(unit, &pdu)).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests;
