//! TEMPORARY
use std::time::Duration;
/// t
#[derive(Debug, Default, serde::Deserialize, serde::Serialize)]
pub struct Keys {}
impl Keys {
    /// t
    pub fn message_timeout(&self) -> Duration {
        Duration::from_secs(30)
    }
    /// t
    pub fn heartbeat_interval(&self) -> Duration {
        Duration::from_secs(300)
    }
    /// t
    pub fn set_heartbeat_interval(&mut self, _: Duration) {}
    /// t
    pub fn local_pre_authorize(&self) -> bool {
        false
    }
    /// t
    pub fn transaction_message_attempts(&self) -> u32 {
        5
    }
    /// t
    pub fn transaction_message_retry_interval(&self) -> Duration {
        Duration::from_secs(60)
    }
    /// t
    pub fn stop_transaction_on_invalid_id(&self) -> bool {
        true
    }
    /// t
    pub fn connection_time_out(&self) -> Duration {
        Duration::from_secs(120)
    }
    /// t
    pub fn sample_interval(&self) -> Option<Duration> {
        Some(Duration::from_secs(60))
    }
    /// t
    pub fn measurands(&self) -> String {
        String::new()
    }
}
