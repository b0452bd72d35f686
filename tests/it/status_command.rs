//! `chargewarden status` and `evse` against something that answers like a daemon.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use chargewarden::cli::evse::evse;
use chargewarden::cli::status::status;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::child::{self, Running};

const STATUS: &str = r#"{"ok":true,"version":"9.9.9","load_management":"control","uptime_s":1.50,"ocpp_server":{"port":19520,"tls":"off","connections":0},"circuits":[],"meters":[],"evses":[],"unknown_charge_points":[],"errors":[]}"#;

/// Answers every `status`, and every other request with a refusal that repeats it.
fn daemon() -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(&stream));
        }
    });
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

fn answer(mut stream: &UnixStream) {
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let answer = match line.as_str() {
            r#"{"do":"status"}"# => STATUS.to_owned(),
            r#"{"do":"disable","evse":"a"}"# => r#"{"ok":true}"#.to_owned(),
            other => serde_json::json!({ "ok": false, "error": other }).to_string(),
        };
        if writeln!(stream, "{answer}").is_err() {
            return;
        }
    }
}

/// Runs the command in a child, because it writes to the process's own output.
fn run(name: &str, purpose: &str) -> (String, String) {
    let output = child::command(name, purpose)
        .stderr(std::process::Stdio::piped())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

fn exit(code: impl Into<ExitCode>) -> String {
    format!("exit {:?}", code.into())
}

#[test]
fn the_status_is_a_table_or_the_document_as_it_came() {
    if let Some(purpose) = child::purpose() {
        let (kind, path) = purpose.split_once(' ').unwrap();
        println!("{}", exit(status(Path::new(path), kind == "json", false)));
        return;
    }
    let name = "status_command::the_status_is_a_table_or_the_document_as_it_came";
    let (_dir, path) = daemon();
    let (table, _) = run(name, &format!("table {path}"));
    assert!(
        table.contains("chargewarden 9.9.9 · load management: control"),
        "{table}"
    );
    assert!(
        table.contains(&exit(0)) && !table.contains('\x1b'),
        "{table}"
    );
    let (json, _) = run(name, &format!("json {path}"));
    assert!(json.lines().any(|line| line == STATUS), "{json}");
    let (out, err) = run(name, "table /nowhere/absent.sock");
    assert!(out.contains(&exit(69)), "{out}");
    assert_eq!(
        err,
        "error: no daemon can be reached at /nowhere/absent.sock: No such file or directory (os \
         error 2)\n  help: start it (systemctl start chargewarden), or name its socket with \
         --socket\n"
    );
}

#[test]
fn an_evse_is_switched_and_a_refusal_is_shown() {
    if let Some(purpose) = child::purpose() {
        let (name, path) = purpose.split_once(' ').unwrap();
        println!("{}", exit(evse(Path::new(path), name, false)));
        return;
    }
    let name = "status_command::an_evse_is_switched_and_a_refusal_is_shown";
    let (_dir, path) = daemon();
    let (out, _) = run(name, &format!("a {path}"));
    assert!(
        out.contains("a: disabled\n") && out.contains(&exit(0)),
        "{out}"
    );
    let (out, err) = run(name, &format!("b {path}"));
    assert!(out.contains(&exit(2)), "{out}");
    assert!(
        err.contains(r#"the daemon refuses: {"do":"disable","evse":"b"}"#),
        "{err}"
    );
}

#[test]
fn a_watch_looks_again_and_again_until_ctrl_c_which_is_a_good_end() {
    if let Some(path) = child::purpose() {
        println!("{}", exit(status(Path::new(&path), false, true)));
        return;
    }
    let name = "status_command::a_watch_looks_again_and_again_until_ctrl_c_which_is_a_good_end";
    let (_dir, path) = daemon();
    let mut child = Running(child::command(name, &path).spawn().unwrap());
    let mut out = BufReader::new(child.0.stdout.take().unwrap());
    let mut looks = 0;
    while looks < 2 {
        let mut line = String::new();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "it ended by itself");
        looks += usize::from(line.contains("chargewarden 9.9.9"));
    }
    let pid = Pid::from_child(&child.0);
    kill_process(pid, Signal::INT).unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(rest.contains(&exit(0)), "{rest}");
    assert!(child.0.wait().unwrap().success());
}
