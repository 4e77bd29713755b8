//! The command line: subcommands, each a few lines that lead to its room in `commands/`.
//!
//! Exit codes: 0 done, 1 it failed, 2 the call was wrong (clap's own, and [`WrongCall`]).

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::commands::{admin, audit, catalog, events, keys, migrate, openapi, payments, seed, serve, verify};
use crate::config::{AccountArgs, DatabaseArgs, LimitArgs, MailArgs, Post, RuntimeArgs, ServeArgs, ShopArgs};
use crate::secrets::{self, Fetched};
use crate::telemetry::{LogFilter, Output};
use crate::{config, meters, modules, telemetry};

/// An e-commerce platform of five modules in one binary.
#[derive(Debug, Parser)]
#[command(name = "eshopz", version, about, long_about = None, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub settings: Settings,
}

/// What every command may be told.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    #[command(flatten, next_help_heading = "Database")]
    pub database: DatabaseArgs,
    #[command(flatten, next_help_heading = "Runtime")]
    pub runtime: RuntimeArgs,
    #[command(flatten, next_help_heading = "Limits")]
    pub limits: LimitArgs,
    #[command(flatten, next_help_heading = "Accounts")]
    pub accounts: AccountArgs,
    #[command(flatten, next_help_heading = "Mail")]
    pub mail: MailArgs,
    #[command(flatten, next_help_heading = "Shop")]
    pub shop: ShopArgs,
    #[arg(skip)]
    pub fetched: Fetched,
}

impl Settings {
    /// Where letters go.
    ///
    /// # Errors
    /// When a setting of the mail server is missing or cannot be read.
    pub fn post(&self) -> anyhow::Result<Post> {
        self.mail.post(self.database.data_dir.join("mail"), self.runtime.is_production())
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the shop.
    Serve(Box<ServeArgs>),
    /// List the modules and their ports.
    Modules {
        /// Who calls whom.
        #[arg(long, env = "ESHOPZ_GRAPH")]
        graph: bool,
    },
    /// Bring the database's schema up or down.
    Migrate(migrate::MigrateArgs),
    /// Print what is measured, as Markdown.
    Metrics,
    /// Print or write the OpenAPI documents.
    Openapi(openapi::OpenapiArgs),
    /// Import or export the catalogue as Shopify's product CSV.
    Catalog {
        #[command(subcommand)]
        action: catalog::CatalogCommand,
    },
    /// Manage admins.
    Admin {
        #[command(subcommand)]
        action: admin::AdminCommand,
    },
    /// Manage the audit log.
    Audit {
        #[command(subcommand)]
        action: audit::AuditCommand,
    },
    /// Manage the keys that sign access tokens.
    Keys {
        #[command(subcommand)]
        action: keys::KeysCommand,
    },
    /// Fill the shop with made-up data.
    Seed {
        #[command(subcommand)]
        action: seed::SeedCommand,
    },
    /// Look at events that could not be delivered, and send them again.
    Events {
        #[command(subcommand)]
        action: events::EventsCommand,
    },
    /// Settle payments with the gateway, and compare its books with ours.
    Payments {
        #[command(subcommand)]
        action: payments::PaymentsCommand,
    },
    /// Check that the books balance: stock, reservations, payments, orders, events.
    Verify(verify::VerifyArgs),
    /// Print the effective configuration, secrets hidden.
    Config,
}

/// The call was wrong: exit code 2 rather than 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongCall(pub String);

/// Turns an error of reading arguments into exit code 2.
///
/// # Errors
/// [`WrongCall`] with the error's text.
pub fn wrong_call<T>(result: anyhow::Result<T>) -> anyhow::Result<T> {
    result.map_err(|error| WrongCall(format!("{error:#}")).into())
}

/// Runs a command on a runtime of its own and gives the exit code.
pub fn run(cli: Cli) -> ExitCode {
    let output = if matches!(cli.command, Command::Serve(_)) { Output::Standard } else { Output::Error };
    let log = telemetry::log(output);
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(dispatch(cli, log)));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("eshopz: {error:#}");
            ExitCode::from(if error.is::<WrongCall>() { 2 } else { 1 })
        }
    }
}

async fn dispatch(cli: Cli, log: LogFilter) -> anyhow::Result<ExitCode> {
    let settings = match &cli.command {
        // They need no secret, and no AWS.
        Command::Modules { .. } | Command::Metrics | Command::Openapi(_) => cli.settings,
        _ => secrets::filled(cli.settings).await?,
    };
    match cli.command {
        Command::Serve(args) => serve::run(*args, settings, log).await?,
        Command::Modules { graph } => say!("{}", modules::describe(graph)),
        Command::Migrate(args) => migrate::run(args, &settings).await?,
        Command::Metrics => say!("{}", meters::document().trim_end()),
        Command::Openapi(args) => openapi::run(&args)?,
        Command::Catalog { action } => return catalog::run(action, &settings).await,
        Command::Admin { action } => admin::run(action, &settings).await?,
        Command::Audit { action } => audit::run(action, &settings).await?,
        Command::Keys { action } => keys::run(action, &settings).await?,
        Command::Seed { action } => seed::run(action, &settings).await?,
        Command::Events { action } => events::run(action, &settings).await?,
        Command::Payments { action } => return payments::run(action, &settings).await,
        Command::Verify(args) => return verify::run(args, &settings).await,
        Command::Config => {
            let described = config::describe(&settings);
            say!("{}", serde_json::to_string_pretty(&secrets::annotated(described, &settings))?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A file, or standard input or output when it is `-`.
#[derive(Clone, Debug)]
pub enum Place {
    Standard,
    File(PathBuf),
}

impl From<&str> for Place {
    fn from(text: &str) -> Self {
        if text == "-" { Self::Standard } else { Self::File(PathBuf::from(text)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_has_a_variable() {
        fn check(command: &clap::Command) {
            for argument in command.get_arguments().filter(|argument| argument.get_long().is_some()) {
                let name = argument.get_long().unwrap_or_default();
                if ["help", "version"].contains(&name) {
                    continue;
                }
                let variable = argument.get_env().and_then(|name| name.to_str()).unwrap_or_default();
                assert!(variable.starts_with("ESHOPZ_"), "--{name} of {} has no variable", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
