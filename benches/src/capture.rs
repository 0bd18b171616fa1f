//! P6 and P8: the CPU time of a captured request with all that belongs to it, and the memory of the process.
//!
//! `capture ENDPOINT SERVER_PID REQUESTS`: requests go to the function's router in this process; the database is another.

use crate::Failure;
use crate::cpu::{Stopwatch, memory_mib, used_ms};
use crate::world::{TOKEN, World, post, send};
use adapters::clock::new_lead_id;
use adapters::http::lambda;
use adapters::ports::LeadStore;
use axum::Router;
use serde_json::{Value, json};

/// Requests before the measurement, for connections and caches.
const WARM_UP: usize = 50;

pub(crate) async fn run(endpoint: &str, server: u32, requests: usize) -> Result<(), Failure> {
    let capture = World::at(endpoint).capture();
    // Nobody of an earlier run is met again.
    let run = std::process::id();
    let person = |n: usize| format!("person{n}.{run}@example-{}.com", n % 997);
    let form = |n: usize| {
        json!({"email": person(n), "full_name": format!("Person Number {n}"), "company": format!("Company {} GmbH", n % 997),
               "country": "DE", "company_size": (n % 5000 + 1).to_string(), "submission_id": format!("s-{run}-{n}")})
    };
    let lead = |n: usize| {
        json!({"email": format!("by-api.{}", person(n)), "external_id": {"system": "crm", "id": format!("{run}-{n}")},
               "company": {"name": format!("Company {} GmbH", n % 997)}, "source": {"channel": "web_form"},
               "attributes": {"full_name": format!("Person Number {n}"), "country": "DE", "company_size": n % 5000 + 1}})
    };
    let activity = |n: usize| json!({"lead": {"email": person(n)}, "kind": "page_viewed", "properties": {"path": "/pricing"}, "id": format!("a-{run}-{n}")});
    let event = |n: usize| {
        json!({"email": format!("event.{}", person(n)), "full_name": "Person", "country": "DE",
                                  "submission_id": format!("e-{run}-{n}")})
    };
    let measures = [
        bare(endpoint, server, requests).await?,
        measure(&capture, server, requests, "form_new_lead", "/v1/forms/contact", form).await?,
        measure(&capture, server, requests, "form_repeat", "/v1/forms/contact", form).await?,
        measure(&capture, server, requests, "lead_new", "/v1/leads", lead).await?,
        measure(&capture, server, requests, "activity", "/v1/activities", activity).await?,
        events(&capture, server, requests, event).await?,
    ];
    let pid = std::process::id();
    println!(
        "capture n={requests} cpu_ms_per_request {} rss={:.1}MiB peak={:.1}MiB",
        measures.join(" "),
        memory_mib(pid, "VmRSS"),
        memory_mib(pid, "VmHWM"),
    );
    Ok(())
}

/// The least that a request to the database costs: the SDK reads an item that is not there.
async fn bare(endpoint: &str, server: u32, requests: usize) -> Result<String, Failure> {
    let (store, nobody) = (World::at(endpoint).store, [new_lead_id()]);
    for _ in 0..WARM_UP {
        store.load(&nobody).await?;
    }
    let (theirs, watch) = (used_ms(server), Stopwatch::start());
    for _ in 0..requests {
        store.load(&nobody).await?;
    }
    Ok(said("bare_get_item", requests, &watch, used_ms(server) - theirs))
}

async fn measure(
    router: &Router,
    server: u32,
    requests: usize,
    what: &str,
    path: &str,
    body: impl Fn(usize) -> Value,
) -> Result<String, Failure> {
    // Bodies are made beforehand: that is the sender's work.
    let mut all = Vec::with_capacity(requests + WARM_UP);
    for n in 0..requests + WARM_UP {
        all.push(post(path, &body(n))?);
    }
    let mut all = all.into_iter();
    for request in all.by_ref().take(WARM_UP) {
        send(router, request).await?;
    }
    let (theirs, watch) = (used_ms(server), Stopwatch::start());
    for request in all {
        send(router, request).await?;
    }
    Ok(said(what, requests, &watch, used_ms(server) - theirs))
}

/// The form once more, from the event that Lambda gets to the answer that it sends.
async fn events(
    router: &Router,
    server: u32,
    requests: usize,
    body: impl Fn(usize) -> Value,
) -> Result<String, Failure> {
    let all: Vec<String> = (0..requests + WARM_UP)
        .map(|n| {
            let path = "/v1/forms/contact";
            json!({"resource": path, "path": path, "httpMethod": "POST", "body": body(n).to_string(), "isBase64Encoded": false,
                   "headers": {"content-type": "application/json", "authorization": format!("Bearer {TOKEN}")},
                   "requestContext": {"httpMethod": "POST", "path": path, "stage": "prod", "requestId": format!("r{n}"),
                                      "identity": {"sourceIp": "203.0.113.7"}}})
            .to_string()
        })
        .collect();
    let (warm_up, all) = all.split_at(WARM_UP);
    for event in warm_up {
        lambda::answer(router.clone(), serde_json::from_str(event)?).await?;
    }
    let (theirs, watch) = (used_ms(server), Stopwatch::start());
    for event in all {
        let answer = lambda::answer(router.clone(), serde_json::from_str(event)?).await?;
        if answer.get("statusCode") != Some(&json!(202)) {
            return Err(answer.to_string().into());
        }
    }
    Ok(said("form_as_lambda_event", requests, &watch, used_ms(server) - theirs))
}

fn said(what: &str, requests: usize, watch: &Stopwatch, server_ms: f64) -> String {
    let n = requests as f64;
    format!(
        "{what}={:.3} (wall {:.2}, database {:.2})",
        watch.cpu_ms() / n,
        watch.wall_ms() / n,
        server_ms / n
    )
}
