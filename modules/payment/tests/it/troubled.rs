//! A gateway whose answers get lost, and that cannot be reached at times, as often as a test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use actix_web::http::header::HeaderMap;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use eshopz_payment::gateway::{
    Charge, ChargeRequest, FollowUp, Gateway, GatewayCharge, GatewayError, GatewayEvent, GatewayPage, Sought,
    WebhookError,
};
use eshopz_platform::books::Report;
use tokio::sync::Semaphore;

/// A gateway with trouble in front of it: the next so many calls end in one kind of error.
pub struct Troubled {
    gateway: Arc<dyn Gateway>,
    /// So many follow-ups are done and their answer is lost.
    pub lost_answers: AtomicU64,
    /// So many calls do not get through.
    pub unreachable: AtomicU64,
    /// So many charges are with a method that the gateway turns out not to know.
    pub unknown_methods: AtomicU64,
    /// So many charges are not made, and never answered.
    pub unheard: AtomicU64,
    /// The next charges are made, and their answers held back.
    pub held_back: HeldBack,
    /// What it told is what happened; else the sandbox believes whoever signs.
    pub knows_better: AtomicBool,
}

/// Answers that wait until a test lets them go.
pub struct HeldBack {
    on: AtomicBool,
    made: Semaphore,
    go: Semaphore,
}

impl HeldBack {
    fn none() -> Self {
        Self { on: AtomicBool::new(false), made: Semaphore::new(0), go: Semaphore::new(0) }
    }

    pub fn start(&self) {
        self.made.forget_permits(usize::MAX);
        self.go.forget_permits(usize::MAX);
        self.on.store(true, Ordering::SeqCst);
    }

    /// Until a charge is made.
    pub async fn made(&self) {
        self.made.acquire().await.unwrap().forget();
    }

    pub fn let_go(&self) {
        if self.on.swap(false, Ordering::SeqCst) {
            self.go.add_permits(100);
        }
    }

    async fn wait(&self) {
        if self.on.load(Ordering::SeqCst) {
            self.made.add_permits(1);
            self.go.acquire().await.unwrap().forget();
        }
    }
}

fn take(counter: &AtomicU64) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl Troubled {
    pub fn new(gateway: Arc<dyn Gateway>) -> Self {
        Self {
            gateway,
            lost_answers: AtomicU64::new(0),
            unreachable: AtomicU64::new(0),
            unknown_methods: AtomicU64::new(0),
            unheard: AtomicU64::new(0),
            held_back: HeldBack::none(),
            knows_better: AtomicBool::new(false),
        }
    }

    fn gate(&self) -> Result<(), GatewayError> {
        if take(&self.unreachable) { Err(GatewayError::Unavailable("trouble".into())) } else { Ok(()) }
    }

    fn lose<T>(&self, answer: Result<T, GatewayError>) -> Result<T, GatewayError> {
        if take(&self.lost_answers) { Err(GatewayError::Timeout("trouble".into())) } else { answer }
    }
}

#[async_trait]
impl Gateway for Troubled {
    fn name(&self) -> &'static str {
        self.gateway.name()
    }

    fn knows_method(&self, method: &str) -> bool {
        self.gateway.knows_method(method)
    }

    async fn authorize_or_charge(&self, request: ChargeRequest) -> Result<Charge, GatewayError> {
        self.gate()?;
        if take(&self.unknown_methods) {
            return Err(GatewayError::UnknownMethod);
        }
        if take(&self.unheard) {
            std::future::pending::<()>().await;
        }
        let charge = self.gateway.authorize_or_charge(request).await;
        self.held_back.wait().await;
        self.lose(charge)
    }

    async fn capture(&self, request: FollowUp) -> Result<String, GatewayError> {
        self.gate()?;
        self.lose(self.gateway.capture(request).await)
    }

    async fn void(&self, request: FollowUp) -> Result<String, GatewayError> {
        self.gate()?;
        self.lose(self.gateway.void(request).await)
    }

    async fn refund(&self, request: FollowUp) -> Result<String, GatewayError> {
        self.gate()?;
        self.lose(self.gateway.refund(request).await)
    }

    async fn find(&self, sought: Sought) -> Result<Option<Charge>, GatewayError> {
        self.gate()?;
        self.gateway.find(sought).await
    }

    async fn charges_since(&self, since: DateTime<Utc>, cursor: Option<String>) -> Result<GatewayPage, GatewayError> {
        self.gate()?;
        self.gateway.charges_since(since, cursor).await
    }

    async fn look_up(&self, reference: &str) -> Result<Option<GatewayCharge>, GatewayError> {
        self.gate()?;
        self.gateway.look_up(reference).await
    }

    async fn parse_webhook(&self, headers: &HeaderMap, body: &str, secret: &str) -> Result<GatewayEvent, WebhookError> {
        self.gateway.parse_webhook(headers, body, secret).await
    }

    async fn take_note(&self, event: &GatewayEvent) -> Result<(), GatewayError> {
        if self.knows_better.load(Ordering::SeqCst) { Ok(()) } else { self.gateway.take_note(event).await }
    }

    fn read_event(&self, body: &str) -> Result<GatewayEvent, WebhookError> {
        self.gateway.read_event(body)
    }

    async fn audit(&self) -> Result<Report, GatewayError> {
        self.gateway.audit().await
    }
}
