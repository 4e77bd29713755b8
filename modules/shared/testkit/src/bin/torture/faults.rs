//! Carries out the schedule.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use eshopz_testkit::postgres::Postgres;
use eshopz_testkit::redis::TestRedis;
use rustix::process::Signal;
use tokio::sync::Mutex;
use tokio::time::{sleep, sleep_until};

use crate::fleet::Process;
use crate::schedule::{Fault, Means, Target};

/// What can be broken. Each is locked from when it breaks until it is well again.
pub struct Victims {
    pub processes: Vec<Mutex<Process>>,
    pub postgres: Mutex<Postgres>,
    pub redis: Arc<std::sync::Mutex<TestRedis>>,
}

/// A fault that was carried out.
#[derive(Clone, Debug)]
pub struct Done {
    pub fault: Fault,
    /// Since the load began: when it came, and when all was well again.
    pub from: Duration,
    pub until: Duration,
}

/// Whether something is broken, for whoever measures.
#[derive(Debug)]
pub struct Weather {
    began: Instant,
    broken: Cell<usize>,
    last_well: Cell<Instant>,
    pub done: RefCell<Vec<Done>>,
}

impl Weather {
    pub fn new(began: Instant) -> Self {
        Self { began, broken: Cell::new(0), last_well: Cell::new(began), done: RefCell::default() }
    }

    /// Since the load began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether anything was broken at any time since.
    pub fn was_foul_since(&self, since: Instant) -> bool {
        self.broken.get() > 0 || self.last_well.get() > since
    }

    fn breaks(&self) -> Duration {
        self.broken.set(self.broken.get() + 1);
        self.began.elapsed()
    }

    fn mends(&self, fault: Fault, from: Duration) {
        self.broken.set(self.broken.get().saturating_sub(1));
        self.last_well.set(Instant::now());
        self.done.borrow_mut().push(Done { fault, from, until: self.began.elapsed() });
    }
}

/// Waits for the fault's time, breaks the target and mends it; an error is that it did not come back as it should.
pub async fn carry_out(fault: Fault, victims: Rc<Victims>, weather: Rc<Weather>) -> Result<(), String> {
    sleep_until((weather.began + fault.at).into()).await;
    let (from, broken) = match fault.target {
        Target::Process(index) => {
            let Some(process) = victims.processes.get(index) else { return Ok(()) };
            let mut process = process.lock().await;
            (weather.breaks(), break_process(&mut process, fault).await)
        }
        Target::Postgres => {
            let mut postgres = victims.postgres.lock().await;
            (weather.breaks(), break_postgres(&mut postgres, fault).await)
        }
        Target::Redis => (weather.breaks(), break_redis(Arc::clone(&victims.redis), fault).await),
    };
    weather.mends(fault, from);
    broken
}

async fn break_process(process: &mut Process, fault: Fault) -> Result<(), String> {
    match fault.means {
        Means::Freeze => {
            process.signal(Signal::STOP);
            sleep(fault.lasts).await;
            process.signal(Signal::CONT);
            return process.ready().await;
        }
        Means::Restart => {
            process.signal(Signal::TERM);
            let status = process.ended().await?;
            if !status.success() {
                return Err(format!("after SIGTERM a process ended with {status}; see {}", process.log().display()));
            }
        }
        Means::Kill | Means::Quit | Means::Disconnect => {
            process.signal(Signal::KILL);
            process.ended().await?;
            sleep(fault.lasts).await;
        }
    }
    process.start_again()?;
    let started = process.ready().await;
    if started.is_err() {
        // Somebody would start it again; that it was needed is told all the same.
        process.start_again()?;
        process.ready().await?;
    }
    started
}

async fn break_postgres(postgres: &mut Postgres, fault: Fault) -> Result<(), String> {
    match fault.means {
        Means::Disconnect | Means::Freeze => return postgres.disconnect_all().await,
        Means::Kill => postgres.kill(),
        Means::Quit => postgres.stop_at_once(),
        Means::Restart => postgres.stop_in_order(),
    }
    postgres.ended().await?;
    sleep(fault.lasts).await;
    postgres.start_again().await
}

/// In a thread: starting a server waits for it.
async fn break_redis(redis: Arc<std::sync::Mutex<TestRedis>>, fault: Fault) -> Result<(), String> {
    let work = move || {
        let mut redis = redis.lock().unwrap_or_else(PoisonError::into_inner);
        match fault.means {
            Means::Freeze => {
                redis.stop();
                std::thread::sleep(fault.lasts);
                redis.cont();
            }
            _ => {
                redis.kill();
                std::thread::sleep(fault.lasts);
                redis.restart();
            }
        }
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| "redis-server could not be started again".to_owned())
}
