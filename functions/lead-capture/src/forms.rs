//! Public forms: what browsers and the pages' scripts send.
//!
//! A form's definition in the playbook says where each field goes. Fields that it does not name are kept as
//! properties of the activity: a field that somebody added to the page and not yet to the playbook must not cost a
//! lead. What makes a submission a repeat is its hidden `submission_id`; failing that an `Idempotency-Key`; failing
//! that the same content within ten minutes.
//!
//! INVARIANT: the answer depends only on what was sent, never on what is stored, so that a stranger cannot learn
//! whether an address is known.

use crate::{App, accepted};
use adapters::http::body::parse_json;
use adapters::http::{BodyBytes, Problem, escape};
use adapters::wire;
use adapters::write_path::About;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use domain::activity::{Activity, parse_kind};
use domain::attribute::{
    AttributeName, AttributeValue, LONGEST_TEXT, NewAttribute, normalise, read_properties,
};
use domain::change::{Capture, Entry, Fact, Incoming, entry_id};
use domain::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use domain::fault::{Fault, Faults};
use domain::identity::{AnonymousId, Email, Identity, LeadRef, Phone};
use domain::lead::{Company, Touch};
use domain::playbook::{Form, FormTarget};
use domain::reader::Node;
use domain::sales::DeliveryId;
use domain::time::{MINUTE_MS, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How much of a visitor's activity joins the lead that the visitor turns out to be.
const REPLAYED: usize = 40;
/// How many fields a submission may have.
const MOST_FIELDS: usize = 100;
/// The longest message, in characters.
const LONGEST_MESSAGE: usize = 10_000;
/// Within which time the same content is the same submission, in milliseconds.
const SAME_WITHIN_MS: i64 = 10 * MINUTE_MS;

/// A submission as it was sent: texts by field, in whatever way they came.
type Fields = BTreeMap<String, String>;

/// Answers a form submission.
pub async fn submit(
    app: &App,
    form_id: &str,
    headers: &HeaderMap,
    body: Result<BodyBytes, Problem>,
) -> Response {
    let browser = wants_html(headers);
    let form = match find(app, form_id).await {
        Ok(found) => found,
        Err(problem) => return refuse(&problem, browser),
    };
    let response = match take(app, &form, headers, body).await {
        Ok(()) => thank(&form, browser),
        Err(problem) => refuse(&problem, browser),
    };
    with_cors(response, &form, headers)
}

async fn find(app: &App, form_id: &str) -> Result<Form, Problem> {
    let version = app.playbooks.active().await?;
    match version.playbook.form(form_id) {
        Some(form) => Ok(form.clone()),
        None => Err(Problem::not_found(
            "no form of this name stands in the playbook; its forms are listed under \"forms\"",
        )),
    }
}

async fn take(
    app: &App,
    form: &Form,
    headers: &HeaderMap,
    body: Result<BodyBytes, Problem>,
) -> Result<(), Problem> {
    if !may_post(form, headers) {
        return Err(Problem::forbidden("the page's origin is not among the form's allowed_origins"));
    }
    let BodyBytes(bytes) = body?;
    let fields = read(headers, bytes).await?;
    if form
        .honeypot
        .as_ref()
        .is_some_and(|trap| fields.get(trap).is_some_and(|value| !value.trim().is_empty()))
    {
        tracing::info!(form = form.id.as_str(), "a machine filled in the honeypot");
        return Ok(());
    }
    let now = app.clock.now();
    let submission = submission(&fields, form, now).map_err(Problem::invalid)?;
    let (delivery, earlier) =
        delivery(&fields, form, headers, now).map_err(|detail| Problem::fault("", detail))?;
    let delivery = came_before(app, &submission.identities, earlier).await?.unwrap_or(delivery);
    let visitor = submission.identities.iter().find_map(|identity| match identity {
        Identity::Anonymous(id) => Some(id.clone()),
        _ => None,
    });
    let by = format!("form:{}", form.id);
    let fact = Fact::Captured(Box::new(submission.capture));
    let mut facts = vec![Incoming { delivery, occurred_at: now, history: false, by, strict: false, fact }];
    if let Some(visitor) = visitor {
        let entries = app.visitors.recall(&visitor, REPLAYED).await?;
        facts.extend(entries.into_iter().filter_map(replayed));
    }
    app.write_path.record(&About::Anybody(submission.identities), &facts).await?;
    Ok(())
}

fn replayed(entry: Entry) -> Option<Incoming> {
    Some(Incoming {
        delivery: DeliveryId::parse(&entry.id)?,
        occurred_at: entry.at,
        history: false,
        by: entry.by,
        strict: false,
        fact: entry.fact,
    })
}

/// Chooses the id of the delivery: the sender's own, failing that one made from the content and the time. With the
/// latter comes the id that the same content would have had a window earlier.
fn delivery(
    fields: &Fields,
    form: &Form,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<(DeliveryId, Option<DeliveryId>), String> {
    let own = fields.get("submission_id").map(|id| id.trim()).filter(|id| !id.is_empty());
    let source = format!("form {}", form.id);
    if let Some(id) = own {
        return Ok((DeliveryId::new(&source, id), None));
    }
    if let Some(key) = wire::idempotency_key(headers)? {
        return Ok((DeliveryId::new(&format!("{source} key"), &key), None));
    }
    let window = now.millis().div_euclid(SAME_WITHIN_MS);
    let content = json!(fields);
    let in_window =
        |window: i64| DeliveryId::new(&format!("{source} content"), &format!("{window} {content}"));
    Ok((in_window(window), Some(in_window(window - 1))))
}

/// Gives the id under which the lead has the same content from the window before, if it does.
async fn came_before(
    app: &App,
    identities: &[Identity],
    earlier: Option<DeliveryId>,
) -> Result<Option<DeliveryId>, Problem> {
    let (Some(earlier), Some(identity)) =
        (earlier, identities.iter().min_by_key(|identity| identity.strength()))
    else {
        return Ok(None);
    };
    let lead = app.write_path.look_up(&LeadRef::Known(identity.clone())).await?;
    Ok(lead.filter(|lead| lead.remembers(earlier)).map(|_| earlier))
}

/// What a submission comes to.
struct Submission {
    identities: Vec<Identity>,
    capture: Capture,
}

fn submission(fields: &Fields, form: &Form, now: Timestamp) -> Result<Submission, Vec<Fault>> {
    let faults = Faults::new();
    let at = |name: &str| format!("/{}", name.replace('~', "~0").replace('/', "~1"));
    let mut identities = Vec::new();
    let mut capture = Capture { public: true, responded: true, ..Capture::default() };
    let mut properties: BTreeMap<String, AttributeValue> = BTreeMap::new();
    let mut unclear_phone: Option<(String, String)> = None;
    let given = |name: &str| fields.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    for name in form.required.iter().filter(|name| given(name).is_none()) {
        faults.add(at(name), "is required");
    }
    for (name, target) in &form.fields {
        let Some(value) = given(name) else { continue };
        let most = if matches!(target, FormTarget::Property(_)) { LONGEST_MESSAGE } else { LONGEST_TEXT };
        if value.chars().count() > most {
            faults.add(at(name), format!("is longer than {most} characters"));
            continue;
        }
        let text = AttributeValue::Text(value.to_owned());
        match target {
            FormTarget::Email => match Email::parse(value) {
                Ok(email) => identities.push(Identity::Email(email)),
                Err(error) => faults.add(at(name), error.to_string()),
            },
            FormTarget::Phone => match Phone::parse(value) {
                Ok(phone) => identities.push(Identity::Phone(phone)),
                Err(_) => unclear_phone = Some((name.clone(), value.to_owned())),
            },
            FormTarget::CompanyName => {
                capture.company =
                    Company { name: Some(value.chars().take(200).collect()), ..Company::default() };
            }
            FormTarget::Attribute(attribute) => {
                let value = normalise(attribute, text);
                capture.attributes.insert(attribute.clone(), NewAttribute { value, known_at: Some(now) });
            }
            FormTarget::Property(property) => {
                properties.insert(property.clone(), text);
            }
        }
    }
    if let Some((name, value)) = unclear_phone {
        if identities.is_empty() {
            faults.add(at(&name), domain::identity::IdentityError::Phone.to_string());
        } else if let Ok(attribute) = AttributeName::parse("phone_as_given") {
            // Nobody can be known by it, and sales can still make sense of it.
            let value = AttributeValue::Text(value);
            capture.attributes.insert(attribute, NewAttribute { value, known_at: Some(now) });
        }
    }
    if identities.is_empty() && faults.is_empty() {
        let wanted =
            form.fields.iter().find(|(_, target)| matches!(target, FormTarget::Email | FormTarget::Phone));
        faults.add(at(wanted.map_or("email", |(name, _)| name)), "is required: nobody can answer without it");
    }
    if let Some(id) = given("anonymous_id") {
        match AnonymousId::parse(id) {
            Ok(id) => identities.push(Identity::Anonymous(id)),
            Err(error) => faults.add("/anonymous_id", error.to_string()),
        }
    }
    for tick in form.consents.iter().filter(|tick| given(&tick.field).is_some_and(ticked)) {
        capture.consents.push(ConsentFact {
            purpose: tick.purpose,
            // Whether it counts at once is for the domain to decide, which knows the lead.
            status: ConsentStatus::Pending,
            basis: Basis::Consent,
            text: Some(tick.text.clone()),
            source: Some(format!("form:{}", form.id)),
            at: now,
        });
    }
    capture.touch = touch(fields, now);
    properties.insert("form".to_owned(), AttributeValue::Text(form.id.as_str().to_owned()));
    for (name, value) in fields {
        let known = form.fields.contains_key(name)
            || form.honeypot.as_ref() == Some(name)
            || matches!(name.as_str(), "submission_id" | "anonymous_id");
        let value = value.trim();
        if !known && !value.is_empty() && properties.len() < 50 && name.chars().count() <= 64 {
            let value: String = value.chars().take(LONGEST_TEXT).collect();
            properties.entry(name.clone()).or_insert(AttributeValue::Text(value));
        }
    }
    capture.activity = Some(Activity { kind: form.activity.clone(), properties });
    faults.into_result(Some(Submission { identities, capture }))
}

/// Tells whether a box was ticked. A browser sends a box only when it is, with any value; scripts and hidden twins of
/// boxes also send the values for "no".
fn ticked(value: &str) -> bool {
    const NO: &[&str] =
        &["", "false", "0", "no", "n", "off", "null", "none", "undefined", "nein", "non", "nee", "nej"];
    value.split(',').any(|part| !NO.contains(&part.trim().to_ascii_lowercase().as_str()))
}

/// Reads where the visitor came from: UTM parameters and the landing page.
fn touch(fields: &Fields, at: Timestamp) -> Option<Touch> {
    let given = |name: &str| {
        let value = fields.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())?;
        Some(value.chars().take(300).collect::<String>())
    };
    let channel = channel(given("utm_medium").as_deref(), given("utm_source").as_deref());
    let touch = Touch { at, channel, campaign: given("utm_campaign"), landing_page: given("landing_page") };
    (touch.channel.is_some() || touch.campaign.is_some() || touch.landing_page.is_some()).then_some(touch)
}

/// Names the channel that UTM parameters mean, in the words of the usual default channel groups.
fn channel(medium: Option<&str>, source: Option<&str>) -> Option<String> {
    let medium = medium.map(str::to_ascii_lowercase);
    let channel = match medium.as_deref() {
        Some("cpc" | "ppc" | "paidsearch" | "paid_search" | "paid-search") => "paid_search",
        Some("organic" | "organic_search") => "organic_search",
        Some("email" | "e-mail" | "newsletter") => "email",
        Some("social" | "social-network" | "social-media" | "sm") => "social",
        Some("paid_social" | "paidsocial" | "paid-social" | "cpm_social") => "paid_social",
        Some("display" | "banner" | "cpm") => "display",
        Some("referral") => "referral",
        Some("affiliate") => "affiliate",
        Some(other) => return Some(other.to_owned()),
        None => return source.map(str::to_ascii_lowercase),
    };
    Some(channel.to_owned())
}

async fn read(headers: &HeaderMap, bytes: Bytes) -> Result<Fields, Problem> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let fields = match kind.as_str() {
        "application/x-www-form-urlencoded" => {
            let mut fields = Fields::new();
            for (name, value) in form_urlencoded::parse(&bytes) {
                add(&mut fields, name.into_owned(), &value);
            }
            fields
        }
        "multipart/form-data" => multipart(content_type, bytes).await?,
        // `text/plain` is what a browser's beacon sends without asking first.
        "application/json" | "text/plain" | "" => flat(&parse_json(&bytes)?)?,
        _ => {
            return Err(Problem::unreadable(
                "the Content-Type is not known here; expected application/json, application/x-www-form-urlencoded or multipart/form-data",
            ));
        }
    };
    if fields.len() > MOST_FIELDS {
        return Err(Problem::fault(
            "",
            format!("has {} fields; a form may have {MOST_FIELDS}", fields.len()),
        ));
    }
    Ok(fields)
}

