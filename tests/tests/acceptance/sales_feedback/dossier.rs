//! Finding a lead, and everything known of it.

use adapters::http::Role;
use domain::identity::LeadId;
use domain::similar::LatestWon;
use domain::time::{DAY_MS, MINUTE_MS};
use serde_json::{Value, json};
use tests::{World, ada};

#[tokio::test]
async fn a_lead_is_found_by_its_id_address_phone_or_external_id() {
    let world = World::new().await;
    let known = json!({"email": "ada@company.example", "phone": "+431234567", "external_id": {"system": "crm", "id": "42"}});
    let lead = world.post(Role::Marketing, "/v1/leads", &known).await.ok("lead");
    for reference in [
        json!({"lead_id": lead["lead_id"]}),
        json!({"email": "ADA@COMPANY.EXAMPLE"}),
        json!({"phone": "0043 1 234567"}),
        json!({"external_id": {"system": "CRM", "id": "42"}}),
    ] {
        let found = world.post(Role::Sales, "/v1/leads/lookup", &reference).await.ok("lookup");
        assert_eq!(found["items"][0]["lead_id"], lead["lead_id"], "{reference}");
        assert_eq!(found["items"].as_array().unwrap().len(), 1);
    }
    let nobody =
        world.post(Role::Sales, "/v1/leads/lookup", &json!({"email": "nobody@company.example"})).await;
    assert_eq!(nobody.ok("lookup"), json!({"items": []}));
}

#[tokio::test]
async fn a_reference_names_a_lead_in_one_way() {
    let world = World::new().await;
    for (reference, pointer) in [
        (json!({}), ""),
        (json!({"email": "ada@company.example", "phone": "+431234567"}), ""),
        (json!({"email": "ada"}), "/email"),
        (json!({"lead_id": "Ada"}), "/lead_id"),
        (json!({"name": "Ada", "email": "ada@company.example"}), "/name"),
        (json!("ada@company.example"), ""),
    ] {
        let answer = world.post(Role::Sales, "/v1/leads/lookup", &reference).await;
        assert_eq!((answer.status, answer.pointers()), (422, vec![pointer.to_owned()]), "{reference}");
    }
}

#[tokio::test]
async fn a_dossier_holds_everything_known() {
    let world = World::new().await;
    let mut fields = ada();
    fields["phone"] = json!("+43 1 234567");
    fields["consent_marketing"] = json!("yes");
    fields["utm_medium"] = json!("cpc");
    world.submit("contact", &fields).await;
    let lead = world.dossier("ada@company.example").await;
    for key in [
        "lead_id",
        "email",
        "phone",
        "external_ids",
        "company",
        "attributes",
        "stage",
        "stage_since",
        "cycle",
        "owner",
        "promise",
        "score",
        "persona",
        "phase",
        "segments",
        "consent",
        "source",
        "deals",
        "possible_duplicates",
        "created_at",
        "responded_at",
        "next_review_at",
        "version",
        "timeline",
        "legal_feedback",
    ] {
        assert!(lead.get(key).is_some(), "{key}");
    }
    assert_eq!((&lead["email"], &lead["phone"]), (&json!("ada@company.example"), &json!("+431234567")));
    assert_eq!(lead["segments"], json!(["dach_active"]));
    assert_eq!(lead["score"]["playbook_version"], 1);
    assert_eq!(lead["score"]["as_of"], "2026-11-22T12:00:00Z");
    assert_eq!(lead["company"]["domain"], "company.example");
    assert!(lead["next_review_at"].as_str().unwrap() > "2026-11-22");
    assert_eq!(lead["timeline"]["next_cursor"], Value::Null);
}

