//! What the daemon is to the system that runs it: systemd's protocol, and a log that nobody reads.

use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

use chargewarden::config::LogFormat;
use chargewarden::daemon::logging;
use chargewarden::daemon::systemd;

use crate::child;

#[test]
fn systemd_is_told_of_the_start_the_life_and_the_end() {
    if child::purpose().is_some() {
        systemd::ready();
        systemd::feed_watchdog();
        systemd::stopping();
        let period = systemd::watchdog_period();
        println!("period {period:?}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let name = "service::systemd_is_told_of_the_start_the_life_and_the_end";
    let output = child::command(name, "notify")
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "30000000")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("period Some(15s)"));
    for expected in ["READY=1\n", "WATCHDOG=1\n", "STOPPING=1\n"] {
        let mut message = [0; 64];
        let length = socket.recv(&mut message).unwrap();
        assert_eq!(str::from_utf8(&message[..length]).unwrap(), expected);
    }
}

#[test]
fn a_log_that_cannot_be_written_ends_nothing() {
    if let Some(format) = child::purpose() {
        let format = match format.as_str() {
            "json" => LogFormat::Json,
            _ => LogFormat::Text,
        };
        logging::init(format, "trace").unwrap();
        for n in 0..100 {
            tracing::error!(n, "nobody reads this");
        }
        println!("alive");
        return;
    }
    for format in ["text", "json"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = child::command("service::a_log_that_cannot_be_written_ends_nothing", format)
            .stderr(Stdio::from(writer))
            .output()
            .unwrap();
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("alive"),
            "{format}"
        );
    }
}

#[test]
fn a_log_that_is_no_terminal_has_no_colours() {
    if child::purpose().is_some() {
        logging::init(LogFormat::Auto, "info").unwrap();
        tracing::info!(evse = "garage-left", "a message");
        tracing::debug!("not this one");
        return;
    }
    let output = child::command("service::a_log_that_is_no_terminal_has_no_colours", "log")
        // As a shell in a service has it: inherited, and not what stderr is.
        .env("JOURNAL_STREAM", "1:1")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(
        log.contains(" INFO ") && log.contains("a message evse=\"garage-left\""),
        "{log}"
    );
    assert!(
        !log.contains("not this one") && !log.contains('\x1b'),
        "{log}"
    );
}
