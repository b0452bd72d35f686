//! The control socket: what sockets do. What the lines mean is tested in `site::control`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chargewarden::daemon::control::{ControlError, ControlSocket, MAX_CLIENTS, MAX_LINE};
use chargewarden::daemon::field::Field;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// So that a test ends also when it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A control socket with a site behind it that says most lines back; see [`echo`].
struct Daemon {
    path: PathBuf,
    cancel: CancellationToken,
    socket: JoinHandle<()>,
    _dir: TempDir,
}

impl Daemon {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/control.sock");
        let (field, site) = mpsc::channel(4);
        let cancel = CancellationToken::new();
        let socket = ControlSocket::bind(&path).unwrap();
        tokio::task::spawn(echo(site));
        Self {
            path,
            socket: tokio::task::spawn(socket.run(field, cancel.clone())),
            cancel,
            _dir: dir,
        }
    }

    async fn client(&self) -> Client {
        Client(BufReader::new(
            UnixStream::connect(&self.path).await.unwrap(),
        ))
    }
}

async fn echo(mut site: mpsc::Receiver<Field>) {
    let mut unanswered = Vec::new();
    while let Some(field) = site.recv().await {
        match field {
            Field::Control { line, answer } if line == "never" => unanswered.push(answer),
            Field::Control { line, answer } if line == "large" => {
                let _ = answer.send("x".repeat(8 << 20));
            }
            Field::Control { line, answer } if line == "panic" => drop(answer),
            Field::Control { line, answer } => {
                let _ = answer.send(line);
            }
            other => panic!("{other:?}"),
        }
    }
}

struct Client(BufReader<UnixStream>);

