//! What the shop is made of: where every crate comes from, and under which licence. The light half of
//! `scripts/supply-chain`, in every run of the tests; the allow list is that of `deny.toml`.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// What is built on this machine, the shop's own crates left out.
fn foreign() -> Vec<Value> {
    let host = Command::new("rustc").args(["--print", "host-tuple"]).output().unwrap();
    let host = String::from_utf8(host.stdout).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", host.trim()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let foreign: Vec<Value> =
        packages.filter(|package| !package["name"].as_str().unwrap().starts_with("eshopz")).cloned().collect();
    assert!(foreign.len() > 200, "hardly anything to look at");
    foreign
}

/// The licences that `deny.toml` allows.
fn allowed() -> Vec<String> {
    let rules = read("deny.toml");
    let list = rules.split("\nallow = [").nth(1).unwrap().split(']').next().unwrap();
    list.split(',').map(|name| name.trim().trim_matches('"').to_owned()).filter(|name| !name.is_empty()).collect()
}

/// Whether an SPDX expression can be met with these licences (SPDX 2.3, annex D). `/` is how `OR` was written once.
fn is_met(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any(&mut words, allowed);
    met && words.next().is_none()
}

type Words<'w> = std::iter::Peekable<std::str::SplitWhitespace<'w>>;

fn any(words: &mut Words<'_>, allowed: &[String]) -> bool {
    let mut met = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= all(words, allowed);
    }
    met
}

fn all(words: &mut Words<'_>, allowed: &[String]) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut Words<'_>, allowed: &[String]) -> bool {
    let word = words.next().expect("a licence");
    if word == "(" {
        let met = any(words, allowed);
        assert_eq!(words.next(), Some(")"));
        return met;
    }
    let mut name = word.to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        name = format!("{name} WITH {}", words.next().expect("an exception"));
    }
    allowed.contains(&name)
}

#[test]
fn every_crate_may_be_passed_on() {
    let allowed = allowed();
    assert!(allowed.iter().all(|name| !name.contains("GPL")), "{allowed:?}");
    let refused: Vec<String> = foreign()
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(|license| is_met(license, &allowed)))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "not among the licences of deny.toml:\n{}", refused.join("\n"));
}

#[test]
fn every_crate_comes_from_crates_io() {
    let foreign: Vec<String> = foreign()
        .iter()
        .filter(|package| package["source"] != CRATES_IO)
        .map(|package| format!("{} from {}", package["name"], package["source"]))
        .collect();
    assert!(foreign.is_empty(), "{}", foreign.join("\n"));
    // Of other systems too, each with the checksum of what was looked at.
    let lock = read("Cargo.lock");
    for package in lock.split("\n[[package]]").skip(1) {
        let source = package.lines().find_map(|line| line.strip_prefix("source = "));
        let own = package.contains("name = \"eshopz");
        assert_eq!(source, (!own).then_some(format!("\"{CRATES_IO}\"")).as_deref(), "{package}");
        assert_eq!(package.contains("\nchecksum = "), !own, "{package}");
    }
}

#[test]
fn licences_are_read_as_spdx_writes_them() {
    let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"].map(str::to_owned);
    for met in [
        "MIT",
        "MIT OR GPL-3.0",
        "Apache-2.0/MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "GPL-2.0 OR (MIT AND Apache-2.0)",
    ] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for unmet in [
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "Apache-2.0 WITH LLVM-exception",
        "(MIT OR Apache-2.0) AND GPL-3.0",
        "AGPL-3.0-only",
    ] {
        assert!(!is_met(unmet, &allowed), "{unmet}");
    }
}
