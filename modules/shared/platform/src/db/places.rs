//! Who may have a connection, who waits for one, and who is next.
//!
//! A place that becomes free goes to whoever has waited for longest of those with whom the connection that was given
//! back is at home, see [`crate::home`]: else, as soon as somebody waits, half of all statements would be sent and
//! answered by another thread than the one that waits for them. Nobody is passed over more than [`PATIENCE`] times.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::home::Home;

/// How many who came later may go before somebody.
const PATIENCE: u32 = 8;

/// So many places, and a queue with an end before them.
pub(super) struct Places(Arc<Queue>);

struct Queue {
    longest: usize,
    state: Mutex<State>,
}

struct State {
    /// None is free while anybody waits.
    free: usize,
    /// In the order of their numbers.
    waiting: VecDeque<Waiter>,
    next_number: u64,
}

struct Waiter {
    number: u64,
    home: Option<Home>,
    /// How often another went before.
    passed_over: u32,
    tell: oneshot::Sender<Place>,
}

/// A place, which goes to the next when it is dropped.
pub(super) struct Place {
    /// None once it has gone.
    queue: Option<Arc<Queue>>,
    /// With whom the connection is at home that has become free with it.
    near: Option<Near>,
}

/// A worker, or the pool's own runtime.
type Near = Option<Home>;

/// So many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full(pub(super) usize);

/// Somebody's part of the queue, which he leaves when his request is dropped. If he has been given a place in the same
/// moment it goes on from here.
struct Waiting {
    queue: Arc<Queue>,
    number: u64,
    told: oneshot::Receiver<Place>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        if let Ok(at) = state.waiting.binary_search_by_key(&self.number, |waiter| waiter.number) {
            state.waiting.remove(at);
        }
    }
}

impl Places {
    /// `free` at a time, at least one, and at most `longest` who wait.
    pub(super) fn new(free: usize, longest: usize) -> Self {
        let state = State { free: free.max(1), waiting: VecDeque::new(), next_number: 0 };
        Self(Arc::new(Queue { longest, state: Mutex::new(state) }))
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.0.state().waiting.len()
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// [`Full`], at once.
    pub(super) async fn take(&self, home: Option<&Home>) -> Result<Place, Full> {
        let mut waiting = {
            let mut state = self.0.state();
            if state.free > 0 {
                state.free -= 1;
                return Ok(Place { queue: Some(Arc::clone(&self.0)), near: None });
            }
            if state.waiting.len() >= self.0.longest {
                return Err(Full(state.waiting.len()));
            }
            let number = state.next_number;
            state.next_number += 1;
            let (tell, told) = oneshot::channel();
            state.waiting.push_back(Waiter { number, home: home.cloned(), passed_over: 0, tell });
            Waiting { queue: Arc::clone(&self.0), number, told }
        };
        match (&mut waiting.told).await {
            Ok(place) => Ok(place),
            Err(_) => unreachable!("who leaves the queue is told first"),
        }
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is next leaves the queue. When nobody waits the place is free.
    fn next(&self, near: Option<&Near>) -> Option<Waiter> {
        let mut state = self.state();
        let at = state.next(near);
        let waiter = state.waiting.remove(at);
        if waiter.is_none() {
            state.free += 1;
        }
        waiter
    }
}

impl State {
    /// The place in the queue of who is next.
    fn next(&mut self, near: Option<&Near>) -> usize {
        let Some(near) = near else { return 0 };
        let Some(first) = self.waiting.front_mut() else { return 0 };
        if first.home == *near || first.passed_over >= PATIENCE {
            return 0;
        }
        first.passed_over += 1;
        self.waiting.iter().position(|waiter| waiter.home == *near).unwrap_or(0)
    }
}

impl Place {
    /// A connection has become free with it, which is at home there.
    pub(super) fn leave_near(&mut self, home: Option<Home>) {
        self.near = Some(home);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let near = self.near.take();
        while let Some(queue) = self.queue.take() {
            let Some(waiter) = queue.next(near.as_ref()) else { return };
            // Who has just gone leaves it to the next.
            if let Err(mut place) = waiter.tell.send(Self { queue: Some(queue), near: near.clone() }) {
                self.queue = place.queue.take();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    type Asked<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Place, Full>> + 'a>>;

    fn poll(asked: &mut Asked<'_>) -> Poll<Result<Place, Full>> {
        asked.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Asks, and waits.
    fn ask<'a>(places: &'a Places, home: Option<&'a Home>) -> Asked<'a> {
        let mut asked: Asked<'a> = Box::pin(places.take(home));
        assert!(poll(&mut asked).is_pending());
        asked
    }

    fn got(asked: &mut Asked<'_>) -> Place {
        match poll(asked) {
            Poll::Ready(Ok(place)) => place,
            Poll::Ready(Err(Full(waiting))) => panic!("{waiting} wait"),
            Poll::Pending => panic!("it waits"),
        }
    }

    async fn one() -> (Places, Place) {
        let places = Places::new(1, 100);
        let place = places.take(None).await.ok().unwrap();
        (places, place)
    }

    fn homes() -> [Home; 2] {
        [Home::new(), Home::new()]
    }

    #[tokio::test]
    async fn a_place_goes_to_whom_its_connection_is_at_home_with() {
        let (places, mut place) = one().await;
        let [here, there] = homes();
        let mut asked = [Some(&there), Some(&here), None, Some(&here)].map(|home| ask(&places, home));
        place.leave_near(Some(here.clone()));
        drop(place);
        assert!(poll(&mut asked[0]).is_pending());
        let mut second = got(&mut asked[1]);
        assert!(poll(&mut asked[3]).is_pending());
        second.leave_near(None);
        drop(second);
        let mut third = got(&mut asked[2]);
        third.leave_near(Some(here.clone()));
        drop(third);
        // Nobody is at home with it any more: the one who has waited for longest.
        let mut fourth = got(&mut asked[3]);
        fourth.leave_near(None);
        drop(fourth);
        got(&mut asked[0]);
    }

    #[tokio::test]
    async fn nobody_is_passed_over_for_ever() {
        let (places, mut place) = one().await;
        let [here, there] = homes();
        let mut first = ask(&places, Some(&there));
        for passed in 0..PATIENCE {
            let mut other = ask(&places, Some(&here));
            place.leave_near(Some(here.clone()));
            drop(place);
            assert!(poll(&mut first).is_pending(), "after {passed}");
            place = got(&mut other);
        }
        let mut other = ask(&places, Some(&here));
        place.leave_near(Some(here.clone()));
        drop(place);
        assert!(poll(&mut other).is_pending());
        got(&mut first);
    }

    #[tokio::test]
    async fn who_leaves_takes_no_place_along() {
        let (places, place) = one().await;
        let (gone, told, mut last) = (ask(&places, None), ask(&places, None), ask(&places, None));
        drop(gone);
        drop(place);
        // He was given it, and does not know yet.
        drop(told);
        drop(got(&mut last));
        let place = places.take(None).await.ok().unwrap();
        assert!(places.0.state().waiting.is_empty());
        drop(place);
        assert_eq!(places.0.state().free, 1);
    }

    #[tokio::test]
    async fn the_queue_has_an_end() {
        let places = Places::new(0, 2);
        let place = places.take(None).await.ok().unwrap();
        let waiting = [ask(&places, None), ask(&places, None)];
        assert_eq!(pin!(places.take(None)).await.err(), Some(Full(2)));
        drop(waiting);
        let mut asked = ask(&places, None);
        drop(place);
        got(&mut asked);
    }
}
