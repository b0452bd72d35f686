//! Anything in any order.

use proptest::prelude::*;

use super::*;
use crate::evse::Deauthorize;

#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    Plug,
    Unplug,
    Hungry(bool),
    Fault(Option<u16>),
    Tap(bool),
    Verdict(bool),
    Offer(i32, bool),
    Release,
    Energy(u64),
    Set(u16, u16),
    Fail(bool),
    Refuse(u16, bool),
    Disk(bool),
    Wait(u64),
    Order(usize, bool),
    Deauthorize(bool),
    Energetic(bool),
    Restart,
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let written = prop::sample::select(vec![8086_u16, 8087, 8093, 8094, 8083, 8085]);
    let shown = prop::sample::select(vec![8087_u16, 8090, 8093, 8094, 8111, 8113, 8121]);
    let value = prop_oneof![Just(0_u16), Just(1), 60..700_u16, any::<u16>()];
    prop_oneof![
        3 => Just(Event::Plug),
        2 => Just(Event::Unplug),
        1 => any::<bool>().prop_map(Event::Hungry),
        1 => prop::option::of(3..12_u16).prop_map(Event::Fault),
        3 => any::<bool>().prop_map(Event::Tap),
        1 => any::<bool>().prop_map(Event::Verdict),
        4 => (0..40_000_i32, any::<bool>()).prop_map(|(amps, single)| Event::Offer(amps, single)),
        1 => Just(Event::Release),
        2 => (0..200_000_u64).prop_map(Event::Energy),
        1 => (shown, value).prop_map(|(register, value)| Event::Set(register, value)),
        1 => any::<bool>().prop_map(Event::Fail),
        1 => (written, any::<bool>()).prop_map(|(register, on)| Event::Refuse(register, on)),
        1 => any::<bool>().prop_map(Event::Disk),
        6 => (1..80_u64).prop_map(Event::Wait),
        4 => (0..6_usize, any::<bool>()).prop_map(|(action, yes)| Event::Order(action, yes)),
        1 => any::<bool>().prop_map(Event::Deauthorize),
        1 => any::<bool>().prop_map(Event::Energetic),
        1 => Just(Event::Restart),
    ]
}

fn command(bench: &mut Bench, action: usize, yes: bool) {
    let id_tag = if yes { CARD } else { PARTNER };
    let expires = at((bench.time.as_secs() - 1000) + 100);
    let kind = if yes { "Operative" } else { "Inoperative" };
    let open = bench.transactions().into_iter().next_back();
    let open = open.map(|it| it.number);
    let id = open.map_or(1, |it| it.0);
    let (action, payload) = [
        (
            "RemoteStartTransaction",
            json!({"idTag": id_tag, "connectorId": 1}),
        ),
        ("RemoteStopTransaction", json!({"transactionId": id})),
        (
            "ChangeAvailability",
            json!({"connectorId": u8::from(yes), "type": kind}),
        ),
        (
            "ChangeAvailability",
            json!({"connectorId": 0, "type": "Operative"}),
        ),
        (
            "ReserveNow",
            json!({"connectorId": 1, "expiryDate": expires, "idTag": id_tag, "reservationId": 3}),
        ),
        ("CancelReservation", json!({"reservationId": 3})),
    ][action]
        .clone();
    bench
        .order_about(open, action, &payload.to_string())
        .expect("a CALLRESULT");
}

pub(super) fn happen(bench: &mut Bench, event: Event) {
    match event {
        Event::Plug => bench.brain.plugged = true,
        Event::Unplug => bench.brain.plugged = false,
        Event::Hungry(hungry) => bench.brain.hungry = hungry,
        Event::Fault(fault) => bench.brain.fault = fault,
        Event::Tap(own) => bench.brain.tap(if own { CARD } else { PARTNER }),
        Event::Verdict(yes) => {
            bench.verdict.status = if yes {
                AuthorizationStatus::Accepted
            } else {
                AuthorizationStatus::Blocked
            }
        }
        Event::Offer(amps, single) => {
            bench.offer_on(Limit::Current(MilliAmps(amps)), single);
        }
        Event::Release => {
            bench.offer_on(Limit::Released, false);
        }
        Event::Energy(energy) => bench.brain.energy = energy,
        // What a person at the device could set, never a limit that it could not have.
        Event::Set(8093, value) => bench.brain.set(8093, value.clamp(60, 630)),
        Event::Set(register, value) => bench.brain.set(register, value),
        Event::Fail(fails) => bench.brain.failure = fails.then_some(Failure::Silent),
        Event::Refuse(register, true) => {
            bench.brain.refuses.insert(register, 4);
        }
        Event::Refuse(register, false) => {
            bench.brain.refuses.remove(&register);
        }
        Event::Disk(fast) => bench.may_raise = fast,
        Event::Wait(seconds) => bench.run(seconds),
        Event::Order(action, yes) => command(bench, action, yes),
        Event::Deauthorize(stop) => {
            if let Some(open) = bench.transactions().pop() {
                let transaction = open.number;
                let said = Deauthorize { transaction, stop };
                bench.act(|it, context| it.handle_deauthorize(context, &said));
            }
        }
        Event::Energetic(stop_on_invalid) => bench.conduct(Conduct {
            stop_on_invalid,
            energy_on_invalid: WattHours(1000),
            authorize_remote: stop_on_invalid,
            ..Conduct::default()
        }),
        // Handled by who owns the bench.
        Event::Restart => {}
    }
    bench.run(1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Beside what [`Bench::step`] and [`Bench::drain`] assert of every single write.
    #[test]
    fn whatever_happens_the_books_are_right_and_flash_is_spared(
        open in any::<bool>(),
        backend in any::<bool>(),
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut bench = Bench::new(ChargePointPlan {
            open: open && !backend,
            backend,
            ..plan()
        });
        for event in events {
            if let Event::Restart = event {
                bench = bench.restart();
            }
            happen(&mut bench, event);
            prop_assert!(bench.open() <= 1);
            for transaction in bench.transactions() {
                let stop = transaction.stopped.and_then(|it| it.meter_stop);
                let pair = stop.zip(transaction.meter_start);
                prop_assert!(pair.is_none_or(|(stop, start)| stop >= start));
            }
            let never = bench.brain.writes.iter().filter(|it| {
                !matches!(it.0, 8083..=8087 | 8093 | 8094) || (it.0 == 8093 && it.1 > 160)
            });
            prop_assert_eq!(never.count(), 0);
        }
        prop_assert!(bench.brain.written(8084).len() <= 1);
    }
}
