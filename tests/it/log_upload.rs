//! A backend that wants our log, and the server that it names: both played by the test, over
//! loopback, with the whole daemon in between.

use std::time::Duration;

use chargewarden::config;
use chargewarden::daemon::Daemon;
use chargewarden::net::tls::TlsServer;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::backend_sockets::lab::{Call, PROTOCOL, Server, header};
use crate::certificates::openssl::{Kind, LEAF, ROOT, Workshop};
use crate::server_sockets::lab::{Client, Log, soon};

/// The wait between two attempts is ten seconds at least.
const PATIENCE: Duration = Duration::from_secs(40);

const PASSWORD: &str = "the-backend-knows-it-0123";
const NEW_PASSWORD: &str = "0123456789abcdef-new";
const TAG: &str = "04A1B2C3D4E5F6";

/// "left" is played by us, and nobody answers at its address; "right" is nobody's business.
const SITE: &str = r#"
[manager]
state-dir = "state"
control-socket = "control.sock"
[ocpp-server]
address = "127.0.0.1"
[[circuit]]
name = "house"
max-current = 32
[[evse]]
name = "left"
device = "power-brain"
address = "127.0.0.1:9"
max-current = 16
[evse.gateway]
url = "URL"
client-id = "B*1"
password = "PASSWORD"
vendor = "cFos"
model = "Power Brain"
upload-log = true
[[evse]]
name = "right"
device = "ocpp1.6"
address = "CB-1"
max-current = 16
"#;

/// A daemon, and its backend.
struct Desk {
    daemon: Daemon,
    socket: WebSocketStream<TcpStream>,
    /// What the backend was told, in this order.
    told: Vec<(String, Value)>,
    _dir: TempDir,
}

impl Desk {
    async fn new(site: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::within(dir, site).await
    }

    async fn within(dir: TempDir, site: &str) -> Self {
        let backend = Server::new().await;
        let site = site.replace("URL", &backend.url());
        let file = dir.path().join("site.toml");
        std::fs::write(&file, site.replace("PASSWORD", PASSWORD)).unwrap();
        let (mut config, _) = config::load(&file).unwrap();
        config.server.port = 0;
        let daemon = Daemon::start(&config, None).unwrap();
        let socket = backend.call().await.upgrade(PROTOCOL, b"").await;
        let mut desk = Self {
            daemon,
            socket,
            told: Vec::new(),
            _dir: dir,
        };
        desk.until("BootNotification", |_| true).await;
        desk
    }

    /// Takes the next frame; returns it if it is an answer, and answers it otherwise.
    async fn frame(&mut self) -> Option<Value> {
        let message = timeout(PATIENCE, self.socket.next()).await;
        let message = message.expect("a frame in time").expect("no end").unwrap();
        let Message::Text(text) = message else {
            return None;
        };
        let frame: Value = serde_json::from_str(&text).unwrap();
        if frame[0] != 2 {
            return Some(frame);
        }
        let action = frame[2].as_str().unwrap().to_owned();
        let answer = match action.as_str() {
            "BootNotification" => {
                json!({"status": "Accepted", "currentTime": "2026-11-22T10:00:00Z", "interval": 300})
            }
            _ => json!({}),
        };
        let answer = json!([3, frame[1], answer]).to_string();
        self.socket.send(Message::text(answer)).await.unwrap();
        self.told.push((action, frame[3].clone()));
        None
    }

