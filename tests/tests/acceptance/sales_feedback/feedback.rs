//! What sales reports.

use adapters::http::Role;
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use serde_json::{Value, json};
use tests::{Answer, World, ada};

const EMAIL: &str = "ada@company.example";

/// Makes a world with a lead that was just handed to `at-1`, and gives the lead's id.
async fn handed() -> (World, String) {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    world.later(HOUR_MS);
    let id = world.lead_id(EMAIL).await;
    (world, id)
}

async fn report(world: &World, id: &str, body: &Value) -> Answer {
    world.post(Role::Sales, &format!("/v1/leads/{id}/feedback"), body).await
}

async fn batch(world: &World, items: Value) -> Vec<Value> {
    let answer = world.post(Role::Sales, "/v1/feedback/batch", &json!({"feedback": items})).await.ok("batch");
    answer["results"].as_array().unwrap().clone()
}

fn deal(kind: &str, id: &str) -> Value {
    json!({"kind": kind, "by": "at-1", "deal": {"system": "crm", "id": id}})
}

async fn entries(world: &World) -> usize {
    world.dossier(EMAIL).await["timeline"]["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn each_kind_of_report_moves_the_lead_where_it_should() {
    for (body, stage, cycle, person) in [
        (json!({"kind": "accepted", "by": "at-1"}), "sales_accepted", 1, json!("at-1")),
        (
            json!({"kind": "rejected", "reason": "wrong_size", "note": "ten people"}),
            "nurturing",
            2,
            Value::Null,
        ),
        (
            json!({"kind": "not_ready", "reason": "budget", "not_before": "2027-02-01"}),
            "nurturing",
            2,
            Value::Null,
        ),
        (json!({"kind": "qualified"}), "sales_qualified", 1, json!("at-1")),
        (json!({"kind": "assigned", "to": "at-2"}), "marketing_qualified", 1, json!("at-2")),
        (deal("opportunity", "D-1"), "opportunity", 1, json!("at-1")),
        (deal("won", "D-1"), "customer", 1, json!("at-1")),
        (deal("lost", "D-1"), "nurturing", 2, Value::Null),
        (json!({"kind": "lost", "reason": "price"}), "nurturing", 2, Value::Null),
        (json!({"kind": "disqualified", "reason": "student"}), "disqualified", 1, Value::Null),
        (
            json!({"kind": "follow_up", "channel": "phone", "result": "reached"}),
            "marketing_qualified",
            1,
            json!("at-1"),
        ),
        (json!({"kind": "opted_out", "purpose": "marketing"}), "marketing_qualified", 1, json!("at-1")),
        (json!({"kind": "marketing_feedback", "quote": "Nice."}), "marketing_qualified", 1, json!("at-1")),
    ] {
        let (world, id) = handed().await;
        let result = report(&world, &id, &body).await.ok(&body.to_string());
        assert_eq!(result["status"], "updated", "{body}");
        let lead = world.dossier(EMAIL).await;
        let got = (&lead["stage"], &lead["cycle"], &lead["owner"]["person"]);
        assert_eq!(got, (&json!(stage), &json!(cycle), &person), "{body}");
        assert_eq!(lead["timeline"]["items"].as_array().unwrap().len(), 2);
        assert!(result["fact_id"].as_str().unwrap().len() > 16, "{body}");
        assert_eq!(lead["timeline"]["items"][0]["by"], "sales:at-1");
    }
}

#[tokio::test]
async fn an_answer_keeps_the_promise() {
    for body in [
        json!({"kind": "accepted"}),
        json!({"kind": "follow_up", "channel": "phone"}),
        json!({"kind": "qualified"}),
    ] {
        let (world, id) = handed().await;
        assert_eq!(world.dossier(EMAIL).await["promise"]["overdue"], false);
        report(&world, &id, &body).await.ok("feedback");
        assert_eq!(world.dossier(EMAIL).await["promise"], Value::Null, "{body}");
    }
    let (world, id) = handed().await;
    report(&world, &id, &json!({"kind": "assigned", "to": "at-2"})).await.ok("feedback");
    world.later(DAY_MS);
    assert_eq!(world.dossier(EMAIL).await["promise"]["overdue"], true, "to pass it on is no answer");
}

#[tokio::test]
async fn what_makes_no_sense_in_the_stage_is_refused_with_what_would() {
    let (world, id) = handed().await;
    let before = world.dossier(EMAIL).await;
    let answer = report(&world, &id, &json!({"kind": "churned"})).await;
    assert_eq!((answer.status, answer.header("content-type")), (409, "application/problem+json"));
    let problem = answer.json();
    assert_eq!(problem["type"], "urn:leadloop:problem:illegal-transition");
    let expected = json!([
        "accepted",
        "rejected",
        "not_ready",
        "qualified",
        "assigned",
        "opportunity",
        "won",
        "lost",
        "disqualified"
    ]);
    assert_eq!(problem["legal"], expected);
    assert_eq!(world.dossier(EMAIL).await, before, "nothing is stored");
    assert_eq!(before["legal_feedback"], expected, "the dossier says it beforehand");
    report(&world, &id, &deal("won", "D-1")).await.ok("won");
    world.later(MINUTE_MS);
    for body in [
        json!({"kind": "accepted"}),
        json!({"kind": "rejected", "reason": "x"}),
        json!({"kind": "disqualified", "reason": "x"}),
    ] {
        assert_eq!(report(&world, &id, &body).await.status, 409, "{body}");
    }
}

#[tokio::test]
async fn every_step_that_is_called_legal_is_taken() {
    let (world, id) = handed().await;
    let legal = world.dossier(EMAIL).await["legal_feedback"].clone();
    for kind in legal.as_array().unwrap() {
        let (world, id) = handed().await;
        let mut body = deal(kind.as_str().unwrap(), "D-1");
        if !["won", "lost", "opportunity"].contains(&kind.as_str().unwrap()) {
            body.as_object_mut().unwrap().remove("deal");
        }
        if ["rejected", "not_ready", "disqualified"].contains(&kind.as_str().unwrap()) {
            body["reason"] = json!("because");
        }
        if kind == "assigned" {
            body["to"] = json!("at-2");
        }
        assert_eq!(report(&world, &id, &body).await.status, 200, "{body}");
    }
    drop((world, id));
}

#[tokio::test]
async fn a_deal_won_on_a_lead_that_was_never_marked_skips_stages_and_says_so() {
    let world = World::new().await;
    let lead = world.post(Role::Sales, "/v1/leads", &json!({"email": EMAIL})).await.ok("lead");
    world.later(MINUTE_MS);
    let mut won = deal("won", "D-7");
    won["amount"] = json!({"amount": "1200.50", "currency": "EUR"});
    let result = report(&world, lead["lead_id"].as_str().unwrap(), &won).await.ok("won");
    assert_eq!(result["stage"], "customer");
    let dossier = world.dossier(EMAIL).await;
    let expected = json!({"effect": "stage_changed", "from": "inquiry", "to": "customer",
        "skipped": ["marketing_qualified", "sales_accepted", "sales_qualified", "opportunity"]});
    assert!(dossier["timeline"]["items"][0]["effects"].as_array().unwrap().contains(&expected));
    assert_eq!(
        dossier["deals"],
        json!([{"deal": {"system": "crm", "id": "D-7"}, "state": "won",
        "amount": {"amount": "1200.50", "currency": "EUR"}, "at": "2026-11-22T12:01:00Z"}])
    );
    assert_eq!(world.events().await, ["captured", "outcome", "stage_changed", "stage_changed"]);
}

#[tokio::test]
async fn a_report_that_comes_again_changes_nothing() {
    let (world, id) = handed().await;
    let with_id = json!({"kind": "follow_up", "channel": "phone", "id": "call-1"});
    let with_time = json!({"kind": "follow_up", "channel": "mail", "occurred_at": "2026-11-22T12:30:00Z"});
    for body in [&with_id, &with_time, &deal("won", "D-1")] {
        for n in 0..5 {
            let result = report(&world, &id, body).await.ok("feedback");
            assert_eq!(result["status"], if n == 0 { "updated" } else { "unchanged" }, "{body}");
            world.later(MINUTE_MS);
        }
    }
    let keyed = async |key: &str| {
        let call = world
            .call(Role::Sales, "POST", &format!("/v1/leads/{id}/feedback"))
            .header("idempotency-key", key);
        call.json(&json!({"kind": "follow_up", "channel": "visit"})).send().await.ok("feedback")["status"]
            .clone()
    };
    assert_eq!(
        [keyed("k-1").await, keyed("k-1").await, keyed("k-2").await],
        ["updated", "unchanged", "updated"]
    );
    assert_eq!(entries(&world).await, 6);
}

#[tokio::test]
async fn two_calls_without_a_time_are_two_calls() {
    let (world, id) = handed().await;
    for _ in 0..2 {
        report(&world, &id, &json!({"kind": "follow_up", "channel": "phone"})).await.ok("feedback");
    }
    assert_eq!(entries(&world).await, 3);
}

#[tokio::test]
async fn a_fact_that_was_wrong_is_withdrawn_and_not_edited() {
    let (world, id) = handed().await;
    let won = report(&world, &id, &deal("won", "D-1")).await.ok("won");
    assert_eq!(won["stage"], "customer");
    world.later(MINUTE_MS);
    let withdrawn = json!({"kind": "withdrawn", "id": won["fact_id"], "note": "wrong customer"});
    let result = report(&world, &id, &withdrawn).await.ok("withdrawn");
    assert_eq!(
        (&result["stage"], &result["owner"]["person"]),
        (&json!("marketing_qualified"), &json!("at-1"))
    );
    assert_eq!(report(&world, &id, &withdrawn).await.ok("again")["status"], "unchanged");
    let lead = world.dossier(EMAIL).await;
    assert_eq!((&lead["deals"], lead["timeline"]["items"].as_array().unwrap().len()), (&json!([]), 3));
    for id_of in ["0000000000000000", "no fact"] {
        let answer = report(&world, &id, &json!({"kind": "withdrawn", "id": id_of})).await;
        assert_eq!((answer.status, answer.pointers()), (422, vec!["/id".to_owned()]));
    }
}

#[tokio::test]
async fn a_returned_lead_that_views_one_page_is_not_handed_back() {
    let (world, id) = handed().await;
    report(&world, &id, &json!({"kind": "rejected", "reason": "too_early"})).await.ok("rejected");
    world.later(DAY_MS);
    let view = json!({"lead": {"lead_id": id}, "kind": "page_viewed", "properties": {"path": "/pricing"}});
    let viewed = world.post(Role::Capture, "/v1/activities", &view).await.ok("view");
    assert_eq!(
        (&viewed["stage"], &viewed["score"]["label"]),
        (&json!("nurturing"), &json!("A1")),
        "its score still counts"
    );
    let inbox = world.get(Role::Sales, "/v1/inbox").await;
    assert_eq!(inbox["items"], json!([]));
    // What it does now that is worth as much as before does hand it back, in its second cycle.
    let mut again = ada();
    again["submission_id"] = json!("s-ada-2");
    world.later(DAY_MS);
    world.submit("contact", &again).await;
    let lead = world.dossier(EMAIL).await;
    assert_eq!((&lead["stage"], &lead["cycle"]), (&json!("marketing_qualified"), &json!(2)));
}

#[tokio::test]
async fn a_returned_lead_about_which_sales_notes_something_stays_returned() {
    let (world, id) = handed().await;
    report(&world, &id, &json!({"kind": "not_ready", "reason": "budget"})).await.ok("not ready");
    world.later(DAY_MS);
    for body in [
        json!({"kind": "follow_up", "channel": "phone"}),
        json!({"kind": "marketing_feedback", "sentiment": "positive"}),
    ] {
        assert_eq!(report(&world, &id, &body).await.ok("note")["stage"], "nurturing");
    }
}

#[tokio::test]
async fn a_batch_names_leads_by_id_address_phone_or_external_id() {
    let (world, id) = handed().await;
    let known = json!({"email": EMAIL, "phone": "+431234567", "external_id": {"system": "crm", "id": "42"}});
    world.post(Role::Marketing, "/v1/leads", &known).await.ok("lead");
    let call = |lead: Value, n: u8| json!({"lead": lead, "kind": "follow_up", "channel": "phone", "id": format!("c-{n}")});
    let results = batch(
        &world,
        json!([
            call(json!({"lead_id": id}), 1),
            call(json!({"email": "ADA@company.example"}), 2),
            call(json!({"phone": "+43 1 234567"}), 3),
            call(json!({"external_id": {"system": "crm", "id": "42"}}), 4),
            call(json!({"external_id": {"system": "crm", "id": "none"}}), 5),
            call(json!({}), 6),
            {"lead": {"email": EMAIL}, "kind": "sold", "colour": "red"},
            call(json!({"lead_id": id}), 1),
        ]),
    )
    .await;
    let statuses: Vec<&str> = results.iter().map(|result| result["status"].as_str().unwrap()).collect();
    let expected =
        ["updated", "updated", "updated", "updated", "rejected", "rejected", "rejected", "unchanged"];
    assert_eq!(statuses, expected, "{results:?}");
    assert!(results[..4].iter().all(|result| result["lead_id"] == json!(id)));
    assert_eq!(results[4]["problem"]["status"], 404);
    assert_eq!(results[5]["problem"]["errors"][0]["pointer"], "/lead");
    assert_eq!(results[6]["problem"]["errors"][0]["pointer"], "/kind");
}

#[tokio::test]
async fn a_batch_keeps_and_skips_what_makes_no_sense() {
    let (world, id) = handed().await;
    let at = |minutes: i64| world.now().plus(-minutes * MINUTE_MS).to_string();
    let mut won = deal("won", "D-1");
    won["lead"] = json!({"lead_id": id});
    won["occurred_at"] = json!(at(20));
    let accepted = json!({"lead": {"lead_id": id}, "kind": "accepted", "occurred_at": at(10)});
    let results = batch(&world, json!([won, accepted])).await;
    assert_eq!((&results[0]["status"], &results[1]["status"]), (&json!("updated"), &json!("updated")));
    let lead = world.dossier(EMAIL).await;
    assert_eq!(lead["stage"], "customer");
    let impossible = json!({"effect": "impossible", "asked": "accepted", "stage": "customer"});
    assert!(lead["timeline"]["items"][0]["effects"].as_array().unwrap().contains(&impossible));
}

#[tokio::test]
async fn reports_that_come_out_of_order_end_where_they_would_have_in_order() {
    let stories = [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]];
    let mut ends = Vec::new();
    for order in stories {
        let (world, id) = handed().await;
        world.later(DAY_MS);
        let at = |n: i64| world.now().plus(n * MINUTE_MS - HOUR_MS).to_string();
        let mut facts = [
            json!({"kind": "accepted"}),
            deal("opportunity", "D-1"),
            deal("won", "D-1"),
            deal("opportunity", "D-2"),
        ];
        for (n, fact) in (0..).zip(&mut facts) {
            fact["occurred_at"] = json!(at(n));
            fact["lead"] = json!({"lead_id": id});
        }
        for at in order {
            batch(&world, json!([facts[at]])).await;
        }
        let lead = world.dossier(EMAIL).await;
        ends.push(["stage", "cycle", "owner", "deals", "stage_since"].map(|key| lead[key].clone()));
    }
    assert_eq!(ends[0], ends[1]);
    assert_eq!(ends[0], ends[2]);
    assert_eq!(ends[0][0], "opportunity", "a customer's next deal");
}

