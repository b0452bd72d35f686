//! What a charge point refuses (OCPP 1.6 §5.16.2, §3.13).

use std::collections::BTreeMap;

use super::{InstalledProfiles, Wiring};
use crate::ids::ConnectorId;
use crate::ocpp::charging_profile::{
    ChargingProfile, ChargingProfileKind, ChargingProfilePurpose, ChargingRateUnit, Tenths,
};

/// What a charge point can do with profiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Connectors, numbered from 1.
    pub connectors: u32,
    /// `ChargeProfileMaxStackLevel`.
    pub max_stack_level: i64,
    /// `ChargingScheduleMaxPeriods`.
    pub max_periods: usize,
    /// `MaxChargingProfilesInstalled`.
    pub max_installed: usize,
    /// `ChargingScheduleAllowedChargingRateUnit`.
    pub units: Vec<ChargingRateUnit>,
    /// How every connector is wired …
    pub wiring: Wiring,
    /// … except these; 0 is the whole charge point.
    pub except: BTreeMap<ConnectorId, Wiring>,
}

/// What runs on a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// No transaction.
    Nothing,
    /// A transaction that has no id yet.
    Unnumbered,
    /// The transaction of this id.
    Transaction(i64),
}

/// Why a profile is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A malformed request rather than a refused profile.
    #[error("no such connector")]
    UnknownConnector,
    /// A `ChargePointMaxProfile` belongs on connector 0, a `TxProfile` on any other.
    #[error("this purpose is not for this connector")]
    WrongConnector,
    /// A `TxProfile` needs one.
    #[error("no transaction is running there")]
    NoTransaction,
    /// A `TxProfile` names another.
    #[error("another transaction is running there")]
    OtherTransaction,
    /// Below 0 or above the maximum.
    #[error("stack level out of range")]
    StackLevel,
    /// None, too many, not from 0 on, not rising, below zero, or phases that do not exist.
    #[error("impossible periods")]
    Periods,
    /// Amperes or watts are not supported.
    #[error("unit not supported")]
    Unit,
    /// A recurring profile needs a start and a rhythm.
    #[error("recurring without start or recurrency kind")]
    Recurrence,
    /// The store is full.
    #[error("no room for another profile")]
    Full,
}

impl Rules {
    /// How `connector` is wired.
    pub fn wiring_of(&self, connector: ConnectorId) -> Wiring {
        let own = self.except.get(&connector);
        own.copied().unwrap_or(self.wiring)
    }

    /// Judges `profile` before it is [installed](InstalledProfiles::install).
    ///
    /// # Errors
    /// The first rule that is broken. A profile that is already over is accepted.
    pub fn check(
        &self,
        installed: &InstalledProfiles,
        connector: ConnectorId,
        profile: &ChargingProfile,
        running: Running,
    ) -> Result<(), Refusal> {
        if connector.0 > self.connectors {
            return Err(Refusal::UnknownConnector);
        }
        check_purpose(connector, profile, running)?;
        if !(0..=self.max_stack_level).contains(&profile.stack_level) {
            return Err(Refusal::StackLevel);
        }
        self.check_schedule(profile)?;
        let replaces = installed
            .0
            .iter()
            .any(|old| old.is_replaced_by(connector, profile));
        if !replaces && installed.len() >= self.max_installed {
            return Err(Refusal::Full);
        }
        Ok(())
    }

    fn check_schedule(&self, profile: &ChargingProfile) -> Result<(), Refusal> {
        let schedule = &profile.charging_schedule;
        let periods = &schedule.charging_schedule_period;
        let starts: Vec<i64> = periods.iter().map(|period| period.start_period).collect();
        let possible = starts.first() == Some(&0)
            && starts.is_sorted_by(|a, b| a < b)
            && periods.len() <= self.max_periods
            && periods.iter().all(|period| {
                period.limit >= Tenths::ZERO
                    && period.number_phases.is_none_or(|n| (1..=3).contains(&n))
            });
        if !possible {
            return Err(Refusal::Periods);
        }
        if !self.units.contains(&schedule.charging_rate_unit) {
            return Err(Refusal::Unit);
        }
        let recurring = profile.charging_profile_kind == ChargingProfileKind::Recurring;
        if recurring && (profile.recurrency_kind.is_none() || schedule.start_schedule.is_none()) {
            return Err(Refusal::Recurrence);
        }
        Ok(())
    }
}

fn check_purpose(
    connector: ConnectorId,
    profile: &ChargingProfile,
    running: Running,
) -> Result<(), Refusal> {
    let whole_box = connector == ConnectorId(0);
    match profile.charging_profile_purpose {
        ChargingProfilePurpose::ChargePointMaxProfile if !whole_box => Err(Refusal::WrongConnector),
        ChargingProfilePurpose::TxProfile if whole_box => Err(Refusal::WrongConnector),
        ChargingProfilePurpose::TxProfile => match (running, profile.transaction_id) {
            (Running::Nothing, _) => Err(Refusal::NoTransaction),
            (Running::Transaction(id), Some(meant)) if id == meant => Ok(()),
            (_, Some(_)) => Err(Refusal::OtherTransaction),
            (_, None) => Ok(()),
        },
        ChargingProfilePurpose::ChargePointMaxProfile
        | ChargingProfilePurpose::TxDefaultProfile => Ok(()),
    }
}
