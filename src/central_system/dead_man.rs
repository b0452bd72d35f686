//! `manager.dead-man`: a limit that ends by itself when nobody renews it, and the floor below it.
//!
//! While a transaction runs behind a meter, the profile on top has a life, and below it lies one
//! with the failsafe current. The order keeps the fuse: the floor rises only below a limit that
//! holds for ever, only then that limit gets its life, and it loses it before the floor sinks.
//! Whoever takes no life, or no floor, is served without, and keeps its last limit.
//!
//! When we die, all limits end together, whenever each of them was told: what lies above its
//! failsafe current sinks to it, and only then may a car that waits rise to its own.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::value::RawValue;
use tracing::{info, warn};

use crate::clock::{Mono, Now};
use crate::evse::Report;
use crate::ids::ConnectorId;
use crate::ocpp::messages::SetChargingProfile;
use crate::ocpp::rpc::CallFailure;
use crate::units::MilliAmps;

use super::asking::Asked;
use super::ladder::Ladder;
use super::limiting::{MOST_ERRORS, Told, Verdict, verdict};
use super::profile::{BEGUN_BEFORE, Shape, Terms, start_of_life};
use super::set_up::Step;
use super::station::{Context, Station};

/// What a floor is: its form is that of the profile above it.
pub(super) type Level = (Shape, MilliAmps);

/// The profile below ours on a connector.
#[derive(Debug, Default)]
pub(super) struct Floor {
    /// On this connection, or about to be.
    told: Option<Level>,
    /// The wallbox accepted that.
    is_laid: bool,
    /// Answers in a row that were errors and no verdict.
    errors: u32,
}

/// That the limit of a connector ends by itself.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// The form in which a limit was accepted last.
    form: Option<Shape>,
    /// A limit with a life was not accepted: it is told without, to see whether that was why.
    is_suspect: bool,
    /// When the limit that was told last is to be renewed; `None` = it holds for ever.
    told: Option<Mono>,
    /// What was accepted last may end from then on.
    ends: Option<Mono>,
    /// What was reported last.
    falls_back: Option<Duration>,
}

impl Floor {
    /// There may be one of ours.
    pub(super) fn may_lie(&self) -> bool {
        self.told.is_some()
    }
}

impl Life {
    /// Forgets what a wallbox was suspected of, not when its limit ends.
    pub(super) fn begin_again(&mut self) {
        self.is_suspect = false;
    }
}

/// Limits are renewed at the same times and end at the same times, half a dead-man apart. One that
/// `rises` to its floor is renewed before the others and ends after them, by what clocks may
/// differ. Returns when it is to be renewed, and how long it lives.
fn life_of(dead_man: Duration, now: Mono, rises: bool) -> (Mono, Duration) {
    let ahead = may_be_ahead(dead_man);
    let (early, late) = if rises {
        (ahead, BEGUN_BEFORE + ahead)
    } else {
        (Duration::ZERO, Duration::ZERO)
    };
    let half = dead_man / 2;
    let gone = (now + early).0.as_nanos() % half.as_nanos().max(1);
    let left = half.saturating_sub(Duration::from_nanos(u64::try_from(gone).unwrap_or(0)));
    (now + left, left + half + early + late)
}

/// So far a wallbox's clock may be ahead: its limits end so much sooner.
fn may_be_ahead(dead_man: Duration) -> Duration {
    dead_man / 8
}

/// From the time of a renewal to that when others must make room for the failsafe current, some
/// time before it may flow.
fn makes_room_after(dead_man: Duration) -> Duration {
    dead_man / 4
}

/// So long after the last contact the failsafe current holds at the latest: a wallbox's clock may
/// lag as much as a schedule begins before it is told.
fn falls_back_after(dead_man: Duration) -> Duration {
    BEGUN_BEFORE + dead_man
}

impl Station {
    /// Gives a limit that is about to be told its life, if it shall have one. Returns when it is to
    /// be renewed.
    pub(super) fn give_life(&self, now: Now, terms: &mut Terms, amps: MilliAmps) -> Option<Mono> {
        let connector = self.connectors.get(&terms.connector)?;
        let plan = connector.plan.as_ref()?;
        let dead_man = plan.dead_man.filter(|_| connector.setpoint.shall_live())?;
        let (renew_at, life) = life_of(dead_man, now.mono, amps < plan.failsafe);
        terms.start = start_of_life(now.wall);
        terms.duration = Some(BEGUN_BEFORE + life);
        Some(renew_at)
    }

