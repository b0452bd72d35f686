//! A new configuration in the running daemon: the real binary, with simulated devices.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::child::Running;

/// So that a test ends also when it fails.
const PATIENCE: Duration = Duration::from_secs(40);

const BINARY: &str = env!("CARGO_BIN_EXE_chargewarden");

/// A daemon with its configuration in a directory of its own.
struct Daemon {
    port: u16,
    dir: TempDir,
    process: Running,
}

/// Two wallboxes at a fuse of 32 A.
const EVSES: &str = r#"
[[circuit]]
name = "house"
max-current = 32
[[evse]]
name = "left"
device = "ocpp1.6"
address = "CB-1"
max-current = 16
[[evse]]
name = "right"
device = "ocpp1.6"
address = "CB-2"
max-current = 16
"#;

impl Daemon {
    fn start(evses: &str) -> Self {
        let port = free_address().port();
        let dir = tempfile::tempdir().unwrap();
        let log = fs::File::create(dir.path().join("log")).unwrap();
        write(&dir, port, "", evses);
        let process = Command::new(BINARY)
            .arg("run")
            .arg("--config")
            .arg(dir.path().join("site.toml"))
            .stdin(Stdio::null())
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let daemon = Self {
            port,
            dir,
            process: Running(process),
        };
        daemon.until("the control socket", |it| {
            it.log().contains("chargewarden is running")
        });
        daemon
    }

    /// Writes `[ocpp-server]` with `server`, and `evses`, and reloads.
    fn reload_with(&self, server: &str, evses: &str) -> Output {
        write(&self.dir, self.port, server, evses);
        self.command(&["reload"])
    }

    fn command(&self, words: &[&str]) -> Output {
        let socket = self.dir.path().join("control.sock");
        let mut command = Command::new(BINARY);
        command.args(words).arg("--socket").arg(socket);
        command.output().unwrap()
    }

