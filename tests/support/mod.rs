//! What the tests of the whole stand on: the program as a process, a shop and a client that speaks to it, and
//! whole deployments behind an ingress.

mod deployment;
mod ingress;
mod load;
mod ports;
mod process;
mod program;
mod server;
mod shop;
mod topology;

pub use deployment::{Deployment, Folder, Plan};
pub use ingress::Ingress;
pub use load::{Load, Tally};
pub use ports::{free_port, single_port};
pub use process::Process;
pub use program::{PASSWORD, eshopz, run, text};
pub use server::Server;
pub use shop::{Answer, Scale, Shop, address, id, is_problem};
pub use topology::{Events, Topology};

/// The modules whose tables a test of the whole needs.
pub const MODULES: [&str; 5] = ["user", "product", "cart", "payment", "order"];
