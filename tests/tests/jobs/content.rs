//! Content, through its routes: the catalog under two editors, the matrix and the report against an independent recount of
//! random stories, a report whose worker stops and one whose store fails, and the next piece for a lead.
//!
//! The recount knows the stories, not the stored leads: a persona follows from the job that a form told, a phase from what a
//! lead did, in a playbook in which both only go forward.

use adapters::clock::{Clock, SetClock};
use adapters::http::Role;
use adapters::jobs::{JobKind, JobStatus, Jobs};
use adapters::ports::{Catalog, CatalogKind, LeadLists, LeadStore, StoreError, Timeline, Visitors};
use adapters::write_path::About;
use domain::attribute::{AttributeName, AttributeValue, NewAttribute, NewAttributes};
use domain::change::{Capture, Fact};
use domain::identity::ExternalId;
use domain::sales::Move;
use domain::time::{DAY_MS, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use testkit::builders::{NOON, activate, activity, delivered, email, test_playbook, time};
use testkit::{
    Dynamo, FailingCatalog, FailingLeadStore, Failure, Failures, MemoryCatalog, MemoryJobStarter,
    MemoryLeadStore, RoleTokens,
};
use tests::{Answer, Api};

const PHASES: [&str; 4] = ["awareness", "consideration", "decision", "customer"];

/// The tests' playbook with personas, phases and topics that can be recounted in the head.
fn document() -> Value {
    let mut document = test_playbook();
    let persona = |id: &str| json!({ "id": id, "name": id, "when": { "attribute": "job", "equals": id } });
    document["personas"] = json!([persona("plant_manager"), persona("it_lead")]);
    document["phases"] = json!({
        "consideration": { "signal": "pricing_viewed" },
        "decision": { "signal": "contact_requested" },
        "customer": { "stage": "customer" },
    });
    document["forms"].as_array_mut().unwrap().push(json!(
        { "id": "paper", "fields": { "email": "email", "content": "properties.content" } }
    ));
    document["topics"] = json!([
        { "id": "pricing", "title": "Prices", "keywords": ["price", "cost"] },
        { "id": "safety", "title": "Safety", "keywords": ["safe"] },
    ]);
    document
}

/// Somebody who did nothing yet.
fn plain() -> Story {
    Story {
        who: "plain@company.example".to_owned(),
        job: "plant_manager",
        language: "en",
        captured: time("2026-11-01T08:00:00Z"),
        reached: [None; 3],
        lost: None,
        had: Vec::new(),
    }
}

/// A process over some store.
struct House {
    insights: insights::App,
    write_path: adapters::write_path::WritePath,
    clock: Arc<SetClock>,
    failures: Failures,
    tokens: RoleTokens,
}

impl House {
    async fn over<S>(store: S, catalog: Arc<dyn Catalog>) -> Self
    where
        S: LeadStore + Timeline + Visitors + LeadLists + 'static,
    {
        let clock = Arc::new(SetClock::at(time(NOON)));
        let shown: Arc<dyn Clock> = Arc::clone(&clock) as _;
        activate(&document(), Arc::clone(&catalog), Arc::clone(&shown)).await;
        let tokens = RoleTokens::create(Arc::clone(&catalog), Arc::clone(&shown)).await.unwrap();
        let failures = Failures::none();
        let store = Arc::new(FailingLeadStore::new(Arc::new(store), failures.clone()));
        let capture = lead_capture::App::new(Arc::clone(&store), Arc::clone(&catalog), Arc::clone(&shown));
        let starter = Arc::new(MemoryJobStarter::new());
        let insights = insights::App::new(store, catalog, starter, shown);
        Self { insights, write_path: capture.write_path, clock, failures, tokens }
    }

    async fn on_memory() -> Self {
        Self::over(MemoryLeadStore::new(), Arc::new(MemoryCatalog::new())).await
    }

    async fn call(&self, role: Role, method: &str, path: &str, accept: &str, body: Option<&Value>) -> Answer {
        let router = adapters::http::split(insights::router(self.insights.clone())).0;
        let call = Api::of(router).call(method, path).token(self.tokens.of(role)).header("accept", accept);
        match body {
            Some(body) => call.json(body).send().await,
            None => call.send().await,
        }
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Role::Marketing, "GET", path, "application/json", None).await.ok(path)
    }

    async fn put(&self, id: &str, body: &Value) -> Answer {
        let path = format!("/v1/content/{id}");
        self.call(Role::Marketing, "PUT", &path, "application/json", Some(body)).await
    }
}

/// Draws numbers from a seed: SplitMix64, Steele et al. 2014.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % n
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
}

/// What a lead did, by the minute; all that the recount knows.
#[derive(Clone, Debug)]
struct Story {
    who: String,
    job: &'static str,
    language: &'static str,
    captured: Timestamp,
    /// When it came into a phase: considered, decided, bought.
    reached: [Option<Timestamp>; 3],
    lost: Option<Timestamp>,
    /// The content that it had: when, which, in which way.
    had: Vec<(Timestamp, &'static str, &'static str)>,
}

const PIECES: [&str; 6] = ["paper", "guide", "offer", "film", "gone", "nobody_knows"];
/// A `form` is a download of which only a form tells, which anybody may have sent, and a `page` one that anybody made up;
/// `back_for_now` is a mail that came back and may have arrived all the same.
const WAYS: [&str; 9] = [
    "email_sent",
    "email_opened",
    "email_clicked",
    "content_downloaded",
    "email_bounced",
    "unsubscribed",
    "form",
    "page",
    "back_for_now",
];

