//! One request after another, each timed and counted. A clean 503 is tried again, as a client should.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use eshopz_testkit::load::{Call, Http};
use serde_json::Value;
use tokio::time::sleep;

use crate::tally::Tally;

/// Longer than any answer of a shop takes.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a request is tried again.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer other than a 503.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    /// Whether it took more than one request, any of which may have had its effect.
    pub repeated: bool,
}

/// The way to the shop, and the tally of what was asked.
#[derive(Debug)]
pub struct Client {
    pub http: Http,
    pub tally: RefCell<Tally>,
}

impl Client {
    /// Of the shop at this address.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(base: &str) -> Result<Self, String> {
        Ok(Self { http: Http::new(base, LIMIT)?, tally: RefCell::default() })
    }

    /// Asks, and asks again while the answer is a clean 503.
    ///
    /// # Errors
    /// When there is no answer, or only 503s for too long.
    pub async fn call(&self, call: Call<'_>) -> Result<Answer, String> {
        let began = Instant::now();
        let mut repeated = false;
        loop {
            let asked = Instant::now();
            let reply = self.http.once(&call).await?;
            self.tally.borrow_mut().answered(call.operation, reply.status, asked.elapsed());
            let (status, body) = (reply.status, reply.body);
            if status != 503 {
                if repeated {
                    self.tally.borrow_mut().mended += 1;
                }
                return Ok(Answer { status, body, repeated });
            }
            let pause = reply.pause.ok_or_else(|| format!("503 without Retry-After: {body}"))?;
            if began.elapsed() > PATIENCE {
                return Err(format!("still 503 after {} s: {body}", PATIENCE.as_secs()));
            }
            repeated = true;
            sleep(pause).await;
        }
    }
}
