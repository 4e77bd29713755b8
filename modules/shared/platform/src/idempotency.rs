//! `Idempotency-Key`: the same request twice has one effect and one answer.
//!
//! The key's row is written by the module in the transaction of the effect ([`record`]), so there is
//! never an effect without its key. The answer is added when it is known. A row without an answer
//! means that the first request still runs, or that its process died: after [`LEASE`] the work is
//! resumed with the id that the first attempt recorded, also when that was more than a day ago. The work
//! runs in a task of its own, which outlives the request ([`crate::tasks`]), so a client that hangs up does
//! not leave it half done.

use std::collections::HashSet;
use std::future::{Future, Ready, ready};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest};
use diesel::OptionalExtension as _;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, SmallInt, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use eshopz_kernel::Fault;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::context;
use crate::db::{Db, Single as _, StoreError};
use crate::http::{Answer, HttpFault, Reply};
use crate::prepared::prepared;

/// How long a key without an answer counts as running when its process cannot be asked, in seconds of the
/// database's clock: that of a process may be wrong.
const LEASE: i64 = 15;

/// The `Idempotency-Key` header: 428 without it, 422 when it is not 1 to 255 visible ASCII characters.
#[derive(Clone, Debug)]
pub struct IdempotencyKey(pub String);

impl FromRequest for IdempotencyKey {
    type Error = HttpFault;
    type Future = Ready<Result<Self, HttpFault>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match req.headers().get("idempotency-key") {
            None => Err(Fault::precondition_required(
                "idempotency_key_required",
                "Send an `Idempotency-Key` header with a value of your own, new for each intent.",
            )
            .into()),
            Some(value) => well_formed(value.as_bytes()).map(Self).map_err(HttpFault),
        })
    }
}

fn well_formed(value: &[u8]) -> Result<String, Fault> {
    let visible = value.iter().all(|byte| (0x21..=0x7e).contains(byte));
    match std::str::from_utf8(value) {
        Ok(text) if visible && (1..=255).contains(&text.len()) => Ok(text.to_owned()),
        _ => Err(Fault::field("/idempotency-key", "invalid", "must be 1 to 255 visible ASCII characters")),
    }
}

/// A key as one caller uses it for one request.
#[derive(Clone, Debug)]
pub struct Claim {
    caller: String,
    key: String,
    operation: &'static str,
    request_hash: Vec<u8>,
    mine: Mine,
}

/// The id under which the key's row is this attempt's own. A twin in another process has another
/// attempt's row before it: it must neither take that over nor answer in its place.
#[derive(Clone, Debug, Default)]
struct Mine {
    /// Of the interrupted attempt that this one goes on with.
    resumed: Option<Uuid>,
    recorded: Arc<Mutex<Option<Uuid>>>,
}

impl Mine {
    /// What the last attempt to write the row came to: an earlier one may have been rolled back.
    fn note(&self, recorded: Option<Uuid>) {
        *self.recorded.lock().unwrap_or_else(PoisonError::into_inner) = recorded;
    }

    fn id(&self) -> Option<Uuid> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).or(self.resumed)
    }
}

impl Claim {
    /// `caller` keeps the keys of different callers apart; `request` is all that makes the request what
    /// it is: path parameters and body.
    ///
    /// # Errors
    /// Internal, when the request cannot be written as JSON.
    pub fn new<T: Serialize>(
        caller: impl Into<String>,
        key: IdempotencyKey,
        operation: &'static str,
        request: &T,
    ) -> Result<Self, Fault> {
        let bytes = serde_json::to_vec(&(operation, request))
            .map_err(|error| Fault::internal("hash request").caused_by(error))?;
        let request_hash = Sha256::digest(&bytes).to_vec();
        Ok(Self { caller: caller.into(), key: key.0, operation, request_hash, mine: Mine::default() })
    }
}

/// The values of [`record_key`], in their order.
#[derive(Clone, Copy, Debug)]
pub struct KeyRow<'a> {
    pub caller: &'a str,
    pub key: &'a str,
    pub operation: &'a str,
    pub request_hash: &'a [u8],
    pub resource: Uuid,
    /// Whether this attempt goes on with an interrupted one that has recorded the same.
    pub resumed: bool,
}

