//! What TLS costs. How late a timer of the daemon is while 200 wallboxes begin TLS at the same moment,
//! as after a power cut: at most 100 ms. And what an idle wallbox on `wss://` takes of the memory of
//! the real program, beside one on `ws://`: at most 40 KiB. Needs the command `openssl` for RSA keys.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]
#![expect(clippy::disallowed_methods, reason = "a stopwatch needs a clock")]

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use chargewarden::certificates::Trust;
use chargewarden::config;
use chargewarden::daemon::Daemon;
use chargewarden::net::client::TlsClient;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::sleep;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// All at once.
const HANDSHAKES: usize = 200;

/// A timer may be so late meanwhile.
const LATE: Duration = Duration::from_millis(100);

/// The tick that is measured.
const TICK: Duration = Duration::from_millis(5);

/// Wallboxes that say nothing.
const IDLE: usize = 500;

/// What each of them may take.
const KIB: usize = 40;

/// So many come together.
const TOGETHER: usize = 50;

fn main() -> ExitCode {
    match measure() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Outcome<bool> {
    println!("{HANDSHAKES} handshakes at once | all done in | latest tick");
    let mut holds = true;
    for (name, key) in [
        ("none, for comparison", None),
        ("EC P-256", Some(["ec", "ec_paramgen_curve:P-256"])),
        ("RSA, 2048 bits", Some(["rsa", "rsa_keygen_bits:2048"])),
        ("RSA, 4096 bits", Some(["rsa", "rsa_keygen_bits:4096"])),
    ] {
        let (done, late) = storm(key)?;
        println!("{name:24} | {done:>11.1?} | {late:>11.1?}");
        holds &= late <= LATE;
    }
    println!("must: every tick <= {LATE:?} late");
    println!("{IDLE} idle wallboxes | of each");
    for scheme in ["ws", "wss"] {
        let bytes = idle(scheme == "wss")?;
        println!("{scheme:18} | {:5.1} KiB", kib(bytes));
        holds &= bytes <= KIB * 1024;
    }
    println!("must: <= {KIB} KiB");
    Ok(holds)
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn kib(bytes: usize) -> f64 {
    bytes as f64 / 1024.0
}

/// A site with so many wallboxes; `keys` are lines of `[ocpp-server]`.
fn site(directory: &Path, wallboxes: usize, keys: &str) -> Outcome<std::path::PathBuf> {
    let mut text = format!(
        "[manager]\nstate-dir = \"state\"\ncontrol-socket = \"control.sock\"\n[ocpp-server]\n\
         address = \"127.0.0.1\"\n{keys}\n[[circuit]]\nname = \"house\"\nmax-current = 315\n"
    );
    for n in 0..wallboxes {
        write!(
            text,
            "[[evse]]\nname = \"e{n}\"\ndevice = \"ocpp1.6\"\naddress = \"CB-{n}\"\n\
             circuit = \"house\"\nmax-current = 16\n"
        )?;
    }
    let path = directory.join("site.toml");
    fs::write(&path, text)?;
    Ok(path)
}

/// Lets wallboxes come to a daemon with such a key. When all were in, and the latest tick.
fn storm(key: Option<[&'static str; 2]>) -> Outcome<(Duration, Duration)> {
    let directory = TempDir::new()?;
    let mut keys = "";
    if let Some([algorithm, option]) = key {
        keys = "certificate = \"a.crt\"\nprivate-key = \"a.key\"\n";
        let made = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-days", "90", "-subj", "/CN=a"])
            .args(["-newkey", algorithm, "-pkeyopt", option])
            .args(["-keyout", "a.key", "-out", "a.crt"])
            .current_dir(directory.path())
            .stderr(Stdio::null())
            .status()?;
        if !made.success() {
            return Err("openssl makes no key".into());
        }
    }
    let (mut config, _) =
        config::load(&site(directory.path(), 2, keys)?).map_err(|problems| problems.to_string())?;
    config.server.port = 0;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let daemon = Daemon::start(&config, None)?;
        let port = daemon.port();
        let start = Instant::now();
        let clients = thread::spawn(move || {
            if key.is_some() {
                return shake_hands(port);
            }
            thread::sleep(Duration::from_millis(500));
            Ok(())
        });
        let mut latest = Duration::ZERO;
        while !clients.is_finished() {
            let due = Instant::now() + TICK;
            sleep(TICK).await;
            latest = latest.max(due.elapsed());
        }
        let done = start.elapsed();
        clients.join().map_err(|_| "a client panicked")??;
        daemon.stop().await;
        Ok((done, latest))
    })
}

/// In a thread of its own: what the clients calculate is not the daemon's.
fn shake_hands(port: u16) -> Outcome<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let tls = TlsClient::new(Trust::Anyone, None)?;
        let together = Arc::new(Barrier::new(HANDSHAKES));
        let mut clients = JoinSet::new();
        for _ in 0..HANDSHAKES {
            let (tls, together) = (tls.clone(), together.clone());
            clients.spawn(async move {
                let stream = TcpStream::connect(("127.0.0.1", port)).await?;
                together.wait().await;
                tls.connect("127.0.0.1", stream).await
            });
        }
        let all = clients.join_all().await;
        all.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(())
    })
}

