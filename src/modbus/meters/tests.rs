//! The whole machine, against registers in a map.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::clock::{Mono, Random};
use crate::ids::MeterName;
use crate::modbus::{Answer, Failure, Request, Table};
use crate::units::{MilliAmps, MilliVolts, PerPhase, WattHours, Watts};

/// A device whose registers are what the test put there; anything else is an illegal address.
#[derive(Default)]
struct Device {
    registers: BTreeMap<(bool, u16), u16>,
    /// What it fails with instead, for requests that touch this register.
    fails: BTreeMap<u16, Failure>,
    asked: Vec<(u16, u16)>,
}

impl Device {
    fn put(&mut self, table: Table, address: u16, words: &[u16]) {
        for (address, word) in (address..).zip(words) {
            self.registers
                .insert((table == Table::Input, address), *word);
        }
    }

    fn float(&mut self, address: u16, value: f32) {
        let bits = value.to_bits();
        let [a, b, c, d] = bits.to_be_bytes();
        let words = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
        self.put(Table::Input, address, &words);
    }

    /// An SDM630 at 230 V with these powers; its currents have no sign.
    fn sdm(powers: [f32; 3]) -> Self {
        let mut device = Self::default();
        for (at, watts) in (0..).step_by(2).zip(powers) {
            device.float(at, 230.0);
            device.float(6 + at, watts.abs() / 230.0);
            device.float(12 + at, watts);
        }
        device.float(0x46, 49.98);
        device.float(0x48, 1234.5);
        device.float(0x4A, 7.25);
        device
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let Request::Read {
            table,
            address,
            count,
        } = *request
        else {
            panic!("a meter is never written")
        };
        self.asked.push((address, count));
        let range = address..address + count;
        if let Some((_, failure)) = self.fails.range(range.clone()).next() {
            return Err(failure.clone());
        }
        let input = table == Table::Input;
        let words = range.map(|at| self.registers.get(&(input, at)).copied());
        words.collect::<Option<_>>().ok_or(Failure::Exception(2))
    }
}

fn plan(kind: Kind) -> MeterPlan {
    MeterPlan {
        name: MeterName::from("grid"),
        kind,
        poll: Duration::from_secs(1),
        invert: false,
        bills: false,
    }
}

struct Bench {
    meter: Meter,
    device: Device,
    now: Mono,
    random: Random,
    samples: Vec<(Mono, Sample)>,
}

impl Bench {
    fn new(kind: Kind, device: Device) -> Self {
        Self::with(kind, device, false)
    }

    fn with(kind: Kind, device: Device, invert: bool) -> Self {
        let plan = MeterPlan {
            invert,
            ..plan(kind)
        };
        Self::of(plan, device)
    }

    fn of(plan: MeterPlan, device: Device) -> Self {
        Self {
            meter: Meter::new(Mono::START, plan),
            device,
            now: Mono::START,
            random: Random::new(1),
            samples: Vec::new(),
        }
    }

    /// One poll, with all the questions that belong to it; each answer takes 10 ms.
    fn poll(&mut self) {
        self.now = self.meter.poll_timeout().expect("nothing is outstanding");
        self.meter.handle_timeout(self.now);
        while let Some(output) = self.meter.poll_output() {
            match output {
                MeterOutput::Sample(sample) => self.samples.push((self.now, sample)),
                MeterOutput::Ask(request) => {
                    assert_eq!(self.meter.poll_timeout(), None, "one question at a time");
                    let answer = self.device.answer(&request);
                    self.now = self.now + Duration::from_millis(10);
                    self.meter.handle_answer(self.now, &mut self.random, answer);
                }
            }
        }
    }

    fn sample(&mut self) -> Sample {
        let before = self.samples.len();
        self.poll();
        let complaint = self.complaint();
        assert!(self.samples.len() > before, "no sample: {complaint:?}");
        self.samples.last().unwrap().1
    }

