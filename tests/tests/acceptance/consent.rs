//! What links in mails do to consent, and the list of addresses that nobody may write to.

use adapters::clock::{Clock, SetClock};
use adapters::http::Role;
use adapters::ports::{Catalog, CatalogKind, LeadStore};
use adapters::signed_link::Links;
use adapters::suppressions::{self, Lifted};
use domain::consent::{Basis, Purpose};
use domain::identity::{Email, Identity, LeadId};
use domain::lead::Lead;
use domain::nurture::opt_in;
use domain::permission::{Refusal, may_write};
use domain::playbook::Playbook;
use domain::suppression::Reason;
use domain::time::{DAY_MS, MINUTE_MS};
use nurture::link::{Mail, MailLinks, WORKS_FOR_DAYS};
use serde_json::{Value, json};
use std::sync::Arc;
use testkit::builders::{NOON, activate};
use testkit::dynamo::root;
use testkit::{Failure, MemoryCatalog, MemoryLeadStore, a_lead, test_playbook, time};
use tests::{Answer, World};

const ADA: &str = "ada@company.example";

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

/// A form of somebody in a country that does not say what people read there.
fn ada() -> Value {
    let mut form = tests::ada();
    form["country"] = "Canada".into();
    form
}

/// A form in which the box for mails is ticked.
fn ticked() -> Value {
    let mut form = ada();
    form["consent_marketing"] = true.into();
    form
}

/// Gives the links of a mail to Ada that is written now.
async fn mail_to(world: &World, number: u32) -> MailLinks {
    let lead = LeadId::parse(&world.lead_id(ADA).await).unwrap();
    let clock: Arc<dyn Clock> = Arc::clone(&world.clock) as _;
    let links = Links::new(Arc::clone(&world.catalog), clock);
    let mail = Mail { lead, number, program: None, content: None, made_at: world.now() };
    MailLinks::new(&links, "", mail).await.unwrap()
}

async fn post(world: &World, link: &str, body: &'static str) -> Answer {
    let form = "application/x-www-form-urlencoded";
    let answer = world.api.call("POST", link).body(form, body).send().await;
    for name in ["location", "set-cookie"] {
        assert_eq!(answer.header(name), "", "RFC 8058 wants neither a redirect nor a cookie");
    }
    answer
}

async fn one_click(world: &World, link: &str) -> Answer {
    let answer = post(world, link, "List-Unsubscribe=One-Click").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

async fn consent_of(world: &World, purpose: &str) -> Value {
    let dossier = world.dossier(ADA).await;
    let all = dossier["consent"].as_array().unwrap();
    all.iter().find(|one| one["purpose"] == purpose).cloned().unwrap_or(Value::Null)
}

async fn status_of(world: &World, purpose: &str) -> Value {
    consent_of(world, purpose).await["status"].clone()
}

/// States consent as somebody with a token does, and lets a minute pass.
async fn state(world: &World, purpose: &str, status: &str) {
    let path = format!("/v1/leads/{}/consent", world.lead_id(ADA).await);
    let body = json!({"purpose": purpose, "status": status, "source": "a call"});
    world.post(Role::Sales, &path, &body).await.ok("consent");
    world.later(MINUTE_MS);
}

/// Gives all that is stored of leads.
fn stored(world: &World) -> Vec<(Lead, usize)> {
    let leads = world.memory().leads().into_iter();
    leads.map(|lead| (lead.clone(), world.memory().timeline(&lead.id).len())).collect()
}

/// Tells whether Ada may be written to, as whoever sends asks.
fn may(world: &World) -> Result<(), Refusal> {
    let playbook = Playbook::parse(&test_playbook()).unwrap();
    let leads = world.memory().leads();
    let lead = leads.iter().find(|lead| lead.email() == Some(&email(ADA))).unwrap();
    may_write(lead, Purpose::Marketing, &playbook).map(drop)
}

#[tokio::test]
async fn one_click_ends_what_the_mail_was_for_at_once_and_once() {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    for purpose in ["marketing", "phone"] {
        state(&world, purpose, "confirmed").await;
    }
    let link = mail_to(&world, 7).await.unsubscribe(Purpose::Marketing);
    assert_eq!(may(&world), Ok(()));
    let page = one_click(&world, &link).await.text();
    assert!(page.contains("Done: Mails from us end at once."), "{page}");
    assert_eq!(may(&world), Err(Refusal::Withdrawn), "before the next mail");
    assert_eq!(status_of(&world, "marketing").await, "withdrawn");
    assert_eq!(status_of(&world, "phone").await, "confirmed", "only what the mail was for");
    let events = world.events().await;
    assert_eq!(events.iter().filter(|kind| *kind == "consent_withdrawn").count(), 1, "{events:?}");
    let dossier = world.dossier(ADA).await;
    let entry = &dossier["timeline"]["items"][0];
    assert_eq!((&entry["by"], &entry["activity"]), (&json!("mail"), &json!("unsubscribed")), "{entry}");
    assert_eq!(entry["properties"], json!({"message": 7, "purpose": "marketing"}));
    world.later(MINUTE_MS);
    let before = stored(&world);
    let again = one_click(&world, &link).await.text();
    assert!(again.contains("had ended already"), "{again}");
    assert_eq!(stored(&world), before, "a second click changes nothing");
}

#[tokio::test]
async fn a_click_in_an_old_mail_is_a_new_no_after_a_new_yes_for_ten_years() {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    state(&world, "marketing", "confirmed").await;
    let link = mail_to(&world, 1).await.unsubscribe(Purpose::Marketing);
    one_click(&world, &link).await;
    for years in 1..10 {
        world.later(365 * DAY_MS);
        state(&world, "marketing", "confirmed").await;
        assert_eq!(may(&world), Ok(()), "year {years}");
        one_click(&world, &link).await;
        assert_eq!(may(&world), Err(Refusal::Withdrawn), "year {years}");
    }
    world.later((WORKS_FOR_DAYS - 9 * 365) * DAY_MS);
    let answer = post(&world, &link, "List-Unsubscribe=One-Click").await;
    assert_eq!(answer.status, 410);
    assert!(answer.text().contains("This link has ended") && answer.text().contains("stop"));
}

#[tokio::test]
async fn whatever_a_mail_program_posts_is_a_no() {
    for (content_type, body) in [
        ("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click".to_owned()),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n"
                .to_owned(),
        ),
        ("application/x-www-form-urlencoded", String::new()),
        ("application/json", "{}".to_owned()),
        ("text/plain", "x".repeat(300_000)),
        ("application/octet-stream", "\u{0}\u{ffff}=%".to_owned()),
    ] {
        let world = World::new().await;
        world.submit("contact", &ada()).await;
        state(&world, "marketing", "confirmed").await;
        let link = mail_to(&world, 1).await.unsubscribe(Purpose::Marketing);
        world.api.call("POST", &link).body(content_type, body).expect(200).await;
        assert_eq!(may(&world), Err(Refusal::Withdrawn), "{content_type}");
    }
}

