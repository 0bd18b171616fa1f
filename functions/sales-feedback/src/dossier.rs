//! Everything known of a lead, for whoever is about to talk to them.
//!
//! It is put together from what is stored: the lead, the latest of its timeline, and records of the catalog that are read
//! by their ids; nothing is scanned. What has no end is cut, and says so: [`MOST_TOLD`] entries of the timeline are told,
//! [`MOST_EVIDENCE`] pieces of evidence weighed.
//!
//! # Layout
//!
//! * this file – the route, and what is read;
//! * [`brief`] – what follows from it, in the words of the API;
//! * [`page`] – the same, to be pasted into the note of a CRM or printed.

pub mod brief;
pub mod page;

use crate::request::{self, TimelineQuery};
use crate::{App, response};
use adapters::content::content;
use adapters::http::auth::MarketingAndSales;
use adapters::http::{self, Caller, Problem, Query};
use adapters::ports::{CatalogKind, Direction, Page, StoreError};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use brief::Brief;
use domain::activity::content_of;
use domain::change::{Entry, Fact};
use domain::content::Content;
use domain::evidence::Evidence;
use domain::identity::Slug;
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::sales::Move;
use domain::score::explain;
use domain::similar::Similar;
use domain::time::Timestamp;
use futures::{StreamExt, TryStreamExt};
use std::collections::{BTreeMap, BTreeSet};

/// How many entries of the timeline are told as a story.
pub const MOST_TOLD: usize = 500;
/// How many pieces of evidence of the persona are weighed.
pub const MOST_EVIDENCE: usize = 500;
/// How many people and pieces of content are looked up by name.
const MOST_NAMED: usize = 100;
/// How many records are read beside each other.
const BESIDE: usize = 16;
/// How many similar won leads are shown, and how many are looked at, since some may be gone.
const MOST_SIMILAR: usize = 3;
const LOOKED_AT: usize = 12;

/// What was read about a lead.
pub(crate) struct Known {
    pub(crate) lead: Lead,
    pub(crate) playbook: std::sync::Arc<Playbook>,
    /// The latest entries of its timeline, latest first.
    pub(crate) entries: Vec<Entry>,
    /// Whether these are all.
    pub(crate) whole: bool,
    pub(crate) contents: BTreeMap<Slug, Content>,
    /// What declared campaigns are called, by the text that touches carry.
    pub(crate) campaigns: BTreeMap<String, String>,
    pub(crate) people: BTreeMap<Slug, String>,
    pub(crate) evidence: Vec<Evidence>,
    /// Whether that is all evidence of the persona.
    pub(crate) all_evidence: bool,
    /// The won leads that are most like it, as they are now.
    pub(crate) similar: Vec<(Similar, Lead)>,
    pub(crate) now: Timestamp,
}

/// Gives everything known of a lead: who, company, score with its explanation and trend, stage, owner, persona with what to
/// talk about, all that they did as sentences, content had and what they made of it, campaigns, consent, feedback, deals,
/// similar won leads, the next step, and the timeline; where a fact of it changed persona, phase or segments, also why.
/// Roles: marketing, sales, admin.
///
/// As Markdown (`Accept: text/markdown`) or HTML (`Accept: text/html`) it is short, to be pasted into the note of a CRM; it
/// loads nothing. `story` tells the latest 500 entries of the timeline, what happened alike on one day as one line;
/// `trend` is null for a lead with more.
#[utoipa::path(get, path = "/v1/leads/{lead_id}", tag = "leads", security(("token" = ["marketing", "sales"])),
    params(("lead_id" = String, Path, description = "The lead"), TimelineQuery),
    responses((status = 200, description = "The dossier; Markdown with `Accept: text/markdown`, a page with `Accept: text/html`"),
        (status = 404, description = "No such lead")))]
pub(crate) async fn dossier(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Query(query): Query<TimelineQuery>,
) -> Result<Response, Problem> {
    let limit = adapters::wire::limit(query.limit, 50)?;
    let cursor = query.cursor.as_deref();
    let lead = app.lead(&id).await?;
    let timeline = app.timeline.as_ref();
    let page = timeline.entries(&lead.id, Direction::Backward, limit, cursor).await;
    let page = page.map_err(|error| Problem::of_list(error, cursor))?;
    let known = known(&app, lead).await?;
    let brief = Brief::of(&known);
    if request::accepts(&headers, "text/html") {
        return Ok(http::page(page::html(&brief)));
    }
    if request::accepts(&headers, "text/markdown") {
        return Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], page::markdown(&brief))
            .into_response());
    }
    let mut documents = response::Documents::new();
    let deciders = page.items.iter().filter(|entry| response::says_why(entry));
    for version in deciders.map(|entry| entry.playbook_version).collect::<BTreeSet<_>>() {
        documents.insert(version, app.playbooks.document(version).await?);
    }
    let explanation = explain(&known.playbook, &known.lead.view(known.now.day()));
    let shown = response::dossier(&known, &brief, &explanation, &page, &documents);
    Ok(http::json(StatusCode::OK, &shown))
}

