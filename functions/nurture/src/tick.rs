//! The tick: the leads whose next mail is due.
//!
//! What is due a mail stands in partitions of index `due` of its own, so a tick costs what is due and not what exists. For
//! each lead the mail is chosen, composed, claimed, sent and recorded, in this order:
//!
//! * **Nothing can fail between the claim and the sending** but the sending: the mail is composed before, and whoever has to
//!   wait for the rate waits before.
//! * **The claim is a commit on the lead's version**, so whatever happened to the lead since it was read makes it fail, and
//!   the lead is looked at anew. Right before the mail goes the lead is read once more: what came after the claim (it
//!   unsubscribed, it was handed off) still stops it.
//! * **What is known not to have gone** takes its claim back. What nobody knows is recorded as sent for all anybody knows, said
//!   in the log, and never sent again: at once where no answer came, when the claim's lease is over where its maker died.
//! * **A mailbox that is not there**, by the word of the server that was given the mail, is what a mail service tells later:
//!   the address comes onto the list, the lead hears that its mail came back for good, and rests. A server that says so of one
//!   after the other and takes nothing in between is set up wrongly (`BELIEVED`): only people take an address off the list.
//!
//! A lead that fails is put off and reported, so that it holds up no other.

use crate::consent::ask;
use crate::letter::template::{self, BUILT_IN, Template};
use crate::letter::{self, Order, Ways};
use crate::link::{self, MailLinks};
use crate::{App, Post, told};
use adapters::clock::{chance, pause};
use adapters::dynamodb::keys::{DUE_SHARDS, mail_shard};
use adapters::mail::Message;
use adapters::ports::{CatalogKind, Commit, MailError, StoreError};
use adapters::suppressions::{add_from_mail, is_suppressed};
use domain::change::nurture::{claim, exhausted, release, sent_fact};
use domain::change::{Change, Effect, Incoming, Pace, review};
use domain::content::results::Results;
use domain::content::{Content, Reader, choice};
use domain::identity::{LeadId, Slug};
use domain::lead::Lead;
use domain::nurture::pace::{due_program, may_go, suits};
use domain::nurture::{LEASE_MS, Mail, Pieces, Program, opt_in};
use domain::playbook::Playbook;
use domain::promise::People;
use domain::suppression::Reason;
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

/// How many leads of a partition are asked for at a time.
const PAGE: usize = 100;
/// How many leads are worked on side by side.
const AT_ONCE: usize = 16;
/// How often a lead is looked at anew that changed meanwhile.
const TRIES: u32 = 8;
/// For how long a lead that failed is put off, in milliseconds.
const PUT_OFF_MS: i64 = 15 * MINUTE_MS;
/// After how long a mail is tried again that was not taken, in milliseconds.
const NOT_TAKEN_MS: i64 = HOUR_MS;
/// After how long a mail is composed anew that cannot be written as things are, in milliseconds.
const NOT_WRITTEN_MS: i64 = DAY_MS;
/// How many mailboxes in a row a server is believed not to have, with no mail that it took in between.
const BELIEVED: u32 = 5;
/// The time between two ticks, in milliseconds.
const TICK_MS: i64 = MINUTE_MS;

/// What a tick did.
#[derive(Debug, Default)]
struct Tick {
    read: u64,
    sent: u64,
    exhausted: BTreeMap<String, u64>,
    stopped: u64,
    unknown: u64,
    failed: u64,
    remaining: u64,
}

/// What became of one lead.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Became {
    /// A mail was sent.
    Sent,
    /// There is nothing to send in a program.
    Exhausted(Slug),
    /// There was nothing to do, or what came meanwhile stopped it.
    Stopped,
    /// Whether a mail went out is not known.
    Unknown,
    /// It could not be worked on.
    Failed,
    /// No time was left for it.
    Late,
}

