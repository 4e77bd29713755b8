//! A good client: it repeats what was refused for the moment, or not answered, with the same key and after
//! the pause that it was told, and it notes every answer that a shop must not give.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use eshopz_testkit::load::{Call, Http, Reply};
use reqwest::Method;
use tokio::time::{sleep, timeout};

use crate::faults::Weather;
use crate::tally::Tally;

/// Longer than anything is broken.
pub const LIMIT: Duration = Duration::from_secs(20);
/// How long something is tried again. Who fails so long has found an outage that does not end.
const PATIENCE: Duration = Duration::from_secs(90);
/// Before something without an answer is repeated.
const PAUSE: Duration = Duration::from_millis(500);

/// How something ended for its client.
#[derive(Debug)]
pub enum Setback {
    /// It was told no, as can happen to anybody.
    Refused,
    /// It is not known what has become of it. The violation is noted already.
    Lost,
}

pub type Outcome<T> = Result<T, Setback>;

/// An answer that is not "later".
#[derive(Debug)]
pub struct Answer {
    pub reply: Reply,
    /// Requests before this one that may have had their effect.
    pub before: u32,
}

/// The way to the shop, shared by all clients.
pub struct Client {
    pub http: Http,
    pub tally: RefCell<Tally>,
    pub weather: Rc<Weather>,
    /// Requests until now.
    pub asked: Cell<u64>,
    keys: Cell<u64>,
}

impl Client {
    pub fn new(http: Http, weather: Rc<Weather>) -> Self {
        let tally = RefCell::new(Tally::new(Instant::now()));
        Self { http, tally, weather, asked: Cell::new(0), keys: Cell::new(0) }
    }

    /// A name that nobody else in this run has.
    pub fn unique(&self, kind: &str) -> String {
        self.keys.set(self.keys.get() + 1);
        format!("{kind}-{}", self.keys.get())
    }

    /// Asks until there is an answer other than "later".
    pub async fn ask(&self, call: &Call<'_>) -> Outcome<Answer> {
        let began = Instant::now();
        let mut before = 0;
        loop {
            let asked = Instant::now();
            let pause = match self.once(call).await {
                None => PAUSE,
                // A process that was frozen has not read it in time, and says so without a problem document.
                Some(reply) if reply.status == 408 && self.weather.was_foul_since(asked) => PAUSE,
                Some(reply) => match later(&reply) {
                    Some(pause) => pause,
                    None => return self.judge(call, reply, before + u32::from(self.may_be_twice(call, asked))),
                },
            };
            if began.elapsed() > PATIENCE {
                self.wrong(call.operation, &format!("no answer but \"later\" for {} s", PATIENCE.as_secs()));
                return Err(Setback::Lost);
            }
            self.tally.borrow_mut().retries += 1;
            before += 1;
            sleep(pause).await;
        }
    }

    /// Whether the proxy may have sent it to a second process after the first was gone, as it may what can be repeated
    /// (RFC 9110, 9.2.2).
    fn may_be_twice(&self, call: &Call<'_>, asked: Instant) -> bool {
        matches!(call.method, Method::DELETE | Method::PUT) && self.weather.was_foul_since(asked)
    }

    /// Sends it and does not wait for the answer longer than this.
    pub async fn hang_up(&self, call: &Call<'_>, after: Duration) {
        if timeout(after, self.once(call)).await.is_err() {
            self.tally.borrow_mut().hang_ups += 1;
        }
    }

    /// One of these statuses, or it is a violation.
    pub async fn expect(&self, call: &Call<'_>, statuses: &[u16]) -> Outcome<Answer> {
        let answer = self.ask(call).await?;
        if statuses.contains(&answer.reply.status) {
            return Ok(answer);
        }
        self.unexpected(call, &answer);
        Err(Setback::Lost)
    }

    /// An answer that nobody should have been given.
    pub fn unexpected(&self, call: &Call<'_>, answer: &Answer) {
        let Reply { status, body, request_id, .. } = &answer.reply;
        let again = if answer.before > 0 { format!(" at attempt {}", answer.before + 1) } else { String::new() };
        self.wrong(call.operation, &format!("{status}{again}, request {request_id}: {body}; path {}", call.path));
    }

    /// Something that must not be.
    pub fn wrong(&self, operation: &str, why: &str) {
        let at = self.weather.elapsed().as_secs_f64();
        self.tally.borrow_mut().violation(format!("at {at:.1} s, {operation}: {why}"));
    }

    async fn once(&self, call: &Call<'_>) -> Option<Reply> {
        self.asked.set(self.asked.get() + 1);
        let asked = Instant::now();
        match self.http.once(call).await {
            Ok(reply) => {
                let foul = self.weather.was_foul_since(asked);
                self.tally.borrow_mut().answered(call.operation, reply.status, asked.elapsed(), foul);
                Some(reply)
            }
            Err(why) => {
                self.tally.borrow_mut().unanswered += 1;
                if !self.weather.was_foul_since(asked) {
                    self.wrong(call.operation, &format!("no answer while all was well: {why}"));
                }
                None
            }
        }
    }

    /// What no client can do anything with is a violation here already.
    fn judge(&self, call: &Call<'_>, reply: Reply, before: u32) -> Outcome<Answer> {
        let answer = Answer { reply, before };
        let status = answer.reply.status;
        let is_problem = status >= 400;
        if status >= 500 || (is_problem && answer.reply.code().is_empty()) || answer.reply.request_id.is_empty() {
            self.unexpected(call, &answer);
            return Err(Setback::Lost);
        }
        Ok(answer)
    }
}

/// When to come again, as a 503 must and a 409 may say.
fn later(reply: &Reply) -> Option<Duration> {
    reply.pause.filter(|_| matches!(reply.status, 409 | 503))
}
