//! `eshopz admin create`.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use clap::Subcommand;
use eshopz_kernel::Fault;

use eshopz_platform::auth::session_copies;
use eshopz_platform::context;

use crate::cli::{Settings, WrongCall};
use crate::compose;
use crate::database::Database;
use crate::modules::Module;

#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Make an account with the role `admin`. Its password is the first line of standard input.
    Create {
        /// The email address to sign in with.
        #[arg(long, env = "ESHOPZ_ADMIN_EMAIL")]
        email: String,
        /// Give the account a second factor at once, and print what an authenticator app needs. An admin without one can
        /// do nothing in production but set one up.
        #[arg(long, env = "ESHOPZ_ADMIN_CREATE_SECOND_FACTOR")]
        second_factor: bool,
    },
}

/// Runs the command.
///
/// # Errors
/// When the email is taken or not valid, or the password is too weak.
pub async fn run(action: AdminCommand, settings: &Settings) -> anyhow::Result<()> {
    let AdminCommand::Create { email, second_factor } = action;
    let password = read_password()?;
    let database = Database::open_migrated(settings, &[Module::User]).await?;
    let outcome = context::command(create(&database, settings, &email, &password, second_factor)).await;
    database.close().await?;
    outcome
}

async fn create(
    database: &Database,
    settings: &Settings,
    email: &str,
    password: &str,
    second_factor: bool,
) -> anyhow::Result<()> {
    let redis = compose::redis(settings)?;
    let sessions = session_copies(redis.clone());
    let users = compose::user_module(database.db(Module::User)?, &redis, &sessions, database, settings)?;
    let id = users.create_admin(email, password).await.map_err(explained)?;
    say!("admin {email} has the id {id}");
    if second_factor {
        let (factor, recovery_codes) = users.give_second_factor(id).await.map_err(explained)?;
        say!("Put this into an authenticator app; each sign-in asks for its code from now on:");
        say!("  {}", factor.uri);
        say!("or type in the secret {}", factor.secret);
        say!("Recovery codes, each good once in place of a code:");
        for code in recovery_codes {
            say!("  {code}");
        }
    }
    Ok(())
}

/// On a terminal nobody sees a problem document: each wrong field in words.
fn explained(fault: Fault) -> anyhow::Error {
    if fault.errors.is_empty() {
        return fault.into();
    }
    let fields = fault.errors.iter().map(|error| format!("{} {}", error.field.trim_start_matches('/'), error.message));
    WrongCall(fields.collect::<Vec<_>>().join("; ")).into()
}

fn read_password() -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        eprint!("Password (10 to 128 characters, it will be shown): ");
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("cannot read the password from standard input")?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() {
        return Err(WrongCall("give the password on standard input, as in: echo … | eshopz admin create".into()).into());
    }
    Ok(password)
}
