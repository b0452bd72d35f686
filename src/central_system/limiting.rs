//! How an offer becomes a charging profile on the wallbox, climbing the [ladder](super::ladder)
//! until one form is taken.

use std::time::Duration;

use serde_json::value::RawValue;
use tracing::{debug, error, info, warn};

use crate::clock::Mono;
use crate::evse::{Limit, Report};
use crate::ids::{ConnectorId, OfferNumber};
use crate::ocpp::ErrorCode;
use crate::ocpp::messages::{self, ChargingProfileStatus, SetChargingProfileResponse};
use crate::ocpp::rpc::CallFailure;
use crate::units::MilliAmps;

use super::asking::Asked;
use super::connector::Connector;
use super::dead_man::Floor;
use super::ladder::Ladder;
use super::plan::{Kind, Purpose};
use super::profile::{Shape, Terms, start_of_schedule};
use super::set_up::Step;
use super::setpoint::{Direction, FOLLOWS_WITHIN};
use super::station::{Context, Station};

/// So long a wallbox may hold a car back that it may give current.
const HELD_FOR: Duration = Duration::from_secs(10);

/// So many errors that are no verdict, and the form counts as refused.
pub(super) const MOST_ERRORS: u32 = 3;

/// A limit as a wallbox was told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// Which offer.
    pub(super) offer: OfferNumber,
    /// What it says.
    pub(super) limit: Limit,
    /// The current that it came to.
    pub(super) amps: MilliAmps,
    /// In which form.
    pub(super) shape: Shape,
    /// It ends by itself unless it is told again then.
    pub(super) renew_at: Option<Mono>,
}

/// What the wallbox said to a limit.
pub(super) enum Verdict {
    Took,
    Refused(String),
    /// An error, or nonsense.
    None,
}

impl Station {
    /// The ladders begin anew, with what is known of the wallbox now.
    pub(super) fn reset_ladders(&mut self) {
        let only = self.plan.connectors.len() == 1;
        for (id, connector) in &mut self.connectors {
            let Some(plan) = &connector.plan else {
                continue;
            };
            let worked = self.known.shapes.get(id).copied();
            connector.ladder = Some(Ladder::new(&plan.profile, &self.known, worked, only));
            connector.release = None;
        }
    }