#[tokio::test]
async fn pages_speak_the_language_of_their_reader_and_the_proof_says_which() {
    let cases = [
        (
            "Austria",
            "de",
            "Abmelden: keine Nachrichten mehr von uns",
            "in unserem Formular „contact“",
            "Gespeichert",
        ),
        (
            "France",
            "fr",
            "Se désabonner : ne plus recevoir de messages",
            "dans notre formulaire « contact »",
            "Enregistré",
        ),
        (
            "Spain",
            "es",
            "Darse de baja: no más mensajes nuestros",
            "en nuestro formulario «contact»",
            "Guardado",
        ),
        ("Poland", "en", "Unsubscribe: no more mails from us", "in our form “contact”", "Saved"),
    ];
    for (country, language, button, form, saved) in cases {
        let world = World::new().await;
        let mut sent = ticked();
        sent["country"] = country.into();
        world.submit("contact", &sent).await;
        let links = mail_to(&world, 1).await;
        let asked =
            world.api.call("GET", &links.opt_in(&[Purpose::Marketing], &email(ADA))).send().await.text();
        assert!(asked.contains(&format!("<html lang=\"{language}\">")) && asked.contains(form), "{asked}");
        state(&world, "marketing", "confirmed").await;
        let shown = world.api.call("GET", &links.unsubscribe(Purpose::Marketing)).send().await.text();
        assert!(shown.contains(button), "{shown}");
        let answer =
            post(&world, &links.unsubscribe(Purpose::Marketing), "choices=1&agree=marketing&agree=phone")
                .await;
        assert!(answer.text().contains(saved), "{}", answer.text());
        assert_eq!(consent_of(&world, "phone").await["text"], format!("preferences-3-{language}"));
    }
}

#[tokio::test]
async fn looking_changes_nothing() {
    let world = World::new().await;
    world.submit("contact", &ticked()).await;
    let mail = mail_to(&world, 1).await;
    let before = stored(&world);
    for link in [mail.unsubscribe(Purpose::Marketing), mail.opt_in(&[Purpose::Marketing], &email(ADA))] {
        for method in ["GET", "HEAD", "GET"] {
            let answer = world.api.call(method, &link).expect(200).await;
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_eq!(answer.header("referrer-policy"), "no-referrer");
            let policy = answer.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
            assert!(policy.contains("form-action 'self'; frame-ancestors 'none'"), "{policy}");
            let page = answer.text();
            for foreign in ["http://", "https://", "src=", "<script", "ada@"] {
                assert!(!page.to_lowercase().contains(foreign), "{foreign}: {page}");
            }
        }
    }
    assert_eq!(stored(&world), before);
}

