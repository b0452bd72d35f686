//! The promise that the bill is right: what every backend has is what the wallboxes said.

use std::time::Duration;

use super::backends::Trunk;
use super::{Failure, World};
use crate::gateway::MemberPlan;
use crate::ids::{ChargeBoxId, ConnectorId};
use crate::journal::EntryState;
use crate::sim::backend::{Ledger, Transaction};
use crate::sim::wallbox::Told;

/// Everything must have been delivered within this, once everybody can be reached.
const PATIENCE: Duration = Duration::from_hours(2);

/// How often it is looked at whether that is so.
const LOOK: Duration = Duration::from_secs(10);

/// So many Wh flow from the last reading of a register until the contactor opens.
const TAIL: i64 = 20;

/// Members of a payload whose numbers are ours, and the backend's.
const NUMBERS: [&str; 2] = ["connectorId", "transactionId"];

impl World {
    /// Waits until nobody has anything to say, and compares: each session of a wallbox behind a
    /// gateway is one transaction of its backend, started once and stopped once, with the same
    /// registers, in the right order, byte for byte but for numbers of connectors and transactions;
    /// and the backend has nothing else.
    ///
    /// # Errors
    /// What is wrong, or the first promise that is broken meanwhile.
    pub fn settle_bills(&mut self) -> Result<(), Failure> {
        let end = self.now.mono + PATIENCE;
        while let Some(waits) = self.what_waits() {
            if self.now.mono >= end {
                return Err(self.wrong_bill(&"".into(), waits));
            }
            self.run_for(LOOK)?;
        }
        let trunks = self.backends.trunks().iter();
        let wrong = trunks.enumerate().find_map(|(gateway, trunk)| {
            let wrong = self.compare(gateway, trunk).err()?;
            Some((trunk.client_id.clone(), wrong))
        });
        match wrong {
            Some((client_id, what)) => Err(self.wrong_bill(&client_id, what)),
            None => Ok(()),
        }
    }

    fn wrong_bill(&self, client_id: &ChargeBoxId, what: String) -> Failure {
        Failure::Bill {
            client_id: client_id.clone(),
            what,
            history: self.history.clone(),
        }
    }

    /// A message that was not delivered yet.
    fn what_waits(&self) -> Option<String> {
        let mut places = self.places.iter();
        let unsent = places.find(|(_, place)| place.wallbox.unsent() > 0);
        let entries = &self.disk.recovered().entries;
        let is_queued = |state| state == EntryState::Queued;
        let queued = entries.values().find(|it| is_queued(it.progress.state));
        unsent
            .map(|(id, place)| format!("{id} still keeps {} messages", place.wallbox.unsent()))
            .or_else(|| queued.map(|it| format!("{} still waits for {:?}", it.identity, it.kind)))
    }

    /// # Errors
    /// What is wrong with the bill of one charge point.
    fn compare(&self, gateway: usize, trunk: &Trunk) -> Result<(), String> {
        let dead = self.disk.recovered().entries.values();
        let dead = dead.filter(|it| it.progress.state == EntryState::Dead);
        if let Some(dead) = dead.map(|it| it.kind).next() {
            return Err(format!("a message was buried: {dead:?}"));
        }
        if let Some(twice) = self.disk.filed_twice() {
            return Err(format!("this was filed twice: {twice}"));
        }
        let plan = self.plan.gateways.get(gateway).ok_or("no such gateway")?;
        let backend = self.backends.get(&trunk.url).ok_or("no such backend")?;
        let (ledger, client_id) = (backend.ledger(), trunk.client_id.as_str());
        if let Some(foreign) = ledger.foreign(client_id).first() {
            return Err(format!("it has what belongs to no transaction: {foreign}"));
        }
        let mut billed = ledger.transactions(client_id);
        for (member, (_, number)) in plan.members.iter().zip(plan.connectors()) {
            if !member.is_ocpp {
                let own = billed.extract_if(.., |it| connector(&it.start) == Some(number));
                let own: Vec<&Transaction> = own.collect();
                self.check_register(member, &own)?;
                for transaction in own {
                    in_order(ledger, client_id, transaction)?;
                }
                continue;
            }
            for told in self.told_at(member)? {
                let start = blank(&told.start);
                let same = billed.iter().position(|it| blank(&it.start) == start);
                let same = same.ok_or_else(|| format!("it never heard of {}", told.start))?;
                let transaction = billed.swap_remove(same);
                agree(told, transaction)?;
                in_order(ledger, client_id, transaction)?;
            }
        }
        match billed.first() {
            Some(other) => Err(format!("nobody at a wallbox knows of {other:?}")),
            None => Ok(()),
        }
    }

