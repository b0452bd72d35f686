//! Two daemons, one as the backend of the other, what hangs below them and what stands above.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chargewarden::clock::{Mono, Random};
use chargewarden::config;
use chargewarden::daemon::Daemon;
use chargewarden::ids::{ChargeBoxId, ConnectorId};
use chargewarden::modbus::{Answer, Request};
use chargewarden::sim::backend::{Ledger, Server, listen_on_loopback, serve};
use chargewarden::sim::modbus_server::{self, Port, Unit, Units};
use chargewarden::sim::wallbox::Traffic;
use chargewarden::sim::{
    Act, Backend, BackendPlan, Car, Draws, PowerBrain, PowerBrainPlan, Script, Target, Visit,
    Wallbox, WallboxPlan, runner,
};
use chargewarden::units::{MilliAmps, PerPhase};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::select;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) const LOWER_FUSE: MilliAmps = MilliAmps::from_amps(20);
pub(super) const UPPER_FUSE: MilliAmps = MilliAmps::from_amps(26);

/// Who they are at the billing backend.
pub(super) const LEFT: &str = "DE*UP*LEFT";
pub(super) const YARD: &str = "DE*UP*YARD";

/// Cards and fixed tag.
pub(super) const TAG: &str = "04A2B3C4D5";

const MANAGER: &str = r#"
[manager]
state-dir = "state"
control-socket = "control.sock"
start-up-hold = "1s"
ocpp-raise-interval = "1s"
[ocpp-server]
address = "127.0.0.1"
tls = "off"
meter-interval = "1s"
"#;

fn lower(power_brain: u16, upper: u16) -> String {
    format!(
        r#"{MANAGER}
[[circuit]]
name = "building"
max-current = {fuse}
[[evse]]
name = "left"
device = "ocpp1.6"
address = "CB-LEFT"
max-current = 16
[evse.gateway]
url = "ws://127.0.0.1:{upper}"
client-id = "LOWER-LEFT"
offline-unknown-tags = true
[[evse]]
name = "yard"
device = "power-brain"
address = "127.0.0.1:{power_brain}"
max-current = 16
fixed-id-tag = "{TAG}"
[evse.gateway]
url = "ws://127.0.0.1:{upper}"
client-id = "LOWER-YARD"
offline-unknown-tags = true
"#,
        fuse = LOWER_FUSE.as_amps()
    )
}

fn upper(billing: u16) -> String {
    let fuse = UPPER_FUSE.as_amps();
    let evse = |(address, client_id)| {
        format!(
            r#"
[[evse]]
name = "{address}"
device = "ocpp1.6"
address = "{address}"
max-current = 16
[evse.gateway]
url = "ws://127.0.0.1:{billing}"
client-id = "{client_id}"
offline-unknown-tags = true
"#
        )
    };
    let of_the_lower = [("LOWER-LEFT", LEFT), ("LOWER-YARD", YARD)].map(evse);
    format!(
        r#"{MANAGER}
[[circuit]]
name = "area"
max-current = {fuse}
{}
[[evse]]
name = "tower"
device = "ocpp1.6"
address = "CB-TOWER"
max-current = 16
"#,
        of_the_lower.concat()
    )
}

