//! `demo`: the daemon with simulated wallboxes, and its status each second.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{exit, output, status};
use crate::clock::Random;
use crate::config::{self, Config};
use crate::daemon::Daemon;
use crate::ids::ChargeBoxId;
use crate::sim::{Script, Target, Wallbox, WallboxPlan, runner};

/// Three wallboxes behind a fuse that feeds two cars at full power.
const SITE: &str = r#"
[manager]
state-dir = "state"
control-socket = "control.sock"
[ocpp-server]
address = "127.0.0.1"
meter-interval = "1s"
[[circuit]]
name = "house"
max-current = 32
[[evse]]
name = "garage-left"
device = "ocpp1.6"
address = "DEMO-1"
max-current = 16
[[evse]]
name = "garage-right"
device = "ocpp1.6"
address = "DEMO-2"
max-current = 16
[[evse]]
name = "yard"
device = "ocpp1.6"
address = "DEMO-3"
max-current = 16
"#;

/// The same cars come each time.
const SEED: u64 = 32;

/// Runs until Ctrl-C.
pub(super) fn demo() -> ExitCode {
    let folder = match Folder::make() {
        Ok(folder) => folder,
        Err(error) => {
            output::print_error(&format!("no temporary folder can be made: {error}\n"));
            return ExitCode::from(exit::CANNOT_CREATE);
        }
    };
    let (config, _) = match config::read(&folder.0.join("demo.toml"), SITE) {
        Ok(understood) => understood,
        Err(problems) => {
            output::print_error(&problems.to_string());
            return ExitCode::from(exit::SOFTWARE);
        }
    };
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(show(config)),
        Err(error) => {
            output::print_error(&format!("the system gives no threads: {error}\n"));
            ExitCode::from(exit::IO)
        }
    }
}

async fn show(mut config: Config) -> ExitCode {
    config.server.port = 0; // a free one
    let socket = config.manager.control_socket.clone();
    let daemon = match Daemon::start(&config) {
        Ok(daemon) => daemon,
        Err(error) => {
            output::print_error(&format!("the demo cannot start: {error}\n"));
            return ExitCode::from(exit::CANNOT_CREATE);
        }
    };
    let (wallboxes, stop) = (TaskTracker::new(), CancellationToken::new());
    for (id, seed) in config.plan.stations.iter().map(|plan| &plan.id).zip(SEED..) {
        if let Some(running) = wallbox(id, daemon.port(), seed, stop.clone()) {
            wallboxes.spawn(running);
        }
    }
    wallboxes.close();
    // The table is drawn by the same client as `status --watch`; it ends with Ctrl-C.
    let shown = tokio::task::spawn_blocking(move || status::status(&socket, false, true)).await;
    stop.cancel();
    wallboxes.wait().await;
    daemon.stop().await;
    shown.unwrap_or(ExitCode::from(exit::SOFTWARE))
}

fn wallbox(
    id: &ChargeBoxId,
    port: u16,
    seed: u64,
    stop: CancellationToken,
) -> Option<impl Future<Output = ()> + use<>> {
    let target = Target::new(&format!("ws://127.0.0.1:{port}"), id, None).ok()?;
    let wallbox = Wallbox::new(WallboxPlan::new(id.as_str()), Random::new(seed));
    Some(runner::run(wallbox, target, Script::endless(seed, 1), stop))
}

/// A folder that goes when the demo ends.
struct Folder(PathBuf);

impl Folder {
    fn make() -> io::Result<Self> {
        let name = format!("chargewarden-demo-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's temporary folder.
        let _ = remove(&self.0);
    }
}

fn remove(path: &Path) -> io::Result<()> {
    fs::remove_dir_all(path)
}