    /// Nobody but us tells what happens at a Power Brain. Its register knows how much flowed, and
    /// nothing flows but in a transaction.
    fn check_register(&self, member: &MemberPlan, billed: &[&Transaction]) -> Result<(), String> {
        let brain = self.power_brain(member.address.as_str());
        let stands_at = brain.ok_or("no such Power Brain")?.energy().0;
        let mut register = None;
        for (index, transaction) in billed.iter().enumerate() {
            let start = number(&transaction.start, "meterStart").unwrap_or_default();
            if register.is_some_and(|register| !(register..=register + TAIL).contains(&start)) {
                let start = &transaction.start;
                return Err(format!("its meter stood at {register:?} before {start}"));
            }
            let last = index + 1 == billed.len();
            let stop = match transaction.stops.as_slice() {
                [stop] => number(stop, "meterStop").unwrap_or_default(),
                [] if last => return Ok(()),
                stops => return Err(format!("it is stopped {} times", stops.len())),
            };
            if stop < start {
                return Err(format!("{stop} Wh after {start} Wh"));
            }
            register = Some(stop);
        }
        match register {
            Some(register) if !(stands_at - TAIL..=stands_at).contains(&register) => Err(format!(
                "its meter stands at {stands_at}, the last stop says {register}"
            )),
            _ => Ok(()),
        }
    }

    /// What a connector told. Its registers must be those of its meter: nothing flows but in a
    /// session.
    fn told_at(&self, member: &MemberPlan) -> Result<Vec<&Told>, String> {
        let place = self.places.get(&member.address).ok_or("no such wallbox")?;
        let told = place.wallbox.told();
        let told: Vec<&Told> = told.filter(|it| it.connector == member.connector).collect();
        let mut register = None;
        for session in &told {
            let start = number(&session.start, "meterStart");
            if register.is_some_and(|register| start != Some(register)) {
                let start = &session.start;
                return Err(format!("its meter stood at {register:?} before {start}"));
            }
            let stop = session.stop.as_deref();
            register = stop.and_then(|stop| number(stop, "meterStop"));
        }
        let stands_at = place.wallbox.register(member.connector).0;
        if register.is_some_and(|register| register != stands_at) {
            return Err(format!("its meter stands at {stands_at}: {told:?}"));
        }
        Ok(told)
    }
}

/// # Errors
/// Where the backend has something else than the wallbox said.
fn agree(told: &Told, billed: &Transaction) -> Result<(), String> {
    let stop: Vec<String> = told.stop.iter().map(|it| blank(it)).collect();
    let stops: Vec<String> = billed.stops.iter().map(|it| blank(it)).collect();
    if stop != stops && stop != stops.iter().map(|it| admit(it)).collect::<Vec<_>>() {
        return Err(format!("stopped by {stops:?} instead of {stop:?}"));
    }
    let said: Vec<String> = told.values.iter().map(|it| blank(it)).collect();
    let values: Vec<String> = billed.meter_values.iter().map(|it| blank(it)).collect();
    if let Some(changed) = values.iter().find(|it| !said.contains(it)) {
        return Err(format!("its wallbox never said {changed}"));
    }
    let twice = |it: &&String| values.iter().filter(|other| other == it).count() > 1;
    if let Some(repeated) = values.iter().find(twice) {
        return Err(format!("it has this more than once: {repeated}"));
    }
    let signed = said.iter().filter(|it| it.contains("SignedData"));
    for signed in signed {
        if !values.contains(signed) {
            return Err(format!("a signed reading is missing: {signed}"));
        }
    }
    Ok(())
}

/// # Errors
/// If the start is not the first message of a transaction, or the stop not the last.
fn in_order(ledger: &Ledger, client_id: &str, billed: &Transaction) -> Result<(), String> {
    let of_it = ledger.calls(client_id).filter(|call| {
        let mut payloads = billed.meter_values.iter().chain(&billed.stops);
        call.payload == billed.start || payloads.any(|it| it == call.payload)
    });
    let rank = |action: &str| match action {
        "StartTransaction" => 0,
        "MeterValues" => 1,
        _ => 2,
    };
    let actions: Vec<&str> = of_it.map(|call| call.action).collect();
    if actions.is_sorted_by_key(|action| rank(action)) {
        Ok(())
    } else {
        Err(format!("it was told in this order: {actions:?}"))
    }
}

/// A backend that refuses a transaction, or resets half a wallbox, hears so, and not that it stopped
/// the transaction from afar as its wallbox was told.
fn admit(stop: &str) -> String {
    let ours = ["DeAuthorized", "SoftReset", "HardReset"];
    ours.iter().fold(stop.to_owned(), |stop, reason| {
        stop.replace(&format!(r#""reason":"{reason}""#), r#""reason":"Remote""#)
    })
}

/// A payload without the numbers that are ours.
fn blank(payload: &str) -> String {
    let mut blanked = payload.to_owned();
    for name in NUMBERS {
        if let Some((before, value, after)) = member(&blanked, name) {
            let _: &str = value;
            blanked = format!("{before}_{after}");
        }
    }
    blanked
}

fn connector(payload: &str) -> Option<ConnectorId> {
    let number = number(payload, "connectorId")?;
    u32::try_from(number).ok().map(ConnectorId)
}

fn number(payload: &str, name: &str) -> Option<i64> {
    member(payload, name)?.1.parse().ok()
}

/// What stands before, in and behind the first number of this name. Wallboxes of the simulation
/// write no blanks, and nothing that looks like these names into texts.
fn member<'a>(payload: &'a str, name: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let begin = payload.find(&format!("\"{name}\":"))? + name.len() + 3;
    let (before, rest) = payload.split_at_checked(begin)?;
    let end = rest.find(|it: char| it != '-' && !it.is_ascii_digit())?;
    let (value, after) = rest.split_at_checked(end)?;
    Some((before, value, after))
}
