//! What becomes of a mail: its pixel and its links, through the router, whatever a stranger, a scanner or a broken store does.

use adapters::clock::Clock;
use adapters::http::Role;
use adapters::signed_link::{CONFIRM, Keys, Links};
use domain::consent::Purpose;
use domain::identity::{LeadId, Slug};
use domain::machine::{SETTLES_MS, TOO_SOON_MS};
use domain::time::{DAY_MS, HOUR_MS};
use nurture::link::{CLICK, Mail, MailLinks, OPEN, Target, WORKS_FOR_DAYS};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use testkit::Failure;
use tests::{Answer, Call, World};

const PERSON: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const PRICES: &str = "https://www.company.example/pricing?utm_source=mail&plan=a%20b#top";

/// A world under the starter playbook with a contact, and the links of the first mail to it, written an hour ago.
struct Sent {
    world: World,
    lead: String,
    links: MailLinks,
}

fn mail(lead: &str, at: domain::time::Timestamp) -> Mail {
    Mail {
        lead: LeadId::parse(lead).unwrap(),
        number: 1,
        program: Some(Slug::parse("warm_up").unwrap()),
        content: Some(Slug::parse("buyers-guide").unwrap()),
        made_at: at,
    }
}

impl Sent {
    async fn new() -> Self {
        let world = World::with(&testkit::starter_playbook()).await;
        let contact =
            json!({ "mode": "history", "leads": [{ "email": "bob@company.example", "stage": "contact" }] });
        world.post(Role::Marketing, "/v1/leads/batch", &contact).await.ok("a contact");
        let lead = world.lead_id("bob@company.example").await;
        let links = Self::links(&world, mail(&lead, world.now())).await;
        world.later(HOUR_MS);
        Self { world, lead, links }
    }

    async fn links(world: &World, mail: Mail) -> MailLinks {
        let clock: Arc<dyn Clock> = Arc::clone(&world.clock) as _;
        MailLinks::new(&Links::new(Arc::clone(&world.catalog), clock), "", mail).await.unwrap()
    }

    fn request(&self, method: &str, path: &str) -> Call {
        self.world.api.call(method, path).header("user-agent", PERSON)
    }

    async fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send().await
    }

    /// What the timeline tells of the mail, latest first.
    async fn told(&self) -> Vec<Value> {
        let dossier = self.world.get(Role::Sales, &format!("/v1/leads/{}?limit=200", self.lead)).await;
        let items = dossier["timeline"]["items"].as_array().unwrap().clone();
        items.into_iter().filter(|item| item["kind"] == "activity").collect()
    }

    async fn score(&self) -> Value {
        self.world.get(Role::Sales, &format!("/v1/leads/{}/score", self.lead)).await
    }

    /// The lines about a rule: kind, points, points withheld, and why.
    async fn lines(&self, rule: &str) -> Vec<(String, i64, Value, String)> {
        let score = self.score().await;
        let lines = score["explanation"].as_array().unwrap();
        let sum: i64 = lines.iter().map(|line| line["points"].as_i64().unwrap()).sum();
        assert_eq!(
            sum,
            score["fit"].as_i64().unwrap() + score["engagement"].as_i64().unwrap(),
            "they add up"
        );
        let own = lines.iter().filter(|line| line["rule"] == rule);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        own.map(|line| {
            let points = line["points"].as_i64().unwrap();
            (text(&line["kind"]), points, line["withheld"].clone(), text(&line["because"]))
        })
        .collect()
    }
}

fn is_kept_nowhere(answer: &Answer) {
    assert!(answer.header("cache-control").contains("no-store"), "{:?}", answer.headers);
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert_eq!(answer.header("x-robots-tag"), "noindex, nofollow");
    assert!(answer.headers.get("set-cookie").is_none());
}

fn is_pixel(answer: &Answer) {
    assert_eq!((answer.status, answer.header("content-type")), (200, "image/gif"));
    assert_eq!(&answer.body[..6], b"GIF89a");
    assert_eq!((&answer.body[6..10], answer.body.last()), (&[1, 0, 1, 0][..], Some(&0x3b)), "one pixel");
    is_kept_nowhere(answer);
}