/// Reads what a dossier is made of.
async fn known(app: &App, lead: Lead) -> Result<Known, Problem> {
    let playbook = app.playbooks.version(lead.playbook_version).await?;
    let (told, evidence, similar) =
        futures::join!(latest(app, &lead), evidence(app, &lead), similar(app, &lead));
    let (told, evidence) = (told?, evidence?);
    let entries = told.items;
    let (contents, campaigns, people) = futures::join!(
        contents(app, content_ids(&lead, &entries)),
        campaigns(app, &lead),
        people(app, people_ids(&lead, &entries)),
    );
    Ok(Known {
        playbook,
        whole: told.next.is_none(),
        entries,
        contents: contents?,
        campaigns: campaigns?,
        people: people?,
        all_evidence: evidence.next.is_none(),
        evidence: evidence.items,
        similar: similar?,
        now: app.clock.now(),
        lead,
    })
}

/// Reads the latest entries; a page of the store may end before there are so many.
async fn latest(app: &App, lead: &Lead) -> Result<Page<Entry>, StoreError> {
    let (mut items, mut next) = (Vec::new(), None);
    loop {
        let left = MOST_TOLD - items.len();
        let page: Page<Entry> =
            app.timeline.entries(&lead.id, Direction::Backward, left, next.as_deref()).await?;
        items.extend(page.items);
        next = page.next;
        if next.is_none() || items.len() >= MOST_TOLD {
            return Ok(Page { items, next });
        }
    }
}

async fn evidence(app: &App, lead: &Lead) -> Result<Page<Evidence>, StoreError> {
    let Some(persona) = &lead.persona else { return Ok(Page { items: Vec::new(), next: None }) };
    let page = adapters::evidence::page(app.catalog.as_ref(), persona, MOST_EVIDENCE, None).await?;
    Ok(Page { items: page.items.into_iter().map(|one| one.evidence).collect(), next: page.next })
}

/// Finds the won leads that are most like one; those that were erased since, or are won no more, are left out.
async fn similar(app: &App, lead: &Lead) -> Result<Vec<(Similar, Lead)>, StoreError> {
    let found = adapters::won::latest(app.catalog.as_ref()).await?.won.like(lead, LOOKED_AT);
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<_> = found.iter().map(|similar| similar.won.lead.clone()).collect();
    let leads = app.leads.load(&ids).await?;
    let still = |similar: Similar| {
        let lead = leads.iter().find(|lead| lead.id == similar.won.lead)?;
        domain::similar::Won::of(lead).map(|_| (similar, lead.clone()))
    };
    Ok(found.into_iter().filter_map(still).take(MOST_SIMILAR).collect())
}

/// Gives the content that a lead had or that is spoken of.
fn content_ids(lead: &Lead, entries: &[Entry]) -> BTreeSet<Slug> {
    let spoken = entries.iter().filter_map(|entry| match &entry.fact {
        Fact::Activity(activity) => content_of(activity),
        Fact::MarketingFeedback { said, .. } => Slug::parse(said.content.as_deref()?).ok(),
        _ => None,
    });
    lead.content.keys().cloned().chain(spoken).take(MOST_NAMED).collect()
}

async fn contents(app: &App, ids: BTreeSet<Slug>) -> Result<BTreeMap<Slug, Content>, StoreError> {
    let read = |id: Slug| async move {
        let record = app.catalog.get(CatalogKind::Content, id.as_str()).await?;
        Ok::<_, StoreError>(record.as_ref().map(content).transpose()?.map(|content| (id, content)))
    };
    let found: Vec<_> =
        futures::stream::iter(ids.into_iter().map(read)).buffered(BESIDE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

async fn campaigns(app: &App, lead: &Lead) -> Result<BTreeMap<String, String>, StoreError> {
    let touched: BTreeSet<String> =
        lead.touches.all().filter_map(|(touch, _)| touch.campaign.clone()).take(MOST_NAMED).collect();
    let read = |id: String| async move {
        // What no record can be called by is the name of none.
        let Ok(key) = adapters::campaigns::id(&id) else { return Ok(None) };
        let record = app.catalog.get(CatalogKind::Campaign, &key).await?;
        let campaign = record.and_then(|record| adapters::campaigns::from_json(&record.body));
        Ok::<_, StoreError>(campaign.and_then(|campaign| Some((id, campaign.name?))))
    };
    let found: Vec<_> =
        futures::stream::iter(touched.into_iter().map(read)).buffered(BESIDE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// Gives the people who have or had to do with a lead.
fn people_ids(lead: &Lead, entries: &[Entry]) -> BTreeSet<Slug> {
    let mut ids: BTreeSet<Slug> = lead.person.iter().cloned().collect();
    for fact in &lead.sales {
        ids.extend(fact.by.clone());
        match &fact.what {
            Move::MarketingQualified { owner, .. } => ids.extend([owner.clone()]),
            Move::Assigned { to, .. } | Move::PromiseBroken { to: Some((to, _)) } => ids.extend([to.clone()]),
            _ => {}
        }
    }
    for entry in entries {
        if let Fact::MarketingFeedback { by: Some(by), .. } = &entry.fact {
            ids.insert(by.clone());
        }
    }
    ids.into_iter().take(MOST_NAMED).collect()
}

async fn people(app: &App, ids: BTreeSet<Slug>) -> Result<BTreeMap<Slug, String>, StoreError> {
    let read = |id: Slug| async move {
        let record = app.catalog.get(CatalogKind::Person, id.as_str()).await?;
        let name = record.and_then(|record| record.body.get("name")?.as_str().map(str::to_owned));
        Ok::<_, StoreError>(name.map(|name| (id, name)))
    };
    let found: Vec<_> =
        futures::stream::iter(ids.into_iter().map(read)).buffered(BESIDE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}
