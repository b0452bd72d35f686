//! The tasks that call others: Modbus devices and backends. They live as long as a configuration.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dialler::{Backend, Diallers};
use super::field::Field;
use super::link::LinkIds;
use super::listener::Deadlines;
use super::modbus::Lines;
use crate::clock::Random;
use crate::config::Config;

/// What those tasks need from the daemon, whatever the configuration.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    /// The way to the site task.
    pub(super) to_site: mpsc::Sender<Field>,
    /// Where the numbers of links come from.
    pub(super) links: LinkIds,
    /// The end of everything.
    pub(super) shutdown: CancellationToken,
}

/// Lines and diallers of one configuration.
#[derive(Debug)]
pub(super) struct Outside {
    /// The lines to Modbus devices.
    pub(super) lines: Lines,
    /// The way out to backends.
    pub(super) diallers: Diallers,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Outside {
    /// Starts the tasks.
    pub(super) fn start(
        config: &Config,
        backends: Vec<Backend>,
        ground: &Ground,
        random: &mut Random,
    ) -> Self {
        let (tasks, cancel) = (TaskTracker::new(), ground.shutdown.child_token());
        let Ground { to_site, links, .. } = ground;
        let lines = Lines::start(config, random, to_site, &tasks, &cancel);
        let deadlines = Deadlines::default();
        let diallers = Diallers::new(backends, to_site, &tasks, &cancel, deadlines, links);
        tasks.close();
        Self {
            lines,
            diallers,
            tasks,
            cancel,
        }
    }

    /// Ends the tasks; returns when serial lines are closed and backends have been told.
    pub(super) async fn end(&self) {
        self.cancel.cancel();
        self.tasks.wait().await;
    }
}
