//! The paths of the API's document, to tell a wrong method from a wrong path.

use actix_web::dev::ResourceDef;
use serde_json::Value;

use crate::openapi;

/// The paths of a document and the methods that each takes.
#[derive(Debug)]
pub struct KnownPaths(Vec<(ResourceDef, String)>);

impl KnownPaths {
    #[must_use]
    pub fn new(document: &Value) -> Self {
        let paths = openapi::methods_by_path(document);
        Self(paths.into_iter().map(|(path, methods)| (ResourceDef::new(path), methods.join(", "))).collect())
    }

    /// The methods that a path takes, in capitals and with commas between; none when there is nothing at it.
    #[must_use]
    pub fn methods(&self, path: &str) -> Option<&str> {
        self.0.iter().find(|(pattern, _)| pattern.is_match(path)).map(|(_, methods)| methods.as_str())
    }
}
