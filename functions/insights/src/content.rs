//! Content: the catalog, the matrix of what there is to say, what each piece did, and the next piece for a lead.
//!
//! # Layout
//!
//! * this file – the catalog: content put, read, listed, deleted;
//! * [`matrix`] – persona × phase, with its gaps; `page` shows it;
//! * [`report`] – what each piece did, on request and once a day;
//! * [`next`] – the next piece for a lead;
//! * `written` – what they answer.

pub mod matrix;
pub mod next;
mod page;
pub mod report;
pub(crate) mod written;

use crate::App;
use adapters::content::content;
use adapters::http::auth::{MarketingAndSales, MarketingOnly};
use adapters::http::versioned::{self, Sent, shown};
use adapters::http::{self, Caller, JsonBody, Problem, Query};
use adapters::ports::CatalogKind;
use adapters::wire;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::content::language::Language;
use domain::content::{Content, Kind};
use domain::fault::Faults;
use domain::identity::Slug;
use domain::phase::Phase;
use domain::playbook::Playbook;
use domain::time::Day;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How many pages of the catalog a filtered list reads at most before it answers with what it found.
const MOST_PAGES: usize = 20;
/// How many pieces a list gives unless said.
const USUAL_LIMIT: usize = 100;

/// Gives the routes of content.
#[must_use]
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(matrix::matrix))
        .routes(routes!(get, put, delete))
        .routes(routes!(report::content))
        .routes(routes!(next::next_content))
}

/// The query of the list of content.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// How many, 1 to 200; 100 unless said.
    limit: Option<u32>,
    /// Where the page starts: `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only what speaks to this persona; content for everybody does.
    persona: Option<String>,
    /// Only what is for this phase; content for every phase is.
    phase: Option<String>,
    /// Only what is about this topic.
    topic: Option<String>,
    /// Only what who reads this language reads; what has no language is read by all.
    language: Option<String>,
    /// Only of this kind.
    kind: Option<String>,
    /// Only what holds on this day, such as 2026-02-01.
    valid_on: Option<String>,
}

/// What a list is to have.
struct Filter {
    persona: Option<Slug>,
    phase: Option<Phase>,
    topic: Option<Slug>,
    language: Option<Language>,
    kind: Option<Kind>,
    valid_on: Option<Day>,
}

impl Filter {
    /// Reads what a list is to have, and how much of it.
    fn read(query: &ListQuery) -> Result<(Self, usize), Problem> {
        let faults = Faults::new();
        let limit = wire::limit(query.limit, USUAL_LIMIT).unwrap_or_else(|problem| {
            problem.faults().iter().for_each(|fault| faults.add(&fault.pointer, &fault.detail));
            USUAL_LIMIT
        });
        let slug = |name: &str, asked: &Option<String>| {
            let parsed = asked.as_deref().map(Slug::parse).transpose();
            parsed.unwrap_or_else(|error| {
                faults.add(format!("/{name}"), error.to_string());
                None
            })
        };
        let filter = Self {
            persona: slug("persona", &query.persona),
            phase: word(&faults, "phase", Phase::WORDS, query.phase.as_deref()),
            topic: slug("topic", &query.topic),
            language: query.language.as_deref().and_then(|text| {
                let parsed = Language::parse(text);
                parsed.map_err(|error| faults.add("/language", error)).ok()
            }),
            kind: word(&faults, "kind", Kind::WORDS, query.kind.as_deref()),
            valid_on: query.valid_on.as_deref().and_then(|text| {
                let day = Day::parse(text);
                if day.is_none() {
                    faults.add("/valid_on", "is not a day; expected one such as 2026-02-01");
                }
                day
            }),
        };
        faults.into_result(Some((filter, limit))).map_err(Problem::invalid)
    }

    fn has(&self, content: &Content) -> bool {
        self.persona.as_ref().is_none_or(|persona| content.is_for(Some(persona)))
            && self.phase.is_none_or(|phase| content.is_in(Some(phase)))
            && self.topic.as_ref().is_none_or(|topic| content.topics.contains(topic))
            && self.kind.is_none_or(|kind| content.kind == kind)
            && self.valid_on.is_none_or(|day| content.stale(day).is_none())
            && match (&self.language, &content.language) {
                (Some(asked), Some(own)) => asked.reads(own),
                _ => true,
            }
    }
}

/// Reads one of a fixed set of words of a query.
fn word<T: Copy>(faults: &Faults, name: &str, words: &[(&str, T)], asked: Option<&str>) -> Option<T> {
    let text = asked?;
    let known = words.iter().find(|(word, _)| *word == text);
    if known.is_none() {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        faults.add(format!("/{name}"), format!("is \"{text}\"; expected one of: {}", all.join(", ")));
    }
    known.map(|(_, value)| *value)
}

