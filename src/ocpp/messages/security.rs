//! The security extension of OCPP 1.6: certificates, events, logs and a wider `TriggerMessage`.

use serde::{Deserialize, Serialize};

use super::{Accepted, Empty, TriggerMessageResponse, request};
use crate::clock::Timestamp;
use crate::ids::ConnectorId;
use crate::ocpp::lenient::{self, spelled};
use crate::ocpp::timestamp;

/// Says that something happened that concerns security.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityEventNotification {
    /// What, at most 50 characters.
    #[serde(rename = "type", deserialize_with = "lenient::required")]
    pub kind: String,
    /// When, RFC 3339.
    #[serde(deserialize_with = "lenient::required")]
    pub timestamp: String,
    /// More about it, at most 255 characters.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub tech_info: Option<String>,
}
request!(SecurityEventNotification => Empty);

/// Asks for a certificate for the key of the charge point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignCertificate {
    /// PKCS#10 as PEM.
    #[serde(deserialize_with = "lenient::required")]
    pub csr: String,
}
request!(SignCertificate => Accepted);

/// Brings it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSigned {
    /// PEM, the own certificate first.
    #[serde(deserialize_with = "lenient::required")]
    pub certificate_chain: String,
}
request!(CertificateSigned => Accepted);

spelled! {
    /// What an authority vouches for.
    pub enum CertificateUse {
        /// The central system.
        CentralSystemRootCertificate = "CentralSystemRootCertificate",
        /// Firmware.
        ManufacturerRootCertificate = "ManufacturerRootCertificate",
    }
}

/// Adds a certificate to those that the charge point trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallCertificate {
    /// For what.
    pub certificate_type: CertificateUse,
    /// PEM.
    #[serde(deserialize_with = "lenient::required")]
    pub certificate: String,
}
request!(InstallCertificate => InstallCertificateResponse);

/// Answer to [`InstallCertificate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallCertificateResponse {
    /// Whether it is trusted now.
    pub status: InstallCertificateStatus,
}

spelled! {
    /// What became of a certificate to install.
    pub enum InstallCertificateStatus {
        /// It is trusted.
        Accepted = "Accepted",
        /// It could be and is not.
        Failed = "Failed",
        /// It cannot be, or there are too many.
        Rejected = "Rejected",
    }
}

spelled! {
    /// How the hashes of [`CertificateHashData`] are made.
    pub enum HashAlgorithm {
        /// SHA-256.
        Sha256 = "SHA256",
        /// SHA-384.
        Sha384 = "SHA384",
        /// SHA-512.
        Sha512 = "SHA512",
    }
}

/// Names a certificate (RFC 6960 §4.1.1); all hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateHashData {
    /// How the hashes are made.
    pub hash_algorithm: HashAlgorithm,
    /// Of the name of its issuer.
    #[serde(deserialize_with = "lenient::required")]
    pub issuer_name_hash: String,
    /// Of the key of its issuer.
    #[serde(deserialize_with = "lenient::required")]
    pub issuer_key_hash: String,
    /// Its number, without leading zeros.
    #[serde(deserialize_with = "lenient::required")]
    pub serial_number: String,
}

/// Asks which certificates were installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetInstalledCertificateIds {
    /// For what.
    pub certificate_type: CertificateUse,
}
request!(GetInstalledCertificateIds => GetInstalledCertificateIdsResponse);

/// Answer to [`GetInstalledCertificateIds`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetInstalledCertificateIdsResponse {
    /// Whether there are any.
    pub status: FoundStatus,
    /// Which.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificate_hash_data: Vec<CertificateHashData>,
}

spelled! {
    /// Whether something was found, and done.
    pub enum FoundStatus {
        /// It was.
        Accepted = "Accepted",
        /// It was found and cannot be done.
        Failed = "Failed",
        /// It was not found.
        NotFound = "NotFound",
    }
}

