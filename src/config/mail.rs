//! How letters reach people.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use eshopz_user::{FolderMailer, Mailer, SmtpMailer, SmtpSettings};

use super::Hidden;

/// The mail server, and who writes.
#[derive(Args, Clone, Debug)]
pub struct MailArgs {
    /// The mail server, as `smtps://user:password@host` or `smtp://user:password@host?tls=required`. Without it letters
    /// are written into the folder `mail` of the data folder.
    #[arg(long, env = "ESHOPZ_SMTP_URL", hide_env_values = true, global = true)]
    pub smtp_url: Option<Hidden>,

    /// From whom letters come, as `My Shop <shop@example.com>`; needed with a mail server.
    #[arg(long, env = "ESHOPZ_MAIL_FROM", global = true)]
    pub mail_from: Option<String>,

    /// A file of certificates (PEM) that the mail server is trusted by, beside those of the system.
    #[arg(long, env = "ESHOPZ_SMTP_CA_FILE", global = true, hide_short_help = true)]
    pub smtp_ca_file: Option<PathBuf>,
}

/// Where letters go.
pub enum Post {
    Server(Arc<dyn Mailer>),
    Folder(PathBuf, Arc<dyn Mailer>),
}

impl Post {
    /// The way to it.
    #[must_use]
    pub fn mailer(self) -> Arc<dyn Mailer> {
        match self {
            Self::Server(mailer) | Self::Folder(_, mailer) => mailer,
        }
    }
}

impl MailArgs {
    /// The mail server, or the folder when there is none.
    ///
    /// # Errors
    /// When a setting is missing or cannot be read. The text has nothing of the URL.
    pub fn post(&self, folder: PathBuf, is_production: bool) -> anyhow::Result<Post> {
        let Some(url) = self.smtp_url.as_deref().filter(|url| !url.trim().is_empty()) else {
            let mailer = Arc::new(FolderMailer::new(&folder));
            return Ok(Post::Folder(folder, mailer));
        };
        let from = self.mail_from.as_deref().filter(|from| !from.trim().is_empty());
        let from = from.context("the mail server needs to know from whom letters come: set ESHOPZ_MAIL_FROM")?;
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("ESHOPZ_SMTP_CA_FILE, {}, cannot be read", path.display()))
        };
        let certificates = self.smtp_ca_file.as_ref().map(read).transpose()?;
        let settings =
            SmtpSettings { url, from, certificates: certificates.as_deref(), allow_open_password: !is_production };
        Ok(Post::Server(Arc::new(SmtpMailer::new(&settings)?)))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        mail: MailArgs,
    }

    fn post(arguments: &[&str], is_production: bool) -> Result<Post, String> {
        let line = Line::try_parse_from(["eshopz"].iter().chain(arguments)).map_err(|error| error.to_string())?;
        line.mail.post(PathBuf::from("mail"), is_production).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn letters_go_to_the_server_or_into_the_folder() {
        let from = ["--mail-from", "Shop <shop@example.com>"];
        assert!(matches!(post(&[], true), Ok(Post::Folder(..))));
        assert!(matches!(post(&["--smtp-url", ""], false), Ok(Post::Folder(..))));
        let open = [&["--smtp-url", "smtp://me:hunter2@mail"][..], &from].concat();
        assert!(matches!(post(&open, false), Ok(Post::Server(_))));
        for (arguments, is_production, told) in [
            (open, true, "not encrypted"),
            (vec!["--smtp-url", "smtps://me:hunter2@mail"], false, "ESHOPZ_MAIL_FROM"),
            ([&["--smtp-url", "me:hunter2@mail"][..], &from].concat(), false, "ESHOPZ_SMTP_URL"),
            (
                [&["--smtp-url", "smtps://mail", "--smtp-ca-file", "/nowhere/ca.pem"][..], &from].concat(),
                false,
                "/nowhere/ca.pem",
            ),
        ] {
            let error = post(&arguments, is_production).err().unwrap();
            assert!(error.contains(told) && !error.contains("hunter2"), "{error}");
        }
    }
}