#[tokio::test]
async fn choices_on_the_page_say_yes_as_well_as_no() {
    let world = World::new().await;
    world.submit("contact", &ticked()).await;
    state(&world, "ad_audience", "confirmed").await;
    world.later(MINUTE_MS);
    let link = mail_to(&world, 3).await.unsubscribe(Purpose::Marketing);
    let page = world.api.call("GET", &link).send().await.text();
    assert!(page.contains("and not confirmed yet") && page.contains("You were not asked so far."), "{page}");
    assert_eq!(page.matches(" checked").count(), 1, "only the ads: {page}");
    let answer = post(&world, &link, "choices=1&agree=marketing&agree=phone&agree=spam").await;
    assert!(answer.text().contains("Saved: it counts at once."), "{}", answer.text());
    let marketing = consent_of(&world, "marketing").await;
    assert_eq!((&marketing["status"], &marketing["basis"]), (&json!("confirmed"), &json!("consent")));
    assert_eq!(
        (&marketing["text"], &marketing["source"]),
        (&json!("preferences-3-en"), &json!("preference page, mail 3"))
    );
    assert_eq!(status_of(&world, "phone").await, "confirmed");
    assert_eq!(status_of(&world, "ad_audience").await, "withdrawn", "what is not ticked is not agreed to");
    assert_eq!(status_of(&world, "tracking").await, Value::Null, "who was never asked withdrew nothing");
    let before = stored(&world);
    let again = post(&world, &link, "choices=1&agree=phone&agree=marketing").await;
    assert!(again.text().contains("Nothing changed."));
    assert_eq!(stored(&world), before);
    post(&world, &link, "choices=1").await;
    for purpose in ["marketing", "phone", "ad_audience"] {
        assert_eq!(status_of(&world, purpose).await, "withdrawn");
    }
}

#[tokio::test]
async fn customers_who_never_agreed_find_an_empty_box_and_say_no_by_the_button() {
    let mut document = test_playbook();
    document["consent"]["soft_opt_in"] = json!(["AT"]);
    let world = World::with(&document).await;
    let playbook = Playbook::parse(&document).unwrap();
    let may = || may_write(&world.memory().leads()[0], Purpose::Marketing, &playbook);
    let lead = json!({"email": ADA, "stage": "customer", "attributes": {"country": "AT", "language": "en"}});
    world
        .post(Role::Marketing, "/v1/leads/batch", &json!({"mode": "history", "leads": [lead]}))
        .await
        .ok("batch");
    assert_eq!(may(), Ok(Basis::SoftOptIn));
    let link = mail_to(&world, 1).await.unsubscribe(Purpose::Marketing);
    let page = world.api.call("GET", &link).expect(200).await.text();
    assert_eq!(page.matches(" checked").count(), 0, "nobody ticked it: {page}");
    assert!(page.contains("You did not agree: we write to customers until they say no"), "{page}");
    assert!(page.contains("Unsubscribe: no more mails from us"), "{page}");
    // Another box is ticked and saved: nothing is said of mails, in neither direction.
    post(&world, &link, "choices=1&agree=phone").await;
    assert_eq!(
        (status_of(&world, "phone").await, status_of(&world, "marketing").await),
        (json!("confirmed"), Value::Null)
    );
    assert_eq!(may(), Ok(Basis::SoftOptIn));
    // Ticked in a form and left empty here: it goes on waiting.
    world.later(MINUTE_MS);
    world.submit("contact", &ticked()).await;
    world.later(MINUTE_MS);
    post(&world, &link, "choices=1&agree=phone").await;
    assert_eq!((status_of(&world, "marketing").await, may()), (json!("pending"), Ok(Basis::SoftOptIn)));
    post(&world, &link, "choices=1&agree=phone&agree=marketing").await;
    assert_eq!(may(), Ok(Basis::Consent), "a tick of their own");
    world.later(MINUTE_MS);
    one_click(&world, &link).await;
    assert_eq!(may(), Err(Refusal::Withdrawn));
}