/// Adds a field; several of one name, as of boxes and lists, are joined.
fn add(fields: &mut Fields, name: String, value: &str) {
    fields
        .entry(name)
        .and_modify(|known| {
            if !value.is_empty() {
                known.push_str(", ");
                known.push_str(value);
            }
        })
        .or_insert_with(|| value.to_owned());
}

async fn multipart(content_type: &str, bytes: Bytes) -> Result<Fields, Problem> {
    let broken =
        |_| Problem::unreadable("is not multipart/form-data; expected parts between the declared boundary");
    let boundary = multer::parse_boundary(content_type).map_err(broken)?;
    let stream = futures::stream::once(async move { Ok::<_, std::convert::Infallible>(bytes) });
    let mut parts = multer::Multipart::new(stream, boundary);
    let mut fields = Fields::new();
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        let Some(name) = part.name().map(str::to_owned) else { continue };
        if part.file_name().is_some() {
            // Files are not kept; that one was sent is said, so that nobody looks for it in vain.
            add(&mut fields, name, "(file not kept)");
            continue;
        }
        let text = part.text().await.map_err(broken)?;
        add(&mut fields, name, &text);
    }
    Ok(fields)
}

/// Takes the fields of a JSON submission as texts.
fn flat(body: &Value) -> Result<Fields, Problem> {
    let Value::Object(map) = body else {
        return Err(Problem::fault("", "is not an object; expected the form's fields by name"));
    };
    let mut fields = Fields::new();
    let mut faults = Vec::new();
    for (name, value) in map {
        match value {
            Value::Null => {}
            Value::String(text) => add(&mut fields, name.clone(), text),
            Value::Bool(flag) => add(&mut fields, name.clone(), if *flag { "true" } else { "false" }),
            Value::Number(number) => add(&mut fields, name.clone(), &number.to_string()),
            Value::Array(items) if items.iter().all(|item| item.is_string() || item.is_number()) => {
                for item in items {
                    add(
                        &mut fields,
                        name.clone(),
                        item.as_str().map_or(item.to_string(), str::to_owned).as_str(),
                    );
                }
            }
            Value::Array(_) | Value::Object(_) => faults.push(Fault {
                pointer: format!("/{}", name.replace('~', "~0").replace('/', "~1")),
                detail: "is an object; expected a text, a number, true or false, or a list of texts"
                    .to_owned(),
            }),
        }
    }
    if faults.is_empty() { Ok(fields) } else { Err(Problem::invalid(faults)) }
}