/// What all leads of a tick share.
struct Shelf {
    contents: Vec<Content>,
    results: Results,
    /// What stands in the catalog; none where it cannot be read.
    templates: BTreeMap<Slug, Option<Template>>,
    /// For programs that name no template.
    built_in: Option<Template>,
}

impl Shelf {
    async fn read(app: &App) -> Result<Self, StoreError> {
        let catalog = app.catalog.as_ref();
        let contents = adapters::content::contents(catalog).await?;
        let results = adapters::content::latest(catalog).await?.results;
        let (mut templates, mut cursor) = (BTreeMap::new(), None);
        loop {
            let page = catalog.list(CatalogKind::Template, 500, cursor.as_deref()).await?;
            for record in &page.items {
                // One that cannot be read is missing for the programs that name it, and for no other.
                let Ok(id) = Slug::parse(&record.id) else { continue };
                match template::from_record(record) {
                    Ok(template) => drop(templates.insert(id, Some(template))),
                    Err(error) => {
                        tracing::error!(template = record.id, error = %error, "a template cannot be read");
                        templates.insert(id, None);
                    }
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(Self { contents, results, templates, built_in: Template::built_in() });
            }
        }
    }

    /// Gives a template; for programs that name none the company's own `default`, or the built-in one.
    fn template(&self, id: Option<&Slug>) -> Result<&Template, String> {
        let name = id.map_or(BUILT_IN, Slug::as_str);
        let known = self.templates.iter().find(|(known, _)| known.as_str() == name);
        let built_in = || self.built_in.as_ref().filter(|_| name == BUILT_IN);
        match known {
            Some((_, Some(template))) => Ok(template),
            Some((_, None)) => Err(format!("the template {name} cannot be read")),
            None => built_in().ok_or_else(|| format!("there is no template {name}")),
        }
    }
}

/// Mails the leads that are due.
///
/// # Errors
///
/// [`StoreError`] where a partition or the catalog could not be read, after everything else was done.
pub async fn run(app: &App) -> Result<Value, StoreError> {
    let deadline = Instant::now() + app.work_for;
    let now = app.clock.now();
    let mut tick = Tick::default();
    let mut problem = None;
    let mut shelf = None;
    // Each tick begins with another partition, so that more than one tick's work starves none of them.
    let first = now.millis().div_euclid(TICK_MS).rem_euclid(i64::from(DUE_SHARDS));
    let first = u8::try_from(first).unwrap_or(0);
    for shard in (first..DUE_SHARDS).chain(0..first) {
        if let Err(error) = one_shard(app, mail_shard(shard), now, deadline, &mut shelf, &mut tick).await {
            tracing::error!(shard, error = %error, "what is due a mail in a partition could not be worked on");
            problem = Some(error);
        }
    }
    for (program, leads) in &tick.exhausted {
        tracing::warn!(
            nurture_exhausted = *leads,
            program,
            "leads have nothing left to be sent in a program"
        );
    }
    match problem {
        Some(problem) => Err(problem),
        None => Ok(json!({
            "read": tick.read, "sent": tick.sent, "exhausted": tick.exhausted, "stopped": tick.stopped,
            "unknown": tick.unknown, "failed": tick.failed, "remaining": tick.remaining,
        })),
    }
}

async fn one_shard(
    app: &App,
    shard: u8,
    now: Timestamp,
    deadline: Instant,
    shelf: &mut Option<Arc<Shelf>>,
    tick: &mut Tick,
) -> Result<(), StoreError> {
    let mut seen: BTreeSet<LeadId> = BTreeSet::new();
    let mut most = PAGE;
    loop {
        let due = app.lists.due(shard, now, most).await?;
        let full = due.len() >= most;
        // The index lags behind the table: what was handled a moment ago may still stand in it.
        let new: Vec<LeadId> = due.into_iter().filter(|id| seen.insert(id.clone())).collect();
        if Instant::now() > deadline {
            tick.remaining += u64::try_from(new.len()).unwrap_or(0);
            return Ok(());
        }
        if new.is_empty() {
            return Ok(());
        }
        let known = match shelf {
            Some(shelf) => Arc::clone(shelf),
            None => Arc::clone(shelf.insert(Arc::new(Shelf::read(app).await?))),
        };
        let mut became = stream::iter(new).map(|id| one(app, &known, id, deadline)).buffer_unordered(AT_ONCE);
        while let Some(became) = became.next().await {
            tick.read += u64::from(became != Became::Late);
            match became {
                Became::Sent => tick.sent += 1,
                Became::Exhausted(program) => *tick.exhausted.entry(program.to_string()).or_default() += 1,
                Became::Stopped => tick.stopped += 1,
                Became::Unknown => tick.unknown += 1,
                Became::Failed => tick.failed += 1,
                Became::Late => tick.remaining += 1,
            }
        }
        if !full {
            return Ok(());
        }
        most += PAGE;
    }
}

async fn one(app: &App, shelf: &Shelf, id: LeadId, deadline: Instant) -> Became {
    if Instant::now() > deadline {
        return Became::Late;
    }
    let mut problem = StoreError::Busy("the lead is being changed by too many at once".to_owned());
    for attempt in 0..TRIES {
        match once(app, shelf, &id).await {
            Ok(Some(became)) => return became,
            Ok(None) => {}
            Err(error) if error.may_retry() => problem = error,
            Err(error) => {
                problem = error;
                break;
            }
        }
        pause(attempt).await;
    }
    tracing::error!(lead = id.as_str(), error = %problem, "a lead could not be mailed and is put off");
    let now = app.clock.now();
    if let Err(error) = app.lists.put_off(&id, now, now.plus(PUT_OFF_MS)).await {
        tracing::error!(lead = id.as_str(), error = %error, "a lead could not be put off");
    }
    Became::Failed
}

/// A lead with what is needed to decide about it.
struct Known {
    lead: Lead,
    playbook: Arc<Playbook>,
    people: People,
}

async fn known(app: &App, id: &LeadId) -> Result<Option<Known>, StoreError> {
    let Some(lead) = app.leads.load(std::slice::from_ref(id)).await?.pop() else { return Ok(None) };
    let playbook = app.playbooks.version(lead.playbook_version).await?;
    let people = app.playbooks.people(&playbook).await?;
    Ok(Some(Known { lead, playbook, people }))
}

/// Commits a change, and tells whether nobody was faster.
async fn commit(app: &App, change: &Change) -> Result<bool, StoreError> {
    Ok(matches!(app.leads.commit(change).await?, Commit::Done))
}

/// Looks at a lead once; `None` where it changed meanwhile.
async fn once(app: &App, shelf: &Shelf, id: &LeadId) -> Result<Option<Became>, StoreError> {
    let Some(Known { lead, playbook, people }) = known(app, id).await? else {
        return Ok(Some(Became::Stopped));
    };
    let now = app.clock.now();
    if lead.nurture.next_at.is_none_or(|at| at > now) {
        // The index lags, or somebody else was faster.
        return Ok(Some(Became::Stopped));
    }
    if let Some(sending) = &lead.nurture.sending {
        if now.since(sending.at) < LEASE_MS {
            return Ok(Some(Became::Stopped));
        }
        return resolve(app, &lead).await.map(Some);
    }
    // Time alone may have moved it on since it was last looked at.
    if let Some(change) = review(&lead, &playbook, lead.playbook_version, None, Pace::Hold, &people, now) {
        commit(app, &change).await?;
        return Ok(None);
    }
    let stop = |wait: i64| release(&lead, Some(now.plus(wait)), &playbook, &people, now);
    let Some(post) = &app.post else {
        // Mails are off. The lead must not stay due: what else is due of it would wait behind its mail.
        return Ok(commit(app, &stop(NOT_WRITTEN_MS)).await?.then_some(Became::Stopped));
    };
    let (mail, message) = match decide(app, post, shelf, &lead, &playbook, now).await? {
        Decided::Nothing => return Ok(commit(app, &stop(NOT_TAKEN_MS)).await?.then_some(Became::Stopped)),
        Decided::Later(at) => {
            let change = release(&lead, Some(at), &playbook, &people, now);
            return Ok(commit(app, &change).await?.then_some(Became::Stopped));
        }
        Decided::Exhausted(program) => {
            let change = exhausted(&lead, &playbook, &people, now);
            let mut told = change.entries.iter().flat_map(|entry| &entry.effects);
            let new = told.any(|effect| matches!(effect, Effect::ContentExhausted { .. }));
            let became = if new { Became::Exhausted(program) } else { Became::Stopped };
            return Ok(commit(app, &change).await?.then_some(became));
        }
        Decided::NotWritten(why) => {
            tracing::error!(mail_not_sent = 1, lead = id.as_str(), why, "a mail could not be written");
            return Ok(commit(app, &stop(NOT_WRITTEN_MS)).await?.then_some(Became::Failed));
        }
        Decided::Send(mail, message) => (mail, message),
    };
    app.rate.wait().await;
    let claimed = claim(&lead, (mail, chance()), &playbook, &people, app.clock.now());
    let ours = match commit(app, &claimed).await {
        Ok(ours) => ours,
        // The answer got lost, and what was asked for may be done all the same.
        Err(error) => is_ours(app, &claimed.lead).await.map_err(|_| error)?,
    };
    if !ours {
        return Ok(None);
    }
    send(app, post, claimed.lead, &message).await
}

/// Tells whether a claim was written of which no answer came.
async fn is_ours(app: &App, claimed: &Lead) -> Result<bool, StoreError> {
    let mut problem = StoreError::Busy("nobody could look whose a claim is".to_owned());
    for attempt in 0..TRIES {
        match app.leads.load(std::slice::from_ref(&claimed.id)).await {
            Ok(found) => {
                let written = found.first().and_then(|lead| lead.nurture.sending.as_ref());
                return Ok(written.is_some() && written == claimed.nurture.sending.as_ref());
            }
            Err(error) => problem = error,
        }
        pause(attempt).await;
    }
    Err(problem)
}

/// What is to be done about a lead that is due.
enum Decided {
    Send(Mail, Box<Message>),
    Exhausted(Slug),
    /// Nothing is due after all.
    Nothing,
    /// It is quiet now: the moment was missed, or came about at night.
    Later(Timestamp),
    NotWritten(String),
}

async fn decide(
    app: &App,
    post: &Post,
    shelf: &Shelf,
    lead: &Lead,
    playbook: &Playbook,
    now: Timestamp,
) -> Result<Decided, StoreError> {
    let number = lead.nurture.messages.saturating_add(1);
    if opt_in::owed(lead, now).is_some() {
        let message = ask::compose(app, post, lead, playbook, number, now).await?;
        return Ok(message.map_or(Decided::Nothing, |message| Decided::Send(Mail::OptIn, Box::new(message))));
    }
    let Some(program) = due_program(lead, playbook) else { return Ok(Decided::Nothing) };
    match suits(lead, program, playbook, now) {
        Some(at) if at == now => {}
        later => return Ok(Decided::Later(later.unwrap_or(now.plus(NOT_WRITTEN_MS)))),
    }
    let Some(content) = piece(program, shelf, lead, now) else {
        return Ok(Decided::Exhausted(program.id.clone()));
    };
    let sunset = playbook.nurture.sunset.as_ref();
    let last_try = sunset.filter(|sunset| lead.nurture.unanswered >= sunset.after_mails);
    let template = last_try.and_then(|sunset| sunset.template.as_ref()).or(program.template.as_ref());
    let template = match shelf.template(template) {
        Ok(template) => template,
        Err(why) => return Ok(Decided::NotWritten(why)),
    };
    let (id, piece) = (Some(program.id.clone()), Some(content.id.clone()));
    let mail = link::Mail { lead: lead.id.clone(), number, program: id, content: piece, made_at: now };
    let links = MailLinks::new(&app.links, &post.base, mail).await?;
    let links = match lead.email() {
        Some(address) => links.sent_to(address),
        None => links,
    };
    let ways = Ways::of(&links, lead, &playbook.nurture);
    let (from, why) = (&post.from, None);
    let program = program.into();
    let order = Order { lead, number, playbook, program, content, why, template, from, ways, now };
    let mail = Mail::Program { program: program.id.clone(), content: content.id.clone() };
    Ok(match letter::compose(&order) {
        Ok(message) => Decided::Send(mail, Box::new(message)),
        Err(error) => Decided::NotWritten(error.to_string()),
    })
}

/// Chooses the next piece for a lead.
fn piece<'a>(program: &Program, shelf: &'a Shelf, lead: &Lead, now: Timestamp) -> Option<&'a Content> {
    let (reader, today) = (Reader::of(lead), now.day());
    match &program.pieces {
        Pieces::BestNext => {
            let choice = choice::next(&reader, &shelf.contents, &shelf.results, today);
            choice.chosen().map(|ranked| ranked.content)
        }
        Pieces::InOrder(pieces) => {
            let find = |id: &Slug| shelf.contents.iter().find(|content| content.id == *id);
            pieces.iter().filter_map(find).find(|content| content.lacks(&reader, today).is_none())
        }
    }
}

