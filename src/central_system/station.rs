//! [`Station`]: one wallbox with all its connectors. It outlives its sockets.
//!
//! What arrives is dispatched here; how a message is answered stands in `answering` and
//! `transacting`, what we ask in `asking`.

use std::collections::{BTreeMap, VecDeque};

use crate::clock::{Mono, Now, Random, Timestamp};
use crate::evse::{Call, Measured, Notice, Offer, Outcome, Report};
use crate::ids::{ChargeBoxId, ConnectorId, EvseName, LinkId, OfferNumber, TransactionNumber};
use crate::journal::{Entry, Record, Recovered, Transaction, TransactionNumbers};
use crate::ocpp::ChargePointStatus;
use crate::ocpp::rpc::{Received, Rpc};
use crate::units::WattHours;

use super::asking::Asked;
use super::connector::Connector;
use super::dead_man::Floor;
use super::filing::{Filing, Repeats};
use super::follow_up::FollowUp;
use super::ledger::Ledger;
use super::ordering::Held;
use super::plan::{ConnectorPlan, StationPlan};
use super::relaying::{WHOLE, Waiting};
use super::sample_clock::SampleClock;
use super::set_up::{Known, SetUp};
use crate::ocpp::liveness::{Act, Liveness};

/// Wallboxes number their connectors 1, 2, …; a larger number is nonsense and gets no memory.
pub(super) const MOST_CONNECTORS: u32 = 64;

/// What a station needs from outside while it handles something.
#[derive(Debug)]
pub struct Context<'a> {
    /// When it is.
    pub now: Now,
    /// For message ids.
    pub random: &'a mut Random,
    /// For transactions.
    pub numbers: &'a mut TransactionNumbers,
}

/// What a station wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Keep this before anything that follows leaves.
    Persist(Record),
    /// Send a text frame.
    Send {
        /// The current link.
        link: LinkId,
        /// The frame.
        text: String,
        /// It lowers a current, or would be in the way of what does: it waits for nothing.
        lowers: bool,
    },
    /// Send a WebSocket ping.
    Ping {
        /// The current link.
        link: LinkId,
    },
    /// Close a connection.
    Close {
        /// Which.
        link: LinkId,
        /// WebSocket close code.
        code: u16,
        /// For the peer's log.
        reason: &'static str,
    },
    /// Tell the load manager and the status.
    Report {
        /// Whose.
        evse: EvseName,
        /// What.
        report: Report,
    },
    /// Ask the upstream.
    Call(Call),
    /// Keep this message, for its backend if it has one.
    File {
        /// The message.
        entry: Entry,
        /// What is known by it: to be kept together with it, so that after a crash the wallbox's
        /// repeat of it is either recognised or new.
        with: Vec<Record>,
    },
    /// Tell the backend.
    Notice(Notice),
    /// An order was carried out, or not.
    Done {
        /// The number of the order.
        id: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// A transaction for a backend was ended here, because its stop never came.
    Lost {
        /// Which.
        transaction: TransactionNumber,
        /// The last register that is known.
        register: Option<WattHours>,
        /// When it was given up.
        at: Timestamp,
    },
}

/// What the status shows of a connector.
#[derive(Debug)]
pub struct ConnectorView<'a> {
    /// The last StatusNotification.
    pub status: Option<ChargePointStatus>,
    /// The newest of each value.
    pub measured: Measured,
    /// The open transaction.
    pub transaction: Option<&'a Transaction>,
    /// It should fall back to its failsafe current by itself (`manager.dead-man`) and does not: it
    /// keeps its last limit when nobody reaches it.
    pub keeps_limit: bool,
}

/// One wallbox.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four facts that have nothing to do with each other"
)]
pub struct Station {
    pub(super) plan: StationPlan,
    pub(super) link: Option<LinkId>,
    pub(super) liveness: Option<Liveness>,
    pub(super) rpc: Rpc<Asked>,
    pub(super) connectors: BTreeMap<ConnectorId, Connector>,
    pub(super) ledger: Ledger,
    pub(super) known: Known,
    pub(super) set_up: SetUp,
    pub(super) sample_clock: SampleClock,
    /// Which cars are watched until they follow.
    pub(super) follow_up: FollowUp,
    /// Its clock does not stand before 2020, as far as it told.
    pub(super) clock_is_set: bool,
    /// The first CALL after a boot may take longer.
    pub(super) just_booted: bool,
    pub(super) timeouts_in_a_row: u32,
    pub(super) waiting: BTreeMap<u64, Waiting>,
    pub(super) next_call: u64,
    /// Commands of backends, the oldest first.
    pub(super) orders: VecDeque<Held>,
    /// The last CALL was one of these: something else may go first now.
    pub(super) was_ordered: bool,
    /// What becomes of meter values; 0 is the main meter.
    pub(super) filings: BTreeMap<ConnectorId, Filing>,
    /// Another sampling is wanted than when the wallbox was set up.
    pub(super) sampling_changed: bool,
    /// Stops of unknown transactions that were filed.
    pub(super) strays: Repeats,
    outputs: VecDeque<Output>,
}