impl Claim {
    /// What a statement binds that writes the key together with its effect, by [`record_key`].
    #[must_use]
    pub fn row(&self, resource: Uuid) -> KeyRow<'_> {
        KeyRow {
            caller: &self.caller,
            key: &self.key,
            operation: self.operation,
            request_hash: &self.request_hash,
            resource,
            resumed: self.mine.resumed == Some(resource),
        }
    }

    /// What came of such a statement: the resource that was recorded, if it was.
    pub fn note(&self, recorded: Option<Uuid>) {
        self.mine.note(recorded);
    }
}

/// The statement that writes a key, over one that has expired, with the values of [`KeyRow`] as $1 to $6. It writes no
/// row when the key is there already.
#[macro_export]
macro_rules! record_key {
    () => {
        "INSERT INTO idempotency_keys (caller, key, operation, request_hash, resource_id) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (caller, key) DO UPDATE SET operation = excluded.operation, request_hash = excluded.request_hash, \
             resource_id = excluded.resource_id, status = NULL, body = NULL, location = NULL, created_at = now() \
         WHERE (idempotency_keys.status IS NOT NULL \
                AND idempotency_keys.created_at <= now() - interval '24 hours') \
            OR ($6 AND idempotency_keys.status IS NULL AND idempotency_keys.resource_id = $5 \
                AND idempotency_keys.request_hash = $4)"
    };
}

/// The keys that this process works on at the moment.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Arc<Mutex<HashSet<(String, String)>>>);

struct Guard {
    in_flight: InFlight,
    id: (String, String),
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.in_flight.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl InFlight {
    fn enter(&self, claim: &Claim) -> Option<Guard> {
        let id = (claim.caller.clone(), claim.key.clone());
        let entered = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        entered.then(|| Guard { in_flight: self.clone(), id })
    }
}

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    operation: String,
    #[diesel(sql_type = Binary)]
    request_hash: Vec<u8>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    resource_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SmallInt>)]
    status: Option<i16>,
    #[diesel(sql_type = Nullable<Text>)]
    body: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    location: Option<String>,
    #[diesel(sql_type = Bool)]
    leased: bool,
}

enum Seen {
    New,
    Answered(Reply),
    Interrupted(Option<Uuid>),
}

fn in_progress() -> Fault {
    let mut fault = Fault::conflict(
        "idempotency_in_progress",
        "The first request with this Idempotency-Key still runs. Repeat this one in a moment for its answer.",
    );
    fault.retry_after = Some(1);
    fault
}

/// Runs `work` unless the key was used before; then gives the first answer again.
///
/// `work` is called with the id that an interrupted attempt recorded, if there was one, and must then
/// find out how far that attempt came.
///
/// # Errors
/// 422 `idempotency_key_reused`, 409 `idempotency_in_progress`, and those of `work`.
#[eshopz_crash::crash_points]
pub async fn once<W, F>(db: &Db, in_flight: &InFlight, mut claim: Claim, work: W) -> Answer
where
    W: FnOnce(Claim, Option<Uuid>) -> F + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let guard = in_flight.enter(&claim).ok_or_else(in_progress)?;
    let resumed = match look_up(db, &claim).await? {
        Seen::Answered(reply) => return Ok(reply.replayed()),
        Seen::Interrupted(resource) => resource,
        Seen::New => None,
    };
    claim.mine.resumed = resumed;
    let (db, tasks) = (db.clone(), db.tasks().clone());
    let task = async move {
        let _guard = guard;
        let answer = work(claim.clone(), resumed).await;
        // The effect stands, and the answer is true: a repetition finds it out anew by the key's row.
        if let Err(error) = keep_answer(&db, &claim, &answer).await {
            tracing::warn!(operation = claim.operation, %error, "the answer could not be kept for repetitions");
        }
        answer
    };
    tasks
        .spawn(context::carry(task))
        .await
        .unwrap_or_else(|error| Err(Fault::internal("the request's task failed").caused_by(error).into()))
}

/// Writes the key in the transaction of the effect, over one that has expired. `false` when the key is
/// there already: roll back, somebody else had the effect.
///
/// `resource` is what the effect is known by; an attempt that goes on with an interrupted one may
/// write the same again.
///
/// # Errors
/// Those of the statement.
#[eshopz_crash::crash_points]
pub async fn record(
    conn: &mut AsyncPgConnection,
    claim: &Claim,
    resource: Uuid,
) -> Result<bool, diesel::result::Error> {
    let row = claim.row(resource);
    let insert = diesel::sql_query(record_key!())
        .bind::<Text, _>(row.caller)
        .bind::<Text, _>(row.key)
        .bind::<Text, _>(row.operation)
        .bind::<Binary, _>(row.request_hash)
        .bind::<SqlUuid, _>(row.resource)
        .bind::<Bool, _>(row.resumed);
    let written = prepared(insert).execute(conn).await? == 1;
    claim.note(written.then_some(resource));
    Ok(written)
}

