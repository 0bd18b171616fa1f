//! The demonstration page: a plain HTML form, the script that a site would paste, and what became of the last leads.
//!
//! The page's own routes need no token, so they answer only to a browser that asked for this machine by its own name:
//! a page elsewhere that resolves its name to this machine (DNS rebinding) gets nothing.

use super::House;
use adapters::http::Problem;
use adapters::ports::LeadLists;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use domain::lead::Lead;
use serde_json::{Map, Value};
use std::sync::Arc;

/// How many leads the page lists.
const LISTED: usize = 10;
/// How many pages of a scan it looks through for them; this is a demonstration, not a report.
const PAGES: usize = 3;

const INDEX: &str = include_str!("site/index.html");
const THANK_YOU: &str = include_str!("site/thank-you.html");
const SCRIPT: &str = include_str!("site/leadloop-form.js");

/// What the page needs.
#[derive(Clone, Debug)]
pub struct Site {
    lists: Arc<dyn LeadLists>,
    dossiers: Router,
    token: HeaderValue,
}

impl Site {
    pub(super) fn new(house: &House, tokens: &Map<String, Value>) -> Self {
        let token = tokens.get("sales").and_then(Value::as_str).unwrap_or_default();
        Self {
            lists: Arc::clone(&house.insights.lists),
            dossiers: sales_feedback::router(house.sales_feedback.clone()).split_for_parts().0,
            token: HeaderValue::from_str(&format!("Bearer {token}")).unwrap_or(HeaderValue::from_static("")),
        }
    }
}

/// Gives the page's routes.
pub fn router(site: Site) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/thank-you", get(|| async { Html(THANK_YOU) }))
        .route("/leadloop-form.js", get(script))
        .route("/last-leads/{lead_id}", get(dossier))
        .layer(from_fn(own_name_only))
        .with_state(site)
}

pub(super) async fn own_name_only(headers: HeaderMap, request: Request, next: Next) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    let own = name == "localhost" || name.parse::<std::net::IpAddr>().is_ok();
    if own {
        next.run(request).await
    } else {
        Problem::not_found("this page answers to this machine's name only").into_response()
    }
}

async fn script() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"))], SCRIPT)
        .into_response()
}

async fn index(State(site): State<Site>) -> Result<Html<String>, Problem> {
    let (mut leads, mut cursor) = (Vec::new(), None);
    for _ in 0..PAGES {
        let page = site.lists.scan(0, 1, cursor.as_deref()).await?;
        leads.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    leads.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    let rows: String = leads.iter().take(LISTED).map(row).collect();
    let rows = if rows.is_empty() {
        "<tr><td colspan=\"5\">None yet: send one of the forms.</td></tr>".to_owned()
    } else {
        rows
    };
    // A page without scripts needs its submission ids from the server.
    let id = || adapters::clock::new_lead_id().to_string();
    Ok(Html(
        INDEX
            .replace("{{submission_id}}", &id())
            .replace("{{leads}}", &rows)
            .replace("{{script}}", &escape(SCRIPT)),
    ))
}

fn row(lead: &Lead) -> String {
    let owner = lead.person.as_ref().map_or_else(|| lead.team().as_str().to_owned(), ToString::to_string);
    format!(
        "<tr><td><a href=\"/last-leads/{id}\">{id}</a></td><td>{label}</td><td>{stage}</td><td>{owner}</td><td>{at}</td></tr>",
        id = lead.id,
        label = lead.score.label,
        stage = lead.stage,
        at = lead.created_at,
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Shows a dossier, asked of the API as sales would ask for it.
async fn dossier(State(site): State<Site>, Path(id): Path<String>) -> Response {
    let request =
        Request::get(format!("/v1/leads/{id}")).header(header::AUTHORIZATION, site.token).body(Body::empty());
    match request {
        Ok(request) => tower::ServiceExt::oneshot(site.dossiers, request).await.into_response(),
        Err(_) => Problem::not_found("no lead has this id").into_response(),
    }
}