#[tokio::test]
async fn a_timeline_says_why_a_lead_came_to_a_persona_a_phase_and_a_segment() {
    let world = World::new().await;
    let mut fields = ada();
    fields["job_title"] = json!("Plant manager");
    world.submit("contact", &fields).await;
    let lead = world.dossier("ada@company.example").await;
    assert_eq!((&lead["persona"], &lead["phase"]), (&json!("plant_manager"), &json!("decision")));
    let effects = lead["timeline"]["items"][0]["effects"].as_array().unwrap().clone();
    let effect = |name: &str| effects.iter().find(|effect| effect["effect"] == name).unwrap().clone();
    let persona = effect("persona_changed");
    assert_eq!((&persona["from"], &persona["to"]), (&Value::Null, &json!("plant_manager")));
    assert!(persona["because"][0].as_str().unwrap().starts_with("job title contains"), "{persona}");
    assert_eq!(
        effect("phase_changed")["because"],
        json!(["\"contact requested\" at least once within 60 days"])
    );
    assert_eq!(
        effect("segment_entered"),
        json!({"effect": "segment_entered", "segment": "dach_active",
            "because": ["country is one of AT, CH, DE", "the engagement is at least 10"]})
    );
    let id = lead["lead_id"].as_str().unwrap();
    world.later(70 * 24 * 60 * MINUTE_MS);
    let then = world.get(Role::Sales, &format!("/v1/leads/{id}/segments?at=2026-11-23")).await;
    assert_eq!((&then["persona"], &then["phase"]), (&json!("plant_manager"), &json!("decision")), "{then}");
    let now = world.get(Role::Sales, &format!("/v1/leads/{id}/segments")).await;
    assert_eq!(now["phase"], "awareness", "the request has grown old: {now}");
}

#[tokio::test]
async fn a_timeline_reads_in_pages_latest_first() {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    let id = world.lead_id("ada@company.example").await;
    for n in 0..9 {
        world.later(MINUTE_MS);
        let view = json!({"lead": {"lead_id": id}, "kind": "page_viewed", "id": format!("{n}")});
        world.post(Role::Capture, "/v1/activities", &view).await.ok("view");
    }
    let (mut at, mut cursor) = (Vec::new(), String::new());
    loop {
        let page =
            world.get(Role::Sales, &format!("/v1/leads/{id}?limit=4{cursor}")).await["timeline"].clone();
        at.extend(
            page["items"].as_array().unwrap().iter().map(|entry| entry["at"].as_str().unwrap().to_owned()),
        );
        match &page["next_cursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            _ => break,
        }
    }
    assert_eq!(at.len(), 10);
    assert!(at.is_sorted_by(|a, b| a > b), "{at:?}");
}