    /// Current flows above this offer: it is told again, in another form if need be.
    pub(super) fn not_followed(&mut self, now: Mono, id: ConnectorId, offer: OfferNumber) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        connector.complaint = connector.setpoint.has_newest().then_some(offer);
        if connector.setpoint.should_be_followed(now, offer) {
            connector.complaint = None;
            let again = connector.ladder.as_mut().is_some_and(Ladder::disobeyed);
            self.tell_again(id, again);
        }
    }

    /// A complaint that came before there was time to follow counts as soon as there was, unless
    /// the car turns out to follow: the load manager does not repeat it for a while.
    pub(super) fn complain_again(&mut self, now: Mono, id: ConnectorId, drawn: MilliAmps) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let Some(offer) = connector.complaint else {
            return;
        };
        if connector.setpoint.is_followed_by(drawn) {
            connector.complaint = None;
        } else if connector.setpoint.should_be_followed(now, offer) {
            self.not_followed(now, id, offer);
        }
    }

    /// A wallbox that holds a car back for a while although it took current is told again.
    pub(super) fn watch_held_back(&mut self, now: Mono) {
        let held = |(id, connector): (&ConnectorId, &mut Connector)| {
            let is_held = connector.is_held_back() && self.ledger.open_of(*id).is_some();
            let since = *connector.held_since.get_or_insert(now);
            connector.held_since = is_held.then_some(since);
            (is_held && now.since(since) >= HELD_FOR).then(|| {
                connector.held_since = Some(now);
                *id
            })
        };
        let held: Vec<ConnectorId> = self.connectors.iter_mut().filter_map(held).collect();
        for id in held {
            let ladder = self.connectors.get_mut(&id).and_then(|c| c.ladder.as_mut());
            if ladder.is_some_and(Ladder::held_back) {
                self.tell_again(id, true);
            }
        }
    }

    /// When [`Station::watch_held_back`] has something to do by time alone.
    pub(super) fn held_until(&self) -> Option<Mono> {
        let since = self.connectors.values().filter_map(|c| c.held_since).min();
        since.map(|since| since + HELD_FOR)
    }

    fn tell_again(&mut self, id: ConnectorId, again: bool) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        if again {
            warn!(charge_point = %self.plan.id, connector = id.0, "a wallbox took a limit and does not obey it: it is told again");
            connector.setpoint.forget();
        } else {
            self.remember_shape(id, None);
        }
    }

    pub(super) fn terms(&self, context: &Context<'_>, id: ConnectorId) -> Option<Terms> {
        let plan = self.connectors.get(&id)?.plan.as_ref()?;
        Some(Terms {
            connector: id,
            phases: plan.phases,
            voltage: self.plan.voltage,
            transaction: self.ledger.open_of(id).map(|open| open.wallbox_id),
            start: start_of_schedule(context.now.wall, self.clock_is_set),
            duration: None,
        })
    }

    pub(super) fn shape(&self, id: ConnectorId) -> Option<Shape> {
        let ladder = self.connectors.get(&id)?.ladder.as_ref()?;
        Some(ladder.shape(self.knows_transaction(id)))
    }

    /// Tells the wallbox the limit that waits on this connector.
    pub(super) fn ask_limit(
        &mut self,
        context: &mut Context<'_>,
        id: ConnectorId,
        direction: Direction,
    ) {
        let (Some(shape), Some(mut terms)) = (self.shape(id), self.terms(context, id)) else {
            return;
        };
        let pending = self
            .connectors
            .get(&id)
            .and_then(|c| c.setpoint.pending(context.now.mono));
        let Some((number, limit)) = pending.map(|(offer, _)| (offer.number, offer.limit)) else {
            return;
        };
        match limit {
            Limit::Current(amps) => {
                if let Some(connector) = self.connectors.get_mut(&id) {
                    connector.release = None;
                }
                let renew_at = self.give_life(context.now, &mut terms, amps);
                let told = Told {
                    offer: number,
                    limit,
                    amps,
                    shape,
                    renew_at,
                };
                self.tell(context, told, &terms, direction);
            }
            Limit::Released => self.ask_release(context, id, number),
        }
    }

    /// Tells a limit, or the next of the profiles that it takes.
    pub(super) fn tell(
        &mut self,
        context: &mut Context<'_>,
        told: Told,
        terms: &Terms,
        direction: Direction,
    ) {
        let in_transaction = self.knows_transaction(terms.connector);
        let Some(connector) = self.connectors.get_mut(&terms.connector) else {
            return;
        };
        let places = connector
            .ladder
            .as_ref()
            .map(|it| it.places(in_transaction));
        let (shape, amps) = (told.shape, told.amps);
        let requests = shape.requests(&places.unwrap_or_default(), terms, amps);
        let next = connector
            .setpoint
            .next_of(told.offer, shape, requests.len());
        let Some(request) = requests.into_iter().nth(next) else {
            return;
        };
        let asked = Asked::Limit {
            connector: terms.connector,
            told,
        };
        // A renewal waits for the journal no more than a lowering: it asks for nothing new.
        let lowers = direction != Direction::Raises && connector.setpoint.may_overtake();
        self.note_told(terms.connector, told.renew_at);
        self.call(context, &request, asked, lowers);
    }

    /// The wallbox answered a limit.
    pub(super) fn handle_limit_answer(
        &mut self,
        now: Mono,
        id: ConnectorId,
        told: Told,
        result: Result<&RawValue, CallFailure>,
    ) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let worked = self.known.shapes.get(&id) == Some(&told.shape);
        let mut verdict = verdict(result);
        if told.shape.everywhere {
            let accepted = matches!(verdict, Verdict::Took);
            match connector.setpoint.answered(told.offer, accepted) {
                None => return,
                Some(true) => verdict = Verdict::Took,
                Some(false) => verdict = Verdict::Refused("it takes it nowhere".to_owned()),
            }
        }
        match verdict {
            // The wallbox may not know yet that the transaction has begun, or we that it is over.
            Verdict::Refused(_)
                if worked
                    && told.shape.purpose == Purpose::Tx
                    && connector.errors + 1 < MOST_ERRORS =>
            {
                connector.errors += 1;
                connector.setpoint.unanswered(now, told.offer);
            }
            Verdict::Took => {
                connector.errors = 0;
                let worked = connector
                    .ladder
                    .as_mut()
                    .and_then(|l| l.accepted(told.shape));
                self.clear_what_is_left(now, id, told.shape);
                self.took(now, id, (told.offer, told.limit), told.renew_at);
                self.took_life(id, told);
                if worked.is_some() {
                    self.remember_shape(id, worked);
                }
            }
            Verdict::Refused(why) => self.refused(id, told, why),
            Verdict::None => {
                connector.errors += 1;
                if connector.errors < MOST_ERRORS {
                    connector.setpoint.unanswered(now, told.offer);
                } else {
                    self.refused(id, told, "it answers with errors".to_owned());
                }
            }
        }
    }

    /// The wallbox did not answer a limit. Some fall silent at what they do not know.
    pub(super) fn limit_unanswered(&mut self, now: Mono, id: ConnectorId, told: Told) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        connector.setpoint.unanswered(now, told.offer);
        if told.renew_at.is_some() {
            connector.errors += 1;
            if connector.errors >= MOST_ERRORS {
                self.suspect_life(id, told);
            }
        }
    }

    /// Lets those profiles of ours be cleared that another form has left behind.
    fn clear_what_is_left(&mut self, now: Mono, id: ConnectorId, shape: Shape) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let was_everywhere = std::mem::replace(&mut connector.told_everywhere, shape.everywhere);
        let has_floor = shape.kind == Kind::Absolute && shape.stack_level > 0;
        if was_everywhere && !shape.everywhere {
            for profile in Shape::ids_of_everywhere(id) {
                self.set_up.first(now, Step::Clear(profile));
            }
            connector.floor = Floor::default();
        }
        if !has_floor && (was_everywhere || connector.floor.may_lie()) {
            connector.floor = Floor::default();
            self.set_up.first(now, Step::Clear(Shape::floor_id(id)));
        }
    }

    pub(super) fn took(
        &mut self,
        now: Mono,
        id: ConnectorId,
        (offer, limit): (OfferNumber, Limit),
        renew_at: Option<Mono>,
    ) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        connector.release = None;
        if limit == Limit::Released {
            connector.floor = Floor::default();
        }
        if !connector.setpoint.took(now, (offer, limit), renew_at) {
            return;
        }
        if connector.ladder.as_ref().is_some_and(Ladder::is_in_doubt) {
            let look = Step::TriggerMeterValues(id);
            self.set_up.first(now + FOLLOWS_WITHIN, look);
        }
        self.watch_car(now, id, limit);
        self.report(id, Report::Took(offer));
    }

    fn refused(&mut self, id: ConnectorId, told: Told, why: String) {
        if self.suspect_life(id, told) {
            debug!(charge_point = %self.plan.id, connector = id.0, why = why.as_str(), "a limit that ends by itself was refused: it is told without");
            return;
        }
        self.clear_suspicion(id);
        let in_transaction = self.knows_transaction(id);
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        connector.errors = 0;
        let refused = connector
            .ladder
            .as_mut()
            .is_none_or(|l| !l.refused(told.shape, told.amps, in_transaction));
        if !refused {
            debug!(charge_point = %self.plan.id, connector = id.0, why = why.as_str(), "a form of profile was refused: the next one is tried");
            return;
        }
        error!(charge_point = %self.plan.id, connector = id.0, why = why.as_str(), "a wallbox takes no limit in any form: it is booked at what it can draw");
        connector.setpoint.refuse(told.offer);
        let offer = told.offer;
        self.report(id, Report::Refused { offer, why });
    }

    /// The form that works, or that none does.
    fn remember_shape(&mut self, id: ConnectorId, shape: Option<Shape>) {
        if self.known.shapes.get(&id) == shape.as_ref() {
            return;
        }
        let mut known = self.known.clone();
        if let Some(shape) = shape {
            info!(charge_point = %self.plan.id, connector = id.0, form = ?shape, "a wallbox takes limits in this form");
            known.shapes.insert(id, shape);
        } else {
            warn!(charge_point = %self.plan.id, connector = id.0, "a wallbox obeys no limit in any form");
            known.shapes.remove(&id);
        }
        self.remember(known);
    }
}

pub(super) fn verdict(result: Result<&RawValue, CallFailure>) -> Verdict {
    match result {
        Ok(raw) => match messages::parse::<SetChargingProfileResponse>(raw) {
            Ok(answer) if answer.status == ChargingProfileStatus::Accepted => Verdict::Took,
            Ok(answer) => Verdict::Refused(answer.status.to_string()),
            Err(_) => Verdict::None,
        },
        Err(failure) => match failure.code {
            ErrorCode::InternalError | ErrorCode::GenericError | ErrorCode::ProtocolError => {
                Verdict::None
            }
            code => Verdict::Refused(code.to_string()),
        },
    }
}
