//! A pool: so many connections at most, lent one by one, and a queue before them, see [`super::places`].
//!
//! Each has a home, see [`crate::home`], and is lent to whom it is at home with, if there is a choice. The address can
//! change while the pool is in use: idle connections to the old one go at once, those in use when they come back.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::PoolableConnection as _;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_postgres::Config;

use super::StoreError;
use super::places::{Full, Place, Places};
use super::session::{Address, Role, Session, Sessions};
use crate::home::{self, Home};
use crate::meters;

/// How many may wait for each connection of a pool. Whoever comes after them is told at once.
const QUEUE_PER_CONNECTION: usize = 100;

/// How often a connection moves to who is lent it, at most: to open one costs more than many statements, which it has yet
/// to plan.
const MOVE: Duration = Duration::from_secs(10);

/// A pool and its address. Clones share it.
#[derive(Clone)]
pub(super) struct Lane {
    pool: Arc<Pool>,
}

struct Pool {
    sessions: Sessions,
    size: usize,
    /// For a connection to become free, and again for one to be opened.
    patience: Duration,
    places: Places,
    open: Arc<AtomicUsize>,
    stock: Mutex<Stock>,
    measures: Measures,
}

struct Measures {
    acquired: Histogram,
    failed: Counter,
    idle: Gauge,
    used: Gauge,
    max: Gauge,
    waiting: Gauge,
}

impl Measures {
    fn of(module: &'static str, pool: &'static str) -> Self {
        let connections = |state: &'static str| gauge!("eshopz_db_pool_connections", "module" => module, "pool" => pool, "state" => state);
        Self {
            acquired: histogram!("eshopz_db_acquire_duration_seconds", "module" => module, "pool" => pool),
            failed: counter!("eshopz_db_acquire_failures_total", "module" => module, "pool" => pool),
            idle: connections("idle"),
            used: connections("used"),
            max: gauge!("eshopz_db_pool_connections_max", "module" => module, "pool" => pool),
            waiting: gauge!("eshopz_db_pool_waiting", "module" => module, "pool" => pool),
        }
    }
}

#[derive(Default)]
struct Stock {
    /// The one that was given back last is the last.
    idle: Vec<Held>,
    moved: Option<Instant>,
}

struct Held {
    session: Box<Session>,
    room: Room,
}

/// What an open connection takes of the pool's size.
struct Room(Arc<AtomicUsize>);

impl Room {
    fn of(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(open))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What there is for somebody who has a place.
enum Found {
    Idle(Held),
    Room(Room),
}

/// A connection on loan from the pool.
pub struct Conn {
    /// None once it was given back.
    held: Option<Held>,
    pool: Arc<Pool>,
    /// Given up after the connection.
    place: Place,
}

impl Deref for Conn {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        match &self.held {
            Some(held) => &held.session.conn,
            None => unreachable!("it is taken only when it is dropped"),
        }
    }
}

impl DerefMut for Conn {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        match &mut self.held {
            Some(held) => &mut held.session.conn,
            None => unreachable!("it is taken only when it is dropped"),
        }
    }
}

impl Drop for Conn {
    /// A request that was dropped in the middle of its transaction leaves it open. Its connection is closed now, and not
    /// when the pool would lend it again: until then others would wait for its locks.
    fn drop(&mut self) {
        if let Some(mut held) = self.held.take()
            && !held.session.conn.is_broken()
        {
            held.session.used = Instant::now();
            self.place.leave_near(held.session.home.clone());
            self.pool.stock().idle.push(held);
        }
    }
}

impl Pool {
    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for one of so many places as there may be connections.
    async fn place(&self, home: Option<&Home>) -> Result<Place, StoreError> {
        let place = timeout(self.patience, self.places.take(home)).await;
        let place =
            place.map_err(|_| StoreError::Pool(format!("none was free within {} ms", self.patience.as_millis())))?;
        place.map_err(|Full(waiting)| StoreError::Pool(format!("{waiting} requests wait for one already")))
    }

