//! `chargewarden status [--json] [--watch]`.

use std::env;
use std::io::{self, IsTerminal, Write, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::control_client::{ClientError, ControlClient, failed, output_failed};
use super::table::{Look, render, screen};
use crate::daemon::logging::colours;
use crate::site::status::StatusDocument;

/// How often `--watch` looks.
const PERIOD: Duration = Duration::from_secs(1);

/// Shows the status of the daemon: as a table, or with `json` the document as it came, one line
/// each time. With `watch` again every second until Ctrl-C.
pub fn status(socket: &Path, json: bool, watch: bool) -> ExitCode {
    let form = if json {
        Form::Document
    } else {
        Form::Table(&|_, _| {})
    };
    if watch {
        ended(until_interrupted(socket, form))
    } else {
        ended(show(socket, form, None))
    }
}

/// Shows the table every second until Ctrl-C, with what `below` draws under it.
pub(super) fn watch(socket: &Path, below: &Below) -> ExitCode {
    ended(until_interrupted(socket, Form::Table(below)))
}

/// Appends to the table.
pub(super) type Below = dyn Fn(&mut String, Look);

/// How the status is shown.
#[derive(Clone, Copy)]
enum Form<'a> {
    Document,
    Table(&'a Below),
}

fn until_interrupted(socket: &Path, form: Form<'_>) -> Result<(), Failure> {
    let interrupted = interrupt().map_err(Failure::Output)?;
    show(socket, form, Some(&interrupted))
}

fn ended(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Client(error)) => failed(&error),
        Err(Failure::Output(error)) => output_failed(&error),
    }
}

enum Failure {
    Client(ClientError),
    Output(io::Error),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

/// Once, or until `interrupted` says something.
fn show(socket: &Path, form: Form<'_>, interrupted: Option<&Receiver<()>>) -> Result<(), Failure> {
    let mut client = ControlClient::connect(socket)?;
    loop {
        let line = client.ask(&json!({ "do": "status" }))?;
        let text = match form {
            Form::Document => line + "\n",
            Form::Table(below) => {
                let document: StatusDocument =
                    serde_json::from_str(&line).map_err(|e| client.not_understood(e))?;
                table(&document, below, interrupted.is_some())
            }
        };
        let mut out = stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(Failure::Output)?;
        match interrupted.map(|it| it.recv_timeout(PERIOD)) {
            Some(Err(RecvTimeoutError::Timeout)) => {}
            _ => return Ok(()),
        }
    }
}

fn table(document: &StatusDocument, below: &Below, watch: bool) -> String {
    let terminal = stdout().is_terminal();
    let look = look(terminal);
    let mut text = render(document, look);
    below(&mut text, look);
    match (watch, terminal) {
        (true, true) => screen(&text),
        // Looks into a file stand apart.
        (true, false) => text + "\n",
        (false, _) => text,
    }
}

/// Asked each time: people resize their windows.
fn look(terminal: bool) -> Look {
    let width = terminal
        .then(|| rustix::termios::tcgetwinsize(stdout()).ok())
        .flatten()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0);
    Look {
        width,
        colours: colours(terminal, env::var_os("NO_COLOR").as_deref()),
    }
}

/// Ctrl-C as a message, so that it is a good end. In a thread of its own, because everything else
/// here waits.
fn interrupt() -> io::Result<Receiver<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let (sender, interrupted) = channel();
    thread::Builder::new().spawn(move || {
        // On an error the sender is dropped, which ends the watch, too.
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            let _ = sender.send(());
        }
    })?;
    Ok(interrupted)
}