#[eshopz_crash::crash_points]
async fn look_up(db: &Db, claim: &Claim) -> Result<Seen, Fault> {
    let mut conn = db.conn().await?;
    let select = diesel::sql_query(
        "SELECT operation, request_hash, resource_id, status, body, location, \
             created_at > now() - $3 * interval '1 second' AS leased \
         FROM idempotency_keys WHERE caller = $1 AND key = $2 \
             AND (status IS NULL OR created_at > now() - interval '24 hours')",
    )
    .bind::<Text, _>(&claim.caller)
    .bind::<Text, _>(&claim.key)
    .bind::<BigInt, _>(LEASE);
    let row: Option<Row> = prepared(select).single(&mut conn).await.optional().map_err(StoreError::from)?;
    let Some(row) = row else { return Ok(Seen::New) };
    if row.operation != claim.operation || row.request_hash != claim.request_hash {
        return Err(Fault::invalid(
            "idempotency_key_reused",
            "This Idempotency-Key was used for another request. Take a new key for a new intent.",
        ));
    }
    match row.status.and_then(|status| u16::try_from(status).ok()).and_then(|status| StatusCode::from_u16(status).ok())
    {
        Some(status) => {
            Ok(Seen::Answered(Reply::stored(status, row.body.unwrap_or_default().into_bytes(), row.location)))
        }
        None if row.leased => Err(in_progress()),
        None => Ok(Seen::Interrupted(row.resource_id)),
    }
}

/// Adds the answer to the key's row. Without a row of this attempt's there was no effect of its own: the
/// key stays free, or with the twin that has it. A 503 is nobody's last word: the work can be resumed. The day for
/// which an answer is kept begins with it: it may be that of an attempt that was interrupted long ago.
#[eshopz_crash::crash_points]
async fn keep_answer(db: &Db, claim: &Claim, answer: &Answer) -> Result<(), Fault> {
    let Some(mine) = claim.mine.id() else { return Ok(()) };
    let (status, body, location) = match answer {
        Ok(reply) => (reply.status(), reply.body().to_vec(), reply.location().map(str::to_owned)),
        Err(fault) if fault.0.is_retryable() => return end_lease(db, claim, mine).await,
        Err(fault) => (crate::http::problem::status_of(fault.0.kind), fault.document(), None),
    };
    let mut conn = db.conn().await?;
    let update = diesel::sql_query(
        "UPDATE idempotency_keys SET status = $3, body = $4, location = $5, created_at = now() \
         WHERE caller = $1 AND key = $2 AND status IS NULL AND request_hash = $6 AND resource_id = $7",
    )
    .bind::<Text, _>(&claim.caller)
    .bind::<Text, _>(&claim.key)
    .bind::<SmallInt, _>(i16::try_from(status.as_u16()).unwrap_or(500))
    .bind::<Text, _>(String::from_utf8_lossy(&body).into_owned())
    .bind::<Nullable<Text>, _>(location)
    .bind::<Binary, _>(&claim.request_hash)
    .bind::<SqlUuid, _>(mine);
    prepared(update).execute(&mut conn).await.map_err(StoreError::from)?;
    Ok(())
}

/// Nobody works on it any more, so the next attempt need not wait until that is certain.
#[eshopz_crash::crash_points]
async fn end_lease(db: &Db, claim: &Claim, mine: Uuid) -> Result<(), Fault> {
    let mut conn = db.conn().await?;
    let update = diesel::sql_query(
        "UPDATE idempotency_keys SET created_at = created_at - $5 * interval '1 second' \
         WHERE caller = $1 AND key = $2 AND status IS NULL AND request_hash = $3 AND resource_id = $4",
    )
    .bind::<Text, _>(&claim.caller)
    .bind::<Text, _>(&claim.key)
    .bind::<Binary, _>(&claim.request_hash)
    .bind::<SqlUuid, _>(mine)
    .bind::<BigInt, _>(LEASE);
    prepared(update).execute(&mut conn).await.map_err(StoreError::from)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_visible_ascii() {
        assert!(well_formed(b"a").is_ok());
        assert!(well_formed(&[b'~'; 255]).is_ok());
        for bad in [&b""[..], b"a b", b"\x7f", "é".as_bytes(), &[b'x'; 256]] {
            assert!(well_formed(bad).is_err());
        }
    }
}
