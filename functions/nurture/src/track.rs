//! What becomes of a mail: its pixel was loaded, its links were followed.
//!
//! * **The reader comes first.** A pixel is always a pixel, and a link that we signed always leads on: also where its lead is
//!   gone, and where what happened cannot be recorded, which is logged and lost. Nobody waits for long either:
//!   writing is tried for [`GIVE_UP_AFTER`].
//! * **Nowhere but where we said.** A link leads to the address that stands in its token, letter by letter. What is not
//!   signed, was changed, or has ended gets a page that says so, and never another address.
//! * **One read and one write**: the token says all but the lead itself; keys and playbooks are known already.
//! * **Nothing of it stays anywhere**: no cache keeps an answer, and no address of ours goes to where the reader leads next.
//! * **Who it was**, a person or a machine, is judged by the rules of [`domain::machine`]. Every open and every click is a fact
//!   of its own; none is thrown away.
//!
//! A browser's anonymous id is not joined here. It lives with the company's site, in its own storage; a request to us has
//! nothing of it but for a cookie of ours, and we set none.

use crate::App;
use crate::consent::page;
use crate::consent::words::Words;
use crate::link::{self, Mail, Target};
use adapters::clock::fresh_secret;
use adapters::http::Problem;
use adapters::signed_link::Refused;
use adapters::write_path::{About, RecordError};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::activity::Activity;
use domain::attribute::{AttributeValue, LONGEST_TEXT};
use domain::change::nurture::MAIL;
use domain::change::{Fact, Incoming};
use domain::identity::{LeadRef, Slug};
use domain::machine::{MACHINE, Request};
use domain::sales::DeliveryId;
use domain::time::Timestamp;
use maud::html;
use std::collections::BTreeMap;
use std::time::Duration;

/// For how long recording is tried while somebody waits.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(2);

/// A transparent GIF of one pixel.
pub const PIXEL: &[u8] = &[
    0x47, 0x49, 0x46, 0x38, 0x39, 0x61, 0x01, 0x00, 0x01, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff,
    0xff, 0xff, 0x21, 0xf9, 0x04, 0x01, 0x00, 0x00, 0x00, 0x00, 0x2c, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00,
    0x01, 0x00, 0x00, 0x02, 0x02, 0x44, 0x01, 0x00, 0x3b,
];

/// Shows that a mail was opened, by a transparent picture of one pixel. Public: the signed link of the mail lets in.
///
/// It answers the picture whatever became of recording it, and also where the link is none of ours.
#[utoipa::path(get, path = "/t/o/{token}", tag = "nurture",
    params(("token" = String, Path, description = "The signed token of the mail's picture")),
    responses((status = 200, description = "The picture", content_type = "image/gif")))]
pub(crate) async fn opened(
    State(app): State<App>,
    method: Method,
    headers: HeaderMap,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Response {
    let token = path.map(|Path(token)| token).unwrap_or_default();
    match link::opened(&app.links, &token).await {
        Ok(Ok(mail)) => record(&app, &mail, "email_opened", None, &method, &headers).await,
        Ok(Err(_)) => {}
        Err(error) => lost(&error),
    }
    let mut response = PIXEL.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("image/gif"));
    kept_nowhere(response)
}

/// Leads on to where a link of a mail leads, and shows that it was followed. Public: the signed link of the mail lets in.
///
/// The address is the one that was signed when the mail was written. A `HEAD` is answered alike, and is a machine's.
#[utoipa::path(method(get, head), path = "/t/c/{token}", tag = "nurture",
    params(("token" = String, Path, description = "The signed token of the mail's link")),
    responses((status = 302, description = "Onwards, to the address that was signed"),
        (status = 404, description = "The link is none of ours; a page, in HTML", content_type = "text/html"),
        (status = 410, description = "The link has ended; a page, in HTML", content_type = "text/html"),
        (status = 503, description = "Whether the link is ours cannot be told now")))]
