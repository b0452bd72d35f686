//! Who connects to the OCPP server: wallboxes of the configuration, and strangers.

use crate::central_system::StationPlan;
use crate::clock::Now;
use crate::ids::{ChargeBoxId, LinkId};
use crate::journal::Recovered;

use super::machine::Machine;
use super::{Output, Site};

/// So many strangers are remembered for the status; the oldest goes first.
const UNKNOWN_CHARGE_POINTS: usize = 100;

impl Site {
    pub(super) fn handle_up(&mut self, now: Now, link: LinkId, address: ChargeBoxId, peer: String) {
        let index = if let Some(index) = self.by_address.get(&address) {
            *index
        } else {
            self.note_unknown(now, address.to_string(), peer);
            self.forget_stranger();
            let plan = StationPlan::stranger(address, self.plan.stations.first());
            self.add_station(plan, &Recovered::default())
        };
        if let Some(slot) = self.stations.get_mut(index) {
            // Two that connected at once may be told of in the wrong order: the newest link wins.
            if slot.station.link().is_some_and(|current| current > link) {
                self.outputs.push_back(Output::Close {
                    link,
                    code: 1000,
                    reason: "replaced by a new connection",
                });
                return;
            }
            slot.gate.forget();
        }
        self.by_link.insert(link, index);
        self.with_station(now, link, |station, context| {
            station.handle_up(context, link);
        });
    }

    /// Whether a wallbox would notice nothing if somebody else carried on with its link: neither
    /// side waits for an answer. `false` for links that are not the newest of a wallbox.
    pub fn is_at_rest(&self, link: LinkId) -> bool {
        let index = self.by_link.get(&link);
        let slot = index.and_then(|index| self.stations.get(*index));
        slot.is_some_and(|slot| {
            let newest = slot.station.link() == Some(link);
            newest && slot.station.is_at_rest() && slot.gate.is_empty()
        })
    }

    pub(super) fn note_unknown(&mut self, now: Now, address: String, peer: String) {
        self.unknown.insert(address, (peer, now.wall));
        while self.unknown.len() > UNKNOWN_CHARGE_POINTS {
            let oldest = self.unknown.iter().min_by_key(|(_, (_, seen))| *seen);
            let Some(oldest) = oldest.map(|(address, _)| address.clone()) else {
                break;
            };
            self.unknown.remove(&oldest);
        }
    }

    /// Whoever invents ChargeBox IDs must not fill the memory: of many strangers, one that is away
    /// makes room for the next.
    fn forget_stranger(&mut self) {
        let configured = self.plan.stations.len();
        if self.stations.len() < configured + UNKNOWN_CHARGE_POINTS {
            return;
        }
        let strangers = self.stations.iter().enumerate().skip(configured);
        let mut away = strangers.filter(|(_, slot)| slot.station.link().is_none());
        let Some((index, slot)) = away.next() else {
            return;
        };
        self.timers.set(Machine::Station(index), None);
        self.by_address.remove(slot.station.id());
        self.vacant.push(index);
    }
}
