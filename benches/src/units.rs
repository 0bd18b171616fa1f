//! P5: the write units that DynamoDB would bill, as `ReturnConsumedCapacity` counts them for each transaction.

use crate::Failure;
use crate::items;
use crate::world::{World, post, send};
use adapters::config::Tables;
use adapters::dynamodb::leads::units;
use axum::Router;
use serde_json::{Value, json};

/// Over how many leads each figure is the mean.
const LEADS: usize = 50;

pub(crate) async fn run(endpoint: &str) -> Result<(), Failure> {
    let capture = World::at(endpoint).capture();
    let known = |n: usize| format!("known{n}@company.example");
    println!("units: write units a request, mean over {LEADS}");

    let form = |n: usize| {
        json!({"email": format!("form{n}@company.example"), "full_name": "Ada Example", "country": "AT",
               "company": "Company Ltd.", "job_title": "Head of Sales", "company_size": "120", "submission_id": format!("s-{n}")})
    };
    measure(&capture, "a form, somebody new, handed over at once", "/v1/forms/contact", form).await?;
    measure(&capture, "the same form again", "/v1/forms/contact", form).await?;
    let other = |n: usize| {
        json!({"email": format!("paper{n}@company.example"), "full_name": "Ada Example", "country": "AT",
               "company": "Company Ltd.", "job_title": "Head of Sales", "content": "pumps", "submission_id": format!("p-{n}")})
    };
    measure(&capture, "a form, somebody new, not ready", "/v1/forms/whitepaper", other).await?;
    measure(&capture, "a lead by API: email, external id, 12 attributes", "/v1/leads", |n| {
        items::lead(n, &known(n))
    })
    .await?;
    measure(&capture, "an activity that no rule looks at", "/v1/activities", |n| {
        one(&known(n), n, 0, "video_watched")
    })
    .await?;
    measure(&capture, "an activity that changes the score", "/v1/activities", |n| {
        one(&known(n), n, 1, "email_clicked")
    })
    .await?;
    measure(&capture, "the same activity again", "/v1/activities", |n| one(&known(n), n, 1, "email_clicked"))
        .await?;
    for count in [2, 5, 10, 20] {
        let body = |n: usize| {
            let all: Vec<Value> =
                (0..count).map(|at| one(&known(n), n, 1_000 * count + at, "email_clicked")).collect();
            json!({ "activities": all })
        };
        measure(&capture, &format!("{count} activities of one lead in one request"), "/v1/activities", body)
            .await?;
    }
    Ok(())
}

fn one(email: &str, n: usize, at: usize, kind: &str) -> Value {
    json!({"lead": {"email": email}, "kind": kind, "id": format!("{n}-{at}"), "properties": {"path": "/newsletter"}})
}

async fn measure(
    router: &Router,
    what: &str,
    path: &str,
    body: impl Fn(usize) -> Value,
) -> Result<(), Failure> {
    units::take();
    for n in 0..LEADS {
        send(router, post(path, &body(n))?).await?;
    }
    let counted = units::take();
    let sum = |wanted: &dyn Fn(&str) -> bool| -> f64 {
        counted
            .iter()
            .filter(|(name, _)| wanted(name))
            .map(|(_, units)| units)
            .fold(0.0, |sum, units| sum + units)
            / LEADS as f64
    };
    let outbox = Tables::plain().outbox;
    let parts: Vec<String> =
        counted.iter().map(|(name, units)| format!("{name} {:.2}", units / LEADS as f64)).collect();
    println!(
        "units {what}: tables={:.2} indexes={:.2} outbox={:.2} ({})",
        sum(&|name| !name.contains('/') && name != outbox),
        sum(&|name| name.contains('/')),
        sum(&|name| name == outbox),
        parts.join(", "),
    );
    Ok(())
}
