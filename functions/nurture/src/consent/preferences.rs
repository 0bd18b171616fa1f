//! The page behind every mail's way out: what somebody gets, and a way to change it.
//!
//! * **One click is enough** (RFC 8058). A mail program posts to the link by itself, and whoever opens it in a browser presses
//!   one button: both withdraw what the mail was for, at once, and are answered with a page, without another question, a
//!   redirect or a cookie. Whatever is posted that is not the page's own list of choices counts as that one click: programs
//!   differ in what they post, and to take a mistaken one as a no does less harm than to miss a no.
//! * **The list of choices says yes as well as no.** What is ticked there is agreed to, what is not ticked is not. Only who is
//!   on the list of suppressed addresses still gets no mails, and the page says so: that is lifted by people.
//! * **A box is ticked by its reader, never by us.** Customers who get mails without having agreed find theirs empty: left so
//!   it says nothing, and the button above it is their no.
//! * **Old links work**, as often as they are used: a click a year later, after somebody agreed anew, is a new no. A yes is
//!   believed of a fresh mail alone, since mails are forwarded: any other waits for the mail that asks.
//! * **A no outlives the lead.** The link knows the address by its hash. Where the lead was erased, it is a no of whoever came
//!   with the address since, and where nobody did, the one click puts the hash onto the list of suppressed addresses.

use super::words::{Words, filled};
use super::{gone, made, page, refused, said_at};
use crate::App;
use crate::link::{self, Mail, WayOut};
use adapters::http::{BodyBytes, Problem};
use adapters::suppressions::{self, Hashed};
use adapters::write_path::About;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::activity::Activity;
use domain::attribute::AttributeValue;
use domain::change::nurture::MAIL;
use domain::change::{Fact, Incoming};
use domain::consent::{Basis, ConsentFact, ConsentState, ConsentStatus, Purpose};
use domain::identity::{LeadRef, Slug};
use domain::lead::Lead;
use domain::nurture::opt_in;
use domain::permission::may_write;
use domain::playbook::Playbook;
use domain::sales::DeliveryId;
use domain::time::{DAY_MS, Timestamp};
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The version of the page's words, which stands with what is agreed to by them, before their language.
const TEXT: &str = "preferences-3";
/// For how long after it was written a mail's link says yes by itself, in milliseconds.
const BELIEVED_FOR_MS: i64 = 30 * DAY_MS;
/// The field by which a body is the page's list of choices.
const CHOICES: &str = "choices";

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show, change))
}

/// What a link stands for: the mail, what it was for, and whom it went to; where that lead is gone, who came with the address
/// since.
struct Link {
    mail: Mail,
    purpose: Purpose,
    lead: Lead,
}

impl Link {
    /// Tells whether the mail went to this very lead.
    fn is_own(&self) -> bool {
        self.mail.lead == self.lead.id
    }
}

/// Whom a link is about.
enum Whom {
    /// The lead that the mail went to.
    Lead(Box<Link>),
    /// Nobody that is still known: only the address, by its hash.
    Address(Hashed),
}

/// Finds whom a token is about; the page to show instead, where it is about nobody.
async fn find(app: &App, token: &str) -> Result<Result<Whom, Response>, Problem> {
    let WayOut { mail, purpose, address } = match link::unsubscribed(&app.links, token).await? {
        Ok(about) => about,
        Err(why) => return Ok(Err(refused(app, why))),
    };
    let mut lead = app.leads.load(std::slice::from_ref(&mail.lead)).await?.pop();
    if lead.is_none()
        && let Some(address) = &address
        && let Some(owner) = app.leads.owner_by_key(address.as_str()).await?
    {
        lead = app.leads.load(&[owner]).await?.pop();
    }
    if let Some(lead) = lead {
        return Ok(Ok(Whom::Lead(Box::new(Link { mail, purpose, lead }))));
    }
    // The list knows a no to mails; the rest ended with the lead.
    Ok(match address.filter(|_| purpose == Purpose::Marketing) {
        Some(address) => Ok(Whom::Address(address)),
        None => Err(gone(Words::common(), app, Some(Words::common().nobody))),
    })
}

