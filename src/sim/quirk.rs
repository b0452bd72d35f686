//! What real wallboxes do differently, as switches of the simulated one.

/// An enum of deviations, each with its name on the command line and a sentence about it.
macro_rules! quirks {
    ($(#[$attribute:meta])* $type:ident: $($name:ident = $text:literal, $about:literal;)*) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type {
            $(#[doc = $about] $name,)*
        }

        impl $type {
            /// Every quirk.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// How it is written on the command line.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// One sentence for the help text.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$name => $about,)*
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::sim::quirk::UnknownQuirk;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut all = Self::ALL.iter().copied();
                all.find(|quirk| quirk.as_str() == text)
                    .ok_or_else(|| $crate::sim::quirk::UnknownQuirk(text.to_owned()))
            }
        }
    };
}

pub(super) use quirks;

quirks! {
    /// A deviation from the correct charge point.
    #[expect(clippy::doc_markdown, reason = "the help text on a terminal has no backticks")]
    Quirk:
    OnlyStackLevel0 = "only-stack-level-0", "Refuses profiles above stack level 0.";
    OnlyRelative = "only-relative", "Refuses profiles that are not Relative.";
    OnlyAbsolute = "only-absolute", "Refuses profiles that are not Absolute.";
    OnlyTxProfile = "only-tx-profile", "Refuses profiles that are not a TxProfile.";
    OnlyChargePointMax = "only-charge-point-max", "Refuses all but ChargePointMaxProfile.";
    OnlyWatts = "only-watts", "Refuses limits in amperes.";
    WholeAmps = "whole-amps", "Sets whole amperes only, rounded down.";
    IgnoresProfiles = "ignores-profiles", "Accepts profiles and does not obey them.";
    ObeysRelative = "obeys-relative", "Accepts profiles that are not Relative and ignores them.";
    ObeysAbsolute = "obeys-absolute", "Accepts profiles that are not Absolute and ignores them.";
    ObeysWatts = "obeys-watts", "Accepts limits in amperes and ignores them.";
    ObeysAmps = "obeys-amps", "Accepts limits in watts and ignores them.";
    ObeysWholeAmps = "obeys-whole-amps", "Accepts limits that are not whole amperes and ignores them.";
    ObeysStackLevel0 = "obeys-stack-level-0", "Accepts profiles above stack level 0 and ignores them.";
    ObeysTxProfile = "obeys-tx-profile", "Accepts profiles that are not a TxProfile and ignores them.";
    ObeysChargePointMax = "obeys-charge-point-max", "Accepts all profiles and ignores all but ChargePointMaxProfile.";
    ObeysConnector0 = "obeys-connector-0", "Accepts profiles that are not for connector 0 and ignores them.";
    DefaultsAtStart = "defaults-at-start", "Looks at a TxDefaultProfile when a transaction begins, and not again.";
    ForgetsProfiles = "forgets-profiles", "Loses all profiles when it reboots.";
    NoSmartCharging = "no-smart-charging", "Answers SetChargingProfile with NotSupported.";
    NoRemoteTrigger = "no-remote-trigger", "Answers TriggerMessage with NotSupported.";
    NoBootAfterReconnect = "no-boot-after-reconnect", "Boots once, says nothing after a reconnect.";
    LateAnswers = "late-answers", "Acts on commands and answers them after 8 seconds.";
    NeverAnswersProfiles = "never-answers-profiles", "Drops SetChargingProfile silently.";
    NoPhaseValues = "no-phase-values", "Measures power and energy only.";
    NoMeterValues = "no-meter-values", "Sends no meter values.";
    NumericMessageIds = "numeric-message-ids", "Its message ids are numbers, not strings.";
    NoZoneTimestamps = "no-zone-timestamps", "Its timestamps name no time zone.";
    Clock1970 = "clock-1970", "Its clock starts in 1970 and is never set.";
    ResumesTransactions = "resumes-transactions", "Goes on with its transactions after a reboot.";
    OnlyConnector0 = "only-connector-0", "Refuses profiles that are not for connector 0.";
    OnlyAmps = "only-amps", "Refuses limits in watts.";
    RefusesFractions = "refuses-fractions", "Refuses limits that are not whole amperes.";
    RefusesDurations = "refuses-durations", "Refuses profiles that end by themselves.";
    CoarseSteps = "coarse-steps", "Sets 6, 8, 10, 13 or 16 A, rounded down.";
    NeverBoots = "never-boots", "Sends no BootNotification unless it is asked to.";
    BootLoop = "boot-loop", "Sends a BootNotification every 5 seconds for a minute.";
    NoStatusAfterBoot = "no-status-after-boot", "Tells a status when it changes or is asked, not after a boot.";
    AvailableWhilePlugged = "available-while-plugged", "Says Available until a transaction begins, cable or not.";
    NeedsRemoteStart = "needs-remote-start", "Begins by RemoteStartTransaction alone; cards do nothing.";
    OwnTagOnly = "own-tag-only", "Takes a RemoteStartTransaction with its PlugAndChargeIdentifier alone.";
    StaysFinishing = "stays-finishing", "Begins nothing after a transaction until the car was unplugged.";
    NoConfiguration = "no-configuration", "Answers GetConfiguration with an error.";
    SingleKeys = "single-keys", "Answers GetConfiguration of one key alone.";
    OddMeterValues = "odd-meter-values", "Measures in kW, kWh and mA, phases L1-N, with blanks around.";
    LateMeterValues = "late-meter-values", "Sends the last meter values after the StopTransaction.";
    AbsurdRegisters = "absurd-registers", "Says meterStart 2147483647 and meterStop -1.";
    AbsurdTransactionIds = "absurd-transaction-ids", "Stops transaction 9223372036854775807, whatever its id was.";
    ShortZone = "short-zone", "Its timestamps are local time with +03 behind.";
    LocalTime = "local-time", "Its timestamps are local time, two hours ahead, with Z behind.";
    NullPayloads = "null-payloads", "Sends null for a payload that is empty.";
    BrokenLists = "broken-lists", "Writes a comma before the first object of a list.";
    SignsReadings = "signs-readings", "Signs its registers when a transaction begins and ends (OCMF), with escapes that JSON needs not.";
    ExtraMembers = "extra-members", "Adds members that OCPP does not know.";
}

/// No quirk has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no quirk is called {0:?}")]
pub struct UnknownQuirk(pub(super) String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quirk_is_found_by_its_name() {
        for quirk in Quirk::ALL {
            assert_eq!(quirk.to_string().parse(), Ok(*quirk));
        }
        let nobody: Result<Quirk, _> = "explodes".parse();
        assert_eq!(nobody, Err(UnknownQuirk("explodes".to_owned())));
    }
}
