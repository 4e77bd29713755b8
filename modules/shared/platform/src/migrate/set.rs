//! Migrations as the caller hands them over, and how files become them.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::MigrateError;

/// One step of a module's schema, and the way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The time of writing, `20250131120000`: its order among all modules' migrations.
    pub version: String,
    pub name: String,
    pub up: String,
    pub down: String,
}

/// The migrations of one module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleMigrations {
    pub module: String,
    pub migrations: Vec<Migration>,
}

/// What a migration is called: `user/20250131120000_create_accounts`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MigrationId {
    pub version: String,
    pub module: String,
    pub name: String,
}

impl fmt::Display for MigrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}_{}", self.module, self.version, self.name)
    }
}

impl Migration {
    /// SHA-256 of `up.sql`, in hex. Line ends do not count, or a checkout on Windows would differ.
    #[must_use]
    pub fn checksum(&self) -> String {
        hex(&Sha256::digest(self.up.replace("\r\n", "\n").as_bytes()))
    }

    pub(super) fn id(&self, module: &str) -> MigrationId {
        MigrationId { version: self.version.clone(), module: module.to_owned(), name: self.name.clone() }
    }
}

/// Builds the sets from files: pairs of a path below `migrations/`, as in
/// `user/20250131120000_create_accounts/up.sql`, and its text. Paths of another depth are passed over.
///
/// # Errors
/// [`MigrateError::Files`] when a folder has no version, lacks one of the two files, or repeats a version.
pub fn from_files(files: impl IntoIterator<Item = (String, String)>) -> Result<Vec<ModuleMigrations>, MigrateError> {
    let mut modules: BTreeMap<String, BTreeMap<String, Halves>> = BTreeMap::new();
    for (path, text) in files {
        let parts: Vec<&str> = path.split('/').collect();
        let [module, folder, file] = parts.as_slice() else { continue };
        let halves = modules.entry((*module).to_owned()).or_default().entry((*folder).to_owned()).or_default();
        match *file {
            "up.sql" => halves.up = Some(text),
            "down.sql" => halves.down = Some(text),
            // What file managers and editors leave about.
            hidden if hidden.starts_with('.') => {}
            _ => return Err(MigrateError::Files(format!("{path} is neither up.sql nor down.sql"))),
        }
    }
    modules.into_iter().map(|(module, folders)| module_set(module, folders)).collect()
}

#[derive(Default)]
struct Halves {
    up: Option<String>,
    down: Option<String>,
}

fn module_set(module: String, folders: BTreeMap<String, Halves>) -> Result<ModuleMigrations, MigrateError> {
    let mut migrations: Vec<Migration> = Vec::new();
    for (folder, halves) in folders {
        let refuse = |why: &str| MigrateError::Files(format!("{module}/{folder} {why}"));
        let (version, name) = folder.split_once('_').ok_or_else(|| refuse("is not named <timestamp>_<name>"))?;
        if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refuse("is not named <timestamp>_<name>"));
        }
        if migrations.iter().any(|other| other.version == version) {
            return Err(refuse("repeats a version of its module"));
        }
        migrations.push(Migration {
            version: version.to_owned(),
            name: name.to_owned(),
            up: halves.up.ok_or_else(|| refuse("has no up.sql"))?,
            down: halves.down.ok_or_else(|| refuse("has no down.sql"))?,
        });
    }
    Ok(ModuleMigrations { module, migrations })
}

/// A short name for exactly these sets, 16 hex digits: a database made by them can be found again.
#[must_use]
pub fn fingerprint(sets: &[ModuleMigrations]) -> String {
    let mut digest = Sha256::new();
    for set in sets {
        for migration in &set.migrations {
            digest.update(format!("{}\n{}\n", migration.id(&set.module), migration.checksum()));
        }
    }
    hex(&digest.finalize()).chars().take(16).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> Vec<(String, String)> {
        paths.iter().map(|path| ((*path).to_owned(), format!("-- {path}"))).collect()
    }

    #[test]
    fn files_become_sets_in_order() {
        let sets = from_files(files(&[
            "README.md",
            "user/20250102000000_more/up.sql",
            "user/20250102000000_more/down.sql",
            "user/20250101000000_first_step/down.sql",
            "user/20250101000000_first_step/up.sql",
            "cart/20250101000000_init/up.sql",
            "cart/20250101000000_init/down.sql",
        ]))
        .unwrap();
        let names: Vec<String> =
            sets.iter().flat_map(|set| set.migrations.iter().map(|m| m.id(&set.module).to_string())).collect();
        assert_eq!(names, ["cart/20250101000000_init", "user/20250101000000_first_step", "user/20250102000000_more"]);
        assert_eq!(sets[1].migrations[0].up, "-- user/20250101000000_first_step/up.sql");
    }

    #[test]
    fn bad_files_are_refused_by_name() {
        for (paths, why) in [
            (vec!["user/20250101000000_x/up.sql"], "has no down.sql"),
            (vec!["user/20250101000000_x/down.sql"], "has no up.sql"),
            (vec!["user/first/up.sql"], "is not named"),
            (vec!["user/v1_x/up.sql"], "is not named"),
            (vec!["user/20250101000000_x/notes.txt"], "neither up.sql nor down.sql"),
        ] {
            let error = from_files(files(&paths)).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("user/"), "{error}");
        }
    }

    #[test]
    fn line_ends_do_not_change_the_checksum() {
        let unix = Migration { version: "1".into(), name: "x".into(), up: "a\nb".into(), down: String::new() };
        let windows = Migration { up: "a\r\nb".into(), ..unix.clone() };
        assert_eq!(unix.checksum(), windows.checksum());
        assert_eq!(unix.checksum().len(), 64);
    }
}