#[tokio::test]
async fn a_link_of_an_old_mail_or_of_one_before_a_no_says_yes_only_by_the_mail_that_asks() {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    let yes = "choices=1&agree=marketing";
    let mut stale = mail_to(&world, 1).await.unsubscribe(Purpose::Marketing);
    world.later(30 * DAY_MS - MINUTE_MS);
    post(&world, &stale, yes).await;
    assert_eq!(may(&world), Ok(()), "younger than 30 days, and nobody said no");
    world.later(MINUTE_MS);
    one_click(&world, &stale).await;
    // A no since, by the same link or otherwise; and a mail of 30 days.
    for old in [false, true] {
        if old {
            world.later(MINUTE_MS);
            stale = mail_to(&world, 2).await.unsubscribe(Purpose::Marketing);
            world.later(30 * DAY_MS);
        }
        world.later(MINUTE_MS);
        let page = post(&world, &stale, yes).await.text();
        assert!(page.contains("waits for your confirmation: we ask for it by mail"), "{page}");
        assert_eq!(
            (status_of(&world, "marketing").await, may(&world)),
            (json!("pending"), Err(Refusal::Pending))
        );
        let lead = world.memory().leads().into_iter().next().unwrap();
        assert_eq!(opt_in::owed(&lead, world.now()), Some(world.now()), "its owner is asked");
        world.later(MINUTE_MS);
        let before = stored(&world);
        assert!(post(&world, &stale, yes).await.text().contains("Nothing changed."), "it waits already");
        assert_eq!(stored(&world), before);
        let asks = mail_to(&world, 3).await.opt_in(&[Purpose::Marketing], &email(ADA));
        world.later(MINUTE_MS);
        post(&world, &asks, "").await;
        assert_eq!(may(&world), Ok(()));
        world.later(MINUTE_MS);
        one_click(&world, &stale).await;
        assert_eq!(may(&world), Err(Refusal::Withdrawn), "a no always counts");
    }
}

#[tokio::test]
async fn a_tick_is_confirmed_by_the_button_and_the_proof_stays() {
    let world = World::new().await;
    world.submit("contact", &ticked()).await;
    assert_eq!(may(&world), Err(Refusal::Pending));
    world.later(MINUTE_MS);
    let link = mail_to(&world, 1).await.opt_in(&[Purpose::Marketing], &email(ADA));
    let page = world.api.call("GET", &link).expect(200).await.text();
    assert!(page.contains("in our form “contact”, text newsletter-2026-01"), "{page}");
    assert_eq!(may(&world), Err(Refusal::Pending), "scanners follow links");
    world.later(MINUTE_MS);
    let at = world.now();
    let page = post(&world, &link, "").await;
    assert!(page.status == 200 && page.text().contains("Thank you, that is confirmed."), "{}", page.text());
    assert_eq!(may(&world), Ok(()));
    let state = consent_of(&world, "marketing").await;
    assert_eq!(state["text"], "newsletter-2026-01");
    let dossier = world.dossier(ADA).await;
    let items = dossier["timeline"]["items"].as_array().unwrap();
    let proof = items.iter().find(|entry| entry["kind"] == "consent").unwrap();
    assert_eq!((&proof["by"], &proof["at"]), (&json!("mail"), &json!(at.to_string())));
    assert_eq!(
        (&proof["status"], &proof["text"], &proof["source"]),
        (
            &json!("confirmed"),
            &json!("newsletter-2026-01"),
            &json!("double opt-in (opt-in-1-en), mail 1 of form:contact")
        )
    );
    let form = items.iter().find(|entry| entry["kind"] == "form").unwrap();
    assert_eq!(form["consent"][0]["text"], "newsletter-2026-01", "what was confirmed stays beside it");
    world.later(MINUTE_MS);
    let before = stored(&world);
    let again = post(&world, &link, "").await.text();
    assert!(again.contains("confirmed already"), "{again}");
    assert_eq!(stored(&world), before);
}

#[tokio::test]
async fn what_was_withdrawn_comes_back_only_by_a_newer_statement_and_its_own_mail() {
    let world = World::new().await;
    world.submit("contact", &ticked()).await;
    world.later(MINUTE_MS);
    let old = mail_to(&world, 1).await.opt_in(&[Purpose::Marketing], &email(ADA));
    world.later(MINUTE_MS);
    state(&world, "marketing", "withdrawn").await;
    let page = post(&world, &old, "").await.text();
    assert!(page.contains("this was withdrawn since the mail was sent, and stays so"), "{page}");
    assert_eq!(status_of(&world, "marketing").await, "withdrawn");
    // Ticked anew: the old mail did not ask about that.
    let mut form = ticked();
    form["submission_id"] = "s-ada-2".into();
    world.submit("contact", &form).await;
    world.later(MINUTE_MS);
    post(&world, &old, "").await;
    assert_eq!(status_of(&world, "marketing").await, "pending");
    let new = mail_to(&world, 2).await.opt_in(&[Purpose::Marketing], &email(ADA));
    world.later(MINUTE_MS);
    post(&world, &new, "").await;
    assert_eq!(status_of(&world, "marketing").await, "confirmed");
}

