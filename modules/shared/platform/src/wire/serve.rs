//! The server's side of a contract: one line per method.

use std::future::Future;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, Scope, web};
use eshopz_kernel::{Fault, FaultKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout_at;

use super::protocol::{ARGUMENTS_UNREADABLE, FAULT, PREFIX};
use crate::context;
use crate::http::problem::status_of;
use crate::http::{HttpFault, body};

/// The largest arguments that are taken, in bytes: thousands of lines.
pub const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// The methods of a module, to be mounted under its internal path.
pub struct Methods {
    scope: Scope,
}

impl std::fmt::Debug for Methods {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Methods").finish_non_exhaustive()
    }
}

impl Methods {
    /// None yet, of this module.
    #[must_use]
    pub fn of(module: &str) -> Self {
        let scope = web::scope(&format!("{PREFIX}/{module}")).default_service(web::to(unknown));
        Self { scope }
    }

    /// Adds a method that `call` makes of the contract and the arguments.
    #[must_use]
    pub fn method<T, A, R, F, Fut>(self, name: &str, api: &Arc<T>, call: F) -> Self
    where
        T: ?Sized + 'static,
        A: DeserializeOwned + 'static,
        R: Serialize + 'static,
        F: Fn(Arc<T>, A) -> Fut + Clone + 'static,
        Fut: Future<Output = Result<R, Fault>> + 'static,
    {
        let api = Arc::clone(api);
        let handler = move |req: HttpRequest, payload: web::Payload| {
            let (api, call) = (Arc::clone(&api), call.clone());
            async move { answer(in_time(async { call(api, arguments(&req, payload).await?).await }).await) }
        };
        Self { scope: self.scope.route(&format!("/{name}"), web::post().to(handler)) }
    }

    /// What an `App` takes as a service.
    #[must_use]
    pub fn into_scope(self) -> Scope {
        self.scope
    }
}

/// For paths that this process does not serve: a caller of another version, or one with a wrong URL.
pub async fn unknown(req: HttpRequest) -> HttpResponse {
    let fault = Fault::unavailable("A part of the shop is being changed just now. Try again in a moment.", 1);
    answer::<()>(Err(fault.caused_by(format!("nothing here answers {} {}", req.method(), req.path()))))
}

async fn arguments<A: DeserializeOwned>(req: &HttpRequest, payload: web::Payload) -> Result<A, Fault> {
    let bytes = body::read(req, payload.into_inner(), BODY_LIMIT).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        tracing::error!(path = req.path(), %error, "the arguments of a call cannot be read");
        Fault::malformed(ARGUMENTS_UNREADABLE, "The arguments of the call cannot be read.").caused_by(error)
    })
}

/// Nobody waits for an answer after the caller's deadline, so nothing works on it either.
async fn in_time<R>(work: impl Future<Output = Result<R, Fault>>) -> Result<R, Fault> {
    let Some(deadline) = context::deadline() else {
        return work.await;
    };
    timeout_at(deadline, work).await.unwrap_or_else(|elapsed| {
        Err(Fault::unavailable("The shop is slower than usual just now. Try again in a moment.", 1).caused_by(elapsed))
    })
}

/// A result as the caller's end reads it. The cause of a fault of ours is logged here: it stays here.
#[must_use]
pub fn answer<T: Serialize>(result: Result<T, Fault>) -> HttpResponse {
    let encoded = result.and_then(|result| {
        serde_json::to_vec(&result).map_err(|error| Fault::internal("result of a call").caused_by(error))
    });
    match encoded {
        Ok(bytes) => json(StatusCode::OK).body(bytes),
        Err(fault) => {
            if matches!(fault.kind, FaultKind::Internal | FaultKind::Unavailable) {
                tracing::error!(code = %fault.code, error = %fault, "call failed");
            }
            let document = serde_json::to_vec(&fault).unwrap_or_default();
            json(status_of(fault.kind)).insert_header((FAULT.clone(), "1")).body(document)
        }
    }
}

fn json(status: StatusCode) -> actix_web::HttpResponseBuilder {
    let mut builder = HttpResponse::build(status);
    builder.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
    builder
}

/// The refusal of somebody who is no part of the shop: a problem document for whoever reads it, and the
/// mark by which our own client knows that the module's process answered.
pub(super) fn refusal(fault: Fault) -> HttpResponse {
    HttpFault(fault).error_response()
}
