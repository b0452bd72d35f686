//! Where passwords must not show: everything that the real binary says while it says the most.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::child::Running;

const BINARY: &str = env!("CARGO_BIN_EXE_chargewarden");

/// So that a test ends also when it fails.
const PATIENCE: Duration = Duration::from_secs(20);

const OURS: &str = "ours-it-is-0123456789";
const WRONG: &str = "wrong-it-is-0123456789";
const NEW: &str = "new-it-is-0123456789";
/// Frames with a secret in them, however it is written and called.
const OTHERS: [&str; 7] = [
    r#"[2,"2","ChangeConfiguration",{"key":" authorizationKEY","value":"SECRET"}]"#,
    r#"[2,"3","ChangeConfiguration",{"key":"Authorization\u004bey","value":"SECRET"}]"#,
    r#"[2,"4","ChangeConfiguration",{"key":"BasicAuthPassword","value":"SECRET"}]"#,
    r#"[2,"5","GetDiagnostics",{"location":"ftp://user:SECRET@h.example/"}]"#,
    r#"[2,"6","ChangeConfiguration",{"key":"AuthorizationKey","value":["SECRET"]}]"#,
    r#"[2,"7","ChangeConfiguration",{"key":"AuthorizationKey","value":"SECRET""#,
    r#"[2,"8","DataTransfer",{"vendorId":"the last one"}]"#,
];
const TO_THE_BACKEND: &str = "the-backend-knows-it-0123";

/// Asks for the upgrade with this password. The first line of the answer tells.
fn upgrade(port: u16, password: &str) -> (TcpStream, bool) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let basic = STANDARD.encode(format!("CB-1:{password}"));
    write!(
        stream,
        "GET /CB-1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: ocpp1.6\r\nAuthorization: Basic {basic}\r\n\r\n"
    )
    .unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    (stream, head == *b"HTTP/1.1 101")
}

/// One text frame of a client.
fn send(stream: &mut TcpStream, text: &str) {
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 126);
    let head = [0x81, 0x80 | length, 0, 0, 0, 0];
    stream
        .write_all(&[&head, text.as_bytes()].concat())
        .unwrap();
}

#[test]
fn no_password_shows_in_the_log_at_any_level_nor_in_status_check_or_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let backend = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let there = backend.local_addr().unwrap();
    let port = {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        free.local_addr().unwrap().port()
    };
    let site = dir.path().join("site.toml");
    let text = format!(
        r#"
[manager]
state-dir = "state"
control-socket = "control.sock"
[log]
level = "trace"
[ocpp-server]
address = "127.0.0.1"
port = {port}
password = "{OURS}"
[[circuit]]
name = "house"
max-current = 32
[[evse]]
name = "left"
device = "ocpp1.6"
address = "CB-1"
max-current = 16
[evse.gateway]
url = "ws://{there}/ocpp"
client-id = "B"
password-file = "password"
"#
    );
    fs::write(&site, &text).unwrap();
    fs::write(dir.path().join("password"), TO_THE_BACKEND).unwrap();
    let run = |words: &[&str]| {
        let mut command = Command::new(BINARY);
        let output = command
            .args(words)
            .current_dir(dir.path())
            .output()
            .unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let mut said = run(&["check", "--config", "site.toml"]);
    let log = dir.path().join("log");
    let process = Command::new(BINARY)
        .args(["run", "--config"])
        .arg(&site)
        .stdin(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .spawn();
    let process = Running(process.unwrap());
    let logged = |part: &str| {
        let begin = Instant::now();
        while !fs::read_to_string(&log).unwrap().contains(part) {
            assert!(begin.elapsed() < PATIENCE, "never in the log: {part}");
            sleep(Duration::from_millis(10));
        }
    };
    logged("chargewarden is running");

    assert!(!upgrade(port, WRONG).1);
    let (mut wallbox, is_in) = upgrade(port, OURS);
    assert!(is_in);
    let boot = r#"{"chargePointVendor":"a","chargePointModel":"b"}"#;
    send(
        &mut wallbox,
        &format!(r#"[2,"0","BootNotification",{boot}]"#),
    );
    let members = format!(r#"{{"key":"AuthorizationKey","value":"{NEW}"}}"#);
    send(
        &mut wallbox,
        &format!(r#"[2,"1","ChangeConfiguration",{members}]"#),
    );
    for frame in OTHERS {
        send(&mut wallbox, frame);
    }
    logged("the last one");
    let (mut dialled, _) = backend.accept().unwrap();
    let mut request = [0; 16];
    dialled.read_exact(&mut request).unwrap();

    said += &run(&["status", "--json", "--socket", "control.sock"]);
    fs::write(
        &site,
        text.replace("max-current = 32", "max-current = \"?\""),
    )
    .unwrap();
    said += &run(&["reload", "--socket", "control.sock"]);
    drop(process);
    said += &fs::read_to_string(&log).unwrap();
    for secret in [OURS, WRONG, NEW, TO_THE_BACKEND, "SECRET"] {
        assert!(!said.contains(secret), "{secret}");
        for id in ["CB-1", "B"] {
            assert!(!said.contains(&STANDARD.encode(format!("{id}:{secret}"))));
        }
    }
}
