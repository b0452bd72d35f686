//! What wallboxes say without being asked, and what a backend is told of how they are (OCPP 1.6
//! §4.9).

use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::evse::Notice;
use crate::ids::{ChargeBoxId, ConnectorId, EvseName};
use crate::ocpp::messages::{self, ChargePointErrorCode, StatusNotification};
use crate::ocpp::splice::splice;
use crate::ocpp::{ChargePointStatus, timestamp};

use super::gateway::{Asked, Gateway, Urgent};
use super::introducing::NAMELESS;
use super::io::Context;
use super::members::{Member, WHOLE};
use super::ordering::Addressed;

/// A wallbox that is away for less is not worth a word.
const GRACE: Duration = Duration::from_mins(1);

/// So many words of wallboxes wait for a busy backend; then the oldest are left out.
const URGENT: usize = 100;

impl Gateway {
    /// A word of a wallbox. What nobody can be told now is left out, but for the newest status of
    /// each connector and what the wallbox is.
    pub(super) fn take_notice(&mut self, now: Mono, address: &ChargeBoxId, notice: &Notice) {
        // Of several wallboxes one speaks for the charge point.
        let primary = self.members.primary();
        let speaks = primary.is_some_and(|member| member.plan.address == *address);
        match notice.action.as_str() {
            "BootNotification" if speaks => self.take_boot(now, &notice.payload),
            "SecurityEventNotification" if speaks => self.hear_event(&notice.payload),
            "BootNotification" | "SecurityEventNotification" => {}
            "StatusNotification" => self.take_status(notice),
            "GetConfiguration" => self.take_keys(&notice.payload),
            // The backend asked for ours, and hears of no other.
            "LogStatusNotification" if self.uploads_log() => {}
            _ if notice.evse.is_none() && !(speaks && self.plan.leads) => {}
            _ => {
                // One that we play says nothing else unless the backend asks for it.
                let asked = self.members.are_emulated() && self.registration.is_pending();
                let heard = self.is_ready() || asked;
                if let Some(payload) = self.renumber(notice).filter(|_| heard) {
                    self.tell(Urgent::Notice {
                        action: notice.action.clone(),
                        payload,
                    });
                }
            }
        }
    }

    fn take_status(&mut self, notice: &Notice) {
        let payload = notice.payload.clone();
        let connector = match &notice.evse {
            None if self.members.shows_whole() => {
                self.members.whole_status = Some(payload);
                WHOLE
            }
            None if self.members.are_emulated() => {
                // Each of them says it.
                let known = self.members.whole_status.as_deref();
                if known.is_some_and(|known| says_the_same(known, &payload)) {
                    return;
                }
                self.remember_text("whole", &payload);
                self.members.whole_status = Some(payload);
                WHOLE
            }
            None => return,
            Some(evse) => {
                let Some(member) = self.members.named_mut(evse) else {
                    return;
                };
                member.status = Some(payload);
                member.told_away = false;
                member.connector
            }
        };
        if !self.is_ready() || self.replay.contains(&connector) {
            return;
        }
        if let Some(payload) = self.renumber(notice) {
            self.tell(Urgent::Notice {
                action: notice.action.clone(),
                payload,
            });
        }
    }

    pub(super) fn tell(&mut self, word: Urgent) {
        self.urgent.push_back(word);
        if self.urgent.len() > URGENT {
            let oldest = self
                .urgent
                .iter()
                .position(|it| matches!(it, Urgent::Notice { .. }));
            oldest.and_then(|place| self.urgent.remove(place));
        }
    }

    /// The payload with the backend's connector number.
    fn renumber(&self, notice: &Notice) -> Option<String> {
        let Some(evse) = &notice.evse else {
            let names_none = || {
                let said = serde_json::from_str::<Addressed>(&notice.payload);
                said.is_ok_and(|said| said.connector_id.is_none_or(|it| it == WHOLE))
            };
            let native = self.members.shows_whole() || self.members.single().is_some();
            return (native || names_none()).then(|| notice.payload.clone());
        };
        let member = self.members.named(evse)?;
        splice(
            &notice.payload,
            &[("connectorId", &member.connector.to_string())],
        )
    }

    /// Tells the status of one connector of those that are to be told anew, 0 first.
    pub(super) fn tell_status(&mut self, context: &mut Context<'_>) -> bool {
        while let Some(connector) = self.replay.pop_first() {
            if let Some(payload) = self.status_of(context.now, connector) {
                self.call(context, "StatusNotification", &payload, Asked::Notice);
                return true;
            }
        }
        false
    }

    /// `None` where nothing is known yet.
    pub(super) fn status_of(&self, now: Now, connector: ConnectorId) -> Option<String> {
        let away = |member: &Member| member.told_away;
        if connector == WHOLE {
            let all_away = self.members.iter().all(away);
            return Some(match &self.members.whole_status {
                Some(status) if !all_away => status.clone(),
                _ => own_status(now, connector, all_away),
            });
        }
        let member = self.members.numbered(connector)?;
        if member.told_away {
            return Some(own_status(now, connector, true));
        }
        let number = connector.to_string();
        splice(member.status.as_ref()?, &[("connectorId", &number)])
    }

    /// A wallbox came or went.
    pub(super) fn take_presence(&mut self, now: Mono, evse: &EvseName, online: bool) {
        let Some(member) = self.members.named_mut(evse) else {
            return;
        };
        member.online = online;
        if online {
            member.away_since = None;
            if self.boot.is_none() {
                self.connection.introduce_at(now + NAMELESS);
            }
            if std::mem::take(&mut member.told_away) {
                // The wallbox is asked how it is; until then this is the last that is known.
                let connector = member.connector;
                self.replay.extend([WHOLE, connector]);
            }
        } else {
            member.away_since.get_or_insert(now);
        }
    }

    /// Tells the backend of wallboxes that have been away for a while.
    pub(super) fn note_absences(&mut self, now: Mono) {
        let mut changed = Vec::new();
        for member in self.members.iter_mut() {
            let long = member
                .away_since
                .is_some_and(|since| now.since(since) >= GRACE);
            if long && !member.told_away {
                member.told_away = true;
                changed.push(member.connector);
            }
        }
        if !changed.is_empty() {
            self.replay.insert(WHOLE);
            self.replay.extend(changed);
        }
    }

    pub(super) fn absences_timeout(&self) -> Option<Mono> {
        let untold = self.members.iter().filter(|member| !member.told_away);
        untold
            .filter_map(|member| Some(member.away_since? + GRACE))
            .min()
    }
}

/// Whether two statuses differ in nothing but their time.
fn says_the_same(one: &str, other: &str) -> bool {
    let read = |json| serde_json::from_str::<StatusNotification>(json).ok();
    let timeless = |it: StatusNotification| StatusNotification {
        timestamp: None,
        ..it
    };
    read(one).map(timeless) == read(other).map(timeless)
}

/// What we say ourselves of a connector.
fn own_status(now: Now, connector: ConnectorId, away: bool) -> String {
    messages::write(&StatusNotification {
        connector_id: connector,
        error_code: if away {
            ChargePointErrorCode::OtherError
        } else {
            ChargePointErrorCode::NoError
        },
        info: away.then(|| "charge point offline".to_owned()),
        status: if away {
            ChargePointStatus::Unavailable
        } else {
            ChargePointStatus::Available
        },
        timestamp: Some(timestamp::format(now.wall)),
        vendor_id: None,
        vendor_error_code: None,
    })
}