#[tokio::test]
async fn an_import_of_outcomes_sends_nothing_out_and_may_come_again() {
    let world = World::new().await;
    let lead = json!({"mode": "history", "leads": [{"external_id": {"system": "olist", "id": "m-1"}, "occurred_at": "2018-01-01T00:00:00Z"}]});
    world.post(Role::Marketing, "/v1/leads/batch", &lead).await.ok("leads");
    let body = json!({"mode": "history", "feedback": [{"lead": {"external_id": {"system": "olist", "id": "m-1"}},
        "kind": "won", "occurred_at": "2018-02-26T19:58:54Z", "deal": {"system": "olist", "id": "s-1"},
        "amount": {"amount": "99.90", "currency": "BRL"}}]});
    for status in ["updated", "unchanged", "unchanged"] {
        let answer = world.post(Role::Sales, "/v1/feedback/batch", &body).await.ok("feedback");
        assert_eq!(
            (&answer["results"][0]["status"], &answer["results"][0]["stage"]),
            (&json!(status), &json!("customer"))
        );
    }
    assert!(world.events().await.is_empty());
}

#[tokio::test]
async fn who_opts_out_has_withdrawn() {
    let (world, id) = handed().await;
    let body = json!({"kind": "opted_out", "purpose": "phone", "by": "at-1", "note": "do not call"});
    report(&world, &id, &body).await.ok("opted out");
    let consent = world.dossier(EMAIL).await["consent"][0].clone();
    assert_eq!(
        (&consent["purpose"], &consent["status"], &consent["source"]),
        (&json!("phone"), &json!("withdrawn"), &json!("sales:at-1"))
    );
    assert!(world.events().await.contains(&"consent_withdrawn".to_owned()));
}