    fn refusal(&mut self) -> String {
        let before = self.samples.len();
        self.poll();
        assert_eq!(self.samples.len(), before, "a sample came");
        self.complaint().expect("a complaint")
    }

    fn complaint(&self) -> Option<String> {
        self.meter.view().complaint.map(str::to_owned)
    }
}

fn amps(values: [i32; 3]) -> PerPhase<MilliAmps> {
    PerPhase(values.map(MilliAmps))
}

#[test]
fn an_sdm630_gives_everything_and_its_currents_take_the_sign_of_the_power() {
    let mut bench = Bench::new(Kind::Sdm630, Device::sdm([2300.0, -460.0, 0.0]));
    bench.poll();
    let sample = bench.sample();
    assert_eq!(sample.current, amps([10_000, -2000, 0]));
    assert_eq!(sample.power, Some(Watts(1840)));
    assert_eq!(
        sample.phase_power,
        Some(PerPhase([Watts(2300), Watts(-460), Watts(0)]))
    );
    assert_eq!(sample.voltage, Some(PerPhase::all(MilliVolts(230_000))));
    assert_eq!(sample.import, Some(WattHours(1_234_500)));
    assert_eq!(sample.export, Some(WattHours(7250)));
    assert_eq!(sample.frequency, Some(49_980));
    assert_eq!(bench.complaint(), None);
    assert_eq!(bench.meter.view().last.unwrap().1, &sample);
}

#[test]
fn inverting_turns_every_sign_and_swaps_the_energies() {
    let mut bench = Bench::with(Kind::Sdm630, Device::sdm([-2300.0, 460.0, 0.0]), true);
    bench.poll();
    let sample = bench.sample();
    assert_eq!(sample.current, amps([10_000, -2000, 0]));
    assert_eq!(sample.power, Some(Watts(1840)));
    assert_eq!(sample.import, Some(WattHours(7250)));
    assert_eq!(sample.export, Some(WattHours(1_234_500)));
}

