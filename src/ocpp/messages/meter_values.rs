//! Meter values as they come (OCPP 1.6 §4.7, §7.33, §7.43). What they mean is in
//! [`reading`](crate::ocpp::reading).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Empty, request};
use crate::ids::ConnectorId;
use crate::ocpp::lenient::{self, object, spelled};
use crate::units::WattHours;

/// Says what was measured (OCPP 1.6 §4.7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MeterValues<'a> {
    /// Where; 0 is the main meter, also where it was missing.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub connector_id: ConnectorId,
    /// The transaction that runs there, as it came; may be 0, negative or absurd.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub transaction_id: Option<i64>,
    /// What was measured.
    #[serde(borrow, default, deserialize_with = "lenient::list")]
    pub meter_value: Vec<MeterValue<'a>>,
}
request!(MeterValues<'_> => Empty);

/// What was measured at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MeterValue<'a> {
    /// When, as it came; empty where it was missing.
    #[serde(borrow, default, deserialize_with = "lenient::or_default")]
    pub timestamp: Cow<'a, str>,
    /// The values; those that cannot be understood are left out.
    #[serde(borrow, default, deserialize_with = "lenient::list")]
    pub sampled_value: Vec<SampledValue<'a>>,
}
object!(MeterValue<'a>);

/// One value. What is absent has the default of the specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SampledValue<'a> {
    /// A number as text, or signed data.
    #[serde(borrow, deserialize_with = "lenient::required")]
    pub value: Cow<'a, str>,
    /// On what occasion; absent = `Sample.Periodic`.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub context: Option<ReadingContext>,
    /// A number or signed data; absent = `Raw`.
    #[serde(
        default,
        deserialize_with = "lenient::readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub format: Option<ValueFormat>,
    /// What; absent = `Energy.Active.Import.Register`.
    #[serde(
        default,
        deserialize_with = "lenient::readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub measurand: Option<Measurand>,
    /// On which phase; absent = over all.
    #[serde(
        default,
        deserialize_with = "lenient::readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub phase: Option<SampledPhase>,
    /// At which place; absent = `Outlet`.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub location: Option<Location>,
    /// In which unit, as it came; absent = the measurand's own, without prefix.
    #[serde(
        borrow,
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub unit: Option<Cow<'a, str>>,
}
object!(SampledValue<'a>);

spelled! {
    /// `ReadingContext` (OCPP 1.6 §7.38).
    pub enum ReadingContext {
        /// At the start of an interruption.
        InterruptionBegin = "Interruption.Begin",
        /// After an interruption.
        InterruptionEnd = "Interruption.End",
        /// Something else.
        Other = "Other",
        /// At a multiple of the clock-aligned interval.
        SampleClock = "Sample.Clock",
        /// At the sample interval.
        SamplePeriodic = "Sample.Periodic",
        /// At the start of the transaction.
        TransactionBegin = "Transaction.Begin",
        /// At the end of the transaction.
        TransactionEnd = "Transaction.End",
        /// Because `TriggerMessage` asked for it.
        Trigger = "Trigger",
    }
}

spelled! {
    /// `ValueFormat` (OCPP 1.6 §7.49).
    pub enum ValueFormat {
        /// A number.
        Raw = "Raw",
        /// Text with a signature.
        SignedData = "SignedData",
    }
}

spelled! {
    /// `Measurand` (OCPP 1.6 §7.32).
    pub enum Measurand {
        /// Current out of the car.
        CurrentExport = "Current.Export",
        /// Current into the car.
        CurrentImport = "Current.Import",
        /// The largest current that the car may take.
        CurrentOffered = "Current.Offered",
        /// Register of the energy out of the car.
        EnergyActiveExportRegister = "Energy.Active.Export.Register",
        /// Register of the energy into the car.
        EnergyActiveImportRegister = "Energy.Active.Import.Register",
        /// Register of reactive energy.
        EnergyReactiveExportRegister = "Energy.Reactive.Export.Register",
        /// Register of reactive energy.
        EnergyReactiveImportRegister = "Energy.Reactive.Import.Register",
        /// Energy out of the car in the interval.
        EnergyActiveExportInterval = "Energy.Active.Export.Interval",
        /// Energy into the car in the interval.
        EnergyActiveImportInterval = "Energy.Active.Import.Interval",
        /// Reactive energy in the interval.
        EnergyReactiveExportInterval = "Energy.Reactive.Export.Interval",
        /// Reactive energy in the interval.
        EnergyReactiveImportInterval = "Energy.Reactive.Import.Interval",
        /// Frequency of the grid; has no unit in OCPP 1.6.
        Frequency = "Frequency",
        /// Power out of the car.
        PowerActiveExport = "Power.Active.Export",
        /// Power into the car.
        PowerActiveImport = "Power.Active.Import",
        /// Power factor.
        PowerFactor = "Power.Factor",
        /// The largest power that the car may take.
        PowerOffered = "Power.Offered",
        /// Reactive power.
        PowerReactiveExport = "Power.Reactive.Export",
        /// Reactive power.
        PowerReactiveImport = "Power.Reactive.Import",
        /// Speed of a fan.
        Rpm = "RPM",
        /// How full the car is.
        StateOfCharge = "SoC",
        /// Temperature.
        Temperature = "Temperature",
        /// Voltage.
        Voltage = "Voltage",
    }
}

spelled! {
    /// `Phase` (OCPP 1.6 §7.36).
    pub enum SampledPhase {
        /// First phase.
        L1 = "L1",
        /// Second phase.
        L2 = "L2",
        /// Third phase.
        L3 = "L3",
        /// Neutral.
        N = "N",
        /// First phase to neutral.
        L1N = "L1-N",
        /// Second phase to neutral.
        L2N = "L2-N",
        /// Third phase to neutral.
        L3N = "L3-N",
        /// Between two phases.
        L1L2 = "L1-L2",
        /// Between two phases.
        L2L3 = "L2-L3",
        /// Between two phases.
        L3L1 = "L3-L1",
    }
}

spelled! {
    /// `Location` (OCPP 1.6 §7.30).
    pub enum Location {
        /// Inside the charge point.
        Body = "Body",
        /// The cable.
        Cable = "Cable",
        /// The car.
        EV = "EV",
        /// The grid's side of the charge point.
        Inlet = "Inlet",
        /// The car's side of the charge point.
        Outlet = "Outlet",
    }
}

/// An energy register, unless it is one that cannot be: negative, or 2³¹-1.
// Quirk: Zaptec Go 2: meterStart is 2147483647 where it is not known.
pub fn plausible_register(watt_hours: i64) -> Option<WattHours> {
    let plausible = watt_hours >= 0 && watt_hours != i64::from(i32::MAX);
    plausible.then_some(WattHours(watt_hours))
}
