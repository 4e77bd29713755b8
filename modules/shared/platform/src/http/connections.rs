//! The connections of a listener, so that nobody keeps one without asking anything.
//!
//! actix bounds the time of a connection's first head and that of a pause between requests, but not that of a
//! later head: whoever sends its first byte and then no more would stay for ever. And each connection costs
//! two file descriptors, so there are no more than the process has to spare: when all are taken, the one that was
//! waited for the longest makes room.

mod incoming;
mod served;
mod state;

use std::any::Any;
use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::rt::net;
use actix_web::{HttpRequest, http::Version};
use rustix::io::ioctl_fionread;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use self::state::State;

pub use served::note_requests;

/// How much longer than a pause a connection may be without a request that has arrived: what actix gives a head, and a
/// little.
const HEAD: Duration = Duration::from_secs(6);

/// The pause between two looks.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// No listener needs more.
const MOST: u64 = 10_000;

/// Requests of one HTTP/2 connection that are served at the same time; the others are to be refused. RFC 9113, 6.5.2
/// recommends no fewer than 100.
const MOST_AT_ONCE: usize = 250;

/// With so many under way, refusals that nobody reads among them, a connection is shut.
const FAR_TOO_MANY: usize = 1_000;

/// Connections that are asked, when one has to make room, whether something of theirs waits to be read.
const MOST_LOOKED_AT: usize = 64;

/// Connections of a worker that are shut and not gone yet while others are taken in.
const MOST_LEAVING: usize = 8;

/// File descriptors for all else: databases, neighbours, files, the other listeners.
const RESERVED: u64 = 512;

/// The connections of a listener. Clones are the same.
#[derive(Clone, Debug)]
pub struct Connections(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    at_most: usize,
    /// The longest that a connection may be without a request that has arrived.
    silence: Duration,
    /// Only for those that come and go: what a request changes of its connection needs no lock.
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    by_id: HashMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    /// A second descriptor of the socket, by which it can be shut from here.
    socket: TcpStream,
    state: Arc<State>,
}

/// A connection's place among the others, for as long as it is open.
#[derive(Debug)]
struct Presence {
    id: u64,
    state: Arc<State>,
    all: Connections,
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.all.change(|open| drop(open.by_id.remove(&self.id)));
    }
}

impl Connections {
    /// None yet, and room for as many as the process may have open files; in the runtime that looks after
    /// them.
    #[must_use]
    pub fn new(keep_alive: Duration) -> Self {
        let connections = Self::with_room(room(), keep_alive + HEAD);
        tokio::spawn(watch(Arc::downgrade(&connections.0)));
        connections
    }

    fn with_room(at_most: usize, silence: Duration) -> Self {
        Self(Arc::new(Inner { at_most, silence, open: Mutex::default() }))
    }

    /// What `HttpServer::on_connect` is to be told.
    pub fn on_connect(self) -> impl Fn(&dyn Any, &mut Extensions) + Send + Clone + 'static {
        move |stream, extensions| {
            let Some(socket) = tcp(stream).and_then(|stream| stream.as_fd().try_clone_to_owned().ok()) else { return };
            extensions.insert(self.enter(TcpStream::from(socket)));
        }
    }

    /// TLS handshakes that each of so many workers may have under way: no more than there are file descriptors for,
    /// and enough that those who say nothing keep nobody else waiting.
    #[must_use]
    pub fn handshakes(&self, workers: usize) -> usize {
        (self.0.at_most / 2 / workers.max(1)).max(16)
    }

    /// Connections that each of so many workers may hold, those in their handshake and those shut but not gone yet
    /// among them. With so many, the listener waits before it takes another from the system's queue, so that a
    /// worker that is behind never costs the process its last file descriptor.
    #[must_use]
    pub fn per_worker(&self, workers: usize) -> usize {
        self.0.at_most.div_ceil(workers.max(1)) + self.handshakes(workers) + MOST_LEAVING
    }

    fn enter(&self, socket: TcpStream) -> Arc<Presence> {
        let state = Arc::new(State::new());
        let connection = Connection { socket, state: Arc::clone(&state) };
        let id = self.change(|open| {
            if open.by_id.len() >= self.0.at_most {
                open.make_room();
            }
            open.next += 1;
            open.by_id.insert(open.next, connection);
            open.next
        });
        Arc::new(Presence { id, state, all: self.clone() })
    }

    fn shut_silent(&self, now: Instant) {
        self.change(|open| {
            for connection in open.by_id.values() {
                let state = &connection.state;
                if state.silent_since.get().is_some_and(|since| now.saturating_duration_since(since) > self.0.silence) {
                    connection.shut("it does not send a request");
                } else if state.read_by.get().is_some_and(|until| now > until) {
                    connection.shut("it does not read its answer");
                }
            }
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Open) -> T) -> T {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut open);
        metrics::gauge!("eshopz_http_connections").set(f64::from(u32::try_from(open.by_id.len()).unwrap_or(u32::MAX)));
        changed
    }
}

impl Open {
    /// Shuts the one whose client was waited for the longest: one that is silent, or one whose body does not come on. So
    /// neither a crowd that says nothing nor one that keeps its bodies back keeps everybody else waiting. Its end is
    /// noticed, and its place free, a moment later.
    ///
    /// Whoever has sent something that no worker has come to read yet is not waited for; only if nobody else is found
    /// does the oldest go all the same.
    fn make_room(&mut self) {
        let waited_for = self.waited_for();
        if let Some(oldest) = waited_for.iter().find(|one| !one.has_sent()).or(waited_for.first()) {
            oldest.shut("there are too many");
            // So that the next one who comes finds another.
            oldest.state.silent_since.set(None);
            oldest.state.receiving_since.set(None);
        }
    }

