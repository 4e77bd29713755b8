//! The progress bar: shown on a terminal, silent in a pipe.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for a known amount of work; a spinner when `total` is 0.
#[must_use]
pub fn bar(total: u64, unit: &str) -> ProgressBar {
    let (bar, template) = if total == 0 {
        (ProgressBar::new_spinner(), format!("{{spinner}} {{human_pos}} {unit} ({{per_sec}})"))
    } else {
        let template = format!("{{wide_bar}} {{human_pos}}/{{human_len}} {unit} ({{per_sec}}, {{eta}} left)");
        (ProgressBar::new(total), template)
    };
    match ProgressStyle::with_template(&template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
