//! The page on which a hand-over is answered from a mail.

use adapters::clock::Clock;
use adapters::http::Role;
use adapters::signed_link::{CONFIRM, Links, Purpose};
use domain::hand_over;
use domain::time::DAY_MS;
use serde_json::{Value, json};
use std::sync::Arc;
use tests::{Answer, World, ada};

/// Signs a link about the latest hand-over of the lead with an e-mail address, as `notify` does.
async fn link_for(world: &World, email: &str, purpose: Purpose) -> String {
    let id = world.lead_id(email).await;
    let lead = world.memory().leads().into_iter().find(|lead| lead.id.as_str() == id).unwrap();
    let latest = hand_over::latest(&lead).unwrap();
    let clock: Arc<dyn Clock> = Arc::clone(&world.clock) as _;
    let links = Links::new(Arc::clone(&world.catalog), clock);
    let about = hand_over::to_bytes(&lead.id, latest.fact.id);
    format!("/t/f/{}", links.sign(purpose, &about, world.now().plus(30 * DAY_MS)).await.unwrap())
}

/// A world in which Ada was handed over, with the link of the mail about her.
async fn handed_over() -> (World, String) {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    world.later(60_000);
    let link = link_for(&world, "ada@company.example", CONFIRM).await;
    (world, link)
}

async fn get(world: &World, link: &str) -> Answer {
    world.api.call("GET", link).send().await
}

async fn post(world: &World, link: &str, form: &str) -> Answer {
    world.api.call("POST", link).body("application/x-www-form-urlencoded", form.to_owned()).send().await
}

async fn ada_now(world: &World) -> Value {
    world.dossier("ada@company.example").await
}