#[tokio::test]
async fn a_mail_that_went_to_another_address_confirms_nothing_for_this_one() {
    let world = World::new().await;
    world.submit("contact", &ticked()).await;
    let link = mail_to(&world, 1).await.opt_in(&[Purpose::Marketing], &email("eve@company.example"));
    for answer in [world.api.call("GET", &link).send().await, post(&world, &link, "").await] {
        assert_eq!(answer.status, 410);
        assert!(answer.text().contains("another address"), "{}", answer.text());
    }
    assert_eq!(status_of(&world, "marketing").await, "pending");
}

#[tokio::test]
async fn a_link_that_is_not_believed_says_how_to_unsubscribe_otherwise() {
    let world = World::new().await;
    world.submit("contact", &ticked()).await;
    let mail = mail_to(&world, 1).await;
    let (off, on) = (mail.unsubscribe(Purpose::Marketing), mail.opt_in(&[Purpose::Marketing], &email(ADA)));
    let crossed = [off.replace("/t/u/", "/t/y/"), on.replace("/t/y/", "/t/u/"), "/t/u/x".to_owned()];
    for link in crossed {
        for answer in [
            world.api.call("GET", &link).send().await,
            post(&world, &link, "List-Unsubscribe=One-Click").await,
        ] {
            assert_eq!((answer.status, answer.header("content-type")), (404, "text/html; charset=utf-8"));
            let page = answer.text();
            assert!(
                page.contains("No such link") && page.contains("answer any of them with the word stop"),
                "{page}"
            );
        }
    }
    assert_eq!(status_of(&world, "marketing").await, "pending");
}

#[tokio::test]
async fn an_address_that_a_lead_has_is_suppressed_with_what_its_owner_said() {
    for (reason, withdrawn) in [
        ("unsubscribed", vec!["marketing"]),
        ("complained", vec!["marketing"]),
        ("legal", vec!["ad_audience", "marketing", "phone", "tracking"]),
        ("bounced", vec![]),
        ("other", vec![]),
    ] {
        let world = World::new().await;
        world.submit("contact", &ada()).await;
        state(&world, "marketing", "confirmed").await;
        let sent = world.events().await.len();
        let said_at = "2024-05-01T12:00:00Z";
        let body = json!({"email": "ADA@company.example ", "reason": reason, "at": said_at, "source": "The tool before"});
        let answer = world.post(Role::Marketing, "/v1/suppressions", &body).await.ok("suppressions");
        assert_eq!(answer, json!({"status": "created", "lead_id": world.lead_id(ADA).await}));
        assert_eq!(may(&world), Err(Refusal::Suppressed(Reason::parse(reason).unwrap())));
        let dossier = world.dossier(ADA).await;
        assert_eq!(dossier["suppressed"], reason);
        let got = dossier["consent"].as_array().unwrap().iter().filter(|one| one["status"] == "withdrawn");
        let mut got: Vec<&str> = got.map(|one| one["purpose"].as_str().unwrap()).collect();
        got.sort_unstable();
        assert_eq!(got, withdrawn, "{reason}");
        let told = world.events().await.iter().filter(|kind| *kind == "consent_withdrawn").count();
        assert_eq!((told, world.events().await.len() - sent >= told), (withdrawn.len(), true), "{reason}");
        // The same again, and a reason that weighs no more, change nothing.
        world.later(MINUTE_MS);
        let before = stored(&world);
        for lighter in [reason, "bounced"] {
            let body = json!({"suppressions": [{"email": ADA, "reason": lighter, "at": said_at}]});
            let answer = world.post(Role::Admin, "/v1/suppressions", &body).await.ok("suppressions");
            assert_eq!(answer["results"][0]["status"], "unchanged");
        }
        assert_eq!(stored(&world), before);
        // A later no is one: what was agreed to before it, and comes late, finds it.
        let between = world.clock.now();
        world.later(MINUTE_MS);
        let answer =
            world.post(Role::Admin, "/v1/suppressions", &json!({"email": ADA, "reason": reason})).await;
        let status = if withdrawn.is_empty() { "unchanged" } else { "updated" };
        assert_eq!(answer.ok("again")["status"], status, "{reason}");
        world.later(MINUTE_MS);
        let yes = json!({"purpose": "marketing", "status": "confirmed", "at": between.to_string()});
        let path = format!("/v1/leads/{}/consent", world.lead_id(ADA).await);
        world.post(Role::Marketing, &path, &yes).await.ok("a yes that comes late");
        let status = if withdrawn.is_empty() { "confirmed" } else { "withdrawn" };
        assert_eq!(status_of(&world, "marketing").await, status, "{reason}");
    }
}

