//! Templates over HTTP: listed, read, written, and looked at as a lead would get them.

use crate::App;
use crate::letter::template::{self, BUILT_IN, from_record};
use crate::letter::{Order, Program, Template, Ways, write};
use adapters::http::auth::MarketingOnly;
use adapters::http::versioned::{self, Sent, shown};
use adapters::http::{self, Caller, JsonBody, Problem, Query};
use adapters::mail::Mailbox;
use adapters::ports::CatalogKind;
use adapters::{content, wire};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use domain::content::{Reader, choice};
use domain::identity::{Email, LeadRef, Slug};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How many templates a list gives unless said.
const USUAL_LIMIT: usize = 50;
/// Lets a letter have its looks and its pictures, and run nothing.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; sandbox allow-popups";

/// Gives the routes of templates.
#[must_use]
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, put)).routes(routes!(preview))
}

/// The query of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// How many, 1 to 200; 50 unless said.
    limit: Option<u32>,
    /// Where the page starts: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists templates by id, without what they say. Roles: marketing, admin.
///
/// The built-in template, `default`, is not among them until somebody wrote one in its place.
#[utoipa::path(get, path = "/v1/templates", tag = "nurture", security(("token" = ["marketing"])), params(ListQuery),
    responses((status = 200, description = "The templates by id, with the languages that each has")))]
pub(crate) async fn list(
    State(app): State<App>,
    _: Caller<MarketingOnly>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let limit = wire::limit(query.limit, USUAL_LIMIT)?;
    let page = app.catalog.list(CatalogKind::Template, limit, query.cursor.as_deref()).await;
    let page = page.map_err(|error| Problem::of_list(error, query.cursor.as_deref()))?;
    let mut items = Vec::new();
    for record in &page.items {
        let template = from_record(record)?;
        let languages: Vec<String> =
            template.variants.iter().map(|variant| variant.language.to_string()).collect();
        let by = |name: &str| record.body.get(name).cloned().unwrap_or_default();
        items.push(json!({
            "id": record.id, "version": record.version, "name": template.name, "languages": languages,
            "updated_at": by("updated_at"), "updated_by": by("updated_by"),
        }));
    }
    Ok(http::json(StatusCode::OK, &json!({ "items": items, "next_cursor": page.next })))
}

/// Gives a template. Roles: marketing, admin.
///
/// `default` is there always: the built-in one, with `"built_in": true`, until somebody wrote one in its place.
#[utoipa::path(get, path = "/v1/templates/{template_id}", tag = "nurture", security(("token" = ["marketing"])),
    params(("template_id" = String, Path, description = "The template")),
    responses((status = 200, description = "The template with its version"), (status = 404, description = "No such template")))]
pub(crate) async fn get(
    State(app): State<App>,
    _: Caller<MarketingOnly>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = Slug::parse(&id).map_err(|_| unknown())?;
    let shown = match app.catalog.get(CatalogKind::Template, id.as_str()).await? {
        Some(record) => shown(&record),
        None if id.as_str() == BUILT_IN => built_in().ok_or_else(unknown)?,
        None => return Err(unknown()),
    };
    Ok(http::json(StatusCode::OK, &shown))
}

/// Writes a template, the whole record. Roles: marketing, admin.
///
/// A variant for each language: `subject`, `preheader`, `body` as MJML or HTML, and `text`, which is made of the body where
/// none is given. One variant is the `fallback`. Texts hold `{{ expressions }}`, `{% if %}` and `{% for %}`; what a lead may
/// lack needs a default. Everything that could fail for some lead is a fault now, and every fault is named. Who changes a
/// template sends the `version` that they read; what was sent already changes nothing.
#[utoipa::path(put, path = "/v1/templates/{template_id}", tag = "nurture", security(("token" = ["marketing"])),
    params(("template_id" = String, Path, description = "The template; programs name it")),
    request_body(content = Value, content_type = "application/json", example = json!({"name": "Plain", "variants": [{
        "language": "en", "fallback": true, "subject": "{{ content.title }}",
        "body": "<p>Hello {{ lead.first_name | default(\"there\") }}, <a href=\"{{ content.url }}\">{{ content.title }}</a></p>"}]})),
    responses((status = 200, description = "The template; `status` says whether it changed"),
        (status = 201, description = "The template, which is new"),
        (status = 409, description = "Somebody else changed it: read it again"), (status = 422, description = "Every fault")))]
pub(crate) async fn put(
    State(app): State<App>,
    caller: Caller<MarketingOnly>,
    Path(id): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let id = Slug::parse(&id).map_err(|error| Problem::fault("/template_id", error.to_string()))?;
    let sent = asked(&body, &id)?;
    let (catalog, by) = (app.catalog.as_ref(), (caller.name(), app.clock.now()));
    versioned::put(catalog, (CatalogKind::Template, &id), &sent, sent.value.to_json(), by, from_record).await
}