fn facts(dossier: &Value) -> usize {
    dossier["timeline"]["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn following_the_link_shows_who_and_what_and_changes_nothing() {
    let (world, link) = handed_over().await;
    let before = ada_now(&world).await;
    for _ in 0..3 {
        let page = get(&world, &link).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let text = page.text();
        for said in
            ["Ada Example", "Head of Sales", "Company Ltd.", "label A1", "Accept", "Not ready yet", "Reject"]
        {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(!text.contains('@') && !text.contains("at-1"), "no address, and nobody's id: {text}");
        // The method that link checkers use.
        assert_eq!(world.api.call("HEAD", &link).send().await.status, 200);
    }
    assert_eq!(ada_now(&world).await, before);
}

#[tokio::test]
async fn an_answer_is_feedback_of_whoever_was_handed_the_lead_and_counts_once() {
    let (world, link) = handed_over().await;
    let said = post(&world, &link, "answer=accepted&note=I+call+tomorrow").await;
    assert_eq!(said.status, 200, "{}", said.text());
    assert!(said.text().contains("Thank you, recorded"));
    let after = ada_now(&world).await;
    assert_eq!(after["stage"], "sales_accepted");
    let fact = &after["timeline"]["items"][0];
    assert_eq!((&fact["kind"], &fact["person"]), (&json!("accepted"), &json!("at-1")), "{fact}");
    assert_eq!((&fact["note"], &fact["by"]), (&json!("I call tomorrow"), &json!("sales:at-1")), "{fact}");
    for _ in 0..3 {
        world.later(1_000);
        let again = post(&world, &link, "answer=accepted&note=I+call+tomorrow").await;
        assert_eq!(again.status, 200);
        assert!(again.text().contains("recorded before"));
    }
    assert_eq!(facts(&ada_now(&world).await), facts(&after));
    // The lead is still theirs: what its stage allows can still be said.
    let page = get(&world, &link).await.text();
    assert!(
        page.contains("sales accepted")
            && page.contains("Not ready yet")
            && !page.contains("id=\"rejected\""),
        "{page}"
    );
    assert_eq!(post(&world, &link, "answer=rejected&reason=wrong_size").await.status, 409);
    assert_eq!(facts(&ada_now(&world).await), facts(&after));
}

#[tokio::test]
async fn two_who_press_the_button_at_once_make_one_fact() {
    let (world, link) = handed_over().await;
    let before = facts(&ada_now(&world).await);
    let form = "answer=accepted";
    let (one, other) = futures::join!(post(&world, &link, form), post(&world, &link, form));
    assert_eq!((one.status, other.status), (200, 200), "{} {}", one.text(), other.text());
    assert_eq!(facts(&ada_now(&world).await), before + 1);
}

#[tokio::test]
async fn reasons_are_those_of_the_playbook_and_what_is_wrong_is_said_beside_the_form() {
    let mut playbook = testkit::test_playbook();
    playbook["reasons"] = json!({"rejected": [{"id": "wrong_size", "title": "Too small <b>or</b> too large"}],
        "not_ready": [{"id": "timing", "title": "Not now"}]});
    let world = World::with(&playbook).await;
    world.submit("contact", &ada()).await;
    world.later(60_000);
    let link = link_for(&world, "ada@company.example", CONFIRM).await;
    let page = get(&world, &link).await.text();
    assert!(page.contains("Too small &lt;b&gt;or&lt;/b&gt; too large") && page.contains("Not now"), "{page}");
    for (form, why) in [
        ("answer=rejected", "reason"),
        ("answer=rejected&reason=unheard", "no reason of the playbook"),
        ("answer=not_ready&reason=timing&not_before=soon", "not before is not a time"),
        ("answer=won", "Choose one of the answers"),
        ("", "Choose one of the answers"),
    ] {
        let answer = post(&world, &link, form).await;
        assert_eq!((answer.status, answer.text().contains(why)), (422, true), "{form}: {}", answer.text());
        assert!(answer.text().contains("<form"), "{form}: the form is there to mend it");
    }
    assert_eq!(ada_now(&world).await["stage"], "marketing_qualified");
    let form = "answer=not_ready&reason=timing&not_before=2027-02-01&note=After+the+fair";
    assert_eq!(post(&world, &link, form).await.status, 200);
    let after = ada_now(&world).await;
    assert_eq!(after["stage"], "nurturing");
    let fact = after["timeline"]["items"][0].to_string();
    assert!(
        fact.contains("2027-02-01T00:00:00Z") && fact.contains("timing") && fact.contains("After the fair"),
        "{fact}"
    );
}

#[tokio::test]
async fn a_link_dies_when_the_lead_moved_on_and_says_what_became_of_it() {
    let (world, link) = handed_over().await;
    let id = world.lead_id("ada@company.example").await;
    let person = json!({ "name": "Dirk Sommer", "email": "dirk@company.example", "team": "sales" });
    world.call(Role::Admin, "PUT", "/v1/people/de-1").json(&person).expect(200).await;
    let feedback = format!("/v1/leads/{id}/feedback");
    let give = async |body: Value| world.post(Role::Sales, &feedback, &body).await.ok("feedback");
    give(json!({"kind": "assigned", "to": "de-1"})).await;
    let (page, answer) = (get(&world, &link).await, post(&world, &link, "answer=accepted").await);
    for gone in [page, answer] {
        assert_eq!(gone.status, 410);
        assert!(
            gone.text().contains("Dirk Sommer has it") && !gone.text().contains("<form"),
            "{}",
            gone.text()
        );
    }
    // Dirk's own link works, until he gives the lead back.
    let his = link_for(&world, "ada@company.example", CONFIRM).await;
    assert_eq!(post(&world, &his, "answer=rejected&reason=wrong_size").await.status, 200);
    let again = post(&world, &his, "answer=rejected&reason=wrong_size").await;
    assert_eq!((again.status, again.text().contains("recorded before")), (200, true));
    let gone = get(&world, &his).await;
    assert_eq!((gone.status, gone.text().contains("with marketing")), (410, true), "{}", gone.text());
    assert_eq!(post(&world, &his, "answer=accepted").await.status, 410);
    // Ready once more, it is handed over anew: to the same first person, and yet the old link answers for nothing.
    world.later(DAY_MS);
    let mut fields = ada();
    fields["submission_id"] = json!("once more");
    world.submit("contact", &fields).await;
    assert_eq!(ada_now(&world).await["stage"], "marketing_qualified");
    assert_eq!(post(&world, &link, "answer=accepted").await.status, 410);
    let newer = link_for(&world, "ada@company.example", CONFIRM).await;
    assert_eq!(post(&world, &newer, "answer=accepted").await.status, 200);
}

#[tokio::test]
async fn a_link_ends_and_one_that_was_changed_or_is_for_something_else_is_none() {
    let (world, link) = handed_over().await;
    let other = link_for(&world, "ada@company.example", Purpose("unsubscribe")).await;
    let mut changed = link.clone();
    changed.replace_range(40..41, if link.get(40..41) == Some("A") { "B" } else { "A" });
    let cut: String = link.chars().take(link.len() - 2).collect();
    for none in [&other, &changed, &cut, "/t/f/x", "/t/f/%00", "/t/f/..%2f..%2f"] {
        assert_eq!(get(&world, none).await.status, 404, "{none}");
        assert_eq!(post(&world, none, "answer=accepted").await.status, 404, "{none}");
    }
    world.later(30 * DAY_MS);
    assert_eq!(get(&world, &link).await.status, 410);
    assert_eq!(post(&world, &link, "answer=accepted").await.status, 410);
    assert_eq!(ada_now(&world).await["stage"], "marketing_qualified");
}

#[tokio::test]
async fn the_page_loads_nothing_is_framed_by_nobody_and_believes_no_name() {
    let world = World::new().await;
    let mut fields = ada();
    fields["full_name"] = json!("<script>alert(1)</script>\"'>\u{202e}evil");
    fields["company"] = json!("<img src=x onerror=alert(1)>");
    world.submit("contact", &fields).await;
    let link = link_for(&world, "ada@company.example", CONFIRM).await;
    let page = get(&world, &link).await;
    let text = page.text();
    assert!(!text.contains("<script") && !text.contains("<img"), "{text}");
    assert!(!text.contains("http:") && !text.contains("https:") && !text.contains("url("), "{text}");
    assert!(!text.contains('\u{202e}'), "no mark that turns the writing round");
    let policy = page.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "style-src 'sha256-",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("x-robots-tag"), "noindex");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
}
