//! What is filed for a backend: the messages of transactions as they came, of their periodic meter
//! values as many as the backend wants (OCPP 1.6 §4.7), and none that we asked for ourselves.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::clock::{Mono, Now, Timestamp};
use crate::evse::Metering;
use crate::ids::{ChargeBoxId, ConnectorId, TransactionNumber};
use crate::journal::{Entry, EntryKind, Record, Recovered, Transaction};
use crate::ocpp::messages::MeterValues;
use crate::ocpp::{Reading, timestamp};

use super::relaying::WHOLE;
use super::set_up::{MEASURANDS, Sampling};
use super::station::{Context, Output, Station};

/// A wallbox that got no answer sends a message again as one of the next of its connector.
const REMEMBERED: usize = 16;

const PERIODIC: &str = "Sample.Periodic";
const TRIGGER: &str = "Trigger";

/// In seconds: values that come so long after a question may be its answer. A wallbox that marks all
/// its values as triggered must not lose them for ever.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

/// Tells whether a message came before, by a digest of it. It is kept together with what was
/// filed: after a crash a wallbox sends again what it got no answer to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Repeats(VecDeque<u64>);

impl Repeats {
    /// What the journal brought back of those at this connector.
    pub(super) fn recover(
        address: &ChargeBoxId,
        of: Option<ConnectorId>,
        recovered: &Recovered,
    ) -> Self {
        let json = recovered.memory.get(&(owner(address), key(of)));
        json.and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default()
    }

    fn record(&self, address: &ChargeBoxId, of: Option<ConnectorId>) -> Record {
        Record::Memory {
            owner: owner(address),
            key: key(of),
            value: serde_json::to_string(self).ok(),
        }
    }

    fn are_known(&self, digest: u64) -> bool {
        self.0.contains(&digest)
    }

    fn remember(&mut self, digest: u64) {
        if self.0.len() >= REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(digest);
    }
}

fn owner(address: &ChargeBoxId) -> String {
    format!("station {address}")
}

/// Those of a connector, or stops of unknown transactions.
fn key(of: Option<ConnectorId>) -> String {
    of.map_or_else(|| "strays".to_owned(), |id| format!("repeats {}", id.0))
}

/// FNV-1a: what is kept on disk must mean the same to the next version of this program.
fn digest(number: Option<TransactionNumber>, payload: &RawValue) -> u64 {
    let number = number.map_or(0, |it| it.0).to_le_bytes();
    let bytes = number.iter().chain(payload.get().as_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What becomes of the meter values of one connector.
#[derive(Debug, Default)]
pub(super) struct Filing {
    metering: Metering,
    repeats: Repeats,
    /// The last interval of which a periodic value was filed, counted from the start of this
    /// transaction.
    filed: Option<(Option<TransactionNumber>, i64)>,
    /// When the backend asked for values, and when we did.
    backend_asked: Option<Mono>,
    we_asked: Option<Mono>,
}

impl Filing {
    /// What the journal brought back of a connector.
    pub(super) fn recover(address: &ChargeBoxId, id: ConnectorId, recovered: &Recovered) -> Self {
        Self {
            repeats: Repeats::recover(address, Some(id), recovered),
            ..Self::default()
        }
    }

    /// Are values that are marked as asked for meant for the backend? What we ask for would flood it.
    /// Those that nobody asked for are as good as any.
    fn are_for_backend(&self, now: Mono) -> bool {
        let lately = |at: Option<Mono>| at.is_some_and(|at| now.since(at) <= ANSWERED_WITHIN);
        lately(self.backend_asked) || !lately(self.we_asked)
    }

    /// Does a periodic value taken this long after the start of its transaction begin an interval
    /// of the backend? One that jumps back does, too: a clock that was set must not lose any.
    fn takes(&mut self, number: Option<TransactionNumber>, elapsed: jiff::SignedDuration) -> bool {
        let Some(interval) = self.metering.interval.filter(|it| !it.is_zero()) else {
            return false;
        };
        let interval = i128::try_from(interval.as_millis())
            .unwrap_or(i128::MAX)
            .max(1);
        let at = i64::try_from(elapsed.as_millis().div_euclid(interval)).unwrap_or(i64::MAX);
        // The register at the start is in the start itself.
        let last = self
            .filed
            .filter(|(of, _)| *of == number)
            .map_or(0, |(_, at)| at);
        if at == last {
            return false;
        }
        self.filed = Some((number, at));
        true
    }
}

/// On what occasions the values of a message were sampled, read without mercy: what cannot be
/// understood is never thinned.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Occasions<'a> {
    #[serde(borrow)]
    meter_value: Vec<Samples<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Samples<'a> {
    #[serde(borrow)]
    sampled_value: Vec<Occasion<'a>>,
}

#[derive(Debug, Deserialize)]
struct Occasion<'a> {
    #[serde(borrow)]
    context: Option<Cow<'a, str>>,
    #[serde(borrow)]
    format: Option<Cow<'a, str>>,
}

