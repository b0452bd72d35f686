//! What a meter value of a wallbox that we play contains (OCPP 1.6 §7.31–§7.45): only what is known.

use std::borrow::Cow;

use crate::evse::{Measured, Sampled};
use crate::modbus::power_brain::{Poll, milliamps};
use crate::ocpp::messages::{Measurand, MeterValue, ReadingContext, SampledPhase, SampledValue};
use crate::units::{MilliAmps, PerPhase, Phase, WattHours, Watts};

use super::plan::ChargePointPlan;

/// What is known at one moment. Phases are those of the grid where it is known how they are wired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Snapshot {
    register: Option<WattHours>,
    power: Option<Watts>,
    /// `None` where a phase is not wired.
    current: PerPhase<Option<MilliAmps>>,
    /// What each phase may carry.
    offered: PerPhase<Option<MilliAmps>>,
    /// The same without phase.
    largest_offered: Option<MilliAmps>,
    power_offered: Option<Watts>,
}

impl Snapshot {
    /// What was measured, and what the registers of the device allow.
    pub(super) fn new(plan: &ChargePointPlan, measured: Measured, poll: Option<&Poll>) -> Self {
        let mut snapshot = Self {
            register: measured.energy,
            power: measured.power,
            ..Self::default()
        };
        let grid = PerPhase(plan.rotation.unwrap_or(Phase::ALL));
        let wired = || Phase::ALL.into_iter().take(usize::from(plan.phases));
        if let Some(current) = measured.current {
            for own in wired() {
                snapshot.current[grid[own]] = Some(current[own]);
            }
        }
        let Some(poll) = poll else { return snapshot };
        let limit = if poll.enabled {
            milliamps(poll.limit)
        } else {
            MilliAmps::ZERO
        };
        let phases = if poll.single_phase { 1 } else { plan.phases };
        for (place, own) in (0..).zip(wired()) {
            let carries = if place < phases {
                limit
            } else {
                MilliAmps::ZERO
            };
            snapshot.offered[grid[own]] = Some(carries);
        }
        let microwatts = i64::from(limit.0) * i64::from(plan.voltage.0) * i64::from(phases);
        snapshot.largest_offered = Some(limit);
        snapshot.power_offered = i32::try_from(microwatts / 1_000_000).ok().map(Watts);
        snapshot
    }

    /// The same with another register.
    pub(super) fn with_register(self, register: Option<WattHours>) -> Self {
        Self { register, ..self }
    }

    /// Only the register is known.
    pub(super) fn of_register(register: Option<WattHours>) -> Self {
        Self {
            register,
            ..Self::default()
        }
    }

    /// The values of a list, where any is known.
    pub(super) fn meter_value(
        &self,
        at: String,
        list: &[Sampled],
        context: ReadingContext,
    ) -> Option<MeterValue<'static>> {
        let values = list.iter().flat_map(|wanted| self.values(*wanted));
        let sampled_value: Vec<_> = values
            .map(|(wanted, unit, value)| SampledValue {
                value: Cow::Owned(value),
                context: Some(context),
                format: None,
                measurand: Some(wanted.measurand),
                phase: wanted.phase.map(phase),
                location: None,
                unit: Some(Cow::Borrowed(unit)),
            })
            .collect();
        (!sampled_value.is_empty()).then_some(MeterValue {
            timestamp: Cow::Owned(at),
            sampled_value,
        })
    }

    /// What is known of one item: each value with its unit, and of which phase it is.
    fn values(&self, wanted: Sampled) -> Vec<(Sampled, &'static str, String)> {
        let whole = |unit, value: Option<String>| {
            let value = value.filter(|_| wanted.phase.is_none());
            value
                .map(|value| (wanted, unit, value))
                .into_iter()
                .collect()
        };
        let on = |phase| Sampled {
            phase: Some(phase),
            ..wanted
        };
        let by_phase = |of: &PerPhase<Option<MilliAmps>>| {
            of.iter()
                .filter(|(phase, _)| wanted.phase.is_none_or(|it| it == *phase))
                .filter_map(|(phase, amps)| Some((on(phase), "A", amperes(amps?))))
                .collect()
        };
        match wanted.measurand {
            Measurand::EnergyActiveImportRegister => {
                whole("Wh", self.register.map(|it| it.to_string()))
            }
            Measurand::PowerActiveImport => {
                whole("W", self.power.map(|it| it.0.max(0).to_string()))
            }
            Measurand::CurrentImport => by_phase(&self.current),
            Measurand::CurrentOffered if wanted.phase.is_some() => by_phase(&self.offered),
            Measurand::CurrentOffered => whole("A", self.largest_offered.map(amperes)),
            Measurand::PowerOffered => whole("W", self.power_offered.map(|it| it.0.to_string())),
            _ => Vec::new(),
        }
    }
}