/// Answers activity from a page's script: always in the same words.
pub async fn page_activity(
    app: &App,
    form_id: &str,
    headers: &HeaderMap,
    body: Result<BodyBytes, Problem>,
) -> Response {
    let response = accepted();
    let Ok(form) = find(app, form_id).await else { return response };
    if may_post(&form, headers)
        && let Ok(BodyBytes(bytes)) = body
        && let Ok(body) = parse_json(&bytes)
        && let Ok((visitor, entries)) = wire::one(&body, |node| visit(node, &form, app.clock.now()))
        && let Err(problem) = remember(app, visitor, entries).await
    {
        // Nobody waits for the answer; it is logged by the problem itself.
        tracing::warn!(status = problem.status(), "page activity was lost");
    }
    with_cors(response, &form, headers)
}

async fn remember(app: &App, visitor: AnonymousId, entries: Vec<Entry>) -> Result<(), Problem> {
    let identity = Identity::Anonymous(visitor.clone());
    match app.write_path.look_up(&LeadRef::Known(identity.clone())).await? {
        None => {
            app.visitors.remember(&visitor, &entries).await?;
            return Ok(());
        }
        // Who took it back is no longer watched, whatever the page's script says.
        Some(lead) if lead.consents.status(Purpose::Tracking) == Some(ConsentStatus::Withdrawn) => {
            return Ok(());
        }
        Some(_) => {}
    }
    let facts: Vec<Incoming> = entries.into_iter().filter_map(replayed).collect();
    app.write_path.record(&About::Anybody(vec![identity]), &facts).await?;
    Ok(())
}