/// Everything. Nothing of it outlives the test.
pub(super) struct Lab {
    pub(super) billing: Server,
    pub(super) yard: Yard,
    pub(super) peaks: Peaks,
    pub(super) link: watch::Sender<bool>,
    lower_draws: Draws,
    tower_draws: Draws,
    ports: [u16; 2],
    folders: [TempDir; 2],
    daemons: [Daemon; 2],
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Lab {
    pub(super) async fn start() -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let backend = Backend::new(BackendPlan::default(), Random::new(1));
        let billing = serve(listen_on_loopback().unwrap(), backend, stop.clone());
        let above = daemon(folders[1].path(), &upper(billing.port()));
        let (relay, link) = (loopback().await, watch::Sender::new(true));
        let relay_port = relay.local_addr().unwrap().port();
        let relaying = carry(relay, above.port(), link.subscribe());
        let cancel = stop.clone();
        tasks.spawn(async move { cancel.run_until_cancelled(relaying).await });
        let (modbus, lower_draws) = (loopback().await, Draws::default());
        let modbus_port = modbus.local_addr().unwrap().port();
        let yard = Yard::new(lower_draws.clone());
        let units = Units::from([(1, Box::new(yard.clone()) as Box<dyn Unit>)]);
        tasks.spawn(modbus_server::run(Port::Tcp(modbus), units, stop.clone()));
        let below = daemon(folders[0].path(), &lower(modbus_port, relay_port));
        let (tower_draws, peaks) = (Draws::default(), Peaks::default());
        let watching = peaks
            .clone()
            .watch(lower_draws.clone(), tower_draws.clone());
        let cancel = stop.clone();
        tasks.spawn(async move { cancel.run_until_cancelled(watching).await });
        Self {
            billing,
            yard,
            peaks,
            link,
            lower_draws,
            tower_draws,
            ports: [below.port(), above.port()],
            folders,
            daemons: [below, above],
            stop,
            tasks,
        }
    }

    /// A wallbox at the lower one, with a car that comes and stays. What it sends is kept.
    pub(super) fn left(&self) -> Sent {
        self.wallbox("CB-LEFT", self.ports[0], None, self.lower_draws.clone())
    }

    /// A wallbox at the upper one, with a car that leaves after a while.
    pub(super) fn tower(&self, stays: Duration) -> Sent {
        let draws = self.tower_draws.clone();
        self.wallbox("CB-TOWER", self.ports[1], Some(stays), draws)
    }

    fn wallbox(&self, id: &str, port: u16, stays: Option<Duration>, draws: Draws) -> Sent {
        let id = ChargeBoxId::from(id);
        let target = Target::new(&format!("ws://127.0.0.1:{port}"), &id, None).unwrap();
        let mut wallbox = Wallbox::new(WallboxPlan::new(id.as_str()), Random::new(3));
        let sent = Sent::default();
        let kept = sent.clone();
        wallbox.inspect(move |traffic| {
            if let Traffic::Sent(text) = traffic {
                kept.0.lock().unwrap().push(text.to_owned());
            }
        });
        let visit = Visit {
            after: Duration::from_secs(2),
            stays,
            car: car(),
            tag: TAG.into(),
        };
        let script = Script::once(ConnectorId(1), visit);
        let stop = self.stop.clone();
        self.tasks
            .spawn(runner::run(wallbox, target, script, draws, stop));
        sent
    }

    /// What those below the lower fuse draw.
    pub(super) fn lower_draw(&self) -> PerPhase<MilliAmps> {
        self.lower_draws.sum()
    }

    pub(super) fn tower_draw(&self) -> PerPhase<MilliAmps> {
        self.tower_draws.sum()
    }

    /// What the lower daemon says of an EVSE.
    pub(super) async fn evse(&self, name: &str) -> Value {
        let socket = self.folders[0].path().join("control.sock");
        let mut socket = BufReader::new(UnixStream::connect(socket).await.unwrap());
        socket.write_all(b"{\"do\":\"status\"}\n").await.unwrap();
        let mut line = String::new();
        socket.read_line(&mut line).await.unwrap();
        let status: Value = serde_json::from_str(&line).unwrap();
        let evses = status["evses"].as_array().unwrap();
        let evse = evses.iter().find(|evse| evse["name"] == name);
        evse.unwrap().clone()
    }

    /// Looks at what the billing backend has seen.
    pub(super) async fn billed<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Ledger) -> T + Send + 'static,
    ) -> T {
        let seen = self.billing.with(|_, backend| look(backend.ledger())).await;
        seen.expect("the backend runs")
    }

    pub(super) async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        for daemon in self.daemons {
            daemon.stop().await;
        }
        self.billing.ended().await;
    }
}

