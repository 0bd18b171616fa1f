//! The confirm page: how somebody in sales answers a hand-over from a mail, without a token and without a script.
//!
//! * **The link is the permission.** Its token names the lead and the hand-over, and was signed when the mail was written
//!   ([`adapters::signed_link`]). Whoever has it answers in the name of whoever got the lead by that hand-over, until it
//!   ends, and only as long as the lead is theirs by it ([`domain::hand_over`]); after that the page says what became of
//!   the lead, and takes nothing.
//! * **A GET changes nothing.** Mail programs and scanners follow every link that they find; only the form's POST answers.
//! * **The answer goes the one way of all feedback**: the same reading, the same reasons, the same write path as
//!   `POST /v1/leads/{lead_id}/feedback`. Its delivery is the hand-over and the answer, so a form that is sent twice is one
//!   fact.
//! * **The page shows who and what**, no address and no number: a link may lie around, a dossier has a token. It loads
//!   nothing, no other page may frame it, and no address of it goes to where somebody leads next.

use crate::{App, record, request};
use adapters::http::{BodyBytes, Problem, form_page};
use adapters::mail::discreet;
use adapters::ports::CatalogKind;
use adapters::signed_link::{CONFIRM, Refused};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::change::Outcome;
use domain::hand_over::{self, Became};
use domain::identity::{LeadRef, Slug};
use domain::introduction::{Introduction, introduce};
use domain::lead::Lead;
use domain::playbook::{FeedbackReason, Playbook};
use domain::sales::DeliveryId;
use domain::stage::{Stage, Step};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::{Map, Value, json};

/// How many reasons the page names.
const NAMED: usize = 3;
/// The longest line of what somebody typed in, in characters.
const LONGEST: usize = 200;

/// What can be answered: the step, its word in the API, the word on the button, and what it means.
const ANSWERS: &[(Step, &str, &str, &str)] = &[
    (Step::Accept, "accepted", "Accept", "You take this lead and answer it."),
    (
        Step::NotReady,
        "not_ready",
        "Not ready yet",
        "It goes back to marketing, and comes again when it is ready.",
    ),
    (Step::Reject, "rejected", "Reject", "It is not for sales."),
];

