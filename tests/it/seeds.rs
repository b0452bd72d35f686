//! What the fuzzers start from, without the fuzzers: their properties hold for every seed.

use std::fs;
use std::path::Path;

#[allow(unreachable_pub, reason = "the fuzzers have it as a library")]
#[path = "../../fuzz/src/lib.rs"]
mod properties;

fn try_seeds(target: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let mut tried = 0;
    for entry in fs::read_dir(folder.join(target)).unwrap() {
        let seed = entry.unwrap().path();
        println!("{}", seed.display());
        property(&fs::read(&seed).unwrap());
        tried += 1;
    }
    assert!(tried > 0, "{target} has no seed");
}

#[test]
fn every_seed_of_the_fuzzers_passes() {
    try_seeds("basic", properties::basic);
    try_seeds("certificate", properties::certificate);
    try_seeds("config", properties::config);
    try_seeds("frame", properties::frame);
    try_seeds("handshake", properties::handshake);
    try_seeds("modbus", properties::modbus);
    try_seeds("profile", properties::profile);
    try_seeds("timestamp", properties::timestamp);
}

#[test]
fn every_fuzzer_has_seeds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let names = |part: &str| {
        let entries = fs::read_dir(folder.join(part)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("seeds"), names("fuzz_targets"));
}
