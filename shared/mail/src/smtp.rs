//! Mails over SMTP.
//!
//! One connection for each mail: there are few, far between. TLS is what the URL says: `smtps://` from the first byte,
//! `smtp://…?tls=required` from `STARTTLS` on, and plain `smtp://` none, for a relay on this machine.
//!
//! A refusal for good is about the mail or about the mailbox, and only the enhanced status code (RFC 3463) at the start of
//! the answer tells which (`NO_SUCH_MAILBOX`). The basic codes do not: 550, 551 and 553 refuse a mailbox that is not there
//! as well as a sender, a relay that is not allowed or what somebody takes for spam, and the library does not tell which
//! command was refused. A server without enhanced codes is believed nothing, since one that is set up wrongly would
//! otherwise put every address onto the list of those that nobody may write to, where only people take one off.

use crate::mime;
use adapters::mail::Message;
use adapters::ports::{MailError, Mailer};
use async_trait::async_trait;
use lettre::transport::smtp::Error;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use std::fmt;
use std::time::Duration;

/// How long each step of the conversation may take.
const STEP_WITHIN: Duration = Duration::from_secs(15);

/// Answers that speak of whoever sends rather than of the mail: log in first, wrong password, and the like (RFC 4954).
const ABOUT_THE_SENDER: [u16; 4] = [530, 534, 535, 538];

/// The enhanced status codes that say for good that nobody reads there (RFC 3463; 5.1.10 is RFC 7505's): a bad mailbox, a
/// bad syntax, a mailbox that moved, a domain that takes no mail. Not one of policy (`5.7`), of a full mailbox or of the
/// sender's address; nor that a mailbox is disabled (5.2.1), which is not gone, and which Gmail says of one that gets too much
/// at a time; nor a bad system (5.1.2), which a relay says of all systems whose name server does not answer.
const NO_SUCH_MAILBOX: [&str; 4] = ["5.1.1", "5.1.3", "5.1.6", "5.1.10"];

/// Sends over SMTP.
#[derive(Clone)]
pub struct SmtpMailer(AsyncSmtpTransport<Tokio1Executor>);

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A password stands in the URL.
        f.write_str("SmtpMailer(…)")
    }
}

impl SmtpMailer {
    /// Makes it from a URL; nothing is connected yet.
    ///
    /// # Errors
    ///
    /// Where the URL is none.
    pub fn new(url: &str) -> Result<Self, Error> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)?;
        Ok(Self(transport.timeout(Some(STEP_WITHIN)).build()))
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, message: &Message) -> Result<String, MailError> {
        let mail = mime::write(message)?;
        match self.0.send(mail).await {
            Ok(_) => Ok(mime::message_id(&message.id, &message.from.email)),
            Err(error) => Err(why(&error)),
        }
    }
}

/// Says what an error means. A server's words quote addresses, so only its codes are told.
fn why(error: &Error) -> MailError {
    let code = error.status().map(u16::from);
    match code {
        Some(code) if error.is_permanent() && !ABOUT_THE_SENDER.contains(&code) => {
            match no_such_mailbox(error) {
                Some(status) => MailError::NoSuchMailbox(format!("the server answered {code} {status}")),
                None => MailError::Never(format!("the server answered {code}")),
            }
        }
        Some(code) => MailError::NotNow(format!("the server answered {code}")),
        // Before the first command of the mail. The library tells "no connection" from "the connection broke off" by
        // its words only; a test holds them.
        None if error.is_client() || error.is_tls() || error.to_string().starts_with("Connection error") => {
            MailError::NotNow("there is no connection to the server".to_owned())
        }
        None => MailError::Unknown("the connection broke off".to_owned()),
    }
}

/// Gives the enhanced status code with which a server says that there is no such mailbox, if it does.
fn no_such_mailbox(error: &Error) -> Option<&'static str> {
    let answer = std::error::Error::source(error)?.to_string();
    let status = answer.split_ascii_whitespace().next()?;
    NO_SUCH_MAILBOX.into_iter().find(|known| *known == status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::message;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    /// A server that answers each command by a script, `(start of the command, answer)`, and hangs up at an empty answer.
    /// A whole server is asked in `.ci/system.py`.
    fn server(script: &'static [(&'static str, &'static str)]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"220 here\r\n").unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let mut in_data = false;
            while let Some(Ok(line)) = lines.next() {
                if in_data && line != "." {
                    continue;
                }
                let known =
                    script.iter().find(|(start, _)| line.starts_with(start)).map(|(_, answer)| *answer);
                let answer = known.unwrap_or(if line == "DATA" { "354 go on" } else { "250 fine" });
                if answer.is_empty() {
                    return;
                }
                in_data = answer.starts_with("354");
                stream.write_all(format!("{answer}\r\n").as_bytes()).unwrap();
            }
        });
        url
    }

    #[tokio::test]
    async fn each_answer_says_whether_the_mail_may_have_gone_out() {
        let cases: [(&'static [(&str, &str)], &str); 19] = [
            (&[], "sent"),
            (&[("MAIL", "451 later")], "NotNow"),
            (&[("MAIL", "535 wrong password of ada@company.example")], "NotNow"),
            (&[("RCPT", "550 nobody here")], "Never"),
            (&[("RCPT", "551 not here")], "Never"),
            (&[("RCPT", "553 not one of my rcpthosts (#5.1.1)")], "Never"),
            (&[("RCPT", "550 5.7.1 relay access denied for ada@company.example")], "Never"),
            (&[("RCPT", "552 5.2.2 full")], "Never"),
            (&[("RCPT", "550 5.1.11 no such code")], "Never"),
            (&[("RCPT", "450 4.1.1 perhaps")], "NotNow"),
            (&[("RCPT", "550 5.1.1 <ada@company.example> unknown")], "NoSuchMailbox"),
            (&[("RCPT", "550-5.1.1 no ada@company.example\r\n550 5.1.1 here")], "NoSuchMailbox"),
            (&[("RCPT", "556 5.1.10 a null MX")], "NoSuchMailbox"),
            (&[(".", "550 5.2.1 receiving at a rate")], "Never"),
            (&[("RCPT", "550 5.1.2 host not found")], "Never"),
            (&[("RCPT", "452 too many")], "NotNow"),
            (&[("DATA", "554 no")], "Never"),
            (&[(".", "452 full")], "NotNow"),
            (&[(".", "")], "Unknown"),
        ];
        for (script, meant) in cases {
            let mailer = SmtpMailer::new(&server(script)).unwrap();
            let said = match mailer.send(&message()).await {
                Ok(id) => {
                    assert_eq!(id, "<digest.1@company.example>");
                    "sent".to_owned()
                }
                Err(error) => {
                    assert!(!error.to_string().contains("ada@"));
                    format!("{error:?}")
                }
            };
            assert!(said.starts_with(meant), "{script:?}: {said}");
        }
    }

    #[tokio::test]
    async fn where_nobody_listens_or_tls_is_missing_nothing_was_sent() {
        let nobody = SmtpMailer::new("smtp://127.0.0.1:1").unwrap();
        assert!(matches!(nobody.send(&message()).await, Err(MailError::NotNow(_))));
        let plain = SmtpMailer::new(&format!("{}?tls=required", server(&[]))).unwrap();
        assert!(matches!(plain.send(&message()).await, Err(MailError::NotNow(_))));
    }
}
