//! Free ports, none of which is given out twice by this test program.
//!
//! All lie below the range from which the kernel takes the ports of outgoing connections, so that a port that
//! was free is still free when the process that is to have it has started.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Thousands of which the public, the internal (+1) and the management (+6) block never meet.
const BLOCKS: [u16; 4] = [12_000, 14_000, 16_000, 24_000];
/// Thousands that are none of these blocks.
const SINGLES: [u16; 3] = [19_000, 21_000, 23_000];

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Programs that run at the same time begin at different places.
fn offset() -> u16 {
    u16::try_from(std::process::id() % 997).unwrap() * 7
}

fn find(blocks: &[u16], next: &AtomicU16, fits: impl Fn(u16) -> bool) -> u16 {
    for _ in 0..4_000 {
        let slot = next.fetch_add(1, Ordering::SeqCst) + offset();
        let block = blocks[usize::from(slot / 1_000) % blocks.len()];
        let port = block + slot % 1_000;
        if fits(port) {
            return port;
        }
    }
    panic!("no free port");
}

/// A public port whose internal and management ports are free as well.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    find(&BLOCKS, &NEXT, |port| [0, 1_000, 6_000].into_iter().all(|above| is_free(port + above)))
}

/// A port of something else than the program.
pub fn single_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    find(&SINGLES, &NEXT, is_free)
}
