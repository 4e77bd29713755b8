//! The door of the internal listener: nobody enters without a token of the shop's, and what is inside is
//! counted, so that a stop can wait for it.
//!
//! actix waits at a graceful stop until connections have closed, but never asks an HTTP/2 peer to close
//! its own, and peers keep theirs. So here requests are counted rather than connections; peers are told on
//! every answer that the process leaves; and at last new requests are refused before anything is done.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::{self, Bytes};
use actix_web::{Error, HttpResponse};
use eshopz_kernel::Fault;
use tokio::sync::watch;

use super::keys::{ServiceClaims, ServiceKeys};
use super::protocol::{DEADLINE, LEAVING, NOT_TAKEN, PREFIX, announced};
use super::serve::refusal;
use crate::context;

const OPEN: u8 = 0;
const LEAVES: u8 = 1;
const SHUT: u8 = 2;

/// Who may enter, and who is inside. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate {
    keys: ServiceKeys,
    state: Arc<AtomicU8>,
    inside: watch::Sender<usize>,
}

impl Gate {
    #[must_use]
    pub fn new(keys: ServiceKeys) -> Self {
        Self { keys, state: Arc::new(AtomicU8::new(OPEN)), inside: watch::Sender::new(0) }
    }

    /// Has every answer ask the peer to go elsewhere from now on. Requests are served as before.
    pub fn leave(&self) {
        // A gate that is shut stays so.
        self.state.fetch_max(LEAVES, Ordering::SeqCst);
    }

    /// Refuses new requests and waits until those inside are done, but no longer than `at_most`; the number
    /// of those that are not.
    pub async fn shut(&self, at_most: Duration) -> usize {
        self.state.store(SHUT, Ordering::SeqCst);
        let mut inside = self.inside.subscribe();
        let none = inside.wait_for(|inside| *inside == 0);
        match tokio::time::timeout(at_most, none).await {
            // Who is refused counts for an instant too, so the number of now says nothing.
            Ok(_) => 0,
            Err(_) => *self.inside.borrow(),
        }
    }

    /// Enters; `None` when it is shut. Counted first and looked after, so that `shut` misses nobody.
    fn enter(&self) -> Option<Ticket> {
        self.inside.send_modify(|inside| *inside = inside.saturating_add(1));
        let ticket = Ticket(self.inside.clone());
        (self.state.load(Ordering::SeqCst) != SHUT).then_some(ticket)
    }

    fn check(&self, req: &ServiceRequest) -> Result<ServiceClaims, Fault> {
        let header = req.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
        self.keys.check(token, audience(req.path()))
    }

    fn mark(&self, response: &mut ServiceResponse) {
        if self.state.load(Ordering::SeqCst) != OPEN {
            response.headers_mut().insert(LEAVING.clone(), HeaderValue::from_static("1"));
        }
    }
}

/// Somebody is inside for as long as it is there.
struct Ticket(watch::Sender<usize>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.send_modify(|inside| *inside = inside.saturating_sub(1));
    }
}

/// The module that a path belongs to; empty, and so nobody's audience, for any other path.
fn audience(path: &str) -> &str {
    let rest = path.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('/'));
    rest.and_then(|rest| rest.split('/').next()).unwrap_or_default()
}

/// Middleware for an `App` with a `web::Data<Gate>`: refuses every request without a good token, whatever
/// its path, and runs the others with their caller's deadline.
///
/// # Errors
/// Those of the wrapped service.
pub async fn guard(req: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse, Error> {
    let Some(gate) = req.app_data::<web::Data<Gate>>().cloned() else {
        return Ok(req.into_response(refusal(Fault::internal("the internal listener has no gate"))));
    };
    let Some(ticket) = gate.enter() else {
        return Ok(req.into_response(not_taken()));
    };
    let claims = match gate.check(&req) {
        Ok(claims) => claims,
        Err(fault) => return Ok(req.into_response(refusal(fault))),
    };
    tracing::debug!(caller = claims.sub, "called");
    let deadline = req.headers().get(&DEADLINE).and_then(|value| value.to_str().ok()).and_then(announced);
    let response = context::with_deadline(deadline, next.call(req)).await?;
    let mut response = response.map_body(|_, body| BoxBody::new(Counted { body: BoxBody::new(body), _ticket: ticket }));
    gate.mark(&mut response);
    Ok(response)
}

fn not_taken() -> HttpResponse {
    HttpResponse::build(StatusCode::SERVICE_UNAVAILABLE)
        .insert_header((LEAVING.clone(), NOT_TAKEN))
        .insert_header(("retry-after", "1"))
        .finish()
}

/// A body that counts as inside until it is sent.
struct Counted {
    body: BoxBody,
    _ticket: Ticket,
}

impl MessageBody for Counted {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_audience_of_its_module() {
        for (path, module) in [
            ("/internal/v1/product/variants", "product"),
            ("/internal/v1/order/events/order.mark_paid", "order"),
            ("/internal/v1/product", "product"),
            ("/internal/v1/", ""),
            ("/internal/v1x/product/variants", ""),
            ("/", ""),
            ("/api/v1/products", ""),
        ] {
            assert_eq!(audience(path), module, "{path}");
        }
    }

    #[tokio::test]
    async fn a_shut_gate_waits_for_those_inside_and_takes_nobody() {
        let gate = Gate::new(ServiceKeys::new(vec!["secret".to_owned()]).unwrap());
        let ticket = gate.enter().unwrap();
        assert_eq!(gate.shut(Duration::from_millis(1)).await, 1, "one is inside");
        assert!(gate.enter().is_none());
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.shut(Duration::from_secs(20)).await }
        });
        drop(ticket);
        assert_eq!(waiting.await.unwrap(), 0);
        gate.leave();
        assert!(gate.enter().is_none(), "leaving does not open it again");
    }
}