#[tokio::test]
async fn what_the_customer_said_of_the_marketing_is_kept_in_their_words() {
    let (world, id) = handed().await;
    let body = json!({"kind": "marketing_feedback", "about": {"campaign": "spring", "content": "wp-7"},
        "sentiment": "negative", "quote": "Zu viele Mails – „nervig“!"});
    report(&world, &id, &body).await.ok("feedback");
    let entry = world.dossier(EMAIL).await["timeline"]["items"][0].clone();
    assert_eq!(
        (&entry["about"], &entry["quote"]),
        (&json!({"campaign": "spring", "content": "wp-7"}), &body["quote"])
    );
}

#[tokio::test]
async fn every_fault_of_a_report_is_named_at_once() {
    let (world, id) = handed().await;
    let body = json!({"kind": "won", "by": "At 1", "occurred_at": "1900-01-01T00:00:00Z", "colour": "red",
        "amount": {"amount": "1,5", "currency": "euro"}});
    let answer = report(&world, &id, &body).await;
    let expected = ["/amount/currency", "/by", "/colour", "/deal", "/occurred_at"];
    assert_eq!((answer.status, answer.pointers()), (422, expected.map(String::from).to_vec()));
    let cases = [
        (json!({}), "/kind"),
        (json!({"kind": "sold"}), "/kind"),
        (json!({"kind": "rejected"}), "/reason"),
        (json!({"kind": "disqualified", "reason": " "}), "/reason"),
        (json!({"kind": "not_ready", "reason": "x", "not_before": "spring"}), "/not_before"),
        (json!({"kind": "assigned"}), "/to"),
        (json!({"kind": "opted_out", "purpose": "all"}), "/purpose"),
        (json!({"kind": "marketing_feedback", "about": {"campaign": "spring"}}), ""),
        (
            json!({"kind": "won", "deal": {"system": "crm", "id": "D"}, "amount": {"amount": "1.234", "currency": "EUR"}}),
            "/amount/amount",
        ),
    ];
    for (body, pointer) in cases {
        let answer = report(&world, &id, &body).await;
        assert_eq!((answer.status, answer.pointers()), (422, vec![pointer.to_owned()]), "{body}");
    }
    assert_eq!(entries(&world).await, 1, "nothing is stored");
}

