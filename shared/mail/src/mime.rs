//! A mail as bytes.
//!
//! `lettre` writes them: addresses are parsed, whatever is no ASCII is encoded as RFC 2047 and RFC 2045 want it, and no value
//! can end its header. What is ours is which headers there are.

use adapters::mail::{Mailbox, Message, one_line};
use adapters::ports::MailError;
use domain::identity::Email;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox as Address, MultiPart};
use std::time::{Duration, SystemTime};

/// The longest subject, and the longest name beside an address, in characters.
const LONGEST: usize = 200;

fn never(what: impl std::fmt::Display) -> MailError {
    MailError::Never(what.to_string())
}

fn address(mailbox: &Mailbox) -> Result<Address, MailError> {
    let email = mailbox.email.as_str().parse();
    // The library's error quotes the address, which does not belong in a log.
    let email = email.map_err(|_| never("an address is none that mail can be sent to"))?;
    let name = mailbox.name.as_deref().map(|name| one_line(name, LONGEST)).filter(|name| !name.is_empty());
    Ok(Address::new(name, email))
}

/// Tells whether an id can stand in a `Message-ID` and name a file.
#[must_use]
pub fn is_id(id: &str) -> bool {
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=150).contains(&id.len())
        && id.bytes().all(ok)
        && !id.starts_with('.')
        && !id.ends_with('.')
        && !id.contains("..")
}

/// Gives the `Message-ID` of a mail: its id at its sender's domain, the same each time that it is sent.
#[must_use]
pub fn message_id(id: &str, from: &Email) -> String {
    format!("<{id}@{}>", from.domain())
}

/// Writes a mail, and gives it with its envelope.
///
/// # Errors
///
/// [`MailError::Never`] where an address, the id or the name of a header cannot stand in a mail.
pub fn write(message: &Message) -> Result<lettre::Message, MailError> {
    if !is_id(&message.id) {
        return Err(never("its id cannot stand in a Message-ID"));
    }
    let ms = u64::try_from(message.date.millis()).unwrap_or(0);
    let mut builder = lettre::Message::builder()
        .message_id(Some(message_id(&message.id, &message.from.email)))
        .date(SystemTime::UNIX_EPOCH + Duration::from_millis(ms))
        .from(address(&message.from)?)
        .to(address(&message.to)?)
        .subject(one_line(&message.subject, LONGEST));
    if let Some(reply_to) = &message.reply_to {
        builder = builder.reply_to(address(reply_to)?);
    }
    for (name, value) in &message.headers {
        let name = HeaderName::new_from_ascii((*name).to_owned()).map_err(never)?;
        builder = builder.raw_header(HeaderValue::new(name, one_line(value, usize::MAX)));
    }
    builder
        .multipart(MultiPart::alternative_plain_html(message.text.clone(), message.html.clone()))
        .map_err(never)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::Timestamp;
    use mail_parser::{HeaderValue as Read, MessageParser};
    use proptest::prelude::*;

    fn mailbox(name: &str, email: &str) -> Mailbox {
        Mailbox { name: Some(name.to_owned()), email: Email::parse(email).unwrap() }
    }

    fn message(name: &str, subject: &str, text: &str) -> Message {
        Message {
            id: "hand-off.x1.y2".to_owned(),
            from: mailbox("Leadloop", "leads@company.example"),
            to: mailbox(name, "ada@company.example"),
            reply_to: None,
            subject: subject.to_owned(),
            text: text.to_owned(),
            html: format!("<p>{text}</p>"),
            date: Timestamp::parse("2026-11-22T12:00:00Z").unwrap(),
            headers: vec![("Auto-Submitted", "auto-generated".to_owned()), ("X-About", subject.to_owned())],
            tags: Vec::new(),
        }
    }

    /// The names of the headers of the mail itself, as somebody else reads them.
    fn names(bytes: &[u8]) -> Vec<String> {
        let parsed = MessageParser::default().parse(bytes).unwrap();
        let mut names: Vec<String> =
            parsed.headers().iter().map(|header| header.name().to_lowercase()).collect();
        names.sort();
        names
    }

    const USUAL: [&str; 9] = [
        "auto-submitted",
        "content-type",
        "date",
        "from",
        "message-id",
        "mime-version",
        "subject",
        "to",
        "x-about",
    ];

    #[test]
    fn a_mail_reads_back_as_it_was_meant() {
        let subject = "Neuer Lead: Łukasz Žižka, 王 GmbH – „A1“";
        let text = "Grüß Gott,\n.\nein Punkt allein, und eine lange Zeile: ".to_owned() + &"ä".repeat(2_000);
        let bytes = write(&message("Anna Bérger, \"die\" <Chefin>", subject, &text)).unwrap().formatted();
        assert!(bytes.is_ascii());
        assert!(bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= 998), "RFC 5322, 2.1.1");
        let parsed = MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(parsed.subject(), Some(subject));
        let to = parsed.to().unwrap().first().unwrap();
        assert_eq!(
            (to.name(), to.address()),
            (Some("Anna Bérger, \"die\" <Chefin>"), Some("ada@company.example"))
        );
        assert_eq!(parsed.message_id(), Some("hand-off.x1.y2@company.example"));
        assert_eq!(parsed.date().unwrap().to_rfc3339(), "2026-11-22T12:00:00Z");
        assert_eq!(parsed.body_text(0).unwrap().replace("\r\n", "\n").trim_end(), text);
        assert_eq!(parsed.body_html(0).unwrap().replace("\r\n", "\n").trim_end(), format!("<p>{text}</p>"));
        assert_eq!(names(&bytes), USUAL);
    }

    #[test]
    fn what_cannot_stand_in_a_mail_is_refused_for_good() {
        for id in ["", "a b", "a@b", "a\r\nBcc: eve", "../../etc/passwd", ".hidden", "ä", &"x".repeat(151)] {
            let message = Message { id: id.to_owned(), ..message("Ada", "Hi", "x") };
            assert!(matches!(write(&message), Err(MailError::Never(_))), "{id}");
        }
        let message = Message { headers: vec![("Not a name", String::new())], ..message("Ada", "Hi", "x") };
        assert!(matches!(write(&message), Err(MailError::Never(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn no_text_becomes_a_header_or_another_recipient(
            name in "(?s).{0,60}|[ -~\r\n\t\"\\\\<>,;:@]{0,80}", subject in "(?s).{0,120}|(.{0,9}\r?\nBcc: eve@evil.example\r?\n){1,3}",
            text in "(?s).{0,200}",
        ) {
            let written = write(&message(&name, &subject, &text)).unwrap();
            let bytes = written.formatted();
            prop_assert_eq!(written.envelope().to().len(), 1);
            prop_assert_eq!(names(&bytes), USUAL);
            let parsed = MessageParser::default().parse(&bytes).unwrap();
            let to = parsed.to().unwrap();
            prop_assert_eq!(to.iter().filter_map(|to| to.address()).collect::<Vec<_>>(), ["ada@company.example"]);
            let shown = one_line(&subject, LONGEST);
            if let Some(Read::Text(subject)) = parsed.header("Subject") {
                prop_assert_eq!(subject.split_whitespace().collect::<Vec<_>>().join(" "), shown);
            } else {
                prop_assert_eq!(shown, "");
            }
        }
    }
}
