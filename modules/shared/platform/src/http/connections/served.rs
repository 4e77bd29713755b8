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
use super::incoming::note_body;

/// How long a part of an answer may take to be read, and how much of it in each second after that, which are not many: a
/// part is kept in memory until then, and the socket has another.
const READING: Duration = Duration::from_secs(60);
const READ_BYTES_PER_SECOND: u64 = 1024;
const LONGEST_READING: Duration = Duration::from_secs(120);

/// Middleware, the outermost: a connection is not silent while its request is served, until the last byte of
/// the answer is taken.
///
/// # Errors
/// Those of the wrapped service.
pub async fn note_requests(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let presence = req.conn_data::<Arc<Presence>>().cloned();
    if let Some(presence) = &presence {
        note_body(&mut req, presence);
    }
    let served = presence.map(Served::new);
    let response = next.call(req).await?;
    Ok(response.map_body(|_, body| Noted { body: Box::pin(body), served }))
}

/// A request that is being served.
pub(super) struct Served {
    presence: Arc<Presence>,
    /// Whether a part of the answer is given and not known to be read.
    given: bool,
}

impl Served {
    pub(super) fn new(presence: Arc<Presence>) -> Self {
        presence.begin();
        Self { presence, given: false }
    }

    /// Notes that the answer was asked for more, and what it gave.
    fn note(&mut self, given: Option<&Bytes>) {
        match (self.given, given) {
            (false, None) => {}
            (true, None) => self.presence.state.take(until(0)),
            (false, Some(part)) => self.presence.state.give(until(part.len())),
            (true, Some(part)) => self.presence.state.go_on(until(part.len())),
        }
        self.given = given.is_some();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.note(None);
        self.presence.state.end();
    }
}

/// A body whose request is served until it is sent. It is asked for more when there is room, that is when most of what
/// it gave before was read.
struct Noted<B> {
    body: Pin<Box<B>>,
    served: Option<Served>,
}

fn until(unread: usize) -> Instant {
    Instant::now() + READING.saturating_add(reading_time(unread)).min(LONGEST_READING)
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
        if let Some(served) = &mut noted.served {
            match &part {
                Poll::Ready(Some(Ok(bytes))) => served.note(Some(bytes)),
                Poll::Ready(_) | Poll::Pending => served.note(None),
            }
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SILENCE, is_open, pair};
    use super::super::{Connections, FAR_TOO_MANY, LOOK_AGAIN};
    use super::*;
    use actix_web::body::BodyStream;
    use futures::StreamExt as _;
    use std::net::TcpListener;

    #[tokio::test]
    async fn who_does_not_read_its_answer_is_shut() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let all = Connections::with_room(10, SILENCE);
        let (mut client, socket) = pair(&listener);
        let presence = all.enter(socket);
        let parts = [Bytes::from_static(&[b'x'; 2_048]), Bytes::from_static(b"y")];
        let parts = futures::stream::iter(parts.map(Ok::<_, std::io::Error>)).chain(futures::stream::pending());
        let served = Some(Served::new(Arc::clone(&presence)));
        let mut answer = Box::pin(Noted { body: Box::pin(BodyStream::new(Box::pin(parts))), served });
        let mut poll = async || futures::poll!(std::future::poll_fn(|cx| answer.as_mut().poll_next(cx)));
        assert!(poll().await.is_ready());
        all.shut_silent(Instant::now() + READING + LOOK_AGAIN);
        assert!(is_open(&mut client), "two seconds more for two kilobytes");
        assert!(poll().await.is_ready() && poll().await.is_pending());
        all.shut_silent(Instant::now() + READING * 10);
        assert!(is_open(&mut client), "it is we who have no more");
        drop(answer);

        let served = Some(Served::new(Arc::clone(&presence)));
        let mut answer = Box::pin(Noted { body: Box::pin(Bytes::from(vec![b'x'; 8 << 20])), served });
        assert!(futures::poll!(std::future::poll_fn(|cx| answer.as_mut().poll_next(cx))).is_ready());
        all.shut_silent(Instant::now() + LONGEST_READING - LOOK_AGAIN);
        assert!(is_open(&mut client));
        all.shut_silent(Instant::now() + LONGEST_READING + LOOK_AGAIN);
        assert!(!is_open(&mut client), "however much it is");
        drop(answer);

        let (mut client, socket) = pair(&listener);
        let presence = all.enter(socket);
        let served = Some(Served::new(Arc::clone(&presence)));
        let mut answer = Box::pin(Noted { body: Box::pin(Bytes::from_static(b"xyz")), served });
        assert!(futures::poll!(std::future::poll_fn(|cx| answer.as_mut().poll_next(cx))).is_ready());
        all.shut_silent(Instant::now() + READING + LOOK_AGAIN);
        assert!(!is_open(&mut client));
    }

    #[tokio::test]
    async fn of_many_answers_at_once_one_that_is_read_keeps_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let all = Connections::with_room(10, SILENCE);
        let (mut client, socket) = pair(&listener);
        let presence = all.enter(socket);
        let mut two = [0, 1].map(|_| Served::new(Arc::clone(&presence)));
        let part = Bytes::from_static(b"part");
        two.iter_mut().for_each(|served| served.note(Some(&part)));
        // The end of one is no silence, for the other still runs.
        let [mut stuck, read] = two;
        drop(read);
        all.shut_silent(Instant::now() + READING - LOOK_AGAIN);
        assert!(is_open(&mut client));
        stuck.note(Some(&part));
        stuck.note(None);
        all.shut_silent(Instant::now() + READING * 10);
        assert!(is_open(&mut client), "all is read, and it is we who have no more");
        stuck.note(Some(&part));
        // A later answer that nobody reads either gives no more time.
        let mut later = Served::new(Arc::clone(&presence));
        let given = Instant::now();
        later.note(Some(&Bytes::from(vec![b'x'; 1 << 20])));
        all.shut_silent(given + READING + LOOK_AGAIN);
        assert!(!is_open(&mut client));
    }

    #[tokio::test]
    async fn who_asks_far_too_much_at_once_is_shut() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let all = Connections::with_room(10, SILENCE);
        let (mut client, socket) = pair(&listener);
        let presence = all.enter(socket);
        let crowd: Vec<_> = (0..FAR_TOO_MANY).map(|_| Served::new(Arc::clone(&presence))).collect();
        assert!(is_open(&mut client));
        let _one_more = Served::new(Arc::clone(&presence));
        assert!(!is_open(&mut client));
        drop(crowd);
    }
}
