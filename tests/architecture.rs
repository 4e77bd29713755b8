//! The walls between the modules, derived from Cargo's own metadata: a module that is added is checked
//! without being listed anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use clap::Parser as _;
use eshopz::cli::Cli;
use eshopz::compose::compose;
use eshopz::database::Database;
use eshopz::modules::Module;
use eshopz::neighbours::Neighbours;
use serde_json::Value;

const GRAPH: &str = "docs/module-graph.txt";

/// Package name → names of the workspace packages that it depends on, dev-dependencies left out.
fn workspace() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeSet<String> = packages.iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let dependencies = dependencies.filter(|d| d["kind"].is_null()).map(|d| d["name"].as_str().unwrap());
            let dependencies = dependencies.filter(|name| names.contains(*name)).map(str::to_owned).collect();
            (package["name"].as_str().unwrap().to_owned(), dependencies)
        })
        .collect()
}

/// The modules are the folders beside `modules/shared`.
fn modules() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("modules");
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "shared")
        .collect()
}

/// Module → modules whose contract it depends on.
fn edges() -> BTreeMap<String, BTreeSet<String>> {
    let workspace = workspace();
    modules()
        .into_iter()
        .map(|module| {
            let dependencies = workspace.get(&format!("eshopz-{module}")).expect("every module folder is a crate");
            let called = dependencies
                .iter()
                .filter_map(|name| name.strip_prefix("eshopz-")?.strip_suffix("-api"))
                .filter(|called| *called != module)
                .map(str::to_owned)
                .collect();
            (module, called)
        })
        .collect()
}

