//! Keeps the import rules of `src/lib.rs`: imports go one way, the wings do not know each other,
//! and what decides touches neither sockets nor files nor clocks.

mod tokens;

use std::fs;
use std::path::Path;

use tokens::{is_word, tokens};

/// The rooms, lowest first: a room imports from its own row and from those above it …
const ROWS: &[&[&str]] = &[
    &["units", "ids", "clock"],
    &["ocpp", "certificates"],
    &["evse", "journal", "modbus"],
    &["load", "central_system", "charge_point", "gateway"],
    &["site"],
    &["config", "net", "store"],
    &["daemon"],
    &["sim"],
    &["cli"],
    &["main", "lib"],
];

/// … but these never import each other.
const STRANGERS: &[&[&str]] = &[
    &["load", "central_system", "charge_point", "gateway"],
    &["config", "net", "store"],
];

/// No path in `modules` (and below them) contains one of `paths`.
struct Ban {
    modules: &'static [&'static str],
    paths: &'static [&'static str],
    also_in_tests: bool,
}

#[rustfmt::skip]
const PURE: &[&str] = &[
    "units", "ids", "clock", "ocpp", "evse", "journal", "load", "central_system",
    "charge_point", "gateway", "site", "modbus", "net::handshake", "net::client::target",
    "net::client::upgrade", "net::client::url", "net::client::receiver",
];

/// What lies inside a pure room and is not pure.
const IMPURE: &[&str] = &["modbus::bus"];

#[rustfmt::skip]
const BANS: &[Ban] = &[
    Ban {
        modules: PURE,
        paths: &[
            "tokio", "tokio_util", "tokio_rustls", "tokio_tungstenite", "tokio_modbus",
            "tungstenite", "rustls", "rusqlite", "rustix", "getrandom",
            "std::net", "std::fs", "std::thread", "std::process", "std::env",
            "Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now",
        ],
        also_in_tests: true,
    },
    Ban {
        modules: IMPURE,
        paths: &[
            "tokio::spawn", "tokio::task", "tokio_util::task", "rustls", "tungstenite", "rusqlite",
            "std::net", "std::fs", "std::thread", "std::process", "std::env",
            "std::time::Instant", "SystemTime::now", "Timestamp::now", "Zoned::now",
        ],
        also_in_tests: false,
    },
    Ban {
        modules: &["config"],
        paths: &[
            "tokio", "tokio_util", "tokio_tungstenite", "tokio_modbus",
            "tungstenite", "rusqlite", "std::thread",
            "TcpListener", "TcpStream", "ToSocketAddrs", "UdpSocket", "UnixStream",
        ],
        also_in_tests: true,
    },
    // Only daemon, sim, cli and main spawn, read clocks and look at the environment; the one
    // thread of the store is its own.
    Ban {
        modules: &["config", "net", "store"],
        paths: &[
            "tokio::spawn", "tokio::task", "tokio_util::task", "std::process", "std::env",
            "Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now",
        ],
        also_in_tests: false,
    },
    // Whoever has read the bytes asks; rustls is where the signatures are verified.
    Ban {
        modules: &["certificates"],
        paths: &[
            "tokio", "tokio_util", "std::fs", "std::thread", "std::process", "std::env",
            "Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now",
        ],
        also_in_tests: true,
    },
    Ban { modules: &["net"], paths: &["std::thread", "rusqlite"], also_in_tests: false },
    Ban { modules: &["store"], paths: &["std::net", "rustls", "tungstenite"], also_in_tests: true },
];

const LONGEST_FILE: usize = 700;

