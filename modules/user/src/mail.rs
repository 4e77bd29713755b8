//! Letters to people, and the way they are sent.

use std::path::PathBuf;

use async_trait::async_trait;
use chrono::Utc;
use eshopz_kernel::Fault;
use tokio::io::AsyncWriteExt as _;

/// A letter.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
}

impl std::fmt::Debug for Mail {
    /// Without the text, which holds a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("to", &self.to).field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// A way to send letters.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands a letter over.
    ///
    /// # Errors
    /// When it could not be handed over; the caller decides whether to try again.
    async fn send(&self, mail: Mail) -> Result<(), Fault>;
}

/// Puts each letter into a folder as a file, for development and tests.
#[derive(Clone, Debug)]
pub struct FolderMailer {
    folder: PathBuf,
}

impl FolderMailer {
    /// The folder is made with the first letter.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    async fn write(&self, mail: &Mail) -> std::io::Result<PathBuf> {
        tokio::fs::create_dir_all(&self.folder).await?;
        let path = self.folder.join(format!("{}.eml", uuid::Uuid::now_v7()));
        // Under another name until it is whole, so that whoever watches the folder reads no half.
        let partial = path.with_extension("partial");
        let mut options = tokio::fs::OpenOptions::new();
        options.write(true).create_new(true);
        // It holds a token.
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(&partial).await?;
        file.write_all(letter(mail).as_bytes()).await?;
        file.flush().await?;
        tokio::fs::rename(&partial, &path).await?;
        Ok(path)
    }
}

#[async_trait]
impl Mailer for FolderMailer {
    async fn send(&self, mail: Mail) -> Result<(), Fault> {
        let path = self.write(&mail).await.map_err(|error| Fault::internal("write mail").caused_by(error))?;
        tracing::info!(path = %path.display(), subject = %mail.subject, "mail written");
        Ok(())
    }
}

/// The letter as RFC 5322 has it.
fn letter(mail: &Mail) -> String {
    let line = |text: &str| text.replace(['\r', '\n'], " ");
    format!(
        "Date: {}\r\nTo: {}\r\nSubject: {}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{}",
        Utc::now().to_rfc2822(),
        line(&mail.to),
        line(&mail.subject),
        mail.text.replace('\n', "\r\n"),
    )
}

/// The letter that asks to confirm an email address.
pub(crate) fn verification(to: String, token: &str) -> Mail {
    Mail {
        to,
        subject: "Confirm your email address".to_owned(),
        text: format!(
            "Welcome!\n\nTo confirm that this address is yours, send this token to POST /api/v1/auth/verify-email:\n\n\
             Token: {token}\n\nIt is good for some days. If you have not made an account, ignore this mail.\n"
        ),
    }
}

/// The letter with which a forgotten password is replaced.
pub(crate) fn password_reset(to: String, token: &str, minutes: u64) -> Mail {
    Mail {
        to,
        subject: "Choose a new password".to_owned(),
        text: format!(
            "Somebody, you we hope, wants to choose a new password for your account.\n\nSend this token with the new \
             password to POST /api/v1/auth/password-reset/confirm:\n\nToken: {token}\n\nIt is good for {minutes} \
             minutes, and once. If it was not you, ignore this mail: nothing has changed.\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_letter_becomes_a_file() {
        let folder = std::env::temp_dir().join(format!("eshopz-mail-{}", uuid::Uuid::now_v7()));
        let mailer = FolderMailer::new(&folder);
        mailer.send(password_reset("ann@example.com\r\nBcc: x@example.com".to_owned(), "t0ken", 30)).await.unwrap();
        let files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        let text = std::fs::read_to_string(&files[0]).unwrap();
        assert!(text.contains("\r\nTo: ann@example.com  Bcc: x@example.com\r\n"), "{text}");
        assert!(text.contains("\r\nToken: t0ken\r\n"), "{text}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
