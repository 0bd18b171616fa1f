//! Whom sales works on.

use adapters::clock::new_lead_id;
use adapters::http::{Role, Tokens};
use domain::lead::Lead;
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tests::{World, ada};

async fn hand_off(world: &World, email: &str, country: &str) -> String {
    let mut fields = ada();
    fields["email"] = json!(email);
    fields["country"] = json!(country);
    fields["submission_id"] = json!(email);
    world.submit("contact", &fields).await;
    world.lead_id(email).await
}

async fn inbox(world: &World, query: &str) -> Vec<String> {
    let mut emails = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.get(Role::Sales, &format!("/v1/inbox?{query}{cursor}")).await;
        let items = page["items"].as_array().unwrap();
        emails.extend(items.iter().map(|item| item["email"].as_str().unwrap().to_owned()));
        match &page["next_cursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            _ => return emails,
        }
    }
}

async fn report(world: &World, id: &str, body: &Value) {
    world.post(Role::Sales, &format!("/v1/leads/{id}/feedback"), body).await.ok("feedback");
}

#[tokio::test]
async fn a_sales_person_sees_their_own_leads_the_most_urgent_first() {
    let world = World::new().await;
    let kept = hand_off(&world, "kept@b.example", "AT").await;
    world.later(HOUR_MS);
    hand_off(&world, "first@b.example", "AT").await;
    hand_off(&world, "german@b.example", "DE").await;
    world.later(HOUR_MS);
    hand_off(&world, "second@b.example", "CH").await;
    report(&world, &kept, &json!({"kind": "accepted"})).await;
    assert_eq!(inbox(&world, "").await, ["first@b.example", "second@b.example", "kept@b.example"]);
    assert_eq!(inbox(&world, "owner=de-1").await, ["german@b.example"]);
    assert_eq!(inbox(&world, "stage=sales_accepted").await, ["kept@b.example"]);
    world.later(DAY_MS - HOUR_MS);
    let page = world.get(Role::Sales, "/v1/inbox").await;
    let promises: Vec<&Value> =
        page["items"].as_array().unwrap().iter().map(|item| &item["promise"]).collect();
    assert_eq!(promises[0]["overdue"], true);
    assert_eq!(promises[1]["overdue"], false);
    assert_eq!(promises[2], &Value::Null);
    assert_eq!(page["items"][0]["label"], "A1");
}

#[tokio::test]
async fn an_inbox_reads_in_pages_of_any_size_without_gaps_also_across_people() {
    let world = World::new().await;
    for n in 0..7 {
        hand_off(&world, &format!("at-{n}@b.example"), "AT").await;
        hand_off(&world, &format!("de-{n}@b.example"), "DE").await;
        hand_off(&world, &format!("jp-{n}@b.example"), "JP").await;
        world.later(HOUR_MS);
    }
    // A token of nobody in sales sees everybody's.
    let clock: Arc<dyn adapters::clock::Clock> = Arc::clone(&world.clock) as _;
    let (secret, _) =
        Tokens::new(Arc::clone(&world.catalog), clock).create(Role::Sales, "crm", None).await.unwrap();
    for limit in [1, 2, 5, 7, 21, 200] {
        let mut emails = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/inbox?limit={limit}{cursor}");
            let page = world.api.call("GET", &path).token(&secret).expect(200).await.json();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit);
            emails.extend(items.iter().map(|item| item["email"].as_str().unwrap().to_owned()));
            match &page["next_cursor"] {
                Value::String(next) => cursor = format!("&cursor={next}"),
                _ => break,
            }
        }
        let mut each = emails.clone();
        each.sort();
        each.dedup();
        assert_eq!((emails.len(), each.len()), (21, 21), "in pages of {limit}");
        assert_eq!(inbox(&world, &format!("limit={limit}")).await.len(), 7, "one's own, in pages of {limit}");
    }
}

#[tokio::test]
async fn a_lead_that_moved_on_is_not_shown_while_the_index_is_behind() {
    let world = World::new().await;
    let id = hand_off(&world, "gone@b.example", "AT").await;
    hand_off(&world, "here@b.example", "AT").await;
    world.later(HOUR_MS);
    world.memory().freeze_indexes();
    report(&world, &id, &json!({"kind": "rejected", "reason": "wrong_size"})).await;
    assert_eq!(inbox(&world, "").await, ["here@b.example"]);
    assert_eq!(inbox(&world, "limit=1").await, ["here@b.example"]);
    world.memory().thaw_indexes();
    assert_eq!(inbox(&world, "").await, ["here@b.example"]);
}

