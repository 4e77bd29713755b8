//! The generated OpenAPI documents: no drift, and the rules that each operation keeps.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use eshopz::modules::Module;
use eshopz::openapi;
use serde_json::Value;

#[test]
fn committed_documents_are_what_the_code_describes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi");
    for (name, text) in openapi::files().unwrap() {
        let committed = fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(committed == text, "openapi/{name} has drifted; mend with `cargo run -- openapi --out openapi`");
    }
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if ["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                found.push((method.clone(), path.clone(), operation.clone()));
            }
        }
    }
    found
}

#[test]
fn every_operation_is_documented_whole() {
    let document = openapi::document(&Module::ALL);
    let mut wrong = Vec::new();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let at = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        if id.is_empty() || !ids.insert(id.clone()) {
            wrong.push(format!("{at}: operation id `{id}` is missing or not unique"));
        }
        if operation["summary"].as_str().unwrap_or_default().is_empty() {
            wrong.push(format!("{at}: no summary"));
        }
        if operation["tags"].as_array().is_none_or(|tags| tags.len() != 1) {
            wrong.push(format!("{at}: not in exactly one group"));
        }
        for name in path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            if !parameters.iter().any(|parameter| parameter["name"] == name && parameter["in"] == "path") {
                wrong.push(format!("{at}: path parameter {name} is not described"));
            }
        }
        let responses = operation["responses"].as_object().unwrap();
        if !responses.keys().any(|status| status.starts_with('2')) {
            wrong.push(format!("{at}: no success response"));
        }
        for (status, response) in responses.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
            let referred = response["$ref"].as_str().and_then(|to| document.pointer(to.trim_start_matches('#')));
            if referred.unwrap_or(response)["content"]["application/problem+json"]["schema"].is_null() {
                wrong.push(format!("{at}: {status} has no problem document"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every `$ref` leads somewhere.
#[test]
fn every_reference_resolves() {
    fn walk(value: &Value, document: &Value, missing: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref").and_then(Value::as_str)
                    && document.pointer(reference.trim_start_matches('#')).is_none()
                {
                    missing.insert(reference.to_owned());
                }
                members.values().for_each(|inner| walk(inner, document, missing));
            }
            Value::Array(items) => items.iter().for_each(|inner| walk(inner, document, missing)),
            _ => {}
        }
    }
    let mut missing = BTreeSet::new();
    for modules in std::iter::once(Module::ALL.to_vec()).chain(Module::ALL.iter().map(|module| vec![*module])) {
        let document = openapi::document(&modules);
        walk(&document, &document, &mut missing);
    }
    assert!(missing.is_empty(), "{missing:?}");
}

/// The public contract, as it was agreed on. A path that is renamed breaks somebody.
#[test]
fn every_agreed_path_is_there() {
    let document = openapi::document(&Module::ALL);
    let there: BTreeSet<String> = operations(&document)
        .into_iter()
        .map(|(m, p, _)| {
            let shape: Vec<String> =
                p.split('/').map(|s| if s.starts_with('{') { "*".into() } else { s.to_owned() }).collect();
            format!("{} {}", m.to_uppercase(), shape.join("/"))
        })
        .collect();
    let agreed = include_str!("agreed-paths.txt");
    let missing: Vec<&str> = agreed.lines().filter(|line| !line.is_empty() && !there.contains(*line)).collect();
    assert!(missing.is_empty(), "missing: {missing:#?}");
}
