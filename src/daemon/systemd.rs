//! What systemd is told. Without systemd all of this does nothing.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;

/// Says that everything is up.
pub fn ready() {
    notify(NotifyState::Ready);
}

/// Says that the end has begun.
pub fn stopping() {
    notify(NotifyState::Stopping);
}

/// Says that the site task is alive. To be called by that task and nobody else.
pub fn feed_watchdog() {
    notify(NotifyState::Watchdog);
}

/// How often [`feed_watchdog`] is to be called: half of what systemd waits (`WatchdogSec`), as it
/// recommends. `None` where nobody waits.
pub fn watchdog_period() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(%error, "systemd could not be told");
    }
}