#[tokio::test]
async fn a_lead_that_somebody_else_took_over_is_not_shown_while_the_index_is_behind() {
    let world = World::new().await;
    let id = hand_off(&world, "moved@b.example", "AT").await;
    world.later(HOUR_MS);
    world.memory().freeze_indexes();
    report(&world, &id, &json!({"kind": "assigned", "to": "de-1"})).await;
    assert_eq!(inbox(&world, "owner=at-1").await, Vec::<String>::new());
}

#[tokio::test]
async fn faults_of_the_query_are_named() {
    let world = World::new().await;
    for (query, pointer) in [
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("stage=nurturing", "/stage"),
        ("owner=At+1", "/owner"),
        ("cursor=nonsense", "/cursor"),
        ("cursor=at-1.nonsense", "/cursor"),
        ("label=E1", "/label"),
        ("country=Atlantis", "/country"),
        ("territory=moon", "/territory"),
        ("persona=A+B", "/persona"),
        ("segment=A+B", "/segment"),
        ("promise=late", "/promise"),
        ("promise=running&overdue=true", "/overdue"),
        ("new_since=lately", "/new_since"),
    ] {
        let answer = world.call(Role::Sales, "GET", &format!("/v1/inbox?{query}")).send().await;
        assert_eq!(answer.status, 422, "{query}: {}", answer.text());
        assert_eq!(answer.pointers(), [pointer], "{query}");
    }
    let answer = world.call(Role::Sales, "GET", "/v1/inbox?stage=won&label=Z9&promise=late").send().await;
    assert_eq!(answer.pointers(), ["/label", "/promise", "/stage"], "all at once");
    for query in ["limit=many", "colour=red"] {
        let answer = world.call(Role::Sales, "GET", &format!("/v1/inbox?{query}")).send().await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (422, "application/problem+json"),
            "{query}"
        );
    }
}

/// A lead that is as good as `company_size` and `job_title` make it.
async fn hand_off_fair(world: &World, email: &str) -> String {
    let mut fields = ada();
    fields["email"] = json!(email);
    fields["submission_id"] = json!(email);
    fields["job_title"] = json!("Clerk");
    world.submit("contact", &fields).await;
    world.lead_id(email).await
}

