//! What the shop holds on a person: declared, handed out, forgotten, and never told to a log.

mod columns;
mod erasure;
mod export;
mod life;
mod logs;
