//! Makes the data folder with `initdb`, so that it is there whole or not at all.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::binaries::Binaries;
use super::place::Place;
use super::{EmbeddedError, blocking};

/// `initdb` takes a second or two; a slow disk may need many.
const DEADLINE: Duration = Duration::from_secs(180);

/// Texts are sorted by bytes, which is fast and the same everywhere; what a letter is comes from
/// the first of these that the machine knows, so that `lower()` and trigrams work beyond ASCII.
const LETTERS: [&str; 4] = ["C.UTF-8", "en_US.UTF-8", "UTF-8", "C"];

/// What is added to the name of a data folder that is not whole yet, before a pid.
const GROWING: &str = ".new.";

/// The major version of the data in a folder, or `None` when there is no data yet.
pub(super) fn version(data: &Path) -> Result<Option<u32>, EmbeddedError> {
    match fs::read_to_string(data.join("PG_VERSION")) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| EmbeddedError::NotAData(data.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EmbeddedError::io("read", data.join("PG_VERSION"))(error)),
    }
}

/// Makes the data folder. It grows under another name and is renamed when it is whole: what an
/// interrupted run has left is thrown away here. The name is this process's own, for the `initdb`
/// of a killed one may still be writing.
pub(super) async fn create(place: &Place, binaries: &Binaries, durable: bool) -> Result<(), EmbeddedError> {
    let growing = PathBuf::from(format!("{}{GROWING}{}", place.data.display(), std::process::id()));
    let mut said = String::new();
    for letters in LETTERS {
        let (place_to_clear, folder) = (place.clone(), growing.clone());
        blocking(move || clear(&place_to_clear, &folder)).await?;
        let output = tokio::time::timeout(DEADLINE, initdb(place, binaries, &growing, letters, durable).output())
            .await
            .map_err(|_| EmbeddedError::Init(format!("not done within {} s", DEADLINE.as_secs())))?
            .map_err(EmbeddedError::io("run", binaries.program("initdb")))?;
        if output.status.success() {
            return tokio::fs::rename(&growing, &place.data).await.map_err(EmbeddedError::io("create", &place.data));
        }
        said = one_line(&String::from_utf8_lossy(&output.stderr));
        if !said.contains("locale") {
            break;
        }
    }
    Err(EmbeddedError::Init(said))
}

fn clear(place: &Place, growing: &Path) -> Result<(), EmbeddedError> {
    if place.data.exists() {
        // An empty folder may go; a full one is not ours.
        fs::remove_dir(&place.data).map_err(|_| EmbeddedError::NotAData(place.data.clone()))?;
    }
    let prefix = format!("{}{GROWING}", place.data.file_name().unwrap_or_default().display());
    for entry in growing.parent().and_then(|parent| parent.read_dir().ok()).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            // What somebody still writes to may resist. It is in nobody's way.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    fs::create_dir(growing).map_err(EmbeddedError::io("create", growing))?;
    place.hand_over(growing)
}

fn initdb(place: &Place, binaries: &Binaries, growing: &Path, letters: &str, durable: bool) -> Command {
    let mut command = Command::new(binaries.program("initdb"));
    command.arg("-D").arg(growing);
    command.args(["--username=eshopz", "--auth=trust", "--encoding=UTF8", "--locale=C", "-T", "english"]);
    command.arg(format!("--lc-ctype={letters}"));
    if !durable {
        command.arg("--no-sync");
    }
    // Without TZ it compares the clock with every time zone that there is.
    command.env("TZ", "UTC").env("LC_ALL", "C").current_dir("/");
    command.stdin(Stdio::null()).kill_on_drop(true);
    if let Some(account) = place.account {
        command.uid(account.uid).gid(account.gid);
    }
    command
}

/// What a program said, as one line.
pub(super) fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" · ")
}
