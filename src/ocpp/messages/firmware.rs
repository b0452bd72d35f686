//! Firmware management profile, from the charge point to the central system.

use serde::{Deserialize, Serialize};

use super::{Empty, request};
use crate::ocpp::lenient::spelled;

/// Says how far an upload of diagnostics has come (OCPP 1.6 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiagnosticsStatusNotification {
    /// How far.
    pub status: DiagnosticsStatus,
}
request!(DiagnosticsStatusNotification => Empty);

spelled! {
    /// `DiagnosticsStatus` (OCPP 1.6 §7.24).
    pub enum DiagnosticsStatus {
        /// Nothing is going on.
        Idle = "Idle",
        /// It is done.
        Uploaded = "Uploaded",
        /// It went wrong.
        UploadFailed = "UploadFailed",
        /// It is under way.
        Uploading = "Uploading",
    }
}

/// Says how far an update of the firmware has come (OCPP 1.6 §4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareStatusNotification {
    /// How far.
    pub status: FirmwareStatus,
}
request!(FirmwareStatusNotification => Empty);

spelled! {
    /// `FirmwareStatus` (OCPP 1.6 §7.25).
    pub enum FirmwareStatus {
        /// It is here.
        Downloaded = "Downloaded",
        /// It could not be fetched.
        DownloadFailed = "DownloadFailed",
        /// It is being fetched.
        Downloading = "Downloading",
        /// Nothing is going on.
        Idle = "Idle",
        /// It could not be installed.
        InstallationFailed = "InstallationFailed",
        /// It is being installed.
        Installing = "Installing",
        /// It is installed.
        Installed = "Installed",
    }
}
