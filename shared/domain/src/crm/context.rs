//! What templates see: a lead as it is now, who has it, and the event that is told of.
//!
//! What every lead may have is always there, and nothing where it is not known: `lead.email`, `lead.company.name`. Attributes
//! are a company's own, so one that is not there is not known to be meant: its template has to say what to take instead.

use crate::consent::{ConsentStatus, Purpose};
use crate::identity::{Email, Phone, Slug};
use crate::lead::{Lead, Touch};
use serde_json::{Map, Value, json};

/// Somebody in sales, as their record has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Their id.
    pub id: String,
    /// Their name.
    pub name: Option<String>,
    /// Their address.
    pub email: Option<String>,
    /// How the CRM calls them.
    pub crm_id: Option<String>,
}

/// Gives what the templates of a delivery see.
#[must_use]
pub fn context(lead: &Lead, owner: Option<&Owner>, event: &Value, record_id: Option<&str>) -> Value {
    let touch = |touch: Option<&Touch>| {
        json!({
            "channel": touch.and_then(|touch| touch.channel.clone()),
            "campaign": touch.and_then(|touch| touch.campaign.clone()),
            "landing_page": touch.and_then(|touch| touch.landing_page.clone()),
        })
    };
    let consent = |purpose: Purpose| lead.consents.status(purpose).map(ConsentStatus::as_str);
    let consents: Map<String, Value> =
        Purpose::WORDS.iter().map(|(word, purpose)| ((*word).to_owned(), json!(consent(*purpose)))).collect();
    let attributes: Map<String, Value> = lead
        .attributes
        .iter()
        .map(|(name, attribute)| (name.as_str().to_owned(), attribute.value.to_json()))
        .collect();
    let external: Map<String, Value> =
        lead.external_ids().map(|id| (id.system().to_owned(), id.id().into())).collect();
    json!({
        "lead": {
            "id": lead.id.as_str(),
            "version": lead.version,
            "email": lead.email().map(Email::as_str),
            "phone": lead.phone().map(Phone::as_str),
            "external_ids": external,
            "attributes": attributes,
            "country": lead.country().map(|country| country.to_json()),
            "company": { "name": lead.company.name, "domain": lead.company.domain },
            "stage": lead.stage.as_str(),
            "stage_since": lead.stage_since.to_string(),
            "cycle": lead.cycle,
            "score": { "fit": lead.score.fit, "engagement": lead.score.engagement, "label": lead.score.label.to_string() },
            "persona": lead.persona.as_ref().map(Slug::as_str),
            "phase": lead.phase.map(|phase| phase.as_str()),
            "segments": lead.segments.iter().map(Slug::as_str).collect::<Vec<_>>(),
            "consents": consents,
            "source": touch(lead.touches.last()),
            "first_source": touch(lead.touches.all().map(|(touch, _)| touch).next()),
            "created_at": lead.created_at.to_string(),
            "responded_at": lead.responded_at.map(|at| at.to_string()),
        },
        "owner": {
            "id": owner.map(|owner| owner.id.clone()),
            "name": owner.and_then(|owner| owner.name.clone()),
            "email": owner.and_then(|owner| owner.email.clone()),
            "crm_id": owner.and_then(|owner| owner.crm_id.clone()),
        },
        "event": event,
        "record_id": record_id,
    })
}

/// A lead of whom everything is known that templates are tried on. Nobody is called so.
#[must_use]
pub fn sample() -> Value {
    json!({
        "lead": {
            "id": "aaaaaaaaaaaaaaaaaaaaaaaaaa", "version": 7, "email": "ada@company.example", "phone": "+4312345678",
            "external_ids": { "crm": "4711" },
            "attributes": {
                "full_name": "Ada Example", "first_name": "Ada", "last_name": "Example", "job_title": "Head of Sales",
                "country": "AT", "company_size": 120, "industry": "software", "language": "de"
            },
            "country": "AT", "company": { "name": "Company Ltd.", "domain": "company.example" },
            "stage": "marketing_qualified", "stage_since": "2026-11-22T12:00:00Z", "cycle": 1,
            "score": { "fit": 65, "engagement": 70, "label": "B1" }, "persona": "head_of_sales", "phase": "decision",
            "segments": ["customers"],
            "consents": { "marketing": "confirmed", "tracking": "confirmed", "ad_audience": "pending", "phone": "withdrawn" },
            "source": { "channel": "paid_search", "campaign": "spring", "landing_page": "/lp" },
            "first_source": { "channel": "event", "campaign": "fair", "landing_page": "/fair" },
            "created_at": "2026-11-20T12:00:00Z", "responded_at": "2026-11-20T12:00:00Z"
        },
        "owner": { "id": "at-1", "name": "Anna Example", "email": "anna@company.example", "crm_id": "77" },
        "event": event(),
        "record_id": "4711",
    })
}

/// A lead of whom nothing is known that need not be.
#[must_use]
pub fn bare_sample() -> Value {
    json!({
        "lead": {
            "id": "aaaaaaaaaaaaaaaaaaaaaaaaaa", "version": 1, "email": null, "phone": null, "external_ids": {},
            "attributes": {}, "country": null, "company": { "name": null, "domain": null },
            "stage": "contact", "stage_since": "2026-11-22T12:00:00Z", "cycle": 1,
            "score": { "fit": 0, "engagement": 0, "label": "D4" }, "persona": null, "phase": null, "segments": [],
            "consents": { "marketing": null, "tracking": null, "ad_audience": null, "phone": null },
            "source": { "channel": null, "campaign": null, "landing_page": null },
            "first_source": { "channel": null, "campaign": null, "landing_page": null },
            "created_at": "2026-11-20T12:00:00Z", "responded_at": null
        },
        "owner": { "id": null, "name": null, "email": null, "crm_id": null },
        "event": event(),
        "record_id": "4711",
    })
}

fn event() -> Value {
    json!({
        "specversion": "1.0", "id": "evt_aaaaaaaaaaaaaaaaaaaaaaaaaa", "type": "leadloop.lead.captured",
        "source": "urn:leadloop:leadloop", "subject": "aaaaaaaaaaaaaaaaaaaaaaaaaa", "time": "2026-11-22T12:00:00Z",
        "datacontenttype": "application/json", "data": { "lead_id": "aaaaaaaaaaaaaaaaaaaaaaaaaa", "version": 7 }
    })
}
