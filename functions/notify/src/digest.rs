//! The digest of each morning: what waits in somebody's inbox, in the order of the inbox ([`domain::inbox`]).
//!
//! A tick looks at everybody, and whoever's day of work has begun gets theirs, once ([`domain::digest`] says when,
//! [`once`](mod@crate::once) that it is once). A day on which the inbox is empty is noted too, so that a lead that comes at noon
//! makes no late digest; it has a mail of its own.

use crate::once::{self, Sent};
use crate::person::Person;
use crate::written::{self, Row};
use crate::{App, Post};
use adapters::claims::End;
use adapters::ports::{CatalogKind, StoreError};
use domain::digest::{self, Due};
use domain::identity::LeadId;
use domain::inbox::Rank;
use domain::introduction::introduce;
use domain::lead::Lead;
use domain::promise::Promises;
use domain::{hand_over, time::Timestamp};
use futures::StreamExt;

/// How many people's digests are made beside each other.
const BESIDE: usize = 4;
/// How many people, or lines of an inbox, are read at once.
const PAGE: usize = 100;
/// How many leads of an inbox are looked at; whoever has more is told of the most urgent ones.
const LOOKED_AT: usize = 500;
/// How many leads a digest names.
pub const NAMED: usize = 25;

/// Sends the digests that are due, and tells how many went out.
///
/// # Errors
///
/// [`StoreError`] where people or the playbook cannot be read. One person's digest that fails keeps nobody else's up, and
/// is tried at the next tick.
pub async fn tick(app: &App) -> Result<usize, StoreError> {
    let Some(post) = &app.post else { return Ok(0) };
    let playbook = app.playbooks.active().await?.playbook;
    let promises = &playbook.promises;
    let now = app.clock.now();
    let mut due = Vec::new();
    let mut cursor = None;
    loop {
        let page = app.catalog.list(CatalogKind::Person, PAGE, cursor.as_deref()).await?;
        for record in &page.items {
            let Some(person) = Person::from_record(record) else {
                tracing::warn!(person = record.id, "a person's record cannot be read");
                continue;
            };
            let today = digest::due(&person.schedule, promises.working_hours.as_ref(), now);
            if let Some(today) = today.filter(|_| person.digest && person.mailbox.is_some()) {
                due.push((person, today));
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let making: Vec<_> = due.into_iter().map(|(person, due)| one(app, post, promises, person, due)).collect();
    let mut made = futures::stream::iter(making).buffer_unordered(BESIDE);
    let mut sent = 0;
    while let Some(made) = made.next().await {
        match made {
            Ok(Sent::Now) => sent += 1,
            Ok(_) => {}
            Err(error) => tracing::warn!(error = %error, "a digest could not be made"),
        }
    }
    Ok(sent)
}

async fn one(
    app: &App,
    post: &Post,
    promises: &Promises,
    person: Person,
    due: Due,
) -> Result<Sent, StoreError> {
    let mail = format!("digest.{}.{}", person.id, due.day);
    let Some(to) = person.mailbox.clone() else { return Ok(Sent::Over) };
    if once::is_over(app, &mail).await? {
        return Ok(Sent::Over);
    }
    let now = app.clock.now();
    let leads = inbox(app, &person, promises, now).await?;
    if leads.is_empty() {
        once::never(app, &mail, End::Nothing).await?;
        return Ok(Sent::Over);
    }
    let mut rows = Vec::new();
    for lead in leads.iter().take(NAMED) {
        let playbook = app.playbooks.version(lead.playbook_version).await?;
        rows.push(Row {
            lead: introduce(lead, &playbook, now.day(), 1),
            stage: lead.stage,
            is_new: is_new(lead, due.since),
            promise: lead.promise_due_at.map(|at| (at.said_in(person.schedule.zone()), at < now)),
            page: app.pages.lead(&lead.id),
        });
    }
    let count = |counts: &dyn Fn(&Lead) -> bool| leads.iter().filter(|lead| counts(lead)).count();
    let overdue = count(&|lead| lead.promise_due_at.is_some_and(|at| at < now));
    let new = count(&|lead| is_new(lead, due.since));
    let (subject, text, html) = written::digest(person.first_name(), leads.len(), overdue, new, &rows);
    once::send(app, post, &written::message(post, mail, to, subject, text, html, now)).await
}

/// Tells whether somebody got a lead since a moment.
fn is_new(lead: &Lead, since: Timestamp) -> bool {
    hand_over::latest(lead).is_some_and(|hand_over| hand_over.fact.at >= since)
}

/// Reads what somebody works on, in the order of their inbox.
async fn inbox(
    app: &App,
    person: &Person,
    promises: &Promises,
    now: Timestamp,
) -> Result<Vec<Lead>, StoreError> {
    let (mut leads, mut cursor) = (Vec::new(), None);
    loop {
        let page = app.lists.inbox(&person.id, PAGE, cursor.as_deref()).await?;
        let ids: Vec<LeadId> = page.items.iter().map(|line| line.lead.clone()).collect();
        if !ids.is_empty() {
            let loaded = app.leads.load(&ids).await?;
            // The index may be behind: a lead that moved on is left out.
            leads.extend(
                loaded.into_iter().filter(|l| l.stage.in_inbox() && l.person.as_ref() == Some(&person.id)),
            );
        }
        cursor = page.next;
        if cursor.is_none() || leads.len() >= LOOKED_AT {
            break;
        }
    }
    leads.sort_by_cached_key(|lead| Rank::of(lead, promises, now));
    Ok(leads)
}