#[test]
fn modules_depend_on_contracts_and_never_on_implementations() {
    let (workspace, modules) = (workspace(), modules());
    let mut violations = Vec::new();
    for (package, dependencies) in &workspace {
        let name = package.strip_prefix("eshopz-").unwrap_or_default();
        let allowed = |dependency: &str| match name {
            "" | "testkit" | "bench" => true,
            "kernel" => false,
            "platform" => matches!(dependency, "kernel" | "crash"),
            "crash" => dependency == "crash-macro",
            "crash-macro" => dependency == "crash-points",
            "crash-points" => false,
            "aws" => matches!(dependency, "kernel" | "platform"),
            api if api.ends_with("-api") => dependency == "kernel",
            _ => {
                matches!(dependency, "kernel" | "platform" | "crash")
                    || dependency.strip_suffix("-api").is_some_and(|module| modules.contains(module))
            }
        };
        for dependency in dependencies.iter().filter_map(|dependency| dependency.strip_prefix("eshopz-")) {
            if !allowed(dependency) {
                violations.push(format!("{package} depends on eshopz-{dependency}"));
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn every_module_has_its_contract_and_its_migrations() {
    let workspace = workspace();
    for module in modules() {
        assert!(workspace.contains_key(&format!("eshopz-{module}-api")), "{module} has no api crate");
        let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(&module);
        assert!(migrations.is_dir(), "{module} has no migrations");
    }
}

#[test]
fn contracts_are_light() {
    let mut violations = Vec::new();
    for module in modules() {
        let package = format!("eshopz-{module}-api");
        let output = Command::new(env!("CARGO"))
            .args(["tree", "-p", &package, "-e", "normal", "--prefix", "none", "--offline", "--format", "{p}"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let name = line.split(' ').next().unwrap();
            if ["diesel", "diesel-async", "actix-web", "reqwest", "tokio-postgres", "deadpool-redis"].contains(&name) {
                violations.push(format!("{package} has {name} in its tree"));
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn calls_point_down_and_are_as_committed() {
    let edges = edges();
    let derived: String = edges
        .iter()
        .map(|(module, called)| {
            let called: Vec<&str> = called.iter().map(String::as_str).collect();
            format!("{module} -> {}\n", if called.is_empty() { "nobody".to_owned() } else { called.join(", ") })
        })
        .collect();
    let committed = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(GRAPH)).unwrap_or_default();
    assert_eq!(derived, committed, "{GRAPH} is not what Cargo says; if the new edge is meant, write it there");
    let mut placed: BTreeSet<&String> = BTreeSet::new();
    while placed.len() < edges.len() {
        let next = edges.iter().find(|(m, called)| !placed.contains(m) && called.iter().all(|c| placed.contains(c)));
        let (module, _) = next.expect("the graph has a cycle");
        placed.insert(module);
    }
}

#[test]
fn the_binary_knows_every_module() {
    let known: BTreeSet<String> = Module::ALL.iter().map(|module| module.name().to_owned()).collect();
    assert_eq!(known, modules());
    for (module, called) in edges() {
        let known = Module::ALL.into_iter().find(|known| known.name() == module).unwrap();
        let drawn: BTreeSet<String> = known.calls().iter().map(|module| module.name().to_owned()).collect();
        assert_eq!(drawn, called, "`eshopz modules --graph` draws {module} wrongly");
    }
}

/// A module hears itself and those that it may call; an event's name begins with its module's.
#[tokio::test]
async fn subscriptions_point_down() {
    let cli =
        Cli::try_parse_from(["eshopz", "config", "--database-url", "postgres://nobody@127.0.0.1:1/none"]).unwrap();
    let database = Database::open(&cli.settings, &Module::ALL).await.unwrap();
    let shop = compose(&database, &cli.settings, &Module::ALL, &Neighbours::none()).unwrap();
    let mut heard = 0;
    for (module, listeners) in shop.listeners() {
        let constants: Vec<_> = module.subscriptions().iter().map(|one| (one.listener, one.events)).collect();
        let built: Vec<_> = listeners.iter().map(|one| (one.name(), one.events())).collect();
        assert_eq!(constants, built, "{module}: a process that does not run it would not know its listeners");
        for listener in listeners {
            assert!(listener.name().starts_with(&format!("{module}.")), "{module} has {}", listener.name());
            for event in listener.events() {
                heard += 1;
                let publisher = event.split('.').next().unwrap();
                let allowed = publisher == module.name() || module.calls().iter().any(|m| m.name() == publisher);
                assert!(allowed, "{} hears {event}, which comes from above", listener.name());
            }
        }
    }
    assert_eq!(
        heard,
        eshopz::modules::subscriptions().pairs().count(),
        "a module has listeners that it does not build"
    );
    assert!(heard > 0);
}

/// Every Rust file that is no test.
fn sources() -> Vec<(String, String)> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter(|path| !path.split('/').any(|part| part == "tests" || part == "testkit"))
        .filter_map(|path| {
            Some((path.to_owned(), fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()?))
        })
        .collect()
}

#[test]
fn every_file_says_what_lives_in_it() {
    let silent: Vec<String> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "no //! at the top of: {}", silent.join(", "));
}

#[test]
fn every_problem_code_is_in_the_catalogue() {
    let mut known: BTreeSet<&str> = eshopz_platform::http::problem::COMMON_CODES.iter().map(|p| p.code).collect();
    for module in Module::ALL {
        known.extend(eshopz::openapi::problems_of(module).iter().map(|problem| problem.code));
    }
    let constructors = [
        "Fault::malformed(",
        "Fault::unauthenticated(",
        "Fault::payment_declined(",
        "Fault::forbidden(",
        "Fault::conflict(",
        "Fault::invalid(",
        "Fault::precondition_required(",
    ];
    let mut missing = BTreeSet::new();
    for (path, text) in sources() {
        for constructor in constructors {
            let shipped = text.split("#[cfg(test)]").next().unwrap();
            for rest in shipped.split(constructor).skip(1) {
                let Some(literal) = rest.trim_start().strip_prefix('"') else { continue };
                let code = literal.split('"').next().unwrap();
                if !known.contains(code) {
                    missing.insert(format!("{code} ({path})"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "not in a PROBLEMS catalogue: {missing:?}");
}

/// A topic gets the events that are in these lists, and no others.
#[test]
fn every_event_is_in_its_modules_list() {
    let mut told = BTreeSet::new();
    for (path, text) in sources() {
        let Some(module) = path.strip_prefix("modules/").and_then(|rest| rest.split_once("/api/")) else { continue };
        let names = text.match_indices(".v1\"").map(|(end, _)| {
            let begin = text[..end].rfind('"').unwrap() + 1;
            format!("{}.v1", &text[begin..end])
        });
        told.extend(names.map(|name| (module.0.to_owned(), name)));
    }
    let listed: BTreeSet<(String, String)> = Module::ALL
        .into_iter()
        .flat_map(|module| module.events().iter().map(move |event| (module.name().to_owned(), (*event).to_owned())))
        .collect();
    assert_eq!(told, listed);
}
