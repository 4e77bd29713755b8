//! Letters as files in a folder, for development and tests.

use std::path::PathBuf;

use async_trait::async_trait;
use chrono::Utc;
use tokio::io::AsyncWriteExt as _;

use super::{Mail, Mailer, SendError};

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
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let path = self.write(mail).await.map_err(|error| SendError::NotSent(error.to_string()))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::password_reset;

    #[tokio::test]
    async fn a_letter_becomes_a_file() {
        let folder = std::env::temp_dir().join(format!("eshopz-mail-{}", uuid::Uuid::now_v7()));
        let mailer = FolderMailer::new(&folder);
        mailer.send(&password_reset("ann@example.com\r\nBcc: x@example.com".to_owned(), "t0ken", 30)).await.unwrap();
        let files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        let text = std::fs::read_to_string(&files[0]).unwrap();
        assert!(text.contains("\r\nTo: ann@example.com  Bcc: x@example.com\r\n"), "{text}");
        assert!(text.contains("\r\nToken: t0ken\r\n"), "{text}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
