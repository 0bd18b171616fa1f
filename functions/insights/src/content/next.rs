//! The next piece of content for a lead, and why.

use super::written;
use crate::App;
use adapters::content::{contents, latest};
use adapters::evidence::keywords;
use adapters::http::auth::MarketingAndSales;
use adapters::http::{self, Caller, Problem};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::content::choice::next;
use domain::content::matrix::{demand, missing};
use domain::content::{Content, Reader};
use domain::identity::LeadId;

/// Gives the next piece of content for a lead: it fits persona, phase and language, holds today, and the lead has not had it.
/// Roles: marketing, sales, admin.
///
/// Ranked by what it did for leads of the same persona and phase: the rate of those who moved on or were won within 30 days,
/// drawn towards the average there by 20 average leads. One lead in five gets what fewer than 30 such leads had so far. The
/// answer says why, names the runners-up, and counts what was left out by reason. Where nothing fits, `content` is null and
/// `gap` says what is missing. The same lead gets the same answer all day, unless it or the content changes.
#[utoipa::path(get, path = "/v1/leads/{lead_id}/next-content", tag = "content", security(("token" = ["marketing", "sales"])),
    params(("lead_id" = String, Path, description = "The lead")),
    responses((status = 200, description = "The content, or what is missing"), (status = 404, description = "No such lead")))]
pub(crate) async fn next_content(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = LeadId::parse(&id).map_err(|error| Problem::not_found(format!("the lead id {error}")))?;
    let lead = app.leads.load(std::slice::from_ref(&id)).await?.pop();
    let lead = lead.ok_or_else(|| Problem::not_found("no lead has this id"))?;
    let (catalog, known) = (contents(app.catalog.as_ref()).await?, latest(app.catalog.as_ref()).await?);
    let now = app.clock.now();
    let reader = Reader::of(&lead);
    let choice = next(&reader, &catalog, &known.results, now.day());
    let missing = match choice.chosen() {
        Some(_) => None,
        None => {
            let active = app.playbooks.active().await?;
            let demand = demand(&active.playbook, &keywords(app.catalog.as_ref()).await?);
            let speaks = |content: &&Content| {
                content.stale(now.day()).is_none()
                    && content.is_for(reader.persona)
                    && content.is_in(reader.phase)
                    && reader.tongue.takes(content.language.as_ref())
            };
            let own: Vec<&Content> = catalog.iter().filter(speaks).collect();
            Some(written::topics(&active.playbook, &missing(&demand, &own)))
        }
    };
    Ok(http::json(StatusCode::OK, &written::choice(&reader, &choice, missing, known.as_of, now)))
}
