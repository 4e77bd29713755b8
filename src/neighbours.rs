//! The modules that run in other processes, as this one reaches them.

use std::collections::BTreeMap;

use anyhow::Context as _;
use eshopz_kernel::Fault;
use eshopz_platform::wire::{Neighbour, NeighbourConfig, ServiceKeys, Tuning};

use crate::modules::Module;

/// The clients of the other processes' internal listeners.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    clients: BTreeMap<Module, Neighbour>,
}

impl Neighbours {
    /// Of modules at these addresses, called by a process of the selected ones. To be made in the runtime
    /// that outlives all calls.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub fn new(addresses: &BTreeMap<Module, String>, selected: &[Module], keys: &ServiceKeys) -> Result<Self, Fault> {
        let caller = selected.iter().map(|module| module.name()).collect::<Vec<_>>().join("+");
        let client = |(module, url): (&Module, &String)| {
            let (caller, keys) = (caller.clone(), keys.clone());
            let config =
                NeighbourConfig { module: module.name(), caller, url: url.clone(), keys, tuning: Tuning::default() };
            Ok((*module, Neighbour::new(config)?))
        };
        Ok(Self { clients: addresses.iter().map(client).collect::<Result<_, Fault>>()? })
    }

    /// A process of all modules has none.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The way to a module.
    ///
    /// # Errors
    /// When none was given, since nobody here was known to need it.
    pub fn to(&self, module: Module) -> anyhow::Result<Neighbour> {
        self.clients.get(&module).cloned().with_context(|| format!("no address of the {module} module"))
    }

    /// Every way that there is.
    pub fn all(&self) -> impl Iterator<Item = Neighbour> {
        self.clients.values().cloned()
    }
}