    /// Listens until this was told, which may have been before.
    async fn until(&mut self, action: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let mut told = self.told.iter();
            if let Some((_, payload)) = told.find(|(it, payload)| it == action && is_it(payload)) {
                return payload.clone();
            }
            self.frame().await;
        }
    }

    async fn command(&mut self, action: &str, payload: Value) -> Value {
        let command = json!([2, format!("b{}", self.told.len()), action, payload]);
        let command = Message::text(command.to_string());
        self.socket.send(command).await.unwrap();
        loop {
            if let Some(answer) = self.frame().await {
                return answer[2].clone();
            }
        }
    }

    /// Wants a log, with one attempt; returns the name of the file.
    async fn wants(&mut self, request: i64, log_type: &str, to: &str) -> String {
        let answer = self.command("GetLog", wanted(request, log_type, to)).await;
        assert_eq!(answer["status"], "Accepted", "{answer}");
        answer["filename"].as_str().unwrap().to_owned()
    }

    /// The statuses of this upload, when it has come to its end.
    async fn end_of(&mut self, request: i64) -> Vec<String> {
        let is_end = |it: &Value| it["requestId"] == request && it["status"] != "Uploading";
        self.until("LogStatusNotification", is_end).await;
        let of_logs = self
            .told
            .iter()
            .filter(|(it, _)| it == "LogStatusNotification");
        of_logs
            .filter(|(_, payload)| payload["requestId"] == request)
            .map(|(_, payload)| payload["status"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn wanted(request: i64, log_type: &str, to: &str) -> Value {
    let log = json!({ "remoteLocation": to });
    json!({"log": log, "logType": log_type, "requestId": request, "retries": 0})
}

/// Takes one file; returns the head of the request and the file.
async fn take<S: AsyncRead + AsyncWrite + Unpin>(stream: S, answer: &str) -> (String, String) {
    let mut call = Call::read(stream).await;
    let length = header(&call.request, "Content-Length").parse().unwrap();
    let mut file = vec![0; length];
    let read = call.stream.read_exact(&mut file);
    soon("the file", read).await.unwrap();
    call.stream.write_all(answer.as_bytes()).await.unwrap();
    call.stream.flush().await.unwrap();
    (call.request, String::from_utf8(file).unwrap())
}

const CREATED: &str = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";

/// What a server does, and what the backend hears of it.
async fn outcome(desk: &mut Desk, request: i64, answer: &str) -> Vec<String> {
    let web = Server::new().await;
    let to = format!("http://127.0.0.1:{}/file", web.port());
    desk.wants(request, "SecurityLog", &to).await;
    take(web.tcp().await, answer).await;
    assert!(web.is_left_alone().await, "one attempt");
    desk.end_of(request).await
}

#[tokio::test]
async fn the_log_of_a_charge_point_goes_where_its_backend_wants_it_and_holds_no_secret() {
    let log = Log::catch();
    let mut desk = Desk::new(SITE).await;
    let stream = TcpStream::connect(("127.0.0.1", desk.daemon.port()));
    let mut wallbox = Client(stream.await.unwrap());
    wallbox.upgrade("CB-1").await;
    let key = json!({"key": "AuthorizationKey", "value": NEW_PASSWORD});
    let answer = desk.command("ChangeConfiguration", key).await;
    assert_eq!(answer["status"], "Accepted");
    desk.command(
        "RemoteStartTransaction",
        json!({"connectorId": 1, "idTag": TAG}),
    )
    .await;
    let event = |it: &Value| it["type"] == "ReconfigurationOfSecurityParameters";
    desk.until("SecurityEventNotification", event).await;

    let web = Server::new().await;
    let to = format!(
        "http://us%65r:hush@127.0.0.1:{}/in/?token=hidden",
        web.port()
    );
    let name = desk.wants(7, "DiagnosticsLog", &to).await;
    assert!(name.starts_with("chargewarden_B_1_"), "{name}");
    let (head, file) = take(web.tcp().await, CREATED).await;
    let first = format!("PUT /in/{name}?token=hidden HTTP/1.1\r\n");
    assert!(head.starts_with(&first), "{head}");
    assert_eq!(header(&head, "Authorization"), "Basic dXNlcjpodXNo");
    assert!(header(&head, "Content-Type").starts_with("text/plain"));
    assert_eq!(desk.end_of(7).await, ["Uploading", "Uploaded"]);
    let version = env!("CARGO_PKG_VERSION");
    let begin = format!("chargewarden {version} DiagnosticsLog of B*1 from ");
    assert!(file.starts_with(&begin), "{file}");
    for part in [
        " WARN a wallbox is not reached evse=left ",
        " INFO the backend accepted this charge point ",
        " security_event=StartupOfTheDevice",
        " security_event=ReconfigurationOfSecurityParameters",
        " INFO the backend wants our log ",
    ] {
        assert!(file.contains(part), "{part} is not in {file}");
    }

    desk.wants(8, "SecurityLog", &to).await;
    let (_, security) = take(web.tcp().await, CREATED).await;
    assert_eq!(desk.end_of(8).await, ["Uploading", "Uploaded"]);
    assert!(security.lines().count() > 1, "{security}");
    let mut lines = security.lines().skip(1);
    assert!(
        lines.all(|line| line.contains(" security_event=")),
        "{security}"
    );

    let all = log.text();
    assert!(all.contains("CB-1") && all.contains(&format!("http://127.0.0.1:{}/in/", web.port())));
    for foreign in ["CB-1", "right", TAG] {
        assert!(!file.contains(foreign), "{foreign} is in {file}");
    }
    for secret in [PASSWORD, NEW_PASSWORD, "hush", "hidden", "dXNlcjpodXNo"] {
        assert!(!file.contains(secret), "{secret} is in {file}");
        assert!(!all.contains(secret), "{secret} is in {all}");
    }
    soon("the end", desk.daemon.stop()).await;
}

#[tokio::test]
async fn over_https_the_server_must_come_from_where_the_backend_comes_from() {
    let log = Log::catch();
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", ROOT, Kind::Ec);
    let other = shop.own("other", "/CN=other", ROOT, Kind::Ec);
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(&root.certificate, dir.path().join("root.crt")).unwrap();
    let site = SITE.replace("upload-log", "ca = [\"root.crt\"]\nupload-log");
    let mut desk = Desk::within(dir, &site).await;
    for (request, by, end) in [(1, &root, "Uploaded"), (2, &other, "UploadFailure")] {
        let shown = shop.issue(by, "web", "/CN=web", LEAF, Kind::Ec);
        let tls = TlsServer::new(&shown.identity(), None).unwrap();
        let web = Server::new().await;
        let to = format!("https://127.0.0.1:{}/file", web.port());
        desk.wants(request, "DiagnosticsLog", &to).await;
        let met = soon("TLS", tls.accept(web.tcp().await)).await;
        if end == "Uploaded" {
            let (head, file) = take(met.unwrap(), CREATED).await;
            assert!(head.starts_with("PUT /file HTTP/1.1\r\n"), "{head}");
            assert!(file.contains("client_id=B*1"), "{file}");
        } else if let Ok(mut met) = met {
            let mut said = Vec::new();
            let _ = soon("its end", met.read_to_end(&mut said)).await;
            assert!(said.is_empty(), "a stranger was sent something");
        }
        assert_eq!(desk.end_of(request).await, ["Uploading", end]);
    }
    assert!(log.text().contains("which is not in ca"), "{}", log.text());
    soon("the end", desk.daemon.stop()).await;
}

#[tokio::test]
async fn what_the_server_says_is_what_the_backend_hears() {
    let mut desk = Desk::new(SITE).await;
    let elsewhere = Server::new().await;
    let redirect = format!(
        "HTTP/1.1 307 There\r\nLocation: {}\r\n\r\n",
        elsewhere.url()
    );
    for (request, answer, end) in [
        (1, "HTTP/1.1 204 No Content\r\n\r\n", "Uploaded"),
        (
            2,
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            "Uploaded",
        ),
        (3, "HTTP/1.1 401 Who?\r\n\r\n", "PermissionDenied"),
        (4, "HTTP/1.1 403 No\r\n\r\n", "PermissionDenied"),
        (5, "HTTP/1.1 500 Oh\r\n\r\n", "UploadFailure"),
        (6, "nonsense\r\n\r\n", "UploadFailure"),
        (7, "", "UploadFailure"),
        (8, &redirect, "UploadFailure"),
    ] {
        let said = outcome(&mut desk, request, answer).await;
        assert_eq!(said, ["Uploading", end], "{answer}");
    }
    assert!(
        elsewhere.is_left_alone().await,
        "redirects are not followed"
    );
    soon("the end", desk.daemon.stop()).await;
}

#[tokio::test]
async fn a_server_that_knows_no_put_is_asked_with_post() {
    let mut desk = Desk::new(SITE).await;
    for (request, second, end) in [
        (1, CREATED, "Uploaded"),
        (2, "HTTP/1.1 405 No\r\n\r\n", "NotSupportedOperation"),
    ] {
        let web = Server::new().await;
        let to = format!("http://127.0.0.1:{}/", web.port());
        let name = desk.wants(request, "DiagnosticsLog", &to).await;
        let (_, put) = take(web.tcp().await, "HTTP/1.1 501 What?\r\n\r\n").await;
        let (head, post) = take(web.tcp().await, second).await;
        assert!(
            head.starts_with(&format!("POST /{name} HTTP/1.1\r\n")),
            "{head}"
        );
        assert_eq!(put, post);
        assert_eq!(desk.end_of(request).await, ["Uploading", end]);
    }
    soon("the end", desk.daemon.stop()).await;
}

#[tokio::test]
async fn a_dead_server_is_tried_again_and_then_the_backend_hears_of_it() {
    let mut desk = Desk::new(SITE).await;
    let web = Server::new().await;
    let to = format!("http://127.0.0.1:{}/file", web.port());
    let mut payload = wanted(5, "DiagnosticsLog", &to);
    payload["retries"] = json!(1);
    payload["retryInterval"] = json!(0);
    let answer = desk.command("GetLog", payload).await;
    assert_eq!(answer["status"], "Accepted");
    drop(web.call().await);
    let attempts = async {
        let second = timeout(PATIENCE, web.is_called()).await;
        second.expect("a second attempt");
    };
    let (said, ()) = tokio::join!(desk.end_of(5), attempts);
    assert_eq!(said, ["Uploading", "UploadFailure"]);
    soon("the end", desk.daemon.stop()).await;
}

#[tokio::test]
async fn a_second_request_ends_the_upload_before() {
    let mut desk = Desk::new(SITE).await;
    let slow = Server::new().await;
    let to = format!("http://127.0.0.1:{}/file", slow.port());
    desk.wants(1, "DiagnosticsLog", &to).await;
    let mut silent = slow.call().await.stream;
    let web = Server::new().await;
    let to = format!("http://127.0.0.1:{}/file", web.port());
    let answer = desk
        .command("GetLog", wanted(2, "DiagnosticsLog", &to))
        .await;
    assert_eq!(answer["status"], "AcceptedCanceled");
    take(web.tcp().await, CREATED).await;
    assert_eq!(desk.end_of(2).await, ["Uploading", "Uploaded"]);
    let mut rest = Vec::new();
    let _ = soon("its end", silent.read_to_end(&mut rest)).await;
    soon("the end", desk.daemon.stop()).await;
}

#[tokio::test]
async fn nothing_is_uploaded_unless_the_configuration_says_so() {
    for (line, status) in [
        ("", "Rejected"),
        ("upload-log = false\n", "Rejected"),
        ("upload-log = true\n", "Accepted"),
    ] {
        let mut desk = Desk::new(&SITE.replace("upload-log = true\n", line)).await;
        let web = Server::new().await;
        let to = format!("http://127.0.0.1:{}/file", web.port());
        let answer = desk
            .command("GetLog", wanted(1, "DiagnosticsLog", &to))
            .await;
        assert_eq!(answer["status"], status, "{line}");
        if status == "Rejected" {
            assert!(web.is_left_alone().await);
        }
        soon("the end", desk.daemon.stop()).await;
    }
}
