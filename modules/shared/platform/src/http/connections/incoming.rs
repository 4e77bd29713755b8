//! The bodies of requests while they come in.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::web::Bytes;
use futures::Stream;

use super::Presence;

/// A body of which its connection knows that it is not whole yet.
struct Incoming {
    payload: Payload,
    presence: Arc<Presence>,
}

/// Notes that the request's body comes in, until it is whole or nobody wants it any more. Most requests have none.
pub(super) fn note_body(req: &mut ServiceRequest, presence: &Arc<Presence>) {
    let headers = req.headers();
    let is_empty = headers.get(header::CONTENT_LENGTH).is_none_or(|length| length == "0");
    if is_empty && !headers.contains_key(header::TRANSFER_ENCODING) {
        return;
    }
    presence.state.receiving_since.set(Some(Instant::now()));
    let (_, payload) = req.parts_mut();
    let incoming = Incoming { payload: payload.take(), presence: Arc::clone(presence) };
    *payload = Payload::Stream { payload: Box::pin(incoming) };
}

impl Stream for Incoming {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let incoming = self.get_mut();
        let chunk = Pin::new(&mut incoming.payload).poll_next(cx);
        match &chunk {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(_))) => incoming.presence.state.receiving_since.set(Some(Instant::now())),
            Poll::Ready(None | Some(Err(_))) => incoming.presence.state.receiving_since.set(None),
        }
        chunk
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.presence.state.receiving_since.set(None);
    }
}
