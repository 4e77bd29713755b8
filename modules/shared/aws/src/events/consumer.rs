//! The way of an event from a module's queue to its listeners, in each process that runs the module.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use eshopz_platform::events::Listener;
use eshopz_platform::jobs::stopped;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::handle::Work;
use super::queues::{self, TOGETHER};
use super::{EventsError, Topology};

/// How much longer than the longest wait an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// Pauses while AWS is away.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often the queue is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(30);
/// The wait when the queue is expected to be empty soon.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// How long SQS waits for a message. A consumer that stops waits for the rest of it, since SQS would still hand
/// messages to one that has gone, and hide them: so it has to fit into the time that a process has to stop. Longer
/// waits are cheaper, but these cost some thirty thousand calls a day for a consumer, a cent.
const WAIT: Duration = Duration::from_secs(3);

/// How a consumer works.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// How long SQS waits for a message before it says that there is none; 20 s at most.
    pub wait: Duration,
    /// Messages at once.
    pub concurrency: usize,
    /// How long a message is ours. The listeners have 0.9 of it; if the process dies, another gets the
    /// message after it. Whole seconds.
    pub visibility: Duration,
    /// The pause after the first failure, give or take; it triples with each one after.
    pub retry_base: Duration,
    /// The longest pause; below the twelve hours that SQS knows.
    pub retry_cap: Duration,
    /// The attempt after which the queue gives a message to the dead letters; as the queue has it.
    pub max_receives: u32,
    /// How long running listeners may take when the consumer is told to stop.
    pub drain: Duration,
}

impl ConsumerConfig {
    /// The pauses are those of a relay: twelve attempts within about four hours.
    #[must_use]
    pub const fn new(max_receives: u32) -> Self {
        Self {
            wait: WAIT,
            concurrency: 16,
            visibility: Duration::from_secs(30),
            retry_base: Duration::from_secs(1),
            retry_cap: Duration::from_secs(3_600),
            max_receives,
            drain: Duration::from_secs(10),
        }
    }
}

/// A module's consumer in this process. Any number of them share one queue.
pub struct SqsConsumer {
    sqs: Client,
    /// The queue's name, and that of its dead letters.
    queue: String,
    dead: String,
    work: Arc<Work>,
    /// Messages that are being taken in.
    working: JoinSet<()>,
    measure_at: Instant,
}

impl SqsConsumer {
    /// The consumer of a module that has these listeners, all that it has.
    pub fn new(
        sdk: &SdkConfig,
        topology: &Topology,
        module: &'static str,
        listeners: Vec<Arc<dyn Listener>>,
        config: ConsumerConfig,
    ) -> Self {
        let names = &topology.names;
        let (queue, dead) = (names.queue(module), names.dead_letters(module));
        let work = Arc::new(Work { sqs: Client::new(sdk), module, listeners, config });
        let (sqs, working) = (waiting_client(sdk, work.config.wait), JoinSet::new());
        Self { sqs, queue, dead, work, working, measure_at: Instant::now() }
    }

    /// Works until `shutdown` is true, or its sender is gone; then ends what runs, within bounds. It
    /// never ends by an error: it logs and tries again.
    pub async fn run(mut self, shutdown: watch::Receiver<bool>) {
        self.take(shutdown, false).await;
    }

    /// Works until the queue is empty, for the change to another way of events: what is in the queue
    /// then is taken in by nobody else. Messages that wait for their next attempt are waited for.
    pub async fn drain(mut self, shutdown: watch::Receiver<bool>) {
        self.take(shutdown, true).await;
    }

