//! Public forms.

use adapters::http::Role;
use domain::time::{DAY_MS, MINUTE_MS};
use serde_json::{Value, json};
use tests::{Answer, World, ada};

const ORIGIN: &str = "https://www.company.example";

/// Gives a submission with some fields changed; `null` takes one away.
fn ada_with(changes: &Value) -> Value {
    let mut fields = ada();
    let map = fields.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        map.insert(name.clone(), value.clone());
    }
    fields
}

fn urlencoded(fields: &Value) -> String {
    let pairs = fields.as_object().unwrap().iter();
    let escape = |text: &str| {
        text.bytes().fold(String::new(), |all, b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => all + &char::from(b).to_string(),
            b' ' => all + "+",
            b => all + &format!("%{b:02X}"),
        })
    };
    let pairs: Vec<String> =
        pairs.map(|(name, value)| format!("{}={}", escape(name), escape(value.as_str().unwrap()))).collect();
    pairs.join("&")
}

fn multipart(fields: &Value) -> String {
    let part = |(name, value): (&String, &Value)| {
        let value = value.as_str().unwrap();
        format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    fields.as_object().unwrap().iter().map(part).collect::<String>() + "--xyz--\r\n"
}

const URLENCODED: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=xyz";

async fn submitted_by_a_browser(world: &World, form: &str, fields: &Value) -> Answer {
    world
        .api
        .call("POST", &format!("/v1/forms/{form}"))
        .header("accept", "text/html,application/xhtml+xml")
        .header("origin", ORIGIN)
        .body(URLENCODED, urlencoded(fields))
        .send()
        .await
}

/// Gives a lead's profile without what is different in every world.
async fn profile(world: &World, email: &str) -> Value {
    let mut dossier = world.dossier(email).await;
    dossier.as_object_mut().unwrap().remove("lead_id");
    dossier
}

#[tokio::test]
async fn a_submission_is_a_scored_lead_that_is_handed_to_the_qualifier_of_its_country() {
    let world = World::new().await;
    let answer = world.submit("contact", &ada()).await;
    assert_eq!((answer.status, answer.json()), (202, json!({"status": "accepted"})));
    let lead = world.dossier("ada@company.example").await;
    assert_eq!(lead["score"]["fit"], 80);
    assert_eq!(lead["score"]["engagement"], 60);
    assert_eq!(lead["score"]["label"], "A1");
    assert_eq!(lead["stage"], "marketing_qualified");
    assert_eq!(lead["owner"], json!({"team": "sales", "person": "at-1"}));
    assert_eq!(lead["promise"]["due_at"], "2026-11-23T12:00:00Z");
    assert_eq!(lead["attributes"]["country"], "AT");
    assert_eq!(lead["company"]["name"], "Company Ltd.");
    let entry = &lead["timeline"]["items"][0];
    assert_eq!((&entry["kind"], &entry["by"]), (&json!("form"), &json!("form:contact")));
    assert_eq!(entry["properties"]["message"], "Please call me.");
    assert_eq!(world.events().await, ["became_qualified", "captured", "handed_off", "stage_changed"]);
}

#[tokio::test]
async fn a_form_is_the_same_lead_as_json_as_urlencoded_and_as_multipart() {
    let mut profiles = Vec::new();
    for (content_type, body) in [
        ("application/json", ada().to_string()),
        ("text/plain", ada().to_string()),
        (URLENCODED, urlencoded(&ada())),
        (MULTIPART, multipart(&ada())),
    ] {
        let world = World::new().await;
        world.api.call("POST", "/v1/forms/contact").body(content_type, body).expect(202).await;
        profiles.push((content_type, profile(&world, "ada@company.example").await));
    }
    for (content_type, profile) in &profiles {
        assert_eq!(profile, &profiles[0].1, "{content_type}");
    }
}

#[tokio::test]
async fn a_plain_html_form_ends_on_its_thank_you_page() {
    let world = World::new().await;
    let answer = submitted_by_a_browser(&world, "contact", &ada()).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/thank-you"));
    assert_eq!(world.memory().leads().len(), 1);
}

#[tokio::test]
async fn a_plain_html_form_without_a_thank_you_page_is_thanked_here() {
    let world = World::new().await;
    let answer = submitted_by_a_browser(&world, "callback", &json!({"phone": "+43 1 234567"})).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(answer.text().contains("Thank you"));
}

#[tokio::test]
async fn a_plain_html_form_shows_its_faults_as_a_page_without_running_what_was_typed() {
    let world = World::new().await;
    let fields = json!({"email": "<script>alert(1)</script>", "anonymous_id": "<b>"});
    let answer = submitted_by_a_browser(&world, "contact", &fields).await;
    assert_eq!((answer.status, answer.header("content-type")), (422, "text/html; charset=utf-8"));
    let page = answer.text();
    assert!(page.contains("email") && page.contains("anonymous_id"), "{page}");
    assert!(!page.contains("<script>") && !page.contains("<b>"), "{page}");
}

#[tokio::test]
async fn a_machine_that_fills_in_the_honeypot_is_thanked_and_forgotten() {
    let world = World::new().await;
    let honest = world.submit("contact", &ada_with(&json!({"website": ""}))).await;
    let machine = world
        .submit("contact", &ada_with(&json!({"website": "https://x.example", "email": "bot@x.example"})))
        .await;
    assert_eq!((machine.status, machine.json()), (honest.status, honest.json()));
    assert_eq!(world.memory().leads().len(), 1, "only the honest one");
}

#[tokio::test]
async fn only_pages_of_the_forms_origins_may_post_it() {
    let world = World::new().await;
    let post = async |origin: &str| {
        world.api.call("POST", "/v1/forms/contact").header("origin", origin).json(&ada()).send().await
    };
    let answer = post("https://evil.example").await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header("access-control-allow-origin"), "");
    assert!(world.memory().leads().is_empty());
    for origin in [ORIGIN, "HTTPS://WWW.COMPANY.EXAMPLE", "http://127.0.0.1:3000"] {
        let answer = post(origin).await;
        assert_eq!(answer.status, 202, "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), origin.to_lowercase());
        assert_eq!(answer.header("vary"), "Origin");
    }
    // No origin: not a page of somebody else's.
    assert_eq!(world.submit("contact", &ada()).await.status, 202);
    // A form without a list is open to every page.
    let answer = world
        .api
        .call("POST", "/v1/forms/callback")
        .header("origin", "https://anywhere.example")
        .json(&json!({"phone": "+431234567"}))
        .expect(202)
        .await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://anywhere.example");
}

#[tokio::test]
async fn a_browsers_question_before_it_posts_is_answered_for_the_forms_origins_only() {
    let world = World::new().await;
    let ask = async |path: &str, origin: &str| {
        let call = world.api.call("OPTIONS", path).header("origin", origin);
        call.header("access-control-request-method", "POST").expect(204).await
    };
    for path in ["/v1/forms/contact", "/v1/forms/contact/activities"] {
        let answer = ask(path, ORIGIN).await;
        assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
        assert!(answer.header("access-control-allow-methods").contains("POST"));
        assert!(answer.header("access-control-allow-headers").contains("content-type"));
        assert_eq!(ask(path, "https://evil.example").await.header("access-control-allow-origin"), "");
    }
    assert_eq!(ask("/v1/forms/nowhere", ORIGIN).await.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn faults_can_be_read_by_the_page_that_sent_them() {
    let world = World::new().await;
    let answer = world
        .api
        .call("POST", "/v1/forms/contact")
        .header("origin", ORIGIN)
        .json(&json!({"email": "ada"}))
        .expect(422)
        .await;
    assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
}

#[tokio::test]
async fn a_ticked_box_waits_for_confirmation_unless_the_country_needs_none() {
    let world = World::new().await;
    let ticked = json!({"consent_marketing": "on", "consent_phone": "false"});
    world.submit("contact", &ada_with(&ticked)).await;
    let british = json!({"email": "bob@company.example", "country": "United Kingdom", "consent_marketing": true,
        "submission_id": "s-bob"});
    world.submit("contact", &ada_with(&british)).await;
    let austrian = world.dossier("ada@company.example").await["consent"].clone();
    let expected = json!([{"purpose": "marketing", "status": "pending", "basis": "consent", "text": "newsletter-2026-01",
        "source": "form:contact", "at": "2026-11-22T12:00:00Z"}]);
    assert_eq!(austrian, expected);
    let british = world.dossier("bob@company.example").await;
    assert_eq!(british["consent"][0]["status"], "confirmed");
    assert_eq!(british["segments"], json!(["newsletter"]));
}

#[tokio::test]
async fn a_form_that_is_sent_again_does_not_undo_a_confirmation() {
    let world = World::new().await;
    world.submit("contact", &ada_with(&json!({"consent_marketing": "on"}))).await;
    let id = world.lead_id("ada@company.example").await;
    let confirmed = json!({"purpose": "marketing", "status": "confirmed", "source": "mail"});
    world.later(MINUTE_MS);
    assert_eq!(world.post(Role::Marketing, &format!("/v1/leads/{id}/consent"), &confirmed).await.status, 200);
    world.later(DAY_MS);
    world.submit("contact", &ada_with(&json!({"consent_marketing": "on", "submission_id": "again"}))).await;
    assert_eq!(world.dossier("ada@company.example").await["consent"][0]["status"], "confirmed");
}

#[tokio::test]
async fn the_first_and_the_latest_campaign_are_kept() {
    let world = World::new().await;
    let touched = |n: u8, medium: &str| {
        json!({"submission_id": format!("s-{n}"), "utm_source": "google", "utm_medium": medium,
            "utm_campaign": format!("campaign-{n}"), "landing_page": format!("https://www.company.example/lp-{n}")})
    };
    for (n, medium) in [(1, "cpc"), (2, "Newsletter"), (3, "podcast")] {
        world.submit("contact", &ada_with(&touched(n, medium))).await;
        world.later(DAY_MS);
    }
    let source = world.dossier("ada@company.example").await["source"].clone();
    assert_eq!(
        source["first"],
        json!({"at": "2026-11-22T12:00:00Z", "channel": "paid_search", "campaign": "campaign-1",
        "landing_page": "https://www.company.example/lp-1"})
    );
    assert_eq!(source["last"]["channel"], "podcast");
    assert_eq!(source["last"]["at"], "2026-11-24T12:00:00Z");
}

#[tokio::test]
async fn every_fault_is_named_at_once_with_its_field_and_nothing_is_stored() {
    let world = World::new().await;
    let long = "x".repeat(1_001);
    let bad = json!({"email": "ada@", "anonymous_id": "!", "full_name": long});
    let answer = world.submit("contact", &bad).await;
    assert_eq!((answer.status, answer.header("content-type")), (422, "application/problem+json"));
    assert_eq!(answer.pointers(), ["/anonymous_id", "/email", "/full_name"]);
    let answer = world.submit("contact", &json!({"full_name": "Ada", "anonymous_id": "?"})).await;
    assert_eq!(answer.pointers(), ["/anonymous_id", "/email"]);
    let answer = world.submit("contact", &json!({"email": {"a": 1}, "a/b~c": [{}]})).await;
    assert_eq!(answer.pointers(), ["/a~1b~0c", "/email"]);
    assert_eq!(world.submit("contact", &json!(["email"])).await.status, 422);
    assert_eq!(world.submit("callback", &json!({"phone": "01 234"})).await.pointers(), ["/phone"]);
    assert!(world.memory().leads().is_empty());
}

#[tokio::test]
async fn a_body_may_hold_256_kb_and_not_one_byte_more() {
    let world = World::new().await;
    let filler = |bytes: usize| {
        let start = r#"{"email":"ada@company.example","message":"hello","unknown":""#;
        format!("{start}{}\"}}", "x".repeat(bytes - start.len() - 2))
    };
    let post = async |body: String| {
        world.api.call("POST", "/v1/forms/contact").body("application/json", body).send().await
    };
    let answer = post(filler(256 * 1024 + 1)).await;
    assert_eq!((answer.status, answer.header("content-type")), (413, "application/problem+json"));
    assert!(world.memory().leads().is_empty());
    let declared = world.api.call("POST", "/v1/forms/contact").header("content-length", "300000");
    declared.body("application/json", ada().to_string()).expect(413).await;
    assert_eq!(post(filler(256 * 1024)).await.status, 202);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_the_place() {
    let world = World::new().await;
    let post = async |content_type: &str, body: &str| {
        world.api.call("POST", "/v1/forms/contact").body(content_type, body.to_owned()).send().await
    };
    let answer = post("application/json", "{\"email\": \"ada@company.example\",\n \"full").await;
    assert_eq!(answer.status, 400);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("line 2") && !detail.contains("ada@"), "{detail}");
    for (content_type, body) in [
        ("application/json", "\u{feff}{}"),
        ("application/xml", "<email>ada@company.example</email>"),
        ("multipart/form-data", "--xyz--"),
        (MULTIPART, "--xyz\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\nada"),
    ] {
        let answer = post(content_type, body).await;
        assert_eq!(answer.status, 400, "{content_type}: {}", answer.text());
    }
    assert!(world.memory().leads().is_empty());
}

#[tokio::test]
async fn a_form_that_is_not_in_the_playbook_is_not_found() {
    let world = World::new().await;
    let answer = world.submit("nowhere", &ada()).await;
    assert_eq!((answer.status, answer.header("content-type")), (404, "application/problem+json"));
    assert!(world.memory().leads().is_empty());
}

#[tokio::test]
async fn a_stranger_does_not_learn_whether_an_address_is_known() {
    let world = World::new().await;
    let known = json!({"leads": [{"email": "known@company.example", "phone": "+431234567",
        "attributes": {"full_name": "Somebody Else"}, "stage": "customer"}]});
    world.post(Role::Marketing, "/v1/leads/batch", &known).await;
    let submit = async |email: &str, id: &str| {
        let changes = json!({"email": email, "submission_id": id, "phone": "+43 1 234567"});
        world.submit("contact", &ada_with(&changes)).await
    };
    let (known, unknown, again) = (
        submit("known@company.example", "1").await,
        submit("unknown@company.example", "2").await,
        submit("known@company.example", "1").await,
    );
    for answer in [&known, &again] {
        assert_eq!(
            (answer.status, &answer.headers, &answer.body),
            (unknown.status, &unknown.headers, &unknown.body)
        );
    }
}

#[tokio::test]
async fn a_public_form_fills_what_is_empty_and_proposes_what_differs() {
    let world = World::new().await;
    let known = json!({"email": "ada@company.example", "attributes": {"job_title": "Owner"}, "company": {"name": "Real Ltd."}});
    assert_eq!(world.post(Role::Sales, "/v1/leads", &known).await.status, 200);
    world.later(MINUTE_MS);
    world.submit("contact", &ada_with(&json!({"full_name": ""}))).await;
    let lead = world.dossier("ada@company.example").await;
    assert_eq!(lead["attributes"], json!({"job_title": "Owner", "country": "AT", "company_size": "120"}));
    assert_eq!(lead["company"]["name"], "Real Ltd.");
    let effects = lead["timeline"]["items"][0]["effects"].as_array().unwrap();
    let proposed =
        json!({"effect": "attribute_proposed", "attribute": "job_title", "value": "Head of Sales"});
    assert!(effects.contains(&proposed), "{effects:?}");
}

#[tokio::test]
async fn a_phone_number_that_nobody_can_be_known_by_is_kept_as_it_was_typed() {
    let world = World::new().await;
    world.submit("contact", &ada_with(&json!({"phone": "ask for Ada, ext. 12"}))).await;
    let lead = world.dossier("ada@company.example").await;
    assert_eq!(lead["attributes"]["phone_as_given"], "ask for Ada, ext. 12");
    assert_eq!(lead["phone"], Value::Null);
    world.submit("callback", &json!({"phone": "0043 (0)1 234-567", "full_name": "Bob"})).await;
    let found = world.post(Role::Sales, "/v1/leads/lookup", &json!({"phone": "+431234567"})).await.json();
    assert_eq!(found["items"][0]["phone"], "+431234567");
}

#[tokio::test]
async fn what_the_playbook_does_not_know_yet_is_kept_with_the_activity() {
    let world = World::new().await;
    world.submit("contact", &ada_with(&json!({"budget": 5_000, "topics": ["a", "b"], "gdpr": true}))).await;
    let properties = world.dossier("ada@company.example").await["timeline"]["items"][0]["properties"].clone();
    assert_eq!(
        (&properties["budget"], &properties["topics"], &properties["gdpr"]),
        (&json!("5000"), &json!("a, b"), &json!("true"))
    );
}

async fn forms_of(world: &World, email: &str) -> usize {
    let lead = world.dossier(email).await;
    lead["timeline"]["items"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "form").count()
}

#[tokio::test]
async fn a_submission_id_marks_a_repeat_however_late_it_comes() {
    let world = World::new().await;
    for _ in 0..10 {
        assert_eq!(world.submit("contact", &ada()).await.status, 202);
        world.later(DAY_MS);
    }
    assert_eq!(forms_of(&world, "ada@company.example").await, 1);
    assert_eq!(world.dossier("ada@company.example").await["version"], 1);
    world.submit("contact", &ada_with(&json!({"submission_id": "another"}))).await;
    assert_eq!(forms_of(&world, "ada@company.example").await, 2);
}

#[tokio::test]
async fn an_idempotency_key_marks_a_repeat_where_there_is_no_submission_id() {
    let world = World::new().await;
    let fields = ada_with(&json!({"submission_id": null}));
    for (key, expected) in [("k-1", 1), ("k-1", 1), ("k-2", 2)] {
        let call = world.api.call("POST", "/v1/forms/contact").header("idempotency-key", key);
        call.json(&fields).expect(202).await;
        assert_eq!(forms_of(&world, "ada@company.example").await, expected);
        world.later(60 * MINUTE_MS);
    }
}

#[tokio::test]
async fn without_any_id_the_same_content_within_ten_minutes_is_the_same_submission() {
    let world = World::new().await;
    let fields = ada_with(&json!({"submission_id": null}));
    world.submit("contact", &fields).await;
    world.later(9 * MINUTE_MS);
    world.submit("contact", &fields).await;
    assert_eq!(forms_of(&world, "ada@company.example").await, 1);
    world.submit("contact", &ada_with(&json!({"submission_id": null, "message": "Hello?"}))).await;
    assert_eq!(forms_of(&world, "ada@company.example").await, 2);
    world.later(11 * MINUTE_MS);
    world.submit("contact", &fields).await;
    assert_eq!(forms_of(&world, "ada@company.example").await, 3);
}

#[tokio::test]
async fn a_double_click_is_one_submission_at_any_moment() {
    for ms in [-1, 0, 10 * MINUTE_MS - 1] {
        let world = World::new().await;
        world.later(ms);
        let fields = ada_with(&json!({"submission_id": null}));
        world.submit("contact", &fields).await;
        world.later(2);
        world.submit("contact", &fields).await;
        assert_eq!(forms_of(&world, "ada@company.example").await, 1, "{ms}");
    }
}

#[tokio::test]
async fn an_unrecognised_country_is_kept_and_goes_to_the_default_qualifier() {
    let world = World::new().await;
    world.submit("contact", &ada_with(&json!({"country": "Kakania", "company_size": "120"}))).await;
    let lead = world.dossier("ada@company.example").await;
    assert_eq!((&lead["attributes"]["country"], &lead["score"]["label"]), (&json!("Kakania"), &json!("B1")));
    assert_eq!(lead["owner"]["person"], "eu-1");
}

#[tokio::test]
async fn the_starter_playbook_hands_its_contact_form_to_the_austrian_qualifier() {
    let world = World::with(&testkit::starter_playbook()).await;
    world.submit("contact", &ada()).await;
    let lead = world.dossier("ada@company.example").await;
    assert_eq!((&lead["score"]["label"], &lead["owner"]["person"]), (&json!("A1"), &json!("at-1")));
}
