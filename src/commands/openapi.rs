//! `eshopz openapi`: the documents that the handlers describe.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::cli::wrong_call;
use crate::modules::Module;
use crate::openapi;

/// Which document, and where to.
#[derive(Args, Debug)]
pub struct OpenapiArgs {
    /// Only this module's document.
    #[arg(long, env = "ESHOPZ_MODULE")]
    module: Option<String>,
    /// Write `eshopz.json` and one file per module into this folder instead of printing.
    #[arg(long, env = "ESHOPZ_OUT")]
    out: Option<PathBuf>,
    /// Compare with the files in the folder (`openapi` unless --out says another) and fail if they differ.
    #[arg(long, env = "ESHOPZ_CHECK")]
    check: bool,
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be written, or differs under `--check`.
pub fn run(args: &OpenapiArgs) -> anyhow::Result<()> {
    let only = match &args.module {
        Some(name) => Some(wrong_call(Module::parse_selection(std::slice::from_ref(name)))?),
        None => None,
    };
    if args.out.is_none() && !args.check {
        let document = openapi::document(only.as_deref().unwrap_or(&Module::ALL));
        say!("{}", openapi::to_json(&document)?);
        return Ok(());
    }
    let folder = args.out.clone().unwrap_or_else(|| PathBuf::from("openapi"));
    let mut stale = Vec::new();
    for (name, text) in openapi::files()? {
        if only.as_ref().is_some_and(|only| !only.iter().any(|module| name == format!("{module}.json"))) {
            continue;
        }
        let path = folder.join(&name);
        if args.check {
            if fs::read_to_string(&path).unwrap_or_default() != text {
                stale.push(path.display().to_string());
            }
        } else {
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    if !stale.is_empty() {
        bail!(
            "not what the code describes: {}; mend with `eshopz openapi --out {}`",
            stale.join(", "),
            folder.display()
        );
    }
    Ok(())
}
