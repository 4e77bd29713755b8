//! Where the shop's own time goes: samples of its stacks while it is busy, for `scripts/flame` to draw.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::load::drive;
use crate::machine::{Machine, Mode};
use crate::setup::Stock;
use crate::work::{Ports, Work};

const CLIENTS: usize = 16;
const WARM_UP: Duration = Duration::from_secs(2);
/// Of a second, and so that nothing which happens often falls in with it.
const SAMPLES: &str = "497";

/// Leaves `product-hot.perf` and `checkout.perf` in the folder.
pub async fn record(
    machine: &mut Machine,
    stock: &Stock,
    folder: &Path,
    length: Duration,
    progress: impl Fn(&str),
) -> Result<(), String> {
    let (shop, _) = machine.shop(Mode::Hot).await?;
    let path = format!("/api/v1/products/{}", stock.product.handle).into();
    let works = [
        ("product-hot", Work::Get(shop.port, path)),
        ("checkout", Work::Checkout(Ports::all(shop.port), stock.shelf.clone())),
    ];
    for (name, work) in works {
        progress(name);
        drive(&work, CLIENTS, WARM_UP).await?;
        let mut perf = Command::new("perf");
        // By the clock of the system, as a guest seldom has the processor's.
        perf.args(["record", "--quiet", "--event", "cpu-clock", "--freq", SAMPLES, "--call-graph", "dwarf,16384"]);
        perf.args(["--pid", &shop.id().to_string(), "--output"]).arg(folder.join(format!("{name}.perf")));
        perf.args(["--", "sleep", &length.as_secs().to_string()]).stdin(Stdio::null()).kill_on_drop(true);
        let busy = drive(&work, CLIENTS, length + Duration::from_secs(1));
        let (perf, busy) = futures::join!(perf.output(), busy);
        busy?;
        let perf = perf.map_err(|error| format!("perf: {error}"))?;
        if !perf.status.success() {
            return Err(format!("perf: {}", String::from_utf8_lossy(&perf.stderr)));
        }
    }
    Ok(())
}
