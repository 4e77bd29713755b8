//! Letters by SMTP (RFC 5321) to the mail server that the operator names.

use std::error::Error as _;
use std::io::ErrorKind;
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::{Mail, Mailer, SendError};

/// How long a letter may take, from the connection to the server's last word.
const PATIENCE: Duration = Duration::from_secs(30);
/// The ports of submission with STARTTLS, of submission by TLS (RFC 8314), and of relaying.
const SUBMISSION: u16 = 587;
const SUBMISSIONS: u16 = 465;
const RELAY: u16 = 25;

/// Where the mail server is, and from whom letters come.
pub struct SmtpSettings<'a> {
    /// `smtps://user:password@host`, by TLS; `smtp://…?tls=required`, by STARTTLS; or `smtp://…` without either. User,
    /// password and port may be left out.
    pub url: &'a str,
    /// An address, or a name and an address as in `My Shop <shop@example.com>`.
    pub from: &'a str,
    /// Certificates in PEM that are trusted beside those of the system.
    pub certificates: Option<&'a [u8]>,
    /// Whether a password may go over a connection that is not encrypted.
    pub allow_open_password: bool,
}

/// What is wrong with the settings; it quotes nothing of the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmtpError {
    #[error(
        "ESHOPZ_SMTP_URL is no address such as smtps://user:password@host or smtp://user:password@host?tls=required"
    )]
    Url,
    #[error(
        "ESHOPZ_SMTP_URL sends its password over a connection that is not encrypted: add ?tls=required, or use smtps://"
    )]
    OpenPassword,
    #[error("ESHOPZ_MAIL_FROM is `{0}`, not an address such as `My Shop <shop@example.com>`")]
    From(String),
    #[error("the certificates of ESHOPZ_SMTP_CA_FILE cannot be used")]
    Certificates,
}

/// Hands letters to a mail server, each over a connection of its own.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl SmtpMailer {
    /// Reads the settings; whether the server answers shows with the first letter.
    ///
    /// # Errors
    /// When a setting cannot be read, or a password would go unencrypted that must not.
    pub fn new(settings: &SmtpSettings<'_>) -> Result<Self, SmtpError> {
        let from: Mailbox = settings.from.parse().map_err(|_| SmtpError::From(settings.from.to_owned()))?;
        let url = Url::parse(settings.url.trim()).map_err(|_| SmtpError::Url)?;
        let host = host(&url).ok_or(SmtpError::Url)?;
        let (tls, port) = encryption(&url, &host, settings.certificates)?;
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(url.port().unwrap_or(port))
            // What the server is told of who calls; it is no secret and need not be resolved.
            .hello_name(ClientId::Domain(from.email.domain().to_owned()))
            .timeout(Some(PATIENCE));
        if !url.username().is_empty() {
            let open = matches!(tls, Tls::None | Tls::Opportunistic(_));
            if open && !settings.allow_open_password {
                return Err(SmtpError::OpenPassword);
            }
            builder = builder.credentials(credentials(&url).ok_or(SmtpError::Url)?);
        }
        Ok(Self { transport: builder.tls(tls).build(), from })
    }

    fn message(&self, mail: &Mail) -> Result<Message, SendError> {
        // Whoever is no address gets no letter: nothing that is written here can begin another header or command.
        let to: Address = mail.to.parse().map_err(|_| SendError::Refused("it is no address".to_owned()))?;
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject.replace(char::is_control, " "))
            .message_id(Some(format!("<{}@{}>", uuid::Uuid::now_v7(), self.from.email.domain())))
            .date_now()
            // RFC 3834: so that nobody's absence note answers it.
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.clone())
            .map_err(|error| SendError::Refused(error.to_string()))
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let message = self.message(mail)?;
        // The library's own patience is for the connection only.
        match tokio::time::timeout(PATIENCE, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(told(&error)),
            Err(_) => {
                Err(SendError::Unknown(format!("the mail server did not answer within {} s", PATIENCE.as_secs())))
            }
        }
    }
}

/// What came of it. Of an answer only the code is kept, for its text often quotes the address.
fn told(error: &lettre::transport::smtp::Error) -> SendError {
    let code = error.status().map(|code| format!("the mail server answers {code}"));
    match code {
        Some(text) if error.is_permanent() => SendError::Refused(text),
        Some(text) => SendError::NotSent(text),
        None if error.is_client() || error.is_tls() || was_not_connected(error) => {
            SendError::NotSent(error.to_string())
        }
        None => SendError::Unknown(error.to_string()),
    }
}

fn was_not_connected(error: &lettre::transport::smtp::Error) -> bool {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return matches!(
                io.kind(),
                ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
            );
        }
        source = inner.source();
    }
    false
}