/// Takes back what [`InstallCertificate`] did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteCertificate {
    /// Of which.
    pub certificate_hash_data: CertificateHashData,
}
request!(DeleteCertificate => DeleteCertificateResponse);

/// Answer to [`DeleteCertificate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteCertificateResponse {
    /// Whether it is gone.
    pub status: FoundStatus,
}

/// [`TriggerMessage`](super::TriggerMessage) with more to ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtendedTriggerMessage {
    /// Which message.
    #[serde(deserialize_with = "lenient::required")]
    pub requested_message: String,
    /// Of which connector; absent = of all.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub connector_id: Option<ConnectorId>,
}
request!(ExtendedTriggerMessage => TriggerMessageResponse);

spelled! {
    /// What can be asked for with [`ExtendedTriggerMessage`].
    pub enum ExtendedTrigger {
        /// `BootNotification`.
        BootNotification = "BootNotification",
        /// `LogStatusNotification`.
        LogStatusNotification = "LogStatusNotification",
        /// `FirmwareStatusNotification`.
        FirmwareStatusNotification = "FirmwareStatusNotification",
        /// `Heartbeat`.
        Heartbeat = "Heartbeat",
        /// `MeterValues`.
        MeterValues = "MeterValues",
        /// `SignCertificate` with a new key.
        SignChargePointCertificate = "SignChargePointCertificate",
        /// `StatusNotification`.
        StatusNotification = "StatusNotification",
    }
}

/// Wants a log uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetLog {
    /// Which part, and where to.
    pub log: LogParameters,
    /// Which.
    pub log_type: LogType,
    /// Comes back in every [`LogStatusNotification`].
    #[serde(deserialize_with = "lenient::required")]
    pub request_id: i64,
    /// So many more attempts.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub retries: Option<i64>,
    /// Between two attempts, in seconds.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub retry_interval: Option<i64>,
}
request!(GetLog => GetLogResponse);

/// Which part of a log, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogParameters {
    /// A URL, at most 512 characters. It may hold a password.
    #[serde(deserialize_with = "lenient::required")]
    pub remote_location: String,
    /// Nothing that is older.
    #[serde(
        default,
        with = "timestamp::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub oldest_timestamp: Option<Timestamp>,
    /// Nothing that is newer.
    #[serde(
        default,
        with = "timestamp::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub latest_timestamp: Option<Timestamp>,
}

spelled! {
    /// Which log.
    pub enum LogType {
        /// Everything.
        DiagnosticsLog = "DiagnosticsLog",
        /// What concerns security.
        SecurityLog = "SecurityLog",
    }
}

/// Answer to [`GetLog`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetLogResponse {
    /// Whether it will be uploaded.
    pub status: GetLogStatus,
    /// As what, at most 255 characters.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub filename: Option<String>,
}

spelled! {
    /// What is done about [`GetLog`].
    pub enum GetLogStatus {
        /// It will be uploaded.
        Accepted = "Accepted",
        /// It will not.
        Rejected = "Rejected",
        /// It will, and the upload that was under way ends.
        AcceptedCanceled = "AcceptedCanceled",
    }
}

/// Says how far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogStatusNotification {
    /// How far.
    pub status: UploadLogStatus,
    /// Of which [`GetLog`]; absent = there is none.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub request_id: Option<i64>,
}
request!(LogStatusNotification => Empty);

spelled! {
    /// How far an upload is.
    pub enum UploadLogStatus {
        /// The request makes no sense.
        BadMessage = "BadMessage",
        /// There is none.
        Idle = "Idle",
        /// The server takes no uploads.
        NotSupportedOperation = "NotSupportedOperation",
        /// The server does not allow it.
        PermissionDenied = "PermissionDenied",
        /// It is done.
        Uploaded = "Uploaded",
        /// It came to nothing.
        UploadFailure = "UploadFailure",
        /// It is under way.
        Uploading = "Uploading",
    }
}
