//! Who gets in where: every operation of the OpenAPI document, asked by everybody who might.
//!
//! `table.txt` says what each answer is and is meant to be read. `recipes.rs` says how each operation is asked, so
//! that who asks is all that can be wrong. Both hold exactly the document's operations: one that is new fails here
//! until somebody has written down whom it lets in. `forged.rs` tries tokens for which a column each would be too
//! much, `listeners.rs` the doors that are not for the public.

mod forged;
mod listeners;
mod recipes;
mod stage;
mod table;
mod things;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};

use chrono::Utc;
use eshopz::modules::Module;
use eshopz::openapi;
use eshopz_payment::gateway::signature;
use futures::{StreamExt as _, stream};

use self::recipes::{Content, RECIPES, Recipe, Thing};
use self::stage::{Headers, Stage, forms};
use self::table::{Column, Expected};
use self::things::{Fixture, Who};
use crate::support::Answer;

/// Requests under way at the same time.
const AT_ONCE: usize = 8;

/// Of the sandbox.
const WEBHOOK_SECRET: &str = "whsec_sandbox";

/// Method and path of every operation of the document.
fn operations() -> BTreeSet<String> {
    let by_path = openapi::methods_by_path(&openapi::document(&Module::ALL));
    by_path
        .into_iter()
        .flat_map(|(path, methods)| methods.into_iter().map(move |method| format!("{method} {path}")))
        .collect()
}

#[test]
fn every_operation_has_a_line_and_a_recipe() {
    let operations = operations();
    let named = |missing: &BTreeSet<String>, text: &str| -> Vec<String> {
        missing.iter().map(|operation| format!("{operation}: {text}")).collect()
    };
    let (rows, recipes): (BTreeSet<String>, BTreeSet<String>) =
        (table::read().into_keys().collect(), RECIPES.iter().map(|recipe| recipe.operation.to_owned()).collect());
    let wrong = [
        named(&(&operations - &rows), "say in tests/authz/table.txt who gets in"),
        named(&(&operations - &recipes), "say in tests/authz/recipes.rs how it is asked"),
        named(&(&rows - &operations), "it is in tests/authz/table.txt but not in the document"),
        named(&(&recipes - &operations), "it is in tests/authz/recipes.rs but not in the document"),
    ]
    .concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(RECIPES.len(), recipes.len(), "an operation has two recipes");
}

/// One request.
struct Cell {
    recipe: Recipe,
    column: Column,
    form: usize,
    who: Who,
    expected: Expected,
}

/// Whose thing is asked for.
fn whose(column: Column, thing: Thing) -> &'static [Who] {
    match (thing.is_of_guests(), column) {
        (true, Column::Guest | Column::Wrong) => &[Who::Guest],
        (true, Column::Nobody | Column::Other | Column::Admin) => &[Who::Owner, Who::Guest],
        _ => &[Who::Owner],
    }
}

fn cells() -> Vec<Cell> {
    let mut table = table::read();
    let mut cells = Vec::new();
    for recipe in RECIPES {
        let answers = table.remove(recipe.operation).unwrap_or_default();
        for (column, expected) in Column::ALL.into_iter().zip(answers) {
            for who in whose(column, recipe.thing) {
                for form in 0..forms(column) {
                    let expected = expected.clone();
                    cells.push(Cell { recipe: *recipe, column, form, who: *who, expected });
                }
            }
        }
    }
    cells
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_is_answered_as_the_table_says() {
    let cells = cells();
    let mut stage = Stage::build().await;
    let in_vain = cells.iter().filter(|cell| !cell.expected.is_success());
    stage.set_up(in_vain.map(|cell| (cell.recipe.thing, cell.who)).collect::<BTreeSet<_>>()).await;
    let asked = cells.len();
    let answers = stream::iter(cells).map(|cell| check(&stage, cell)).buffer_unordered(AT_ONCE);
    let mut wrong: Vec<String> = answers.filter_map(std::future::ready).collect().await;
    wrong.sort();
    wrong.extend(stage.touched().await);
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Asks, and says what is wrong with the answer. What may have an effect is asked for once; whatever must not is
/// asked for again and again, and looked at afterwards.
async fn check(stage: &Stage, cell: Cell) -> Option<String> {
    let Cell { recipe, column, form, who, expected } = cell;
    let fresh = if expected.is_success() { Some(stage.make(recipe.thing, who).await) } else { None };
    let thing = fresh.as_ref().unwrap_or_else(|| stage.standing(recipe.thing, who));
    let itself = recipe.on_itself && expected.is_success();
    let headers = stage.headers(column, form, thing, itself).await;
    let answer = send(stage, &recipe, thing, headers).await;
    let fault = fault(&answer, column, &expected)?;
    Some(format!("{} of {who:?} by {column:?} ({form}): {fault}: {}", recipe.operation, answer.text))
}

async fn send(stage: &Stage, recipe: &Recipe, thing: &Fixture, mut headers: Headers) -> Answer {
    let (method, path) = recipe.operation.split_once(' ').unwrap();
    let path = thing.filled(path);
    assert!(!path.contains('{'), "{path}: the thing has no such name");
    headers.push(("idempotency-key", stage.shop.unique("asked")));
    let (media_type, body) = match recipe.content {
        Content::Nothing => (None, String::new()),
        Content::Json(text) | Content::Signed(text) => (Some("application/json"), thing.filled(text)),
        Content::Form(text) => (Some("application/x-www-form-urlencoded"), thing.filled(text)),
        Content::Csv(text) => (Some("text/csv"), thing.filled(text)),
    };
    headers.extend(media_type.map(|media_type| ("content-type", media_type.to_owned())));
    if let Content::Signed(_) = recipe.content {
        headers.push(("sandbox-signature", signature::sign(WEBHOOK_SECRET, Utc::now().timestamp(), &body)));
    }
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    stage.shop.raw(method, &path, &headers, body.into_bytes()).await
}

/// What is wrong with an answer.
fn fault(answer: &Answer, column: Column, expected: &Expected) -> Option<String> {
    if answer.status != expected.status {
        return Some(format!("{} instead of {}", answer.status, expected.status));
    }
    if expected.is_success() {
        return None;
    }
    let code = expected.code(column);
    if answer.body["code"] != code || answer.header("content-type") != "application/problem+json" {
        return Some(format!("not the problem `{code}`"));
    }
    let challenges = answer.header("www-authenticate").starts_with("Bearer");
    (challenges != (answer.status == 401)).then(|| "`WWW-Authenticate` goes with 401, and with nothing else".to_owned())
}

/// The table says the same as the document: what needs no credentials there lets everybody in here, and what
/// answers 401 or 403 here says so there.
#[test]
fn the_document_knows_every_refusal() {
    let document = openapi::document(&Module::ALL);
    let mut wrong = Vec::new();
    let table: BTreeMap<String, Vec<Expected>> = table::read();
    for (operation, answers) in table {
        let (method, path) = operation.split_once(' ').unwrap();
        let described = &document["paths"][path][method.to_lowercase()];
        for (column, expected) in Column::ALL.into_iter().zip(answers) {
            if described["responses"][expected.status.to_string()].is_null() {
                wrong.push(format!("{operation} by {column:?}: {} is not in the document", expected.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