/// The looks. The policy below lets in exactly this, by its hash, and nothing else.
const STYLE: &str = "
:root { font: 16px/1.5 system-ui, sans-serif; color: #1b1f24; }
body { max-width: 36rem; margin: 1.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0; } p.what { margin-top: .2rem; color: #555c66; }
form { border: 1px solid #c9cfd6; border-radius: 8px; padding: .8rem 1rem; margin: 1rem 0; }
form:target { border-color: #1f5fbf; box-shadow: 0 0 0 1px #1f5fbf; }
form p { margin: .2rem 0 .6rem; }
label { display: block; margin: .5rem 0; } select, input, textarea { font: inherit; width: 100%; box-sizing: border-box; padding: .3rem; }
button { font: inherit; padding: .45rem 1.1rem; border: 0; border-radius: 6px; background: #1f5fbf; color: #fff; cursor: pointer; }
p.note { font-size: .85rem; color: #555c66; } p.said { border-left: 4px solid #1f5fbf; padding-left: .8rem; }
p.fault { border-left: 4px solid #a3231a; padding-left: .8rem; }
";

/// A link that was believed: the lead and the hand-over that it is about.
struct Link {
    lead: Lead,
    hand_over: DeliveryId,
}

impl App {
    /// Finds what a token is about; the page to show instead, where it is about nothing.
    async fn link(&self, token: &str) -> Result<Result<Link, Response>, Problem> {
        let about = match self.links.read(CONFIRM, token).await? {
            Ok(about) => about,
            Err(Refused::Ended) => {
                return Ok(Err(gone(
                    "This link has ended. The lead is still in your inbox, unless it moved on.",
                )));
            }
            Err(Refused::NotOurs) => {
                return Ok(Err(page(
                    StatusCode::NOT_FOUND,
                    "No such link",
                    &html! {
                        h1 { "No such link" } p { "Perhaps a part of it got lost: copy it whole from the mail." }
                    },
                )));
            }
        };
        let Some((id, hand_over)) = hand_over::from_bytes(&about) else {
            return Ok(Err(gone("This link is about nothing that there is.")));
        };
        match self.leads.load(std::slice::from_ref(&id)).await?.pop() {
            Some(lead) => Ok(Ok(Link { lead, hand_over })),
            None => Ok(Err(gone("This lead is no longer kept."))),
        }
    }

    async fn introduce(&self, lead: &Lead) -> Result<Introduction, Problem> {
        let playbook = self.playbooks.version(lead.playbook_version).await?;
        let said = introduce(lead, &playbook, self.clock.now().day(), NAMED);
        let line = |text: String| discreet(&text, LONGEST);
        Ok(Introduction {
            name: line(said.name),
            company: said.company.map(line),
            title: said.title.map(line),
            reasons: said.reasons.into_iter().map(line).collect(),
            ..said
        })
    }

    /// Gives somebody's name, by which colleagues know them.
    async fn name_of(&self, person: &Slug) -> Result<String, Problem> {
        let record = self.catalog.get(CatalogKind::Person, person.as_str()).await?;
        let name = record.and_then(|record| record.body.get("name")?.as_str().map(str::to_owned));
        Ok(name.unwrap_or_else(|| person.to_string()))
    }
}

/// Gives the id of the fact that an answer to a hand-over is: the same each time that the form is sent.
fn answer_id(hand_over: DeliveryId, word: &str) -> DeliveryId {
    DeliveryId::new("confirm page", &format!("{hand_over} {word}"))
}

/// Shows a lead that was handed over, and what can be answered. Public: the signed link of the mail lets in.
///
/// Following it changes nothing.
#[utoipa::path(get, path = "/t/f/{token}", tag = "sales",
    params(("token" = String, Path, description = "The signed token of the mail's link")),
    responses((status = 200, description = "The page, in HTML", content_type = "text/html"),
        (status = 404, description = "The link is none of ours"), (status = 410, description = "The link has ended, or the lead moved on: the page says what became of it")))]
pub(crate) async fn show(State(app): State<App>, Path(token): Path<String>) -> Result<Response, Problem> {
    let link = match app.link(&token).await? {
        Ok(link) => link,
        Err(page) => return Ok(page),
    };
    match hand_over::became(&link.lead, link.hand_over) {
        Became::Theirs(_) => asked(&app, &link.lead, StatusCode::OK, &Given::default(), None).await,
        became => moved_on(&app, &link.lead, &became).await,
    }
}

/// Records the answer that a hand-over's page was sent with. Public: the signed link of the mail lets in.
///
/// It is the same fact as with `POST /v1/leads/{lead_id}/feedback`, by whoever the lead was handed to. Sent again, it changes
/// nothing.
#[utoipa::path(post, path = "/t/f/{token}", tag = "sales",
    params(("token" = String, Path, description = "The signed token of the mail's link")),
    request_body(content = Value, content_type = "application/x-www-form-urlencoded",
        description = "`answer`: `accepted`, `not_ready` or `rejected`; `reason` with the last two, `not_before` (a day) and `note` if you like"),
    responses((status = 200, description = "Recorded, or recorded before", content_type = "text/html"),
        (status = 404, description = "The link is none of ours"), (status = 409, description = "Not in the lead's stage"),
        (status = 410, description = "The link has ended, or the lead moved on"), (status = 422, description = "What is wrong, beside the form")))]
pub(crate) async fn answer(
    State(app): State<App>,
    Path(token): Path<String>,
    BodyBytes(body): BodyBytes,
) -> Result<Response, Problem> {
    let link = match app.link(&token).await? {
        Ok(link) => link,
        Err(page) => return Ok(page),
    };
    let Link { lead, hand_over } = link;
    let given = Given::read(&body);
    let Some((step, word, ..)) = ANSWERS.iter().find(|(_, word, ..)| *word == given.answer) else {
        return asked(
            &app,
            &lead,
            StatusCode::UNPROCESSABLE_ENTITY,
            &given,
            Some("Choose one of the answers."),
        )
        .await;
    };
    let id = answer_id(hand_over, word);
    if lead.sales.iter().any(|fact| fact.id == id) {
        return said(&app, &lead, word, true).await;
    }
    let owner = match hand_over::became(&lead, hand_over) {
        Became::Theirs(owner) => owner.clone(),
        became => return moved_on(&app, &lead, &became).await,
    };
    let sent = match request::answered(&given.to_json(word), id, &owner, app.clock.now()) {
        Ok(sent) => sent,
        Err(problem) => return faulty(&app, &lead, &given, &problem).await,
    };
    let recorded = match record(&app, LeadRef::Id(lead.id.clone()), sent).await {
        Ok(recorded) => recorded,
        Err(problem) if problem.status() == StatusCode::UNPROCESSABLE_ENTITY => {
            return faulty(&app, &lead, &given, &problem).await;
        }
        Err(problem) => return Err(problem),
    };
    match recorded.outcomes.first() {
        Some(Outcome::Illegal { .. }) => {
            let why = format!("{} is not possible at this stage.", step.as_str().replace('_', " "));
            asked(&app, &recorded.lead, StatusCode::CONFLICT, &given, Some(&why)).await
        }
        outcome => said(&app, &recorded.lead, word, matches!(outcome, Some(Outcome::Unchanged))).await,
    }
}

/// What the form was sent with.
#[derive(Debug, Default)]
struct Given {
    answer: String,
    reason: String,
    not_before: String,
    note: String,
}

impl Given {
    fn read(body: &[u8]) -> Self {
        let mut given = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            let value = value.trim().to_owned();
            match name.as_ref() {
                "answer" => given.answer = value,
                "reason" => given.reason = value,
                "not_before" => given.not_before = value,
                "note" => given.note = value,
                _ => {}
            }
        }
        given
    }

    /// Writes it as feedback; a field that was left empty is none, and one that does not belong to the answer is no matter.
    fn to_json(&self, word: &str) -> Value {
        let mut body = Map::from_iter([("kind".to_owned(), json!(word))]);
        let mut add = |name: &str, value: &str| {
            if !value.is_empty() {
                body.insert(name.to_owned(), json!(value));
            }
        };
        add("note", &self.note);
        if word != "accepted" {
            add("reason", &self.reason);
        }
        if word == "not_ready" {
            add("not_before", &self.not_before);
        }
        body.into()
    }
}

/// Shows the page once more, with what is wrong.
async fn faulty(app: &App, lead: &Lead, given: &Given, problem: &Problem) -> Result<Response, Problem> {
    let faults = problem
        .faults()
        .iter()
        .map(|fault| format!("{} {}", fault.pointer.trim_start_matches('/').replace('_', " "), fault.detail));
    let why = faults.collect::<Vec<_>>().join("; ");
    asked(app, lead, StatusCode::UNPROCESSABLE_ENTITY, given, Some(&why)).await
}

/// Shows who the lead is, and a form for each answer that its stage allows.
async fn asked(
    app: &App,
    lead: &Lead,
    status: StatusCode,
    given: &Given,
    fault: Option<&str>,
) -> Result<Response, Problem> {
    let playbook = app.playbooks.active().await?.playbook;
    let introduction = app.introduce(lead).await?;
    let answers: Vec<_> = ANSWERS.iter().filter(|(step, ..)| lead.stage.after(*step).is_some()).collect();
    let body = html! {
        (head(&introduction))
        @if lead.stage != Stage::MarketingQualified { p.said { (stands(lead)) } }
        @if let Some(fault) = fault { p.fault role="alert" { (fault) } }
        @for (step, word, button, meaning) in answers {
            form method="post" id=(word) {
                p { (meaning) }
                input type="hidden" name="answer" value=(word);
                @if *step != Step::Accept { (reason(playbook.as_ref(), *step, &given.reason)) }
                @if *step == Step::NotReady {
                    label { "Not before (if you know)" input type="date" name="not_before" value=(given.not_before); }
                }
                label { "Note" textarea name="note" rows="2" maxlength="4000" { (given.note) } }
                button type="submit" { (button) }
            }
        }
        p.note { "Whoever has this link answers in your name." }
    };
    Ok(page(status, &introduction.name, &body))
}

/// The reasons that the playbook has for a step, to choose from; any text where it has none.
fn reason(playbook: &Playbook, step: Step, given: &str) -> Markup {
    let known: &[FeedbackReason] = playbook.reasons.get(&step).map_or(&[], Vec::as_slice);
    html! {
        label {
            "Reason"
            @if known.is_empty() {
                input name="reason" required maxlength="200" value=(given);
            } @else {
                select name="reason" required {
                    option value="" { "Choose…" }
                    @for reason in known {
                        option value=(reason.id) selected[reason.id.as_str() == given] { (reason.title) }
                    }
                }
            }
        }
    }
}

/// Shows that an answer is recorded.
async fn said(app: &App, lead: &Lead, word: &str, before: bool) -> Result<Response, Problem> {
    let introduction = app.introduce(lead).await?;
    let known = ANSWERS.iter().find(|(_, known, ..)| *known == word);
    let button = known.map_or(word, |(_, _, button, _)| button);
    let body = html! {
        (head(&introduction))
        p.said role="status" {
            @if before { "This was recorded before: “" (button) "”." } @else { "Thank you, recorded: “" (button) "”." }
        }
        p { (stands(lead)) }
    };
    Ok(page(StatusCode::OK, &introduction.name, &body))
}

/// Says what became of a lead that is no longer the reader's by this hand-over.
async fn moved_on(app: &App, lead: &Lead, became: &Became<'_>) -> Result<Response, Problem> {
    let introduction = app.introduce(lead).await?;
    let what = match became {
        Became::Anothers(person) => {
            format!("It was handed over since; {} has it.", app.name_of(person).await?)
        }
        _ => stands(lead),
    };
    let body =
        html! { (head(&introduction)) p.said { "This link no longer answers for this lead. " (what) } };
    Ok(page(StatusCode::GONE, &introduction.name, &body))
}

/// Says where a lead stands.
fn stands(lead: &Lead) -> String {
    match lead.stage {
        Stage::Nurturing | Stage::Inquiry | Stage::Contact => {
            "It is with marketing, and kept warm.".to_owned()
        }
        Stage::Disqualified => "It is disqualified.".to_owned(),
        Stage::Customer => "It is a customer.".to_owned(),
        stage => format!("It stands at: {}.", stage.as_str().replace('_', " ")),
    }
}

fn head(lead: &Introduction) -> Markup {
    let title = lead.title.as_deref();
    let company = lead.company.as_deref().filter(|company| *company != lead.name);
    html! {
        h1 { (lead.name) }
        p.what {
            @if let Some(title) = title { (title) @if company.is_some() { ", " } }
            @if let Some(company) = company { (company) }
            @if title.is_some() || company.is_some() { " · " }
            "label " (lead.label)
            @if let Some(persona) = &lead.persona { " · like " (persona) }
        }
        @if !lead.reasons.is_empty() { ul { @for reason in &lead.reasons { li { (reason) } } } }
    }
}

fn gone(why: &str) -> Response {
    page(StatusCode::GONE, "This link has ended", &html! { h1 { "This link has ended" } p { (why) } })
}

/// Wraps a page.
fn page(status: StatusCode, title: &str, body: &Markup) -> Response {
    let text = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    form_page(status, text.into_string(), STYLE)
}
