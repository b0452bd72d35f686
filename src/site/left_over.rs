//! Transactions whose wallbox, or whose backend, the configuration does not name any more.

use std::borrow::Cow;

use tracing::warn;

use crate::charge_point::close_left_over;
use crate::clock::Now;
use crate::ids::{Identity, TransactionNumber};
use crate::journal::{EntryKind, Filed, Record, Recovered, Transaction};

use super::Site;

impl Site {
    /// Closes the open transactions of Modbus wallboxes that nobody would ever end: those of places
    /// that are configured no more, and those whose start another backend has. Their stops go where
    /// their starts went. OCPP wallboxes send theirs themselves. Returns the journal as it is then.
    pub(super) fn close_left_overs<'a>(
        &mut self,
        now: Now,
        recovered: &'a Recovered,
    ) -> Cow<'a, Recovered> {
        let mut after = Cow::Borrowed(recovered);
        for transaction in open(recovered) {
            let has_start = backend_of(transaction.number, recovered);
            if self.goes_on(transaction, has_start, recovered) {
                continue;
            }
            let Some((closed, stop)) = close_left_over(now, transaction, recovered) else {
                continue;
            };
            let meter_stop = closed.stopped.as_ref().and_then(|it| it.meter_stop);
            warn!(
                transaction = transaction.number.0,
                address = %transaction.address,
                unit = %transaction.connector,
                meter_stop_wh = meter_stop.map(|register| register.0),
                backend = has_start.map(tracing::field::display),
                "the configuration has changed while a car charged: its transaction is closed with the last register that is known"
            );
            let mut slots = self.gateways.iter();
            let gateway = slots.position(|slot| Some(slot.gateway.identity()) == has_start);
            let with = vec![Record::Transaction(closed.clone())];
            let identity = has_start.cloned();
            self.file_for(now, gateway, identity.clone(), stop.clone(), with);
            let filed = Filed {
                id: self.last_entry,
                identity,
                entry: stop,
            };
            let after = after.to_mut();
            after.apply(Record::Transaction(closed));
            after.apply(Record::Entry(filed));
        }
        after
    }

    /// Its wallbox goes on with it, for the same backend.
    fn goes_on(
        &self,
        transaction: &Transaction,
        has_start: Option<&Identity>,
        recovered: &Recovered,
    ) -> bool {
        let (address, connector) = (&transaction.address, transaction.connector);
        let mut plans = self.plan.charge_points.iter();
        let configured =
            plans.any(|it| it.address == *address && u32::from(it.unit) == connector.0);
        let place = (address.clone(), connector);
        let index = self.by_member.get(&place).copied();
        let backend = index.and_then(|index| self.gateways.get(index));
        let same = backend.map(|slot| slot.gateway.identity()) == has_start;
        // A wallbox has one car.
        let newer = open(recovered).any(|other| {
            let here = (&other.address, other.connector) == (address, connector);
            here && other.number > transaction.number
        });
        configured && same && !newer
    }
}

fn open(recovered: &Recovered) -> impl Iterator<Item = &Transaction> {
    let all = recovered.transactions.values();
    all.filter(|transaction| transaction.stopped.is_none())
}