/// With one decimal: meters of wallboxes know no more.
fn amperes(amps: MilliAmps) -> String {
    let tenths = (amps.0.max(0).saturating_add(50)) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

const fn phase(phase: Phase) -> SampledPhase {
    match phase {
        Phase::L1 => SampledPhase::L1,
        Phase::L2 => SampledPhase::L2,
        Phase::L3 => SampledPhase::L3,
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Metering;
    use super::super::tests::poll;
    use super::*;
    use crate::modbus::power_brain::Pilot;
    use crate::units::MilliVolts;

    fn plan(phases: u8, rotation: Option<[Phase; 3]>) -> ChargePointPlan {
        ChargePointPlan {
            evse: "P".into(),
            address: "192.168.1.60:4701".into(),
            unit: 1,
            phases,
            min: MilliAmps(6000),
            max: MilliAmps(16_000),
            failsafe: MilliAmps(6000),
            voltage: MilliVolts(230_000),
            fixed_id_tag: None,
            open: true,
            meter: Metering::Own,
            observe: false,
            backend: true,
            rotation,
        }
    }

    const MEASURED: Measured = Measured {
        current: Some(PerPhase([
            MilliAmps(15_960),
            MilliAmps(12_000),
            MilliAmps(0),
        ])),
        power: Some(Watts(6430)),
        energy: Some(WattHours(123_456)),
    };

    /// Each value with phase and unit.
    fn known(snapshot: &Snapshot, measurand: Measurand, phase: Option<Phase>) -> Vec<String> {
        let list = [Sampled { measurand, phase }];
        let value = snapshot.meter_value(String::new(), &list, ReadingContext::Trigger);
        let samples = value.into_iter().flat_map(|value| value.sampled_value);
        let text = |it: SampledValue<'_>| {
            let phase = it.phase.map_or("", SampledPhase::as_str);
            format!("{phase} {} {}", it.value, it.unit.unwrap())
        };
        samples.map(text).collect()
    }

    #[test]
    fn each_value_has_its_unit_and_currents_come_for_every_phase() {
        let enabled = poll(Pilot::Charging, true);
        let snapshot = Snapshot::new(&plan(3, None), MEASURED, Some(&enabled));
        let of = |measurand| known(&snapshot, measurand, None);
        assert_eq!(of(Measurand::EnergyActiveImportRegister), [" 123456 Wh"]);
        assert_eq!(of(Measurand::PowerActiveImport), [" 6430 W"]);
        let currents = ["L1 16.0 A", "L2 12.0 A", "L3 0.0 A"];
        assert_eq!(of(Measurand::CurrentImport), currents);
        assert_eq!(of(Measurand::CurrentOffered), [" 16.0 A"]);
        assert_eq!(of(Measurand::PowerOffered), [" 11040 W"]);
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let nothing = Snapshot::new(&plan(3, None), Measured::default(), None);
        let all = Snapshot::new(&plan(3, None), MEASURED, Some(&poll(Pilot::Charging, true)));
        for measurand in Measurand::ALL {
            assert_eq!(known(&nothing, *measurand, None), [""; 0], "{measurand:?}");
        }
        for unmeasured in [Measurand::Voltage, Measurand::StateOfCharge] {
            assert_eq!(known(&all, unmeasured, None), [""; 0]);
        }
        let of_l1 = known(&all, Measurand::PowerActiveImport, Some(Phase::L1));
        assert_eq!(of_l1, [""; 0], "only the sum is measured");
    }

    #[test]
    fn a_named_phase_comes_alone() {
        let enabled = poll(Pilot::Charging, true);
        let snapshot = Snapshot::new(&plan(3, None), MEASURED, Some(&enabled));
        let l2 = Some(Phase::L2);
        assert_eq!(
            known(&snapshot, Measurand::CurrentImport, l2),
            ["L2 12.0 A"]
        );
        assert_eq!(
            known(&snapshot, Measurand::CurrentOffered, l2),
            ["L2 16.0 A"]
        );
    }

    #[test]
    fn phases_are_those_of_the_grid_where_the_wiring_is_known() {
        let rotation = Some([Phase::L2, Phase::L3, Phase::L1]);
        let snapshot = Snapshot::new(&plan(3, rotation), MEASURED, None);
        let currents = ["L1 0.0 A", "L2 16.0 A", "L3 12.0 A"];
        assert_eq!(known(&snapshot, Measurand::CurrentImport, None), currents);
    }

    #[test]
    fn of_a_single_phase_wallbox_only_that_phase_is_told() {
        let rotation = Some([Phase::L3, Phase::L1, Phase::L2]);
        let enabled = poll(Pilot::Charging, true);
        let snapshot = Snapshot::new(&plan(1, rotation), MEASURED, Some(&enabled));
        assert_eq!(
            known(&snapshot, Measurand::CurrentImport, None),
            ["L3 16.0 A"]
        );
        assert_eq!(known(&snapshot, Measurand::PowerOffered, None), [" 3680 W"]);
        let l1 = Some(Phase::L1);
        assert_eq!(known(&snapshot, Measurand::CurrentOffered, l1), [""; 0]);
    }

    #[test]
    fn on_one_phase_of_three_nothing_is_offered_on_the_others() {
        let mut single = poll(Pilot::Charging, true);
        single.single_phase = true;
        let snapshot = Snapshot::new(&plan(3, None), MEASURED, Some(&single));
        let offered = |phase| known(&snapshot, Measurand::CurrentOffered, phase);
        assert_eq!(offered(None), [" 16.0 A"]);
        assert_eq!(offered(Some(Phase::L3)), ["L3 0.0 A"]);
        assert_eq!(known(&snapshot, Measurand::PowerOffered, None), [" 3680 W"]);
    }

    #[test]
    fn a_wallbox_that_is_switched_off_offers_0() {
        let off = poll(Pilot::Plugged, false);
        let snapshot = Snapshot::new(&plan(3, None), MEASURED, Some(&off));
        assert_eq!(
            known(&snapshot, Measurand::CurrentOffered, None),
            [" 0.0 A"]
        );
        assert_eq!(known(&snapshot, Measurand::PowerOffered, None), [" 0 W"]);
    }
}
