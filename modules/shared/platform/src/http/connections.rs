//! The connections of a listener, so that nobody keeps one without asking anything.
//!
//! actix bounds the time of a connection's first head and that of a pause between requests, but not that of a
//! later head: whoever sends its first byte and then no more would stay for ever. And each connection costs
//! two file descriptors, so there are no more than the process has to spare: when all are taken, the one that has
//! been silent for longest makes room.

mod served;

use std::any::Any;
use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_web::dev::Extensions;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub use served::note_requests;

/// The longest that a connection may be without a request that has arrived: what actix gives a pause and what
/// it gives a head, and a little.
const SILENCE: Duration = Duration::from_secs(11);

/// The pause between two looks.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// No listener needs more.
const MOST: u64 = 10_000;

/// What times are told from.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// In place of a time, in nanoseconds.
const NEVER: u64 = u64::MAX;

/// File descriptors for all else: databases, neighbours, files, the other listeners.
const RESERVED: u64 = 512;

/// The connections of a listener. Clones are the same.
#[derive(Clone, Debug)]
pub struct Connections(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    at_most: usize,
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

#[derive(Debug)]
struct State {
    /// Since when there is no request; never while one is served.
    silent_since: Moment,
    /// Until when what was given to it of an answer has to be read; never while there is room for more.
    read_by: Moment,
}

/// A time, or never.
#[derive(Debug)]
struct Moment(AtomicU64);

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
    pub fn new() -> Self {
        let connections = Self::with_room(room());
        tokio::spawn(watch(Arc::downgrade(&connections.0)));
        connections
    }

    fn with_room(at_most: usize) -> Self {
        Self(Arc::new(Inner { at_most, open: Mutex::default() }))
    }

    /// What `HttpServer::on_connect` is to be told.
    pub fn on_connect(self) -> impl Fn(&dyn Any, &mut Extensions) + Send + Clone + 'static {
        move |stream, extensions| {
            let stream = stream.downcast_ref::<actix_web::rt::net::TcpStream>();
            let Some(socket) = stream.and_then(|stream| stream.as_fd().try_clone_to_owned().ok()) else { return };
            extensions.insert(self.enter(TcpStream::from(socket)));
        }
    }

    fn enter(&self, socket: TcpStream) -> Arc<Presence> {
        let state = Arc::new(State { silent_since: Moment::at(Some(Instant::now())), read_by: Moment::at(None) });
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
                if state.silent_since.get().is_some_and(|since| now.saturating_duration_since(since) > SILENCE) {
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

impl Default for Connections {
    fn default() -> Self {
        Self::new()
    }
}

impl Open {
    /// Shuts the one that has been silent for longest. Its end is noticed, and its place free, a moment later.
    fn make_room(&mut self) {
        let silent = self.by_id.values().filter_map(|one| Some((one.state.silent_since.get()?, one)));
        if let Some((_, oldest)) = silent.min_by_key(|(since, _)| *since) {
            oldest.shut("there are too many");
            // So that the next one who comes finds another.
            oldest.state.silent_since.set(None);
        }
    }
}

impl Connection {
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
    let connections = (files.saturating_sub(RESERVED) / 2).clamp(64, MOST);
    usize::try_from(connections).unwrap_or(usize::MAX)
}

impl Presence {
    fn set(&self, silent_since: Option<Instant>) {
        self.state.silent_since.set(silent_since);
        // The end of an answer is read, or the connection is silent.
        self.state.read_by.set(None);
    }

    fn set_read_by(&self, until: Option<Instant>) {
        self.state.read_by.set(until);
    }
}

impl Moment {
    fn at(time: Option<Instant>) -> Self {
        let moment = Self(AtomicU64::new(NEVER));
        moment.set(time);
        moment
    }

    fn set(&self, time: Option<Instant>) {
        let nanos = time.map(|time| time.saturating_duration_since(*BEGAN).as_nanos());
        self.0.store(nanos.and_then(|nanos| u64::try_from(nanos).ok()).unwrap_or(NEVER), Ordering::Relaxed);
    }

    fn get(&self) -> Option<Instant> {
        let nanos = self.0.load(Ordering::Relaxed);
        (nanos != NEVER).then(|| *BEGAN + Duration::from_nanos(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::served::Served;
    use super::*;
    use std::io::{ErrorKind, Read as _};
    use std::net::TcpListener;

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
        let all = Connections::with_room(10);
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
        let all = Connections::with_room(2);
        let (mut clients, sockets): (Vec<_>, Vec<_>) = (0..4).map(|_| pair(&listener)).unzip();
        let present: Vec<_> = sockets.into_iter().map(|socket| all.enter(socket)).collect();
        let open: Vec<bool> = clients.iter_mut().map(is_open).collect();
        assert_eq!(open, [false, false, true, true]);
        drop(present);
    }
}