/// What stands between a claim and its mail.
enum Before {
    /// Nothing: the lead as it is now.
    Nothing(Box<Lead>),
    /// The claim is another's, or over.
    NotOurs,
    /// What came after the claim ends it; with what the lead has not heard yet.
    Ends(Option<Incoming>),
}

/// Looks once more whether a mail that was claimed may go.
async fn before(app: &App, claimed: &Lead, message: &Message) -> Result<Before, StoreError> {
    let Some(Known { lead, playbook, .. }) = known(app, &claimed.id).await? else {
        return Ok(Before::NotOurs);
    };
    let Some(sending) =
        lead.nurture.sending.as_ref().filter(|own| claimed.nurture.sending.as_ref() == Some(own))
    else {
        return Ok(Before::NotOurs);
    };
    let now = app.clock.now();
    // It may have got an address that is more surely its own.
    if lead.email() != Some(&message.to.email) || !may_go(&lead, &sending.mail, &playbook, now) {
        return Ok(Before::Ends(None));
    }
    // The list may know what the lead has not heard yet.
    let suppressed = is_suppressed(app.catalog.as_ref(), &message.to.email).await?;
    Ok(match suppressed {
        Some(reason) => Before::Ends(Some(reason.fact(None, None, now))),
        None => Before::Nothing(Box::new(lead)),
    })
}

