//! `mail`: the one place where mails are written as MIME and sent.
//!
//! It is a crate, and no module of `adapters`, so that only functions which send link the SDK of SES and a client of SMTP;
//! whoever merely writes a mail needs [`adapters::mail`] and the port [`Mailer`].
//!
//! # Layout
//!
//! * this file – which way is taken, and what the environment says about it;
//! * [`mime`] – a [`Message`](adapters::mail::Message) as bytes, by `lettre`;
//! * [`ses`], [`smtp`], [`folder`] – the three ways.
//!
//! # The invariant not to break
//!
//! Every way sends the bytes of [`mime::write`], and says of each failure whether the mail may have gone out all the same.

pub mod folder;
pub mod mime;
pub mod ses;
pub mod smtp;

pub use folder::FolderMailer;
pub use ses::SesMailer;
pub use smtp::SmtpMailer;

use adapters::config::Environment;
use adapters::mail::Mailbox;
use adapters::ports::Mailer;
use domain::identity::Email;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// How mails are sent.
#[derive(Clone, PartialEq, Eq)]
pub enum Way {
    /// Through SES, counted in a configuration set where one is named.
    Ses(Option<String>),
    /// Over SMTP, by a URL such as `smtps://user:password@mail.example:465`.
    Smtp(String),
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A password stands in the URL.
        f.write_str(match self {
            Self::Ses(_) => "Ses",
            Self::Smtp(_) => "Smtp(…)",
        })
    }
}

/// What an installation says about its mails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How they are sent.
    pub way: Way,
    /// Who they come from.
    pub from: Mailbox,
}

/// Says what is wrong with what the environment says.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SettingsError {
    /// A way that there is not.
    #[error("MAIL_TRANSPORT is none of: off, ses, smtp")]
    Way,
    /// Mails need a sender.
    #[error("MAIL_FROM is no e-mail address; with MAIL_TRANSPORT=off no mail is sent and none is needed")]
    From,
    /// SMTP needs a server.
    #[error(
        "SMTP_URL is no URL such as smtps://user:password@mail.example:465, or \
         smtp://user:password@mail.example:587?tls=required"
    )]
    Smtp,
}

impl Settings {
    /// Reads them from the environment; none where mail is off.
    ///
    /// # Errors
    ///
    /// [`SettingsError`].
    pub fn from_environment(environment: &Environment) -> Result<Option<Self>, SettingsError> {
        let way = match environment.optional("MAIL_TRANSPORT").as_deref() {
            None | Some("off") => return Ok(None),
            Some("ses") => Way::Ses(environment.optional("MAIL_CONFIGURATION_SET")),
            Some("smtp") => Way::Smtp(environment.optional("SMTP_URL").ok_or(SettingsError::Smtp)?),
            Some(_) => return Err(SettingsError::Way),
        };
        let from = environment.optional("MAIL_FROM").and_then(|text| Email::parse(&text).ok());
        let email = from.ok_or(SettingsError::From)?;
        Ok(Some(Self { way, from: Mailbox { name: environment.optional("MAIL_FROM_NAME"), email } }))
    }

    /// Makes what sends.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Smtp`].
    pub async fn connect(&self) -> Result<Arc<dyn Mailer>, SettingsError> {
        Ok(match &self.way {
            Way::Ses(set) => Arc::new(SesMailer::connect(set.clone()).await),
            Way::Smtp(url) => Arc::new(SmtpMailer::new(url).map_err(|_| SettingsError::Smtp)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adapters::mail::{Mailbox, Message};
    use domain::identity::Email;

    /// A mail to be sent.
    pub(crate) fn message() -> Message {
        let mailbox = |email: &str| Mailbox { name: None, email: Email::parse(email).unwrap() };
        Message {
            id: "digest.1".to_owned(),
            from: mailbox("leads@company.example"),
            to: mailbox("ada@company.example"),
            reply_to: None,
            subject: "Guten Morgen".to_owned(),
            text: "x".to_owned(),
            html: "<p>x</p>".to_owned(),
            date: testkit::time(testkit::builders::NOON),
            headers: Vec::new(),
            tags: vec![("lead", "l-1".to_owned())],
        }
    }

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Settings>, SettingsError> {
        Settings::from_environment(&Environment::of(pairs))
    }

    #[test]
    fn without_a_transport_mail_is_off_and_with_one_it_needs_a_sender() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("MAIL_TRANSPORT", "off"), ("MAIL_FROM", "rubbish")]), Ok(None));
        assert_eq!(read(&[("MAIL_TRANSPORT", "pigeon")]), Err(SettingsError::Way));
        assert_eq!(read(&[("MAIL_TRANSPORT", "ses")]), Err(SettingsError::From));
        assert_eq!(
            read(&[("MAIL_TRANSPORT", "smtp"), ("MAIL_FROM", "a@b.example")]),
            Err(SettingsError::Smtp)
        );
        let ses =
            read(&[("MAIL_TRANSPORT", "ses"), ("MAIL_FROM", "a@b.example"), ("MAIL_FROM_NAME", "Leads")]);
        let ses = ses.unwrap().unwrap();
        assert_eq!((ses.way, ses.from.name.as_deref()), (Way::Ses(None), Some("Leads")));
    }

    #[tokio::test]
    async fn a_url_that_is_none_is_said_and_a_password_is_never_shown() {
        let settings = |url: &str| {
            read(&[("MAIL_TRANSPORT", "smtp"), ("MAIL_FROM", "a@b.example"), ("SMTP_URL", url)])
                .unwrap()
                .unwrap()
        };
        for wrong in ["mail.example", "https://mail.example", "smtp://"] {
            assert_eq!(settings(wrong).connect().await.err(), Some(SettingsError::Smtp), "{wrong}");
        }
        let right = settings("smtps://user:geheim@mail.example:465");
        assert!(!format!("{right:?}").contains("geheim"));
        assert!(!format!("{:?}", right.connect().await.unwrap()).contains("geheim"));
    }
}