#[test]
fn the_sample_is_said_before_slow_values_are_asked_for_and_these_every_ten_seconds() {
    let mut bench = Bench::new(Kind::Sdm630, Device::sdm([230.0, 0.0, 0.0]));
    let mut slow = Vec::new();
    for second in 0..30_u64 {
        bench.device.asked.clear();
        bench.poll();
        let begin = Duration::from_secs(second);
        let answered = Mono(begin + Duration::from_millis(10));
        assert_eq!(bench.samples.last().unwrap().0, answered);
        match bench.device.asked.as_slice() {
            [(0, 18)] => {}
            [(0, 18), (0x46, 6)] => slow.push(second),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(slow, [0, 11, 22]);
}

#[test]
fn a_meter_that_bills_says_its_energy_with_each_sample() {
    let float = |device: &mut Device, wh: f32| device.float(0x48, wh / 1000.0);
    let mut device = Device::sdm([2300.0, 0.0, 0.0]);
    float(&mut device, 5000.0);
    let plan = MeterPlan {
        bills: true,
        ..plan(Kind::Sdm630)
    };
    let mut bench = Bench::of(plan, device);
    for wh in [5000, 5003, 5006] {
        float(&mut bench.device, f32::from(u16::try_from(wh).unwrap()));
        let sample = bench.sample();
        assert_eq!(sample.import, Some(WattHours(wh)));
    }
}

#[test]
fn what_can_be_missed_delays_nothing_and_is_asked_for_less_and_less() {
    let mut device = Device::sdm([230.0, 0.0, 0.0]);
    device.fails.insert(0x46, Failure::Silent);
    let mut bench = Bench::new(Kind::Sdm630, device);
    for odd in [true, false].into_iter().cycle().take(3600) {
        let sample = bench.sample();
        assert_eq!((sample.import, sample.frequency), (None, None));
        // So that it is not frozen.
        bench.device.float(12, if odd { 231.0 } else { 230.0 });
    }
    let slow = bench.device.asked.iter().filter(|it| it.0 == 0x46).count();
    assert!((8..=14).contains(&slow), "{slow}");
    assert_eq!(bench.complaint(), None);
}

#[test]
fn a_meter_that_does_not_answer_is_asked_again_soon_and_then_seldom() {
    let mut device = Device::sdm([230.0, 0.0, 0.0]);
    device.fails.insert(0, Failure::Silent);
    let mut bench = Bench::new(Kind::Sdm630, device);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let why = bench.refusal();
        assert!(why.contains("does not answer"), "{why}");
        let pause = bench.meter.poll_timeout().unwrap().since(bench.now);
        pauses.push(pause.as_secs_f64());
    }
    for (pause, longest) in pauses.iter().zip([1.0, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]) {
        assert!(*pause <= longest && *pause >= longest * 0.8, "{pauses:?}");
    }
    bench.device.fails.clear();
    bench.sample();
    assert_eq!(bench.complaint(), None);
    bench.device.fails.insert(0, Failure::Exception(4));
    assert!(bench.refusal().contains("exception 4"));
    let pause = bench.meter.poll_timeout().unwrap().since(bench.now);
    assert_eq!(pause, Duration::from_secs(1), "the first retry is quick");
}

#[test]
fn values_that_cannot_be_true_are_no_sample() {
    for (address, value, word) in [
        (6, f32::NAN, "current-l1 reads no number"),
        (8, f32::INFINITY, "current-l2 reads no number"),
        (12, f32::NAN, "power-l1 reads no number"),
        (10, 1001.0, "L3 reads 1001 A"),
        (2, 401.0, "L2 reads 401 V"),
        (2, -1.0, "L2 reads -1 V"),
        (14, 900.0, "L2 reads 900 W with only 0.0 A"),
    ] {
        let mut device = Device::sdm([230.0, 0.0, 0.0]);
        device.float(address, value);
        let mut bench = Bench::new(Kind::Sdm630, device);
        let why = bench.refusal();
        assert!(why.contains(word), "{why}");
        assert!(why.contains("look at"), "{why}");
        let next = bench.meter.poll_timeout().unwrap();
        assert_eq!(next, Mono(Duration::from_secs(1)), "it is read on");
    }
    let mut device = Device::sdm([230.0, 0.0, 0.0]);
    for at in [0, 2, 4] {
        device.float(at, 0.0);
    }
    let why = Bench::new(Kind::Sdm630, device).refusal();
    assert!(why.contains("no phase has a voltage"), "{why}");
}

#[test]
fn a_missing_phase_is_normal_and_strange_mains_are_only_mentioned() {
    let mut device = Device::sdm([230.0, 0.0, 0.0]);
    device.float(2, 0.0);
    device.float(4, 0.0);
    let mut bench = Bench::new(Kind::Sdm630, device);
    bench.sample();
    assert_eq!(bench.complaint(), None);
    bench.device.float(0, 127.0);
    bench.sample();
    let why = bench.complaint().unwrap();
    assert!(why.contains("voltage-l1 reads 127 V"), "{why}");
}

/// Quirk: Eastron SDM72 without -M-2: zeros or an exception where its sisters have the phases.
#[test]
fn an_sdm72_without_phases_is_refused_in_one_sentence() {
    let mut device = Device::default();
    device.put(Table::Input, 0, &[0; 18]);
    for device in [device, Device::default()] {
        let why = Bench::new(Kind::Sdm72, device).refusal();
        assert!(why.contains("use one with -M-2 in its name"), "{why}");
    }
}

#[test]
fn a_frozen_meter_gives_no_sample_until_it_moves() {
    let mut bench = Bench::new(Kind::Sdm630, Device::sdm([230.0, 0.0, 0.0]));
    for _ in 0..60 {
        bench.sample();
    }
    assert!(bench.refusal().contains("exactly the same for 60 s"));
    bench.device.float(12, 230.1);
    bench.sample();
    assert_eq!(bench.complaint(), None);
}

fn power_brain(power: i32, tenths: [u16; 3], energy: u16) -> Device {
    let mut device = Device::default();
    let [a, b, c, d] = power.to_be_bytes();
    let [l1, l2, l3] = tenths;
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let words = [1, 0, 0, 0, energy, high, low, 0, l1, 0, l2, 0, l3];
    device.put(Table::Holding, 8057, &words);
    device
}

#[test]
fn a_power_brains_meter_is_read_in_steps_of_a_tenth() {
    let mut bench = Bench::new(Kind::PowerBrain, power_brain(11_040, [160, 160, 159], 500));
    let sample = bench.sample();
    assert_eq!(sample.current, amps([16_000, 16_000, 15_900]));
    assert_eq!(sample.power, Some(Watts(11_040)));
    assert_eq!(sample.import, Some(WattHours(500)));
    assert_eq!((sample.voltage, sample.phase_power), (None, None));
}

#[test]
fn quirk_cfos_s0_unit_without_a_nominal_voltage_measures_all_the_same() {
    let mut device = power_brain(2300, [100, 0, 0], 500);
    device.put(Table::Holding, 8045, &[0, 0, 0]);
    let mut bench = Bench::new(Kind::PowerBrain, device);
    bench.poll();
    let sample = bench.sample();
    assert_eq!(sample.current, amps([10_000, 0, 0]));
    assert_eq!(sample.voltage, None);
}

#[test]
fn an_s0_unit_that_knows_only_its_power_may_carry_it_on_any_phase() {
    let mut device = power_brain(2400, [0, 0, 0], 500);
    device.put(Table::Holding, 8045, &[240, 240, 240]);
    let mut bench = Bench::new(Kind::PowerBrain, device);
    bench.poll();
    assert_eq!(bench.sample().current, amps([10_000; 3]));
    // No pulse yet.
    let mut bench = Bench::new(Kind::PowerBrain, power_brain(-1, [0, 0, 0], 500));
    let sample = bench.sample();
    assert_eq!((sample.current, sample.power), (amps([0; 3]), None));
}

#[test]
fn export_on_a_single_phase_is_known_from_the_whole_power() {
    let mut bench = Bench::new(Kind::PowerBrain, power_brain(-2300, [100, 0, 0], 500));
    assert_eq!(bench.sample().current, amps([-10_000, 0, 0]));
    let mut bench = Bench::new(Kind::PowerBrain, power_brain(-2300, [100, 20, 0], 500));
    assert_eq!(
        bench.sample().current,
        amps([10_000, 2000, 0]),
        "import is the safe side"
    );
}

#[test]
fn an_energy_register_that_falls_back_for_a_moment_is_not_believed() {
    let mut bench = Bench::new(Kind::PowerBrain, power_brain(0, [0; 3], 0));
    assert_eq!(bench.sample().import, None);
    bench.device = power_brain(0, [0; 3], 500);
    assert_eq!(bench.sample().import, Some(WattHours(500)));
    bench.device = power_brain(0, [0; 3], 0);
    assert_eq!(bench.sample().import, Some(WattHours(500)));
    bench.device = power_brain(0, [0; 3], 501);
    assert_eq!(bench.sample().import, Some(WattHours(501)));
    bench.device = power_brain(0, [0; 3], 3);
    for _ in 0..60 {
        assert_eq!(bench.sample().import, Some(WattHours(501)));
    }
    assert_eq!(bench.sample().import, Some(WattHours(3)), "a new meter");
}

/// A SunSpec device with the common model and this model of integers behind it.
fn sunspec(base: u16, model: u16, length: u16) -> Device {
    let mut device = Device::default();
    device.put(Table::Holding, base, &[0x5375, 0x6E53, 1, 4, 0, 0, 0, 0]);
    let id = base + 8;
    device.put(Table::Holding, id, &[model, length]);
    for at in 2..length + 2 {
        device.put(Table::Holding, id + at, &[0x8000]);
    }
    let end = id + 2 + length;
    device.put(Table::Holding, end, &[0xFFFF, 0]);
    device
}

fn model_203(base: u16) -> Device {
    let mut device = sunspec(base, 203, 105);
    let id = base + 8;
    let minus_2 = 0xFFFE;
    device.put(Table::Holding, id + 3, &[1000, 200, 0, minus_2]);
    device.put(Table::Holding, id + 8, &[2300, 2310, 2290]);
    device.put(Table::Holding, id + 15, &[0xFFFF, 5001, minus_2]);
    device.put(Table::Holding, id + 18, &[184, 230, 65490, 0, 1]);
    device.put(Table::Holding, id + 38, &[0, 0]);
    device.put(Table::Holding, id + 46, &[1, 0]);
    device.put(Table::Holding, id + 54, &[1]);
    device
}

#[test]
fn a_sunspec_model_with_scale_factors_is_found_wherever_it_is() {
    for base in [40_000, 0, 50_000] {
        let mut bench = Bench::new(Kind::SunSpec, model_203(base));
        bench.poll();
        let sample = bench.sample();
        assert_eq!(sample.current, amps([10_000, -2000, 0]));
        assert_eq!(sample.power, Some(Watts(1840)));
        assert_eq!(
            sample.phase_power,
            Some(PerPhase([Watts(2300), Watts(-460), Watts(0)]))
        );
        let volts = [230_000, 231_000, 229_000].map(MilliVolts);
        assert_eq!(sample.voltage, Some(PerPhase(volts)));
        assert_eq!(
            (sample.import, sample.export),
            (Some(WattHours(655_360)), None)
        );
        assert_eq!(sample.frequency, Some(50_010));
    }
}

#[test]
fn a_sunspec_model_in_floating_point_is_read_too() {
    let mut device = sunspec(40_000, 211, 124);
    let id = 40_008;
    let mut float = |at: u16, value: f32| {
        let bits = value.to_bits();
        let words = [(bits >> 16) as u16, (bits & 0xFFFF) as u16];
        device.put(Table::Holding, id + at, &words);
    };
    for at in (2..124).step_by(2) {
        float(at, f32::NAN);
    }
    for (at, value) in [(4, 10.0), (12, 230.0), (28, -2300.0), (68, 1500.0)] {
        float(at, value);
    }
    let mut bench = Bench::new(Kind::SunSpec, device);
    bench.poll();
    let sample = bench.sample();
    assert_eq!(sample.current, amps([-10_000, 0, 0]));
    assert_eq!(sample.power, Some(Watts(-2300)));
    assert_eq!(
        (sample.import, sample.voltage),
        (Some(WattHours(1500)), None)
    );
}

#[test]
fn after_a_loss_the_model_is_searched_anew_first_where_it_was() {
    let mut bench = Bench::new(Kind::SunSpec, model_203(50_000));
    bench.sample();
    bench.device.fails.insert(50_011, Failure::Silent);
    bench.refusal();
    // It comes back with other firmware.
    bench.device = sunspec(50_000, 1, 7);
    let moved = model_203(50_009);
    bench.device.registers.extend(
        moved
            .registers
            .into_iter()
            .filter(|((_, at), _)| *at >= 50_017),
    );
    let sample = bench.sample();
    assert_eq!(sample.current, amps([10_000, -2000, 0]));
    assert_eq!(bench.device.asked[0], (50_000, 2));
}

#[test]
fn a_device_without_a_meter_says_what_it_has_instead() {
    let why = Bench::new(Kind::SunSpec, sunspec(0, 103, 50)).refusal();
    assert!(why.contains("it has 1 103"), "{why}");
    let why = Bench::new(Kind::SunSpec, Device::default()).refusal();
    assert!(why.contains("no marker at 40000, 0 or 50000"), "{why}");
    // A list that is a ring ends, too.
    let mut ring = Device::default();
    ring.put(Table::Holding, 40_000, &[0x5375, 0x6E53]);
    ring.put(Table::Holding, 40_002, &[7; 1000]);
    let why = Bench::new(Kind::SunSpec, ring).refusal();
    assert!(why.contains("no meter model"), "{why}");
}

#[test]
fn a_sunspec_device_that_is_silent_where_it_has_nothing_is_found_all_the_same() {
    let mut device = model_203(0);
    device.fails.insert(40_000, Failure::Silent);
    device.fails.insert(50_000, Failure::Silent);
    let mut bench = Bench::new(Kind::SunSpec, device);
    bench.refusal();
    bench.sample();
}

#[test]
fn custom_registers_are_scaled_and_only_the_currents_are_needed() {
    let register = |address, kind, scale| Register {
        address,
        table: Table::Holding,
        kind,
        scale,
        word_order: WordOrder::Little,
    };
    let kind = Kind::Custom(BTreeMap::from([
        (Value::CurrentL1, register(10, RegisterType::I32, 0.001)),
        (Value::VoltageL1, register(30, RegisterType::U16, 0.1)),
        (Value::Power, register(20, RegisterType::I16, 10.0)),
    ]));
    let mut device = Device::default();
    device.put(Table::Holding, 10, &[0xEC78, 0xFFFF]);
    device.put(Table::Holding, 20, &[0xFF8D]);
    let mut bench = Bench::new(kind, device);
    let sample = bench.sample();
    assert_eq!(sample.current, amps([-5000, 0, 0]));
    assert_eq!(sample.power, Some(Watts(-1150)));
    bench.device.fails.insert(20, Failure::Exception(2));
    assert_eq!(bench.sample().power, None);
    bench.device.fails.insert(10, Failure::Exception(2));
    assert!(bench.refusal().contains("illegal address"));
}

#[test]
fn an_answer_that_nobody_asked_for_is_nothing() {
    let mut bench = Bench::new(Kind::Sdm630, Device::sdm([0.0; 3]));
    bench
        .meter
        .handle_answer(Mono::START, &mut bench.random, Ok(vec![1, 2, 3]));
    assert_eq!(bench.meter.poll_output(), None);
    bench.sample();
}

proptest::proptest! {
    #[test]
    fn no_answer_makes_it_panic_or_ask_twice(
        kind in 0_usize..4,
        answers in proptest::collection::vec(answer(), 0..200),
        seed: u64,
    ) {
        let kind = [Kind::Sdm630, Kind::Sdm72, Kind::PowerBrain, Kind::SunSpec][kind].clone();
        let mut bench = Bench::new(kind, Device::default());
        let mut random = Random::new(seed);
        for answer in answers {
            if let Some(at) = bench.meter.poll_timeout() {
                bench.now = bench.now.max(at);
                bench.meter.handle_timeout(bench.now);
            }
            bench.meter.handle_answer(bench.now, &mut random, answer);
            let outputs = std::iter::from_fn(|| bench.meter.poll_output());
            let asked = outputs.filter(|it| matches!(it, MeterOutput::Ask(_))).count();
            proptest::prop_assert!(asked <= 2, "the first of them was answered");
        }
    }
}

/// Any registers, among them the words that lead deeper into a SunSpec device; any failure.
fn answer() -> impl proptest::strategy::Strategy<Value = Answer> {
    use proptest::prelude::*;
    let word = prop_oneof![
        any::<u16>(),
        Just(0xFFFF),
        Just(0x8000),
        Just(0x4366),
        Just(0)
    ];
    prop_oneof![
        Just(Ok(vec![0x5375, 0x6E53])),
        (195_u16..220, 0_u16..200).prop_map(|(model, length)| Ok(vec![model, length])),
        proptest::collection::vec(word, 0..40).prop_map(Ok),
        Just(Err(Failure::Silent)),
        any::<u8>().prop_map(|code| Err(Failure::Exception(code))),
        Just(Err(Failure::NoConnection("refused".to_owned()))),
    ]
}
