//! What the mail service tells of the mails that it took: delivered, come back, complained of; and what a server says at
//! once of one that it does not take.
//!
//! SES puts such events onto the account's own bus, and a rule hands over those of this stack's configuration set. A mail to
//! a lead carries tags that say which mail it is ([`crate::letter::compose`]); an event of another mail, such as one to
//! somebody in sales, has none and is passed over.
//!
//! * **What happened becomes a fact of the lead**, by the same way as every other. Its delivery is made of the mail and of
//!   what happened to it, so the same event twice, or two of the same kind, is one fact. That it came back for good is
//!   another fact than that it came back for now: the second must not hide the first.
//! * **What the service does not send after all** came back neither for good nor for now: so it says nothing of the address,
//!   and its piece of content was not had ([`Activity::is_lost_mail`]).
//! * **An address that is dead for good, or whose owner complained, comes onto the list** of those that nobody may write to
//!   ([`adapters::suppressions`]): the lead hears of it by the fact itself.
//! * **A lead that is not there any more is no error**, or the event would come again and again: it is said and let go.
//! * **Opens and clicks are not taken from here**: our own links tell those, for every way of sending alike.
//! * **No address is read from an event, or logged.** Why a mail came back, SES says in two words of its own; those are kept.

use crate::App;
use adapters::ports::StoreError;
use adapters::suppressions::add_from_mail;
use domain::activity::Activity;
use domain::attribute::AttributeValue;
use domain::change::nurture::MAIL;
use domain::change::{Fact, Incoming};
use domain::identity::{LeadId, Slug};
use domain::nurture::{Mail as Sent, Sending};
use domain::sales::DeliveryId;
use domain::suppression::Reason;
use domain::time::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Which of a lead's mails somebody tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mail {
    lead: LeadId,
    number: u32,
    program: Option<Slug>,
    content: Option<Slug>,
}

/// What happened to a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Happened {
    /// It is in the reader's mailbox.
    Delivered,
    /// It came back, for good or for now, for a reason in SES's words.
    Bounced { permanent: bool, why: Option<String> },
    /// Its reader called it spam.
    Complained,
    /// The service will not send it after all, for a reason in its words: a virus, or words that it could not fill in.
    Refused(String),
    /// It is late.
    Delayed,
    /// What is known otherwise, or of no use.
    Other,
}

impl Happened {
    /// Gives the reason for which nobody may write to the address from now on, if it is one.
    const fn forbids(&self) -> Option<Reason> {
        match self {
            Self::Bounced { permanent: true, .. } => Some(Reason::Bounced),
            Self::Complained => Some(Reason::Complained),
            _ => None,
        }
    }
}

/// Tells whether an event is one of the mail service.
#[must_use]
pub fn is_told(event: &Value) -> bool {
    event.get("source").and_then(Value::as_str) == Some("aws.ses")
}

/// Takes what the mail service tells, and says what it became.
///
/// # Errors
///
/// [`StoreError`] where it cannot be recorded for now; the same event comes again.
pub async fn take(app: &App, event: &Value) -> Result<Value, StoreError> {
    let became = |word: &str| Ok(json!({ "told": word }));
    let Some(detail) = event.get("detail") else { return became("nothing") };
    let Some(mail) = mail(detail) else {
        tracing::debug!("an event of a mail that is to no lead");
        return became("another_mail");
    };
    let (happened, at) = happened(detail);
    let (lead, message) = (mail.lead.as_str(), mail.number);
    let kind = match &happened {
        Happened::Delivered => "email_delivered",
        Happened::Bounced { .. } => "email_bounced",
        Happened::Complained => "email_complained",
        Happened::Refused(why) => {
            tracing::error!(
                mail_not_sent = 1,
                lead,
                message,
                why,
                "the mail service took a mail and did not send it"
            );
            "email_bounced"
        }
        Happened::Delayed => {
            tracing::info!(lead, message, "a mail is late");
            return became("late");
        }
        Happened::Other => return became("nothing"),
    };
    let now = app.clock.now();
    let at = at.unwrap_or(now).min(now);
    let for_good =
        if matches!(happened, Happened::Bounced { permanent: true, .. }) { " permanent" } else { "" };
    let delivery = format!("{lead} {message} {kind}{for_good}");
    let fact = fact(kind, &delivery, properties(&mail, &happened), at);
    let Some(recorded) = app.hear(&mail.lead, fact).await? else {
        tracing::warn!(lead, message, kind, "an event of a mail to a lead that is not there");
        return became("unknown_lead");
    };
    // The lead knows by the fact itself; the list has to know for whoever else comes with the address. An event that comes
    // again does again what a worker that died left undone.
    if let (Some(reason), Some(address)) = (happened.forbids(), recorded.lead.email()) {
        add_from_mail(app.catalog.as_ref(), address, reason, at, now).await?;
    }
    became(kind)
}

