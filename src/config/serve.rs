//! What a process runs, where it listens, how it starts and stops.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use clap::Args;

use super::{EdgeArgs, NeighbourArgs};
use crate::modules::{self, INTERNAL_OFFSET, MANAGEMENT_OFFSET, Module};

/// What a process is to run, and where.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// The modules to run: `all`, or a list such as `cart,order`. The others are called over HTTP.
    #[arg(long, env = "ESHOPZ_MODULES", default_value = "all", value_delimiter = ',')]
    pub modules: Vec<String>,

    /// Address of the public listener; by default 127.0.0.1 and the port of the only module, or 3000. The
    /// internal listener has the port 1000 above it, the management listener 6000.
    #[arg(long, env = "ESHOPZ_LISTEN")]
    pub listen: Option<SocketAddr>,

    #[command(flatten)]
    pub neighbours: NeighbourArgs,

    #[command(flatten)]
    pub edge: EdgeArgs,

    /// Worker threads of the public listener; one per core by default.
    #[arg(long, env = "ESHOPZ_WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,

    /// Bring the database up to date before starting. Always done for the private server.
    #[arg(long, env = "ESHOPZ_MIGRATE")]
    pub migrate: bool,

    /// Seconds to wait at the start for the database to answer and for its migrations.
    #[arg(long, env = "ESHOPZ_STARTUP_SECONDS", default_value_t = 60)]
    pub startup_seconds: u64,

    /// Seconds that requests under way may take to end after SIGTERM.
    #[arg(long, env = "ESHOPZ_GRACE_SECONDS", default_value_t = 25)]
    pub grace_seconds: u64,

    /// Seconds between saying 503 on `/health/ready` and closing the doors, for a load balancer to notice; kept
    /// connections end with their next answer.
    #[arg(long, env = "ESHOPZ_DRAIN_SECONDS", default_value_t = 1)]
    pub drain_seconds: u64,
}

/// The three listeners of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub public: SocketAddr,
    pub internal: SocketAddr,
    pub management: SocketAddr,
}

impl ServeArgs {
    /// The selected modules, in the order of the call graph.
    ///
    /// # Errors
    /// When a name is no module, or the modules call each other in a circle.
    pub fn selection(&self) -> anyhow::Result<Vec<Module>> {
        if let Some((module, other)) = modules::circle() {
            bail!("{module} uses {other}, which is not below it: the modules cannot be put in an order");
        }
        Module::parse_selection(&self.modules)
    }

    /// Threads of a listener.
    #[must_use]
    pub fn workers(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        self.workers.map_or_else(cores, usize::from)
    }

    /// Where the listeners are.
    ///
    /// # Errors
    /// When the management port would be past 65535.
    pub fn addresses(&self, selected: &[Module]) -> anyhow::Result<Addresses> {
        let public = match self.listen {
            Some(address) => address,
            None => SocketAddr::from(([127, 0, 0, 1], Module::default_port(selected))),
        };
        let above = |offset: u16| {
            let port = public.port().checked_add(offset);
            let port = port
                .with_context(|| format!("--listen {public}: choose a port below {}", u16::MAX - MANAGEMENT_OFFSET))?;
            anyhow::Ok(SocketAddr::new(public.ip(), port))
        };
        Ok(Addresses { public, internal: above(INTERNAL_OFFSET)?, management: above(MANAGEMENT_OFFSET)? })
    }
}
