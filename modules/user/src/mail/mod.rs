//! Letters to people, and the ways they are sent: [`SmtpMailer`] to a mail server, [`FolderMailer`] into a folder.

mod folder;
mod smtp;

use async_trait::async_trait;

pub use self::folder::FolderMailer;
pub use self::smtp::{SmtpError, SmtpMailer, SmtpSettings};

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

/// Why a letter did not go out. The text is for the log: it has neither addresses nor secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The server does not take this letter, and is likely to say the same again.
    #[error("refused: {0}")]
    Refused(String),
    /// It has not gone out, and may go out later.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It may have gone out: the end was not heard.
    #[error("not known to be sent: {0}")]
    Unknown(String),
}

/// A way to send letters.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands a letter over, within a time that has an end.
    ///
    /// # Errors
    /// When it could not be handed over; the caller decides whether to try again.
    async fn send(&self, mail: &Mail) -> Result<(), SendError>;
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