/// Sends a mail that was claimed, and records what came of it; `None` where nobody could look whether it may go.
async fn send(
    app: &App,
    post: &Post,
    claimed: Lead,
    message: &Message,
) -> Result<Option<Became>, StoreError> {
    let id = claimed.id.clone();
    let lead = match before(app, &claimed, message).await {
        Ok(Before::Nothing(lead)) => *lead,
        Ok(Before::NotOurs) => return Ok(Some(Became::Stopped)),
        Ok(Before::Ends(heard)) => {
            take_back(app, &id, None).await?;
            if let Some(fact) = heard {
                app.hear(&id, fact).await?;
            }
            return Ok(Some(Became::Stopped));
        }
        Err(error) => {
            // Nothing went out, and that is known.
            tracing::warn!(lead = id.as_str(), error = %error, "a claim is taken back: nobody could look whether its mail may go");
            take_back(app, &id, None).await?;
            return Ok(None);
        }
    };
    match post.mailer.send(message).await {
        Ok(theirs) => {
            app.gone_in_a_row.store(0, Ordering::Relaxed);
            tracing::info!(mail = message.id, theirs, "a lead was mailed");
            record(app, &lead, true).await?;
            Ok(Some(Became::Sent))
        }
        Err(MailError::NotNow(why)) => {
            tracing::warn!(mail = message.id, why, "a mail was not taken for now");
            take_back(app, &id, Some(NOT_TAKEN_MS)).await?;
            Ok(Some(Became::Stopped))
        }
        Err(MailError::NoSuchMailbox(why)) if !is_believed(app) => {
            tracing::error!(
                mail_not_sent = 1,
                mail = message.id,
                why,
                "the server says of one mailbox after the other that it is not there, and is not believed"
            );
            take_back(app, &id, Some(NOT_TAKEN_MS)).await?;
            Ok(Some(Became::Failed))
        }
        Err(MailError::NoSuchMailbox(why)) => {
            tracing::warn!(mail = message.id, why, "there is no such mailbox as a mail was for");
            let now = app.clock.now();
            // The list first: whoever dies on the way has done the part that forbids.
            let listed =
                add_from_mail(app.catalog.as_ref(), &message.to.email, Reason::Bounced, now, now).await;
            take_back(app, &id, Some(NOT_WRITTEN_MS)).await?;
            // Where the list could not be written the next try, a day later, does it all once more.
            listed?;
            if let Some(sending) = &lead.nurture.sending {
                app.hear(&id, told::no_such_mailbox(&id, sending, now)).await?;
            }
            Ok(Some(Became::Stopped))
        }
        Err(MailError::Never(why)) => {
            tracing::error!(mail_not_sent = 1, mail = message.id, why, "a mail was refused");
            take_back(app, &id, Some(NOT_WRITTEN_MS)).await?;
            Ok(Some(Became::Failed))
        }
        Err(MailError::Unknown(why)) => {
            tracing::warn!(mail = message.id, why, "no answer of use came to a mail");
            resolve(app, &lead).await.map(Some)
        }
    }
}