#[tokio::test]
async fn each_line_says_why_it_stands_above_the_next() {
    let world = World::new().await;
    let tried = hand_off(&world, "tried@b.example", "AT").await;
    let taken = hand_off(&world, "taken@b.example", "AT").await;
    hand_off(&world, "late@b.example", "AT").await;
    hand_off_fair(&world, "late-fair@b.example").await;
    world.later(HOUR_MS);
    hand_off(&world, "later@b.example", "AT").await;
    world.later(10 * HOUR_MS);
    hand_off(&world, "new@b.example", "AT").await;
    report(&world, &tried, &json!({"kind": "accepted"})).await;
    report(&world, &tried, &json!({"kind": "follow_up", "channel": "phone", "result": "reached"})).await;
    report(&world, &taken, &json!({"kind": "accepted"})).await;
    let order =
        ["late", "late-fair", "later", "new", "taken", "tried"].map(|name| format!("{name}@b.example"));
    // All promises run, and the better label comes before the earlier promise.
    let running = inbox(&world, "").await;
    assert_eq!(running[..4], ["late", "later", "new", "late-fair"].map(|name| format!("{name}@b.example")));
    world.later(13 * HOUR_MS + HOUR_MS / 2);
    let page = world.get(Role::Sales, "/v1/inbox").await;
    let items = page["items"].as_array().unwrap();
    let emails: Vec<&str> = items.iter().map(|item| item["email"].as_str().unwrap()).collect();
    assert_eq!(emails, order, "broken, running, none");
    let states: Vec<&str> = items.iter().map(|item| item["rank"]["promise"].as_str().unwrap()).collect();
    assert_eq!(states, ["broken", "broken", "running", "running", "none", "none"]);
    let parts = |at: usize| -> Vec<(String, String)> {
        let parts = items[at]["rank"]["parts"].as_array().unwrap();
        let text = |part: &Value, name: &str| part[name].as_str().unwrap().to_owned();
        parts.iter().map(|part| (text(part, "part"), text(part, "says"))).collect()
    };
    assert_eq!(parts(0)[0].1, "the promise of an answer was broken 30 minutes ago");
    assert_eq!(parts(0)[1], ("label".to_owned(), "the best there is".to_owned()));
    // The first part that differs decides: the label here, the follow-up there.
    let differs = |one: usize| {
        parts(one).into_iter().zip(parts(one + 1)).find(|(one, other)| one != other).unwrap().0.0
    };
    assert_eq!((differs(0), differs(1), differs(4)), ("label".into(), "promise".into(), "tries".into()));
    assert_eq!(items[4]["followed_up_at"], Value::Null);
    assert!(items[5]["followed_up_at"].is_string());
    let places: Vec<u64> = items.iter().map(|item| item["rank"]["place"].as_u64().unwrap()).collect();
    assert_eq!(places, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn an_inbox_is_filtered_by_what_is_known_of_its_leads() {
    let world = World::new().await;
    let at = hand_off(&world, "at@b.example", "AT").await;
    hand_off(&world, "ch@b.example", "CH").await;
    hand_off(&world, "de@b.example", "DE").await;
    hand_off(&world, "jp@b.example", "JP").await;
    hand_off_fair(&world, "fair@b.example").await;
    world.later(DAY_MS);
    report(&world, &at, &json!({"kind": "accepted", "by": "at-1"})).await;
    let clock: Arc<dyn adapters::clock::Clock> = Arc::clone(&world.clock) as _;
    let (secret, _) =
        Tokens::new(Arc::clone(&world.catalog), clock).create(Role::Sales, "crm", None).await.unwrap();
    let found = async |query: &str| -> Vec<String> {
        let page =
            world.api.call("GET", &format!("/v1/inbox?{query}")).token(&secret).expect(200).await.json();
        let items = page["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|item| item["email"].as_str().unwrap().split('@').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(found("country=Schweiz").await, ["ch"]);
    assert_eq!(found("territory=default").await, ["jp"]);
    // Both rank the same, and then ids decide, which are new each time.
    let mut of_label = found("label=B1").await;
    of_label.sort();
    assert_eq!((of_label, found("label=A1").await.len()), (vec!["fair".to_owned(), "jp".to_owned()], 2));
    assert_eq!(found("promise=none").await, ["at"]);
    let mut overdue = found("overdue=true").await;
    overdue.sort();
    assert_eq!(overdue, ["ch", "de", "fair", "jp"]);
    assert_eq!(found("overdue=true&country=DE").await, ["de"]);
    assert_eq!(found("persona=nobody").await, Vec::<String>::new());
    let dossier = world.dossier("fair@b.example").await;
    let segment = dossier["segments"][0].as_str().expect("who is active in Austria is in one");
    assert!(found(&format!("segment={segment}")).await.contains(&"fair".to_owned()));
    assert_eq!(found("segment=of_nobody").await, Vec::<String>::new());
}

#[tokio::test]
async fn pages_stay_as_they_were_ranked_while_time_passes_and_others_report() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for n in 0..12 {
        ids.push(hand_off(&world, &format!("l{n:02}@b.example"), "AT").await);
        world.later(HOUR_MS);
    }
    let whole = inbox(&world, "").await;
    assert_eq!(whole.len(), 12);
    let first = world.get(Role::Sales, "/v1/inbox?limit=4").await;
    // Half of the promises break between the pages, and somebody answers one that was shown and one that was not.
    world.later(18 * HOUR_MS);
    report(&world, &ids[1], &json!({"kind": "accepted"})).await;
    report(&world, &ids[9], &json!({"kind": "accepted"})).await;
    let emails = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|i| i["email"].as_str().unwrap().to_owned()).collect()
    };
    let (mut seen, mut page) = (emails(&first), first.clone());
    while let Some(next) = page["next_cursor"].as_str() {
        page = world.get(Role::Sales, &format!("/v1/inbox?limit=4&cursor={next}")).await;
        assert_eq!(page["as_of"], first["as_of"]);
        seen.extend(emails(&page));
    }
    let times = |email: &String| seen.iter().filter(|one| *one == email).count();
    for email in &whole {
        let reported = ["l01@b.example", "l09@b.example"].contains(&email.as_str());
        assert!(times(email) == 1 || reported, "{email} stands on {} pages: {seen:?}", times(email));
    }
    assert_eq!(times(&"l09@b.example".to_owned()), 1, "it moved behind the reader");
    assert_ne!(inbox(&world, "").await, whole, "ranked anew, the order is another");
}

#[tokio::test]
async fn what_came_since_is_new_also_where_it_was_reported_late() {
    let world = World::new().await;
    let mine = hand_off(&world, "mine@b.example", "AT").await;
    world.later(HOUR_MS);
    let before = world.get(Role::Sales, "/v1/inbox").await;
    let marker = before["marker"].as_str().unwrap().to_owned();
    assert_eq!(inbox(&world, &format!("new_since={marker}")).await, Vec::<String>::new());
    let from = hand_off(&world, "german@b.example", "DE").await;
    hand_off(&world, "new@b.example", "AT").await;
    report(&world, &mine, &json!({"kind": "accepted"})).await;
    world.later(2 * DAY_MS);
    // Passed on a day ago, and told only now.
    let late = world.now().plus(-DAY_MS).to_string();
    report(&world, &from, &json!({"kind": "assigned", "to": "at-1", "occurred_at": late})).await;
    let mut new = inbox(&world, &format!("new_since={marker}")).await;
    new.sort();
    assert_eq!(new, ["german@b.example", "new@b.example"]);
    let recent = world.now().plus(-HOUR_MS);
    assert_eq!(inbox(&world, &format!("new_since={recent}")).await, ["german@b.example"]);
    // A marker lies back, so that what was being written when it was made is shown, if need be twice.
    let marker = world.get(Role::Sales, "/v1/inbox").await["marker"].as_str().unwrap().to_owned();
    assert_eq!(inbox(&world, &format!("new_since={marker}")).await, ["german@b.example"]);
    world.later(DAY_MS);
    let marker = world.get(Role::Sales, "/v1/inbox").await["marker"].as_str().unwrap().to_owned();
    assert_eq!(inbox(&world, &format!("new_since={marker}")).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_inbox_is_a_table_for_spreadsheets_too() {
    let world = World::new().await;
    let mut fields = ada();
    fields["full_name"] = json!("=HYPERLINK(\"http://x\")");
    fields["company"] = json!("+Company, \"Ltd\"");
    world.submit("contact", &fields).await;
    hand_off(&world, "second@b.example", "CH").await;
    let answer = world.call(Role::Sales, "GET", "/v1/inbox").header("accept", "text/csv").expect(200).await;
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
    let text = answer.text();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let cell = |row: usize, name: &str| {
        rows[row].get(head.iter().position(|one| one == name).unwrap()).unwrap().to_owned()
    };
    assert_eq!(rows.len(), 2);
    let ada = usize::from(cell(0, "email") != "ada@company.example");
    assert_eq!(cell(ada, "name"), "'=HYPERLINK(\"http://x\")");
    assert_eq!(cell(ada, "company"), "'+Company, \"Ltd\"");
    assert_eq!(
        (cell(0, "place"), cell(0, "promise"), cell(0, "owner")),
        ("1".into(), "running".into(), "at-1".into())
    );
    assert!(cell(0, "why").starts_with("the promise of an answer is due in 1 day; the best there is"));
}

#[tokio::test]
async fn of_more_leads_than_are_ranked_the_most_pressing_stand_on_exactly_one_page_each() {
    let world = World::new().await;
    hand_off(&world, "one@b.example", "AT").await;
    let lead = world.memory().leads().pop().unwrap();
    for n in 1..=2_011 {
        let due = lead.promise_due_at.map(|due| due.plus(n * MINUTE_MS));
        // The last ten owe nothing, and are the ones that wait.
        let due = due.filter(|_| n <= 2_001);
        world.memory().put(Lead {
            id: new_lead_id(),
            identities: Vec::new(),
            promise_due_at: due,
            ..lead.clone()
        });
    }
    let (mut ids, mut cursor, mut before) = (BTreeSet::new(), String::new(), String::new());
    loop {
        let page = world.get(Role::Sales, &format!("/v1/inbox?limit=170{cursor}")).await;
        assert_eq!(page["left_out"], 12, "2,012 leads, of which 2,000 are ranked");
        for item in page["items"].as_array().unwrap() {
            let due = item["promise"]["due_at"].as_str().unwrap_or("none").to_owned();
            assert!(due > before && due != "none", "{due} after {before}");
            before = due;
            assert!(ids.insert(item["lead_id"].as_str().unwrap().to_owned()), "twice");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(ids.len(), 2_000);
}
