//! The inbox: what sales works on, in the order of [`domain::inbox`], read from the index and ranked on read.
//!
//! # What a cursor promises
//!
//! Ranks move while somebody turns pages: time passes, sales reports, leads do something. So a cursor holds the moment for
//! which the first page was ranked and the rank of the last line that was shown, and the next page is everything behind
//! that rank, ranked for that same moment. A lead about which nothing is recorded meanwhile stands on exactly one page. One
//! about which something is recorded may be shown twice, or, where that moved it before the line at which the reader is, on
//! the next reading only.
//!
//! # What is new since
//!
//! Each answer has a `marker`; `new_since=` with it gives what came into the inbox since, by when that was recorded and
//! not by when it is said to have happened, so that nothing that was reported late is missed. The marker lies a minute
//! back: a commit that is under way, and an index that is behind, are not seen yet. What came within that minute may
//! therefore be shown twice, and nothing is left out.

use crate::request::{self, Filter, InboxQuery};
use crate::response::inbox as shown;
use crate::{App, owners};
use adapters::http::auth::SalesOnly;
use adapters::http::{self, Caller, Problem, Query};
use adapters::ports::InboxLine;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use domain::identity::{LeadId, Slug};
use domain::inbox::Rank;
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::time::{MINUTE_MS, Timestamp};
use futures::{StreamExt, TryStreamExt};
use std::collections::HashSet;
use std::sync::Arc;

/// The most leads that are ranked at a time, the most pressing promises first; a person never works through more.
pub const MOST_RANKED: usize = 2_000;
/// How many lines of the index are read at a time.
const PAGE: usize = 1_000;
/// How many inboxes are read beside each other.
const BESIDE: usize = 8;
/// How many leads a page has unless said.
const USUAL_LIMIT: usize = 100;
/// How long a write may be under way, and an index behind.
const UNSEEN_MS: i64 = MINUTE_MS;

/// A lead in its place.
pub(crate) struct Ranked {
    pub(crate) place: usize,
    pub(crate) rank: Rank,
    pub(crate) lead: Lead,
}

/// A page of an inbox.
pub(crate) struct Page {
    pub(crate) lines: Vec<Ranked>,
    pub(crate) next: Option<String>,
    /// By which it is ranked.
    pub(crate) playbook: Arc<Playbook>,
    /// The moment for which it is ranked.
    pub(crate) as_of: Timestamp,
    pub(crate) marker: Timestamp,
    /// How many leads were not ranked.
    pub(crate) left_out: usize,
}

/// Lists the leads that a person in sales works on, what to do first at the top, each with why it stands there. Roles:
/// sales, admin.
///
/// Without `owner`: those of the token's person, or of everybody where the token belongs to no person. The order goes by the
/// parts of `rank`, each only where all before it are the same: `promise` (broken, due soon, running, none open), `label`
/// (the better first), `due` (the earlier first), `tries` (whom fewest tried to reach first), `fresh` (who did something
/// latest). Pages are ranked for the moment of the first one (`as_of`): a lead about which nothing is recorded meanwhile
/// stands on exactly one page. `new_since` with the `marker` of an earlier answer gives what came into the inbox since,
/// new or from somebody else; what came within a minute before the marker may come twice, and nothing is left out. CSV has
/// all lines at once. Of more than 2,000 leads the most pressing promises are ranked, and `left_out` says how many are not.
#[utoipa::path(get, path = "/v1/inbox", tag = "sales", security(("token" = ["sales"])),
    params(InboxQuery), responses((status = 200, description = "The leads with their promises and ranks; CSV with `Accept: text/csv`"),
        (status = 422, description = "Every fault")))]
