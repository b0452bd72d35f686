//! The daemon and its command line.

use std::process::ExitCode;

use chargewarden::cli;

fn main() -> ExitCode {
    cli::main()
}