/// What the occasions of a message come to.
#[derive(Debug, Default)]
struct Kinds {
    /// All are periodic and without signature.
    thinnable: bool,
    /// Some are aligned to the clock.
    aligned: bool,
    /// Somebody asked for them, and they are without signature.
    triggered: bool,
}

impl Kinds {
    fn of(payload: &RawValue) -> Self {
        let Ok(message) = serde_json::from_str::<Occasions<'_>>(payload.get()) else {
            return Self::default();
        };
        let samples = || message.meter_value.iter().flat_map(|it| &it.sampled_value);
        let context = |it: &Occasion<'_>, is: &str| it.context.as_deref().unwrap_or(PERIODIC) == is;
        let is_raw = samples().all(|it| it.format.as_deref().unwrap_or("Raw") == "Raw");
        let is_triggered = |it: &Occasion<'_>| context(it, TRIGGER);
        Self {
            thinnable: is_raw && samples().all(|it| context(it, PERIODIC)),
            aligned: samples().any(|it| context(it, "Sample.Clock")),
            triggered: is_raw
                && (message.meter_value.iter()).all(|it| it.sampled_value.iter().any(is_triggered))
                && samples().all(|it| is_triggered(it) || context(it, PERIODIC)),
        }
    }
}

impl Station {
    /// A backend wants these meter values of a connector.
    pub fn handle_metering(
        &mut self,
        context: &mut Context<'_>,
        id: ConnectorId,
        metering: Metering,
    ) {
        if self.has_backend(id) {
            let filing = self.filings.entry(id).or_default();
            self.sampling_changed |= filing.metering != metering;
            filing.metering = metering;
        }
        self.go_on(context);
    }

    /// We are about to ask for values of a connector.
    pub(super) fn we_want_values(&mut self, now: Mono, id: ConnectorId) {
        if let Some(filing) = self.filings.get_mut(&id) {
            filing.we_asked = Some(now);
        }
    }

    /// A backend is about to ask for values of a connector, or with 0 of all.
    pub(super) fn backend_wants_values(&mut self, now: Mono, id: ConnectorId) {
        let meant = self.filings.iter_mut();
        for (_, filing) in meant.filter(|(it, _)| **it == id || id == WHOLE) {
            filing.backend_asked = Some(now);
        }
    }

    /// How the wallbox shall sample, for us and for its backends.
    pub(super) fn sampling(&self, takes: Option<&str>) -> Sampling {
        let all = || self.filings.values().map(|filing| &filing.metering);
        let intervals = all().filter_map(|metering| metering.interval);
        let interval = intervals
            .filter(|interval| !interval.is_zero())
            .fold(self.plan.meter_interval, Duration::min);
        let ours = takes.map_or_else(|| MEASURANDS.join(","), ToOwned::to_owned);
        let backends = union(all().map(|metering| metering.measurands.as_str()));
        let mut lists = VecDeque::from([union([backends.as_str(), &ours].into_iter())]);
        if !backends.is_empty() {
            lists.push_back(backends);
            lists.extend(takes.map(ToOwned::to_owned));
        }
        Sampling { interval, lists }
    }

