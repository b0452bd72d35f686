//! What a simulated backend is like.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::BackendQuirk;
use crate::ids::IdTag;
use crate::ocpp::messages::{
    AuthorizationStatus, DataTransferStatus, IdTagInfo, RegistrationStatus,
};

/// The numbers that transactions get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionIds {
    /// This one, and one more for each transaction; may begin at 0 or below.
    From(i64),
    /// Always the same.
    Always(i64),
}

/// What a `DataTransfer` of a charge point is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataTransferAnswer {
    /// Only a status.
    Status(DataTransferStatus),
    /// This payload: JSON, sent as it is written here.
    Payload(String),
    /// Accepted, and the data that came, byte for byte.
    Echo,
}

/// What a backend is like. Tests change it while it runs, too.
#[derive(Debug, Clone)]
pub struct BackendPlan {
    /// The answer to BootNotification.
    pub boot: RegistrationStatus,
    /// The interval that an accepted charge point is told.
    pub heartbeat_interval: Duration,
    /// The interval that a pending or rejected one is told.
    pub retry_interval: Duration,
    /// Whether a charge point that was accepted once need not boot again when it reconnects.
    pub remembers_boots: bool,
    /// Verdicts on known tags.
    pub tags: BTreeMap<IdTag, IdTagInfo>,
    /// The verdict on all others.
    pub unknown_tags: IdTagInfo,
    /// The numbers that transactions get.
    pub transaction_ids: TransactionIds,
    /// The answer to a `DataTransfer`.
    pub data_transfer: DataTransferAnswer,
    /// How late [`BackendQuirk::LateAnswers`] is.
    pub lateness: Duration,
    /// How often [`BackendQuirk::FailsTransactions`] fails one message.
    pub failures: u32,
    /// How long [`BackendQuirk::PendingAtFirst`] and [`BackendQuirk::RejectsAtFirst`] last, from the
    /// first boot of a charge point.
    pub hesitation: Duration,
    /// How many entries the ledger keeps; the oldest go first. Transactions are kept for ever.
    pub ledger_limit: usize,
    /// Its bad habits.
    pub quirks: BTreeSet<BackendQuirk>,
}

impl Default for BackendPlan {
    /// A correct backend that welcomes everybody.
    fn default() -> Self {
        Self {
            boot: RegistrationStatus::Accepted,
            heartbeat_interval: Duration::from_mins(5),
            retry_interval: Duration::from_secs(10),
            remembers_boots: true,
            tags: BTreeMap::new(),
            unknown_tags: verdict(AuthorizationStatus::Accepted, None),
            transaction_ids: TransactionIds::From(1),
            data_transfer: DataTransferAnswer::Status(DataTransferStatus::UnknownVendorId),
            lateness: Duration::from_secs(20),
            failures: 2,
            hesitation: Duration::from_secs(25),
            ledger_limit: usize::MAX,
            quirks: BTreeSet::new(),
        }
    }
}

impl BackendPlan {
    /// Knows a tag.
    #[must_use]
    pub fn tag(mut self, tag: &str, status: AuthorizationStatus, parent: Option<&str>) -> Self {
        self.tags.insert(tag.into(), verdict(status, parent));
        self
    }

    /// Says this of every tag that it does not know.
    #[must_use]
    pub fn unknown_tags(mut self, status: AuthorizationStatus) -> Self {
        self.unknown_tags = verdict(status, None);
        self
    }

    /// Has a bad habit.
    #[must_use]
    pub fn quirk(mut self, quirk: BackendQuirk) -> Self {
        self.quirks.insert(quirk);
        self
    }

    pub(super) fn has(&self, quirk: BackendQuirk) -> bool {
        self.quirks.contains(&quirk)
    }
}

fn verdict(status: AuthorizationStatus, parent: Option<&str>) -> IdTagInfo {
    IdTagInfo {
        status,
        expiry_date: None,
        parent_id_tag: parent.map(IdTag::from),
    }
}
