//! Whom a mail goes to, by their record.

use adapters::mail::Mailbox;
use adapters::ports::Record;
use domain::calendar::Schedule;
use domain::digest;
use domain::fault::Faults;
use domain::identity::{Email, Slug};
use domain::reader::Node;
use serde_json::Value;

/// Somebody in the company.
#[derive(Clone, Debug)]
pub struct Person {
    /// Their id.
    pub id: Slug,
    /// Their name.
    pub name: String,
    /// Their address; none where their record has none, as that of somebody whom only an assignment named.
    pub mailbox: Option<Mailbox>,
    /// When they work.
    pub schedule: Schedule,
    /// Whether they want a digest of their inbox.
    pub digest: bool,
}

impl Person {
    /// Reads somebody's record, which was checked when it was written; `None` where it cannot be read.
    #[must_use]
    pub fn from_record(record: &Record) -> Option<Self> {
        let faults = Faults::new();
        let object = Node::root(&record.body, &faults).object()?;
        let text = |name: &str| record.body.get(name).and_then(Value::as_str);
        let id = Slug::parse(&record.id).ok()?;
        let name = text("name").unwrap_or(id.as_str()).to_owned();
        let mailbox = text("email").and_then(|email| Email::parse(email).ok());
        Some(Self {
            mailbox: mailbox.map(|email| Mailbox { name: Some(name.clone()), email }),
            name,
            id,
            schedule: Schedule::read(&object)?,
            digest: digest::wanted(object.optional("digest"))?,
        })
    }

    /// Gives what to call them: the first word of their name.
    #[must_use]
    pub fn first_name(&self) -> &str {
        self.name.split_whitespace().next().unwrap_or(self.id.as_str())
    }
}
