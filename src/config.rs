//! The configuration: a file and a struct per concern. Every value is a flag and an `ESHOPZ_…` variable, and
//! is documented where it is read, there; `eshopz <command> --help` shows the same words.

mod accounts;
mod database;
mod describe;
mod edge;
mod hidden;
mod limits;
mod mail;
mod neighbours;
mod runtime;
mod secret_source;
mod serve;
mod shop;
mod stripe;
mod tax;

pub use accounts::{AccountArgs, Need};
pub use database::DatabaseArgs;
pub use describe::describe;
pub use edge::EdgeArgs;
pub use hidden::Hidden;
pub use limits::LimitArgs;
pub use mail::{MailArgs, Post};
pub use neighbours::{NeighbourArgs, Neighbourhood};
pub use runtime::{Capture, Environment, EventTransport, PaymentGateway, ProductCache, RuntimeArgs, Switch};
pub use secret_source::SecretSource;
pub use serve::{Addresses, ServeArgs};
pub use shop::ShopArgs;
pub use tax::TaxRates;