#[tokio::test]
async fn an_address_that_nobody_has_stays_as_a_hash_and_counts_when_somebody_comes_with_it() {
    let world = World::new().await;
    let body = json!({"email": ADA, "reason": "unsubscribed", "at": "2024-05-01T12:00:00Z", "source": "The tool before"});
    let answer = world.post(Role::Marketing, "/v1/suppressions", &body).await.ok("suppressions");
    assert_eq!(answer, json!({"status": "created", "lead_id": null}));
    assert!(world.memory().leads().is_empty(), "nobody becomes a lead by not wanting to be one");
    let records = world.catalog.list(CatalogKind::Suppression, 10, None).await.unwrap().items;
    assert_eq!(records.len(), 1);
    assert!(!format!("{records:?}").contains("ada"), "{records:?}");
    assert_eq!(
        suppressions::is_suppressed(world.catalog.as_ref(), &email(ADA)).await.unwrap(),
        Some(Reason::Unsubscribed)
    );
    let found = world.post(Role::Sales, "/v1/suppressions/lookup", &json!({"email": ADA})).await.ok("lookup");
    let item = &found["items"][0];
    assert_eq!(
        (&item["reason"], &item["since"], &item["by"]),
        (&json!("unsubscribed"), &json!("2024-05-01T12:00:00Z"), &json!("mia"))
    );
    // Each way in: a form in a country whose ticks are trusted, a batch of history, an activity.
    let mut form = ticked();
    form["country"] = "GB".into();
    world.submit("contact", &form).await;
    assert_eq!(may(&world), Err(Refusal::Suppressed(Reason::Unsubscribed)));
    assert_eq!(status_of(&world, "marketing").await, "withdrawn");
    assert_eq!(world.memory().leads()[0].nurture.program, None);
    let dossier = world.dossier(ADA).await;
    let entry = &dossier["timeline"]["items"][0];
    assert_eq!(
        (&entry["by"], &entry["activity"]),
        (&json!("suppressions"), &json!("address_suppressed")),
        "{entry}"
    );
}

#[tokio::test]
async fn leads_of_an_import_of_history_are_held_against_the_list_too_and_start_no_event() {
    let world = World::new().await;
    for n in 0..3 {
        let body = json!({"email": format!("p{n}@company.example"), "reason": "legal"});
        world.post(Role::Marketing, "/v1/suppressions", &body).await.ok("suppressions");
    }
    let lead = |n: usize| {
        json!({"email": format!("p{n}@company.example"), "occurred_at": "2020-01-01T00:00:00Z",
        "consent": [{"purpose": "marketing", "status": "confirmed"}]})
    };
    let body = json!({"mode": "history", "leads": (0..5).map(lead).collect::<Vec<_>>()});
    let answer = world.post(Role::Marketing, "/v1/leads/batch", &body).await.ok("batch");
    assert!(
        answer["results"].as_array().unwrap().iter().all(|result| result["status"] == "created"),
        "{answer}"
    );
    let playbook = Playbook::parse(&test_playbook()).unwrap();
    let free = |lead: &&Lead| may_write(lead, Purpose::Marketing, &playbook).is_ok();
    assert_eq!(world.memory().leads().iter().filter(free).count(), 2);
    assert_eq!(world.events().await, Vec::<String>::new(), "history starts no event");
}

#[tokio::test]
async fn a_lead_that_gets_a_second_address_hears_what_the_list_says_of_that_person() {
    let world = World::new().await;
    for (address, reason) in [("old@company.example", "bounced"), ("other@company.example", "complained")] {
        let body = json!({"email": address, "reason": reason});
        world.post(Role::Marketing, "/v1/suppressions", &body).await.ok("suppressions");
    }
    let lead = |address: &str| {
        json!({"email": address, "external_id": {"system": "crm", "id": "7"},
            "consent": [{"purpose": "marketing", "status": "confirmed", "at": "2026-11-01T00:00:00Z"}]})
    };
    let playbook = Playbook::parse(&test_playbook()).unwrap();
    let may = || may_write(&world.memory().leads()[0], Purpose::Marketing, &playbook).map(drop);
    world.post(Role::Marketing, "/v1/leads", &lead(ADA)).await.ok("lead");
    assert_eq!(may(), Ok(()));
    world.post(Role::Marketing, "/v1/leads", &lead("old@company.example")).await.ok("lead");
    assert_eq!(world.memory().leads().len(), 1);
    assert_eq!(may(), Ok(()), "a mailbox that is gone and that nobody writes to is no matter");
    world.post(Role::Marketing, "/v1/leads", &lead("other@company.example")).await.ok("lead");
    assert_eq!(may(), Err(Refusal::Suppressed(Reason::Complained)), "the person complained");
}

