//! The one place of the daemon that reads clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::clock::{Mono, Now, Timestamp};

/// The clocks of this process.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts monotonic time.
    #[expect(clippy::disallowed_methods, reason = "the daemon's clock")]
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// What time it is.
    #[expect(clippy::disallowed_methods, reason = "the daemon's clock")]
    pub fn now(self) -> Now {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        let seconds = i64::try_from(since_1970.as_secs()).unwrap_or(0);
        let nanos = i32::try_from(since_1970.subsec_nanos()).unwrap_or(0);
        Now {
            mono: Mono(self.started.elapsed()),
            wall: Timestamp::new(seconds, nanos).unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }

    /// The instant that a monotonic time means, for sleeping until then.
    pub fn instant(self, at: Mono) -> tokio::time::Instant {
        (self.started + at.0).into()
    }
}
