//! What a backend's profiles allow now, for the load manager.

use std::collections::BTreeMap;

use crate::clock::{Mono, Now, Timestamp};
use crate::evse::Metering;
use crate::ids::EvseName;
use crate::units::MilliAmps;

use super::gateway::{Gateway, TICK};
use super::io::{Context, Output};
use super::members::Member;
use super::profiles::{OpenTransaction, Outlet, Outlets};

impl Gateway {
    /// The backend's profiles go to the wallbox as they are.
    pub(super) fn is_verbatim(&self) -> bool {
        self.plan.observe && self.members.iter().all(|member| member.plan.is_ocpp)
    }

    /// The connectors as the backend sees them, with what the load manager leaves of them.
    pub(super) fn outlets(&self, context: &Context<'_>) -> Outlets {
        self.outlets_with(Some(context.offered))
    }

    fn outlets_with(&self, offered: Option<&BTreeMap<EvseName, MilliAmps>>) -> Outlets {
        let outlet = |member: &Member| {
            let transaction = self.open_transaction(member);
            // An offer that is less than the backend allows is less because of the load manager.
            let ceiling = self.ceiling(&member.plan.evse);
            let offer = offered.and_then(|offered| offered.get(&member.plan.evse).copied());
            let offer = offer.filter(|_| transaction.is_some());
            let local_limit = offer.filter(|offer| ceiling.is_none_or(|ceiling| *offer < ceiling));
            let outlet = Outlet {
                transaction,
                wiring: member.plan.wiring,
                local_limit: local_limit.filter(|_| ceiling.is_none_or(|it| it >= member.plan.min)),
            };
            (member.connector, outlet)
        };
        self.members.iter().map(outlet).collect()
    }

    fn open_transaction(&self, member: &Member) -> Option<OpenTransaction> {
        let (_, known) = self
            .transactions
            .open_of(&member.plan.address, member.plan.connector)?;
        Some(OpenTransaction {
            id: known.backend_id(),
            // Schedules count in whole seconds.
            started: Timestamp::from_second(known.began.as_second()).unwrap_or(known.began),
        })
    }

    /// Keeps the profiles and applies them.
    pub(super) fn profiles_changed(&mut self, now: Now) {
        let profiles = self.profiles.clone();
        self.remember("profiles", &profiles);
        self.tell_ceilings(now);
    }

    /// Profiles begin and end by themselves; civil time is compared, never waited for.
    pub(super) fn look_at_profiles(&mut self, now: Now) {
        if now.mono.since(self.looked_at) >= TICK {
            self.tell_ceilings(now);
        }
    }

    pub(super) fn profiles_timeout(&self) -> Option<Mono> {
        (!self.profiles.is_empty()).then_some(self.looked_at + TICK)
    }

    /// Tells the load manager what has changed.
    pub(super) fn tell_ceilings(&mut self, now: Now) {
        self.looked_at = now.mono;
        if self.is_verbatim() {
            return;
        }
        let outlets = self.outlets_with(None);
        let busy = outlets.values().filter(|it| it.transaction.is_some());
        let busy = i32::try_from(busy.count().max(1)).unwrap_or(i32::MAX);
        // What several connectors may draw together is shared among those that charge.
        let total = self.profiles.total(now.wall, &outlets);
        let share = total.map(|total| MilliAmps(total.0 / busy));
        let mut changed = Vec::new();
        for member in self.members.iter() {
            let started = self.open_transaction(member).map(|it| it.started);
            let own =
                self.profiles
                    .ceiling(member.connector, now.wall, started, member.plan.wiring);
            let limit = own.into_iter().chain(share).min();
            changed.push((member.plan.evse.clone(), limit));
        }
        for (evse, limit) in changed {
            if self.ceilings.insert(evse.clone(), limit).flatten() != limit {
                self.output(Output::Ceiling { evse, limit });
            }
        }
    }

    /// Tells the wallboxes which meter values the backend wants.
    pub(super) fn tell_metering(&mut self) {
        let metering = Metering {
            interval: self.keys.sample_interval(),
            measurands: self.keys.measurands().unwrap_or_default().to_owned(),
        };
        for evse in self.evses(true) {
            let metering = metering.clone();
            self.output(Output::Metering { evse, metering });
        }
    }

    /// Tells those that we play how they behave, if that has changed.
    pub(super) fn tell_conduct(&mut self) {
        let conduct = self.keys.conduct();
        if self.conduct.as_ref() == Some(&conduct) {
            return;
        }
        self.conduct = Some(conduct.clone());
        for evse in self.evses(false) {
            let conduct = conduct.clone();
            self.output(Output::Conduct { evse, conduct });
        }
    }

    pub(super) fn evses(&self, ocpp: bool) -> Vec<EvseName> {
        let members = self.members.iter().filter(|it| it.plan.is_ocpp == ocpp);
        members.map(|it| it.plan.evse.clone()).collect()
    }
}
