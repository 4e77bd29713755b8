//! The requests of a connection, from the first byte of the body to the last one of the answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Bytes;

use super::Presence;

/// How long a part of an answer may take to be read, and how much of it in each second after that.
const READING: Duration = Duration::from_secs(60);
const READ_BYTES_PER_SECOND: u64 = 1024;

/// Middleware, the outermost: a connection is not silent while its request is served, until the last byte of
/// the answer is taken.
///
/// # Errors
/// Those of the wrapped service.
pub async fn note_requests(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let presence = req.conn_data::<Arc<Presence>>().cloned();
    let served = presence.map(Served::new);
    let response = next.call(req).await?;
    Ok(response.map_body(|_, body| Noted { body: Box::pin(body), served, given: false }))
}

/// A request that is being served.
pub(super) struct Served(Arc<Presence>);

impl Served {
    pub(super) fn new(presence: Arc<Presence>) -> Self {
        presence.set(None);
        Self(presence)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.set(Some(Instant::now()));
    }
}

/// A body whose request is served until it is sent. It is asked for more when there is room, that is when most of what
/// it gave before was read.
struct Noted<B> {
    body: Pin<Box<B>>,
    served: Option<Served>,
    /// Whether a part is given and not known to be read.
    given: bool,
}

impl<B> Noted<B> {
    fn note(&mut self, given: Option<&Bytes>) {
        if let Some(Served(presence)) = self.served.as_ref().filter(|_| self.given || given.is_some()) {
            presence.set_read_by(given.map(|part| Instant::now() + READING.saturating_add(reading_time(part.len()))));
        }
        self.given = given.is_some();
    }
}

fn reading_time(bytes: usize) -> Duration {
    Duration::from_secs(u64::try_from(bytes).unwrap_or(u64::MAX) / READ_BYTES_PER_SECOND)
}

impl<B: MessageBody> MessageBody for Noted<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let noted = self.get_mut();
        let part = noted.body.as_mut().poll_next(cx);
        match &part {
            Poll::Ready(Some(Ok(bytes))) => noted.note(Some(bytes)),
            Poll::Ready(_) | Poll::Pending => noted.note(None),
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{is_open, pair};
    use super::super::{Connections, LOOK_AGAIN};
    use super::*;
    use actix_web::body::BodyStream;
    use futures::StreamExt as _;
    use std::net::TcpListener;

    #[tokio::test]
    async fn who_does_not_read_its_answer_is_shut() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let all = Connections::with_room(10);
        let (mut client, socket) = pair(&listener);
        let presence = all.enter(socket);
        let parts = [Bytes::from_static(&[b'x'; 2_048]), Bytes::from_static(b"y")];
        let parts = futures::stream::iter(parts.map(Ok::<_, std::io::Error>)).chain(futures::stream::pending());
        let served = Some(Served::new(Arc::clone(&presence)));
        let mut answer = Box::pin(Noted { body: Box::pin(BodyStream::new(Box::pin(parts))), served, given: false });
        let mut poll = async || futures::poll!(std::future::poll_fn(|cx| answer.as_mut().poll_next(cx)));
        assert!(poll().await.is_ready());
        all.shut_silent(Instant::now() + READING + LOOK_AGAIN);
        assert!(is_open(&mut client), "two seconds more for two kilobytes");
        assert!(poll().await.is_ready() && poll().await.is_pending());
        all.shut_silent(Instant::now() + READING * 10);
        assert!(is_open(&mut client), "it is we who have no more");
        drop(answer);

        let served = Some(Served::new(Arc::clone(&presence)));
        let mut answer = Box::pin(Noted { body: Box::pin(Bytes::from_static(b"xyz")), served, given: false });
        assert!(futures::poll!(std::future::poll_fn(|cx| answer.as_mut().poll_next(cx))).is_ready());
        all.shut_silent(Instant::now() + READING + LOOK_AGAIN);
        assert!(!is_open(&mut client));
    }
}
