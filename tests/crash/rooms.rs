//! Where there are crash points: the rooms of the code that must not be wrong. The list of points is what
//! the sources say, so an await that is added is a point that is tried, or a test that fails.

use std::fs;
use std::path::{Path, PathBuf};

use eshopz_crash_points::{Function, module_of, scan};

/// Files, and folders with all that is in them.
const ROOMS: [&str; 9] = [
    "modules/cart/src/service/checkout.rs",
    "modules/order/src/listeners.rs",
    "modules/order/src/service",
    "modules/payment/src/service",
    "modules/product/src/service/giving_back.rs",
    "modules/product/src/service/reserving.rs",
    "modules/shared/platform/src/events",
    "modules/shared/platform/src/idempotency",
    "modules/shared/platform/src/idempotency.rs",
];

/// Files in a room that have no points, and why.
const LEFT_OUT: [(&str, &str); 14] = [
    ("modules/order/src/service/read.rs", "shows orders"),
    ("modules/order/src/service/repair.rs", "does what an operator asks for, by calling functions with points"),
    ("modules/payment/src/service/access.rs", "says who may see a payment"),
    ("modules/payment/src/service/by_hand.rs", "does what an operator asks for, by calling functions with points"),
    ("modules/payment/src/service/drift.rs", "compares with the gateway, and changes nothing"),
    ("modules/payment/src/service/lists.rs", "shows payments"),
    ("modules/payment/src/service/repair.rs", "does what an operator asks for, by calling functions with points"),
    ("modules/shared/platform/src/events/dead.rs", "does what an operator asks for, one statement each"),
    ("modules/shared/platform/src/events/guard.rs", "does what it is given, whose caller has a point there"),
    ("modules/shared/platform/src/events/health.rs", "measures the backlog"),
    ("modules/shared/platform/src/events/listener.rs", "hands an event on to a listener, which has points of its own"),
    ("modules/shared/platform/src/events/lost.rs", "does what an operator asks for, in one transaction"),
    ("modules/shared/platform/src/events/topic.rs", "hands an event on to SNS"),
    ("modules/shared/platform/src/events/wake.rs", "listens for notifications"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file of the rooms, relative to the repository.
fn files() -> Vec<String> {
    let mut folders: Vec<PathBuf> = ROOMS.iter().map(|room| root().join(room)).collect();
    let mut files = Vec::new();
    while let Some(path) = folders.pop() {
        if path.is_dir() {
            folders.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.is_file() {
            files.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
        }
    }
    files.retain(|file| !file.ends_with("tests.rs") && !LEFT_OUT.iter().any(|(left_out, _)| file == left_out));
    files.sort();
    files
}

/// Every function with points.
pub fn functions() -> Vec<Function> {
    let of_file = |file: String| {
        let text = fs::read_to_string(root().join(&file)).unwrap();
        scan(&module_of(&file).unwrap(), &text).unwrap_or_else(|error| panic!("{file}: {error}"))
    };
    files().into_iter().flat_map(of_file).collect()
}

#[test]
fn every_await_has_its_point() {
    let functions = functions();
    let bare: Vec<&str> = functions.iter().filter(|f| !f.marked).map(|f| f.name.as_str()).collect();
    assert!(bare.is_empty(), "without #[eshopz_crash::crash_points], on them or their `impl`: {bare:#?}");
    let mut names: Vec<&String> = functions.iter().flat_map(|function| &function.points).collect();
    assert!(names.len() > 200, "only {} points: has a room moved?", names.len());
    names.sort();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    assert!(twice.is_empty(), "two points of one name: {twice:#?}");
}

#[test]
fn what_is_left_out_is_there() {
    for (file, reason) in LEFT_OUT {
        assert!(root().join(file).is_file(), "{file} is gone; it was left out because it {reason}");
    }
}
