//! Rows of an export of outcomes, in a hundred orders, give one state.
//!
//! With the environment variable `LEADLOOP_DEALS` naming a file of the Olist data set's closed deals (`mql_id`,
//! `seller_id`, `sdr_id`, `sr_id`, `won_date`), the rows are those of real deals; without it they are made up, in the same
//! shape. From each deal come the reports that a CRM would export of it, several of one time, as exports of days have
//! them. Withdrawals are tried in `shared/domain/tests/rules/properties.rs`: over the API one names a fact that is there.

use adapters::http::Role;
use domain::sales::DeliveryId;
use domain::time::{DAY_MS, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tests::World;

/// How many orders are tried.
const ORDERS: usize = 100;
/// How many deals are made up.
const MADE_UP: usize = 20;

/// A deal as the file has it.
struct Deal {
    lead: String,
    id: String,
    sdr: String,
    sr: String,
    won_at: Timestamp,
}

#[allow(
    clippy::disallowed_methods,
    reason = "whoever has the data says where it is; it is none of ours to keep"
)]
fn deals() -> Vec<Deal> {
    let person = |kind: &str, id: &str| format!("{kind}-{}", id.chars().take(8).collect::<String>());
    let Ok(file) = std::env::var("LEADLOOP_DEALS") else {
        let made_up = |n: usize| Deal {
            lead: format!("lead-{n}"),
            id: format!("deal-{n}"),
            sdr: format!("sdr-{}", n % 3),
            sr: format!("sr-{}", n % 4),
            won_at: Timestamp::parse("2018-02-26T19:58:00Z").unwrap().plus((n % 7) as i64 * DAY_MS),
        };
        return (0..MADE_UP).map(made_up).collect();
    };
    let mut reader = csv::Reader::from_path(&file).unwrap();
    let head = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let of = |row: &csv::StringRecord, name: &str| {
        row.get(head.iter().position(|one| one == name).unwrap()).unwrap().to_owned()
    };
    let deal = |row: &csv::StringRecord| Deal {
        lead: of(row, "mql_id"),
        id: of(row, "seller_id"),
        sdr: person("sdr", &of(row, "sdr_id")),
        sr: person("sr", &of(row, "sr_id")),
        won_at: Timestamp::parse(&of(row, "won_date")).unwrap(),
    };
    rows.iter().map(deal).collect()
}

/// Gives what a CRM reports of a deal, each with an id of its own.
fn rows(n: usize, deal: &Deal) -> Vec<Value> {
    let id = json!({"system": "olist", "id": deal.id});
    let at = |days: i64| deal.won_at.plus(days * DAY_MS).to_string();
    let mut rows = vec![
        json!({"kind": "follow_up", "channel": "phone", "result": "reached", "by": deal.sdr, "occurred_at": at(-3)}),
        json!({"kind": "qualified", "by": deal.sdr, "occurred_at": at(-2)}),
        // On one day, as in an export of days.
        json!({"kind": "assigned", "to": deal.sr, "by": deal.sdr, "occurred_at": at(-2)}),
        json!({"kind": "opportunity", "deal": id, "by": deal.sr, "occurred_at": at(-2)}),
        json!({"kind": "won", "deal": id, "by": deal.sr, "occurred_at": at(0), "amount": {"amount": format!("{}.50", 100 + n), "currency": "BRL"}}),
        json!({"kind": "marketing_feedback", "sentiment": "positive", "by": deal.sr, "occurred_at": at(1)}),
    ];
    match n % 5 {
        0 => rows.push(json!({"kind": "lost", "deal": {"system": "olist", "id": format!("{}-b", deal.id)}, "reason": "price", "by": deal.sr, "occurred_at": at(0)})),
        1 => rows.push(json!({"kind": "churned", "by": deal.sr, "occurred_at": at(30)})),
        2 => rows.push(json!({"kind": "not_ready", "reason": "budget", "by": deal.sdr, "occurred_at": at(-3)})),
        3 => rows.push(json!({"kind": "opted_out", "purpose": "phone", "by": deal.sr, "occurred_at": at(2)})),
        _ => {}
    }
    for (at, row) in rows.iter_mut().enumerate() {
        row["id"] = json!(format!("{}-{at}", deal.id));
        row["lead"] = json!({"external_id": {"system": "olist", "id": deal.lead}});
    }
    rows
}

/// Imports leads and then rows, and gives what everybody sees then.
async fn state_after(deals: &[Deal], rows: &[Value]) -> (BTreeMap<String, String>, Value) {
    let world = World::new().await;
    let channels = ["paid_search", "email", "social"];
    let lead = |(n, deal): (usize, &Deal)| {
        json!({"external_id": {"system": "olist", "id": deal.lead}, "occurred_at": deal.won_at.plus(-20 * DAY_MS).to_string(),
            "source": {"channel": channels[n % 3]}})
    };
    let leads: Vec<Value> = deals.iter().enumerate().map(lead).collect();
    for leads in leads.chunks(100) {
        let body = json!({"mode": "history", "leads": leads});
        world.post(Role::Marketing, "/v1/leads/batch", &body).await.ok("leads");
    }
    for rows in rows.chunks(100) {
        let body = json!({"mode": "history", "feedback": rows});
        let answer = world.post(Role::Sales, "/v1/feedback/batch", &body).await.ok("feedback");
        let results = answer["results"].as_array().unwrap();
        assert!(results.iter().all(|result| result["status"] == "updated"), "{answer}");
    }
    let state = world.memory().leads().into_iter().map(|lead| {
        let id = lead.external_ids().next().unwrap().id().to_owned();
        let consents = adapters::wire::consents_json(&lead.consents);
        let stands = (lead.standing(), lead.stage, lead.cycle, &lead.person, lead.promise_due_at, consents);
        (id, format!("{stands:?} {:?}", lead.sales))
    });
    let state = state.collect();
    let report = world.get(Role::Marketing, "/v1/reports/campaigns?group_by=channel").await;
    (state, report["rows"].clone())
}

#[tokio::test]
async fn rows_of_outcomes_in_a_hundred_orders_give_one_state() {
    let deals = deals();
    let mut rows: Vec<Value> = deals.iter().enumerate().flat_map(|(n, deal)| rows(n, deal)).collect();
    let (state, report) = state_after(&deals, &rows).await;
    assert_eq!(state.len(), deals.len());
    assert!(report.as_array().unwrap().iter().all(|row| row["won"].as_u64() > Some(0)), "{report}");
    for order in 0..ORDERS {
        rows.sort_by_cached_key(|row| DeliveryId::new(&order.to_string(), &row.to_string()));
        let (here, reported) = state_after(&deals, &rows).await;
        for (lead, stands) in &here {
            assert_eq!(state.get(lead), Some(stands), "order {order}, {lead}");
        }
        assert_eq!((here.len(), &reported), (state.len(), &report), "order {order}");
    }
}