fn story(n: u64, draw: &mut Draw) -> Story {
    let captured = time("2025-06-01T08:00:00Z").plus(draw.below(500) as i64 * DAY_MS);
    let later = |draw: &mut Draw, days: u64| {
        // Odd minutes, so that nothing of a story happens at one time by chance.
        captured.plus(draw.below(days) as i64 * DAY_MS + 60_000 * (1 + draw.below(1_000) as i64))
    };
    let mut reached = [None; 3];
    let mut floor = captured;
    for (at, reach) in reached.iter_mut().enumerate() {
        if draw.below(5) < 3 - at as u64 {
            let next = later(draw, 90).max(floor.plus(1_000));
            *reach = Some(next);
            floor = next;
        }
    }
    let lost = (reached[2].is_none() && draw.below(4) == 0).then(|| later(draw, 120).max(floor.plus(1_000)));
    let mut had: Vec<_> =
        (0..draw.below(7)).map(|_| (later(draw, 200), draw.one(&PIECES), draw.one(&WAYS))).collect();
    // Some come by a piece, and some are brought into a phase by one: at the very same moment.
    if draw.below(4) == 0 {
        had.push((captured, "guide", "content_downloaded"));
    }
    if draw.below(4) == 0 {
        let sent = later(draw, 100);
        had.extend([(sent, "offer", "email_sent"), (sent.plus(1_000), "offer", "email_bounced")]);
    }
    if draw.below(2) == 0 {
        had.extend(reached[0].map(|at| (at, "film", "content_downloaded")));
    }
    Story {
        who: format!("lead{n}@company.example"),
        job: draw.one(&["plant_manager", "it_lead", "poet"]),
        language: draw.one(&["de", "en", "fr"]),
        captured,
        reached,
        lost,
        had,
    }
}

async fn tell(house: &House, story: &Story) {
    let now = house.clock.now();
    let text = |text: &str| NewAttribute { value: AttributeValue::Text(text.to_owned()), known_at: None };
    let attributes: NewAttributes = [("job", text(story.job)), ("language", text(story.language))]
        .into_iter()
        .map(|(name, value)| (AttributeName::parse(name).unwrap(), value))
        .collect();
    let form = Capture { attributes, responded: true, public: true, ..Capture::default() };
    let mut facts = vec![(story.captured, Fact::Captured(Box::new(form)), "test")];
    for (at, content, way) in &story.had {
        let (kind, by) = match *way {
            "form" => ("content_downloaded", "form:paper"),
            "page" => ("content_downloaded", "page:paper"),
            "back_for_now" => ("email_bounced", "test"),
            kind => (kind, "test"),
        };
        let mut did = activity(kind, &[("content", content)]);
        if *way == "back_for_now" {
            did.properties.insert("permanent".to_owned(), AttributeValue::Flag(false));
        }
        facts.push((*at, Fact::Activity(did), by));
    }
    let [considered, decided, bought] = story.reached;
    let did = |kind: &str, path: &str| Fact::Activity(activity(kind, &[("path", path)]));
    facts.extend(considered.map(|at| (at, did("page_viewed", "/pricing"), "test")));
    facts.extend(decided.map(|at| (at, did("contact_requested", "/contact"), "test")));
    let deal = ExternalId::new("crm", &story.who).unwrap();
    let sales = |what: Move| Fact::Sales { what, by: None, note: None };
    facts.extend(bought.map(|at| (at, sales(Move::Won { deal, amount: None }), "test")));
    facts.extend(story.lost.map(|at| (at, sales(Move::Lost { deal: None, reason: None }), "test")));
    let incoming: Vec<_> = facts
        .into_iter()
        .filter(|(at, ..)| *at <= now)
        .enumerate()
        .map(|(n, (at, fact, by))| {
            let mut incoming = delivered(&format!("{} {n}", story.who), at, fact);
            (incoming.history, incoming.by) = (true, by.to_owned());
            incoming
        })
        .collect();
    house.write_path.record(&About::Anybody(vec![email(&story.who)]), &incoming).await.unwrap();
}

impl Story {
    fn persona(&self) -> Option<&'static str> {
        (self.job != "poet").then_some(self.job)
    }

    /// Which phase it was in at a time: the furthest that it had reached.
    fn phase(&self, at: Timestamp) -> usize {
        (0..3)
            .filter(|n| self.reached[*n].is_some_and(|reached| reached <= at))
            .map(|n| n + 1)
            .max()
            .unwrap_or(0)
    }
}

