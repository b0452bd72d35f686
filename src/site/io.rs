//! What goes into [`Site`](super) and what comes out.

use crate::gateway::DialFailure;
use crate::gateway::security::{Login, Presented, Requested, Subject, UploadOrder, UploadOutcome};
use crate::ids::{ChargeBoxId, DeviceId, EntryId, GatewayId, LinkId, Seq};
use crate::journal::Record;
use crate::modbus::{Answer, Request};

/// What happens to the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A wallbox connected. Its newest link is the one that counts.
    Up {
        /// The new link.
        link: LinkId,
        /// Which wallbox, in the spelling of the configuration.
        address: ChargeBoxId,
        /// Where it comes from, for people.
        peer: String,
    },
    /// A text frame arrived.
    Frame {
        /// On which link.
        link: LinkId,
        /// As it came.
        text: String,
    },
    /// A ping or pong arrived: the peer lives.
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
    /// A dial succeeded.
    Dialled {
        /// Whose.
        gateway: GatewayId,
        /// The new link.
        link: LinkId,
        /// What the backend showed, where any certificate is taken.
        presented: Vec<Presented>,
        /// The backend wanted to see a certificate of ours.
        asked: bool,
    },
    /// A dial failed.
    DialFailed {
        /// Whose.
        gateway: GatewayId,
        /// Why.
        why: DialFailure,
        /// What it showed on the way, where any certificate is taken.
        presented: Vec<Presented>,
        /// The backend wanted to see a certificate of ours.
        asked: bool,
    },
    /// A key was made; `None` = it could not be.
    Requested {
        /// For whom.
        gateway: GatewayId,
        /// The key, and the request for its certificate.
        requested: Option<Requested>,
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
    /// A Modbus request came back.
    Modbus {
        /// Who was asked.
        device: DeviceId,
        /// What came of it.
        answer: Answer,
    },
    /// Somebody who is in no `[[evse]]` tried to connect.
    Unknown {
        /// What it calls itself.
        address: String,
        /// Where it comes from, for people.
        peer: String,
    },
    /// Every record up to this one is on disk.
    Committed(Seq),
    /// The disk refuses; the store tries again.
    CommitFailed,
    /// What was asked for with [`Output::Fetch`]; what is not on disk is left out.
    Fetched {
        /// For whom.
        gateway: GatewayId,
        /// Payloads, byte for byte.
        entries: Vec<(EntryId, String)>,
    },
}

/// What the site wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Write this to the journal.
    Persist(Seq, Record),
    /// Read the payloads of these entries; exactly one [`Input::Fetched`] shall come of it, after
    /// everything that was to be written before.
    Fetch {
        /// For whom.
        gateway: GatewayId,
        /// Which.
        entries: Vec<EntryId>,
    },
    /// Connect to a backend; exactly one [`Input::Dialled`] or [`Input::DialFailed`] shall come of
    /// it.
    Dial {
        /// Whose.
        gateway: GatewayId,
        /// With this.
        login: Login,
    },
    /// Make a new key, and ask for a certificate for it; exactly one [`Input::Requested`] shall
    /// come of it.
    Request {
        /// For whom.
        gateway: GatewayId,
        /// Whom the certificate is to name.
        subject: Subject,
    },
    /// Upload the log of a charge point once; one [`Input::Uploaded`] shall come of it, unless
    /// another upload is ordered before, which ends this one.
    Upload {
        /// Whose.
        gateway: GatewayId,
        /// Which, and where to.
        order: UploadOrder,
    },
    /// Send this text frame.
    Send {
        /// To whom.
        link: LinkId,
        /// As it shall go.
        text: String,
    },
    /// Ask a Modbus device; exactly one [`Input::Modbus`] shall come of it.
    Modbus {
        /// Whom.
        device: DeviceId,
        /// What.
        request: Request,
    },
    /// Send a WebSocket ping.
    Ping {
        /// To whom.
        link: LinkId,
    },
    /// Close the connection.
    Close {
        /// Whose.
        link: LinkId,
        /// WebSocket close code (RFC 6455 §7.4).
        code: u16,
        /// For the peer's log.
        reason: &'static str,
    },
}