/// Counts one more mailbox that the server says is not there, and tells whether that is believed.
fn is_believed(app: &App) -> bool {
    let more = |known: u32| Some(known.saturating_add(1));
    let before = app.gone_in_a_row.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    before.is_ok_and(|before| before < BELIEVED)
}

/// Records that the mail which a lead's claim is about went out, as far as anybody knows.
async fn record(app: &App, lead: &Lead, known: bool) -> Result<(), StoreError> {
    let Some(sending) = &lead.nurture.sending else { return Ok(()) };
    app.hear(&lead.id, sent_fact(lead, sending, known)).await.map(drop)
}

/// Ends a claim of which nobody knows whether its mail went out: no answer came, or its maker died and its lease is over.
async fn resolve(app: &App, lead: &Lead) -> Result<Became, StoreError> {
    tracing::error!(
        mail_not_sent = 1,
        lead = lead.id.as_str(),
        number = lead.nurture.messages.saturating_add(1),
        "whether a mail to a lead went out is not known; it is not sent again"
    );
    record(app, lead, false).await?;
    Ok(Became::Unknown)
}

/// Takes back the claim on a mail that is known not to have gone.
async fn take_back(app: &App, id: &LeadId, wait: Option<i64>) -> Result<(), StoreError> {
    let mut problem = StoreError::Busy("the lead is being changed by too many at once".to_owned());
    for attempt in 0..TRIES {
        match taken_back(app, id, wait).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => problem = error,
        }
        pause(attempt).await;
    }
    Err(problem)
}

async fn taken_back(app: &App, id: &LeadId, wait: Option<i64>) -> Result<bool, StoreError> {
    let Some(Known { lead, playbook, people }) = known(app, id).await? else { return Ok(true) };
    if lead.nurture.sending.is_none() {
        return Ok(true);
    }
    let now = app.clock.now();
    commit(app, &release(&lead, wait.map(|wait| now.plus(wait)), &playbook, &people, now)).await
}
