//! The rules that hold for every endpoint of the shop: problem documents, extractors that explain
//! what is wrong, conditional requests, answers with an ETag, and the request's context.

pub mod body;
pub mod caller;
pub mod client;
pub mod conditional;
pub mod connections;
pub mod form;
pub mod methods;
pub mod middleware;
mod nul;
mod pace;
pub mod params;
pub mod problem;
#[cfg(test)]
mod properties;
pub mod reply;
mod standing;

pub use body::{Body, OptionalBody};
pub use caller::{Admin, Caller, SignedIn};
pub use client::{ClientAddress, TrustedProxies};
pub use conditional::IfMatch;
pub use form::Form;
pub use params::{PathId, Query};
pub use problem::{HttpFault, Problem, ProblemCode, ProblemField};
pub use reply::Reply;
pub use standing::Standing;

/// The result of a handler.
pub type Answer<T = Reply> = Result<T, HttpFault>;
