//! P3: how large the item of a lead is, as the API makes it: 12 attributes, 10 activities, before sales history.

use crate::Failure;
use crate::cpu::Figures;
use crate::world::{World, post, send};
use adapters::config::Tables;
use adapters::dynamodb::lead_record;
use adapters::ports::LeadLists;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use serde_json::{Value, json};

const LEADS: usize = 200;

pub(crate) async fn run(endpoint: &str) -> Result<(), Failure> {
    let world = World::at(endpoint);
    let capture = world.capture();
    for n in 0..LEADS {
        let email = format!("annemarie.hinterberger{n}@maschinenbau.example");
        send(&capture, post("/v1/leads", &lead(n, &email))?).await?;
        for activity in activities(n, &email) {
            send(&capture, post("/v1/activities", &activity)?).await?;
        }
    }
    let (mut size, mut ledger) = (Figures::default(), Figures::default());
    let (mut cursor, mut attributes, mut counted) = (None::<String>, 0, 0);
    loop {
        let page = world.store.scan(0, 1, cursor.as_deref()).await?;
        for lead in page.items {
            size.add(lead_record::item_size(&lead_record::to_item(&lead)) as f64);
            ledger.add(lead.ledger.encode().len() as f64);
            attributes = lead.attributes.len();
            counted = lead.activities;
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let tables = Tables::plain();
    let answer = world
        .client
        .scan()
        .table_name(&tables.leads)
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await?;
    let units = answer.consumed_capacity().and_then(|capacity| capacity.capacity_units()).unwrap_or_default();
    let described = world.client.describe_table().table_name(&tables.leads).send().await?;
    let stored = described.table().and_then(|table| table.table_size_bytes()).unwrap_or_default();
    println!(
        "items leads={LEADS} attributes={attributes} activities={counted} item_bytes={size:.0} ledger_bytes={ledger:.0} \
         stored_bytes_per_lead={:.0} read_units_per_1000_leads_swept={:.1}",
        stored as f64 / LEADS as f64,
        units * 1e3 / LEADS as f64,
    );
    Ok(())
}

/// A lead as a form and an enrichment leave it: twelve attributes, a company, consent, where it came from.
pub(crate) fn lead(n: usize, email: &str) -> Value {
    json!({
        "email": email,
        "external_id": {"system": "crm", "id": format!("00Q5g{n:010}")},
        "attributes": {
            "annual_revenue": 12_500_000 + n, "city": "Salzburg", "company_size": 50 + n % 900, "country": "AT",
            "department": "Sales", "first_name": "Annemarie", "has_budget": n.is_multiple_of(2), "industry": "manufacturing",
            "job_title": "Head of Sales Operations", "language": "de", "last_name": "Hinterberger", "seniority": "director",
        },
        "company": {"name": "Maschinenbau Hinterberger GmbH", "domain": "maschinenbau.example"},
        "consent": [{"purpose": "marketing", "status": "confirmed", "text": "newsletter-2026-01"}],
        "source": {"channel": "paid_search", "campaign": "spring", "landing_page": "/lp/pumps"},
    })
}

/// Ten activities on the last days, of the kinds that the starter playbook listens to.
fn activities(n: usize, email: &str) -> impl Iterator<Item = Value> {
    const DONE: [(&str, &str); 10] = [
        ("page_viewed", "/pricing"),
        ("page_viewed", "/products/pumps"),
        ("content_downloaded", "/papers/pumps"),
        ("email_clicked", "/newsletter"),
        ("page_viewed", "/customers/acme"),
        ("page_viewed", "/pricing/pumps"),
        ("webinar_registered", "/webinars/pumps"),
        ("email_clicked", "/newsletter"),
        ("page_viewed", "/products/valves"),
        ("contact_requested", "/contact"),
    ];
    DONE.into_iter().enumerate().map(move |(at, (kind, path))| {
        json!({"lead": {"email": email}, "kind": kind, "properties": {"path": path}, "id": format!("{n}-{at}"),
               "occurred_at": format!("2026-{:02}-{:02}T09:30:00Z", 1 + at / 5, 2 + at % 5 * 4)})
    })
}