    async fn take(&mut self, mut shutdown: watch::Receiver<bool>, until_empty: bool) {
        let (mut url, mut pause) = (None, PAUSE);
        loop {
            while self.working.try_join_next().is_some() {}
            let free = self.work.config.concurrency.max(1).saturating_sub(self.working.len());
            if free == 0 {
                tokio::select! { biased; () = stopped(&mut shutdown) => break, _ = self.working.join_next() => continue }
            }
            match self.turn(&mut url, free, until_empty, &mut shutdown).await {
                Ok(None) => break,
                Ok(Some(Turn { messages, url })) => {
                    pause = PAUSE;
                    for message in messages {
                        self.working.spawn(Arc::clone(&self.work).handle(url.clone(), message, Instant::now()));
                    }
                    if until_empty && self.working.is_empty() && self.is_empty(&url).await {
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(module = self.work.module, %error, ?pause, "no messages; trying again");
                    url = None;
                    tokio::select! { () = stopped(&mut shutdown) => break, () = sleep(pause) => {} }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        let finish = async { while self.working.join_next().await.is_some() {} };
        if timeout(self.work.config.drain, finish).await.is_err() {
            tracing::warn!(module = self.work.module, "messages cut short; they come again");
        }
    }

    /// Waits for messages, as many as there is room for; `None` when it was told to stop.
    async fn turn(
        &mut self,
        url: &mut Option<String>,
        free: usize,
        until_empty: bool,
        shutdown: &mut watch::Receiver<bool>,
    ) -> Result<Option<Turn>, EventsError> {
        let url = tokio::select! {
            biased;
            () = stopped(shutdown) => return Ok(None),
            url = self.look(url) => url?,
        };
        let mut receiving = Box::pin(self.receive(url, free, until_empty));
        tokio::select! {
            biased;
            () = stopped(shutdown) => {}
            turn = receiving.as_mut() => return turn.map(Some),
        }
        self.working.spawn(give_back(Arc::clone(&self.work), receiving));
        Ok(None)
    }

    /// Where the queue is, and now and then how full.
    async fn look(&mut self, url: &mut Option<String>) -> Result<String, EventsError> {
        let url = match url {
            Some(url) => url.clone(),
            None => url.insert(queues::url(&self.work.sqs, &self.queue).await?).clone(),
        };
        self.measure(&url).await;
        Ok(url)
    }

    /// One wait, which can outlive the consumer.
    fn receive(
        &self,
        url: String,
        free: usize,
        until_empty: bool,
    ) -> impl Future<Output = Result<Turn, EventsError>> + Send + use<> {
        let wait = if until_empty { self.work.config.wait.min(LAST_WAIT) } else { self.work.config.wait };
        let (queue, request) = (self.queue.clone(), self.sqs.receive_message());
        let request = request
            .queue_url(&url)
            .max_number_of_messages(i32::try_from(free.min(TOGETHER)).unwrap_or(1))
            .wait_time_seconds(whole_seconds(wait))
            .visibility_timeout(whole_seconds(self.work.config.visibility))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        async move {
            let received = request.send().await;
            let received = received.map_err(|error| EventsError::aws(format!("receiving from {queue}"), &error))?;
            Ok(Turn { messages: received.messages.unwrap_or_default(), url })
        }
    }

    /// Twice, because SQS counts only about right.
    async fn is_empty(&self, url: &str) -> bool {
        for _ in 0..2 {
            if !queues::depth(&self.work.sqs, url).await.is_ok_and(|depth| depth.all == 0) {
                return false;
            }
        }
        true
    }

    /// Measured now and then; a look that fails only leaves the last figure standing.
    async fn measure(&mut self, url: &str) {
        if Instant::now() < self.measure_at {
            return;
        }
        self.measure_at = Instant::now() + MEASURE_EVERY;
        let module = self.work.module;
        if let Ok(depth) = queues::depth(&self.work.sqs, url).await {
            metrics::gauge!("eshopz_sqs_waiting", "module" => module).set(f64::from(depth.waiting));
        }
        let dead = async { queues::depth(&self.work.sqs, &queues::url(&self.work.sqs, &self.dead).await?).await };
        if let Ok(depth) = dead.await {
            metrics::gauge!("eshopz_sqs_dead", "module" => module).set(f64::from(depth.all));
        }
    }
}

/// What a wait brought, from which queue.
struct Turn {
    messages: Vec<Message>,
    url: String,
}

/// Waits for what SQS hands over to a consumer that stops, and lets others have it at once. If that fails, it comes
/// when its time is over.
async fn give_back(work: Arc<Work>, receiving: impl Future<Output = Result<Turn, EventsError>>) {
    let Ok(Turn { messages, url }) = receiving.await else { return };
    let receipts: Vec<&str> = messages.iter().filter_map(Message::receipt_handle).collect();
    if let Err(error) = queues::give_back(&work.sqs, &url, &receipts).await {
        tracing::warn!(module = work.module, %error, "messages come again later than they could");
    }
}

/// A client that waits as long as SQS does; repetition is the consumer's own business.
fn waiting_client(sdk: &SdkConfig, wait: Duration) -> Client {
    let timeouts = sdk.timeout_config().map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder);
    let timeouts = timeouts.operation_attempt_timeout(wait + ANSWER).operation_timeout(wait + ANSWER).build();
    let config = aws_sdk_sqs::config::Builder::from(sdk).timeout_config(timeouts).retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

/// SQS knows no smaller unit; a part of a second counts as a whole one.
pub(super) fn whole_seconds(duration: Duration) -> i32 {
    let up = u64::from(duration.subsec_nanos() > 0);
    i32::try_from(duration.as_secs().saturating_add(up)).unwrap_or(i32::MAX)
}