#[tokio::test]
async fn people_take_an_address_off_the_list_with_why_and_systems_do_not() {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    state(&world, "marketing", "confirmed").await;
    let body = json!({"email": ADA, "reason": "bounced"});
    world.post(Role::Marketing, "/v1/suppressions", &body).await.ok("suppressions");
    let lift = json!({"email": ADA, "because": "She called: the mailbox is back"});
    assert_eq!(
        world.post(Role::Marketing, "/v1/suppressions/lift", &lift).await.status,
        403,
        "mia is nobody yet"
    );
    assert_eq!(may(&world), Err(Refusal::Suppressed(Reason::Bounced)));
    let mia = json!({"name": "Mia", "email": "mia@company.example", "team": "marketing"});
    world.call(Role::Admin, "PUT", "/v1/people/mia").json(&mia).expect(200).await;
    let answer = world.post(Role::Marketing, "/v1/suppressions/lift", &lift).await.ok("lift");
    assert_eq!(answer["status"], "updated");
    assert_eq!(may(&world), Ok(()));
    let found =
        world.post(Role::Marketing, "/v1/suppressions/lookup", &json!({"email": ADA})).await.ok("lookup");
    let lifted = &found["items"][0]["lifted"];
    assert_eq!((&lifted["by"], &lifted["because"]), (&json!("mia"), &lift["because"]));
    world.later(MINUTE_MS);
    let before = stored(&world);
    assert_eq!(
        world.post(Role::Marketing, "/v1/suppressions/lift", &lift).await.ok("lift")["status"],
        "unchanged"
    );
    assert_eq!(stored(&world), before);
    // And onto it again.
    assert_eq!(
        world.post(Role::Marketing, "/v1/suppressions", &body).await.ok("suppressions")["status"],
        "created"
    );
    assert_eq!(may(&world), Err(Refusal::Suppressed(Reason::Bounced)));
}

#[tokio::test]
async fn who_is_on_the_list_may_choose_and_still_gets_nothing_until_people_lift_it() {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    let body = json!({"email": ADA, "reason": "complained"});
    world.post(Role::Marketing, "/v1/suppressions", &body).await.ok("suppressions");
    world.later(MINUTE_MS);
    let link = mail_to(&world, 1).await.unsubscribe(Purpose::Marketing);
    let page = post(&world, &link, "choices=1&agree=marketing").await.text();
    assert!(page.contains("on our list of those that nobody may write to"), "{page}");
    assert_eq!(status_of(&world, "marketing").await, "confirmed");
    assert_eq!(may(&world), Err(Refusal::Suppressed(Reason::Complained)));
}

#[tokio::test]
async fn what_came_back_for_good_is_heard_after_it_came_back_for_now_and_once_lifted_not_again() {
    let catalog = Arc::new(MemoryCatalog::new());
    let store = Arc::new(MemoryLeadStore::beside(Arc::clone(&catalog)));
    let clock = Arc::new(SetClock::at(time(NOON)));
    let (shown, catalog): (Arc<dyn Clock>, Arc<dyn Catalog>) = (Arc::clone(&clock) as _, catalog);
    activate(&test_playbook(), Arc::clone(&catalog), Arc::clone(&shown)).await;
    let lead = a_lead().known_by(Identity::Email(email(ADA))).change();
    store.commit(&lead).await.unwrap();
    let app = nurture::App::new(Arc::clone(&store), Arc::clone(&catalog), None, shown);
    let address = email(ADA);
    let listed = || suppressions::is_suppressed(catalog.as_ref(), &address);
    let event = |name: &str| {
        let path = root().join(format!("events/nurture/{name}.ok.json"));
        let text = std::fs::read_to_string(path).unwrap();
        serde_json::from_str::<Value>(&text.replace("abcdefghijklmnopqrstuvwxyz", lead.lead.id.as_str()))
            .unwrap()
    };
    for (name, reason) in [
        ("told-bounced-for-now", None),
        ("told-rejected", None),
        ("told-bounced", Some(Reason::Bounced)),
        ("told-bounced", Some(Reason::Bounced)),
    ] {
        nurture::handle(&app, &event(name)).await.unwrap();
        assert_eq!(store.leads()[0].suppressed, reason, "the lead, after {name}");
        assert_eq!(listed().await.unwrap(), reason, "the list, after {name}");
    }
    let how = Lifted { at: clock.now(), by: "mia".to_owned(), because: "The mailbox is back".to_owned() };
    suppressions::lift(catalog.as_ref(), &app.write_path, &address, &how).await.unwrap();
    clock.set(clock.now().plus(MINUTE_MS));
    nurture::handle(&app, &event("told-bounced")).await.unwrap();
    assert_eq!(
        (listed().await.unwrap(), store.leads()[0].suppressed),
        (None, None),
        "the same event once more"
    );
    let mut later = event("told-bounced");
    later["detail"]["mail"]["tags"]["message"] = json!(["4"]);
    later["detail"]["bounce"]["timestamp"] = json!(clock.now().to_string());
    nurture::handle(&app, &later).await.unwrap();
    assert_eq!(listed().await.unwrap(), Some(Reason::Bounced), "another mail since");
}