/// What breaks a rule in one file, one sentence each. `file` is relative to `src`.
fn violations(file: &str, text: &str) -> Vec<String> {
    let module = file.trim_end_matches(".rs").trim_end_matches("/mod");
    let module: Vec<&str> = module.split('/').collect();
    let mut found = Vec::new();
    for (scope, path) in used_paths(&module, &tokens(text)) {
        let name = path.join("::");
        // The schema check is shared with the integration tests and exists in tests alone.
        let schema = path.get(1) == Some(&"schema") && module.contains(&"tests");
        if path[0] == "crate"
            && !schema
            && let Some(why) = wrong_room(module[0], path.get(1).unwrap_or(&""))
        {
            found.push(format!("{file}: `{name}`: {why}"));
        }
        for ban in BANS {
            let inside = |m: &&str| module.starts_with(&m.split("::").collect::<Vec<_>>());
            let pure = ban.modules == PURE;
            if ban.modules.iter().any(inside)
                && !(pure && IMPURE.iter().any(inside))
                && (ban.also_in_tests || !scope.contains(&"tests"))
                && let Some(banned) = ban.paths.iter().find(|banned| contains(&path, banned))
            {
                found.push(format!("{file}: `{name}`: no {banned} here"));
            }
        }
    }
    found
}

fn wrong_room(from: &str, to: &str) -> Option<String> {
    let row = |room: &str| ROWS.iter().position(|rooms| rooms.contains(&room));
    let strangers = |rooms: &&[&str]| rooms.contains(&from) && rooms.contains(&to);
    match (row(from), row(to)) {
        (None, _) => Some(format!("{from} is in no row of this test")),
        (_, None) => Some("names no room".to_owned()),
        _ if from == to => None,
        (mine, other) => (other > mine || STRANGERS.iter().any(strangers))
            .then(|| format!("{from} must not import {to}")),
    }
}

fn contains(path: &[&str], part: &str) -> bool {
    let part: Vec<&str> = part.split("::").collect();
    path.windows(part.len()).any(|window| window == part)
}

/// Every path in `use` and in expressions, from the root of the crate where it begins with
/// `crate`, `self` or `super`; with the module it stands in.
fn used_paths<'a>(file: &[&'a str], tokens: &[&'a str]) -> Vec<(Vec<&'a str>, Vec<&'a str>)> {
    let at = |i: usize| tokens.get(i).copied().unwrap_or("");
    let (mut found, mut braces, mut i) = (Vec::new(), Vec::new(), 0);
    while i < tokens.len() {
        let mut paths = Vec::new();
        match at(i) {
            "{" if i >= 2 && at(i - 2) == "mod" => braces.push(Some(at(i - 1))),
            "{" => braces.push(None),
            "}" => drop(braces.pop()),
            "extern" if at(i + 1) == "crate" => paths.push(vec![at(i + 2)]),
            "use" => i = use_tree(tokens, i + 1, &[], &mut paths) - 1,
            word if is_word(word) && at(i + 1) == "::" => {
                i = use_tree(tokens, i, &[], &mut paths) - 1;
            }
            _ => {}
        }
        for path in paths {
            let scope: Vec<&str> = file
                .iter()
                .chain(braces.iter().flatten())
                .copied()
                .collect();
            let path = from_root(&scope, &path);
            found.push((scope, path));
        }
        i += 1;
    }
    found
}

