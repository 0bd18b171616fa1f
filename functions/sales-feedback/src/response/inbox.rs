//! A page of the inbox.

use crate::inbox::{Page, Ranked};
use crate::response::{promise, summary};
use adapters::wire;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use domain::inbox::{Part, followed_up_at};
use domain::segment::{harmless_cell, harmless_phone};
use serde_json::{Value, json};
use std::borrow::Cow;

/// Gives a page.
pub(crate) fn json(page: &Page) -> Value {
    json!({
        "items": page.lines.iter().map(|line| item(line, page)).collect::<Vec<_>>(),
        "next_cursor": page.next,
        "as_of": page.as_of.to_string(),
        "marker": page.marker.to_string(),
        "left_out": page.left_out,
    })
}

fn item(Ranked { place, rank, lead }: &Ranked, page: &Page) -> Value {
    let parts = rank.because(lead, &page.playbook.promises, page.as_of);
    let part = |part: &Part| json!({ "part": part.name, "value": part.value, "says": part.says });
    let mut item = summary(lead);
    let more = json!({
        "attributes": wire::attributes_json(lead),
        "stage_since": lead.stage_since.to_string(),
        "owner_since": lead.person_since.map(|at| at.to_string()),
        "cycle": lead.cycle,
        "label": lead.score.label.to_string(),
        "persona": lead.persona.as_ref().map(ToString::to_string),
        "promise": promise(lead, page.as_of),
        "followed_up_at": followed_up_at(lead).map(|at| at.to_string()),
        "rank": { "place": place, "promise": rank.promise.as_str(), "parts": parts.iter().map(part).collect::<Vec<_>>() },
    });
    if let (Some(map), Value::Object(more)) = (item.as_object_mut(), more) {
        map.extend(more);
    }
    item
}

const HEAD: &[&str] = &[
    "place",
    "lead_id",
    "name",
    "email",
    "phone",
    "company",
    "country",
    "job_title",
    "stage",
    "stage_since",
    "owner",
    "owner_since",
    "label",
    "fit",
    "engagement",
    "persona",
    "promise",
    "promise_due_at",
    "followed_up_at",
    "why",
];

/// Answers with the lines as CSV, harmless in spreadsheets.
pub(crate) fn csv(page: &Page) -> Option<Response> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEAD).ok()?;
    for line in &page.lines {
        writer.write_record(cells(line, page).iter().map(AsRef::as_ref)).ok()?;
    }
    let mut response = String::from_utf8(writer.into_inner().ok()?).ok()?.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    Some(response)
}

fn cells<'a>(Ranked { place, rank, lead }: &'a Ranked, page: &Page) -> Vec<Cow<'a, str>> {
    let attribute = |name: &str| {
        let value = lead.attributes.iter().find(|(known, _)| known.as_str() == name);
        let text = value.map(|(_, attribute)| attribute.value.to_string()).unwrap_or_default();
        Cow::from(harmless_cell(&text).into_owned())
    };
    let text = |text: Option<&'a str>| text.map(harmless_cell).unwrap_or_default();
    let said = |value: Option<String>| Cow::from(value.unwrap_or_default());
    let time = |at: Option<domain::time::Timestamp>| said(at.map(|at| at.to_string()));
    let why: Vec<String> =
        rank.because(lead, &page.playbook.promises, page.as_of).into_iter().map(|part| part.says).collect();
    vec![
        place.to_string().into(),
        lead.id.as_str().into(),
        attribute("full_name"),
        text(lead.email().map(domain::identity::Email::as_str)),
        lead.phone().map(|phone| harmless_phone(phone.as_str())).unwrap_or_default(),
        text(lead.company.name.as_deref().or(lead.company.domain.as_deref())),
        attribute("country"),
        attribute("job_title"),
        lead.stage.as_str().into(),
        lead.stage_since.to_string().into(),
        text(lead.person.as_ref().map(domain::identity::Slug::as_str)),
        time(lead.person_since),
        lead.score.label.to_string().into(),
        lead.score.fit.to_string().into(),
        lead.score.engagement.to_string().into(),
        text(lead.persona.as_ref().map(domain::identity::Slug::as_str)),
        rank.promise.as_str().into(),
        time(lead.promise_due_at),
        time(followed_up_at(lead)),
        why.join("; ").into(),
    ]
}
