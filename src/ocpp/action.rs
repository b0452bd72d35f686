//! Every action of OCPP 1.6 and of its security extension.

use std::fmt;

/// Who sends the request of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Only the charge point.
    ChargePoint,
    /// Only the central system.
    CentralSystem,
    /// Either.
    Both,
}

macro_rules! actions {
    ($( $(#[$doc:meta])* $name:ident: $sender:ident, )+) => {
        /// What a CALL asks for. An action that is not here is to be answered with
        /// `NotImplemented`, one that is here and not done with `NotSupported`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $( $(#[$doc])* $name, )+
        }

        impl Action {
            /// Every action, in the order of the specification.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// Who sends the request.
            pub const fn sender(self) -> Sender {
                match self {
                    $(Self::$name => Sender::$sender,)+
                }
            }
        }
    };
}

actions! {
    /// OCPP 1.6 §4.1.
    Authorize: ChargePoint,
    /// OCPP 1.6 §4.2.
    BootNotification: ChargePoint,
    /// OCPP 1.6 §4.3 and §5.6.
    DataTransfer: Both,
    /// OCPP 1.6 §4.4.
    DiagnosticsStatusNotification: ChargePoint,
    /// OCPP 1.6 §4.5.
    FirmwareStatusNotification: ChargePoint,
    /// OCPP 1.6 §4.6.
    Heartbeat: ChargePoint,
    /// OCPP 1.6 §4.7.
    MeterValues: ChargePoint,
    /// OCPP 1.6 §4.8.
    StartTransaction: ChargePoint,
    /// OCPP 1.6 §4.9.
    StatusNotification: ChargePoint,
    /// OCPP 1.6 §4.10.
    StopTransaction: ChargePoint,
    /// OCPP 1.6 §5.1.
    CancelReservation: CentralSystem,
    /// OCPP 1.6 §5.2.
    ChangeAvailability: CentralSystem,
    /// OCPP 1.6 §5.3.
    ChangeConfiguration: CentralSystem,
    /// OCPP 1.6 §5.4.
    ClearCache: CentralSystem,
    /// OCPP 1.6 §5.5.
    ClearChargingProfile: CentralSystem,
    /// OCPP 1.6 §5.7.
    GetCompositeSchedule: CentralSystem,
    /// OCPP 1.6 §5.8.
    GetConfiguration: CentralSystem,
    /// OCPP 1.6 §5.9.
    GetDiagnostics: CentralSystem,
    /// OCPP 1.6 §5.10.
    GetLocalListVersion: CentralSystem,
    /// OCPP 1.6 §5.11.
    RemoteStartTransaction: CentralSystem,
    /// OCPP 1.6 §5.12.
    RemoteStopTransaction: CentralSystem,
    /// OCPP 1.6 §5.13.
    ReserveNow: CentralSystem,
    /// OCPP 1.6 §5.14.
    Reset: CentralSystem,
    /// OCPP 1.6 §5.15.
    SendLocalList: CentralSystem,
    /// OCPP 1.6 §5.16.
    SetChargingProfile: CentralSystem,
    /// OCPP 1.6 §5.17.
    TriggerMessage: CentralSystem,
    /// OCPP 1.6 §5.18.
    UnlockConnector: CentralSystem,
    /// OCPP 1.6 §5.19.
    UpdateFirmware: CentralSystem,
    /// Security extension.
    CertificateSigned: CentralSystem,
    /// Security extension.
    DeleteCertificate: CentralSystem,
    /// Security extension.
    ExtendedTriggerMessage: CentralSystem,
    /// Security extension.
    GetInstalledCertificateIds: CentralSystem,
    /// Security extension.
    GetLog: CentralSystem,
    /// Security extension.
    InstallCertificate: CentralSystem,
    /// Security extension.
    LogStatusNotification: ChargePoint,
    /// Security extension.
    SecurityEventNotification: ChargePoint,
    /// Security extension.
    SignCertificate: ChargePoint,
    /// Security extension.
    SignedFirmwareStatusNotification: ChargePoint,
    /// Security extension.
    SignedUpdateFirmware: CentralSystem,
}

impl Action {
    /// The action of this name; case matters.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|a| a.as_str() == name)
    }

    /// Whether a charge point may ask for it.
    pub fn from_charge_point(self) -> bool {
        self.sender() != Sender::CentralSystem
    }

    /// Whether a central system may ask for it.
    pub fn from_central_system(self) -> bool {
        self.sender() != Sender::ChargePoint
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_found_by_its_exact_name_only() {
        for action in Action::ALL {
            assert_eq!(Action::from_name(action.as_str()), Some(*action));
        }
        for name in ["heartbeat", " Heartbeat", "", "Heartbeat2"] {
            assert_eq!(Action::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn every_action_has_a_sender_and_one_has_two() {
        assert!(Action::Heartbeat.from_charge_point());
        assert!(!Action::Heartbeat.from_central_system());
        assert!(!Action::Reset.from_charge_point());
        assert!(Action::Reset.from_central_system());
        let both = |a: &&Action| a.from_charge_point() && a.from_central_system();
        let both: Vec<_> = Action::ALL.iter().filter(both).collect();
        assert_eq!(both, [&Action::DataTransfer]);
    }
}
