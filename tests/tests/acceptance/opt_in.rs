//! The mail that asks whether it was really the owner of the address who agreed.

use adapters::clock::{Clock, SetClock};
use adapters::mail::Mailbox;
use adapters::ports::Catalog;
use axum::body::Body;
use axum::http::Request;
use domain::consent::Purpose;
use domain::identity::Email;
use domain::lead::Lead;
use domain::nurture::opt_in;
use domain::permission::may_write;
use domain::playbook::Playbook;
use nurture::consent::ask::compose;
use nurture::{App, Post};
use serde_json::json;
use std::sync::Arc;
use testkit::builders::{NOON, activate, time};
use testkit::{MemoryCatalog, MemoryLeadStore, MemoryMailer, test_playbook};
use tower::ServiceExt;

struct House {
    app: App,
    post: Post,
    playbook: Playbook,
    store: Arc<MemoryLeadStore>,
}

async fn house() -> House {
    let clock: Arc<dyn Clock> = Arc::new(SetClock::at(time(NOON)));
    let catalog: Arc<dyn Catalog> = Arc::new(MemoryCatalog::new());
    activate(&test_playbook(), Arc::clone(&catalog), Arc::clone(&clock)).await;
    let from = Mailbox {
        name: Some("Company\r\nBcc: eve@example.com".to_owned()),
        email: Email::parse("hello@company.example").unwrap(),
    };
    let post = Post::new(Arc::new(MemoryMailer::new()), from, "https://api.company.example/");
    let store = Arc::new(MemoryLeadStore::new());
    let app = App::new(Arc::clone(&store), catalog, Some(post.clone()), clock);
    House { app, post, playbook: Playbook::parse(&test_playbook()).unwrap(), store }
}

/// A lead who ticked two boxes of a form, and wrote what would be an advertisement in anybody else's mailbox.
async fn ticked(house: &House) -> Lead {
    let form = json!({
        "email": "ada@company.example", "full_name": "WIN https://evil.example <b>now</b>", "consent_marketing": "on",
        "consent_phone": "yes", "message": "Cheap pills",
    });
    let catalog = Arc::clone(&house.app.catalog);
    let capture = lead_capture::App::new(Arc::clone(&house.store), catalog, Arc::clone(&house.app.clock));
    let (router, _) = adapters::http::split(lead_capture::router(capture));
    let request = Request::post("/v1/forms/contact").header("content-type", "application/json");
    let answer = router.oneshot(request.body(Body::from(form.to_string())).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 202);
    house.store.leads().remove(0)
}

#[tokio::test]
async fn the_mail_says_what_where_when_and_which_text_and_nothing_that_a_stranger_wrote() {
    let house = house().await;
    let lead = ticked(&house).await;
    assert!(opt_in::owed(&lead, time(NOON)).is_some());
    let mail =
        compose(&house.app, &house.post, &lead, &house.playbook, 3, time(NOON)).await.unwrap().unwrap();
    assert_eq!(mail.id, format!("nurture.{}.3", lead.id));
    assert_eq!(mail.to.email.as_str(), "ada@company.example");
    assert_eq!(mail.headers, [("Auto-Submitted", "auto-generated".to_owned())]);
    for text in [&mail.text, &mail.html] {
        for part in [
            "Mails from us",
            "Calls from us",
            "Sunday 22 November 2026, 13:00 CET in our form “contact”, text newsletter-2026-01",
            "text call-2026-01",
            "https://api.company.example/t/y/",
            "without your confirmation we write you nothing of this kind",
        ] {
            assert!(text.contains(part), "no {part}: {text}");
        }
        for stranger in ["evil", "WIN", "pills"] {
            assert!(!text.contains(stranger), "{stranger}: {text}");
        }
    }
    assert!(!mail.subject.contains(['\r', '\n']) && mail.subject.contains("Company"), "{}", mail.subject);
    assert!(!mail.html.contains("src="), "it loads nothing");
}

#[tokio::test]
async fn the_link_of_the_mail_confirms_all_that_it_names() {
    let house = house().await;
    let lead = ticked(&house).await;
    let mail =
        compose(&house.app, &house.post, &lead, &house.playbook, 1, time(NOON)).await.unwrap().unwrap();
    let link = mail.text.split_whitespace().find(|word| word.contains("/t/y/")).unwrap().to_owned();
    assert!(mail.html.contains(&link), "both parts have the same link");
    let (router, _) = adapters::http::split(nurture::router(house.app.clone()));
    let path = link.strip_prefix("https://api.company.example").unwrap();
    let answer = router.oneshot(Request::post(path).body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let lead = house.app.leads.load(&[lead.id]).await.unwrap().remove(0);
    for purpose in [Purpose::Marketing, Purpose::Phone] {
        assert!(may_write(&lead, purpose, &house.playbook).is_ok(), "{purpose:?}");
    }
    assert_eq!(opt_in::owed_at(&lead, time(NOON)), None);
}

#[tokio::test]
async fn a_link_that_is_not_believed_names_the_address_to_write_to() {
    let house = house().await;
    let (router, _) = adapters::http::split(nurture::router(house.app));
    let answer = router.oneshot(Request::get("/t/u/x").body(Body::empty()).unwrap()).await.unwrap();
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    assert!(String::from_utf8_lossy(&body).contains("mailto:hello@company.example?subject=stop"));
}
