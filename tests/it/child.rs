//! The test binary as a process of its own: for tests that kill it, or give it an environment.

use std::process::{Child, Command, Stdio};

/// Set in the child to what its test needs; a test without it is a parent.
pub(crate) const VARIABLE: &str = "CHARGEWARDEN_TEST_CHILD";

/// What this process was started for as a child, if it was.
pub(crate) fn purpose() -> Option<String> {
    std::env::var(VARIABLE).ok()
}

/// This binary with nothing but the test called `name` (with its module), told `purpose`.
pub(crate) fn command(name: &str, purpose: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture", "--quiet"])
        .env(VARIABLE, purpose)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// A child that does not outlive its test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
