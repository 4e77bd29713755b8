//! The level in Redis of [`super::Copies`], with leases as in Facebook's memcache: who finds nothing is
//! given a lease, and only he may store. Whoever forgets a copy takes the lease away too, so a value
//! that was loaded before cannot be stored after.

use std::time::Duration;

use deadpool_redis::redis::{Pipeline, pipe};

use super::Redis;
use super::redis::Away;

/// Gives what there is, or a lease if nobody has one: `[value, milliseconds left]` or `[nil, granted]`.
const LOOK_OR_LEASE: &str = "\
local value = redis.call('GET', KEYS[1])
if value then return {value, redis.call('PTTL', KEYS[1])} end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {false, 1} end
return {false, 0}";

/// Stores under a lease that is still held.
const STORE: &str = "\
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1";

/// Gives a lease back that is still held.
const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// A load that takes longer stores nothing.
const LEASE_LIFE: Duration = Duration::from_secs(3);

/// How often and after how long it is looked whether the holder of the lease has stored.
const WAITS: [Duration; 3] = [Duration::from_millis(5), Duration::from_millis(15), Duration::from_millis(30)];

/// What Redis says of a key.
pub(super) enum Look {
    Found {
        bytes: Vec<u8>,
        left: Duration,
    },
    /// Load it, and store it under this lease.
    Leased(Lease),
    /// Somebody else has been loading it for a while.
    Busy,
    Away,
}

/// The right to store one copy.
pub(super) struct Lease {
    key: String,
    token: String,
}

type Answer = (Option<Vec<u8>>, i64);

/// The keys of a copy's lease and of the copy, in the order in which they are to be deleted: with its lease left for a
/// moment longer, somebody could store an old copy in between.
pub(super) fn keys_of(key: &str) -> [String; 2] {
    [lease_key(key), key.to_owned()]
}

/// In a cluster a script gets keys of one slot only. What is in braces decides on it, and without any the whole
/// key does: so this one is where the copy is. Names and ids have no braces of their own.
fn lease_key(key: &str) -> String {
    format!("{{{key}}}:lease")
}

/// Looks for a copy; while another pod loads it, for a moment again.
pub(super) async fn look(redis: &Redis, key: &str) -> Look {
    try_look(redis, key).await.unwrap_or(Look::Away)
}

async fn try_look(redis: &Redis, key: &str) -> Result<Look, Away> {
    // What is there is told without a script.
    if let Some(found) = read(redis, key).await? {
        return Ok(found);
    }
    let lease = Lease { key: key.to_owned(), token: format!("{:x}", rand::random::<u64>()) };
    match redis.ask::<(Answer,)>(&lease.ask()).await? {
        ((Some(bytes), left),) => return Ok(found(bytes, left)),
        ((None, 1),) => return Ok(Look::Leased(lease)),
        ((None, _),) => {}
    }
    for wait in WAITS {
        tokio::time::sleep(wait).await;
        if let Some(found) = read(redis, key).await? {
            return Ok(found);
        }
    }
    Ok(Look::Busy)
}

async fn read(redis: &Redis, key: &str) -> Result<Option<Look>, Away> {
    let mut commands = pipe();
    commands.cmd("GET").arg(key).cmd("PTTL").arg(key);
    let (bytes, left): Answer = redis.ask(&commands).await?;
    Ok(bytes.map(|bytes| found(bytes, left)))
}

fn found(bytes: Vec<u8>, left: i64) -> Look {
    // It may have ended between the two commands: then it is 0 or below.
    Look::Found { bytes, left: Duration::from_millis(u64::try_from(left).unwrap_or(0)) }
}

impl Lease {
    fn ask(&self) -> Pipeline {
        let mut commands = pipe();
        let command = commands.cmd("EVAL").arg(LOOK_OR_LEASE).arg(2).arg(&self.key).arg(lease_key(&self.key));
        command.arg(&self.token).arg(milliseconds(LEASE_LIFE));
        commands
    }

    /// Stores a value, unless the key was forgotten meanwhile.
    pub(super) async fn store(self, redis: &Redis, bytes: Vec<u8>, life: Duration) {
        let mut commands = pipe();
        let command = commands.cmd("EVAL").arg(STORE).arg(2).arg(&self.key).arg(lease_key(&self.key));
        command.arg(&self.token).arg(bytes).arg(milliseconds(life).max(1)).ignore();
        // Without it the next reader loads again.
        let _: Result<(), Away> = redis.ask(&commands).await;
    }

    /// Lets others load at once when there is nothing to store.
    pub(super) async fn release(self, redis: &Redis) {
        let mut commands = pipe();
        commands.cmd("EVAL").arg(RELEASE).arg(1).arg(lease_key(&self.key)).arg(&self.token).ignore();
        // Without it the lease ends by itself.
        let _: Result<(), Away> = redis.ask(&commands).await;
    }
}

fn milliseconds(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX)
}
