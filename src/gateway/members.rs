//! The EVSEs behind a gateway: what the backend calls them, and how they stand.

use std::collections::BTreeMap;

use crate::clock::Mono;
use crate::ids::{ChargeBoxId, ConnectorId, EvseName};

use super::plan::{GatewayPlan, MemberPlan};

/// The connector that is the whole charge point.
pub(super) const WHOLE: ConnectorId = ConnectorId(0);

/// An EVSE behind a gateway.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) plan: MemberPlan,
    /// What the backend calls it.
    pub(super) connector: ConnectorId,
    /// Its wallbox can be reached.
    pub(super) online: bool,
    /// Its wallbox has been away since then.
    pub(super) away_since: Option<Mono>,
    /// The backend was told that it is away.
    pub(super) told_away: bool,
    /// The payload of its last `StatusNotification`.
    pub(super) status: Option<String>,
}

/// All EVSEs of a gateway, in the order of the file; at least one.
#[derive(Debug)]
pub(super) struct Members {
    all: Vec<Member>,
    /// None of them is an OCPP wallbox.
    emulated: bool,
    /// The wallbox whose connectors these all are.
    whole: Option<ChargeBoxId>,
    /// Its last `StatusNotification` of connector 0.
    pub(super) whole_status: Option<String>,
}

/// Numbers that were given before, by wallbox and connector; kept for as long as the identity is.
pub(super) type Numbers = BTreeMap<String, u32>;

impl Members {
    /// Away, all of them, and [numbered](number).
    pub(super) fn new(now: Mono, plan: &GatewayPlan, numbers: &mut Numbers) -> Self {
        let given = number(plan, numbers);
        let all = plan
            .members
            .iter()
            .zip(given)
            .map(|(plan, connector)| Member {
                plan: plan.clone(),
                connector,
                online: false,
                away_since: Some(now),
                told_away: false,
                status: None,
            });
        Self {
            all: all.collect(),
            emulated: plan.members.iter().all(|it| !it.is_ocpp),
            whole: plan.whole.clone(),
            whole_status: None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.all.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.all.iter_mut()
    }

    /// By what we call it.
    pub(super) fn named(&self, evse: &EvseName) -> Option<&Member> {
        self.all.iter().find(|it| it.plan.evse == *evse)
    }

    /// By what we call it.
    pub(super) fn named_mut(&mut self, evse: &EvseName) -> Option<&mut Member> {
        self.all.iter_mut().find(|it| it.plan.evse == *evse)
    }

    /// By what its wallbox calls it.
    pub(super) fn at(&self, address: &ChargeBoxId, connector: ConnectorId) -> Option<&Member> {
        let here = |it: &&Member| it.plan.address == *address && it.plan.connector == connector;
        self.all.iter().find(here)
    }

    /// By what the backend calls it.
    pub(super) fn numbered(&self, connector: ConnectorId) -> Option<&Member> {
        self.all.iter().find(|it| it.connector == connector)
    }

    /// It speaks for all where only one can: an OCPP wallbox, if there is one.
    pub(super) fn primary(&self) -> Option<&Member> {
        let first = self.all.first();
        self.all.iter().find(|it| it.plan.is_ocpp).or(first)
    }

    /// The only one.
    pub(super) fn single(&self) -> Option<&Member> {
        match self.all.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Modbus wallboxes that we play, all of them: nobody else answers the backend.
    pub(super) fn are_emulated(&self) -> bool {
        self.emulated
    }

    /// Its connectors are shown one to one, and connector 0 is that of a wallbox.
    pub(super) fn shows_whole(&self) -> bool {
        self.whole.is_some()
    }
}

/// What the backend calls the members: as configured, else natively where a whole wallbox is shown,
/// else as before, else in the order of the file. `numbers` gains what is new.
pub(super) fn number(plan: &GatewayPlan, numbers: &mut Numbers) -> Vec<ConnectorId> {
    let fixed: Vec<u32> = plan.members.iter().filter_map(configured(plan)).collect();
    let mut taken = fixed.clone();
    taken.extend(numbers.values());
    let mut next = (1..).filter(|n| !taken.contains(n));
    let all = plan.members.iter().map(|member| {
        let key = format!("{} {}", member.address, member.connector);
        let number = configured(plan)(member).or_else(|| {
            // What was given before is void where the configuration gives it to another.
            let known = numbers.get(&key).filter(|n| !fixed.contains(n)).copied();
            let only = (plan.members.len() == 1).then_some(1);
            let number = known.or(only).or_else(|| next.next())?;
            numbers.insert(key, number);
            Some(number)
        });
        ConnectorId(number.unwrap_or(1))
    });
    all.collect()
}

fn configured(plan: &GatewayPlan) -> impl Fn(&MemberPlan) -> Option<u32> + '_ {
    |member| {
        let native = plan.whole.as_ref().map(|_| member.connector);
        member.backend_connector.or(native).map(|it| it.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{member, plan};
    use super::*;

    fn numbers(members: &Members) -> Vec<u32> {
        members.iter().map(|it| it.connector.0).collect()
    }

    #[test]
    fn a_single_connector_is_1_whatever_its_wallbox_calls_it() {
        let plan = plan(vec![member("right", "CB-1", 2)]);
        let members = Members::new(Mono::START, &plan, &mut Numbers::new());
        assert_eq!(numbers(&members), [1]);
    }

    #[test]
    fn the_connectors_of_a_whole_wallbox_keep_their_numbers() {
        let mut plan = plan(vec![member("b", "CB-1", 2), member("a", "CB-1", 1)]);
        plan.whole = Some("CB-1".into());
        let members = Members::new(Mono::START, &plan, &mut Numbers::new());
        assert_eq!(numbers(&members), [2, 1]);
    }

    #[test]
    fn numbers_that_were_given_stay_when_members_come_and_go() {
        let (a, b, c) = (
            member("a", "CB-1", 1),
            member("b", "CB-2", 1),
            member("c", "CB-3", 1),
        );
        let mut given = Numbers::new();
        Members::new(Mono::START, &plan(vec![a.clone(), b.clone()]), &mut given);
        let members = Members::new(Mono::START, &plan(vec![c, b]), &mut given);
        assert_eq!(numbers(&members), [3, 2]);
        let two = plan(vec![member("a", "CB-1", 1), {
            let mut second = member("b", "CB-2", 1);
            second.backend_connector = Some(ConnectorId(1));
            second
        }]);
        assert_eq!(
            numbers(&Members::new(Mono::START, &two, &mut given)),
            [4, 1]
        );
        let replaced = plan(vec![member("x", "CB-9", 1)]);
        assert_eq!(
            numbers(&Members::new(Mono::START, &replaced, &mut given)),
            [1]
        );
        let mut fixed = a;
        fixed.backend_connector = Some(ConnectorId(2));
        let members = Members::new(Mono::START, &plan(vec![fixed]), &mut Numbers::new());
        assert_eq!(numbers(&members), [2]);
    }
}
