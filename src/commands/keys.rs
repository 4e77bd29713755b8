//! `eshopz keys rotate|list|revoke`: the keys that sign access tokens.

use chrono::{DateTime, Utc};
use clap::Subcommand;
use eshopz_platform::auth::session_copies;
use eshopz_platform::cache::Redis;
use eshopz_platform::context;
use eshopz_user::{KeyInfo, KeyState, UserModule};

use crate::cli::Settings;
use crate::compose;
use crate::database::Database;
use crate::modules::Module;

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a new key, which takes over in half a minute. Nobody is signed out.
    Rotate,
    /// List the keys that are published.
    List,
    /// Withdraw a key that may have been stolen, at once. Its tokens are refused within half a minute; who holds one
    /// stays signed in by the refresh token.
    Revoke {
        /// The key's name in the list.
        // One in 64 begins with a hyphen.
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
}

/// Runs the command.
///
/// # Errors
/// When the keys are not in the database, the secret does not open them, or there is no such key.
pub async fn run(action: KeysCommand, settings: &Settings) -> anyhow::Result<()> {
    let database = Database::open_migrated(settings, &[Module::User]).await?;
    let outcome = context::command(act(action, &database, settings)).await;
    database.close().await?;
    outcome
}

async fn act(action: KeysCommand, database: &Database, settings: &Settings) -> anyhow::Result<()> {
    let redis = Redis::none();
    let sessions = session_copies(redis.clone());
    let users = compose::user_module(database.db(Module::User)?, &redis, &sessions, database, settings)?;
    match action {
        KeysCommand::Rotate => rotate(&users).await,
        KeysCommand::List => {
            for key in users.keys().await? {
                say!("{}", line(&key));
            }
            Ok(())
        }
        KeysCommand::Revoke { kid } => {
            let revoked = users.revoke_key(&kid).await?;
            say!("{} is revoked; its tokens are refused within half a minute", revoked.kid);
            if let Some(successor) = revoked.successor {
                say!("{successor} signs from now on");
            }
            Ok(())
        }
    }
}

async fn rotate(users: &UserModule) -> anyhow::Result<()> {
    let rotation = users.rotate_keys().await?;
    if !rotation.begun {
        say!("a rotation is on its way already; this one changed nothing");
    }
    say!("new  {}  published now, signs from {}", rotation.new, time(rotation.signs_from));
    if let Some(old) = rotation.old {
        let (until, gone) = (time(rotation.signs_from), time(rotation.old_shown_until));
        say!("old  {old}  signs until {until}, goes at {gone}");
    }
    Ok(())
}

fn line(key: &KeyInfo) -> String {
    let KeyInfo { kid, .. } = key;
    let gone = key.shown_until.map(|at| format!(", goes at {}", time(at))).unwrap_or_default();
    match (key.state, key.retired_at) {
        (KeyState::Announced, _) => format!("announced  {kid}  signs from {}{gone}", time(key.signs_from)),
        (KeyState::Signing, None) => format!("signing    {kid}  since {}", time(key.signs_from)),
        (KeyState::Signing, Some(at)) => {
            format!("signing    {kid}  since {}, until {}{gone}", time(key.signs_from), time(at))
        }
        (KeyState::Retired, _) => format!("retired    {kid}  signed from {}{gone}", time(key.signs_from)),
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