/// Lists content by id. Roles: marketing, sales, admin.
///
/// A filtered page may hold fewer than `limit` while there are more: go on while there is a `next_cursor`.
#[utoipa::path(get, path = "/v1/content", tag = "content", security(("token" = ["marketing", "sales"])), params(ListQuery),
    responses((status = 200, description = "The content by id"), (status = 422, description = "Every fault")))]
async fn list(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let (filter, limit) = Filter::read(&query)?;
    let (mut items, mut cursor) = (Vec::new(), query.cursor.clone());
    for _ in 0..MOST_PAGES {
        let page = app.catalog.list(CatalogKind::Content, limit - items.len(), cursor.as_deref()).await;
        let page = page.map_err(|error| Problem::of_list(error, query.cursor.as_deref()))?;
        for record in &page.items {
            if filter.has(&content(record)?) {
                items.push(shown(record));
            }
        }
        cursor = page.next;
        if cursor.is_none() || items.len() >= limit {
            break;
        }
    }
    Ok(http::json(StatusCode::OK, &json!({ "items": items, "next_cursor": cursor })))
}

/// Gives a piece of content. Roles: marketing, sales, admin.
#[utoipa::path(get, path = "/v1/content/{content_id}", tag = "content", security(("token" = ["marketing", "sales"])),
    params(("content_id" = String, Path, description = "The content")),
    responses((status = 200, description = "The content with its version"), (status = 404, description = "No such content")))]
async fn get(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let record = match Slug::parse(&id) {
        Ok(id) => app.catalog.get(CatalogKind::Content, id.as_str()).await?,
        Err(_) => None,
    };
    Ok(http::json(StatusCode::OK, &shown(&record.ok_or_else(unknown)?)))
}

/// Writes a piece of content, the whole record. Roles: marketing, admin.
///
/// `personas` and `topics` are those of the active playbook; without `personas` it speaks to everybody, without `phases` it is
/// for every phase, without `language` it is for readers of any. `valid_from` and `valid_until` are its first and last day;
/// to retire it, give it a last day. Who changes content sends the `version` that they read, so that nobody overwrites what
/// they did not see; what was sent already changes nothing.
#[utoipa::path(put, path = "/v1/content/{content_id}", tag = "content", security(("token" = ["marketing"])),
    params(("content_id" = String, Path, description = "The content; activities name it in their property `content`")),
    request_body(content = Value, content_type = "application/json", example = json!({"title": "Savings in the plant",
        "url": "https://www.company.example/savings", "kind": "whitepaper", "phases": ["awareness"], "language": "en",
        "valid_until": "2027-12-31"})),
    responses((status = 200, description = "The content; `status` says whether it changed"),
        (status = 201, description = "The content, which is new"),
        (status = 409, description = "Somebody else changed it: read it again"), (status = 422, description = "Every fault")))]
async fn put(
    State(app): State<App>,
    caller: Caller<MarketingOnly>,
    Path(id): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let id = Slug::parse(&id).map_err(|error| Problem::fault("/content_id", error.to_string()))?;
    let active = app.playbooks.active().await?;
    let sent = asked(&body, &id, &active.playbook)?;
    let (catalog, by) = (app.catalog.as_ref(), (caller.name(), app.clock.now()));
    versioned::put(catalog, (CatalogKind::Content, &id), &sent, sent.value.to_json(), by, content).await
}

/// Deletes a piece of content. What was had of it stays in the timelines; reports then name it by its id. Roles: marketing,
/// admin.
#[utoipa::path(delete, path = "/v1/content/{content_id}", tag = "content", security(("token" = ["marketing"])),
    params(("content_id" = String, Path, description = "The content")),
    responses((status = 204, description = "Deleted"), (status = 404, description = "No such content")))]
async fn delete(
    State(app): State<App>,
    _: Caller<MarketingOnly>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = Slug::parse(&id).map_err(|_| unknown())?;
    if app.catalog.delete(CatalogKind::Content, id.as_str()).await? {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(unknown())
    }
}

fn unknown() -> Problem {
    Problem::not_found("no content has this id; GET /v1/content lists it")
}

/// Reads what is sent, with the version that its sender read.
fn asked(body: &Value, id: &Slug, playbook: &Playbook) -> Result<Sent<Content>, Problem> {
    wire::one(body, |node| {
        let object = node.object()?;
        let content = Content::read(&object, id.clone(), playbook);
        let version = versioned::version(&object, id, &[]);
        object.finish();
        Some(Sent { value: content?, version: version? })
    })
}
