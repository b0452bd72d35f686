//! Who decides.

use crate::clock::{Mono, Now};
use crate::evse::{Offer, Report};
use crate::ids::{EvseName, MeterName};
use crate::load::{Controller, Output};
use crate::units::{MilliAmps, PerPhase};

use super::Truth;

/// A load manager, as a [`ClosedLoop`](super::ClosedLoop) sees it.
pub trait Manager {
    /// A device reports.
    fn handle_report(&mut self, now: Now, evse: &EvseName, report: &Report);

    /// A reading of a meter has arrived.
    fn handle_sample(&mut self, now: Now, meter: &MeterName, current: PerPhase<MilliAmps>);

    /// Is shown how things are, after everything that happens. Who looks at it cheats.
    fn see(&mut self, _now: Now, _truth: &Truth<'_>) {}

    /// Lets timers act.
    fn handle_timeout(&mut self, now: Now);

    /// The next offer.
    fn poll_output(&mut self) -> Option<(EvseName, Offer)>;

    /// When [`Manager::handle_timeout`] wants to be called.
    fn poll_timeout(&self) -> Option<Mono>;
}

impl Manager for Controller {
    fn handle_report(&mut self, now: Now, evse: &EvseName, report: &Report) {
        self.handle_report(now, evse, report);
    }

    fn handle_sample(&mut self, now: Now, meter: &MeterName, current: PerPhase<MilliAmps>) {
        self.handle_sample(now, meter, current, None);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<(EvseName, Offer)> {
        loop {
            match self.poll_output()? {
                Output::Offer { evse, offer } => return Some((evse, offer)),
                // Only a wallbox with a protocol can be told in another form.
                Output::NotFollowed { .. } => {}
            }
        }
    }

    fn poll_timeout(&self) -> Option<Mono> {
        self.poll_timeout()
    }
}