/// Waits for something that comes soon on every machine.
pub(super) async fn until(what: &str, mut probe: impl AsyncFnMut() -> bool) {
    let came = timeout(Duration::from_mins(1), async {
        while !probe().await {
            sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(came.await.is_ok(), "waited too long for {what}");
}

pub(super) fn car() -> Car {
    Car::default().ramp(Duration::from_millis(200))
}

fn daemon(folder: &Path, site: &str) -> Daemon {
    let (mut config, _) = config::read(&folder.join("site.toml"), site).unwrap();
    assert_eq!(config.refusal(), None);
    config.server.port = 0; // a free one
    Daemon::start(&config, None).unwrap()
}

async fn loopback() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}

/// Carries connections to `port` while `link` is true.
async fn carry(listener: TcpListener, port: u16, link: watch::Receiver<bool>) {
    loop {
        let (mut here, _) = listener.accept().await.unwrap();
        let mut link = link.clone();
        if *link.borrow() {
            tokio::spawn(async move {
                let there = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
                let mut there = there.unwrap();
                select! {
                    _ = copy_bidirectional(&mut here, &mut there) => {}
                    _ = link.wait_for(|stands| !stands) => {}
                }
            });
        }
    }
}

/// Every frame that a wallbox sent.
#[derive(Clone, Default)]
pub(super) struct Sent(Arc<Mutex<Vec<String>>>);

impl Sent {
    /// The payload of its first CALL of this name.
    pub(super) fn payload(&self, action: &str) -> Option<Value> {
        let frames = self.0.lock().unwrap();
        frames.iter().find_map(|text| {
            let frame: Value = serde_json::from_str(text).unwrap();
            (frame[2] == action).then(|| frame[3].clone())
        })
    }
}

/// A Power Brain that a test plugs cars into.
#[derive(Clone)]
pub(super) struct Yard(Arc<Mutex<Inner>>);

struct Inner {
    brain: PowerBrain,
    acts: VecDeque<Act>,
    draws: Draws,
}

impl Yard {
    fn new(draws: Draws) -> Self {
        let plan = PowerBrainPlan::new("W00-0001");
        let brain = PowerBrain::new(plan, 5);
        Self(Arc::new(Mutex::new(Inner {
            brain,
            acts: VecDeque::new(),
            draws,
        })))
    }

    pub(super) fn plug(&self) {
        let act = Act::Plug(ConnectorId(1), car());
        self.inner().acts.push_back(act);
    }

    pub(super) fn unplug(&self) {
        self.inner().acts.push_back(Act::Unplug(ConnectorId(1)));
    }

    /// Its register, in Wh.
    pub(super) fn energy(&self) -> i64 {
        self.inner().brain.energy().0
    }

    /// What its master did wrong.
    pub(super) fn violations(&self) -> Vec<String> {
        self.inner().brain.violations().to_vec()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}

impl Unit for Yard {
    fn handle_request(&mut self, now: Mono, request: &Request) -> Answer {
        self.inner().brain.handle_request(now, request)
    }

    fn advance(&mut self, now: Mono) {
        let mut inner = self.inner();
        while let Some(act) = inner.acts.pop_front() {
            inner.brain.perform(now, act);
        }
        inner.brain.advance(now);
        inner.draws.set("yard", inner.brain.draws(now));
    }
}

/// The most that was drawn through both fuses, on the worst phase.
#[derive(Clone, Default)]
pub(super) struct Peaks(Arc<Mutex<[MilliAmps; 2]>>);

impl Peaks {
    /// Through the lower fuse, and through the upper one.
    pub(super) fn get(&self) -> [MilliAmps; 2] {
        *self.0.lock().unwrap()
    }

    async fn watch(self, lower: Draws, tower: Draws) {
        loop {
            let (below, beside) = (lower.sum(), tower.sum());
            {
                let mut peaks = self.0.lock().unwrap();
                for (phase, current) in below.iter() {
                    peaks[0] = peaks[0].max(current);
                    peaks[1] = peaks[1].max(current + beside[phase]);
                }
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}
