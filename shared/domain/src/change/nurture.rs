//! What happens to a lead's nurturing: what it did and what became of its mails, taken in; and the steps of whoever sends.
//!
//! A mail is sent in three steps. [`claim`] writes into the lead which mail is about to go, under the lead's version; then it
//! is sent; then the fact that it was sent is recorded like any other, which ends the claim. A worker that dies in between
//! leaves the claim open, and when its lease is over the fact is recorded as one of which nobody knows. So no mail goes
//! twice, and none is forgotten. [`release`] takes back a claim whose mail is known not to have gone.

use super::{Change, Effect, Entry, Fact, Incoming, closed, due};
use crate::activity::Activity;
use crate::attribute::AttributeValue;
use crate::identity::Slug;
use crate::lead::Lead;
use crate::nurture::enrol::{enrol, move_on};
use crate::nurture::{Mail, Sending, WhenExhausted};
use crate::playbook::Playbook;
use crate::promise::People;
use crate::sales::DeliveryId;
use crate::time::{DAY_MS, Timestamp};
use std::collections::BTreeMap;

/// Who brings the fact that a mail was sent.
pub const NURTURE: &str = "nurture";
/// Who brings what links in mails and the mail service tell.
pub const MAIL: &str = "mail";
/// What a mail is for that asks for consent, among its properties.
const OPT_IN: &str = "opt_in";
/// After how long it is looked again whether there is something to send, in milliseconds.
pub const LOOK_AGAIN_MS: i64 = 7 * DAY_MS;

/// Tells whether what came may tell of mails: a page's script and a public form may not.
fn may_tell(by: &str) -> bool {
    by == NURTURE || by == MAIL || by.starts_with("api:")
}

fn number(activity: &Activity, name: &str) -> Option<u32> {
    match activity.properties.get(name) {
        Some(AttributeValue::Number(n)) if *n >= 1.0 && *n <= 4e9 && n.fract() == 0.0 =>
        {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
            Some(*n as u32)
        }
        _ => None,
    }
}

fn text<'a>(activity: &'a Activity, name: &str) -> Option<&'a str> {
    match activity.properties.get(name) {
        Some(AttributeValue::Text(text)) => Some(text),
        _ => None,
    }
}

/// Takes in what an activity says of a lead's nurturing. What machines did that is withheld does not come here.
pub(super) fn heard(lead: &mut Lead, activity: &Activity, incoming: &Incoming) {
    let at = incoming.occurred_at;
    let trusted = may_tell(&incoming.by);
    match activity.kind.as_str() {
        "email_sent" if incoming.by == NURTURE => sent(lead, activity, at),
        "email_opened" if trusted => lead.nurture.reacted(at),
        _ if activity.is_own_doing() => lead.nurture.reacted(at),
        _ => {}
    }
}

/// Takes in that a mail went out, as far as anybody knows.
fn sent(lead: &mut Lead, activity: &Activity, at: Timestamp) {
    let Some(number) = number(activity, "message") else { return };
    let nurture = &mut lead.nurture;
    if number > nurture.messages {
        nurture.sending = None;
    }
    nurture.messages = nurture.messages.max(number);
    nurture.wait_until = None;
    if text(activity, "purpose") == Some(OPT_IN) {
        lead.opt_in.ask(at);
    }
    if let Some(program) = text(activity, "program").and_then(|id| Slug::parse(id).ok()) {
        nurture.exhausted = None;
        nurture.sent(&program, at);
    }
}

/// Takes in that sales wants a lead left alone until a moment; no longer, where there is none.
pub(super) fn paused(lead: &mut Lead, until: Option<Timestamp>, said_at: Timestamp) -> bool {
    let newer = lead.nurture.paused.is_none_or(|(_, known)| known < said_at);
    if newer {
        lead.nurture.paused = Some((until.unwrap_or(said_at), said_at));
    }
    newer
}

/// The fact that a mail was sent; `known` tells whether anybody knows.
#[must_use]
pub fn sent_fact(lead: &Lead, sending: &Sending, known: bool) -> Incoming {
    let number = lead.nurture.messages.saturating_add(1);
    let mut properties = BTreeMap::from([("message".to_owned(), AttributeValue::Number(f64::from(number)))]);
    let text = |text: &str| AttributeValue::Text(text.to_owned());
    match &sending.mail {
        Mail::Program { program, content } => {
            properties.insert("program".to_owned(), text(program.as_str()));
            properties.insert("content".to_owned(), text(content.as_str()));
        }
        Mail::OptIn => {
            properties.insert("purpose".to_owned(), text(OPT_IN));
        }
    }
    if !known {
        properties.insert("outcome".to_owned(), text("unknown"));
    }
    Incoming {
        delivery: DeliveryId::new(NURTURE, &format!("{} {number}", lead.id)),
        occurred_at: sending.at,
        history: false,
        by: NURTURE.to_owned(),
        strict: false,
        fact: Fact::Activity(Activity { kind: "email_sent".to_owned(), properties }),
    }
}

/// Claims the next mail to a lead; `token` is a number that nobody else draws.
#[must_use]
pub fn claim(
    lead: &Lead,
    (mail, token): (Mail, u64),
    playbook: &Playbook,
    people: &People,
    now: Timestamp,
) -> Change {
    let mut next = lead.clone();
    next.nurture.sending = Some(Sending { at: now, token, mail });
    silently(lead, next, playbook, people, now)
}

/// Takes a claim back whose mail is known not to have gone; nothing is tried before `wait_until`.
#[must_use]
pub fn release(
    lead: &Lead,
    wait_until: Option<Timestamp>,
    playbook: &Playbook,
    people: &People,
    now: Timestamp,
) -> Change {
    let mut next = lead.clone();
    next.nurture.sending = None;
    next.nurture.wait_until = wait_until.or(next.nurture.wait_until);
    silently(lead, next, playbook, people, now)
}

/// Changes a lead without anything to say of it in its timeline.
fn silently(lead: &Lead, mut next: Lead, playbook: &Playbook, people: &People, now: Timestamp) -> Change {
    due(&mut next, playbook, people, now, now);
    next.version = lead.version + 1;
    Change {
        lead: next,
        expected: Some(lead.version),
        entries: Vec::<Entry>::new(),
        claims: Vec::new(),
        events: Vec::new(),
        outcomes: Vec::new(),
    }
}

/// Takes in that nothing is left to send to a lead in its program.
#[must_use]
pub fn exhausted(lead: &Lead, playbook: &Playbook, people: &People, now: Timestamp) -> Change {
    let mut next = lead.clone();
    let mut effects = Vec::new();
    let program = lead.nurture.program.as_ref().and_then(|id| playbook.program(id.as_str()));
    if let Some(program) = program {
        if lead.nurture.exhausted.is_none() {
            effects.push(Effect::ContentExhausted { program: program.id.clone() });
        }
        next.nurture.exhausted = Some(now.plus(LOOK_AGAIN_MS));
        if program.exhausted == WhenExhausted::MoveOn {
            effects.extend(move_on(&mut next, now));
            enrol(&mut next, playbook, now, &mut effects);
        }
    }
    due(&mut next, playbook, people, now, now);
    closed(lead, next, effects, None, now)
}