    /// Decides which limits shall have a life from now on, and lets floors be laid for them.
    pub(super) fn weigh_lives(&mut self, now: Mono) {
        let ours: Vec<ConnectorId> = self.plan.connectors.keys().copied().collect();
        for id in ours {
            let may_live = self.may_live(id);
            let charges = self.knows_transaction(id);
            let level = self.level(id);
            let floor = self.floor_wanted(id);
            let Some(connector) = self.connectors.get_mut(&id) else {
                continue;
            };
            let is_laid = connector.floor.is_laid && connector.floor.told == level;
            connector.setpoint.live(may_live && is_laid);
            // Without a transaction the next offer is on its way.
            if charges && !may_live && connector.setpoint.lives() == Some(true) {
                connector.setpoint.forget();
            }
            if floor.is_some() && connector.floor.told != floor {
                (connector.floor.told, connector.floor.is_laid) = (floor, false);
                self.set_up.first(now, Step::Floor(id));
            }
        }
    }

    /// A limit on this connector may end by itself, if there is a floor for it.
    fn may_live(&self, id: ConnectorId) -> bool {
        let (Some(connector), Some(shape)) = (self.connectors.get(&id), self.shape(id)) else {
            return false;
        };
        let Some(dead_man) = connector.plan.as_ref().and_then(|plan| plan.dead_man) else {
            return false;
        };
        self.knows_transaction(id)
            && shape.has_floor()
            && self.clock_serves(dead_man)
            && !self.known.takes_no_dead_man.contains(&id)
            && !connector.life.is_suspect
            && !connector.setpoint.wants_release()
            && !connector.ladder.as_ref().is_some_and(Ladder::is_in_doubt)
    }

    /// By what it shows, its clock is right enough for schedules that begin and end today.
    fn clock_serves(&self, dead_man: Duration) -> bool {
        let (Ok(lags), Ok(ahead)) = (
            SignedDuration::try_from(BEGUN_BEFORE),
            SignedDuration::try_from(may_be_ahead(dead_man)),
        ) else {
            return false;
        };
        let lag = self.sample_clock.lag().filter(|_| self.clock_is_set);
        lag.is_some_and(|lag| (-ahead..=lags).contains(&lag))
    }

    /// The floor that belongs below the limit that is to come.
    fn level(&self, id: ConnectorId) -> Option<Level> {
        let shape = self.shape(id).filter(|shape| shape.has_floor())?;
        let plan = self.connectors.get(&id)?.plan.as_ref()?;
        Some(if self.may_live(id) {
            (shape, plan.failsafe)
        } else {
            (shape, plan.idle)
        })
    }

    /// The same, while a limit covers it that does not end.
    fn floor_wanted(&self, id: ConnectorId) -> Option<Level> {
        let connector = self.connectors.get(&id)?;
        let is_covered = connector.setpoint.lives() == Some(false);
        self.level(id)
            .filter(|(shape, _)| is_covered && connector.life.form == Some(*shape))
    }

    /// Lays the profile below ours; false where there is none to lay.
    pub(super) fn ask_floor(&mut self, context: &mut Context<'_>, id: ConnectorId) -> bool {
        let terms = self.terms(context, id);
        let floor = self.floor_wanted(id);
        let Some(connector) = self.connectors.get_mut(&id) else {
            return false;
        };
        connector.floor.told = floor;
        let (Some((shape, amps)), Some(terms)) = (floor, terms) else {
            return false;
        };
        let Some(profile) = shape.floor(&terms, amps) else {
            return false;
        };
        let request = SetChargingProfile {
            connector_id: shape.connector(id),
            cs_charging_profiles: profile,
        };
        let asked = Asked::Floor {
            connector: id,
            level: (shape, amps),
        };
        self.call(context, &request, asked, false);
        true
    }

    /// The wallbox answered a floor.
    pub(super) fn handle_floor_answer(
        &mut self,
        id: ConnectorId,
        level: Level,
        result: Result<&RawValue, CallFailure>,
    ) {
        match verdict(result) {
            Verdict::Took => {
                if let Some(connector) = self.connectors.get_mut(&id) {
                    connector.floor.is_laid = connector.floor.told == Some(level);
                    connector.floor.errors = 0;
                }
            }
            Verdict::Refused(why) => self.takes_no_dead_man(id, &why),
            Verdict::None => self.floor_unanswered(id, true),
        }
    }