    /// Some of those whose client is waited for, the one that was for longest first.
    fn waited_for(&self) -> Vec<&Connection> {
        let mut first: Vec<_> = self.by_id.values().filter_map(|one| Some((one.state.waited_since()?, one))).collect();
        if first.len() > MOST_LOOKED_AT {
            first.select_nth_unstable_by_key(MOST_LOOKED_AT, |(since, _)| *since);
            first.truncate(MOST_LOOKED_AT);
        }
        first.sort_unstable_by_key(|(since, _)| *since);
        first.into_iter().map(|(_, one)| one).collect()
    }
}

impl Connection {
    /// Whether something of it waits to be read.
    fn has_sent(&self) -> bool {
        ioctl_fionread(&self.socket).is_ok_and(|bytes| bytes > 0)
    }

    fn shut(&self, reason: &'static str) {
        metrics::counter!("eshopz_http_shut_total", "reason" => reason).increment(1);
        // It may be gone by itself.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

async fn watch(connections: Weak<Inner>) {
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        let Some(inner) = connections.upgrade() else { return };
        Connections(inner).shut_silent(Instant::now());
    }
}

/// How many connections there may be. The limit of open files that a shell sets is for programs that know no
/// better; a server may ask for all that the system lets it have.
fn room() -> usize {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || limit.maximum.is_none() {
        // Not granted is not needed: there is then room for fewer.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // Two for each, and a half for those whose TLS handshake is under way, who have one.
    let connections = (files.saturating_sub(RESERVED) * 2 / 5).clamp(64, MOST);
    usize::try_from(connections).unwrap_or(usize::MAX)
}

/// The socket below a connection, with TLS or without.
fn tcp(stream: &dyn Any) -> Option<&net::TcpStream> {
    let below_tls = || stream.downcast_ref::<TlsStream<net::TcpStream>>().map(|stream| stream.get_ref().0);
    stream.downcast_ref::<net::TcpStream>().or_else(below_tls)
}

/// Whether a connection has so many requests under way that this one is to be refused.
#[must_use]
pub fn is_crowded(req: &HttpRequest) -> bool {
    let running = |presence: &Arc<Presence>| presence.state.running();
    req.version() == Version::HTTP_2 && req.conn_data().map_or(0, running) > MOST_AT_ONCE
}

impl Presence {
    /// A request has come.
    fn begin(&self) {
        if self.state.begin() >= FAR_TOO_MANY {
            self.all.change(|open| open.by_id.get(&self.id).map(|connection| connection.shut("it asks too much")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::served::Served;
    use super::*;

    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::TcpListener;

    pub(super) const SILENCE: Duration = Duration::from_secs(11);

    /// Both ends of a connection.
    pub(super) fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_nonblocking(true).unwrap();
        (client, listener.accept().unwrap().0)
    }

    pub(super) fn is_open(client: &mut TcpStream) -> bool {
        matches!(client.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    #[test]
    fn who_says_nothing_is_shut_and_who_is_served_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let all = Connections::with_room(10, SILENCE);
        let ((mut silent, one), (mut served, two)) = (pair(&listener), pair(&listener));
        let (silently, presence) = (all.enter(one), all.enter(two));
        let request = Served::new(Arc::clone(&presence));
        let later = Instant::now() + SILENCE + LOOK_AGAIN;
        all.shut_silent(Instant::now());
        assert!(is_open(&mut silent));
        all.shut_silent(later);
        assert!(!is_open(&mut silent) && is_open(&mut served));
        drop(request);
        all.shut_silent(later + SILENCE);
        assert!(!is_open(&mut served));
        drop((silently, presence));
        assert_eq!(all.change(|open| open.by_id.len()), 0);
    }

    #[test]
    fn the_longest_silent_makes_room() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let all = Connections::with_room(2, SILENCE);
        let (mut clients, sockets): (Vec<_>, Vec<_>) = (0..4).map(|_| pair(&listener)).unzip();
        let present: Vec<_> = sockets.into_iter().map(|socket| all.enter(socket)).collect();
        let open: Vec<bool> = clients.iter_mut().map(is_open).collect();
        assert_eq!(open, [false, false, true, true]);
        drop(present);
    }

    #[test]
    fn a_body_that_does_not_come_on_makes_room() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let all = Connections::with_room(2, SILENCE);
        let (mut clients, sockets): (Vec<_>, Vec<_>) = (0..4).map(|_| pair(&listener)).unzip();
        let mut present = Vec::new();
        for socket in sockets {
            let one = all.enter(socket);
            let request = Served::new(Arc::clone(&one));
            one.state.receiving_since.set((present.len() != 1).then(Instant::now));
            present.push((one, request));
        }
        // The second one's request is being worked for.
        assert_eq!(clients.iter_mut().map(is_open).collect::<Vec<_>>(), [false, true, false, true]);
        drop(present);
    }

    #[test]
    fn who_waits_to_be_read_makes_no_room_unless_all_do() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let all = Connections::with_room(2, SILENCE);
        let (mut clients, sockets): (Vec<_>, Vec<_>) = (0..4).map(|_| pair(&listener)).unzip();
        for unread in [0, 2] {
            clients[unread].write_all(b"GET").unwrap();
        }
        let mut sockets = sockets.into_iter();
        let mut present: Vec<_> = sockets.by_ref().take(3).map(|socket| all.enter(socket)).collect();
        assert_eq!(clients.iter_mut().map(is_open).collect::<Vec<_>>(), [true, false, true, true]);
        present.extend(sockets.map(|socket| all.enter(socket)));
        assert_eq!(clients.iter_mut().map(is_open).collect::<Vec<_>>(), [false, false, true, true]);
        drop(present);
    }
}
