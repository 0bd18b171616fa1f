//! The page behind the link of the mail that asks: it shows what was agreed to, and a button.
//!
//! What is confirmed is what the mail asked for, if the lead still is whom it asked: known by the same address, and without a
//! no since then ([`domain::nurture::opt_in::answer`]). A form that was sent again in the meantime is confirmed too: the page shows what
//! it said last, and that is what the answer is to.

use super::words::{Words, filled};
use super::{gone, made, page, refused};
use crate::App;
use crate::link::{self, OptIn, mark_of};
use adapters::http::Problem;
use adapters::write_path::About;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::change::nurture::MAIL;
use domain::change::{Fact, Incoming};
use domain::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use domain::identity::LeadRef;
use domain::lead::Lead;
use domain::nurture::opt_in::{Answer, answer};
use domain::playbook::Playbook;
use domain::sales::DeliveryId;
use domain::time::Timestamp;
use maud::{Markup, html};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The version of the words of the mail that asks and of its page, which stands with what is confirmed by them, before their
/// language.
const TEXT: &str = "opt-in-1";

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show, confirm))
}

/// Finds whom a token is about; the page to show instead, where it is about nobody.
async fn asked(app: &App, token: &str) -> Result<Result<(OptIn, Lead), Response>, Problem> {
    let asked = match link::opted_in(&app.links, token).await? {
        Ok(asked) => asked,
        Err(why) => return Ok(Err(refused(app, why))),
    };
    let Some(lead) = app.leads.load(std::slice::from_ref(&asked.mail.lead)).await?.pop() else {
        let words = Words::common();
        return Ok(Err(gone(words, app, Some(words.nobody))));
    };
    if lead.email().is_none_or(|address| mark_of(&lead.id, address) != asked.address) {
        // Whoever follows it may be another person than the lead's owner: nothing of the lead shows, not even its language.
        let words = Words::common();
        return Ok(Err(gone(words, app, Some(words.another_address))));
    }
    Ok(Ok((asked, lead)))
}

/// Sorts what a mail asked for by what a yes means for it.
fn sorted(asked: &OptIn, lead: &Lead) -> Vec<(Purpose, Answer)> {
    let answer = |purpose: &Purpose| (*purpose, answer(lead, *purpose, asked.mail.made_at));
    asked.purposes.iter().map(answer).collect()
}

/// Shows what was agreed to with an address, for its owner to confirm. Public: the signed link of the mail lets in.
///
/// Following it confirms nothing.
#[utoipa::path(get, path = "/t/y/{token}", tag = "consent",
    params(("token" = String, Path, description = "The signed token of the mail's link")),
    responses((status = 200, description = "The page, in HTML", content_type = "text/html"),
        (status = 404, description = "The link is none of ours"), (status = 410, description = "The link has ended, or the address is another by now")))]
async fn show(State(app): State<App>, Path(token): Path<String>) -> Result<Response, Problem> {
    let (asked, lead) = match asked(&app, &token).await? {
        Ok(found) => found,
        Err(page) => return Ok(page),
    };
    let playbook = app.playbooks.version(lead.playbook_version).await?;
    let (sorted, words) = (sorted(&asked, &lead), Words::of(&lead));
    let waits = sorted.iter().any(|(_, answer)| *answer == Answer::Confirms);
    let body = html! {
        @if waits {
            p { (words.was_that_you) }
            ul { @for (purpose, answer) in &sorted { @if *answer == Answer::Confirms { (line(words, *purpose, &lead, &playbook)) } } }
            form method="post" { button type="submit" { (words.i_confirm) } }
            p.note { (words.close) }
        }
        (rest(words, &sorted))
    };
    Ok(page(words, StatusCode::OK, words.please_confirm, &body))
}

/// Confirms what was agreed to with an address. Public: the signed link of the mail lets in.
///
/// What was withdrawn since the mail asked stays withdrawn. Sent again, it changes nothing.
#[utoipa::path(post, path = "/t/y/{token}", tag = "consent",
    params(("token" = String, Path, description = "The signed token of the mail's link")),
    responses((status = 200, description = "Confirmed, or confirmed before", content_type = "text/html"),
        (status = 404, description = "The link is none of ours"), (status = 410, description = "The link has ended, or the address is another by now")))]
async fn confirm(State(app): State<App>, Path(token): Path<String>) -> Result<Response, Problem> {
    let (asked, lead) = match asked(&app, &token).await? {
        Ok(found) => found,
        Err(page) => return Ok(page),
    };
    let (now, sorted, words) = (app.clock.now(), sorted(&asked, &lead), Words::of(&lead));
    let confirmed = sorted.iter().filter(|(_, answer)| *answer == Answer::Confirms);
    let facts: Vec<Incoming> =
        confirmed.filter_map(|(purpose, _)| fact(*purpose, &asked, &lead, now)).collect();
    if !facts.is_empty() {
        app.write_path.record(&About::Known(LeadRef::Id(lead.id)), &facts).await?;
    }
    let body = html! {
        @if !facts.is_empty() {
            p.said role="status" { (words.thanks) }
            ul { @for (purpose, answer) in &sorted { @if *answer == Answer::Confirms { li { (words.title(*purpose)) } } } }
            p.note { (words.changed_by_link) }
        }
        (rest(words, &sorted))
    };
    let title = if facts.is_empty() { words.nothing_to_confirm } else { words.confirmed };
    Ok(page(words, StatusCode::OK, title, &body))
}

/// Gives the fact that a purpose is confirmed: of the statement that waits, by this mail.
fn fact(purpose: Purpose, asked: &OptIn, lead: &Lead, now: Timestamp) -> Option<Incoming> {
    let (state, language) = (lead.consents.0.get(&purpose)?, Words::of(lead).language);
    let source = state.source.as_deref().map(|source| format!(" of {source}")).unwrap_or_default();
    let consent = ConsentFact {
        purpose,
        status: ConsentStatus::Confirmed,
        basis: Basis::Consent,
        text: state.text.clone(),
        source: Some(format!("double opt-in ({TEXT}-{language}), mail {}{source}", asked.mail.number)),
        at: now,
    };
    // Two clicks are one answer; another statement has another one.
    let which = format!("{} {} {} {:?}", lead.id, asked.mail.number, purpose.as_str(), state.pending_at);
    Some(Incoming {
        delivery: DeliveryId::new("opt-in", &which),
        occurred_at: now,
        history: false,
        by: MAIL.to_owned(),
        strict: false,
        fact: Fact::Consent(consent),
    })
}

/// Says of one purpose what it means, and where and when it was agreed to.
fn line(words: &Words, purpose: Purpose, lead: &Lead, playbook: &Playbook) -> Markup {
    let made = lead.consents.0.get(&purpose).map(|state| made(words, state, playbook)).unwrap_or_default();
    html! {
        li { strong { (words.title(purpose)) } br; (words.meaning(purpose)) br; span { (filled(words.agreed, "made", &made)) } }
    }
}

/// Says of the other purposes why they do not wait.
fn rest(words: &Words, sorted: &[(Purpose, Answer)]) -> Markup {
    html! {
        @for (purpose, answer) in sorted {
            @match answer {
                Answer::Confirms => {}
                Answer::Stands => { p.note { (filled(words.stands, "what", words.title(*purpose))) } }
                Answer::WithdrawnSince | Answer::NothingAsked => {
                    p.note { (filled(words.withdrawn_since, "what", words.title(*purpose))) }
                }
            }
        }
    }
}
