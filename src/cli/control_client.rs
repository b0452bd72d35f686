//! Asks a running daemon: one line to its control socket, one line back.

use std::error::Error as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::exit;
use crate::daemon::control::connect;

/// A daemon that is well answers in milliseconds.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Longer than the status of any site.
const MAX_ANSWER: u64 = 64 << 20;

/// A connection to the control socket.
#[derive(Debug)]
pub struct ControlClient {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

/// Why there is no answer that helps.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody can be reached there.
    #[error("no daemon can be reached at {}", path.display())]
    Unreachable {
        /// The control socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The connection broke, or no answer came in time.
    #[error("the daemon at {} did not answer", path.display())]
    NoAnswer {
        /// The control socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What came is not an answer.
    #[error("what came from {} cannot be understood", path.display())]
    NotUnderstood {
        /// The control socket.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The daemon has read its configuration again and found mistakes.
    #[error("the new configuration is wrong, and nothing was changed:\n{}", .0.trim_end())]
    Misconfigured(String),
    /// The daemon says no.
    #[error("the daemon refuses: {0}")]
    Refused(String),
}

impl ClientError {
    /// What the process ends with.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Unreachable { .. } => exit::UNAVAILABLE.into(),
            Self::NoAnswer { .. } | Self::NotUnderstood { .. } => exit::IO.into(),
            Self::Misconfigured(_) => exit::CONFIG.into(),
            Self::Refused(_) => exit::USAGE.into(),
        }
    }

    /// What the person at the terminal can do about it.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { source, .. } => Some(match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    "run this as root or as a member of the group that owns the socket"
                }
                io::ErrorKind::WouldBlock => "it is there but accepts nobody: look into its log",
                _ => "start it (systemctl start chargewarden), or name its socket with --socket",
            }),
            Self::NoAnswer { .. } => Some("look into its log"),
            Self::NotUnderstood { .. } => Some("is the daemon of another version?"),
            Self::Misconfigured(_) | Self::Refused(_) => None,
        }
    }
}

/// What all answers have in common.
#[derive(Deserialize)]
struct Answer {
    ok: bool,
    error: Option<String>,
    /// To `reload`: the file is wrong.
    #[serde(default)]
    misconfigured: bool,
}

impl ControlClient {
    /// Connects to the control socket at `path`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unreachable`].
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let open = || {
            let stream = UnixStream::from(connect(path)?);
            stream.set_nonblocking(false)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            Ok(stream)
        };
        match open() {
            Ok(stream) => Ok(Self {
                path: path.into(),
                stream: BufReader::new(stream),
            }),
            Err(source) => Err(ClientError::Unreachable {
                path: path.into(),
                source,
            }),
        }
    }

    /// Sends `request` and returns the line that answers it, without its end.
    ///
    /// # Errors
    ///
    /// Every one of [`ClientError`] but the first.
    pub fn ask(&mut self, request: &Value) -> Result<String, ClientError> {
        let line = self.exchange(request).map_err(|source| {
            let source = match source.kind() {
                io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
                _ => source,
            };
            ClientError::NoAnswer {
                path: self.path.clone(),
                source,
            }
        })?;
        let answer: Answer = serde_json::from_str(&line).map_err(|e| self.not_understood(e))?;
        if answer.ok {
            Ok(line)
        } else {
            let why = answer.error.unwrap_or_default();
            Err(if answer.misconfigured {
                ClientError::Misconfigured(why)
            } else {
                ClientError::Refused(why)
            })
        }
    }

    /// [`ask`](Self::ask) something that takes the daemon longer.
    ///
    /// # Errors
    ///
    /// As with [`ask`](Self::ask).
    pub fn ask_patiently(
        &mut self,
        request: &Value,
        patience: Duration,
    ) -> Result<String, ClientError> {
        let set = self.stream.get_ref().set_read_timeout(Some(patience));
        set.map_err(|source| ClientError::NoAnswer {
            path: self.path.clone(),
            source,
        })?;
        self.ask(request)
    }

    /// What to say of an answer that cannot be read.
    pub fn not_understood(&self, source: serde_json::Error) -> ClientError {
        ClientError::NotUnderstood {
            path: self.path.clone(),
            source,
        }
    }

    fn exchange(&mut self, request: &Value) -> io::Result<String> {
        let sent = self
            .stream
            .get_mut()
            .write_all(format!("{request}\n").as_bytes());
        let mut line = String::new();
        (&mut self.stream).take(MAX_ANSWER).read_line(&mut line)?;
        if line.pop() != Some('\n') {
            // Somebody who is turned away is told why before he could ask: so reading comes first.
            sent?;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line)
    }
}

