//! `SecurityProfile`: that of the configuration, or what the backend raised it to.

use serde::{Deserialize, Serialize};

use super::Keys;

/// What the backend raised the profile to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Raised {
    to: u8,
    /// A connection stood with it.
    proven: bool,
}

impl Keys {
    /// 0 to 3.
    pub fn security_profile(&self) -> u8 {
        let raised = self.remembered.raised.map_or(0, |raised| raised.to);
        raised.max(self.plan.security_profile)
    }

    /// The backend raised it. Whether that can be is for the gateway to know.
    pub fn raise_profile(&mut self, to: u8) {
        self.remembered.raised = Some(Raised { to, proven: false });
    }

    /// A connection stood; true if that proves what was raised.
    pub fn profile_was_good(&mut self) -> bool {
        let raised = self.remembered.raised.as_mut();
        raised.is_some_and(|raised| !std::mem::replace(&mut raised.proven, true))
    }

    /// No connection came about; true if that proves that it was raised too far.
    pub fn lower_profile(&mut self) -> bool {
        let unproven = self.remembered.raised.take_if(|raised| !raised.proven);
        unproven.is_some()
    }

    /// No connection is made without a password any more.
    pub(super) fn needs_password(&self) -> bool {
        self.remembered
            .raised
            .is_some_and(|raised| raised.to == 1 && raised.proven)
    }
}
