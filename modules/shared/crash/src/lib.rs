//! Crash points: named moments, one after each await of the code that must not be wrong, at which a debug
//! build can be made to die as by `kill -9`. A release build has none of it.
//!
//! - `ESHOPZ_CRASH_AT=NAME` or `NAME@N`: dies at the first, or the Nth, passing of that point. With
//!   `file:PATH` the name is in a file, and what was passed before the file was there does not count.
//! - `ESHOPZ_CRASH_TRACE=FILE`: adds the name of each point to the file as it is passed.
//!
//! `scripts/crash` tries every point; `tests/crash` says what must be true afterwards.

#[cfg(debug_assertions)]
mod watch;

pub use eshopz_crash_macro::crash_points;

/// A point is passed; the value goes through. Only [`macro@crash_points`] calls it.
#[cfg(debug_assertions)]
#[doc(hidden)]
#[inline]
pub fn passed<T>(value: T, point: &'static str) -> T {
    watch::passed(point);
    value
}
