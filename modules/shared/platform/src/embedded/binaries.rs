//! Finds the PostgreSQL that is installed, in the places where the usual packages put it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::EmbeddedError;

const OLDEST: u32 = 14;

/// A folder with `postgres` and `initdb` of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    pub dir: PathBuf,
    pub major: u32,
}

impl Binaries {
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The first usable one, or that of version `wanted`, which data of `data_dir` asks for.
    pub fn find(given: Option<&Path>, wanted: Option<u32>, data_dir: &Path) -> Result<Self, EmbeddedError> {
        let places: Box<dyn Iterator<Item = PathBuf>> = match given {
            Some(dir) => Box::new(std::iter::once(dir.to_owned())),
            None => Box::new(usual_places()),
        };
        let mut passed_over: Vec<Self> = Vec::new();
        for binaries in places.filter_map(|dir| Self::at(&dir)) {
            if binaries.major >= OLDEST && wanted.is_none_or(|wanted| wanted == binaries.major) {
                return Ok(binaries);
            }
            if !passed_over.contains(&binaries) {
                passed_over.push(binaries);
            }
        }
        Err(refusal(given, wanted, data_dir, &passed_over))
    }

    /// Symlinks are followed, for `initdb` looks for its siblings and its share folder beside itself.
    fn at(dir: &Path) -> Option<Self> {
        let postgres = dir.join("postgres").canonicalize().ok()?;
        let dir = postgres.parent()?.to_owned();
        if !dir.join("initdb").exists() {
            return None;
        }
        let output = Command::new(&postgres).arg("--version").output().ok()?;
        let major = major_version(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self { dir, major })
    }
}

fn refusal(given: Option<&Path>, wanted: Option<u32>, data_dir: &Path, found: &[Binaries]) -> EmbeddedError {
    let Some(first) = found.first() else {
        return given.map_or(EmbeddedError::NotFound, |dir| EmbeddedError::BinDir(dir.to_owned()));
    };
    match wanted {
        Some(wanted) => EmbeddedError::OtherVersion {
            data_dir: data_dir.to_owned(),
            wanted,
            found: found.iter().map(|binaries| binaries.major.to_string()).collect::<Vec<_>>().join(", "),
        },
        None => EmbeddedError::TooOld { dir: first.dir.clone(), version: first.major },
    }
}

/// Lazily, so that the common case asks no `pg_config` and reads no folder.
fn usual_places() -> impl Iterator<Item = PathBuf> {
    let on_path =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let families = [
        ("/usr/lib/postgresql", "", "bin"),
        ("/opt/homebrew/opt", "postgresql", "bin"),
        ("/usr/local/opt", "postgresql", "bin"),
        ("/opt/homebrew", "bin", ""),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
        ("/usr", "pgsql-", "bin"),
    ];
    on_path
        .into_iter()
        .chain(std::iter::once_with(told_by_pg_config).flatten())
        .chain(families.into_iter().flat_map(|(root, prefix, inner)| versions_below(Path::new(root), prefix, inner)))
}

fn told_by_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let dir = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(dir.trim())).filter(|dir| dir.is_absolute())
}

/// The folders `<root>/<prefix>*/<inner>`, newest version first; one without a number
/// (`latest`, `postgresql`) is the newest.
fn versions_below(root: &Path, prefix: &str, inner: &str) -> Vec<PathBuf> {
    let Ok(entries) = root.read_dir() else { return Vec::new() };
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let rest = name.strip_prefix(prefix)?;
            Some((first_number(rest).unwrap_or(u32::MAX), root.join(&name).join(inner)))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, dir)| dir).collect()
}

/// `postgres (PostgreSQL) 16.3 (Homebrew)` is 16.
fn major_version(told: &str) -> Option<u32> {
    let (_, version) = told.split_once("(PostgreSQL)")?;
    first_number(version)
}

fn first_number(text: &str) -> Option<u32> {
    let digits: String = text.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.12 (Debian 15.12-0+deb12u2)\n"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_version("something else 3"), None);
    }

    #[test]
    fn the_newest_version_comes_first() {
        let root = std::env::temp_dir().join(format!("eshopz-binaries-{}", std::process::id()));
        for name in ["postgresql@9", "postgresql@16", "postgresql@14", "postgresql", "redis"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        let found = versions_below(&root, "postgresql", "bin");
        std::fs::remove_dir_all(&root).unwrap();
        let names: Vec<PathBuf> = ["postgresql", "postgresql@16", "postgresql@14", "postgresql@9"]
            .iter()
            .map(|name| root.join(name).join("bin"))
            .collect();
        assert_eq!(found, names);
    }

    #[test]
    fn a_folder_without_postgres_is_refused_by_name() {
        let error = Binaries::find(Some(Path::new("/nowhere")), None, Path::new("data")).unwrap_err();
        assert!(error.to_string().contains("/nowhere"), "{error}");
    }
}
