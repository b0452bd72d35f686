//! `demo`: the daemon with simulated devices, and its status each second.

mod backend;

use std::fmt::Display;
use std::fs::{self, DirBuilder};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{exit, output, status};
use crate::clock::Random;
use crate::config;
use crate::daemon::Daemon;
use crate::ids::ChargeBoxId;
use crate::sim::backend::listen_on_loopback;
use crate::sim::modbus_server::{self, MeteredHouse, Port, PowerBrainWithDrivers, Unit, Units};
use crate::sim::{
    Draws, House, Meter, MeterMap, MeterPlan, PowerBrain, PowerBrainPlan, Script, Target, Wallbox,
    WallboxPlan, runner,
};

use backend::{Heard, LIMITED};

/// Three wallboxes behind a fuse that feeds two cars and nothing else at full power, and a house.
/// What is patient in a real house is hurried, so that a minute shows it. To the backend on port
/// `backend` each is a charge point, the Power Brain too; a car that it does not know charges also
/// while it is away.
fn site(power_brain: SocketAddr, meter: SocketAddr, backend: u16) -> String {
    format!(
        r#"
[manager]
state-dir = "state"
control-socket = "control.sock"
raise-hold = "5s"
raise-interval = "3s"
ocpp-raise-interval = "5s"
[ocpp-server]
address = "127.0.0.1"
meter-interval = "1s"
[[circuit]]
name = "house"
max-current = 32
meter = "grid"
[[meter]]
name = "grid"
device = "sdm630"
address = "{meter}"
[[evse]]
name = "garage-left"
device = "ocpp1.6"
address = "DEMO-1"
max-current = 16
[evse.gateway]
url = "ws://127.0.0.1:{backend}"
client-id = "{LIMITED}"
offline-unknown-tags = true
[[evse]]
name = "garage-right"
device = "ocpp1.6"
address = "DEMO-2"
max-current = 16
[evse.gateway]
url = "ws://127.0.0.1:{backend}"
client-id = "DE*DEMO*E2"
offline-unknown-tags = true
[[evse]]
name = "yard"
device = "power-brain"
address = "{power_brain}"
max-current = 16
[evse.gateway]
url = "ws://127.0.0.1:{backend}"
client-id = "DE*DEMO*E3"
offline-unknown-tags = true
vendor = "Demo"
model = "Power Brain"
"#
    )
}

/// A house that begins to cook after twenty seconds, at four times the pace of a real one.
const HOUSE_SEED: u64 = 66;
const PACE: u32 = 4;

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
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(show(&folder.0)),
        Err(error) => {
            output::print_error(&format!("the system gives no threads: {error}\n"));
            ExitCode::from(exit::IO)
        }
    }
}

async fn show(folder: &Path) -> ExitCode {
    let (power_brain, meter) = match (loopback().await, loopback().await) {
        (Ok(power_brain), Ok(meter)) => (power_brain, meter),
        (Err(error), _) | (_, Err(error)) => return cannot_start(&error),
    };
    let backend = match listen_on_loopback() {
        Ok(backend) => backend,
        Err(error) => return cannot_start(&error),
    };
    let site = site(power_brain.at, meter.at, backend.local_port());
    let mut config = match config::read(&folder.join("demo.toml"), &site) {
        Ok((config, _)) => config,
        Err(problems) => {
            output::print_error(&problems.to_string());
            return ExitCode::from(exit::SOFTWARE);
        }
    };
    config.server.port = 0; // a free one
    let socket = config.manager.control_socket.clone();
    let daemon = match Daemon::start(&config, None) {
        Ok(daemon) => daemon,
        Err(error) => return cannot_start(&error),
    };
    let (devices, stop) = (TaskTracker::new(), CancellationToken::new());
    let draws = Draws::default();
    for (id, seed) in config.plan.stations.iter().map(|plan| &plan.id).zip(SEED..) {
        if let Some(running) = wallbox(id, daemon.port(), seed, draws.clone(), stop.clone()) {
            devices.spawn(running);
        }
    }
    let brain = PowerBrain::new(PowerBrainPlan::new("DEMO-3"), SEED);
    let brain = PowerBrainWithDrivers::new(brain, Script::endless(SEED + 2, 1), draws.clone());
    devices.spawn(power_brain.serve(brain, stop.clone()));
    let house = MeteredHouse::new(
        Meter::new(MeterPlan::new(MeterMap::Sdm630), SEED),
        House::brutal(HOUSE_SEED),
        draws,
        PACE,
    );
    devices.spawn(meter.serve(house, stop.clone()));
    let heard = Heard::default();
    devices.spawn(backend::run(backend, heard.clone(), stop.clone()));
    devices.close();
    // The table is drawn by the same client as `status --watch`; it ends with Ctrl-C.
    let below = move |text: &mut String, look| heard.draw(text, look);
    let shown = tokio::task::spawn_blocking(move || status::watch(&socket, &below)).await;
    stop.cancel();
    devices.wait().await;
    daemon.stop().await;
    shown.unwrap_or(ExitCode::from(exit::SOFTWARE))
}

fn cannot_start(error: &dyn Display) -> ExitCode {
    output::print_error(&format!("the demo cannot start: {error}\n"));
    ExitCode::from(exit::CANNOT_CREATE)
}

/// A free port of this machine for a simulated Modbus device.
struct FreePort {
    port: Port,
    at: SocketAddr,
}

async fn loopback() -> io::Result<FreePort> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    Ok(FreePort {
        at: listener.local_addr()?,
        port: Port::Tcp(listener),
    })
}

impl FreePort {
    async fn serve(self, unit: impl Unit + 'static, stop: CancellationToken) {
        let units = Units::from([(1, Box::new(unit) as Box<dyn Unit>)]);
        // Nobody is shown the log of a demo, and the table says that the device is gone.
        let _ = modbus_server::run(self.port, units, stop).await;
    }
}

fn wallbox(
    id: &ChargeBoxId,
    port: u16,
    seed: u64,
    draws: Draws,
    stop: CancellationToken,
) -> Option<impl Future<Output = ()> + use<>> {
    let target = Target::new(&format!("ws://127.0.0.1:{port}"), id, None).ok()?;
    let wallbox = Wallbox::new(WallboxPlan::new(id.as_str()), Random::new(seed));
    let script = Script::endless(seed, 1);
    Some(runner::run(wallbox, target, script, draws, stop))
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
