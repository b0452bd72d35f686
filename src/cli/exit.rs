//! Exit codes: 2, and those of `sysexits.h`.

use std::process::ExitCode;

/// What was asked for makes no sense; also clap's.
pub const USAGE: u8 = 2;
/// The daemon cannot be reached.
pub const UNAVAILABLE: u8 = 69;
/// A bug in here.
pub const SOFTWARE: u8 = 70;
/// A file or socket cannot be made.
pub const CANNOT_CREATE: u8 = 73;
/// Input/output.
pub const IO: u8 = 74;
/// The configuration is wrong.
pub const CONFIG: u8 = 78;

/// Lets a panic, on any thread, end the process with [`SOFTWARE`] after its message.
pub(super) fn on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::exit(i32::from(SOFTWARE));
    }));
}

/// The exit code of something that printed.
pub fn after_printing(printed: &std::io::Result<()>) -> ExitCode {
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(IO),
    }
}
