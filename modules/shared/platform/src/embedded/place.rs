//! Where the data, the socket, the locks and the log are, and as whom the server runs.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::EmbeddedError;

/// What the kernels allow for the path of a socket (macOS 104, Linux 108), with its closing zero.
const LONGEST_SOCKET: usize = 103;

/// Where root's data goes when the user that runs PostgreSQL cannot reach the folder of the shop.
const SHELTER: &str = "/var/lib/eshopz";

/// The name that the port gives to the socket; there is one server per folder, so it never varies.
pub(super) const SOCKET: &str = ".s.PGSQL.5432";

/// An unprivileged user that root becomes for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub uid: u32,
    pub gid: u32,
}

/// The paths of one private server, all absolute.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub data: PathBuf,
    pub sockets: PathBuf,
    pub log: PathBuf,
    /// Held while somebody starts or stops the server.
    pub gate: PathBuf,
    /// Held, shared, by everybody who uses the server.
    pub users: PathBuf,
    /// A note that says where `data` is when it is not here.
    pub note: PathBuf,
    /// As whom to run the server; `None` is as oneself.
    pub account: Option<Account>,
}

impl Place {
    /// Settles the paths of the server with this data folder, and makes the folders above it.
    pub fn find(data_dir: &Path) -> Result<Self, EmbeddedError> {
        let name = data_dir.file_name().ok_or_else(|| EmbeddedError::NotAData(data_dir.to_owned()))?;
        let parent = data_dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(EmbeddedError::io("create", parent))?;
        let home = parent.canonicalize().map_err(EmbeddedError::io("open", parent))?;
        let beside = |suffix: &str| {
            let mut file = name.to_owned();
            file.push(suffix);
            home.join(file)
        };
        let note = beside(".location");
        let (data, account) = settle(home.join(name), &note)?;
        let sockets = socket_dir(&data);
        Ok(Self { log: beside(".log"), gate: beside(".lock"), users: beside(".users"), note, data, sockets, account })
    }

    /// The uid of the server and its files.
    pub fn uid(&self) -> u32 {
        self.account.map_or_else(own_uid, |account| account.uid)
    }

    /// Gives a path to the user of the server.
    pub fn hand_over(&self, path: &Path) -> Result<(), EmbeddedError> {
        let Some(Account { uid, gid }) = self.account else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).map_err(EmbeddedError::io("change the owner of", path))
    }

    /// Makes the folder of the socket when it is not the data folder. It may be in `/tmp`, where
    /// others can come first: it must be a folder, and ours.
    pub fn make_socket_dir(&self) -> Result<(), EmbeddedError> {
        if self.sockets == self.data {
            return Ok(());
        }
        match fs::DirBuilder::new().mode(0o700).create(&self.sockets) {
            Ok(()) => self.hand_over(&self.sockets)?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(EmbeddedError::io("create", &self.sockets)(error)),
        }
        let found = fs::symlink_metadata(&self.sockets).map_err(EmbeddedError::io("open", &self.sockets))?;
        if !found.is_dir() || found.uid() != self.uid() {
            return Err(EmbeddedError::Foreign { path: self.sockets.clone(), owner: found.uid() });
        }
        fs::set_permissions(&self.sockets, fs::Permissions::from_mode(0o700))
            .map_err(EmbeddedError::io("change the mode of", &self.sockets))
    }
}

/// The data folder and its user: `here`, or where the note says, or, for root, the shelter.
fn settle(here: PathBuf, note: &Path) -> Result<(PathBuf, Option<Account>), EmbeddedError> {
    let noted = fs::read_to_string(note).ok().map(|text| PathBuf::from(text.trim())).filter(|path| path.is_absolute());
    let data = noted.clone().unwrap_or(here);
    let owner = fs::metadata(&data).ok().map(|found| Account { uid: found.uid(), gid: found.gid() });
    if own_uid() != 0 {
        return match owner {
            Some(Account { uid, .. }) if uid != own_uid() => Err(EmbeddedError::Foreign { path: data, owner: uid }),
            _ => Ok((data, None)),
        };
    }
    // A folder that an ordinary user made stays his, also when root comes along with sudo.
    let account = match owner {
        Some(owner) if owner.uid != 0 => owner,
        _ => account_for_root()?,
    };
    if noted.is_some() || data.parent().is_none_or(|parent| can_reach(parent, account)) {
        return Ok((data, Some(account)));
    }
    if data.join("PG_VERSION").exists() {
        return Err(EmbeddedError::Unreachable { path: data, uid: account.uid });
    }
    Ok((shelter(&data, note)?, Some(account)))
}

/// Makes a folder in the shelter, and the note that leads there.
fn shelter(data: &Path, note: &Path) -> Result<PathBuf, EmbeddedError> {
    let room = Path::new(SHELTER).join(short_hash(data));
    fs::create_dir_all(&room).map_err(EmbeddedError::io("create", &room))?;
    for dir in [Path::new(SHELTER), &room] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755))
            .map_err(EmbeddedError::io("change the mode of", dir))?;
    }
    let moved = room.join("postgres");
    fs::write(note, format!("{}\n", moved.display())).map_err(EmbeddedError::io("write", note))?;
    Ok(moved)
}

fn socket_dir(data: &Path) -> PathBuf {
    if data.join(SOCKET).as_os_str().len() <= LONGEST_SOCKET {
        data.to_owned()
    } else {
        Path::new("/tmp").join(format!("eshopz-{}", short_hash(data)))
    }
}

fn short_hash(path: &Path) -> String {
    Sha256::digest(path.as_os_str().as_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether a user may pass through every folder down to this one. His groups are not looked at:
/// the server is started without any.
fn can_reach(dir: &Path, account: Account) -> bool {
    dir.ancestors().all(|step| {
        fs::metadata(step).is_ok_and(|found| {
            let needed = if found.uid() == account.uid { 0o100 } else { 0o001 };
            found.mode() & needed != 0
        })
    })
}

fn account_for_root() -> Result<Account, EmbeddedError> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    ["postgres", "_postgres", "nobody"]
        .iter()
        .find_map(|name| account_named(&passwd, name))
        .ok_or(EmbeddedError::NoAccount)
}

fn account_named(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Account { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_from_passwd() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\npostgresql:x:7:8::/:\npostgres:x:101:104:PostgreSQL,,,:/var:/bin\n";
        assert_eq!(account_named(passwd, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(account_named(passwd, "nobody"), None);
    }

    #[test]
    fn a_long_path_gets_a_short_socket() {
        assert_eq!(socket_dir(Path::new("/srv/shop/.eshopz/postgres")), Path::new("/srv/shop/.eshopz/postgres"));
        let deep = PathBuf::from(format!("/{}", "deep/".repeat(30)));
        let sockets = socket_dir(&deep);
        assert!(sockets.starts_with("/tmp") && sockets.as_os_str().len() < 40, "{}", sockets.display());
        assert_eq!(sockets, socket_dir(&deep));
    }
}