/// Shows a letter as a lead would get it; nothing is sent, and no link of it is followed by anybody. Roles: marketing, admin.
///
/// Without `content` it is what the lead would get next, or else any piece of the catalog. Links lead where they would, without
/// being counted, and the one that unsubscribes leads nowhere. As JSON it is subject, HTML and text; with `Accept: text/html`
/// the HTML.
#[utoipa::path(post, path = "/v1/templates/{template_id}/preview", tag = "nurture", security(("token" = ["marketing"])),
    params(("template_id" = String, Path, description = "The template")),
    request_body(content = Value, content_type = "application/json", example = json!({
        "lead": {"email": "ada@company.example"}, "program": "newcomers", "content": "savings"})),
    responses((status = 200, description = "The letter; the HTML alone with `Accept: text/html`"),
        (status = 404, description = "No such template or lead"),
        (status = 409, description = "There is no content yet, or it cannot be shown"), (status = 422, description = "Every fault")))]
pub(crate) async fn preview(
    State(app): State<App>,
    _: Caller<MarketingOnly>,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let asked = asked_preview(&body)?;
    let id = Slug::parse(&id).map_err(|_| unknown())?;
    let template = template::template(app.catalog.as_ref(), id.as_str()).await?.ok_or_else(unknown)?;
    let lead = app.write_path.look_up(&asked.lead).await?;
    let lead = lead.ok_or_else(|| Problem::not_found("no lead is known by this reference"))?;
    let playbook = app.playbooks.version(lead.playbook_version).await?;
    let now = app.clock.now();
    let shown = match &asked.content {
        Some(id) => {
            let record = app.catalog.get(CatalogKind::Content, id.as_str()).await?;
            let record = record
                .ok_or_else(|| Problem::fault("/content", "is no content; GET /v1/content lists it"))?;
            content::content(&record)?
        }
        None => {
            let (all, known) = (
                content::contents(app.catalog.as_ref()).await?,
                content::latest(app.catalog.as_ref()).await?,
            );
            let next = choice::next(&Reader::of(&lead), &all, &known.results, now.day());
            let next = next.chosen().map(|ranked| ranked.content.clone());
            let none = || {
                Problem::conflict("there is no content that a letter could bring; PUT /v1/content/{id} first")
            };
            next.or_else(|| all.first().cloned()).ok_or_else(none)?
        }
    };
    let program = match &asked.program {
        Some(id) => {
            let program = playbook.programs.iter().find(|program| program.id == *id);
            program.ok_or_else(|| Problem::fault("/program", "is no program of the lead's playbook"))?.into()
        }
        None => Program { id: &id, name: "Preview" },
    };
    let nobody = Email::parse("sender@preview.invalid").map_err(|_| Problem::internal())?;
    let nobody = Mailbox { name: None, email: nobody };
    let order = Order {
        lead: &lead,
        number: 1,
        playbook: &playbook,
        program,
        content: &shown,
        why: None,
        template: &template,
        from: app.post.as_ref().map_or(&nobody, |post| &post.from),
        ways: Ways::Shown,
        now,
    };
    let written = write(&order).map_err(|error| Problem::conflict(error.to_string()))?;
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        let mut response = Html(written.html).into_response();
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        return Ok(response);
    }
    Ok(http::json(
        StatusCode::OK,
        &json!({
            "lead_id": lead.id.as_str(), "template": template.id.as_str(), "content": shown.id.as_str(),
            "language": written.language, "subject": written.subject, "html": written.html, "text": written.text,
        }),
    ))
}

/// What a preview is asked for.
struct Preview {
    lead: LeadRef,
    program: Option<Slug>,
    content: Option<Slug>,
}

fn asked_preview(body: &Value) -> Result<Preview, Problem> {
    wire::one(body, |node| {
        let object = node.object()?;
        let lead = object.required("lead").and_then(|node| wire::lead_ref(&node));
        let slug = |name: &'static str| object.optional(name).map(|node| node.parsed(Slug::parse));
        let (program, content) = (slug("program"), slug("content"));
        object.finish();
        Some(Preview {
            lead: lead?,
            program: program.map_or(Some(None), |id| id.map(Some))?,
            content: content.map_or(Some(None), |id| id.map(Some))?,
        })
    })
}

fn unknown() -> Problem {
    Problem::not_found("no template has this id; GET /v1/templates lists them")
}

/// Reads what is sent, with the version that its sender read.
fn asked(body: &Value, id: &Slug) -> Result<Sent<Template>, Problem> {
    wire::one(body, |node| {
        let object = node.object()?;
        let template = Template::read(&object, id.clone());
        let version = versioned::version(&object, id, &["built_in"]);
        object.finish();
        Some(Sent { value: template?, version: version? })
    })
}

fn built_in() -> Option<Value> {
    let template = Template::built_in()?;
    let mut json = template.to_json();
    let map = json.as_object_mut()?;
    map.insert("id".to_owned(), template.id.as_str().into());
    map.insert("built_in".to_owned(), true.into());
    Some(json)
}