/// Tells the person at the terminal what went wrong and what to do, and says what the process ends
/// with.
pub(super) fn failed(error: &ClientError) -> ExitCode {
    let why = error.source().map(|it| format!(": {it}"));
    let help = error.remedy().map(|it| format!("\n  help: {it}"));
    let (why, help) = (why.unwrap_or_default(), help.unwrap_or_default());
    // A closed stderr leaves the exit code.
    let _ = writeln!(io::stderr(), "error: {error}{why}{help}");
    error.exit_code()
}

/// What the process ends with where the output could not be written. A reader that has seen enough
/// (`chargewarden status | head`) is no error.
pub(super) fn output_failed(error: &io::Error) -> ExitCode {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return ExitCode::SUCCESS;
    }
    let _ = writeln!(io::stderr(), "error: the output cannot be written: {error}");
    exit::IO.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    /// A daemon that reads a line and answers `answer`, whatever that is.
    fn daemon(answer: &'static str) -> (TempDir, ControlClient) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let listener = UnixListener::bind(&path).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            assert_eq!(line, "{\"do\":\"status\"}\n");
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let client = ControlClient::connect(&path).unwrap();
        (dir, client)
    }

    fn ask(answer: &'static str) -> Result<String, ClientError> {
        let (_dir, mut client) = daemon(answer);
        client.ask(&json!({ "do": "status" }))
    }

    fn code(error: &ClientError) -> String {
        format!("{:?}", error.exit_code())
    }

    #[test]
    fn an_answer_is_given_back_as_it_came() {
        let line = r#"{"ok":true, "later": [1.50]}"#;
        assert_eq!(ask("{\"ok\":true, \"later\": [1.50]}\n").unwrap(), line);
    }

    #[test]
    fn a_refusal_is_the_daemons_own_sentence() {
        let error = ask("{\"ok\":false,\"error\":\"there is no EVSE \\\"x\\\"\"}\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"the daemon refuses: there is no EVSE "x""#
        );
        assert_eq!(code(&error), format!("{:?}", ExitCode::from(2)));
    }

    #[test]
    fn mistakes_in_the_configuration_have_their_own_exit_code() {
        let line = "{\"ok\":false,\"error\":\"a.toml:1:1: odd\\n\",\"misconfigured\":true}\n";
        let error = ask(line).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("nothing was changed:\na.toml:1:1: odd")
        );
        assert_eq!(code(&error), format!("{:?}", ExitCode::from(78)));
    }

    #[test]
    fn half_an_answer_none_and_nonsense_are_input_output_errors() {
        for answer in ["", "{\"ok\":true}", "HTTP/1.1 200 OK\n", "{\"ok\":1}\n"] {
            let error = ask(answer).unwrap_err();
            assert_eq!(code(&error), format!("{:?}", ExitCode::from(74)), "{error}");
        }
    }

    #[test]
    fn somebody_who_is_turned_away_is_told_why() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let mut client = ControlClient::connect(&path).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"{\"ok\":false,\"error\":\"32 clients\"}\n")
            .unwrap();
        drop(stream);
        let error = client.ask(&json!({ "do": "status" })).unwrap_err();
        assert!(
            matches!(&error, ClientError::Refused(why) if why == "32 clients"),
            "{error:?}"
        );
    }

    #[test]
    fn where_nobody_is_the_message_names_the_socket_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let absent = dir.path().join("absent.sock");
        let dead = dir.path().join("dead.sock");
        drop(UnixListener::bind(&dead).unwrap());
        for path in [absent, dead] {
            let error = ControlClient::connect(&path).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(path.to_str().unwrap()), "{text}");
            assert!(error.remedy().unwrap().contains("--socket"));
            assert_eq!(code(&error), format!("{:?}", ExitCode::from(69)));
        }
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_error_and_a_full_disk_is() {
        let code = |kind: io::ErrorKind| format!("{:?}", output_failed(&kind.into()));
        let expected = |code: ExitCode| format!("{code:?}");
        assert_eq!(code(io::ErrorKind::BrokenPipe), expected(ExitCode::SUCCESS));
        assert_eq!(code(io::ErrorKind::StorageFull), expected(74.into()));
    }
}
