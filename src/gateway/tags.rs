//! TEMPORARY
use super::keys::Keys;
use crate::ocpp::messages::ViewError;
use serde_json::value::RawValue;
/// t
#[derive(Debug, Default, serde::Deserialize, serde::Serialize)]
pub struct LocalList {}
/// t
#[derive(Debug, Default, serde::Deserialize, serde::Serialize)]
pub struct TagCache {}
impl LocalList {
    /// t
    pub fn send(&mut self, _: &RawValue, _: &Keys) -> Result<String, ViewError> {
        Ok(String::new())
    }
    /// t
    pub fn version(&self, _: &Keys) -> String {
        String::new()
    }
}
impl TagCache {
    /// t
    pub fn clear(&mut self) {}
}
