//! What a [`Station`](super::Station) knows of one connector.

use crate::clock::Mono;
use crate::evse::{Demand, Measured};
use crate::ids::OfferNumber;
use crate::ocpp::ChargePointStatus;

use super::dead_man::{Floor, Life};
use super::ladder::Ladder;
use super::plan::ConnectorPlan;
use super::releasing::Release;
use super::setpoint::Setpoint;

/// How an open transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its tag may not charge, or was not judged yet.
    Refused,
    /// It may charge.
    Accepted,
    /// It may, but it was over before its start arrived.
    Over,
}

/// One connector of a wallbox.
#[derive(Debug)]
pub(super) struct Connector {
    /// `None` where it is no EVSE of ours: it is answered, never charged.
    pub plan: Option<ConnectorPlan>,
    /// The last StatusNotification.
    pub status: Option<ChargePointStatus>,
    /// When it turned `Preparing`, while it is.
    pub preparing_since: Option<Mono>,
    /// A StatusNotification came on this connection.
    pub status_is_fresh: bool,
    /// The newest of each value.
    pub measured: Measured,
    /// What is wanted and what the wallbox took.
    pub setpoint: Setpoint,
    /// Which form of profile is tried; `None` where nothing is limited.
    pub ladder: Option<Ladder>,
    /// A release on its way.
    pub release: Option<Release>,
    /// How the open transaction stands.
    pub standing: Standing,
    /// The demand that was reported last.
    pub reported: Demand,
    /// `Available` was reported although a transaction is open; the wallbox has until then to stop it.
    pub stop_due: Option<Mono>,
    /// The profile below ours.
    pub floor: Floor,
    /// Whether ours ends by itself.
    pub life: Life,
    /// A form was told everywhere, and its profiles may lie there.
    pub told_everywhere: bool,
    /// It holds a car back that may charge, since then.
    pub held_since: Option<Mono>,
    /// So often it is still to be told to stop its transaction.
    pub stop_tries: u8,
    /// The load manager complained that this offer is not followed, before there was time to.
    pub complaint: Option<OfferNumber>,
    /// Answers in a row to our limits that were errors and no verdict.
    pub errors: u32,
}

impl Connector {
    /// A connector of which nothing is known yet.
    pub(super) fn new(plan: Option<ConnectorPlan>) -> Self {
        Self {
            plan,
            status: None,
            preparing_since: None,
            status_is_fresh: false,
            measured: Measured::default(),
            setpoint: Setpoint::default(),
            ladder: None,
            release: None,
            standing: Standing::Refused,
            reported: Demand::None,
            stop_due: None,
            floor: Floor::default(),
            life: Life::default(),
            told_everywhere: false,
            held_since: None,
            stop_tries: 0,
            complaint: None,
            errors: 0,
        }
    }

    /// What the EVSE needs, by its status and by whether a transaction is open that may charge.
    pub(super) fn demand(&self, open: bool) -> Demand {
        if open && self.standing == Standing::Accepted {
            return Demand::Charging;
        }
        match self.status {
            Some(
                ChargePointStatus::Preparing
                | ChargePointStatus::Charging
                | ChargePointStatus::SuspendedEV
                | ChargePointStatus::SuspendedEVSE
                | ChargePointStatus::Finishing,
            ) => Demand::Plugged,
            Some(
                ChargePointStatus::Available
                | ChargePointStatus::Reserved
                | ChargePointStatus::Unavailable
                | ChargePointStatus::Faulted,
            )
            | None => Demand::None,
        }
    }

    /// It says that it gives no current, although it took a limit that allows some.
    pub(super) fn is_held_back(&self) -> bool {
        self.standing == Standing::Accepted
            && self.status == Some(ChargePointStatus::SuspendedEVSE)
            && self.setpoint.allows_current()
    }

    /// Takes over what is new; what a message leaves out stays as it was.
    pub(super) fn measure(&mut self, new: Measured) {
        let old = self.measured;
        self.measured = Measured {
            current: new.current.or(old.current),
            power: new.power.or(old.power),
            energy: new.energy.or(old.energy),
        };
    }

    /// What it draws is not known any more: most wallboxes send no values without a transaction. What
    /// was complained about is the past, too.
    pub(super) fn forget_draw(&mut self) {
        self.complaint = None;
        self.measured = Measured {
            energy: self.measured.energy,
            ..Measured::default()
        };
    }
}
