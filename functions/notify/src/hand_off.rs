//! The mail at a hand-over: who the lead is, why it is worth a call, by when an answer is promised, and a link by which the
//! answer is given.
//!
//! Whoever took a lead themselves is not told, and neither is somebody who has answered by now. That somebody cannot be
//! written to is said once, in a log line that an alarm hears, and the lead stays in their inbox: nothing is tried again.

use crate::once::{self, Sent};
use crate::person::Person;
use crate::written::{self, Handed};
use crate::{App, Post};
use adapters::claims::{End, of_hand_overs};
use adapters::mail::Message;
use adapters::ports::{CatalogKind, Direction, StoreError};
use adapters::signed_link::CONFIRM;
use domain::change::{Entry, Fact};
use domain::hand_over::{self, HandOver, Why};
use domain::identity::LeadId;
use domain::introduction::introduce;
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::stage::Stage;
use domain::time::DAY_MS;

/// For how long the link works, in days.
pub const WORKS_FOR_DAYS: i64 = 30;
/// How many entries of the timeline are looked through for what the lead did.
const LOOKED_THROUGH: usize = 25;
/// How many reasons, and how many deeds, a mail names.
const NAMED: usize = 3;

/// Tells whether a hand-over still asks for an answer: a lead that became ready until it is accepted, and one that was given
/// to somebody in any stage.
fn asks(lead: &Lead, hand_over: &HandOver<'_>) -> bool {
    hand_over.why() != Why::Ready || lead.stage == Stage::MarketingQualified
}

/// Tells whoever has a lead that they have it, unless they know.
pub(crate) async fn tell(app: &App, id: &LeadId) -> Result<Sent, StoreError> {
    let Some(post) = &app.post else {
        tracing::debug!(lead = id.as_str(), "mails are off");
        return Ok(Sent::Over);
    };
    let Some(lead) = app.leads.load(std::slice::from_ref(id)).await?.pop() else { return Ok(Sent::Over) };
    let Some(hand_over) = hand_over::latest(&lead).filter(|hand_over| asks(&lead, hand_over)) else {
        return Ok(Sent::Over);
    };
    let mail = format!("{}{}", of_hand_overs(&lead.id), hand_over.fact.id);
    if hand_over.is_own_doing() || once::is_over(app, &mail).await? {
        return Ok(Sent::Over);
    }
    let record = app.catalog.get(CatalogKind::Person, hand_over.to.as_str()).await?;
    let person = record.as_ref().and_then(Person::from_record);
    let Some(person) = person.filter(|person| person.mailbox.is_some()) else {
        if once::never(app, &mail, End::Never).await? {
            let person = hand_over.to.as_str();
            tracing::error!(mail_not_sent = 1, mail, person, "nobody to write to: no record with an address");
        }
        return Ok(Sent::Over);
    };
    let Some(message) = compose(app, post, mail, &lead, &hand_over, &person).await? else {
        return Ok(Sent::Over);
    };
    once::send(app, post, &message).await
}

async fn compose(
    app: &App,
    post: &Post,
    mail: String,
    lead: &Lead,
    hand_over: &HandOver<'_>,
    person: &Person,
) -> Result<Option<Message>, StoreError> {
    let Some(to) = person.mailbox.clone() else { return Ok(None) };
    let now = app.clock.now();
    let playbook = app.playbooks.version(lead.playbook_version).await?;
    let entries = app.timeline.entries(&lead.id, Direction::Backward, LOOKED_THROUGH, None).await?.items;
    let about = hand_over::to_bytes(&lead.id, hand_over.fact.id);
    let token = app.links.sign(CONFIRM, &about, now.plus(WORKS_FOR_DAYS * DAY_MS)).await?;
    let zone = person.schedule.zone();
    let handed = Handed {
        to: person.first_name(),
        lead: &introduce(lead, &playbook, now.day(), NAMED),
        why: hand_over.why(),
        did: entries
            .iter()
            .filter_map(|entry| Some((entry.at.said_in(zone), did(entry, &playbook)?)))
            .take(NAMED)
            .collect(),
        answer_by: lead.promise_due_at.map(|at| (at.said_in(zone), at < now)),
        page: app.pages.lead(&lead.id),
        confirm: app.pages.confirm(&token),
        answers: written::ANSWERS
            .iter()
            .filter(|(step, ..)| lead.stage.after(*step).is_some())
            .map(|(_, word, said)| (*word, *said))
            .collect(),
    };
    let (subject, text, html) = written::handed(&handed);
    Ok(Some(written::message(post, mail, to, subject, text, html, now)))
}

/// Says what a lead did in an entry, in a few words; none where it did nothing, or a machine did it.
fn did(entry: &Entry, playbook: &Playbook) -> Option<String> {
    match &entry.fact {
        Fact::Captured(_) => entry.by.strip_prefix("form:").map(|form| format!("sent the form “{form}”")),
        Fact::Activity(activity) if playbook.withheld(activity).is_some() => None,
        Fact::Activity(activity) => {
            let known =
                DEEDS.iter().find(|(kind, _)| *kind == activity.kind).map(|(_, said)| (*said).to_owned());
            let said = known.unwrap_or_else(|| activity.kind.replace('_', " "));
            let what = TOLD.iter().find_map(|name| activity.properties.get(*name));
            Some(what.map_or_else(|| said.clone(), |what| format!("{said}: {what}")))
        }
        _ => None,
    }
}

/// What the usual kinds of activity are called.
const DEEDS: &[(&str, &str)] = &[
    ("content_downloaded", "downloaded"),
    ("email_clicked", "followed a link of a mail"),
    ("email_opened", "opened a mail"),
    ("form_submitted", "sent a form"),
    ("page_viewed", "looked at"),
    ("webinar_attended", "was at a webinar"),
];

/// The properties of an activity that say what it was about, the one that says most first.
const TOLD: &[&str] = &["title", "content", "webinar", "path", "form", "subject"];
