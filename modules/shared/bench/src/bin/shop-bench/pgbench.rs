//! The shop's SQL without the shop: pgbench runs scripts, of which each connection takes any, again and again.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use eshopz_testkit::postgres::Postgres;
use tokio::process::Command;

use crate::load::Figures;
use crate::statements;

/// Scripts and their values.
#[derive(Clone, Debug)]
pub struct Pgbench {
    program: PathBuf,
    url: String,
    arguments: Vec<String>,
}

impl Pgbench {
    /// A search for each of the words, its script in `folder`.
    pub fn searches(postgres: &Postgres, folder: &Path, words: &[String]) -> Result<Self, String> {
        let mut arguments = Vec::new();
        for (number, word) in words.iter().enumerate() {
            let (whole, begun) = (format!("whole_{number}"), format!("begun_{number}"));
            let script = folder.join(format!("search-{number}.sql"));
            let statement = statements::search(&format!(":{whole}"), &format!(":{begun}"));
            std::fs::write(&script, statement).map_err(|error| format!("{}: {error}", script.display()))?;
            arguments.push(format!("--define={whole}='{word}'"));
            arguments.push(format!("--define={begun}='{word}':*"));
            arguments.push(format!("--file={}", script.display()));
        }
        Ok(Self { program: postgres.program("pgbench")?, url: postgres.url().to_owned(), arguments })
    }

    pub async fn run(&self, connections: usize, length: Duration) -> Result<Figures, String> {
        let mut command = Command::new(&self.program);
        command.args(["--no-vacuum", "--protocol=prepared", "--jobs=2"]).args(&self.arguments);
        command.arg(format!("--client={connections}")).arg(format!("--time={}", length.as_secs().max(1)));
        let output = command.arg(&self.url).stdin(Stdio::null()).kill_on_drop(true).output().await;
        let output = output.map_err(|error| format!("{}: {error}", self.program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(format!("pgbench: {text}{}", String::from_utf8_lossy(&output.stderr)));
        }
        let per_second = per_second(&text).ok_or_else(|| format!("pgbench said: {text}"))?;
        Ok(Figures { per_second, ..Figures::default() })
    }
}

fn per_second(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("tps = "))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::per_second;

    #[test]
    fn what_pgbench_says_is_read() {
        let text = "number of failed transactions: 0 (0.000%)\nlatency average = 6.1 ms\n\
                    tps = 2612.521037 (without initial connection time)\n";
        assert!((per_second(text).unwrap() - 2_612.521_037).abs() < 1e-9);
        assert!(per_second("nothing").is_none());
    }
}
