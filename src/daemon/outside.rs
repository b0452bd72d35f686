//! The tasks that call others: Modbus devices, backends, and where these want logs. They live as long as a configuration.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dialler::{Backend, Diallers};
use super::field::Field;
use super::link::LinkIds;
use super::listener::Deadlines;
use super::log_keeper::LogKeeper;
use super::modbus::Lines;
use super::upload::Uploads;
use crate::clock::Random;
use crate::config::Config;

/// What those tasks need from the daemon, whatever the configuration.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    /// The way to the site task.
    pub(super) to_site: mpsc::Sender<Field>,
    /// Where the numbers of links come from.
    pub(super) links: LinkIds,
    /// The last lines of the log.
    pub(super) keeper: LogKeeper,
    /// The end of everything.
    pub(super) shutdown: CancellationToken,
}

/// Lines, diallers and uploads of one configuration.
#[derive(Debug)]
pub(super) struct Outside {
    /// The lines to Modbus devices.
    pub(super) lines: Lines,
    /// The way out to backends.
    pub(super) diallers: Diallers,
    /// Logs on their way out.
    pub(super) uploads: Uploads,
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
        let Ground {
            to_site,
            links,
            keeper,
            ..
        } = ground;
        keeper.follow(config);
        let (plans, keeper) = (&config.plan.gateways, keeper.clone());
        let uploads = Uploads::new(plans, &backends, keeper, to_site, &tasks, &cancel);
        let lines = Lines::start(config, random, to_site, &tasks, &cancel);
        let deadlines = Deadlines::default();
        let diallers = Diallers::new(backends, to_site, &tasks, &cancel, deadlines, links);
        tasks.close();
        Self {
            lines,
            diallers,
            uploads,
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