fn host(url: &Url) -> Option<String> {
    match url.host()? {
        // What is not one of the web's schemes is not parsed for addresses.
        Host::Domain(name) if !name.is_empty() => Some(percent_decode_str(name).decode_utf8().ok()?.into_owned()),
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(address.to_string()),
        Host::Ipv6(address) => Some(address.to_string()),
    }
}

/// How the connection is encrypted, and the usual port of that.
fn encryption(url: &Url, host: &str, certificates: Option<&[u8]>) -> Result<(Tls, u16), SmtpError> {
    let parameters = || {
        let mut builder = TlsParameters::builder(host.to_owned());
        if let Some(pem) = certificates {
            let trusted = Certificate::from_pem(pem).map_err(|_| SmtpError::Certificates)?;
            builder = builder.add_root_certificate(trusted);
        }
        builder.build().map_err(|_| SmtpError::Certificates)
    };
    let mut asked = url.query_pairs().filter(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
    match (url.scheme(), asked.next().as_deref()) {
        ("smtps", None | Some("required")) => Ok((Tls::Wrapper(parameters()?), SUBMISSIONS)),
        ("smtp", Some("required")) => Ok((Tls::Required(parameters()?), SUBMISSION)),
        ("smtp", Some("opportunistic")) => Ok((Tls::Opportunistic(parameters()?), SUBMISSION)),
        ("smtp", None | Some("none")) => Ok((Tls::None, RELAY)),
        _ => Err(SmtpError::Url),
    }
}

fn credentials(url: &Url) -> Option<Credentials> {
    let decoded = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
    Some(Credentials::new(decoded(url.username())?, decoded(url.password().unwrap_or_default())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings<'a>(url: &'a str, from: &'a str) -> SmtpSettings<'a> {
        SmtpSettings { url, from, certificates: None, allow_open_password: false }
    }

    #[test]
    fn what_cannot_be_read_is_told_without_the_url() {
        let from = "My Shop <shop@example.com>";
        for good in [
            "smtps://user:pl4nted@mail.example.com",
            "smtp://user:pl%204nted@mail.example.com:2525?tls=required",
            "smtp://localhost",
            "smtp://[::1]:2525",
            "smtps://192.0.2.1",
        ] {
            assert!(SmtpMailer::new(&settings(good, from)).is_ok(), "{good}");
        }
        for (bad, expected) in [
            ("", SmtpError::Url),
            ("mail.example.com:587", SmtpError::Url),
            ("smtp://", SmtpError::Url),
            ("http://user:pl4nted@mail.example.com", SmtpError::Url),
            ("smtp://user:pl4nted@mail.example.com?tls=maybe", SmtpError::Url),
            ("smtps://user:pl4nted@mail.example.com?tls=none", SmtpError::Url),
            ("smtp://user:pl4nted@mail.example.com", SmtpError::OpenPassword),
            ("smtp://user:pl4nted@mail.example.com?tls=opportunistic", SmtpError::OpenPassword),
        ] {
            let error = SmtpMailer::new(&settings(bad, from)).err().unwrap();
            assert_eq!(error, expected, "{bad}");
            assert!(!error.to_string().contains("pl4nted"));
        }
        let open = SmtpSettings { allow_open_password: true, ..settings("smtp://user:password@localhost", from) };
        assert!(SmtpMailer::new(&open).is_ok());
        for bad in ["", "nobody", "shop@example.com\r\nBcc: x@example.com"] {
            assert!(matches!(SmtpMailer::new(&settings("smtp://localhost", bad)), Err(SmtpError::From(_))), "{bad}");
        }
        let broken =
            SmtpSettings { certificates: Some(b"-----BEGIN CERTIFICATE-----\n"), ..settings("smtps://h", from) };
        assert_eq!(SmtpMailer::new(&broken).err(), Some(SmtpError::Certificates));
    }

    #[test]
    fn nothing_begins_another_header() {
        let mailer = SmtpMailer::new(&settings("smtp://localhost", "Café <shop@example.com>")).unwrap();
        let mail = Mail {
            to: "ann@example.com".to_owned(),
            subject: "Good\r\nBcc: x@example.com".to_owned(),
            text: "Grüße\n.\nBcc: y@example.com\n".to_owned(),
        };
        let bytes = mailer.message(&mail).unwrap().formatted();
        let text = String::from_utf8(bytes).unwrap();
        let (headers, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!headers.to_lowercase().contains("\r\nbcc"), "{headers}");
        assert!(headers.contains("Auto-Submitted: auto-generated") && headers.contains("@example.com>"), "{headers}");
        for to in
            ["ann@example.com\r\nRCPT TO:<x@example.com>", "ann@example.com, x@example.com", "a b@example.com", ""]
        {
            let mail = Mail { to: to.to_owned(), ..mail.clone() };
            assert!(matches!(mailer.message(&mail), Err(SendError::Refused(_))), "{to}");
        }
    }
}