#[tokio::test]
async fn a_bad_query_is_the_callers_fault_and_not_ours() {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    let id = world.lead_id("ada@company.example").await;
    for (query, pointers) in [("cursor=nonsense", vec!["/cursor"]), ("limit=0", vec!["/limit"])] {
        let answer = world.call(Role::Sales, "GET", &format!("/v1/leads/{id}?{query}")).send().await;
        assert_eq!(
            (answer.status, answer.pointers()),
            (422, pointers.iter().map(|p| (*p).to_owned()).collect()),
            "{query}"
        );
    }
    for query in ["limit=many", "colour=red"] {
        let answer = world.call(Role::Sales, "GET", &format!("/v1/leads/{id}?{query}")).send().await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (422, "application/problem+json"),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_bad_cursor_is_the_callers_fault_on_dynamodb_too() {
    let world = World::on_dynamo().await;
    world.submit("contact", &ada()).await;
    let id = world.lead_id("ada@company.example").await;
    let foreign = data_encoding::BASE64URL_NOPAD.encode(br#"{"lead_id":{"S":"x"},"entry_id":{"S":"y"}}"#);
    for cursor in ["nonsense", &foreign] {
        let answer = world.call(Role::Sales, "GET", &format!("/v1/leads/{id}?cursor={cursor}")).send().await;
        assert_eq!((answer.status, answer.pointers()), (422, vec!["/cursor".to_owned()]), "{cursor}");
        let answer = world.call(Role::Sales, "GET", &format!("/v1/inbox?cursor=at-1.{cursor}")).send().await;
        assert_eq!((answer.status, answer.pointers()), (422, vec!["/cursor".to_owned()]), "{cursor}");
    }
}

#[tokio::test]
async fn a_lead_that_is_not_there_is_not_found() {
    let world = World::new().await;
    for id in ["aaaaaaaaaaaaaaaaaaaaaaaaaa", "ada", "ada@company.example"] {
        for path in [format!("/v1/leads/{id}"), format!("/v1/leads/{id}/score")] {
            let answer = world.call(Role::Sales, "GET", &path).send().await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (404, "application/problem+json"),
                "{path}"
            );
        }
    }
}

async fn asked(world: &World, email: &str, accept: &str) -> tests::Answer {
    let path = format!("/v1/leads/{}", world.lead_id(email).await);
    world.call(Role::Sales, "GET", &path).header("accept", accept).expect(200).await
}

#[tokio::test]
async fn a_dossier_says_in_sentences_what_happened_and_what_to_do() {
    let world = World::new().await;
    let view = |n: u8| {
        json!({"lead": {"email": "ada@company.example"}, "kind": "page_viewed",
        "properties": {"path": "/pricing"}, "id": format!("p-{n}")})
    };
    world.post(Role::Capture, "/v1/activities", &view(1)).await.ok("view");
    world.later(MINUTE_MS);
    world.post(Role::Capture, "/v1/activities", &view(2)).await.ok("view");
    world.later(8 * DAY_MS);
    world.submit("contact", &ada()).await;
    let lead = world.dossier("ada@company.example").await;
    let says: Vec<&str> =
        lead["story"].as_array().unwrap().iter().map(|line| line["says"].as_str().unwrap()).collect();
    assert_eq!(
        says,
        [
            "Asked to be contacted. “Please call me.” on 30 November 2026",
            "Viewed the pricing page twice on 22 November 2026",
        ]
    );
    let then: Vec<&str> =
        lead["story"][0]["then"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    assert!(then.contains(&"Moved from contact to marketing qualified"), "{then:?}");
    assert_eq!(lead["timeline"]["items"][0]["says"], "Asked to be contacted. “Please call me.”");
    assert_eq!(
        (&lead["who"]["name"], &lead["who"]["company"]),
        (&json!("Ada Example"), &json!("Company Ltd."))
    );
    assert_eq!((&lead["next_step"]["action"], &lead["story_complete"]), (&json!("answer"), &json!(true)));
    let trend = &lead["trend"];
    assert_eq!((&trend["direction"], &trend["points"][0]["days_ago"]), (&json!("rising"), &json!(7)));
    let now = lead["score"]["fit"].as_i64().unwrap() + lead["score"]["engagement"].as_i64().unwrap();
    let then = &trend["points"][0]["score"];
    let then = then["fit"].as_i64().unwrap() + then["engagement"].as_i64().unwrap();
    assert_eq!(trend["points"][0]["change"], json!(now - then));
    assert_eq!(
        (&trend["points"][1]["score"], &trend["points"][1]["change"]),
        (&Value::Null, &Value::Null),
        "not known yet"
    );
    // The trend is what the route of the score says of that day.
    let path = format!("/v1/leads/{}/score?at=2026-11-23", lead["lead_id"].as_str().unwrap());
    let on = world.get(Role::Sales, &path).await;
    assert_eq!(on["engagement"], trend["points"][0]["score"]["engagement"]);
}

#[tokio::test]
async fn a_dossier_brings_the_persona_with_what_to_talk_about() {
    let mut playbook = testkit::test_playbook();
    playbook["personas"][0]["concerns"] = json!([{"id": "downtime", "text": "That the line stands still."}]);
    playbook["personas"][0]["goals"] = json!([{"id": "savings", "text": "Ten percent less scrap."}]);
    let world = World::with(&playbook).await;
    let said = json!({"kind": "interview_sales", "text": "Everybody asks how long we stand still.", "supports": ["downtime"], "weight": 3, "date": "2026-11-01"});
    let answer = world.post(Role::Marketing, "/v1/personas/plant_manager/evidence", &said).await;
    answer.ok("evidence");
    let mut fields = ada();
    fields["job_title"] = json!("Head of plant");
    world.submit("contact", &fields).await;
    let lead = world.dossier("ada@company.example").await;
    assert_eq!(
        (&lead["persona"], &lead["persona_card"]["name"]),
        (&json!("plant_manager"), &json!("Olga, who runs the plant"))
    );
    assert_eq!(
        lead["persona_card"]["concerns"],
        json!([
        {"text": "That the line stands still.", "verdict": "stands", "says": "stands on evidence"}])
    );
    let points = lead["talking_points"].as_array().unwrap();
    assert_eq!(points[0]["text"], "That the line stands still.");
    assert_eq!(points[0]["because"], "stands on evidence: “Everybody asks how long we stand still.”");
    assert_eq!(
        (&points[1]["text"], &points[1]["because"]),
        (&json!("Ten percent less scrap."), &json!("a guess"))
    );
    assert_eq!(points.len(), 2);
}

#[tokio::test]
async fn similar_won_leads_are_those_that_are_still_won_and_why_they_are_similar_is_said() {
    let world = World::new().await;
    let mut won = LatestWon::default();
    for (n, country, size) in [(1, "AT", 100), (2, "DE", 120), (3, "AT", 130)] {
        let email = format!("won-{n}@b{n}.example");
        let body = json!({"email": email, "attributes": {"country": country, "company_size": size},
            "source": {"channel": "fair"}, "feedback": {"kind": "won", "by": "at-1",
            "deal": {"system": "crm", "id": format!("D-{n}")}, "amount": {"amount": "10.00", "currency": "EUR"}}});
        let answer = world.post(Role::Sales, "/v1/leads", &body).await.ok("won");
        world.later(MINUTE_MS);
        let id = LeadId::parse(answer["lead_id"].as_str().unwrap()).unwrap();
        won.add(world.memory().leads().iter().find(|lead| lead.id == id).unwrap());
    }
    assert_eq!(
        world.dossier("won-1@b1.example").await["similar_won"],
        json!([]),
        "nobody walked over all leads yet"
    );
    assert!(world.catalog.put(&[adapters::won::put(&won, world.now())]).await.unwrap());
    world.submit("contact", &ada()).await;
    let lead = world.dossier("ada@company.example").await;
    let found = lead["similar_won"].as_array().unwrap();
    let companies: Vec<&Value> = found.iter().map(|one| &one["company"]).collect();
    assert_eq!(
        companies,
        [&json!("b3.example"), &json!("b1.example")],
        "the later of two that are equally alike first"
    );
    assert_eq!(
        found[0]["says"],
        "b3.example was won on 22 November 2026 and shares company size 50 to 249, country AT"
    );
    assert_eq!(found[0]["amounts"], json!([{"amount": "10.00", "currency": "EUR"}]));
    // One that turns out not to be won is shown no more, before anybody walks again.
    let id = world.lead_id("won-3@b3.example").await;
    let fact = world.dossier("won-3@b3.example").await["feedback"][0]["entry"].clone();
    world
        .post(Role::Sales, &format!("/v1/leads/{id}/feedback"), &json!({"kind": "withdrawn", "id": fact}))
        .await
        .ok("withdrawn");
    assert_eq!(world.dossier("ada@company.example").await["similar_won"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_dossier_can_be_pasted_and_nothing_in_it_does_anything() {
    let world = World::new().await;
    let mut fields = ada();
    fields["full_name"] = json!("<script>alert(1)</script> **Ada** [x](http://evil.example)");
    fields["company"] = json!("\"><img src=x onerror=alert(2)>");
    fields["message"] = json!("# Heading\n* list `code` https://evil.example/a?b=c | ~~x~~ &lt;b&gt;");
    fields["job_title"] = json!("Head of plant");
    fields["utm_campaign"] = json!("javascript:alert(3) <b>spring</b>");
    world.submit("contact", &fields).await;
    let id = world.lead_id("ada@company.example").await;
    let said =
        json!({"kind": "marketing_feedback", "quote": "</li></ul><iframe src=//evil.example>", "by": "at-1"});
    world.post(Role::Sales, &format!("/v1/leads/{id}/feedback"), &said).await.ok("said");
    let page = asked(&world, "ada@company.example", "text/html").await;
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    let html = page.text();
    for (opens, closes) in [
        ("<script", "script>"),
        ("<img", "<img"),
        ("<iframe", "<iframe"),
        ("<b>spring", "<b>spring"),
        ("href=", "src="),
    ] {
        assert!(
            !html.contains(opens)
                && !html
                    .replace("&quot;&gt;&lt;img src=", "")
                    .replace("&lt;iframe src=", "")
                    .contains(closes),
            "{opens}: {html}"
        );
    }
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && html.contains("What happened"));
    let markdown = asked(&world, "ada@company.example", "text/markdown").await;
    assert_eq!(markdown.header("content-type"), "text/markdown; charset=utf-8");
    let text = markdown.text();
    assert!(text.starts_with("# \\<script\\>alert(1)\\</script\\> \\*\\*Ada\\*\\*"), "{text}");
    let mut options = comrak::Options::default();
    options.extension.autolink = true;
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.parse.relaxed_autolinks = true;
    options.render.r#unsafe = true;
    let rendered = comrak::markdown_to_html(&text, &options);
    for bad in ["<script", "<img", "<iframe", "<a ", "<del>", "<b>", "<table", "<em>"] {
        assert!(!rendered.contains(bad), "{bad}: {rendered}");
    }
    assert_eq!(rendered.matches("<h1>").count(), 1);
    assert!(text.contains("**Next: "), "{text}");
    assert_eq!(
        asked(&world, "ada@company.example", "application/json").await.header("content-type"),
        "application/json"
    );
}
