use super::*;

fn at(seconds: f64) -> Mono {
    Mono(Duration::from_secs_f64(seconds))
}

/// A meter without noise and latency through which 10 A, 2 A and −4 A have flowed for an hour.
fn used(map: MeterMap) -> Meter {
    let mut meter = Meter::new(exact(map), 1);
    meter.observe(Mono::START, milliamps([10_000, 2_000, -4_000]));
    meter
}

fn exact(map: MeterMap) -> MeterPlan {
    MeterPlan {
        latency: Duration::ZERO,
        noise: MilliAmps::ZERO,
        ..MeterPlan::new(map)
    }
}

fn milliamps(amps: [i32; 3]) -> PerPhase<MilliAmps> {
    PerPhase(amps.map(MilliAmps))
}

fn ask(meter: &mut Meter, now: f64, address: u16, count: u16) -> Answer {
    let table = match meter.plan().map {
        MeterMap::Sdm630 => Table::Input,
        _ => Table::Holding,
    };
    let request = Request::Read {
        table,
        address,
        count,
    };
    meter.handle_request(at(now), &request)
}

fn floats(meter: &mut Meter, now: f64, address: u16, count: u16) -> Vec<f32> {
    let registers = ask(meter, now, address, 2 * count).unwrap();
    let pairs = registers.chunks(2);
    let bits = pairs.map(|pair| (u32::from(pair[0]) << 16) | u32::from(pair[1]));
    bits.map(f32::from_bits).collect()
}

#[test]
fn an_sdm630_shows_currents_without_and_powers_with_their_sign() {
    let mut meter = used(MeterMap::Sdm630);
    let expected = [230.0, 230.0, 230.0, 10.0, 2.0, 4.0, 2300.0, 460.0, -920.0];
    assert_eq!(floats(&mut meter, 1.0, 0, 9), expected);
    assert_eq!(floats(&mut meter, 1.0, 0x34, 1), [1840.0]);
    assert_eq!(floats(&mut meter, 1.0, 0x46, 1), [50.0]);
}

#[test]
fn energy_goes_to_the_register_of_its_direction() {
    let mut meter = used(MeterMap::Sdm630);
    let begin = floats(&mut meter, 0.0, 0x48, 2);
    // 1840 W for an hour in, 2300 W for an hour out.
    meter.observe(at(3600.0), milliamps([-10_000, 0, 0]));
    let end = floats(&mut meter, 7200.0, 0x48, 2);
    assert!(
        (end[0] - begin[0] - 1.84).abs() < 0.002,
        "{begin:?} {end:?}"
    );
    assert!((end[1] - begin[1] - 2.3).abs() < 0.002, "{begin:?} {end:?}");
}

#[test]
fn what_it_shows_is_as_old_as_its_latency() {
    let latency = Duration::from_secs(2);
    let plan = MeterPlan {
        latency,
        ..exact(MeterMap::Sdm630)
    };
    let mut meter = Meter::new(plan, 1);
    for second in 1..10_u8 {
        let amps = milliamps([i32::from(second) * 1000, 0, 0]);
        meter.observe(at(second.into()), amps);
        let shown = second.saturating_sub(2);
        assert_eq!(floats(&mut meter, second.into(), 6, 1), [f32::from(shown)]);
    }
    assert_eq!(meter.shown(at(10.9)), milliamps([8_000, 0, 0]));
    assert_eq!(floats(&mut meter, 11.0, 6, 1), [9.0]);
}

#[test]
fn noise_stays_within_its_bounds_and_is_never_the_same() {
    let plan = MeterPlan {
        noise: MilliAmps(100),
        ..exact(MeterMap::Sdm630)
    };
    let mut meter = Meter::new(plan, 1);
    meter.observe(Mono::START, milliamps([10_000; 3]));
    let read: Vec<f32> = (0..50).map(|_| floats(&mut meter, 1.0, 6, 1)[0]).collect();
    assert!(read.iter().all(|amps| (9.899..=10.101).contains(amps)));
    assert!(read.iter().any(|amps| *amps < 9.95));
    assert!(read.iter().any(|amps| *amps > 10.05));
}

#[test]
fn the_wrong_way_round_import_reads_negative() {
    let mut meter = used(MeterMap::Sdm630);
    let before = floats(&mut meter, 1.0, 0x48, 2);
    meter.set_inverted(true);
    assert_eq!(floats(&mut meter, 1.0, 0x0C, 3), [-2300.0, -460.0, 920.0]);
    let after = floats(&mut meter, 1.0, 0x48, 2);
    assert_eq!([after[1], after[0]], before[..]);
}