/// Reads what a page's script reports; nothing without consent to tracking.
fn visit(node: &Node<'_>, form: &Form, now: Timestamp) -> Option<(AnonymousId, Vec<Entry>)> {
    let object = node.object()?;
    let visitor = object.required("anonymous_id").and_then(|node| node.parsed(AnonymousId::parse));
    let consent = object.required("consent").and_then(|node| node.object());
    let agreed = consent.and_then(|consent| consent.required("tracking").and_then(|node| node.boolean()));
    if agreed != Some(true) {
        object.fault("comes without consent to tracking");
    }
    let activities = object.required("activities").and_then(|node| node.list()).unwrap_or_default();
    if activities.len() > REPLAYED {
        object.fault(format!("reports {} activities; expected at most {REPLAYED}", activities.len()));
    }
    let mut entries = Vec::new();
    for activity in activities {
        let Some(activity) = activity.object() else { continue };
        let kind = activity.required("kind").and_then(|node| {
            let kind = node.parsed(parse_kind)?;
            if !form.page_activities.contains(&kind) {
                node.fault("is not among the form's page_activities");
                return None;
            }
            Some(kind)
        });
        let when = wire::occurred_at(&activity, now);
        let properties =
            activity.optional("properties").map(|node| read_properties(&node)).unwrap_or_default();
        let id = activity.optional("id").and_then(|node| node.text(200));
        activity.finish();
        let (Some(kind), Some(when), Some(visitor)) = (kind, when, &visitor) else { continue };
        let delivery = match id {
            Some(id) => DeliveryId::new(&format!("visitor {}", visitor.as_str()), id),
            None => wire::unrepeatable(),
        };
        entries.push(Entry {
            id: entry_id(when.at, delivery),
            at: when.at,
            recorded_at: now,
            by: format!("page:{}", form.id),
            history: false,
            fact: Fact::Activity(Activity { kind, properties }),
            effects: Vec::new(),
            playbook_version: 0,
        });
    }
    object.finish();
    Some((visitor?, entries))
}