/// Shows whoever got the mail of a lead that is gone how to say no all the same; or that they did.
fn nobodys(done: bool) -> Response {
    let words = Words::common();
    let body = html! {
        @if done {
            p.said role="status" { (filled(words.done, "what", words.title(Purpose::Marketing))) }
        } @else {
            p { (words.nobody) }
            form method="post" {
                input type="hidden" name="List-Unsubscribe" value="One-Click";
                button type="submit" { (words.end(Purpose::Marketing)) }
            }
        }
    };
    page(words, StatusCode::OK, words.your_choices, &body)
}

/// Shows what somebody gets from us, for them to change. Public: the signed link of the mail lets in.
///
/// Following it changes nothing.
#[utoipa::path(get, path = "/t/u/{token}", tag = "consent",
    params(("token" = String, Path, description = "The signed token of the mail's link")),
    responses((status = 200, description = "The page, in HTML", content_type = "text/html"),
        (status = 404, description = "The link is none of ours; the page says how to unsubscribe otherwise"), (status = 410, description = "The link has ended; or the lead is no longer kept, and the mail is from before links knew their address")))]
async fn show(State(app): State<App>, Path(token): Path<String>) -> Result<Response, Problem> {
    match find(&app, &token).await? {
        Ok(Whom::Lead(link)) => shown(&app, &link.lead, link.purpose, None).await,
        Ok(Whom::Address(_)) => Ok(nobodys(false)),
        Err(page) => Ok(page),
    }
}

/// Unsubscribes with one click, or takes what was chosen on the page. Public: the signed link of the mail lets in.
///
/// With the body `List-Unsubscribe=One-Click` (RFC 8058), or any other that is not the page's, what the mail was for is withdrawn
/// at once. With `choices` and a field `agree` for each purpose that somebody wants, these are confirmed where the mail is less than
/// 30 days old and nothing was withdrawn for the purpose since it was written; else they are pending, and a mail asks. Of the others,
/// what somebody had agreed to, or had ticked, is withdrawn; what nobody ever asked, and mails that a customer gets without having
/// ticked for them, stay as they are. Sent again, it changes nothing. Where the lead is no longer kept it is about
/// whoever has the address now; where nobody does, the address comes onto the list of those that nobody may write to.
#[utoipa::path(post, path = "/t/u/{token}", tag = "consent",
    params(("token" = String, Path, description = "The signed token of the mail's link")),
    request_body(content = Value, content_type = "application/x-www-form-urlencoded", description = "`List-Unsubscribe=One-Click`, or the page's choices"),
    responses((status = 200, description = "Done, or done before", content_type = "text/html"),
        (status = 404, description = "The link is none of ours; the page says how to unsubscribe otherwise"), (status = 410, description = "The link has ended; or the lead is no longer kept, and the mail is from before links knew their address")))]
async fn change(
    State(app): State<App>,
    Path(token): Path<String>,
    body: Result<BodyBytes, Problem>,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let link = match find(&app, &token).await? {
        Ok(Whom::Lead(link)) => *link,
        Ok(Whom::Address(address)) => {
            let (catalog, store) = (app.catalog.as_ref(), app.leads.as_ref());
            suppressions::unsubscribe(catalog, store, &app.write_path, &address, now).await?;
            return Ok(nobodys(true));
        }
        Err(page) => return Ok(page),
    };
    let chosen = body.ok().and_then(|BodyBytes(body)| chosen(&body));
    let playbook = app.playbooks.version(link.lead.playbook_version).await?;
    let facts = match &chosen {
        None => unsubscribed(&link, link.purpose, now).into_iter().collect(),
        Some(agreed) => facts(&link, agreed, &playbook, now),
    };
    let Link { lead, purpose, .. } = link;
    let lead = if facts.is_empty() {
        lead
    } else {
        app.write_path.record(&About::Known(LeadRef::Id(lead.id)), &facts).await?.lead
    };
    let words = Words::of(&lead);
    let said = match (&chosen, facts.is_empty()) {
        (None, false) => filled(words.done, "what", words.title(purpose)),
        (None, true) => filled(words.done_before, "what", words.title(purpose)),
        (Some(_), false) if facts.iter().any(waits) => words.saved_waits.to_owned(),
        (Some(_), false) => words.saved.to_owned(),
        (Some(_), true) => words.unchanged.to_owned(),
    };
    shown(&app, &lead, purpose, Some(&said)).await
}