#[test]
fn a_frozen_meter_repeats_itself_until_it_is_repaired() {
    let mut meter = used(MeterMap::Sdm630);
    meter.set_fault(at(1.0), Some(MeterFault::Frozen));
    meter.observe(at(2.0), milliamps([30_000, 0, 0]));
    assert_eq!(floats(&mut meter, 3.0, 6, 3), [10.0, 2.0, 4.0]);
    meter.set_fault(at(4.0), None);
    assert_eq!(floats(&mut meter, 4.0, 6, 3), [30.0, 0.0, 0.0]);
}

#[test]
fn values_that_are_none_look_as_each_table_says() {
    let broken = |map| {
        let mut meter = used(map);
        meter.set_fault(at(1.0), Some(MeterFault::NotANumber));
        meter
    };
    assert!(floats(&mut broken(MeterMap::Sdm630), 1.0, 6, 1)[0].is_nan());
    assert!(floats(&mut broken(MeterMap::SunSpec213), 1.0, 40_074, 1)[0].is_nan());
    let integers = &mut broken(MeterMap::SunSpec203);
    assert_eq!(ask(integers, 1.0, 40_073, 3), Ok(vec![0x8000; 3]));
    let s0 = &mut broken(MeterMap::PowerBrain);
    assert_eq!(ask(s0, 1.0, 8062, 4), Ok(vec![0xFFFF; 4]));
}

#[test]
fn a_silent_meter_says_nothing() {
    let mut meter = used(MeterMap::Sdm630);
    meter.set_fault(at(1.0), Some(MeterFault::Silent));
    assert_eq!(ask(&mut meter, 1.0, 0, 2), Err(Failure::Silent));
}

#[test]
fn what_lies_outside_its_table_is_refused() {
    for map in MeterMap::ALL {
        let mut meter = used(map);
        let refused = Err(Failure::Exception(2));
        assert_eq!(ask(&mut meter, 1.0, 50_000, 2), refused, "{map}");
        let write = Request::Write {
            address: 0,
            values: vec![1],
        };
        let refused = Err(Failure::Exception(1));
        assert_eq!(meter.handle_request(at(1.0), &write), refused, "{map}");
    }
}

#[test]
fn an_s0_meter_counts_watts_watt_hours_and_tenths_of_an_ampere() {
    let mut meter = used(MeterMap::PowerBrain);
    assert_eq!(ask(&mut meter, 1.0, 8000, 2), Ok(vec![0xCF05, 0]));
    let shown = ask(&mut meter, 1.0, 8057, 13).unwrap();
    assert_eq!(shown[0], 1);
    assert_eq!(shown[5..], [0, 1840, 0, 100, 0, 20, 0, 40]);
}

#[test]
fn a_sunspec_meter_is_found_behind_the_common_model() {
    for (map, id, length) in [
        (MeterMap::SunSpec203, 203, 105),
        (MeterMap::SunSpec213, 213, 124),
    ] {
        let mut meter = used(map);
        let head = ask(&mut meter, 1.0, 40_000, 4);
        assert_eq!(head, Ok(vec![0x5375, 0x6E53, 1, 66]));
        assert_eq!(ask(&mut meter, 1.0, 40_070, 2), Ok(vec![id, length]));
        let end = 40_072 + length;
        assert_eq!(ask(&mut meter, 1.0, end, 2), Ok(vec![0xFFFF, 0]));
    }
}

#[test]
fn both_kinds_of_sunspec_meters_show_the_same() {
    let mut integers = used(MeterMap::SunSpec203);
    let minus = |value: i16| (-value).cast_unsigned();
    let shown = ask(&mut integers, 1.0, 40_070, 55).unwrap();
    assert_eq!(shown[3..7], [1000, 200, minus(400), minus(2)]);
    assert_eq!(shown[8..11], [2300; 3]);
    assert_eq!(shown[15], minus(1));
    assert_eq!(shown[18..23], [184, 230, 46, minus(92), 1]);
    let imported = (u32::from(shown[46]) << 16) | u32::from(shown[47]);
    let mut numbers = used(MeterMap::SunSpec213);
    assert_eq!(floats(&mut numbers, 1.0, 40_074, 3), [10.0, 2.0, -4.0]);
    assert_eq!(floats(&mut numbers, 1.0, 40_082, 3), [230.0; 3]);
    let watts = [1840.0, 2300.0, 460.0, -920.0];
    assert_eq!(floats(&mut numbers, 1.0, 40_098, 4), watts);
    assert_eq!(floats(&mut numbers, 1.0, 40_138, 1), [imported as f32]);
}