    /// The best that there is: one that is at home here, room for one, one from elsewhere.
    fn find(&self, home: Option<&Home>) -> Found {
        let mut stock = self.stock();
        stock.forget_lost(&self.sessions);
        if let Some(at) = stock.idle.iter().rposition(|held| held.session.home.as_ref() == home) {
            return Found::Idle(stock.idle.remove(at));
        }
        if self.open.load(Ordering::SeqCst) < self.size || stock.idle.is_empty() {
            return Found::Room(Room::of(&self.open));
        }
        let other = stock.idle.remove(0);
        let leaving = home.is_none() && home::is_left();
        if !leaving && stock.moved.is_some_and(|moved| moved.elapsed() < MOVE) {
            return Found::Idle(other);
        }
        stock.moved = Some(Instant::now());
        Found::Room(other.room)
    }

    async fn get(self: &Arc<Self>) -> Result<Conn, StoreError> {
        let began = Instant::now();
        let conn = self.lend().await;
        self.measures.acquired.record(began.elapsed());
        if conn.is_err() {
            self.measures.failed.increment(1);
        }
        conn
    }

    async fn lend(self: &Arc<Self>) -> Result<Conn, StoreError> {
        let home = Home::here();
        let place = self.place(home.as_ref()).await?;
        let held = loop {
            match self.find(home.as_ref()) {
                Found::Idle(mut held) => {
                    if held.session.is_fit(&self.sessions).await {
                        break held;
                    }
                }
                Found::Room(room) => break Held { session: self.open(home.as_ref()).await?.into(), room },
            }
        };
        held.session.note_loan();
        Ok(Conn { held: Some(held), pool: Arc::clone(self), place })
    }

    async fn open(&self, home: Option<&Home>) -> Result<Session, StoreError> {
        match timeout(self.patience, self.sessions.open(home)).await {
            Ok(opened) => opened.map_err(|error| StoreError::Pool(format!("none could be opened: {error}"))),
            Err(_) => Err(StoreError::Pool(format!("none was opened within {} ms", self.patience.as_millis()))),
        }
    }
}

impl Stock {
    fn forget_lost(&mut self, sessions: &Sessions) {
        self.idle.retain(|held| held.session.leads_there(sessions));
    }
}

impl Lane {
    /// A pool in the present runtime. No connection is opened yet.
    pub(super) fn new(
        module: &'static str,
        config: Option<Config>,
        role: Role,
        size: usize,
        patience: Duration,
    ) -> Self {
        let sessions = Sessions {
            module,
            address: Address::new(config),
            runtime: Handle::current(),
            role,
            refused: Arc::default(),
        };
        let pool = Pool {
            sessions,
            size,
            patience,
            places: Places::new(size, size.saturating_mul(QUEUE_PER_CONNECTION)),
            open: Arc::default(),
            stock: Mutex::default(),
            measures: Measures::of(module, role.name()),
        };
        Self { pool: Arc::new(pool) }
    }

    /// A connection, as soon as one is free.
    pub(super) async fn conn(&self) -> Result<Conn, StoreError> {
        self.pool.get().await
    }

    pub(super) fn address(&self) -> &Address {
        &self.pool.sessions.address
    }

    /// Told when the server refuses the user or the password.
    pub(super) fn refused(&self) -> &Notify {
        &self.pool.sessions.refused
    }

    /// How many are open, and how many of them idle.
    pub(super) fn status(&self) -> (usize, usize) {
        let idle = self.pool.stock().idle.len();
        (self.pool.open.load(Ordering::SeqCst), idle)
    }

    /// Sets the gauges of the pool.
    pub(super) fn observe(&self) {
        let Pool { measures, places, size, .. } = &*self.pool;
        let (open, idle) = self.status();
        measures.idle.set(meters::gauge(idle));
        measures.used.set(meters::gauge(open.saturating_sub(idle)));
        measures.max.set(meters::gauge(*size));
        measures.waiting.set(meters::gauge(places.waiting()));
    }

    /// New connections lead to another place; idle ones that do not are closed. False when it is the same place.
    pub(super) fn lead_to(&self, config: Option<Config>) -> bool {
        let changed = self.address().change(config);
        if changed {
            self.pool.stock().forget_lost(&self.pool.sessions);
        }
        changed
    }
}