/// Reads the page's choices: what is agreed to; `None` where the body is not the page's.
fn chosen(body: &[u8]) -> Option<BTreeSet<Purpose>> {
    let fields: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    fields.iter().any(|(name, _)| name == CHOICES).then(|| {
        let agreed = fields.iter().filter(|(name, _)| name == "agree");
        let purpose = |word: &str| Purpose::WORDS.iter().find(|(known, _)| *known == word);
        agreed.filter_map(|(_, word)| purpose(word)).map(|(_, purpose)| *purpose).collect()
    })
}

/// Gives what changes when just these purposes are agreed to.
fn facts(link: &Link, agreed: &BTreeSet<Purpose>, playbook: &Playbook, now: Timestamp) -> Vec<Incoming> {
    let one = |purpose: Purpose| {
        let status = link.lead.consents.status(purpose);
        match agreed.contains(&purpose) {
            true if status == Some(ConsentStatus::Confirmed) => None,
            true => agreed_to(link, purpose, now),
            false if status == Some(ConsentStatus::Confirmed) => unsubscribed(link, purpose, now),
            // Who was never asked has nothing to withdraw, and who gets mails without a tick left the box as it was.
            false if status.is_none() || gets(&link.lead, purpose, playbook) => None,
            false => unsubscribed(link, purpose, now),
        }
    };
    Purpose::WORDS.iter().filter_map(|(_, purpose)| one(*purpose)).collect()
}

/// Tells whether a purpose is agreed to, or needs no agreement.
fn gets(lead: &Lead, purpose: Purpose, playbook: &Playbook) -> bool {
    let free = Lead { suppressed: None, ..lead.clone() };
    lead.consents.status(purpose) == Some(ConsentStatus::Confirmed)
        || may_write(&free, purpose, playbook).is_ok()
}

/// Gives the fact that a purpose ends, unless it has: with the mail by whose link.
fn unsubscribed(link: &Link, purpose: Purpose, now: Timestamp) -> Option<Incoming> {
    if link.lead.consents.status(purpose) == Some(ConsentStatus::Withdrawn) {
        return None;
    }
    let text = |text: &str| AttributeValue::Text(text.to_owned());
    let named = |name: &str, slug: &Option<Slug>| Some((name.to_owned(), text(slug.as_ref()?.as_str())));
    let mut properties = BTreeMap::from([("purpose".to_owned(), text(purpose.as_str()))]);
    // Another lead's mail is none of this one's.
    if link.is_own() {
        properties.insert("message".to_owned(), AttributeValue::Number(f64::from(link.mail.number)));
        properties.extend(named("program", &link.mail.program));
        properties.extend(named("content", &link.mail.content));
    }
    let fact = Fact::Activity(Activity { kind: "unsubscribed".to_owned(), properties });
    Some(delivered("unsubscribe", link, purpose, fact, now))
}

/// Tells whether a yes by a mail's link is one of the address's owner: the mail is new, it is this lead's, and there was no
/// no since.
fn believed(link: &Link, purpose: Purpose, now: Timestamp) -> bool {
    let withdrawn_at = link.lead.consents.0.get(&purpose).and_then(|state| state.withdrawn_at);
    link.is_own() && withdrawn_at < Some(link.mail.made_at) && now.since(link.mail.made_at) < BELIEVED_FOR_MS
}

