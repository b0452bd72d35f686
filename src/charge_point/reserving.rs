//! Reservations of a wallbox that we play (OCPP 1.6 §5.13, §5.1). There is one connector: a
//! reservation of connector 0 is one of it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::clock::Now;
use crate::evse::Outcome;
use crate::ids::IdTag;
use crate::ocpp::messages::{
    self, Acceptance, Accepted, CancelReservation, ReservationStatus, ReserveNow,
    ReserveNowResponse,
};

use super::charge_point::ChargePoint;
use super::obeying::{check_tag, read};
use super::session::Stage;

/// Whom the connector is kept for, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reservation {
    /// The backend's number.
    pub(super) id: i64,
    tag: IdTag,
    /// Everybody of this group may use it.
    group: Option<IdTag>,
    expires: Timestamp,
}

impl Reservation {
    /// Who presents this tag of this group may use it.
    pub(super) fn is_for(&self, tag: &IdTag, group: Option<&IdTag>) -> bool {
        self.tag == *tag || (group.is_some() && self.group.as_ref() == group)
    }
}

impl ChargePoint {
    /// It is kept for somebody.
    pub(super) fn is_reserved(&self) -> bool {
        self.memory.known.reservation.is_some()
    }

    /// Whether this tag of this group may begin a transaction here, if its upstream has nothing
    /// against it. A no is logged.
    pub(super) fn is_welcome(&self, tag: &IdTag, group: Option<&IdTag>) -> bool {
        if !self.is_operative() {
            info!(evse = %self.plan.evse, id_tag = tag.masked(), "the tag is refused: out of service");
            return false;
        }
        let reservation = self.memory.known.reservation.as_ref();
        if reservation.is_some_and(|it| !it.is_for(tag, group)) {
            info!(evse = %self.plan.evse, id_tag = tag.masked(), "the tag is refused: reserved for somebody else");
            return false;
        }
        true
    }

    /// The same before its group is known: whether it is worth asking.
    pub(super) fn could_be_welcome(&self, tag: &IdTag) -> bool {
        let reservation = self.memory.known.reservation.as_ref();
        self.is_welcome(tag, reservation.and_then(|it| it.group.as_ref()))
    }

    pub(super) fn reserve(&mut self, now: Now, payload: &str) -> Outcome {
        let said: ReserveNow = read(payload)?;
        check_tag(&said.id_tag)?;
        if let Some(group) = &said.parent_id_tag {
            check_tag(group)?;
        }
        let status = self.judge_reservation(now, &said);
        info!(evse = %self.plan.evse, reservation = said.reservation_id, status = status.as_str(), "the backend reserves");
        if status == ReservationStatus::Accepted {
            self.memory.known.reservation = Some(Reservation {
                id: said.reservation_id,
                tag: said.id_tag,
                group: said.parent_id_tag,
                expires: said.expiry_date,
            });
        }
        Ok(messages::write(&ReserveNowResponse { status }))
    }

    fn judge_reservation(&self, now: Now, said: &ReserveNow) -> ReservationStatus {
        let used = match self.session.stage {
            Stage::Free => self.session.plugged == Some(true),
            Stage::Authorized(_) | Stage::Running(_) | Stage::Ending(..) | Stage::Over => true,
        };
        let reservation = self.memory.known.reservation.as_ref();
        let kept = reservation.is_some_and(|it| it.id != said.reservation_id);
        if said.expiry_date <= now.wall {
            ReservationStatus::Rejected
        } else if !self.is_operative() || !self.polling.is_online() {
            ReservationStatus::Unavailable
        } else if self.is_faulted() {
            ReservationStatus::Faulted
        } else if used || kept {
            ReservationStatus::Occupied
        } else {
            ReservationStatus::Accepted
        }
    }

    pub(super) fn cancel_reservation(&mut self, payload: &str) -> Outcome {
        let said: CancelReservation = read(payload)?;
        let reservation = self.memory.known.reservation.as_ref();
        let status = if reservation.is_some_and(|it| it.id == said.reservation_id) {
            self.end_reservation("the backend cancels it");
            Acceptance::Accepted
        } else {
            Acceptance::Rejected
        };
        Ok(messages::write(&Accepted { status }))
    }

    /// Ends a reservation whose time is over, or that nobody can use.
    pub(super) fn step_reservation(&mut self, now: Now) {
        let Some(reservation) = &self.memory.known.reservation else {
            return;
        };
        let left = Duration::try_from(reservation.expires.duration_since(now.wall));
        match left {
            Err(_) | Ok(Duration::ZERO) => self.end_reservation("its time is over"),
            Ok(_) if !self.is_operative() => self.end_reservation("out of service"),
            Ok(_) if self.is_faulted() => self.end_reservation("the wallbox is faulty"),
            // Civil time may jump: looked at anew each time.
            Ok(left) => self.session.reserved_until = Some(now.mono + left),
        }
    }

    fn end_reservation(&mut self, why: &str) {
        info!(evse = %self.plan.evse, why, "a reservation ends");
        self.memory.known.reservation = None;
        self.session.reserved_until = None;
        self.session.ask_fixed_again();
    }
}
