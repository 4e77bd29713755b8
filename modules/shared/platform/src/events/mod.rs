//! Events between modules: written with the change they tell, delivered at least once, in effect once.
//!
//! - [`outbox::publish`] writes an event in the caller's transaction. It knows no listener.
//! - A [`Relay`] per module and process finds new events, makes one delivery per subscribed listener
//!   and hands each over through a [`Transport`]; failed ones come again later, and those that never
//!   succeed become dead letters ([`dead`]) without holding up anything else. While a listener's process is
//!   away its events wait for it, and none is at fault.
//! - A [`Listener`] calls [`inbox::claim`] in the transaction of its effect, so that a repetition has none.
//! - Where a message service carries events, each goes to a [`topic`] once instead of to every listener.
//! - [`health`] tells how far behind a module is and what is stuck, [`lost`] helps what lost its deliveries; [`sweep`] removes what has served.
//!
//! Order between events is not promised: identity and commit order differ, and retries change it
//! anyway. So nothing here reads "all after the last one seen", which would lose what commits late.
//!
//! The tables are in every module's schema; `migrations/common.sql.template` has their definition:
//!
//! ```sql
//! CREATE TABLE outbox (
//!     id uuid PRIMARY KEY, name text NOT NULL, payload jsonb NOT NULL,
//!     occurred_at timestamptz NOT NULL DEFAULT now(), traceparent text,
//!     remaining integer,          -- NULL: no relay has seen it; else the listeners still to be served
//!     published_at timestamptz);  -- set when `remaining` has come to 0
//! CREATE TABLE outbox_deliveries (
//!     event_id uuid REFERENCES outbox (id), listener text, PRIMARY KEY (event_id, listener),
//!     attempts integer NOT NULL DEFAULT 0,   -- counted when an attempt begins
//!     available_at timestamptz NOT NULL,     -- the lease during an attempt, else when the next one is due
//!     dead_at timestamptz, last_error text); -- dead letters
//! CREATE TABLE inbox (event_id uuid, listener text, received_at timestamptz, PRIMARY KEY (event_id, listener));
//! ```

mod config;
pub mod dead;
mod deliver;
mod guard;
pub mod health;
mod held;
pub mod inbox;
mod lanes;
mod lease;
mod listener;
pub mod lost;
pub mod outbox;
mod pace;
mod postponed;
mod relay;
mod rows;
mod settle;
pub mod sweep;
pub mod topic;
mod wake;

pub use config::RelayConfig;
pub use guard::Attempt;
pub use listener::{Listener, LocalTransport, Subscription, Subscriptions, Transport};
pub use postponed::{is_postponed, postponed};
pub use relay::Relay;