fn leads_nowhere(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert!(answer.headers.get("location").is_none(), "{:?}", answer.headers);
    is_kept_nowhere(answer);
}

#[tokio::test]
async fn a_loaded_pixel_is_an_open_with_what_the_mail_was_and_no_personal_data_in_its_address() {
    let sent = Sent::new().await;
    let pixel = sent.links.pixel();
    assert!(!pixel.contains('@') && !pixel.contains("bob"));
    is_pixel(&sent.get(&pixel).await);
    let told = sent.told().await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["activity"], "email_opened", "{}", told[0]);
    let properties = json!({ "message": 1, "program": "warm_up", "content": "buyers-guide" });
    assert_eq!((&told[0]["properties"], &told[0]["by"]), (&properties, &json!("mail")));
    // Each is one of its own.
    sent.world.later(1_000);
    is_pixel(&sent.get(&pixel).await);
    assert_eq!(sent.told().await.len(), 2);
}

#[tokio::test]
async fn a_link_leads_where_it_was_signed_to_and_its_click_is_recorded_without_the_query() {
    let sent = Sent::new().await;
    let answer = sent.get(&sent.links.click(PRICES).unwrap()).await;
    assert_eq!((answer.status, answer.header("location")), (302, PRICES));
    assert!(answer.body.is_empty());
    is_kept_nowhere(&answer);
    let told = sent.told().await;
    let properties = json!({ "message": 1, "program": "warm_up", "content": "buyers-guide",
        "url": "https://www.company.example/pricing" });
    assert_eq!((&told[0]["activity"], &told[0]["properties"]), (&json!("email_clicked"), &properties));
    // The starter playbook's signal hears of it.
    let lines = sent.lines("follows_mails").await;
    assert_eq!((lines.len(), lines[0].1), (1, 4), "{lines:?}");
    assert_eq!(lines[0].2, Value::Null);
}

#[tokio::test]
async fn a_head_is_answered_like_a_click_and_is_a_machine_s() {
    let sent = Sent::new().await;
    let link = sent.links.click(PRICES).unwrap();
    let answer = sent.request("HEAD", &link).send().await;
    assert_eq!((answer.status, answer.header("location")), (302, PRICES));
    assert_eq!(sent.told().await[0]["properties"]["machine"], "head");
    let because = "1 × Clicked a link in a mail, by machines (head)".to_owned();
    assert_eq!(sent.lines("follows_mails").await, [("withheld".to_owned(), 0, json!(4), because)]);
    leads_nowhere(&sent.request("HEAD", "/t/c/x").send().await, 404);
}

#[tokio::test]
async fn a_scanner_that_follows_every_link_gets_no_points_and_makes_nobody_a_lead() {
    let sent = Sent::new().await;
    for page in ["pricing", "demo", "guide"] {
        let link = sent.links.click(&format!("https://www.company.example/{page}")).unwrap();
        assert_eq!(sent.get(&link).await.status, 302);
        sent.world.later(300);
    }
    let because = "3 × Clicked a link in a mail, by machines (many_links)".to_owned();
    assert_eq!(sent.lines("follows_mails").await, [("withheld".to_owned(), 0, json!(12), because)]);
    let machine: Vec<Value> =
        sent.told().await.iter().map(|entry| entry["properties"]["machine"].clone()).collect();
    assert_eq!(machine, [json!("many_links"), json!("many_links"), Value::Null], "facts are never edited");
    assert_eq!(sent.score().await["engagement"], 0);
    let dossier = sent.world.get(Role::Sales, &format!("/v1/leads/{}", sent.lead)).await;
    assert_eq!(dossier["stage"], "contact");
    // A person's click, a day later, counts beside them, and its response once nothing else came.
    sent.world.later(DAY_MS);
    sent.get(&sent.links.click(PRICES).unwrap()).await;
    assert_eq!(sent.lines("follows_mails").await[0].1, 4);
    sent.world.later(SETTLES_MS);
    sent.get(&sent.links.pixel()).await;
    let dossier = sent.world.get(Role::Sales, &format!("/v1/leads/{}", sent.lead)).await;
    assert_eq!(dossier["stage"], "inquiry");
}