/// Answers a browser's question whether a page may post.
pub async fn preflight(app: &App, form_id: &str, headers: &HeaderMap) -> Response {
    let response = StatusCode::NO_CONTENT.into_response();
    match find(app, form_id).await {
        Ok(form) => with_cors(response, &form, headers),
        Err(_) => response,
    }
}

fn origin(headers: &HeaderMap) -> Option<String> {
    headers.get(header::ORIGIN).and_then(|value| value.to_str().ok()).map(str::to_ascii_lowercase)
}

/// Tells whether the page may post the form. A request without an origin comes from no page: a server, a test. A page
/// that the API's own host serves may always post.
fn may_post(form: &Form, headers: &HeaderMap) -> bool {
    let Some(origin) = origin(headers) else { return true };
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).map(str::to_ascii_lowercase);
    let of_page = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let own = of_page.is_some() && of_page == host.as_deref();
    form.allowed_origins.is_empty() || own || form.allowed_origins.contains(&origin)
}

fn with_cors(mut response: Response, form: &Form, headers: &HeaderMap) -> Response {
    let out = response.headers_mut();
    out.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin(headers).filter(|_| may_post(form, headers))
        && let Ok(origin) = HeaderValue::from_str(&origin)
    {
        out.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        out.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, OPTIONS"));
        out.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("content-type, idempotency-key"),
        );
        out.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    }
    response
}

/// Tells a plain HTML form from a script: a browser that navigates asks for a page.
fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("text/html")
}

fn thank(form: &Form, browser: bool) -> Response {
    if !browser {
        return accepted();
    }
    match form.thank_you.as_ref().and_then(|url| HeaderValue::from_str(url).ok()) {
        Some(url) => {
            let mut response = StatusCode::SEE_OTHER.into_response();
            response.headers_mut().insert(header::LOCATION, url);
            response
        }
        None => page(StatusCode::OK, "Thank you", "<p>We have received what you sent.</p>"),
    }
}

fn refuse(problem: &Problem, browser: bool) -> Response {
    if !browser {
        return problem.clone().into_response();
    }
    let mut list = String::new();
    for fault in problem.faults() {
        let field = fault.pointer.trim_start_matches('/');
        list.push_str(&format!("<li><strong>{}</strong> {}</li>", escape(field), escape(&fault.detail)));
    }
    let json = problem.to_json();
    let detail = json.get("detail").and_then(Value::as_str).unwrap_or_default();
    let body =
        if list.is_empty() { format!("<p>{}</p>", escape(detail)) } else { format!("<ul>{list}</ul>") };
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = format!("{body}<p>Please go back and try again; what you wrote is still there.</p>");
    page(status, "That did not work yet", &body)
}

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><body style=\"font: 1rem/1.5 system-ui; max-width: 36rem; margin: 4rem auto; padding: 0 1rem\">\
         <h1>{title}</h1>{body}</body></html>"
    );
    (status, Html(html)).into_response()
}