#[tokio::test]
async fn a_report_about_nobody_is_not_found() {
    let world = World::new().await;
    for id in ["aaaaaaaaaaaaaaaaaaaaaaaaaa", "ada@company.example"] {
        for body in [json!({"kind": "accepted"}), json!({"kind": "withdrawn", "id": "0000000000000000"})] {
            let answer = report(&world, id, &body).await;
            assert_eq!(answer.status, 404, "{id} {body}");
        }
    }
}

#[tokio::test]
async fn a_reason_is_one_of_the_playbooks_and_says_what_becomes_of_the_lead() {
    let mut playbook = testkit::test_playbook();
    playbook["reasons"] = json!({
        "rejected": [{"id": "wrong_size"}, {"id": "rival", "title": "A rival", "then": "disqualify"}],
        "lost": [{"id": "later"}],
    });
    let world = World::with(&playbook).await;
    world.submit("contact", &ada()).await;
    let lead = world.dossier("ada@company.example").await;
    let id = lead["lead_id"].as_str().unwrap().to_owned();
    assert_eq!(
        lead["reasons"]["rejected"],
        json!([{"id": "wrong_size", "title": "wrong size", "then": "nurture"},
            {"id": "rival", "title": "A rival", "then": "disqualify"}])
    );
    let refused = report(&world, &id, &json!({"kind": "rejected", "reason": "because"})).await;
    assert_eq!((refused.status, refused.pointers()), (422, vec!["/reason".to_owned()]));
    assert!(refused.text().contains("wrong_size, rival"), "{}", refused.text());

    let batch = json!({"feedback": [
        {"lead": {"lead_id": id}, "kind": "lost", "reason": "because"},
        {"lead": {"lead_id": id}, "kind": "rejected", "reason": "rival"},
        {"lead": {"lead_id": id}, "kind": "disqualified", "reason": "any text, since it has no list"},
    ]});
    let answers = world.post(Role::Sales, "/v1/feedback/batch", &batch).await.ok("batch");
    let statuses: Vec<&str> =
        answers["results"].as_array().unwrap().iter().map(|r| r["status"].as_str().unwrap()).collect();
    assert_eq!(statuses[..2], ["rejected", "updated"], "{answers}");
    let lead = world.dossier("ada@company.example").await;
    assert_eq!((&lead["stage"], &lead["owner"]["person"]), (&json!("disqualified"), &Value::Null));
    world.later(3 * DAY_MS + MINUTE_MS);
    let stages = world.dossier("ada@company.example").await["stages"].as_array().unwrap().clone();
    let stays: Vec<_> =
        stages.iter().map(|s| (s["stage"].as_str().unwrap(), s["days"].as_i64().unwrap())).collect();
    assert_eq!(stays.last(), Some(&("disqualified", 3)), "{stays:?}");
    assert!(stages.windows(2).all(|two| two[0]["until"] == two[1]["since"]), "{stages:?}");

    let old = json!({"mode": "history", "feedback": [
        {"lead": {"lead_id": id}, "kind": "lost", "reason": "in the words of 2015", "occurred_at": "2015-03-02T09:00:00Z"},
    ]});
    let answers = world.post(Role::Sales, "/v1/feedback/batch", &old).await.ok("history");
    assert_eq!(answers["results"][0]["status"], "updated", "{answers}");
}