/// What each idle wallbox takes of the memory of the program, in bytes.
fn idle(tls: bool) -> Outcome<usize> {
    let directory = TempDir::new()?;
    let port = free_port()?;
    let path = site(directory.path(), IDLE, &format!("port = {port}\n"))?;
    let mut program = Command::new(env!("CARGO_BIN_EXE_chargewarden"))
        .args(["run", "--config"])
        .arg(&path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let grown = Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(grown(&program, port, tls));
    let ended = end(&mut program);
    let grown = grown?;
    ended?;
    Ok(grown / IDLE)
}

fn free_port() -> Outcome<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}

fn end(program: &mut Child) -> Outcome<()> {
    program.kill()?;
    program.wait()?;
    Ok(())
}

async fn grown(program: &Child, port: u16, tls: bool) -> Outcome<usize> {
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        sleep(Duration::from_millis(20)).await;
    }
    // One of each kind first: what is needed once is not a wallbox's.
    let client = TlsClient::new(Trust::Anyone, None)?;
    drop(wallbox(port, 0, client.clone(), tls).await?);
    settle().await;
    let before = resident(program)?;
    let mut connected = Vec::new();
    for group in (0..IDLE).step_by(TOGETHER) {
        let mut coming = JoinSet::new();
        for n in group..group + TOGETHER {
            coming.spawn(wallbox(port, n, client.clone(), tls));
        }
        for came in coming.join_all().await {
            connected.push(came?);
        }
    }
    settle().await;
    let after = resident(program)?;
    drop(connected);
    Ok(after.saturating_sub(before))
}

async fn settle() {
    sleep(Duration::from_secs(2)).await;
}

trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Connects, asks for the upgrade, and says nothing more.
async fn wallbox(
    port: u16,
    n: usize,
    client: TlsClient,
    tls: bool,
) -> Outcome<Box<dyn Connection>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut connection: Box<dyn Connection> = if tls {
        Box::new(client.connect("127.0.0.1", stream).await?)
    } else {
        Box::new(stream)
    };
    let request = format!(
        "GET /CB-{n} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).await?;
    let mut head = [0; 12];
    connection.read_exact(&mut head).await?;
    if head == *b"HTTP/1.1 101" {
        Ok(connection)
    } else {
        Err("the upgrade was refused".into())
    }
}

/// Memory of the program that is in use, in bytes.
fn resident(program: &Child) -> Outcome<usize> {
    let status = fs::read_to_string(format!("/proc/{}/status", program.id()))?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let number = line.and_then(|it| it.trim().strip_suffix(" kB"));
    Ok(number.ok_or("no VmRSS")?.parse::<usize>()? * 1024)
}
