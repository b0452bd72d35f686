//! What goes into a [`Gateway`](super::Gateway) beside its inputs, and what comes out.

use std::collections::BTreeMap;

use crate::clock::{Now, Random};
use crate::evse::{Conduct, Deauthorize, Metering, Order, Reply};
use crate::ids::{EntryId, EvseName, LinkId};
use crate::journal::{Entry, Record};
use crate::units::MilliAmps;

use super::security::{Login, Subject, UploadOrder};

/// What a gateway needs from outside while it handles something.
#[derive(Debug)]
pub struct Context<'a> {
    /// When it is.
    pub now: Now,
    /// For message ids and waits.
    pub random: &'a mut Random,
    /// What the load manager offers each EVSE now.
    pub offered: &'a BTreeMap<EvseName, MilliAmps>,
}

/// What a gateway wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Keep this before anything that follows leaves.
    Persist(Record),
    /// Keep this message in this gateway's queue, and hand it back with its number.
    File(Entry),
    /// Read the payloads of these entries.
    Fetch(Vec<EntryId>),
    /// Try to connect; exactly one of [`handle_up`](super::Gateway::handle_up) and
    /// [`handle_failure`](super::Gateway::handle_failure) comes of it.
    Dial {
        /// With this.
        login: Login,
    },
    /// Make a new key, and ask for a certificate for it that names this subject; exactly one
    /// [`handle_requested`](super::Gateway::handle_requested) comes of it.
    Request(Subject),
    /// Upload the log once; one [`handle_uploaded`](super::Gateway::handle_uploaded) comes of it,
    /// unless another upload is ordered before, which ends this one.
    Upload(UploadOrder),
    /// Send a text frame.
    Send {
        /// The current link.
        link: LinkId,
        /// The frame.
        text: String,
    },
    /// Send a WebSocket ping.
    Ping {
        /// The current link.
        link: LinkId,
    },
    /// Close the connection.
    Close {
        /// Which.
        link: LinkId,
        /// WebSocket close code.
        code: u16,
        /// For the peer's log.
        reason: &'static str,
    },
    /// The answer to a call.
    Reply {
        /// What [`Gateway::handle_call`](super::Gateway::handle_call) was given.
        ticket: u64,
        /// The answer.
        reply: Reply,
    },
    /// A command for the wallbox of this EVSE, or for the whole wallbox.
    Order {
        /// Its wallbox.
        evse: EvseName,
        /// The command.
        order: Order,
    },
    /// What the backend allows an EVSE; `None` = it does not limit.
    Ceiling {
        /// Whom.
        evse: EvseName,
        /// Per phase.
        limit: Option<MilliAmps>,
    },
    /// Which meter values the backend wants of an OCPP wallbox.
    Metering {
        /// Of whom.
        evse: EvseName,
        /// Which.
        metering: Metering,
    },
    /// How a wallbox behaves that we play.
    Conduct {
        /// Whose.
        evse: EvseName,
        /// How.
        conduct: Conduct,
    },
    /// The backend of a wallbox that we play can be asked from now on.
    Reachable {
        /// Whose.
        evse: EvseName,
    },
    /// The backend refuses a transaction that runs.
    Deauthorize {
        /// At whom.
        evse: EvseName,
        /// Which.
        what: Deauthorize,
    },
}

/// What the status shows of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// `disconnected`, `connecting`, `booting`, `pending`, `accepted` or `rejected`.
    pub state: &'static str,
    /// Messages that wait.
    pub queued: usize,
    /// Messages that the backend refused for good.
    pub dead: usize,
}
