//! Load for a while: wrk for reads, our own driver for what is written and checked.

use std::process::Stdio;
use std::rc::Rc;
use std::time::{Duration, Instant};

use eshopz_testkit::load::Shelf;
use eshopz_testkit::load::figures::percentile;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::work::{Person, Queue, Work};

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Figures {
    pub fn json(&self) -> Value {
        json!({"per_second": self.per_second, "p50_ms": self.p50_ms, "p99_ms": self.p99_ms})
    }
}

/// A GET, again and again.
#[derive(Clone, Debug)]
pub struct Get {
    pub port: u16,
    pub path: String,
    pub headers: Vec<String>,
}

pub async fn wrk(get: &Get, connections: usize, length: Duration) -> Result<Figures, String> {
    let mut command = Command::new("wrk");
    command.args(["--latency", "--timeout", "10s", "-t", "2"]).stdin(Stdio::null()).kill_on_drop(true);
    command.args(["-c", &connections.to_string(), "-d", &format!("{}s", length.as_secs().max(1))]);
    for header in &get.headers {
        command.args(["-H", header]);
    }
    let output = command.arg(format!("http://127.0.0.1:{}{}", get.port, get.path)).output().await;
    let output = output.map_err(|error| format!("wrk: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("wrk {}: {text}{}", get.path, String::from_utf8_lossy(&output.stderr)));
    }
    read_wrk(&text).ok_or_else(|| format!("wrk said: {text}"))
}

fn read_wrk(text: &str) -> Option<Figures> {
    let after = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    Some(Figures {
        per_second: after("Requests/sec:")?.parse().ok()?,
        p50_ms: millis(after("50%")?)?,
        p99_ms: millis(after("99%")?)?,
    })
}

/// `12.30us`, `4.56ms` or `1.20s`.
fn millis(text: &str) -> Option<f64> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let factor = match unit {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1_000.0,
        "m" => 60_000.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

/// So many connections work for so long, or until there is nothing left to do.
pub async fn drive(work: &Work, connections: usize, length: Duration) -> Result<Figures, String> {
    let mut people = Vec::with_capacity(connections);
    for seed in 1..=connections {
        people.push(Person::new(work, u64::try_from(seed).unwrap_or(1)).await?);
    }
    let began = Instant::now();
    let working: Vec<_> = people
        .into_iter()
        .map(|mut person| {
            tokio::task::spawn_local(async move {
                let mut micros = Vec::new();
                while began.elapsed() < length {
                    let asked = Instant::now();
                    if !person.once().await? {
                        break;
                    }
                    micros.push(u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX));
                }
                Ok::<_, String>(micros)
            })
        })
        .collect();
    let mut micros = Vec::new();
    for worker in working {
        micros.extend(worker.await.map_err(|error| error.to_string())??);
    }
    let seconds = began.elapsed().as_secs_f64();
    micros.sort_unstable();
    let count = f64::from(u32::try_from(micros.len()).unwrap_or(u32::MAX));
    Ok(Figures { per_second: count / seconds, p50_ms: percentile(&micros, 50), p99_ms: percentile(&micros, 99) })
}

/// Fills carts, to be ordered in a moment.
pub async fn prepare(work: &Work, queue: &Rc<Queue>, shelf: &Rc<Shelf>, count: usize) -> Result<(), String> {
    const AT_ONCE: usize = 16;
    let mut filling = Vec::new();
    for seed in 0..AT_ONCE {
        let mut person = Person::new(work, u64::try_from(1_000 + seed).unwrap_or(1)).await?;
        let (queue, shelf) = (queue.clone(), shelf.clone());
        filling.push(tokio::task::spawn_local(async move {
            for _ in 0..count.div_ceil(AT_ONCE) {
                person.prepare(&queue, &shelf).await?;
            }
            Ok::<_, String>(())
        }));
    }
    for one in filling {
        one.await.map_err(|error| error.to_string())??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::read_wrk;

    #[test]
    fn what_wrk_says_is_read() {
        let text = "  Latency Distribution\n     50%  812.00us\n     75%    1.02ms\n     99%    1.20s \n\
                    Requests/sec:  19234.55\nTransfer/sec:     12.01MB\n";
        let figures = read_wrk(text).unwrap();
        assert!((figures.per_second - 19_234.55).abs() < 0.001);
        assert!((figures.p50_ms - 0.812).abs() < 1e-9 && (figures.p99_ms - 1_200.0).abs() < 1e-9);
    }
}