/// Collects the paths of the tree that begins at token `i`; returns the token after it.
fn use_tree<'a>(
    tokens: &[&'a str],
    mut i: usize,
    stem: &[&'a str],
    out: &mut Vec<Vec<&'a str>>,
) -> usize {
    let mut path = stem.to_vec();
    while let Some(&token) = tokens.get(i) {
        let joined = path.len() == stem.len() || tokens[i - 1] == "::";
        match token {
            "::" => i += 1,
            "{" if joined => {
                i += 1;
                while tokens.get(i).is_some_and(|&t| t != "}") {
                    i = match tokens[i] {
                        "as" => i + 2,
                        _ => use_tree(tokens, i, &path, out).max(i + 1),
                    };
                }
                return i + 1;
            }
            _ if joined && (token == "*" || is_word(token)) => {
                path.push(token);
                i += 1;
            }
            _ => break,
        }
    }
    if path.len() > stem.len() {
        out.push(path);
    }
    i
}

fn from_root<'a>(scope: &[&'a str], path: &[&'a str]) -> Vec<&'a str> {
    let ups = path.iter().take_while(|part| **part == "super").count();
    match path[0] {
        "chargewarden" => [&["crate"], &path[1..]].concat(),
        "self" => [&["crate"], scope, &path[1..]].concat(),
        "super" => {
            let left = scope.len().saturating_sub(ups);
            [&["crate"], &scope[..left], &path[ups..]].concat()
        }
        _ => path.to_vec(),
    }
}

/// Every Rust file below `dir`, with its path relative to the repository.
fn sources(dir: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(root.join(dir)).expect(dir) {
        let name = entry.expect(dir).file_name().into_string().expect("UTF-8");
        let path = format!("{dir}/{name}");
        if root.join(&path).is_dir() {
            found.extend(sources(&path));
        } else if Path::new(&name).extension() == Some("rs".as_ref()) {
            let text = fs::read_to_string(root.join(&path)).expect(&path);
            found.push((path, text));
        }
    }
    found
}

#[test]
fn imports_go_one_way_and_what_decides_does_nothing_else() {
    let found: Vec<String> = sources("src")
        .iter()
        .flat_map(|(path, text)| violations(path.trim_start_matches("src/"), text))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What stands in the query of a backend's address may be a secret.
#[test]
fn a_gateway_logs_its_address_as_it_may_be_shown() {
    for (path, text) in sources("src/gateway") {
        let lines = text.lines().filter(|line| line.contains("self.plan.url"));
        // Which scheme it has is no secret.
        let bare: Vec<_> = lines.filter(|line| !line.contains(".get(..4)")).collect();
        assert_eq!(bare, [""; 0], "{path}: write shown_url()");
    }
}

#[test]
fn no_source_file_is_too_long_to_be_read() {
    for (path, text) in ["src", "tests/it", "benches"]
        .iter()
        .flat_map(|dir| sources(dir))
    {
        let lines = text.lines().count();
        assert!(
            lines <= LONGEST_FILE,
            "{path} has {lines} lines, more than {LONGEST_FILE}"
        );
    }
}

#[test]
#[rustfmt::skip]
fn a_broken_rule_is_found_however_it_is_written() {
    for (file, text) in [
        ("ids.rs", "use crate::ocpp::Frame;"),
        ("ocpp/frame.rs", "use crate::{clock::Now, evse};"),
        ("journal.rs", "use crate::load;"),
        ("load/mod.rs", "use crate::central_system::Station;"),
        ("central_system/mod.rs", "use crate::{evse::Offer, load::{self as l, Controller}};"),
        ("load/circuit.rs", "use super::super::site;"),
        ("load/circuit.rs", "mod tests { use super::super::super::site::Site; }"),
        ("site/mod.rs", "fn f() -> crate::store::Store { todo!() }"),
        ("config/mod.rs", "use crate::net::tls;"),
        ("net/mod.rs", "fn f() { let x = crate::store::open(); }"),
        ("store/mod.rs", "use crate::config::Config;"),
        ("store/mod.rs", "pub use crate::{self as c, daemon::Field};"),
        ("daemon/mod.rs", "use crate::sim::World;"),
        ("sim/mod.rs", "const X: usize = 1 + crate::cli::X;"),
        ("load/mod.rs", "fn f() { X::Y as crate::site::Z }"),
        ("load/mod.rs", "use std::{time::Duration as D, fs};"),
        ("load/mod.rs", "use crate::*;"),
        ("load/mod.rs", "use crate::Sneaked;"),
        ("attic.rs", "use crate::units::Watts;"),
        ("load/mod.rs", "use tokio::time;"),
        ("site/gate.rs", "use std::{collections::BTreeMap, fs};"),
        ("ocpp/mod.rs", "fn f() { let _ = std::fs::read(x); }"),
        ("evse.rs", "use std::net::SocketAddr;"),
        ("journal.rs", "extern crate rusqlite;"),
        ("clock.rs", "use std::time::Instant; fn f() { return Instant::now() }"),
        ("units.rs", "fn f() { std::thread::sleep(x) }"),
        ("central_system/mod.rs", "mod tests { use std::env; }"),
        ("net/handshake.rs", "use tokio_tungstenite::tungstenite::http::Request;"),
        ("net/handshake/parse.rs", "use rustls::ServerConfig;"),
        ("net/client/upgrade.rs", "use tokio::net::TcpStream;"),
        ("gateway/mod.rs", "use crate::load::Controller;"),
        ("config/load.rs", "use ::tokio::fs;"),
        ("config/load.rs", "use std::net::TcpStream;"),
        ("net/listen.rs", "fn f() { tokio::spawn(async {}); }"),
        ("modbus/meters/meter.rs", "use tokio::time;"),
        ("modbus/mod.rs", "use std::net::SocketAddr;"),
        ("modbus/bus/line.rs", "fn f() { tokio::spawn(async {}); }"),
        ("modbus/bus/line.rs", "use crate::config::Meter;"),
        ("net/mod.rs", "fn f() { let t = std::time::SystemTime::now(); }"),
        ("net/mod.rs", "fn f() { std::thread::spawn(|| ()); }"),
        ("store/mod.rs", "fn f() { jiff::Timestamp::now(); }"),
        ("store/mod.rs", "use std::net::TcpStream;"),
        ("config/mod.rs", "fn f() { std::env::var(X); }"),
        ("load/mod.rs", r#"const Q: char = '"'; use std::fs; const R: char = '"';"#),
        ("load/mod.rs", r##"fn f<'a>() -> &'a str { (b'\'', r#"""#, r"\"); std::fs::read(b) }"##),
        ("load/mod.rs", "/* a /* b */ c */ use std::fs;"),
    ] {
        assert!(!violations(file, text).is_empty(), "not found in {file}: {text}");
    }
}

#[test]
#[rustfmt::skip]
fn what_the_rules_allow_is_not_found() {
    for (file, text) in [
        ("load/mod.rs", "use crate::{clock::Now, evse::{Offer, Report}, load::plan::LoadPlan};"),
        ("load/mod.rs", "use std::collections::BTreeMap; use std::time::{Duration, Instant};"),
        ("load/mod.rs", "mod tests { use super::*; use super::super::units::Watts; }"),
        ("load/mod.rs", "//! [`x`](crate::site::Site)
/// std::fs::read
fn f() {} // tokio::spawn"),
        ("load/mod.rs", "/* use std::fs; /* nested */ tokio::spawn */ fn f() {}"),
        ("load/mod.rs", r#"const A: &str = "use std::fs; \" tokio::spawn"; fn g() {}"#),
        ("load/mod.rs", r##"const A: &str = r#"" std::fs::a"#; const B: &[u8] = b"std::fs";"##),
        ("site/mod.rs", "use crate::{central_system::Station, load};"),
        ("config/mod.rs", "use std::{fs, net::IpAddr}; use rustls::sign; use crate::site::Plan;"),
        ("net/tls.rs", "use tokio::net::TcpStream; use std::fs;"),
        ("net/tls.rs", "mod tests { fn f() { tokio::spawn(async {}); } }"),
        ("store/mod.rs", "use std::{fs, thread}; use rusqlite::Connection;"),
        ("daemon/site.rs", "use std::time::Instant; fn f() { Instant::now(); std::env::vars(); }"),
        ("sim/demo.rs", "use crate::{daemon, store::Store};"),
        ("modbus/bus/line.rs", "use tokio::time::Instant; fn f() { Instant::now(); }"),
        ("main.rs", "fn main() -> std::process::ExitCode { chargewarden::cli::main() }"),
    ] {
        assert_eq!(violations(file, text), Vec::<String>::new(), "{file}: {text}");
    }
}
