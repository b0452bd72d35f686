use super::*;
use crate::ids::ConnectorId;
use crate::modbus::Table;
use crate::sim::image::text;

fn at(seconds: u64) -> Mono {
    Mono(Duration::from_secs(seconds))
}

fn plain() -> PowerBrain {
    PowerBrain::new(PowerBrainPlan::new("W00-4711"), 1)
}

/// Waits as the runner and the world do: from timer to timer.
fn wait_until(brain: &mut PowerBrain, end: u64) {
    while let Some(next) = brain.poll_timeout().filter(|next| *next <= at(end)) {
        brain.advance(next);
    }
    brain.advance(at(end));
}

fn read(brain: &mut PowerBrain, now: u64, address: u16, count: u16) -> Vec<u16> {
    let table = Table::Holding;
    let request = Request::Read {
        table,
        address,
        count,
    };
    brain.handle_request(at(now), &request).unwrap()
}

fn write(brain: &mut PowerBrain, now: u64, address: u16, values: &[u16]) -> Answer {
    let values = values.to_vec();
    brain.handle_request(at(now), &Request::Write { address, values })
}

fn amps(amps: [i32; 3]) -> PerPhase<MilliAmps> {
    PerPhase(amps.map(MilliAmps::from_amps))
}

#[test]
fn it_says_who_it_is() {
    let mut brain = plain();
    assert_eq!(read(&mut brain, 1, 8000, 3), [0xCF05, 0, 1]);
    assert_eq!(read(&mut brain, 1, 8008, 4), text("W00-4711", 4));
    assert_eq!(read(&mut brain, 1, 8016, 2), text("cFos", 2));
    assert_eq!(read(&mut brain, 1, 8083, 3), [0, 300, 60]);
}

#[test]
fn a_car_follows_the_limit_in_tenths_of_an_ampere_and_is_measured() {
    let mut brain = plain();
    write(&mut brain, 0, 8093, &[107]).unwrap();
    brain.plug(at(0), Car::default());
    wait_until(&mut brain, 10);
    assert_eq!(brain.exposure(at(10)), PerPhase::all(MilliAmps(10_700)));
    assert_eq!(brain.draws(at(10)), PerPhase::all(MilliAmps(10_700)));
    assert_eq!(read(&mut brain, 10, 8092, 4), [2, 107, 1, 107]);
    // 3 · 10.7 A · 230 V
    assert_eq!(read(&mut brain, 10, 8062, 4), [0, 7383, 0, 107]);
}

#[test]
fn disabled_it_holds_the_car_and_enabled_it_needs_no_card() {
    let mut brain = plain();
    write(&mut brain, 0, 8094, &[0]).unwrap();
    brain.plug(at(0), Car::default());
    wait_until(&mut brain, 10);
    assert_eq!(read(&mut brain, 10, 8092, 4), [1, 160, 0, 0]);
    assert_eq!(brain.exposure(at(10)), PerPhase::default());
    write(&mut brain, 10, 8094, &[1]).unwrap();
    wait_until(&mut brain, 20);
    assert_eq!(read(&mut brain, 20, 8092, 1), [2]);
    assert_eq!(brain.draws(at(20)), amps([16, 16, 16]));
    brain.unplug(at(20));
    assert_eq!(read(&mut brain, 20, 8092, 1), [0]);
    assert_eq!(brain.exposure(at(20)), PerPhase::default());
}

#[test]
fn the_energy_register_counts_what_was_drawn() {
    let mut brain = plain();
    let before = brain.energy().0;
    brain.plug(at(0), Car::default());
    wait_until(&mut brain, 360);
    // 300 s of 16 A less half a ramp of 2 s; the fail-safe current then: half a ramp, 60 s of 6 A.
    let ampere_seconds = 300 * 16 - 16 + 10 + 60 * 6;
    let drawn = brain.energy().0 - before;
    assert_eq!(drawn, ampere_seconds * 690 / 3600);
    let shown = read(&mut brain, 360, 8058, 4);
    assert_eq!(shown, words(brain.energy().0.to_be_bytes()));
}

#[test]
fn without_requests_it_falls_back_and_with_the_next_it_obeys_again() {
    let mut brain = plain();
    write(&mut brain, 0, 8094, &[0]).unwrap();
    brain.plug(at(1), Car::default());
    wait_until(&mut brain, 299);
    assert_eq!(brain.exposure(at(299)), PerPhase::default());
    wait_until(&mut brain, 310);
    assert!(brain.is_fallen_back(at(310)));
    assert_eq!(brain.draws(at(310)), amps([6, 6, 6]));
    read(&mut brain, 310, 8092, 1);
    assert_eq!(brain.exposure(at(310)), PerPhase::default());
}

#[test]
fn a_fail_safe_duration_of_nothing_never_falls_back() {
    let mut brain = plain();
    write(&mut brain, 0, 8083, &[0, 0]).unwrap();
    brain.plug(at(0), Car::default());
    wait_until(&mut brain, 4000);
    assert_eq!(brain.draws(at(4000)), amps([16, 16, 16]));
}