    fn status(&self) -> Value {
        let output = self.command(&["status", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn evse(&self, name: &str) -> Value {
        let status = self.status();
        let evses = status["evses"].as_array().unwrap();
        let found = evses.iter().find(|it| it["name"] == name);
        found
            .unwrap_or_else(|| panic!("no {name} in {status}"))
            .clone()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// A wallbox with a car that charges.
    fn wallbox(&self, id: &str, more: &[&str]) -> Running {
        let url = format!("ws://127.0.0.1:{}", self.port);
        simulate(&[&["wallbox", "--url", &url, "--id", id], more].concat())
    }

    fn until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !is(self) {
            assert!(
                begin.elapsed() < PATIENCE,
                "no {what}; log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn until_setpoint(&self, evse: &str, amps: f64) {
        let told = |it: &Self| {
            let evse = it.evse(evse);
            evse["setpoint_a"] == amps && evse["offered_a"] == amps
        };
        self.until(&format!("{evse} at {amps} A"), told);
    }

    fn until_charging(&self, evse: &str, amps: f64) -> Value {
        self.until_setpoint(evse, amps);
        self.until("transaction", |it| !it.evse(evse)["transaction"].is_null());
        self.evse(evse)["transaction"]["id"].clone()
    }
}

/// Free a moment ago: a configuration takes no port 0.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn simulate(words: &[&str]) -> Running {
    let child: Child = Command::new(BINARY)
        .arg("simulate")
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Running(child)
}

fn write(dir: &TempDir, port: u16, server: &str, evses: &str) {
    let text = format!(
        "[manager]\nstate-dir = \"state\"\ncontrol-socket = \"control.sock\"\n\
         start-up-hold = \"1s\"\n[log]\nlevel = \"info\"\n[ocpp-server]\naddress = \"127.0.0.1\"\n\
         port = {port}\n{server}\n{evses}"
    );
    fs::write(dir.path().join("site.toml"), text).unwrap();
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_changed_limit_comes_into_force_and_the_transaction_and_the_connection_go_on() {
    let daemon = Daemon::start(EVSES);
    let _left = daemon.wallbox("CB-1", &[]);
    let transaction = daemon.until_charging("left", 16.0);

    let changed = EVSES.replacen("max-current = 16", "max-current = 10", 1);
    let output = daemon.reload_with("", &changed);
    assert_eq!(text(&output.stdout), "the new configuration is in force\n");
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(0), String::new())
    );
    assert_eq!(daemon.until_charging("left", 10.0), transaction);
    assert!(!daemon.log().contains("disconnected"), "{}", daemon.log());

    // And back, by signal.
    write(&daemon.dir, daemon.port, "", EVSES);
    let process = rustix::process::Pid::from_child(&daemon.process.0);
    rustix::process::kill_process(process, rustix::process::Signal::HUP).unwrap();
    assert_eq!(daemon.until_charging("left", 16.0), transaction);
    assert!(!daemon.log().contains("disconnected"), "{}", daemon.log());
}

#[test]
fn a_wrong_file_changes_nothing_and_says_every_mistake() {
    let daemon = Daemon::start(EVSES);
    let _left = daemon.wallbox("CB-1", &[]);
    let transaction = daemon.until_charging("left", 16.0);
    let before = daemon.log();

    let wrong = EVSES.replace("max-current = 16", "max-current = \"x\"");
    let output = daemon.reload_with("", &wrong);
    assert_eq!(output.status.code(), Some(78));
    let said = text(&output.stderr);
    assert!(said.contains("nothing was changed"), "{said}");
    assert_eq!(
        said.matches("site.toml:").count(),
        2,
        "both mistakes: {said}"
    );
    assert_eq!(text(&output.stdout), "");
    let log = daemon.log();
    assert!(
        log.strip_prefix(&before)
            .unwrap()
            .contains("nothing was changed"),
        "{log}"
    );

    fs::remove_file(daemon.dir.path().join("site.toml")).unwrap();
    assert_eq!(daemon.command(&["reload"]).status.code(), Some(78));
    assert_eq!(daemon.until_charging("left", 16.0), transaction);
}

#[test]
fn a_smaller_fuse_is_shared_by_those_who_charge() {
    let daemon = Daemon::start(EVSES);
    let _boxes = [daemon.wallbox("CB-1", &[]), daemon.wallbox("CB-2", &[])];
    daemon.until_charging("left", 16.0);
    daemon.until_charging("right", 16.0);
    daemon.reload_with("", &EVSES.replace("max-current = 32", "max-current = 20"));
    daemon.until_setpoint("left", 10.0);
    daemon.until_setpoint("right", 10.0);
    assert_eq!(daemon.status()["circuits"][0]["limit_a"][0], 20.0);
}

#[test]
fn one_reload_after_the_other_loses_nothing() {
    let daemon = Daemon::start(EVSES);
    let _boxes = [daemon.wallbox("CB-1", &[]), daemon.wallbox("CB-2", &[])];
    let transactions = ["left", "right"].map(|evse| daemon.until_charging(evse, 16.0));
    for fuse in [20, 24, 12, 32, 14, 26, 12, 28, 16, 22] {
        let changed = EVSES.replace("max-current = 32", &format!("max-current = {fuse}"));
        assert_eq!(daemon.reload_with("", &changed).status.code(), Some(0));
        let allowed = ["left", "right"].map(|evse| daemon.evse(evse)["offered_a"].as_f64());
        assert!(
            allowed.iter().flatten().sum::<f64>() <= f64::from(fuse),
            "{allowed:?} of {fuse}"
        );
    }
    let after = ["left", "right"].map(|evse| daemon.until_charging(evse, 11.0));
    assert_eq!(after, transactions);
}

#[test]
fn wallboxes_come_and_go_with_the_file() {
    let alone = EVSES.split("[[evse]]\nname = \"right\"").next().unwrap();
    let daemon = Daemon::start(alone);
    let _left = daemon.wallbox("CB-1", &[]);
    let transaction = daemon.until_charging("left", 16.0);
    assert_eq!(daemon.reload_with("", EVSES).status.code(), Some(0));
    let _right = daemon.wallbox("CB-2", &[]);
    daemon.until_charging("right", 16.0);

    let output = daemon.reload_with("", alone);
    let said = text(&output.stdout);
    assert!(said.contains("right is managed no more"), "{said}");
    daemon.until("one connection", |it| {
        it.status()["ocpp_server"]["connections"] == 1
    });
    assert_eq!(daemon.until_charging("left", 16.0), transaction);
}

#[test]
fn a_new_password_is_asked_of_those_who_are_connected_too() {
    let daemon = Daemon::start(EVSES);
    let _old = daemon.wallbox("CB-1", &[]);
    let _new = daemon.wallbox("CB-2", &["--password", "0123456789abcdef"]);
    daemon.until("both", |it| it.status()["ocpp_server"]["connections"] == 2);
    let output = daemon.reload_with("password = \"0123456789abcdef\"", EVSES);
    assert_eq!(output.status.code(), Some(0));
    daemon.until("refusal", |it| it.log().contains("refused"));
    daemon.until("the other", |it| it.evse("right")["online"] == true);
    assert_eq!(daemon.evse("left")["online"], false);
    assert!(!daemon.log().contains("0123456789abcdef"));
}

#[test]
fn a_reload_forgets_what_was_switched_by_command_and_disturbs_nobody_where_nothing_changed() {
    let daemon = Daemon::start(EVSES);
    let _left = daemon.wallbox("CB-1", &[]);
    let transaction = daemon.until_charging("left", 16.0);
    daemon.command(&["evse", "disable", "left"]);
    daemon.until_setpoint("left", 0.0);
    let server = "max-message-size = 65536\nmax-connections = 500";
    let output = daemon.reload_with(server, EVSES);
    let said = text(&output.stdout);
    assert!(
        said.contains("ocpp-server.max-connections: changed, but only a restart"),
        "{said}"
    );
    assert_eq!(daemon.until_charging("left", 16.0), transaction);
    let log = daemon.log();
    assert!(!log.contains("disconnected"), "{log}");
    assert!(!log.contains("is in force"), "no new site: {log}");
}

#[test]
fn a_renewed_certificate_is_served_without_closing_a_connection() {
    let settings = "certificate = \"new.crt\"\nprivate-key = \"new.key\"";
    let daemon = Daemon::start(EVSES);
    let _left = daemon.wallbox("CB-1", &[]);
    daemon.until("wallbox", |it| it.evse("left")["online"] == true);
    let mut served = Vec::new();
    for _ in 0..2 {
        let made = Command::new(BINARY)
            .args([
                "cert",
                "new",
                "--overwrite",
                "--certificate",
                "new.crt",
                "--private-key",
                "new.key",
            ])
            .current_dir(daemon.dir.path())
            .output()
            .unwrap();
        assert!(made.status.success());
        assert_eq!(daemon.reload_with(settings, EVSES).status.code(), Some(0));
        let made = fs::read_to_string(daemon.dir.path().join("new.crt")).unwrap();
        let got = certificate(daemon.port);
        assert_eq!(
            got.split_whitespace().collect::<String>(),
            made.split_whitespace().collect::<String>()
        );
        served.push(got);
    }
    assert_ne!(served[0], served[1]);
    assert!(!daemon.log().contains("disconnected"), "{}", daemon.log());
}

/// The certificate that the server at this port shows, as PEM.
fn certificate(port: u16) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::null())
        .output()
        .expect("the command openssl");
    let said = text(&output.stdout);
    let begin = said.find("-----BEGIN").expect("a certificate");
    let end = said.find("-----END CERTIFICATE-----").unwrap();
    said[begin..end].to_owned() + "-----END CERTIFICATE-----"
}

#[test]
fn a_modbus_wallbox_goes_on_charging() {
    let at = free_address().to_string();
    let evses = format!(
        "{EVSES}[[evse]]\nname = \"yard\"\ndevice = \"power-brain\"\naddress = \"{at}\"\n\
         max-current = 16\nfixed-id-tag = \"04A2\"\n"
    );
    let daemon = Daemon::start(&evses);
    let _brain = simulate(&["power-brain", "--listen", &at]);
    let transaction = daemon.until_charging("yard", 16.0);
    let fewer = evses.replace("max-current = 16\nfixed", "max-current = 12\nfixed");
    assert_eq!(daemon.reload_with("", &fewer).status.code(), Some(0));
    assert_eq!(daemon.until_charging("yard", 12.0), transaction);
}

#[test]
fn what_a_backend_is_owed_is_delivered_after_a_reload() {
    let at = free_address().to_string();
    let gateway = format!(
        "[evse.gateway]\nurl = \"ws://{at}\"\nclient-id = \"DE*X*1\"\noffline-unknown-tags = true\n"
    );
    let evses = EVSES.replace(
        "[[evse]]\nname = \"right\"",
        &format!("{gateway}[[evse]]\nname = \"right\""),
    );
    let daemon = Daemon::start(&evses);
    let _left = daemon.wallbox("CB-1", &[]);
    let transaction = daemon.until_charging("left", 16.0);
    daemon.until("a queue", |it| {
        it.evse("left")["gateway"]["queued"].as_u64() > Some(0)
    });
    let fewer = evses.replacen("max-current = 16", "max-current = 13", 1);
    assert_eq!(daemon.reload_with("", &fewer).status.code(), Some(0));
    assert!(daemon.evse("left")["gateway"]["queued"].as_u64() > Some(0));
    let _backend = simulate(&["backend", "--listen", &at]);
    daemon.until("delivery", |it| {
        let gateway = &it.evse("left")["gateway"];
        gateway["state"] == "accepted" && gateway["queued"] == 0
    });
    assert_eq!(daemon.until_charging("left", 13.0), transaction);
}

#[test]
fn the_control_socket_says_which_mistakes_there_are() {
    let daemon = Daemon::start(EVSES);
    write(&daemon.dir, daemon.port, "", "");
    let mut socket = UnixStream::connect(daemon.dir.path().join("control.sock")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(b"{\"do\":\"reload\"}\n").unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut line = String::new();
    socket.read_to_string(&mut line).unwrap();
    let answer: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&answer["ok"], &answer["misconfigured"]),
        (&false.into(), &true.into())
    );
    assert!(
        answer["error"].as_str().unwrap().contains("site.toml"),
        "{answer}"
    );
}
