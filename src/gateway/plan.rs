//! What a [`Gateway`](super) is told by the configuration.

use std::borrow::Cow;

use super::keys::Credential;
use super::members;
use crate::ids::{ChargeBoxId, ConnectorId, EvseName, Identity};
use crate::ocpp::composite::Wiring;
use crate::units::{MilliAmps, Phase};

/// One charge point as one backend sees it: a connection of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts of the configuration")]
pub struct GatewayPlan {
    /// `evse.gateway.url`.
    pub url: String,
    /// `evse.gateway.client-id`.
    pub client_id: String,
    /// The EVSEs behind it, in the order of the file.
    pub members: Vec<MemberPlan>,
    /// The wallbox whose connectors these all are: it is shown one to one.
    pub whole: Option<ChargeBoxId>,
    /// Another EVSE of its wallbox is not among the members.
    pub shares_wallbox: bool,
    /// Of several charge points that share a wallbox this one speaks for it.
    pub leads: bool,
    /// Makes the serial number of one connector of a wallbox unique.
    pub serial_suffix: Option<String>,
    /// 0 to 3, by URL, password and certificate.
    pub security_profile: u8,
    /// `evse.gateway.ca` is set: not any server is taken for the backend.
    pub has_ca: bool,
    /// `evse.gateway.password`.
    pub password: Option<Credential>,
    /// What `BootNotification` says where no wallbox says it.
    pub boot: BootPlan,
    /// A lost session gets a `StopTransaction` with the last register.
    pub synthesize_stop: bool,
    /// `UpdateFirmware` and `SignedUpdateFirmware` are relayed.
    pub allow_firmware: bool,
    /// `GetLog` is answered with our own log, whatever is behind the gateway.
    pub upload_log: bool,
    /// Vendors whose `DataTransfer` is kept and delivered later.
    pub queue_data_transfer: Vec<String>,
    /// So many messages may wait.
    pub max_queue: usize,
    /// `load-management = "observe"`: the backend's profiles go to the wallbox as they are.
    pub observe: bool,
}

/// An EVSE behind a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberPlan {
    /// Its name.
    pub evse: EvseName,
    /// The wallbox.
    pub address: ChargeBoxId,
    /// Its connector; of a Modbus wallbox the unit.
    pub connector: ConnectorId,
    /// An OCPP wallbox carries out what the backend wants; a Modbus one is played by us.
    pub is_ocpp: bool,
    /// `evse.gateway.connector`: what the backend calls it.
    pub backend_connector: Option<ConnectorId>,
    /// `evse.min-current`.
    pub min: MilliAmps,
    /// How it is wired, for profiles.
    pub wiring: Wiring,
    /// Which grid phases lie behind its own; `None` = nobody knows.
    pub rotation: Option<[Phase; 3]>,
    /// Backend away: may a tag nobody knows charge?
    pub offline_unknown_tags: bool,
}

/// `evse.gateway.vendor`, `model`, `serial`, `firmware`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootPlan {
    /// `chargePointVendor`.
    pub vendor: Option<String>,
    /// `chargePointModel`.
    pub model: Option<String>,
    /// `chargePointSerialNumber`.
    pub serial: Option<String>,
    /// `firmwareVersion`.
    pub firmware: Option<String>,
}

impl GatewayPlan {
    /// The member that speaks for all where only one can: an OCPP wallbox, if there is one.
    pub fn primary(&self) -> Option<&MemberPlan> {
        let first = self.members.first();
        self.members.iter().find(|it| it.is_ocpp).or(first)
    }

    /// Says how the charge point and its wallboxes lie to each other. `evses` = how many EVSEs the
    /// wallbox of the first member has, this charge point's and others.
    pub fn place(&mut self, evses: usize) {
        let Some(first) = self.members.first() else {
            return;
        };
        let address = first.address.clone();
        let one_wallbox = self.members.iter().all(|it| it.address == address);
        if !one_wallbox || !first.is_ocpp {
            return;
        }
        let all = evses == self.members.len();
        self.shares_wallbox = !all;
        let mut connectors: Vec<u32> = self.members.iter().map(|it| it.connector.0).collect();
        connectors.sort_unstable();
        let gapless = connectors
            .iter()
            .copied()
            .eq(1..=u32::try_from(connectors.len()).unwrap_or(0));
        let native = |it: &MemberPlan| it.backend_connector.is_none_or(|as_| as_ == it.connector);
        if all && gapless && self.members.iter().all(native) {
            self.whole = Some(address);
        } else if self.shares_wallbox {
            self.serial_suffix = Some(format!("-{}", first.connector));
        }
    }

    /// The address as it may be shown.
    pub fn shown_url(&self) -> Cow<'_, str> {
        shown_url(&self.url)
    }

    /// Names its queue and its memory; stays the same over changes of everything else.
    pub fn identity(&self) -> Identity {
        Identity::from(format!("{} {}", self.client_id, self.url).as_str())
    }

    /// What the backend calls each member. Where the file leaves it to its order, this is the number
    /// at the first start: one that was given stays, whatever is added before it.
    pub fn connectors(&self) -> impl Iterator<Item = (&EvseName, ConnectorId)> {
        let given = members::number(self, &mut members::Numbers::new());
        self.members.iter().map(|it| &it.evse).zip(given)
    }
}

/// An address for people: without what stands in its query, because that may be a secret.
pub fn shown_url(url: &str) -> Cow<'_, str> {
    match url.split_once('?') {
        Some((address, _)) => format!("{address}?…").into(),
        None => url.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_an_address_is_not_shown() {
        assert_eq!(shown_url("wss://h/p/"), "wss://h/p/");
        assert_eq!(shown_url("wss://h?token=secret"), "wss://h?…");
    }
}
