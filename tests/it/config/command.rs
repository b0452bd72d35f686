//! `chargewarden check`, as a person or a script runs it.

use std::process::{Command, Output, Stdio};

fn check(file: &str, text: &str) -> (tempfile::TempDir, Command) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(file);
    std::fs::write(&path, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_chargewarden"));
    command.arg("check").arg("--config").arg(path);
    (directory, command)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_good_file_is_printed_and_ends_with_0() {
    let (_directory, mut command) = check("site.toml", super::SITE);
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(text(&stdout).contains("site.toml: no mistakes\n"));
    assert_eq!(text(&stderr), "");
}

#[test]
fn mistakes_go_to_standard_error_and_end_with_78() {
    let (_directory, mut command) = check("site.toml", "[manager]\nvoltage = 5\n");
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    assert_eq!(status.code(), Some(78));
    assert_eq!(text(&stdout), "");
    assert!(text(&stderr).contains("site.toml:2:11: voltage must be at least 90\n"));

    let (directory, mut command) = check("site.toml", "");
    std::fs::remove_file(directory.path().join("site.toml")).unwrap();
    assert_eq!(command.output().unwrap().status.code(), Some(78));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (_directory, mut command) = check("site.toml", super::SITE);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = command
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    assert_eq!((status.code(), text(&stderr)), (Some(0), ""));
}