#[tokio::test]
async fn a_follow_up_that_is_withdrawn_was_no_answer() {
    let (world, id) = handed().await;
    let due = world.dossier(EMAIL).await["promise"].clone();
    let call = json!({"kind": "follow_up", "channel": "phone", "result": "wrong_number", "by": "at-1"});
    let fact = report(&world, &id, &call).await.ok("follow-up")["fact_id"].clone();
    let answered = world.dossier(EMAIL).await;
    assert_eq!(answered["promise"], Value::Null);
    assert_eq!(answered["next_step"]["action"], "decide");
    report(&world, &id, &json!({"kind": "withdrawn", "id": fact, "note": "Somebody else's."}))
        .await
        .ok("withdrawn");
    let lead = world.dossier(EMAIL).await;
    assert_eq!(lead["promise"], due, "it is owed as before");
    assert_eq!(lead["next_step"]["action"], "answer");
    let told = lead["feedback"].as_array().unwrap();
    assert_eq!((told.len(), &told[0]["withdrawn"], &told[0]["kind"]), (1, &json!(true), &json!("follow_up")));
}

#[tokio::test]
async fn what_a_customer_said_stands_where_it_belongs_until_it_is_withdrawn() {
    let world = World::new().await;
    let mut fields = ada();
    fields["utm_campaign"] = json!("spring");
    fields["utm_medium"] = json!("cpc");
    world.submit("contact", &fields).await;
    let id = world.lead_id(EMAIL).await;
    world.later(HOUR_MS);
    let read =
        json!({"lead": {"email": EMAIL}, "kind": "content_downloaded", "properties": {"content": "savings"}});
    world.post(Role::Capture, "/v1/activities", &read).await.ok("activity");
    world.later(MINUTE_MS);
    let said = json!({"kind": "marketing_feedback", "about": {"campaign": "spring", "content": "savings"},
        "sentiment": "negative", "quote": "Too loud.", "by": "at-1"});
    let fact = report(&world, &id, &said).await.ok("said")["fact_id"].clone();
    let lead = world.dossier(EMAIL).await;
    let says = "at-1 heard something bad about the campaign “spring” and “savings”: “Too loud.”";
    assert_eq!(lead["campaigns"][0]["said"], json!([says]));
    assert_eq!(
        lead["content"][0]["reaction"],
        json!([format!("{says} on 22 November 2026"), "Downloaded “savings” on 22 November 2026"])
    );
    assert_eq!(lead["talking_points"][0]["text"], says);
    report(&world, &id, &json!({"kind": "withdrawn", "id": fact})).await.ok("withdrawn");
    let lead = world.dossier(EMAIL).await;
    assert_eq!(lead["campaigns"][0]["said"], json!([]));
    assert_eq!(lead["content"][0]["reaction"].as_array().unwrap().len(), 1);
    assert_eq!(lead["talking_points"], json!([]));
    let story = lead["story"].as_array().unwrap();
    assert!(story.iter().any(|line| line["withdrawn"] == json!(true)), "it happened all the same: {story:?}");
}