impl Station {
    /// A wallbox as configured, with what the journal knows of it.
    pub fn new(plan: StationPlan, recovered: &Recovered) -> Self {
        let ledger = Ledger::recover(&plan.id, recovered);
        let known: Known = recovered
            .memory
            .get(&(format!("station {}", plan.id), "known".to_owned()))
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default();
        let connector = |(id, plan): (&ConnectorId, &ConnectorPlan)| {
            let mut connector = Connector::new(Some(plan.clone()));
            connector.told_everywhere = known.shapes.get(id).is_some_and(|it| it.everywhere);
            (*id, connector)
        };
        let connectors = plan.connectors.iter().map(connector).collect();
        let filing = |id: &ConnectorId| (*id, Filing::recover(&plan.id, *id, recovered));
        let filings = plan.connectors.keys().chain([&WHOLE]).map(filing).collect();
        let strays = Repeats::recover(&plan.id, None, recovered);
        let mut station = Self {
            plan,
            link: None,
            liveness: None,
            rpc: Rpc::new(),
            connectors,
            ledger,
            known,
            set_up: SetUp::default(),
            sample_clock: SampleClock::default(),
            follow_up: FollowUp::default(),
            clock_is_set: true,
            just_booted: false,
            timeouts_in_a_row: 0,
            waiting: BTreeMap::new(),
            next_call: 0,
            orders: VecDeque::new(),
            was_ordered: false,
            filings,
            sampling_changed: false,
            strays,
            outputs: VecDeque::new(),
        };
        station.judge_recovered();
        station
    }

    /// A connection begins. The newest one wins at once; what was known stays.
    pub fn handle_up(&mut self, context: &mut Context<'_>, link: LinkId) {
        if let Some(old) = self.link.replace(link) {
            self.output(Output::Close {
                link: old,
                code: 1000,
                reason: "replaced by a new connection",
            });
        }
        self.lose_connection();
        self.liveness = Some(Liveness::new(
            context.now.mono,
            self.plan.heartbeat_interval,
        ));
        self.set_up.connected(context.now.mono);
        self.wait_for_stops(context.now);
        self.report_all(&Report::Online(true));
        self.go_on(context);
    }

    /// The current connection is gone.
    pub fn handle_down(&mut self, _context: &mut Context<'_>) {
        self.link = None;
        self.liveness = None;
        self.set_up.disconnected();
        self.lose_connection();
        self.report_all(&Report::Online(false));
    }

    /// What was under way on the old connection is void; its answers would be for nobody.
    fn lose_connection(&mut self) {
        if let Some(Asked::Stop(id)) = self.rpc.reset() {
            self.stop_again(id);
        }
        self.timeouts_in_a_row = 0;
        self.just_booted = false;
        self.follow_up.begin();
        self.owe_no_answers();
        self.lose_orders();
        for connector in self.connectors.values_mut() {
            connector.status_is_fresh = false;
            connector.floor = Floor::default();
            connector.life.begin_again();
            connector.setpoint.forget();
            connector.held_since = None;
            connector.forget_draw();
        }
    }

    /// A text frame arrived.
    pub fn handle_frame(&mut self, context: &mut Context<'_>, text: &str) {
        if let Some(liveness) = &mut self.liveness {
            liveness.heard(context.now.mono);
        }
        let mut repaired = String::new();
        match self.rpc.handle(text, &mut repaired) {
            Received::Call {
                id,
                action,
                payload,
            } => self.answer(context, &id, action, payload),
            Received::Answer { token, result } => {
                self.timeouts_in_a_row = 0;
                self.just_booted = false;
                self.handle_answer(context, token, result);
            }
            Received::Repeated(Some(frame)) | Received::Refuse(frame) => self.send(frame, false),
            Received::Repeated(None) | Received::Ignore(_) => {}
        }
        self.go_on(context);
    }

    /// A ping or pong arrived.
    pub fn handle_heard(&mut self, context: &mut Context<'_>, pong: bool) {
        if let Some(liveness) = &mut self.liveness {
            if pong {
                liveness.pong(context.now.mono);
            } else {
                liveness.heard(context.now.mono);
            }
        }
    }

