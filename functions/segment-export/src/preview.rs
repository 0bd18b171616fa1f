//! The preview: how many leads a condition keeps, which ten of them, and which of its lines throws away whom. Of a segment,
//! or of a condition that stands in no playbook yet.

use crate::scan::Scan;
use crate::{App, SAMPLE, no_segment, request, response};
use adapters::http::auth::MarketingOnly;
use adapters::http::{self, Caller, JsonBody, Problem};
use adapters::playbooks::Version;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::condition::Condition;
use domain::evaluation::Evaluation;
use domain::playbook::diff::condition_of;
use domain::segment::Sieve;
use serde_json::{Value, json};
use tokio::time::Instant;

/// Counts a segment's leads, shows ten of them, and tells line by line whom its condition throws away. Roles: marketing,
/// admin.
///
/// Membership is evaluated now, with the active playbook. Looks at every lead for up to 20 seconds; where that did not
/// suffice, `complete` is false and the numbers are of the leads looked at so far. An export always looks at all. `parts`
/// has each part of the condition, the whole first: how many leads meet it, do not, or cannot be said to; for the lines of
/// an outermost `all` also how many are `left` after it, and how many it `drops_alone`, which meet all other lines.
#[utoipa::path(get, path = "/v1/segments/{segment_id}/preview", tag = "segments", security(("token" = ["marketing"])),
    params(("segment_id" = String, Path, description = "The segment")),
    responses((status = 200, description = "The count, a sample, and what each part keeps"), (status = 404, description = "No such segment")))]
pub(crate) async fn preview(
    State(app): State<App>,
    _: Caller<MarketingOnly>,
    Path(segment): Path<String>,
) -> Result<Response, Problem> {
    let version = app.playbooks.active().await?;
    let known = version.playbook.segment(&segment).ok_or_else(no_segment)?;
    let document = app.playbooks.document(version.number).await?;
    let written = condition_of(&document, "segments", &segment).ok_or_else(no_segment)?;
    let mut body = look(&app, &version, &known.when, written, &document).await?;
    if let Some(map) = body.as_object_mut() {
        map.insert("segment_id".to_owned(), segment.into());
    }
    Ok(http::json(StatusCode::OK, &body))
}

/// Counts the leads that a condition would keep which stands in no playbook yet. Roles: marketing, admin.
///
/// The answer is that of a segment's preview. The condition may speak of the active playbook's signals, regions and
/// segments.
#[utoipa::path(post, path = "/v1/segments/preview", tag = "segments", security(("token" = ["marketing"])),
    request_body(content = Value, content_type = "application/json", example = json!({"where": {"all": [
        {"attribute": "country", "in": ["AT", "DE"]}, {"engagement": {"at_least": 10}}]}})),
    responses((status = 200, description = "The count, a sample, and what each part keeps"), (status = 422, description = "Every fault")))]
pub(crate) async fn preview_unsaved(
    State(app): State<App>,
    _: Caller<MarketingOnly>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let version = app.playbooks.active().await?;
    let (condition, written) = request::condition(&body, &version.playbook)?;
    let document = app.playbooks.document(version.number).await?;
    let body = look(&app, &version, &condition, &written, &document).await?;
    Ok(http::json(StatusCode::OK, &body))
}

/// Says what may be counted short: days are kept as far back as the playbook looks, before that only sums.
fn cautions(condition: &Condition, kept: i32) -> Vec<String> {
    let window = condition.lookback_days();
    let short = (window > kept).then(|| {
        format!(
            "looks {window} days back, and the playbook {kept}: signals that were seen before may be counted short until a \
             playbook that looks as far back is active"
        )
    });
    short.into_iter().collect()
}

/// Lets all leads fall through a condition.
async fn look(
    app: &App,
    version: &Version,
    condition: &Condition,
    written: &Value,
    document: &Value,
) -> Result<Value, Problem> {
    let deadline = Instant::now() + app.answer_within;
    let now = app.clock.now();
    let playbook = &version.playbook;
    let (mut count, mut looked_at, mut sample) = (0_u64, 0_u64, Vec::new());
    let (mut scan, mut sieve, mut late) = (Scan::all(), Sieve::new(condition), false);
    while !scan.is_over() && !late && Instant::now() < deadline {
        for lead in &scan.round(app.lists.as_ref()).await? {
            if looked_at > 0 && Instant::now() > deadline {
                late = true;
                break;
            }
            looked_at += 1;
            let found = Evaluation::of(lead, playbook, now.day());
            if sieve.add(&found.view(lead, now.day())) {
                count += 1;
                if sample.len() < SAMPLE {
                    sample.push(response::sample(lead, &found.score));
                }
            }
        }
    }
    let parts: Vec<Value> = sieve.kept().iter().map(|kept| response::kept(kept, written, document)).collect();
    Ok(json!({
        "count": count, "looked_at": looked_at, "complete": scan.is_over() && !late, "sample": sample,
        "parts": parts, "caution": cautions(condition, playbook.lookback_days),
        "as_of": now.to_string(), "playbook_version": version.number,
    }))
}
