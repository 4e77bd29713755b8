//! What the catalogue is made of, without IO.

pub mod handle;
pub mod html;
pub mod options;
pub mod spelling;
pub mod status;
pub mod stock;
pub mod vocabulary;
pub mod web_address;

pub use options::{Image, Images, Options, ProductOption};
pub use status::{MovementKind, ReservationState, Status};
