//! What the tasks tell the site task, and what it tells a link task.

use std::net::SocketAddr;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::gateway::DialFailure;
use crate::gateway::security::{Presented, UploadOutcome};
use crate::ids::{ChargeBoxId, DeviceId, GatewayId, LinkId};
use crate::modbus::Answer;

/// From any task to the site task.
#[derive(Debug)]
pub enum Field {
    /// A wallbox passed the upgrade.
    Up {
        /// The new link.
        link: LinkId,
        /// Which wallbox.
        address: ChargeBoxId,
        /// Where it comes from.
        peer: SocketAddr,
        /// Where to put what it shall be sent.
        outbox: mpsc::Sender<ToLink>,
    },
    /// A backend was reached.
    Dialled {
        /// Which.
        gateway: GatewayId,
        /// The new link.
        link: LinkId,
        /// Where to put what it shall be sent.
        outbox: mpsc::Sender<ToLink>,
        /// It does not say that it speaks OCPP 1.6.
        protocol_missing: bool,
        /// What it showed, where any certificate is taken.
        presented: Vec<Presented>,
        /// It wanted to see a certificate of ours.
        asked: bool,
    },
    /// A backend was not reached.
    DialFailed {
        /// Which.
        gateway: GatewayId,
        /// Why.
        why: DialFailure,
        /// What it showed on the way, where any certificate is taken.
        presented: Vec<Presented>,
        /// It wanted to see a certificate of ours.
        asked: bool,
    },
    /// An attempt to upload a log came to an end.
    Uploaded {
        /// Whose.
        gateway: GatewayId,
        /// Which.
        attempt: u64,
        /// How.
        outcome: UploadOutcome,
    },
    /// A text frame arrived.
    Frame {
        /// On which link.
        link: LinkId,
        /// As it came.
        text: String,
        /// Dropped when the frame was handled: a link reads ahead only so far.
        permit: OwnedSemaphorePermit,
    },
    /// A ping or a pong arrived.
    Heard {
        /// On which link.
        link: LinkId,
        /// It answered a ping of ours.
        pong: bool,
    },
    /// The link is gone.
    Down {
        /// Which.
        link: LinkId,
    },
    /// A Modbus request came back.
    Modbus {
        /// Who was asked.
        device: DeviceId,
        /// What came of it.
        answer: Answer,
    },
    /// Somebody unknown tried to connect.
    Unknown {
        /// What it calls itself.
        address: String,
        /// Where it comes from.
        peer: SocketAddr,
    },
    /// One line of the control socket.
    Control {
        /// The request as it came.
        line: String,
        /// One line of JSON back.
        answer: oneshot::Sender<String>,
    },
}

/// From the site task to a link task.
#[derive(Debug)]
pub enum ToLink {
    /// A text frame.
    Text(String),
    /// A ping.
    Ping,
    /// Say goodbye and end.
    Close {
        /// WebSocket close code.
        code: u16,
        /// For the peer's log.
        reason: &'static str,
    },
}