pub(crate) async fn inbox(
    State(app): State<App>,
    caller: Caller<SalesOnly>,
    headers: HeaderMap,
    Query(query): Query<InboxQuery>,
) -> Result<Response, Problem> {
    let csv = request::accepts(&headers, "text/csv");
    let limit = match query.limit {
        None if csv => MOST_RANKED,
        asked => adapters::wire::limit(asked, USUAL_LIMIT)?,
    };
    let active = app.playbooks.active().await?;
    let filter = Filter::read(&query, &active.playbook)?;
    let page = page(&app, &caller, &filter, &active.playbook, limit).await?;
    if csv {
        shown::csv(&page).ok_or_else(Problem::internal)
    } else {
        Ok(http::json(StatusCode::OK, &shown::json(&page)))
    }
}

async fn page(
    app: &App,
    caller: &Caller<SalesOnly>,
    filter: &Filter,
    playbook: &Arc<Playbook>,
    limit: usize,
) -> Result<Page, Problem> {
    let now = app.clock.now();
    let owners = owners(app, caller, filter.owner.as_ref()).await?;
    let (as_of, after) = filter.cursor.clone().map_or((now, None), |(as_of, rank)| (as_of, Some(rank)));
    let (leads, left_out) = standing(app, owners).await?;
    let mut ranked: Vec<(Rank, Lead)> = leads
        .into_iter()
        .filter(|lead| filter.has(lead, playbook, as_of))
        .map(|lead| (Rank::of(&lead, &playbook.promises, as_of), lead))
        .collect();
    ranked.sort_by(|(one, _), (other, _)| one.cmp(other));
    let behind = ranked.partition_point(|(rank, _)| after.as_ref().is_some_and(|after| rank <= after));
    let more = ranked.len() > behind.saturating_add(limit);
    let lines: Vec<Ranked> = ranked
        .into_iter()
        .enumerate()
        .skip(behind)
        .take(limit)
        .map(|(at, (rank, lead))| Ranked { place: at + 1, rank, lead })
        .collect();
    let next = lines.last().filter(|_| more).map(|last| request::inbox_cursor(as_of, &last.rank));
    Ok(Page { playbook: Arc::clone(playbook), lines, next, as_of, marker: now.plus(-UNSEEN_MS), left_out })
}

/// Reads the leads that stand in inboxes, as they are now: one that moved on since the index was read is left out. Gives
/// how many there was no room for, too.
async fn standing(app: &App, owners: Vec<Slug>) -> Result<(Vec<Lead>, usize), Problem> {
    let lists: Vec<Vec<(InboxLine, Slug)>> =
        futures::stream::iter(owners.into_iter().map(|owner| lines(app, owner)))
            .buffered(BESIDE)
            .try_collect()
            .await?;
    let mut lines: Vec<(InboxLine, Slug)> = lists.into_iter().flatten().collect();
    lines.sort_by(|(one, _), (other, _)| {
        (one.promise_due_at, &one.lead).cmp(&(other.promise_due_at, &other.lead))
    });
    let left_out = lines.len().saturating_sub(MOST_RANKED);
    lines.truncate(MOST_RANKED);
    let ids: Vec<LeadId> = lines.iter().map(|(line, _)| line.lead.clone()).collect();
    let mut leads = app.leads.load(&ids).await?;
    // An index that is behind may have a lead in two inboxes.
    leads.sort_by(|one, other| one.id.cmp(&other.id));
    leads.dedup_by(|one, other| one.id == other.id);
    let listed: HashSet<(&LeadId, &Slug)> = lines.iter().map(|(line, owner)| (&line.lead, owner)).collect();
    leads.retain(|lead| {
        let own = |owner: &Slug| listed.contains(&(&lead.id, owner));
        lead.stage.in_inbox() && lead.person.as_ref().is_some_and(own)
    });
    Ok((leads, left_out))
}

async fn lines(app: &App, owner: Slug) -> Result<Vec<(InboxLine, Slug)>, Problem> {
    let (mut lines, mut cursor) = (Vec::new(), None);
    loop {
        let page = app.lists.inbox(&owner, PAGE, cursor.as_deref()).await?;
        lines.extend(page.items.into_iter().map(|line| (line, owner.clone())));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(lines);
        }
    }
}