#[test]
fn a_restart_forgets_the_limit_and_keeps_the_flash() {
    let mut brain = plain();
    write(&mut brain, 0, 8093, &[60]).unwrap();
    write(&mut brain, 0, 8083, &[0, 180, 80]).unwrap();
    brain.plug(at(0), Car::default());
    wait_until(&mut brain, 10);
    brain.restart(at(10), Duration::from_secs(5));
    assert_eq!(brain.draws(at(10)), PerPhase::default());
    let request = Request::Read {
        table: Table::Holding,
        address: 8092,
        count: 1,
    };
    assert_eq!(brain.handle_request(at(12), &request), Err(Failure::Silent));
    wait_until(&mut brain, 20);
    assert_eq!(read(&mut brain, 20, 8093, 2), [160, 1]);
    assert_eq!(read(&mut brain, 20, 8083, 3), [0, 180, 80]);
    assert_eq!(read(&mut brain, 20, 8120, 2), [0, 2]);
    assert_eq!(brain.draws(at(20)), amps([16, 16, 16]));
}

#[test]
fn silent_it_does_not_even_listen() {
    let mut brain = plain();
    brain.be_silent(at(0), Duration::from_secs(30));
    assert_eq!(write(&mut brain, 29, 8093, &[60]), Err(Failure::Silent));
    assert_eq!(read(&mut brain, 30, 8093, 1), [160]);
}

#[test]
fn a_card_is_shown_as_text_and_counted_also_when_it_comes_again() {
    let mut brain = plain();
    for times in 1..=2 {
        brain.perform(at(times), Act::Present(ConnectorId(1), "04A2B3C4D5".into()));
        let shown = read(&mut brain, times, 8096, 16);
        assert_eq!(shown[..15], text("04A2B3C4D5", 15));
        assert_eq!(u64::from(shown[15]), times);
    }
}

#[test]
fn a_cable_limits_only_while_it_is_there_and_a_fixed_current_overrides_it() {
    let cable = Some(MilliAmps::from_amps(13));
    let plan = PowerBrainPlan {
        cable,
        ..PowerBrainPlan::new("B")
    };
    let mut brain = PowerBrain::new(plan, 1);
    assert_eq!(read(&mut brain, 0, 8090, 1), [0]);
    brain.plug(at(0), Car::default());
    assert_eq!(read(&mut brain, 0, 8090, 1), [130]);
    assert_eq!(brain.exposure(at(0)), amps([13, 13, 13]));
    write(&mut brain, 0, 8091, &[100]).unwrap();
    assert_eq!(brain.exposure(at(0)), amps([10, 10, 10]));
}

#[test]
fn where_it_may_switch_phases_it_pauses_first() {
    let plan = PowerBrainPlan {
        switches_while_plugged: true,
        ..PowerBrainPlan::new("B")
    };
    let mut brain = PowerBrain::new(plan, 1);
    assert_eq!(read(&mut brain, 0, 8113, 1), [256]);
    brain.plug(at(0), Car::default());
    wait_until(&mut brain, 10);
    write(&mut brain, 10, 8087, &[1]).unwrap();
    wait_until(&mut brain, 129);
    assert_eq!(brain.exposure(at(129)), PerPhase::default());
    wait_until(&mut brain, 140);
    assert_eq!(brain.draws(at(140)), amps([16, 0, 0]));
    write(&mut brain, 140, 8087, &[0]).unwrap();
    wait_until(&mut brain, 270);
    assert_eq!(brain.draws(at(270)), amps([16, 16, 16]));
}

#[test]
fn where_it_must_not_switch_phases_the_next_car_gets_them() {
    let mut brain = plain();
    assert_eq!(read(&mut brain, 0, 8113, 1), [0]);
    brain.plug(at(0), Car::default());
    write(&mut brain, 0, 8087, &[1]).unwrap();
    wait_until(&mut brain, 200);
    assert_eq!(brain.draws(at(200)), amps([16, 16, 16]));
    brain.unplug(at(200));
    brain.plug(at(200), Car::default());
    wait_until(&mut brain, 210);
    assert_eq!(brain.draws(at(210)), amps([16, 0, 0]));
}

#[test]
fn while_the_control_pilot_is_cut_nothing_flows_and_the_seconds_count_down() {
    let mut brain = plain();
    brain.plug(at(0), Car::default());
    wait_until(&mut brain, 10);
    write(&mut brain, 10, 8086, &[5]).unwrap();
    assert_eq!(brain.exposure(at(10)), PerPhase::default());
    assert_eq!(read(&mut brain, 12, 8086, 1), [3]);
    assert_eq!(read(&mut brain, 12, 8092, 1), [1]);
    brain.set_quirk(PowerBrainQuirk::FreeWhileCut, true);
    assert_eq!(read(&mut brain, 12, 8092, 1), [0]);
    wait_until(&mut brain, 20);
    assert_eq!(brain.draws(at(20)), amps([16, 16, 16]));
}