#[tokio::test]
async fn requests_that_give_themselves_away_are_a_machine_s_by_name() {
    let sent = Sent::new().await;
    let (link, pixel) = (sent.links.click(PRICES).unwrap(), sent.links.pixel());
    let call = |path: &str| sent.world.api.call("GET", path);
    call(&link).send().await;
    call(&link).header("user-agent", "Mozilla/5.0 (compatible; BarracudaSentinel/1.0)").send().await;
    call(&link).header("user-agent", PERSON).header("sec-purpose", "prefetch;prerender").send().await;
    call(&pixel).header("user-agent", "Mozilla/5.0").send().await;
    let gmail = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
    call(&pixel).header("user-agent", gmail).send().await;
    let fresh = Sent::links(&sent.world, mail(&sent.lead, sent.world.now().plus(1 - TOO_SOON_MS))).await;
    sent.get(&fresh.pixel()).await;
    let mut found: Vec<String> = sent
        .told()
        .await
        .iter()
        .map(|entry| entry["properties"]["machine"].as_str().unwrap_or("a person").to_owned())
        .collect();
    found.sort();
    let expected = ["a person", "known_agent", "known_agent", "prefetch", "privacy_proxy", "too_soon"];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn an_open_and_a_click_cost_one_read_and_one_write_each() {
    let sent = Sent::new().await;
    let paths = [sent.links.pixel(), sent.links.click(PRICES).unwrap()];
    // Keys and playbooks are read once by a function that starts.
    for path in &paths {
        sent.get(path).await;
    }
    for path in &paths {
        drop(sent.world.failures.take_calls());
        sent.get(path).await;
        assert_eq!(sent.world.failures.take_calls(), ["load", "commit"], "{path}");
    }
}

#[tokio::test]
async fn whatever_the_store_does_the_reader_gets_a_picture_and_is_led_on() {
    let sent = Sent::new().await;
    let (pixel, link) = (sent.links.pixel(), sent.links.click(PRICES).unwrap());
    sent.get(&link).await;
    let before = sent.told().await.len();
    sent.world.failures.outage();
    // Also when what was known of keys and playbooks would have to be read again.
    sent.world.later(HOUR_MS);
    is_pixel(&sent.get(&pixel).await);
    let answer = sent.get(&link).await;
    assert_eq!((answer.status, answer.header("location")), (302, PRICES));
    sent.world.failures.heal();
    assert_eq!(sent.told().await.len(), before, "what happened meanwhile is lost");
    // A write whose answer got lost is one click, and a lost race is tried again.
    for failure in [Failure::TimedOutAfterWrite, Failure::Conflict] {
        let before = sent.told().await.len();
        sent.world.failures.on_write(1, failure);
        assert_eq!(sent.get(&link).await.status, 302);
        assert_eq!(sent.told().await.len(), before + 1, "{failure:?}");
    }
}

#[tokio::test]
async fn without_any_key_nothing_can_be_told_so_nobody_is_led_anywhere() {
    let sent = Sent::new().await;
    sent.world.failures.outage();
    is_pixel(&sent.get(&sent.links.pixel()).await);
    leads_nowhere(&sent.get(&sent.links.click(PRICES).unwrap()).await, 503);
}

#[tokio::test]
async fn a_link_of_somebody_who_is_not_kept_leads_on_all_the_same() {
    let sent = Sent::new().await;
    let nobody = "a".repeat(26);
    let links = Sent::links(&sent.world, mail(&nobody, sent.world.now())).await;
    let answer = sent.get(&links.click(PRICES).unwrap()).await;
    assert_eq!((answer.status, answer.header("location")), (302, PRICES));
    is_pixel(&sent.get(&links.pixel()).await);
    assert!(sent.told().await.is_empty());
}

#[tokio::test]
async fn what_is_not_signed_by_us_for_this_leads_nowhere_and_records_nothing() {
    let sent = Sent::new().await;
    let link = sent.links.click(PRICES).unwrap();
    let cut = link.strip_suffix(|_: char| true).unwrap();
    let token = |path: String| path.rsplit('/').next().unwrap().to_owned();
    let other_kind = format!("/t/c/{}", token(sent.links.pixel()));
    let unsubscribe = format!("/t/c/{}", token(sent.links.unsubscribe(Purpose::Marketing)));
    let ends = sent.world.now().plus(DAY_MS);
    let others = Keys::default().rotated(sent.world.now());
    let forged = format!("/t/c/{}", others.sign(CLICK, b"https://evil.example/", ends).unwrap());
    let clock: Arc<dyn Clock> = Arc::clone(&sent.world.clock) as _;
    let ours = Links::new(Arc::clone(&sent.world.catalog), clock);
    // Signed by us for another purpose, or for this one and about something that no click is about.
    let confirm = format!("/t/c/{}", ours.sign(CONFIRM, b"x", ends).await.unwrap());
    let empty = format!("/t/c/{}", ours.sign(CLICK, b"", ends).await.unwrap());
    let garbled = format!(
        "/t/c/{}",
        ours.sign(CLICK, b"\x01aaaa\r\nLocation: https://evil.example", ends).await.unwrap()
    );
    let paths = [
        cut,
        &other_kind,
        &unsubscribe,
        &forged,
        &confirm,
        &empty,
        &garbled,
        "/t/c/x",
        "/t/c/https:%2f%2fevil.example",
        "/t/c/%0d%0aLocation:%20https:%2f%2fevil.example",
        "/t/c/%ff",
    ];
    for path in paths {
        leads_nowhere(&sent.get(path).await, 404);
        let page = sent.get(path).await;
        assert!(page.header("content-type").starts_with("text/html") && page.text().contains("No such link"));
    }
    for path in ["/t/o/x", "/t/o/%ff", &link.replace("/t/c/", "/t/o/")] {
        is_pixel(&sent.get(path).await);
    }
    assert!(sent.told().await.is_empty());
    // It works for years, and then says so.
    sent.world.later((WORKS_FOR_DAYS - 1) * DAY_MS);
    assert_eq!(sent.get(&link).await.status, 302);
    sent.world.later(DAY_MS);
    let ended = sent.get(&link).await;
    leads_nowhere(&ended, 410);
    assert!(ended.text().contains("This link has ended"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_target_smuggles_a_header_in_and_none_leads_elsewhere(
        tails in prop::collection::vec("[\\PC\r\n\t\0\\\\@#?/:%]{0,40}", 12), tokens in prop::collection::vec("[!-~ ]{0,60}", 12),
        place in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let sent = Sent::new().await;
            for tail in tails {
                for text in [format!("https://a.example/{tail}"), format!("https://a.example{tail}"), tail] {
                    let Some(link) = sent.links.click(&text) else { continue };
                    let answer = sent.get(&link).await;
                    let target = Target::parse(&text).unwrap();
                    assert_eq!((answer.status, answer.header("location")), (302, target.as_str()), "{text:?}");
                    assert_eq!(answer.headers.get_all("location").iter().count(), 1);
                    let lower = target.as_str().to_ascii_lowercase();
                    assert!(lower.starts_with("https://") || lower.starts_with("http://"));
                    is_kept_nowhere(&answer);
                }
            }
            for token in tokens {
                let escaped: String = token.bytes().map(|byte| format!("%{byte:02x}")).collect();
                let status = if token.is_empty() { continue } else { 404 };
                leads_nowhere(&sent.get(&format!("/t/c/{escaped}")).await, status);
                is_pixel(&sent.get(&format!("/t/o/{escaped}")).await);
            }
            // One letter of a real token changed is none of ours any more.
            let link = sent.links.click(PRICES).unwrap();
            let mut changed = link.clone().into_bytes();
            let at = 5 + place.index(changed.len() - 5);
            changed[at] = to.as_bytes()[0];
            let changed = String::from_utf8(changed).unwrap();
            if changed != link {
                leads_nowhere(&sent.get(&changed).await, 404);
            }
        });
    }
}

#[test]
fn the_purposes_of_mail_links_are_no_others() {
    assert_ne!(OPEN, CLICK);
    assert!(
        [OPEN, CLICK, nurture::link::UNSUBSCRIBE, nurture::link::OPT_IN].iter().all(|own| *own != CONFIRM)
    );
}