pub(crate) async fn clicked(
    State(app): State<App>,
    method: Method,
    headers: HeaderMap,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Response {
    let token = path.map(|Path(token)| token).unwrap_or_default();
    let (mail, target) = match link::clicked(&app.links, &token).await {
        Ok(Ok(clicked)) => clicked,
        Ok(Err(refused)) => return refusal(refused),
        Err(error) => {
            lost(&error);
            return kept_nowhere(Problem::from(error).into_response());
        }
    };
    // Signed addresses are in letters that a header may hold; see `Target`.
    let Ok(location) = HeaderValue::from_str(target.as_str()) else { return refusal(Refused::NotOurs) };
    record(&app, &mail, "email_clicked", Some(&target), &method, &headers).await;
    let mut response = StatusCode::FOUND.into_response();
    response.headers_mut().insert(header::LOCATION, location);
    kept_nowhere(response)
}

/// Records what became of a mail. Whatever goes wrong, the reader is answered all the same.
async fn record(
    app: &App,
    mail: &Mail,
    kind: &str,
    target: Option<&Target>,
    method: &Method,
    headers: &HeaderMap,
) {
    let now = app.clock.now();
    let fact = fact(mail, kind, target, method, headers, now);
    let write_path = app.write_path.clone().giving_up_after(GIVE_UP_AFTER);
    match write_path.record(&About::Known(LeadRef::Id(mail.lead.clone())), &[fact]).await {
        // Somebody who is no longer kept may still follow a link.
        Ok(_) | Err(RecordError::NoSuchLead) => {}
        Err(error) => lost(&error),
    }
}

fn lost(error: &dyn std::fmt::Display) {
    tracing::error!(tracking_lost = 1, error = %error, "what became of a mail could not be recorded");
}

/// Makes the fact of a request.
fn fact(
    mail: &Mail,
    kind: &str,
    target: Option<&Target>,
    method: &Method,
    headers: &HeaderMap,
    now: Timestamp,
) -> Incoming {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let request = Request {
        head: method == Method::HEAD,
        opens: target.is_none(),
        agent: header("user-agent"),
        purposes: ["sec-purpose", "purpose", "x-purpose", "x-moz"].into_iter().filter_map(header).collect(),
        age_ms: now.since(mail.made_at),
    };
    let mut properties = BTreeMap::new();
    let mut add = |name: &str, value: AttributeValue| properties.insert(name.to_owned(), value);
    add("message", AttributeValue::Number(f64::from(mail.number)));
    let said = [
        ("program", mail.program.as_ref().map(Slug::to_string)),
        ("content", mail.content.as_ref().map(Slug::to_string)),
        ("url", target.map(|target| target.page().chars().take(LONGEST_TEXT).collect())),
        (MACHINE, request.rule().map(|rule| rule.as_str().to_owned())),
    ];
    for (name, value) in said {
        if let Some(value) = value {
            add(name, AttributeValue::Text(value));
        }
    }
    let id = data_encoding::HEXLOWER.encode(&fresh_secret());
    Incoming {
        delivery: DeliveryId::new(kind, &id),
        occurred_at: now,
        history: false,
        by: MAIL.to_owned(),
        strict: false,
        fact: Fact::Activity(Activity { kind: kind.to_owned(), properties }),
    }
}

/// Says why a link leads nowhere.
fn refusal(refused: Refused) -> Response {
    let (status, title, why) = match refused {
        Refused::Ended => {
            (StatusCode::GONE, "This link has ended", "The mail that it stood in is too old by now.")
        }
        Refused::NotOurs => (
            StatusCode::NOT_FOUND,
            "No such link",
            "Perhaps a part of it got lost: copy it whole from the mail.",
        ),
    };
    kept_nowhere(page(Words::common(), status, title, &html! { p { (why) } }))
}

/// No cache keeps an answer, no search engine lists it, and its address goes nowhere.
fn kept_nowhere(mut response: Response) -> Response {
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store, no-cache, must-revalidate, max-age=0, private"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