/// Gives as a fact about a lead that the mail which it was about to get found no mailbox.
///
/// It is that of a mail which came back for good, but for the mail's number: the mail was not sent, and the next one that is
/// gets the number. So each refusal is known by when its mail was claimed.
pub(crate) fn no_such_mailbox(lead: &LeadId, sending: &Sending, at: Timestamp) -> Incoming {
    let text = |text: &str| AttributeValue::Text(text.to_owned());
    let mut properties = BTreeMap::from([
        ("permanent".to_owned(), AttributeValue::Flag(true)),
        ("why".to_owned(), text("NoSuchMailbox")),
    ]);
    if let Sent::Program { program, content } = &sending.mail {
        properties.insert("program".to_owned(), text(program.as_str()));
        properties.insert("content".to_owned(), text(content.as_str()));
    }
    fact("email_bounced", &format!("{lead} {} refused", sending.at), properties, at)
}

fn fact(
    kind: &str,
    delivery: &str,
    properties: BTreeMap<String, AttributeValue>,
    occurred_at: Timestamp,
) -> Incoming {
    Incoming {
        delivery: DeliveryId::new(MAIL, delivery),
        occurred_at,
        history: false,
        by: MAIL.to_owned(),
        strict: false,
        fact: Fact::Activity(Activity { kind: kind.to_owned(), properties }),
    }
}

fn properties(mail: &Mail, happened: &Happened) -> BTreeMap<String, AttributeValue> {
    let text = |text: &str| AttributeValue::Text(text.to_owned());
    let mut properties = BTreeMap::from([("message".to_owned(), AttributeValue::Number(mail.number.into()))]);
    let named = [("program", &mail.program), ("content", &mail.content)];
    properties.extend(
        named.into_iter().filter_map(|(name, id)| Some((name.to_owned(), text(id.as_ref()?.as_str())))),
    );
    match happened {
        Happened::Bounced { permanent, why } => {
            properties.insert("permanent".to_owned(), AttributeValue::Flag(*permanent));
            properties.extend(why.iter().map(|why| ("why".to_owned(), text(why))));
        }
        // Neither for good nor for now: the address is fine, and nothing arrived.
        Happened::Refused(why) => {
            properties.insert("why".to_owned(), text(why));
        }
        _ => {}
    }
    properties
}

/// Reads which mail an event is about, by its tags; SES gives each tag a list.
fn mail(detail: &Value) -> Option<Mail> {
    let tags = detail.pointer("/mail/tags")?;
    let tag = |name: &str| tags.get(name)?.get(0)?.as_str();
    let slug = |name: &str| tag(name).and_then(|text| Slug::parse(text).ok());
    Some(Mail {
        lead: LeadId::parse(tag("lead")?).ok()?,
        number: tag("message")?.parse().ok()?,
        program: slug("program"),
        content: slug("content"),
    })
}

/// Reads what happened, and when.
fn happened(detail: &Value) -> (Happened, Option<Timestamp>) {
    let text = |pointer: &str| detail.pointer(pointer).and_then(Value::as_str);
    let at = |pointer: &str| text(pointer).and_then(Timestamp::parse).filter(|at| *at >= Timestamp::EARLIEST);
    // Words of SES such as `General` or `MailboxFull`; whatever is none is left out.
    let word = |pointer: &str| {
        text(pointer).filter(|word| word.len() <= 60 && word.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    match text("/eventType") {
        Some("Delivery") => (Happened::Delivered, at("/delivery/timestamp")),
        Some("Bounce") => {
            let permanent = text("/bounce/bounceType") == Some("Permanent");
            let why = word("/bounce/bounceSubType").map(str::to_owned);
            (Happened::Bounced { permanent, why }, at("/bounce/timestamp"))
        }
        Some("Complaint") => (Happened::Complained, at("/complaint/timestamp")),
        Some("Reject") => (Happened::Refused("Rejected".to_owned()), at("/mail/timestamp")),
        Some("Rendering Failure") => (Happened::Refused("NotRendered".to_owned()), at("/mail/timestamp")),
        Some("DeliveryDelay") => (Happened::Delayed, None),
        _ => (Happened::Other, None),
    }
}