/// Gives the fact that a purpose is agreed to on the page; where the link is not enough, it waits for the mail that asks.
fn agreed_to(link: &Link, purpose: Purpose, now: Timestamp) -> Option<Incoming> {
    let believed = believed(link, purpose, now);
    let status = if believed { ConsentStatus::Confirmed } else { ConsentStatus::Pending };
    let state = link.lead.consents.0.get(&purpose);
    let asked = state.filter(|state| state.status() == Some(ConsentStatus::Pending));
    // One mail a day asks: what was ticked within a day waits for it already.
    if !believed && asked.and_then(ConsentState::at).is_some_and(|at| now.since(at) < opt_in::APART_MS) {
        return None;
    }
    let fact = Fact::Consent(ConsentFact {
        purpose,
        status,
        basis: Basis::Consent,
        text: Some(format!("{TEXT}-{}", Words::of(&link.lead).language)),
        source: Some(format!("preference page, mail {}", link.mail.number)),
        at: now,
    });
    Some(delivered("preferences", link, purpose, fact, now))
}

/// Tells whether a fact is a yes that waits for confirmation.
fn waits(fact: &Incoming) -> bool {
    matches!(&fact.fact, Fact::Consent(consent) if consent.status == ConsentStatus::Pending)
}

fn delivered(source: &str, link: &Link, purpose: Purpose, fact: Fact, now: Timestamp) -> Incoming {
    // Two clicks are one. What it answers to is a part of it: a no after another yes is another no.
    let stood = link.lead.consents.0.get(&purpose).and_then(ConsentState::at);
    let which = format!("{} {} {} {stood:?}", link.lead.id, link.mail.number, purpose.as_str());
    Incoming {
        delivery: DeliveryId::new(source, &which),
        occurred_at: now,
        history: false,
        by: MAIL.to_owned(),
        strict: false,
        fact,
    }
}

/// Shows how things are, and what can be changed.
async fn shown(app: &App, lead: &Lead, purpose: Purpose, said: Option<&str>) -> Result<Response, Problem> {
    let playbook = app.playbooks.version(lead.playbook_version).await?;
    let (stopped, words) = (lead.suppressed.is_some(), Words::of(lead));
    let body = html! {
        @if let Some(said) = said { p.said role="status" { (said) } }
        @if stopped { p.fault { (words.suppressed) } }
        @if gets(lead, purpose, &playbook) {
            form method="post" {
                input type="hidden" name="List-Unsubscribe" value="One-Click";
                button type="submit" { (words.end(purpose)) }
            }
        }
        h2 { (words.what_you_agreed_to) }
        form method="post" {
            input type="hidden" name=(CHOICES) value="1";
            @for (word, purpose) in Purpose::WORDS { (choice(words, word, *purpose, lead, &playbook)) }
            p { button.quiet type="submit" { (words.save) } }
        }
        p.note { (words.how_it_counts) }
    };
    Ok(page(words, StatusCode::OK, words.your_choices, &body))
}

/// Shows one purpose with a box, and how it stands.
fn choice(words: &Words, word: &str, purpose: Purpose, lead: &Lead, playbook: &Playbook) -> Markup {
    let state = lead.consents.0.get(&purpose);
    let confirmed = lead.consents.status(purpose) == Some(ConsentStatus::Confirmed);
    let with = |text: &str, state: &ConsentState| filled(text, "made", &made(words, state, playbook));
    let stands = match (state, state.and_then(ConsentState::status)) {
        (Some(state), Some(ConsentStatus::Confirmed)) => with(words.you_agreed, state),
        _ if gets(lead, purpose, playbook) => words.never_agreed.to_owned(),
        (Some(state), Some(ConsentStatus::Pending)) => with(words.not_confirmed, state),
        (Some(state), Some(ConsentStatus::Withdrawn)) => match state.at() {
            Some(at) => filled(words.said_no_on, "at", &said_at(words, at, playbook)),
            None => words.said_no.to_owned(),
        },
        _ => words.not_asked.to_owned(),
    };
    html! {
        label {
            input type="checkbox" name="agree" value=(word) checked[confirmed];
            b { (words.title(purpose)) } span { (words.meaning(purpose)) } span { (stands) }
        }
    }
}