    /// No verdict on the floor came: it is told again, unless that was `in_vain` too often.
    pub(super) fn floor_unanswered(&mut self, id: ConnectorId, in_vain: bool) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let errors = connector.floor.errors + u32::from(in_vain);
        if errors >= MOST_ERRORS {
            self.takes_no_dead_man(id, "it answers with errors");
        } else {
            connector.floor = Floor {
                errors,
                ..Floor::default()
            };
        }
    }

    /// A limit with a life was not accepted. It is told without at once; true if that is news.
    pub(super) fn suspect_life(&mut self, id: ConnectorId, told: Told) -> bool {
        let connector = self
            .connectors
            .get_mut(&id)
            .filter(|_| told.renew_at.is_some());
        let Some(connector) = connector else {
            return false;
        };
        connector.errors = 0;
        !std::mem::replace(&mut connector.life.is_suspect, true)
    }

    /// The wallbox accepted a limit: `told` says until when.
    pub(super) fn took_life(&mut self, id: ConnectorId, told: Told) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        connector.life.form = Some(told.shape);
        let Some(dead_man) = connector.plan.as_ref().and_then(|plan| plan.dead_man) else {
            return;
        };
        connector.life.ends = told.renew_at.map(|at| at + makes_room_after(dead_man));
        let was_suspect = std::mem::take(&mut connector.life.is_suspect);
        let is_last = connector.life.told == told.renew_at;
        match told.renew_at {
            Some(_) => {
                // Not where this is a late answer and something else was told since.
                let after = is_last.then(|| falls_back_after(dead_man));
                self.falls_back(id, after);
            }
            None if was_suspect => self.takes_no_dead_man(id, "it takes the same limit without"),
            None => {}
        }
    }

    /// The wallbox refused a limit that would hold for ever: it is not the life that it dislikes.
    pub(super) fn clear_suspicion(&mut self, id: ConnectorId) {
        if let Some(connector) = self.connectors.get_mut(&id) {
            connector.life.is_suspect = false;
        }
    }

    /// A limit is about to be told, or taken away.
    pub(super) fn note_told(&mut self, id: ConnectorId, renew_at: Option<Mono>) {
        if let Some(connector) = self.connectors.get_mut(&id) {
            connector.life.told = renew_at;
        }
        if renew_at.is_none() {
            self.falls_back(id, None);
        }
    }

    /// What all of them were told may be forgotten.
    pub(super) fn nobody_falls_back(&mut self) {
        let ours: Vec<ConnectorId> = self.plan.connectors.keys().copied().collect();
        for id in ours {
            self.note_told(id, None);
        }
    }

    /// It falls back to its failsafe current by itself so long after the last contact.
    fn falls_back(&mut self, id: ConnectorId, after: Option<Duration>) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        if std::mem::replace(&mut connector.life.falls_back, after) != after {
            self.report(id, Report::FallsBack(after));
        }
    }

    /// Limits that were not renewed may end soon: from then on they count as forgotten.
    pub(super) fn end_lives(&mut self, now: Mono) {
        let over = self
            .connectors
            .iter_mut()
            .filter_map(|(id, c)| c.life.ends.take_if(|at| *at <= now).map(|_| *id));
        let over: Vec<ConnectorId> = over.collect();
        for id in over {
            warn!(charge_point = %self.plan.id, connector = id.0, "a limit could not be renewed and ends: failsafe-current is booked");
            self.report(id, Report::Booted);
        }
    }

    /// When [`Station::end_lives`] has something to do.
    pub(super) fn lives_end_at(&self) -> Option<Mono> {
        self.connectors.values().filter_map(|c| c.life.ends).min()
    }

    /// It is charging, or has shown what it takes, and nothing makes its limit end by itself.
    pub(super) fn keeps_limit(&self, id: ConnectorId) -> bool {
        let Some(connector) = self.connectors.get(&id) else {
            return false;
        };
        let is_wanted = connector
            .plan
            .as_ref()
            .is_some_and(|p| p.dead_man.is_some());
        let refuses = self.known.takes_no_dead_man.contains(&id)
            || self
                .known
                .shapes
                .get(&id)
                .is_some_and(|shape| !shape.has_floor());
        let is_limited = connector.setpoint.lives().is_some();
        is_wanted && (refuses || is_limited && self.knows_transaction(id) && !self.may_live(id))
    }

    /// Remembers that this firmware is served without.
    fn takes_no_dead_man(&mut self, id: ConnectorId, why: &str) {
        let plan = self.connectors.get(&id).and_then(|c| c.plan.as_ref());
        if plan.is_none_or(|plan| plan.dead_man.is_none()) {
            return;
        }
        let mut known = self.known.clone();
        if known.takes_no_dead_man.insert(id) {
            info!(charge_point = %self.plan.id, connector = id.0, why, "a wallbox takes no dead-man: it keeps its last limit when nobody reaches it");
            self.remember(known);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_MINUTES: Duration = Duration::from_mins(10);

    /// When a limit is renewed that is told at a time, and when it ends, in seconds.
    fn life(told: u64, rises: bool) -> (u64, u64) {
        let now = Mono(Duration::from_secs(told));
        let (renew_at, life) = life_of(TEN_MINUTES, now, rises);
        (renew_at.0.as_secs(), (now + life).0.as_secs())
    }

    #[test]
    fn whenever_they_are_told_limits_end_together_after_half_a_dead_man_or_a_whole_one() {
        for told in [600, 601, 750, 899] {
            assert_eq!(life(told, false), (900, 1200));
        }
        assert_eq!(life(900, false), (1200, 1500));
    }

    #[test]
    fn who_rises_to_the_failsafe_current_is_renewed_first_and_ends_last() {
        let late = 75 + 60;
        for told in [600, 750, 824] {
            assert_eq!(life(told, true), (825, 1200 + late));
        }
        for told in [825, 899, 900] {
            assert_eq!(life(told, true), (1125, 1500 + late));
        }
    }
}