    /// Keeps a message, in the queue of its backend if it has one, together with what is known by
    /// it.
    pub(super) fn file(
        &mut self,
        now: Now,
        connector: ConnectorId,
        transaction: Option<TransactionNumber>,
        kind: EntryKind,
        payload: &RawValue,
        with: Vec<Record>,
    ) {
        let entry = Entry {
            address: self.plan.id.clone(),
            connector,
            transaction,
            kind,
            payload: payload.get().to_owned(),
            received: now.wall,
        };
        self.output(Output::File { entry, with });
    }

    /// The stop of a transaction that nobody knows may still be money.
    pub(super) fn file_stray(&mut self, now: Now, payload: &RawValue) {
        let digest = digest(None, payload);
        if !self.has_backend(WHOLE) || self.strays.are_known(digest) {
            return;
        }
        self.strays.remember(digest);
        let with = vec![self.strays.record(&self.plan.id, None)];
        let mut behind = self.plan.connectors.iter().filter(|(_, it)| it.backend);
        let connector = match (behind.next(), behind.next()) {
            (Some((only, _)), None) => *only,
            _ => WHOLE,
        };
        self.file(now, connector, None, EntryKind::Stop, payload, with);
    }

    /// Meter values that may be billed are filed, others are told to the backend; of periodic ones
    /// as many as it wants, and none that we asked for.
    pub(super) fn file_values(
        &mut self,
        now: Now,
        said: &MeterValues<'_>,
        reading: &Reading,
        payload: &RawValue,
    ) {
        let id = said.transaction_id.filter(|id| *id > 0);
        let transaction =
            self.ledger
                .meant_by_values(said.connector_id, id, reading.has_transaction_end);
        let connector = transaction.map_or(said.connector_id, |it| it.connector);
        if !self.has_backend(connector) {
            return;
        }
        let number = transaction.map(|it| it.number);
        let elapsed = elapsed(now, said, transaction);
        let Kinds {
            thinnable,
            aligned,
            triggered,
        } = Kinds::of(payload);
        let digest = digest(number, payload);
        let filing = self.filings.entry(connector).or_default();
        if filing.repeats.are_known(digest)
            || (thinnable && !filing.takes(number, elapsed))
            || (triggered && !filing.are_for_backend(now.mono))
        {
            return;
        }
        filing.repeats.remember(digest);
        let with = vec![filing.repeats.record(&self.plan.id, Some(connector))];
        if number.is_none() && id.is_none() && !aligned {
            self.notice(connector, "MeterValues", payload);
            return;
        }
        self.file(
            now,
            connector,
            number,
            EntryKind::Values { thinnable },
            payload,
            with,
        );
    }
}

/// How long after the start of its transaction a message was sampled: by the wallbox's own clock,
/// if it stood right at both times.
fn elapsed(
    now: Now,
    said: &MeterValues<'_>,
    transaction: Option<&Transaction>,
) -> jiff::SignedDuration {
    let is_set = |time: &Timestamp| !timestamp::clock_not_set(*time);
    let times = said.meter_value.iter();
    let times = times.filter_map(|value| timestamp::parse_lenient(&value.timestamp));
    let sampled = times.max().filter(is_set);
    let Some(transaction) = transaction else {
        let sampled = sampled.unwrap_or(now.wall);
        return sampled.duration_since(Timestamp::UNIX_EPOCH);
    };
    let started = timestamp::parse_lenient(&transaction.started).filter(is_set);
    let by_wallbox = sampled.zip(started);
    by_wallbox
        .map(|(sampled, started)| sampled.duration_since(started))
        .filter(|elapsed| !elapsed.is_negative())
        .unwrap_or_else(|| now.wall.duration_since(transaction.received))
}

/// The measurands of all lists, each once, in their order.
fn union<'a>(lists: impl Iterator<Item = &'a str>) -> String {
    let mut all: Vec<&str> = Vec::new();
    for one in lists.flat_map(|list| list.split(',')).map(str::trim) {
        if !one.is_empty() && !all.iter().any(|it| it.eq_ignore_ascii_case(one)) {
            all.push(one);
        }
    }
    all.join(",")
}