#[test]
fn a_sleepy_car_sleeps_through_an_offer_until_the_control_pilot_is_cut() {
    let plan = PowerBrainPlan::new("B").quirk(PowerBrainQuirk::SleepyCar);
    let mut brain = PowerBrain::new(plan, 1);
    brain.plug(at(0), Car::default());
    write(&mut brain, 0, 8094, &[0]).unwrap();
    wait_until(&mut brain, 61);
    write(&mut brain, 61, 8094, &[1]).unwrap();
    wait_until(&mut brain, 100);
    assert_eq!(read(&mut brain, 100, 8092, 1), [1]);
    assert_eq!(brain.draws(at(100)), PerPhase::default());
    assert_eq!(brain.exposure(at(100)), amps([16, 16, 16]));
    write(&mut brain, 100, 8086, &[5]).unwrap();
    wait_until(&mut brain, 110);
    assert_eq!(brain.draws(at(110)), amps([16, 16, 16]));
}

#[test]
fn without_a_meter_its_registers_are_refused() {
    let plan = PowerBrainPlan::new("B").quirk(PowerBrainQuirk::NoMeter);
    let mut brain = PowerBrain::new(plan, 1);
    assert_eq!(read(&mut brain, 0, 8112, 1), [0]);
    let request = Request::Read {
        table: Table::Holding,
        address: 8057,
        count: 13,
    };
    assert_eq!(
        brain.handle_request(at(0), &request),
        Err(Failure::Exception(2))
    );
}

#[test]
fn a_meter_that_wakes_up_says_zero_and_one_that_idles_says_minus_one() {
    let plan = PowerBrainPlan::new("B")
        .quirk(PowerBrainQuirk::EnergyZeroAfterBoot)
        .quirk(PowerBrainQuirk::NoPowerWhenIdle);
    let mut brain = PowerBrain::new(plan, 1);
    assert_eq!(read(&mut brain, 9, 8058, 4), [0, 0, 0, 0]);
    assert_ne!(read(&mut brain, 10, 8058, 4), [0, 0, 0, 0]);
    assert_eq!(read(&mut brain, 10, 8062, 2), [0xFFFF, 0xFFFF]);
}

#[test]
fn a_fault_is_shown_and_stops_the_current() {
    let mut brain = plain();
    brain.plug(at(0), Car::default());
    brain.set_fault(at(0), Some(9));
    assert_eq!(read(&mut brain, 0, 8092, 1), [9]);
    assert_eq!(brain.exposure(at(0)), PerPhase::default());
    brain.set_fault(at(1), None);
    assert_eq!(brain.exposure(at(1)), amps([16, 16, 16]));
}

#[test]
fn what_no_table_knows_is_refused_and_held_against_the_master() {
    let mut brain = plain();
    let request = |table, address, count| Request::Read {
        table,
        address,
        count,
    };
    let input = request(Table::Input, 8092, 1);
    assert_eq!(
        brain.handle_request(at(0), &input),
        Err(Failure::Exception(1))
    );
    let too_many = request(Table::Holding, 8000, 126);
    assert_eq!(
        brain.handle_request(at(0), &too_many),
        Err(Failure::Exception(3))
    );
    assert_eq!(write(&mut brain, 0, 8092, &[2]), Err(Failure::Exception(2)));
    assert!(brain.violations().is_empty());
    let beyond = request(Table::Holding, 8113, 2);
    assert_eq!(
        brain.handle_request(at(0), &beyond),
        Err(Failure::Exception(2))
    );
    assert_eq!(
        brain.violations(),
        ["reads register 8114, which nothing documents"]
    );
}

#[test]
fn a_limit_between_zero_and_six_amperes_is_refused_and_held_against_the_master() {
    let mut brain = plain();
    assert_eq!(
        write(&mut brain, 0, 8093, &[59]),
        Err(Failure::Exception(3))
    );
    assert_eq!(brain.violations(), ["8093 := 59 is below 6 A"]);
    assert_eq!(read(&mut brain, 0, 8093, 1), [160]);
}

#[test]
fn flash_is_written_once_and_only_where_it_differs() {
    let mut brain = plain();
    for now in 0..10 {
        write(&mut brain, now, 8093, &[60, 1]).unwrap();
    }
    write(&mut brain, 0, 8083, &[0, 180]).unwrap();
    assert!(brain.violations().is_empty());
    assert_eq!(brain.flash_writes(), 2);
    assert_eq!(brain.writes()[&8093], 10);
    write(&mut brain, 1, 8083, &[0, 200]).unwrap();
    write(&mut brain, 1, 8085, &[60]).unwrap();
    let expected = [
        "flash register 8083 was written again",
        "flash register 8085 already held what was written",
    ];
    assert_eq!(brain.violations(), expected);
}