impl Client {
    async fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.unwrap();
    }

    /// The next line without its end; empty when the connection is closed.
    async fn read(&mut self) -> String {
        let mut line = String::new();
        timeout(PATIENCE, self.0.read_line(&mut line))
            .await
            .expect("an answer")
            .unwrap_or_default();
        line.trim_end().to_owned()
    }

    async fn ask(&mut self, line: &str) -> String {
        self.write(format!("{line}\n").as_bytes()).await;
        self.read().await
    }

    async fn read_error(&mut self) -> String {
        let line = self.read().await;
        let answer: Value = serde_json::from_str(&line).expect(&line);
        assert_eq!(answer["ok"], false);
        answer["error"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn many_lines_on_one_connection_are_answered_in_order() {
    let daemon = Daemon::start();
    let mut client = daemon.client().await;
    assert_eq!(client.ask(r#"{"do":"status"}"#).await, r#"{"do":"status"}"#);
    client.write(b"one\r\ntwo\n\nfo").await;
    for expected in ["one", "two", ""] {
        assert_eq!(client.read().await, expected);
    }
    client.write(b"ur").await;
    // The end of what a client sends ends its last line, too.
    client.0.get_mut().shutdown().await.unwrap();
    assert_eq!(client.read().await, "four");
    assert_eq!(client.read().await, "");
}

#[tokio::test]
async fn a_line_that_is_no_text_is_answered_and_the_next_one_is_heard() {
    let daemon = Daemon::start();
    let mut client = daemon.client().await;
    client.write(b"\xff\xfe\n").await;
    assert!(client.read_error().await.contains("UTF-8"));
    assert_eq!(client.ask("next").await, "next");
}

#[tokio::test]
async fn a_line_may_be_64_kib_long_and_no_longer() {
    let daemon = Daemon::start();
    let mut client = daemon.client().await;
    let longest = "x".repeat(MAX_LINE);
    assert_eq!(client.ask(&longest).await, longest);
    client.write(&vec![b'x'; MAX_LINE + 1]).await;
    assert!(client.read_error().await.contains("65536 bytes"));
    assert_eq!(client.read().await, "");
}

#[tokio::test]
async fn clients_that_say_nothing_or_do_not_read_hold_up_nobody() {
    let daemon = Daemon::start();
    let mut others = Vec::new();
    for _ in 1..MAX_CLIENTS {
        let mut client = daemon.client().await;
        match others.len() % 4 {
            0 => client.write(b"half a li").await,
            1 => client.write(b"never\n").await,
            2 => client.write(b"large\n").await,
            _ => {}
        }
        others.push(client);
    }
    assert_eq!(daemon.client().await.ask("me").await, "me");
}

#[tokio::test]
async fn one_client_too_many_is_told_so_until_another_leaves() {
    let daemon = Daemon::start();
    let mut clients = Vec::new();
    for _ in 0..MAX_CLIENTS {
        let mut client = daemon.client().await;
        assert_eq!(client.ask("here").await, "here");
        clients.push(client);
    }
    let mut refused = daemon.client().await;
    assert!(refused.read_error().await.contains("32 clients"));
    assert_eq!(refused.read().await, "");
    clients.pop();
    let served = async {
        while daemon.client().await.ask("me").await != "me" {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, served).await.expect("room for one");
}

#[tokio::test]
async fn a_request_that_the_site_drops_is_answered_all_the_same() {
    let daemon = Daemon::start();
    let mut client = daemon.client().await;
    client.write(b"panic\n").await;
    assert!(client.read_error().await.contains("about to end"));
}

#[tokio::test]
async fn owner_and_group_may_connect_and_nobody_else() {
    let daemon = Daemon::start();
    let mode = fs::metadata(&daemon.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[tokio::test]
async fn the_end_closes_connections_also_waiting_ones_and_removes_the_file() {
    let daemon = Daemon::start();
    let mut client = daemon.client().await;
    client.write(b"never\n").await;
    daemon.cancel.cancel();
    timeout(PATIENCE, daemon.socket)
        .await
        .expect("an end")
        .unwrap();
    assert_eq!(client.read().await, "");
    assert!(!daemon.path.exists());
}

fn socket_in(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}

#[tokio::test]
async fn the_socket_of_a_killed_daemon_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = socket_in(dir.path());
    // Closing it does not remove the file, and neither does kill -9.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let _socket = ControlSocket::bind(&path).unwrap();
    UnixStream::connect(&path).await.unwrap();
}

#[tokio::test]
async fn the_socket_of_a_living_daemon_is_left_alone() {
    let daemon = Daemon::start();
    let error = ControlSocket::bind(&daemon.path).unwrap_err();
    assert!(matches!(error, ControlError::InUse { .. }), "{error:?}");
    assert_eq!(daemon.client().await.ask("alive?").await, "alive?");
}

#[tokio::test]
async fn a_living_daemon_that_accepts_nobody_is_left_alone_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = socket_in(dir.path());
    let socket = ControlSocket::bind(&path).unwrap();
    let mut waiting = Vec::new();
    // Until the backlog is full, where a waiting connect would hang.
    while let Ok(Ok(stream)) = timeout(Duration::from_millis(50), UnixStream::connect(&path)).await
    {
        waiting.push(stream);
    }
    let error = ControlSocket::bind(&path).unwrap_err();
    assert!(matches!(error, ControlError::InUse { .. }), "{error:?}");
    drop(socket);
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_not_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let path = socket_in(dir.path());
    fs::write(&path, "precious").unwrap();
    let error = ControlSocket::bind(&path).unwrap_err();
    assert!(
        matches!(error, ControlError::NotASocket { .. }),
        "{error:?}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[tokio::test]
async fn a_daemon_does_not_remove_the_socket_of_its_successor() {
    let dir = tempfile::tempdir().unwrap();
    let path = socket_in(dir.path());
    let old = ControlSocket::bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let _new = ControlSocket::bind(&path).unwrap();
    drop(old);
    UnixStream::connect(&path).await.unwrap();
}

#[tokio::test]
async fn a_path_that_is_too_long_for_a_socket_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x".repeat(200));
    let error = ControlSocket::bind(&path).unwrap_err();
    assert!(matches!(error, ControlError::Path { .. }), "{error:?}");
}