/// Who has its start, or will.
fn backend_of(number: TransactionNumber, recovered: &Recovered) -> Option<&Identity> {
    let mut entries = recovered.entries.values();
    let start = entries.find(|it| it.kind == EntryKind::Start && it.transaction == Some(number));
    start.map(|it| &it.identity)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{backend, charge_point, now, site_of};
    use super::*;
    use crate::gateway::GatewayPlan;
    use crate::ids::{ConnectorId, EntryId};
    use crate::journal::{Entry, Stopped};
    use crate::site::Output;
    use crate::units::WattHours;

    const ADDRESS: &str = "192.0.2.7:4701";

    /// A car charges at a Modbus wallbox, and this backend has its start.
    fn journal(backend: Option<&GatewayPlan>) -> Recovered {
        let mut journal = Recovered::default();
        let transaction = Transaction {
            number: TransactionNumber(7),
            address: ADDRESS.into(),
            connector: ConnectorId(3),
            wallbox_id: 7,
            id_tag: Some("04A1".into()),
            meter_start: Some(WattHours(5000)),
            started: "2026-06-01T10:00:00Z".to_owned(),
            received: "2026-06-01T10:00:00Z".parse().unwrap(),
            stopped: None,
        };
        let start = Filed {
            id: EntryId(1),
            identity: backend.map(GatewayPlan::identity),
            entry: Entry {
                address: ADDRESS.into(),
                connector: ConnectorId(3),
                transaction: Some(transaction.number),
                kind: EntryKind::Start,
                payload: "{}".to_owned(),
                received: transaction.received,
            },
        };
        journal.apply(Record::Transaction(transaction));
        journal.apply(Record::Entry(start));
        journal.apply(Record::Memory {
            owner: format!("charge point {ADDRESS} 3"),
            key: "known".to_owned(),
            value: Some(r#"{"register":6200,"seen":"2026-06-01T11:30:00Z"}"#.to_owned()),
        });
        journal
    }

    /// The stops that were filed, for whom, and the transactions that were closed with them.
    fn closed(
        places: &[(&str, u8)],
        gateways: Vec<GatewayPlan>,
        journal: &Recovered,
    ) -> Vec<(Option<Identity>, Transaction, serde_json::Value)> {
        let plans = places.iter();
        let plans = plans.map(|(address, unit)| charge_point(address, *unit));
        let mut site = site_of(plans.collect(), gateways, journal);
        let mut found = Vec::new();
        while let Some(output) = site.poll_output() {
            let Output::Persist(_, Record::Together(records)) = output else {
                continue;
            };
            let [Record::Transaction(transaction), Record::Entry(filed)] = records.as_slice()
            else {
                panic!("{records:?}");
            };
            assert_eq!(filed.entry.kind, EntryKind::Stop);
            let stop = serde_json::from_str(&filed.entry.payload).unwrap();
            found.push((filed.identity.clone(), transaction.clone(), stop));
        }
        let running = site.charge_points.iter();
        let running = running.filter_map(|slot| slot.charge_point.view().transaction);
        assert_eq!(running.count() + found.len(), 1, "it is closed or goes on");
        found
    }

    fn one() -> GatewayPlan {
        backend("one", ADDRESS, 3)
    }

    #[test]
    fn a_transaction_of_a_wallbox_that_was_removed_is_closed_with_its_last_register() {
        let journal = journal(Some(&one()));
        let (identity, transaction, stop) = closed(&[], vec![one()], &journal).remove(0);
        assert_eq!(identity, Some(one().identity()));
        let expected = Stopped {
            meter_stop: Some(WattHours(6200)),
            timestamp: "2026-06-01T11:30:00Z".to_owned(),
            reason: "Other".to_owned(),
            received: now().wall,
        };
        assert_eq!(transaction.stopped, Some(expected));
        assert_eq!(
            stop,
            serde_json::json!({
                "transactionId": 7, "meterStop": 6200,
                "timestamp": "2026-06-01T11:30:00Z", "reason": "Other"})
        );
    }

    #[test]
    fn one_whose_wallbox_has_another_address_or_unit_is_closed() {
        for place in [("192.0.2.8:4701", 3), (ADDRESS, 4)] {
            let gateways = vec![backend("one", place.0, u32::from(place.1))];
            let closed = closed(&[place], gateways, &journal(Some(&one())));
            assert_eq!(closed.len(), 1, "{place:?}");
        }
    }

    #[test]
    fn one_whose_backend_is_another_now_gets_its_stop_to_its_own() {
        let two = backend("two", ADDRESS, 3);
        let closed = closed(&[(ADDRESS, 3)], vec![two], &journal(Some(&one())));
        assert_eq!(closed[0].0, Some(one().identity()));
    }

    #[test]
    fn what_waits_for_a_backend_that_is_gone_is_counted() {
        let mut site = site_of(Vec::new(), Vec::new(), &journal(Some(&one())));
        assert_eq!(site.orphans.get(&one().identity()), Some(&2));
        assert!(site.poll_output().is_some());
    }

    #[test]
    fn one_that_began_without_a_backend_is_told_to_none_that_came_since() {
        let closed = closed(&[(ADDRESS, 3)], vec![one()], &journal(None));
        assert_eq!(closed[0].0, None);
    }

    #[test]
    fn one_whose_backend_is_gone_still_gets_its_stop_there() {
        let closed = closed(&[(ADDRESS, 3)], Vec::new(), &journal(Some(&one())));
        assert_eq!(closed[0].0, Some(one().identity()));
    }

    #[test]
    fn one_of_an_unchanged_configuration_goes_on() {
        for backends in [vec![one()], Vec::new()] {
            let journal = journal(backends.first());
            assert_eq!(closed(&[(ADDRESS, 3)], backends, &journal), []);
        }
    }

    #[test]
    fn one_of_an_ocpp_wallbox_is_left_to_that() {
        let mut journal = journal(Some(&one()));
        journal.memory.clear();
        let mut site = site_of(Vec::new(), vec![one()], &journal);
        let touched = std::iter::from_fn(|| site.poll_output())
            .any(|output| matches!(output, Output::Persist(_, Record::Together(_))));
        assert!(!touched);
    }
}