type Piece =
    (&'static str, &'static [&'static str], &'static [&'static str], Option<&'static str>, &'static str);

/// The catalog, said once more for the recount: whom, in which phases, in which language, until when.
const CATALOG: [Piece; 5] = [
    ("paper", &["plant_manager"], &["awareness", "consideration"], Some("en"), "2027-01-01"),
    ("guide", &[], &["consideration", "decision"], Some("de-AT"), "2027-01-01"),
    ("offer", &["it_lead"], &["decision"], None, "2026-11-22"),
    ("film", &[], &[], Some("en-GB"), "2027-01-01"),
    ("gone", &[], &[], None, "2026-11-21"),
];

async fn catalog(house: &House) {
    for (id, personas, phases, language, until) in CATALOG {
        let piece = json!({
            "title": format!("The {id}"), "url": format!("/{id}"), "kind": "article", "personas": personas,
            "phases": phases, "language": language, "valid_until": until,
            "topics": if id == "paper" { json!(["pricing"]) } else { json!([]) },
        });
        let answer = house.put(id, &piece).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    // What persona evidence puts on record of keywords.
    for (keyword, searches, topic) in [
        ("Price of pumps", 900, None),
        ("safe pumps", 300, None),
        ("pumps", 5_000, None),
        ("x", 100, Some("safety")),
    ] {
        let body = json!({
            "kind": "keyword_research", "keyword": keyword, "monthly_searches": searches, "topic": topic,
            "date": "2026-03-02",
        });
        let path = "/v1/personas/it_lead/evidence";
        let answer = house.call(Role::Marketing, "POST", path, "application/json", Some(&body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

async fn told(house: &House, leads: u64, seed: u64) -> Vec<Story> {
    let mut draw = Draw(seed);
    let stories: Vec<Story> = (0..leads).map(|n| story(n, &mut draw)).collect();
    for story in &stories {
        tell(house, story).await;
    }
    stories
}

type Figures = [u64; 12];

/// Counts again what each piece did: by piece, persona and phase.
fn recount(
    stories: &[Story],
    from: Timestamp,
    now: Timestamp,
) -> BTreeMap<(String, Option<String>, String), Figures> {
    let mut cells = BTreeMap::new();
    for story in stories {
        let real = |content: &str| CATALOG.iter().any(|(id, ..)| *id == content);
        let pieces: BTreeSet<&str> =
            story.had.iter().map(|(_, content, _)| *content).filter(|content| real(content)).collect();
        for piece in pieces {
            let own: Vec<_> = story
                .had
                .iter()
                .filter(|(at, content, way)| {
                    *content == piece && !["page", "back_for_now"].contains(way) && *at <= now
                })
                .collect();
            let times = |has: &dyn Fn(&str) -> bool| -> BTreeSet<Timestamp> {
                own.iter().filter(|(_, _, way)| has(way)).map(|(at, ..)| *at).collect()
            };
            let (mails, back) = (times(&|way| way == "email_sent"), times(&|way| way == "email_bounced"));
            let (forms, read) = (
                times(&|way| way == "form"),
                times(&|way| !["email_sent", "email_bounced", "form"].contains(&way)),
            );
            let reached = mails.iter().filter(|at| back.last().is_none_or(|back| *at > back)).min();
            let trusted = read.first().into_iter().chain(reached).min();
            let told = trusted.is_none() && !forms.is_empty();
            let bounced = trusted.is_none() && forms.is_empty();
            let Some(first) = trusted.or(forms.first()).or(mails.first()).filter(|first| **first >= from)
            else {
                continue;
            };
            let (first, trusted) = (*first, trusted.is_some());
            let way = |way: &str| u64::from(own.iter().any(|(_, _, had)| *had == way));
            let phase = story.phase(first.plus(-1));
            let day = |days: i64| first.plus(days * DAY_MS);
            let judged = trusted && day(30) <= now;
            let moved = judged && story.phase(day(30)) > phase;
            let won_by = |end: Timestamp| {
                trusted && story.reached[2].is_some_and(|won| won >= first && won <= end.min(now))
            };
            let lost = trusted && story.lost.is_some_and(|lost| lost >= first && lost <= now);
            let figures = [
                (!bounced).into(),
                way("email_sent"),
                way("email_opened"),
                way("email_clicked"),
                way("content_downloaded").max(way("form")),
                judged.into(),
                moved.into(),
                (moved || (judged && won_by(day(30)))).into(),
                won_by(day(365)).into(),
                (won_by(day(365)) || lost || (trusted && day(365) <= now)).into(),
                bounced.into(),
                told.into(),
            ];
            let key = (piece.to_owned(), story.persona().map(str::to_owned), PHASES[phase].to_owned());
            let sums: &mut Figures = cells.entry(key).or_default();
            sums.iter_mut().zip(figures).for_each(|(sum, more)| *sum += more);
        }
    }
    cells
}

fn figures(row: &Value) -> Figures {
    let at = |pointer: &str| {
        row.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer}: {row}"))
    };
    [
        at("/leads"),
        at("/sent/hits"),
        at("/opened/hits"),
        at("/clicked/hits"),
        at("/otherwise/hits"),
        at("/moved/of"),
        at("/moved/hits"),
        at("/moved_or_won/hits"),
        at("/won/hits"),
        at("/won/of"),
        at("/bounced/hits"),
        at("/told/hits"),
    ]
}

fn reported(report: &Value) -> BTreeMap<(String, Option<String>, String), Figures> {
    let mut cells = BTreeMap::new();
    for row in report["rows"].as_array().unwrap() {
        let own = row["cells"].as_array().unwrap();
        let mut whole: Figures = [0; 12];
        for cell in own {
            let text = |name: &str| cell[name].as_str().map(str::to_owned);
            whole.iter_mut().zip(figures(cell)).for_each(|(sum, more)| *sum += more);
            cells.insert((text("content").unwrap(), text("persona"), text("phase").unwrap()), figures(cell));
        }
        assert_eq!(figures(row), whole, "a piece's row is the sum of its cells");
    }
    cells
}

#[tokio::test]
async fn the_report_equals_an_independent_recount_of_random_stories() {
    let dynamo = Dynamo::start().await;
    let house = House::over(dynamo.leads(), Arc::new(dynamo.catalog())).await;
    catalog(&house).await;
    let stories = told(&house, 120, 7).await;
    let now = house.clock.now();
    let report = house.get("/v1/reports/content").await;
    let expected = recount(&stories, Timestamp::EARLIEST, now);
    assert_eq!(reported(&report), expected);
    // The stories have what they are to show.
    let sum = |at: usize| expected.values().map(|figures| figures[at]).sum::<u64>();
    assert!((0..12).all(|at| sum(at) >= 5), "{expected:?}");
    assert!(expected.keys().any(|(_, persona, _)| persona.is_none()));
    assert!(report["unknown"].as_u64().unwrap() > 0 && report["left_out"] == 0);
    let moved = &report["rows"][0]["moved"];
    let value = |name: &str| moved[name].as_f64().unwrap();
    assert!(value("low") <= value("rate") && value("rate") <= value("high"), "{moved}");

    let span = house.get("/v1/reports/content?from=2026-03-01&tz=UTC").await;
    let from = time("2026-03-01T00:00:00Z");
    assert_eq!(reported(&span), recount(&stories, from, now));
    assert_ne!(reported(&span), expected);

    let csv = house.call(Role::Sales, "GET", "/v1/reports/content", "text/csv", None).await.text();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let cells: u64 =
        rows.iter().filter(|row| &row[0] == "cell").map(|row| row[5].parse::<u64>().unwrap()).sum();
    assert_eq!(cells, sum(0));
    assert_eq!(rows.iter().filter(|row| &row[0] == "content").count(), CATALOG.len());
}

#[tokio::test]
async fn the_matrix_equals_an_independent_recount_of_random_stories() {
    let dynamo = Dynamo::start().await;
    let house = House::over(dynamo.leads(), Arc::new(dynamo.catalog())).await;
    catalog(&house).await;
    let stories = told(&house, 120, 11).await;
    let now = house.clock.now();
    let mut expected: BTreeMap<(&str, &str), (usize, u64, u64)> = BTreeMap::new();
    let holds = |until: &str| until >= "2026-11-22";
    for persona in ["plant_manager", "it_lead"] {
        for phase in PHASES {
            let content = CATALOG.iter().filter(|(_, personas, phases, _, until)| {
                (personas.is_empty() || personas.contains(&persona))
                    && (phases.is_empty() || phases.contains(&phase))
                    && holds(until)
            });
            expected.insert((persona, phase), (content.count(), 0, 0));
        }
    }
    let (mut apart, mut apart_waiting) = (0, 0);
    for story in &stories {
        let phase = PHASES[story.phase(now)];
        // In the order in which it was told: a mail that came back takes away what a mail alone brought until that day.
        let had = |id: &str| {
            let told = story.had.iter().filter(|(at, had, _)| *had == id && *at <= now);
            let told = told.filter(|(.., way)| !["page", "back_for_now"].contains(way));
            let (mut mailed, mut form, mut read) = (None, None, false);
            for (at, _, way) in told {
                let day = Some(at.millis().div_euclid(DAY_MS));
                match *way {
                    "email_sent" => mailed = mailed.max(day),
                    "email_bounced" if mailed <= day => mailed = None,
                    "email_bounced" => {}
                    "form" => form = form.max(day),
                    _ => read = true,
                }
            }
            mailed.is_some() || form.is_some() || read
        };
        let waits = CATALOG.iter().all(|(id, personas, phases, language, until)| {
            let for_it = personas.is_empty() || story.persona().is_some_and(|own| personas.contains(&own));
            let in_it = phases.is_empty() || phases.contains(&phase);
            let reads = language.is_none_or(|language| language.starts_with(story.language));
            !(for_it && in_it && reads && holds(until)) || had(id)
        });
        match story.persona() {
            Some(persona) => {
                let cell = expected.get_mut(&(persona, phase)).unwrap();
                (cell.1, cell.2) = (cell.1 + 1, cell.2 + u64::from(waits));
            }
            None => (apart, apart_waiting) = (apart + 1, apart_waiting + u64::from(waits)),
        }
    }
    let matrix = house.get("/v1/content/matrix").await;
    let cells = matrix["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 8);
    for cell in cells {
        let text = |name: &str| cell[name].as_str().unwrap();
        let (content, leads, waiting) = expected[&(text("persona"), text("phase"))];
        assert_eq!(
            (&cell["content"], &cell["leads"], &cell["waiting"]),
            (&json!(content), &json!(leads), &json!(waiting)),
            "{cell}"
        );
        // Of 1,300 searches 900 are for pricing, about which only the paper is, and 400 for safety, about which nothing is.
        let paper =
            text("persona") == "plant_manager" && ["awareness", "consideration"].contains(&text("phase"));
        let demand = if paper { 400 } else { 1_300 };
        assert_eq!(cell["demand"], json!(demand), "{cell}");
        let rank =
            (content == 0 || waiting > 0).then(|| waiting as f64 * (1.0 + f64::from(demand) / 1_300.0));
        match rank {
            Some(rank) => assert!((cell["rank"].as_f64().unwrap() - rank).abs() < 1e-3, "{cell}"),
            None => assert!(cell["rank"].is_null(), "{cell}"),
        }
    }
    assert!(expected.values().filter(|(_, _, waiting)| *waiting > 0).count() >= 3, "{expected:?}");
    assert_eq!(matrix["apart"]["no_persona"], json!({ "leads": apart, "waiting": apart_waiting }));
    let ranks: Vec<f64> =
        matrix["gaps"].as_array().unwrap().iter().map(|gap| gap["rank"].as_f64().unwrap()).collect();
    assert!(ranks.is_sorted_by(|a, b| a >= b) && !ranks.is_empty());
    assert_eq!(matrix["gaps"][0]["missing_topics"].as_array().unwrap().last().unwrap()["topic"], "safety");

    // Divided by language, every lead is still counted once.
    let divided = house.get("/v1/content/matrix?by=language").await;
    let sum = |matrix: &Value, name: &str| {
        matrix["cells"].as_array().unwrap().iter().map(|cell| cell[name].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(
        (sum(&divided, "leads"), sum(&divided, "waiting")),
        (sum(&matrix, "leads"), sum(&matrix, "waiting"))
    );
    let page = house.call(Role::Sales, "GET", "/v1/content/matrix", "text/html", None).await;
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let page = page.text();
    assert!(
        page.contains("plant_manager") && !page.contains("http://") && !page.contains("https://"),
        "{page}"
    );
    let csv = house.call(Role::Sales, "GET", "/v1/content/matrix", "text/csv", None).await.text();
    assert_eq!(csv.lines().count(), 9);
}

#[tokio::test]
async fn what_people_write_is_no_markup_on_the_page() {
    let house = House::on_memory().await;
    let mut document = document();
    document["personas"][0]["name"] = json!("<script>alert(1)</script> & co");
    testkit::builders::agree(&document, &house.insights.playbooks).await;
    let page = house.call(Role::Sales, "GET", "/v1/content/matrix", "text/html", None).await.text();
    assert!(
        page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; co") && !page.contains("<script"),
        "{page}"
    );
}

#[tokio::test]
async fn a_report_whose_worker_stops_or_whose_store_fails_goes_on_and_ends_with_the_same_figures() {
    let mut house = House::on_memory().await;
    catalog(&house).await;
    let stories = told(&house, 250, 3).await;
    let expected = recount(&stories, Timestamp::EARLIEST, house.clock.now());
    assert_eq!(reported(&house.get("/v1/reports/content").await), expected);
    // Now nobody waits, and each call stops after its first page.
    (house.insights.answer_within, house.insights.work_for) = (Duration::ZERO, Duration::ZERO);
    let first = house.call(Role::Marketing, "GET", "/v1/reports/content", "application/json", None).await;
    assert_eq!(first.status, 202, "{}", first.text());
    let id = first.json()["job"].as_str().unwrap().to_owned();
    let mut calls = 0;
    let (mut failed, mut pages) = (0, BTreeSet::new());
    loop {
        let job = house.insights.jobs.get(&id).await.unwrap().unwrap();
        if job.status == JobStatus::Done {
            break;
        }
        pages.insert(job.state.pointer("/progress/leads").and_then(Value::as_u64));
        // A few workers find a store that gives up in the middle of a page, and one dies with the job in its hands.
        if [1, 3, 4].contains(&calls) {
            house.failures.on_call(6, Failure::Throttled);
        }
        if calls == 6 {
            assert!(house.insights.jobs.take(&id).await.unwrap().is_some());
            house.clock.set(house.clock.now().plus(adapters::jobs::LEASE_MS));
        }
        failed += usize::from(insights::run_job(&house.insights, &id).await.is_err());
        house.failures.take_calls();
        calls += 1;
        assert!(calls < 50, "it gets somewhere with each call that does not fail");
    }
    assert!(failed == 3 && pages.len() > 2, "{failed} calls failed, it stood at {pages:?}");
    assert_eq!(reported(&house.get("/v1/reports/content").await), expected);
}

/// Gives the sums of each piece in a recount, over all personas and phases.
fn by_piece(cells: &BTreeMap<(String, Option<String>, String), Figures>) -> BTreeMap<String, Figures> {
    let mut pieces: BTreeMap<String, Figures> = BTreeMap::new();
    for ((piece, ..), figures) in cells {
        let sums = pieces.entry(piece.clone()).or_default();
        sums.iter_mut().zip(figures).for_each(|(sum, more)| *sum += more);
    }
    pieces
}

/// Gives the sums of each piece on a day of the trend.
fn kept_of(day: &Value) -> BTreeMap<String, Figures> {
    let rows = day["rows"].as_array().unwrap().iter();
    rows.map(|row| (row["content"].as_str().unwrap().to_owned(), figures(row))).collect()
}

async fn daily(house: &House) -> Result<Value, StoreError> {
    let asked = json!({ "action": "watch_content" });
    insights::scheduled(&house.insights, &asked).await.map(Option::unwrap)
}

#[tokio::test]
async fn the_trend_of_content_is_what_the_report_said_in_each_night_as_an_independent_recount_has_it() {
    let dynamo = Dynamo::start().await;
    let house = House::over(dynamo.leads(), Arc::new(dynamo.catalog())).await;
    catalog(&house).await;
    let stories = told(&house, 60, 21).await;
    daily(&house).await.unwrap();
    let report = house.get("/v1/reports/content").await;
    let trend = house.get("/v1/reports/content/trend").await;
    let first = &trend["items"][0];
    assert_eq!(
        (&first["day"], &first["as_of"], &first["rows_left_out"]),
        (&json!("2026-11-21"), &json!(NOON), &json!(0))
    );
    assert_eq!(kept_of(first), by_piece(&recount(&stories, Timestamp::EARLIEST, house.clock.now())));
    for name in ["as_of", "playbook_version", "unknown", "left_out"] {
        assert_eq!(first[name], report[name], "{name}");
    }
    // A row is the report's without its parts and what the catalog says of it, in the same order.
    let mut expected = report["rows"].as_array().unwrap().clone();
    for row in &mut expected {
        row.as_object_mut()
            .unwrap()
            .retain(|name, _| !["of", "title", "kind", "cells"].contains(&name.as_str()));
    }
    expected.retain(|row| figures(row) != [0; 12]);
    assert_eq!(first["rows"].as_array(), Some(&expected));

    // One night nobody calls; in the next, what happened since counts as well.
    house.clock.set(house.clock.now().plus(2 * DAY_MS));
    let late = Story { had: vec![(time("2026-11-23T08:00:00Z"), "film", "email_sent")], ..plain() };
    tell(&house, &late).await;
    daily(&house).await.unwrap();
    let trend = house.get("/v1/reports/content/trend?from=2026-11-21").await;
    let second = &trend["items"][1];
    assert_eq!((&second["day"], &trend["missing"]), (&json!("2026-11-23"), &json!(["2026-11-22"])));
    assert_eq!(trend["items"][0], *first);
    assert_eq!(kept_of(second)["film"][1], kept_of(first)["film"][1] + 1);
    assert_eq!(kept_of(second), by_piece(&reported(&house.get("/v1/reports/content").await)));
    let film = house.get("/v1/reports/content/trend?row=film").await;
    let rows = film["items"].as_array().unwrap().iter().map(|day| day["rows"].as_array().unwrap());
    assert!(
        rows.clone().count() == 2 && rows.clone().all(|rows| rows.len() == 1 && rows[0]["content"] == "film")
    );
    let path = "/v1/reports/content/trend?row=film";
    let csv = house.call(Role::Sales, "GET", path, "text/csv", None).await.text();
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("day,content,leads,sent,opened,"), "{csv}");
    let [leads, sent, ..] = kept_of(second)["film"];
    assert!(lines.len() == 3 && lines[2].starts_with(&format!("2026-11-23,film,{leads},{sent},")), "{csv}");
}

#[tokio::test]
async fn a_daily_count_that_older_code_began_ends_and_keeps_no_day() {
    let house = House::on_memory().await;
    catalog(&house).await;
    let asked = json!({ "report": "content", "watch": true });
    house.insights.jobs.add("report-content-2026-11-22", JobKind::Report, &asked).await.unwrap();
    insights::run_job(&house.insights, "report-content-2026-11-22").await.unwrap();
    let job = house.insights.jobs.get("report-content-2026-11-22").await.unwrap().unwrap();
    assert_eq!(job.status, JobStatus::Done);
    let trend = house.get("/v1/reports/content/trend?from=2026-11-21").await;
    assert_eq!((&trend["items"], &trend["missing"]), (&json!([]), &json!(["2026-11-21"])));
    daily(&house).await.unwrap();
    let trend = house.get("/v1/reports/content/trend?from=2026-11-21").await;
    assert_eq!((&trend["items"][0]["day"], &trend["missing"]), (&json!("2026-11-21"), &json!([])));
}

#[tokio::test]
async fn a_night_of_figures_is_one_transaction_of_the_database() {
    let dynamo = Dynamo::start().await;
    let house = House::over(dynamo.leads(), Arc::new(dynamo.catalog())).await;
    told(&house, 40, 22).await;
    insights::scheduled(&house.insights, &json!({ "action": "keep_figures" })).await.unwrap();
    let mut report = house.get("/v1/reports/personas").await;
    let trend = house.get("/v1/reports/personas/trend").await;
    let more = [("day".to_owned(), json!("2026-11-21")), ("rows_left_out".to_owned(), json!(0))];
    report.as_object_mut().unwrap().extend(more);
    assert_eq!(trend["items"], json!([report]));
    let promises = house.get("/v1/reports/promises/trend?basis=cohort").await;
    assert_eq!(promises["items"][0]["sales"]["rows"], json!([]), "nobody was handed over");
}

#[tokio::test]
async fn a_daily_count_that_dies_at_any_step_and_is_taken_up_again_keeps_one_right_record_of_its_day() {
    let mut survived = BTreeSet::new();
    let mut expected = None;
    for failure in [Failure::Hangs, Failure::Throttled, Failure::TimedOutAfterWrite, Failure::Conflict] {
        for step in 1.. {
            let mut house = House::on_memory().await;
            catalog(&house).await;
            let stories = told(&house, 12, 9).await;
            let expected = expected
                .get_or_insert_with(|| by_piece(&recount(&stories, Timestamp::EARLIEST, house.clock.now())));
            // What is read, and what is written of jobs and figures, fails in one order.
            let catalog = Arc::clone(&house.insights.catalog);
            let failing: Arc<dyn Catalog> =
                Arc::new(FailingCatalog::new(Arc::clone(&catalog), house.failures.clone()));
            house.insights.jobs = Jobs::new(Arc::clone(&failing), Arc::clone(&house.clock) as _);
            house.insights.catalog = failing;
            // Each call stops after its first page, and the next one goes on.
            house.insights.work_for = Duration::ZERO;
            house.failures.take_calls();
            house.failures.on_call(step, failure);
            let mut met = false;
            let mut calls = 0;
            let id = "report-content-of-2026-11-21";
            loop {
                let call = async { daily(&house).await.is_err() };
                let died = tokio::select! {
                    biased;
                    failed = call => failed,
                    () = house.failures.hung() => true,
                };
                met |= died;
                let found = catalog.list(CatalogKind::Report, 10, None).await.unwrap().items;
                let done = catalog.get(CatalogKind::Job, id).await.unwrap();
                let done = done.is_some_and(|job| job.body["status"] == "done");
                assert_eq!(found.len(), usize::from(done), "kept with its end: {failure:?} at {step}");
                if done && !died {
                    break;
                }
                if died {
                    house.failures.take_calls();
                }
                // Whoever died holds the job until its lease ends.
                house.clock.set(house.clock.now().plus(adapters::jobs::LEASE_MS));
                calls += 1;
                assert!(calls < 20, "{failure:?} at {step}");
            }
            let steps = house.failures.take_calls().len();
            let trend = house.get("/v1/reports/content/trend").await;
            let day = &trend["items"][0];
            assert_eq!(trend["items"].as_array().map(Vec::len), Some(1), "{failure:?} at {step}");
            assert_eq!(day["day"], json!("2026-11-21"), "{failure:?} at {step}");
            assert_eq!(kept_of(day), *expected, "{failure:?} at {step}");
            if !met && step > steps {
                break;
            }
            if met {
                survived.insert((format!("{failure:?}"), step));
            }
        }
    }
    assert!(survived.len() > 60, "{} steps failed", survived.len());
}

#[tokio::test]
async fn the_daily_count_is_what_the_next_choice_goes_by() {
    let house = House::on_memory().await;
    catalog(&house).await;
    let stories = told(&house, 150, 5).await;
    let plain = plain();
    tell(&house, &plain).await;
    let reference = email(&plain.who);
    let lead = house.insights.leads.owners(&[reference]).await.unwrap().pop().unwrap().1;
    let path = format!("/v1/leads/{lead}/next-content");
    let before = house.get(&path).await;
    assert!(before["results_as_of"].is_null() && before["content"]["had_by"] == 0, "{before}");
    let watched =
        insights::scheduled(&house.insights, &json!({ "action": "watch_content" })).await.unwrap().unwrap();
    assert!(watched["job"].as_str().unwrap().starts_with("report-content-of-2026-11-21"));
    insights::scheduled(&house.insights, &json!({ "action": "watch_content" })).await.unwrap();
    let after = house.get(&path).await;
    assert_eq!(after["results_as_of"], json!(NOON));
    let expected = recount(&stories, Timestamp::EARLIEST, house.clock.now());
    let offered: Vec<&Value> =
        std::iter::once(&after["content"]).chain(after["runners_up"].as_array().unwrap()).collect();
    let mut ids: Vec<&str> = offered.iter().map(|piece| piece["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["film", "paper"], "{after}");
    for piece in &offered {
        let key = (
            piece["id"].as_str().unwrap().to_owned(),
            Some("plant_manager".to_owned()),
            "awareness".to_owned(),
        );
        let [leads, _, _, _, _, judged, _, succeeded, .., told] = expected[&key];
        assert_eq!(
            (&piece["had_by"], &piece["tries"], &piece["judged"], &piece["succeeded"]),
            (&json!(leads), &json!(leads - told), &json!(judged), &json!(succeeded))
        );
    }
    assert_eq!(after["left_out"]["expired"], 1);
    assert_eq!(after, house.get(&path).await, "the same answer all day");

    // Whoever had all that fits is told what is missing, and whose language nobody reads has a gap.
    let had =
        delivered("all", house.clock.now(), Fact::Activity(activity("email_sent", &[("content", "film")])));
    let paper =
        delivered("too", house.clock.now(), Fact::Activity(activity("email_sent", &[("content", "paper")])));
    let about = About::Anybody(vec![email(&plain.who)]);
    house.write_path.record(&about, &[had, paper]).await.unwrap();
    let none = house.get(&path).await;
    assert!(none["content"].is_null() && none["turn"].is_null());
    assert!(none["because"].as_str().unwrap().starts_with("nothing fits: 1 expired, "), "{none}");
    assert_eq!(none["left_out"]["had_before"], 2);
    assert_eq!(none["gap"]["missing_topics"][0]["topic"], "safety");
}

#[tokio::test]
async fn two_editors_do_not_overwrite_each_other_and_a_repeat_changes_nothing() {
    let house = House::on_memory().await;
    let piece = json!({ "title": "Savings", "url": "https://www.company.example/savings", "kind": "whitepaper",
        "personas": ["it_lead"], "phases": "awareness", "topics": ["safety"], "language": "EN-gb" });
    let created = house.put("savings", &piece).await;
    assert_eq!((created.status, &created.json()["version"]), (201, &json!(1)), "{}", created.text());
    assert_eq!(created.json()["language"], "en-GB");
    let again = house.put("savings", &piece).await;
    assert_eq!((again.status, &again.json()["status"]), (200, &json!("unchanged")));
    // Both read version 1; the second who writes hears of the first.
    let read = house.get("/v1/content/savings").await;
    let (mut one, mut two) = (read.clone(), read);
    one["title"] = json!("Savings in the plant");
    two["valid_until"] = json!("2026-12-31");
    let first = house.put("savings", &one).await;
    assert_eq!((first.status, &first.json()["version"]), (200, &json!(2)), "{}", first.text());
    assert_eq!(house.put("savings", &two).await.status, 409);
    two.as_object_mut().unwrap().remove("version");
    assert_eq!(house.put("savings", &two).await.status, 409, "silence is no leave to overwrite");
    assert_eq!(house.get("/v1/content/savings").await["title"], "Savings in the plant");
    two["version"] = json!(2);
    two["title"] = json!("Savings in the plant");
    assert_eq!(house.put("savings", &two).await.json()["valid_until"], "2026-12-31");

    assert_eq!(
        house
            .get("/v1/content?persona=it_lead&language=en&topic=safety&kind=whitepaper&valid_on=2026-12-31")
            .await["items"][0]["id"],
        "savings"
    );
    for none in [
        "persona=plant_manager",
        "language=de",
        "topic=pricing",
        "kind=video",
        "valid_on=2027-01-01",
        "phase=decision",
    ] {
        assert_eq!(house.get(&format!("/v1/content?{none}")).await["items"], json!([]), "{none}");
    }
    let gone = house.call(Role::Marketing, "DELETE", "/v1/content/savings", "*/*", None).await;
    assert_eq!(gone.status, 204);
    assert_eq!(house.put("savings", &two).await.status, 409, "it is not there any more");
    assert_eq!(house.call(Role::Marketing, "DELETE", "/v1/content/savings", "*/*", None).await.status, 404);
}

#[tokio::test]
async fn every_fault_of_a_piece_is_named() {
    let house = House::on_memory().await;
    let wrong = json!({ "title": "", "url": "//evil.example", "kind": "leaflet", "personas": ["it_lead", "poet"],
        "phases": ["awareness", "later"], "topics": ["cats"], "language": "klingonisch", "valid_from": "2027-01-02",
        "valid_until": "2027-01-01", "colour": 1, "id": "other", "version": 0 });
    let pointers = [
        "/colour",
        "/id",
        "/kind",
        "/language",
        "/personas/1",
        "/phases/1",
        "/title",
        "/topics/0",
        "/url",
        "/valid_until",
        "/version",
    ];
    let answer = house.put("savings", &wrong).await;
    assert_eq!(
        (answer.status, answer.pointers()),
        (422, pointers.map(String::from).to_vec()),
        "{}",
        answer.text()
    );
    for url in [
        "javascript:alert(1)",
        "http://x.example",
        "https://",
        "https://a@b.example/",
        "/a b",
        "\\x",
        "/\"><b>",
    ] {
        let piece = json!({ "title": "x", "url": url, "kind": "other" });
        assert_eq!(house.put("x", &piece).await.pointers(), ["/url"], "{url}");
    }
    assert_eq!(house.put("No%20Id", &json!({})).await.status, 422);
}

#[tokio::test]
async fn a_filtered_list_gives_every_piece_once_over_its_pages() {
    let house = House::on_memory().await;
    for n in 0..30 {
        let kind = if n % 3 == 0 { "video" } else { "article" };
        let piece = json!({ "title": "x", "url": "/x", "kind": kind });
        assert_eq!(house.put(&format!("p{n:02}"), &piece).await.status, 201);
    }
    let (mut got, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = house.get(&format!("/v1/content?kind=video&limit=4{cursor}")).await;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 4);
        got.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<String> = (0..30).step_by(3).map(|n| format!("p{n:02}")).collect();
    assert_eq!(got, expected);
    let answer = house.call(Role::Sales, "GET", "/v1/content?cursor=nonsense", "*/*", None).await;
    assert_eq!((answer.status, answer.pointers()), (422, vec!["/cursor".to_owned()]));
}

#[tokio::test]
async fn every_fault_of_a_list_is_named_at_once() {
    let house = House::on_memory().await;
    let wrong =
        "limit=201&persona=No%20Id&phase=later&topic=%2F&language=klingonisch&kind=leaflet&valid_on=today";
    let answer = house.call(Role::Sales, "GET", &format!("/v1/content?{wrong}"), "*/*", None).await;
    let pointers = ["/kind", "/language", "/limit", "/persona", "/phase", "/topic", "/valid_on"];
    assert_eq!(
        (answer.status, answer.pointers()),
        (422, pointers.map(String::from).to_vec()),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn who_asks_for_the_next_content_or_a_card_waits_no_longer_than_for_a_report() {
    let kept = Arc::new(MemoryCatalog::new());
    let mut house = House::over(MemoryLeadStore::new(), Arc::clone(&kept) as _).await;
    catalog(&house).await;
    let mut plain = story(1, &mut Draw(1));
    (plain.job, plain.had) = ("poet", vec![(plain.captured, "film", "email_sent")]);
    tell(&house, &plain).await;
    let lead = house.insights.leads.owners(&[email(&plain.who)]).await.unwrap().pop().unwrap().1;
    let paths = [format!("/v1/leads/{lead}/next-content"), "/v1/personas/it_lead".to_owned()];
    let failures = Failures::none();
    house.insights.catalog = Arc::new(FailingCatalog::new(kept, failures.clone()));
    let sound = house.get(&paths[0]).await;
    assert!(sound["content"].is_null() && sound["gap"].is_object(), "{sound}");
    let reads = failures.take_calls().len();
    assert_eq!(reads, 3, "the content, what it did, and what people search for");
    house.get(&paths[1]).await;
    assert_eq!(failures.take_calls().len(), 1, "the evidence of the persona");
    house.insights.answer_within = Duration::from_millis(500);
    for (path, hangs) in [(&paths[0], 1), (&paths[0], 2), (&paths[0], 3), (&paths[1], 1)] {
        failures.on_call(hangs, Failure::Hangs);
        let answer = house.call(Role::Sales, "GET", path, "application/json", None).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "2"), "{path}: {}", answer.text());
        failures.take_calls();
    }
}