    /// The load manager offers.
    pub fn handle_offer(&mut self, context: &mut Context<'_>, id: ConnectorId, offer: Offer) {
        if let Some(connector) = self.connectors.get_mut(&id) {
            connector.setpoint.want(offer);
        }
        self.go_on(context);
    }

    /// The measured current says that an offer is not obeyed.
    pub fn handle_not_followed(
        &mut self,
        context: &mut Context<'_>,
        id: ConnectorId,
        offer: OfferNumber,
    ) {
        self.not_followed(context.now.mono, id, offer);
        self.go_on(context);
    }

    /// Lets timers act.
    pub fn handle_timeout(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        if let Some(asked) = self.rpc.handle_timeout(now.mono) {
            self.handle_silence(now.mono, asked);
        }
        match self
            .liveness
            .as_mut()
            .and_then(|liveness| liveness.check(now.mono))
        {
            Some(Act::Ping) => self.ping(),
            Some(Act::Close) => {
                if let Some(link) = self.link {
                    self.output(Output::Close {
                        link,
                        code: 1001,
                        reason: "no sign of life",
                    });
                    self.handle_down(context);
                }
            }
            None => {}
        }
        if self.link.is_some() {
            self.end_stale_transactions(now);
        }
        self.expire_orders(now.mono);
        self.end_lives(now.mono);
        self.go_on(context);
    }

    /// When [`Station::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Mono> {
        let liveness = self.liveness.as_ref().map(Liveness::poll_timeout);
        let stale = self.connectors.values().filter_map(|c| c.stop_due).min();
        let stale = stale.filter(|_| self.link.is_some());
        [
            liveness,
            stale,
            self.rpc.poll_timeout(),
            self.asking_timeout(),
            self.orders_expire_at(),
            self.lives_end_at(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Its ChargeBox ID.
    pub fn id(&self) -> &ChargeBoxId {
        &self.plan.id
    }

    /// The current connection.
    pub fn link(&self) -> Option<LinkId> {
        self.link
    }

    /// Whether neither side of the link waits for an answer.
    pub fn is_at_rest(&self) -> bool {
        self.rpc.is_at_rest()
    }

    /// What the status shows of a connector.
    pub fn view(&self, id: ConnectorId) -> Option<ConnectorView<'_>> {
        self.connectors.get(&id).map(|connector| ConnectorView {
            status: connector.status,
            measured: connector.measured,
            transaction: self.ledger.open_of(id),
            keeps_limit: self.keeps_limit(id),
        })
    }

    pub(super) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn send(&mut self, text: String, lowers: bool) {
        if let Some(link) = self.link {
            self.output(Output::Send { link, text, lowers });
        }
    }

    pub(super) fn ping(&mut self) {
        if let Some(link) = self.link {
            self.output(Output::Ping { link });
        }
    }

    /// A connector, made known at its first mention; `None` for 0 and for nonsense.
    pub(super) fn connector(&mut self, id: ConnectorId) -> Option<&mut Connector> {
        let plausible = (1..=MOST_CONNECTORS).contains(&id.0) || self.connectors.contains_key(&id);
        plausible.then(|| {
            self.connectors
                .entry(id)
                .or_insert_with(|| Connector::new(None))
        })
    }

    pub(super) fn report(&mut self, id: ConnectorId, report: Report) {
        let plan = self
            .connectors
            .get(&id)
            .and_then(|connector| connector.plan.as_ref());
        if let Some(evse) = plan.map(|plan| plan.evse.clone()) {
            self.output(Output::Report { evse, report });
        }
    }

    pub(super) fn report_all(&mut self, report: &Report) {
        let ours: Vec<ConnectorId> = self.plan.connectors.keys().copied().collect();
        for id in ours {
            self.report(id, report.clone());
        }
    }

    /// Tells the load manager what the connector needs, if that changed.
    pub(super) fn report_demand(&mut self, id: ConnectorId) {
        let open = self.ledger.open_of(id).is_some();
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let demand = connector.demand(open);
        if demand != connector.reported {
            connector.reported = demand;
            self.report(id, Report::Demand(demand));
        }
    }

    /// Keeps what the wallbox told of itself.
    pub(super) fn remember(&mut self, known: Known) {
        if known == self.known {
            return;
        }
        self.known = known;
        self.output(Output::Persist(Record::Memory {
            owner: format!("station {}", self.plan.id),
            key: "known".to_owned(),
            value: serde_json::to_string(&self.known).ok(),
        }));
    }
}
