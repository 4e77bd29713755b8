//! Where a connection is driven.
//!
//! What a request asks of PostgreSQL or Redis is sent, and its answer read, by the thread that drives the connection. When
//! that is another than the request's, each question costs two switches between threads. So a worker drives connections of
//! its own.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;

/// A worker's runtime. What it drives is closed when it ends, before what is in the background does.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    runtime: Handle,
    /// Tells one from another.
    mark: Arc<()>,
}

/// Whether the workers are about to end.
static LEFT: AtomicBool = AtomicBool::new(false);

thread_local! {
    static HERE: RefCell<Option<Home>> = const { RefCell::new(None) };
}

/// Says that this thread is a worker: connections that are opened by its requests are driven by its runtime, within
/// which this is to be called. Elsewhere they are driven by the runtime in which their pool was made.
pub fn settle() {
    HERE.with_borrow_mut(|here| {
        here.get_or_insert_with(Home::new);
    });
}

/// Says that the workers of this process are about to end, which what is in the background does after them. From now on
/// it is lent nothing that they drive.
pub fn leave() {
    LEFT.store(true, Ordering::SeqCst);
}

pub(crate) fn is_left() -> bool {
    LEFT.load(Ordering::SeqCst)
}

impl Home {
    /// The present runtime's.
    pub(crate) fn new() -> Self {
        Self { runtime: Handle::current(), mark: Arc::default() }
    }

    /// This thread's, if it is a worker.
    pub(crate) fn here() -> Option<Self> {
        HERE.with_borrow(Clone::clone)
    }

    pub(crate) const fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

impl PartialEq for Home {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mark, &other.mark)
    }
}
