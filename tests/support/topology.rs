//! Which process runs what.

use eshopz::modules::Module;

/// The modules of each process.
#[derive(Clone, Debug)]
pub struct Topology {
    pub name: String,
    pub processes: Vec<Vec<Module>>,
}

/// How events travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    Local,
    Sns,
}

impl Events {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Sns => "sns",
        }
    }
}

impl Topology {
    pub fn combined() -> Self {
        Self { name: "combined".to_owned(), processes: vec![Module::ALL.to_vec()] }
    }

    pub fn replicas(count: usize) -> Self {
        Self { name: format!("{count} replicas"), processes: vec![Module::ALL.to_vec(); count] }
    }

    pub fn five() -> Self {
        Self { name: "five".to_owned(), processes: Module::ALL.iter().map(|module| vec![*module]).collect() }
    }

    /// These modules in a process of their own, the others together in another.
    pub fn without(off: &[Module]) -> Self {
        let others = Module::ALL.into_iter().filter(|module| !off.contains(module)).collect();
        let names: Vec<&str> = off.iter().map(|module| module.name()).collect();
        Self { name: format!("{} apart", names.join(" and ")), processes: vec![off.to_vec(), others] }
    }

    /// The most processes that run one module.
    pub fn pods(&self) -> usize {
        let runs = |module| self.processes.iter().filter(|process| process.contains(module)).count();
        Module::ALL.iter().map(runs).max().unwrap()
    }
}