/// Does something and dies at a call; tells whether it came to the end.
async fn dies_at<T>(world: &World, call: usize, work: impl Future<Output = T>) -> bool {
    world.failures.take_calls();
    world.failures.on_call(call, Failure::Hangs);
    let ended = tokio::select! {
        _ = work => true,
        () = world.failures.hung() => false,
    };
    world.failures.heal();
    ended
}

#[tokio::test]
async fn a_worker_that_dies_at_any_step_leaves_the_address_forbidden_or_free_and_the_next_try_does_the_rest()
{
    let body = json!({"email": ADA, "reason": "unsubscribed"});
    let mut call = 1;
    loop {
        let world = World::new().await;
        world.submit("contact", &ada()).await;
        state(&world, "marketing", "confirmed").await;
        let ended = dies_at(&world, call, world.post(Role::Marketing, "/v1/suppressions", &body)).await;
        let listed = suppressions::is_suppressed(world.catalog.as_ref(), &email(ADA)).await.unwrap();
        assert!(listed.is_some() || may(&world).is_ok(), "the list comes first, at call {call}");
        world.post(Role::Marketing, "/v1/suppressions", &body).await.ok("again");
        assert_eq!(may(&world), Err(Refusal::Suppressed(Reason::Unsubscribed)), "call {call}");
        assert_eq!(status_of(&world, "marketing").await, "withdrawn");
        let kinds = world.events().await;
        assert_eq!(kinds.iter().filter(|kind| *kind == "consent_withdrawn").count(), 1, "call {call}");
        if ended {
            break;
        }
        call += 1;
    }
    assert!(call > 5, "it dies at {call} calls");
}

#[tokio::test]
async fn a_lead_whose_address_is_on_the_list_never_exists_without_knowing_it() {
    let mut call = 1;
    loop {
        let world = World::new().await;
        let body = json!({"email": ADA, "reason": "legal"});
        world.post(Role::Marketing, "/v1/suppressions", &body).await.ok("list");
        let ended = dies_at(&world, call, world.submit("contact", &ticked())).await;
        let leads = world.memory().leads();
        assert!(leads.iter().all(|lead| lead.suppressed == Some(Reason::Legal)), "call {call}");
        if ended {
            assert_eq!(leads.len(), 1);
            break;
        }
        call += 1;
    }
    assert!(call > 3, "it dies at {call} calls");
}

#[tokio::test]
async fn the_database_keeps_it_as_memory_does() {
    let world = World::on_dynamo().await;
    let body = json!({"suppressions": [
        {"email": ADA, "reason": "legal"}, {"email": "bob@company.example", "reason": "bounced"}, {"email": "x"}]});
    let answer = world.post(Role::Marketing, "/v1/suppressions", &body).await.ok("suppressions");
    let statuses: Vec<&Value> =
        answer["results"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, ["created", "created", "rejected"]);
    assert_eq!(world.submit("contact", &ticked()).await.status, 202);
    let dossier = world.dossier(ADA).await;
    assert_eq!(
        (&dossier["suppressed"], dossier["consent"].as_array().map(Vec::len)),
        (&json!("legal"), Some(4))
    );
    let kinds = world.events().await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "consent_withdrawn").count(), 4, "{kinds:?}");
    world.later(MINUTE_MS);
    let mia = json!({"name": "Mia", "email": "mia@company.example", "team": "marketing"});
    world.call(Role::Admin, "PUT", "/v1/people/mia").json(&mia).expect(200).await;
    let lift = json!({"email": ADA, "because": "She asked us to"});
    world.post(Role::Marketing, "/v1/suppressions/lift", &lift).await.ok("lift");
    let link = mail_to(&world, 1).await.unsubscribe(Purpose::Marketing);
    post(&world, &link, "choices=1&agree=marketing").await;
    assert_eq!(status_of(&world, "marketing").await, "confirmed");
    assert_eq!(world.dossier(ADA).await["suppressed"], Value::Null);
    world.later(MINUTE_MS);
    one_click(&world, &link).await;
    assert_eq!(status_of(&world, "marketing").await, "withdrawn");
}
