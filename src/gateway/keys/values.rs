//! What the gateway itself goes by.

use std::time::Duration;

use jiff::Timestamp;

use crate::evse::{Conduct, Sampled};
use crate::units::WattHours;

use super::credential::Credential;
use super::table::{self, Row};
use super::{HEARTBEAT, INTERVAL, Keys, SAMPLED_DATA};

/// How tags are judged while the backend is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "five switches of OCPP 1.6 §9"
)]
pub struct OfflineFlags {
    /// `LocalAuthListEnabled`
    pub list: bool,
    /// `AuthorizationCacheEnabled`
    pub cache: bool,
    /// `LocalAuthorizeOffline`
    pub authorize_offline: bool,
    /// `LocalPreAuthorize`: also while the backend is there.
    pub pre_authorize: bool,
    /// `AllowOfflineTxForUnknownId`
    pub unknown: bool,
}

impl Keys {
    /// What to connect with, in this order; `None` = without a password.
    pub fn passwords(&self, now: Timestamp) -> Vec<Option<&Credential>> {
        let mut passwords = match &self.remembered.password {
            Some(changed) => changed.to_try(now),
            None => vec![self.plan.password.as_ref()],
        };
        if self.needs_password() {
            passwords.retain(Option::is_some);
        }
        passwords
    }

    /// The backend let us in with the first of the [passwords](Self::passwords).
    ///
    /// True if that is worth keeping.
    pub fn password_was_good(&mut self) -> bool {
        let before = self.remembered.password.clone();
        if let Some(changed) = &mut self.remembered.password {
            changed.was_good();
        }
        before != self.remembered.password
    }

    /// `HeartbeatInterval`
    pub fn heartbeat_interval(&self) -> Duration {
        self.seconds(HEARTBEAT)
    }

    /// `WebSocketPingInterval`; `None` = never.
    pub fn ping_interval(&self) -> Option<Duration> {
        Some(self.seconds("WebSocketPingInterval")).filter(|it| !it.is_zero())
    }

    /// `TransactionMessageAttempts`
    pub fn attempts(&self) -> u32 {
        self.whole("TransactionMessageAttempts")
    }

    /// `TransactionMessageRetryInterval`
    pub fn retry_interval(&self) -> Duration {
        self.seconds("TransactionMessageRetryInterval")
    }

    /// `MessageTimeout`
    pub fn message_timeout(&self) -> Duration {
        self.seconds("MessageTimeout")
    }

    /// `MeterValueSampleInterval` as the backend set it; `None` = it wants none.
    pub fn sample_interval(&self) -> Option<Duration> {
        Some(self.seconds(INTERVAL)).filter(|it| !it.is_zero())
    }

    /// What a wallbox must sample so that both sides have what they need.
    pub fn sample_interval_with(&self, ours: Duration) -> Duration {
        self.sample_interval()
            .map_or(ours, |theirs| theirs.min(ours))
    }

    /// `MeterValuesSampledData` as the backend set it; `None` where it never did.
    pub fn measurands(&self) -> Option<&str> {
        self.remembered.set.get(SAMPLED_DATA).map(String::as_str)
    }

    /// `ConnectionTimeOut`
    pub fn connection_time_out(&self) -> Duration {
        self.seconds("ConnectionTimeOut")
    }

    /// `StopTransactionOnInvalidId`
    pub fn stop_on_invalid(&self) -> bool {
        self.flag("StopTransactionOnInvalidId")
    }

    /// How a wallbox behaves that we play.
    pub fn conduct(&self) -> Conduct {
        let interval = |name| Some(self.seconds(name)).filter(|it| !it.is_zero());
        Conduct {
            sample_interval: interval(INTERVAL),
            sampled: self.sampled(SAMPLED_DATA),
            stop_sampled: self.sampled("StopTxnSampledData"),
            clock_interval: interval("ClockAlignedDataInterval"),
            aligned: self.sampled("MeterValuesAlignedData"),
            stop_aligned: self.sampled("StopTxnAlignedData"),
            minimum_status: self.seconds("MinimumStatusDuration"),
            connection_time_out: self.connection_time_out(),
            authorize_remote: self.flag("AuthorizeRemoteTxRequests"),
            stop_on_invalid: self.stop_on_invalid(),
            energy_on_invalid: WattHours(self.whole("MaxEnergyOnInvalidId").into()),
        }
    }

    fn sampled(&self, name: &str) -> Vec<Sampled> {
        let default = || Row::of(name).map(|row| row.default.to_owned());
        let list = self.value(name).or_else(default).unwrap_or_default();
        table::items(&list).filter_map(table::sampled).collect()
    }

    /// How tags are judged while the backend is away.
    pub fn offline_flags(&self) -> OfflineFlags {
        OfflineFlags {
            list: self.flag("LocalAuthListEnabled"),
            cache: self.flag("AuthorizationCacheEnabled"),
            authorize_offline: self.flag("LocalAuthorizeOffline"),
            pre_authorize: self.flag("LocalPreAuthorize"),
            unknown: self.flag("AllowOfflineTxForUnknownId"),
        }
    }

    /// A value as the backend sees it, of a key that is not secret.
    pub fn value(&self, name: &str) -> Option<String> {
        self.row(name)?.value
    }

    fn seconds(&self, name: &str) -> Duration {
        Duration::from_secs(self.whole(name).into())
    }

    /// What cannot be read counts as the default.
    fn whole(&self, name: &str) -> u32 {
        let value = self.value(name).and_then(|value| value.trim().parse().ok());
        let default = || Row::of(name).and_then(|row| row.default.parse().ok());
        value.or_else(default).unwrap_or_default()
    }

    fn flag(&self, name: &str) -> bool {
        let value = self.value(name).and_then(|value| table::flag(&value));
        let default = || Row::of(name).and_then(|row| table::flag(row.default));
        value.or_else(default).unwrap_or_default()
    }
}
