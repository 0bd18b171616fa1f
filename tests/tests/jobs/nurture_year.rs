//! A year of nurturing through the real functions: forms, ticks, mails, links, what the mail service tells, sales, reports;
//! on the embedded database, with the real SDK, and a clock that is set. Afterwards everything that must never happen is looked
//! for in the timelines alone, with rules written down here once more, and the figures of the report are recounted from them.
//!
//! Leads live in eight time zones, on both halves of the earth and on both sides of the days on which clocks change. The
//! scheduler is not punctual: some days it stands still for hours, also into the night. Of ten ticks one meets a fault: its worker
//! dies, or the database or the mail server says nothing, or nothing of use, at some call. What people do is drawn from a seed;
//! who is held out hangs on the ids of leads, which are new each time, so no two runs are the same year.
//!
//! By default so few leads live that it takes less than a minute unoptimised. `LEADLOOP_YEAR_LEADS=5000` lets more of them live;
//! use `--release` for that many.

use adapters::clock::{Clock, SetClock};
use adapters::dynamodb::DynamoLeadStore;
use adapters::http::Role;
use adapters::mail::{Mailbox, Message};
use adapters::ports::{Catalog, Direction, LeadLists, Timeline};
use domain::activity::Activity;
use domain::attribute::{AttributeName, AttributeValue};
use domain::change::nurture::{MAIL, NURTURE};
use domain::change::{Effect, Entry, Fact};
use domain::consent::{ConsentStatus, Purpose};
use domain::identity::{Email, LeadId};
use domain::lead::Lead;
use domain::stage::{Stage, Team};
use domain::time::{DAY_MS, Day, HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use testkit::builders::{activate, starter_playbook, time};
use testkit::{Dynamo, FailingLeadStore, FailingMailer, Failure, Failures, MemoryMailer, RoleTokens};
use tests::Api;

const START: &str = "2026-03-02T06:00:00Z";
const DAYS: i64 = 365;
const BASE: &str = "https://leads.company.example/live";
/// How many leads live where nobody says otherwise.
const LEADS: usize = 60;

/// Where leads live: the country that their form says, its zones, and how many of a hundred.
const PLACES: [(&str, &[&str], u64); 7] = [
    ("AT", &["Europe/Vienna"], 25),
    ("DE", &["Europe/Berlin"], 20),
    ("GB", &["Europe/London"], 15),
    ("US", &["America/New_York", "America/Los_Angeles"], 20),
    ("JP", &["Asia/Tokyo"], 8),
    ("NZ", &["Pacific/Auckland"], 7),
    ("ZA", &["Africa/Johannesburg"], 5),
];
/// In these a ticked box is enough; elsewhere somebody is asked by mail.
const SINGLE_OPT_IN: [&str; 4] = ["AT", "GB", "US", "NZ"];
const HOLIDAYS: [&str; 6] =
    ["2026-04-06", "2026-05-01", "2026-07-03", "2026-11-26", "2026-12-25", "2027-01-01"];
const MOST_PER_WEEK: usize = 2;
const AFTER_MAILS: usize = 5;
/// From when until when mails go, on weekdays, in the hours of the lead; on Fridays less long.
const HOURS: [(i8, i8); 5] = [(8, 18), (8, 18), (8, 18), (8, 18), (8, 16)];

/// Of each program: how far apart its mails are in days, whose leads it is for, and which share it holds out.
const PROGRAMS: [(&str, i64, Team, u8); 4] = [
    ("sales_said_later", 6, Team::Marketing, 0),
    ("course", 4, Team::Marketing, 30),
    ("warm_up", 5, Team::Marketing, 20),
    ("customers", 20, Team::Sales, 10),
];
const COURSE: [&str; 3] = ["lesson-1", "lesson-2", "lesson-3"];

/// The starter playbook with programs at a pace at which a year shows something.
fn playbook() -> Value {
    let mut playbook = starter_playbook();
    playbook["nurture"] = json!({
        "postal_address": "Company GmbH, 1010 Wien", "site": "https://www.company.example",
        "hours": {"monday": "08:00-18:00", "tuesday": "08:00-18:00", "wednesday": "08:00-18:00",
            "thursday": "08:00-18:00", "friday": "08:00-16:00"},
        "holidays": HOLIDAYS, "most_per_week": MOST_PER_WEEK, "track_opens": "always",
        "sunset": {"after_mails": AFTER_MAILS, "wait_days": 14},
    });
    let of = |id: &str| PROGRAMS.iter().find(|(known, ..)| *known == id).unwrap();
    let program = |id: &str, more: Value| {
        let (_, gap, _, share) = of(id);
        let mut program = json!({"id": id, "gap_days": gap, "holdout_percent": share});
        program.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        program
    };
    playbook["programs"] = json!([
        program(
            "sales_said_later",
            json!({"priority": 10, "audience": {"stage": "nurturing"},
            "given_back_for": ["budget", "timing", "deciding"], "again_after_days": 30})
        ),
        program(
            "course",
            json!({"priority": 20, "audience": {"attribute": "job_title", "contains": "plant"},
            "content": COURSE, "exhausted": "move_on"})
        ),
        program(
            "warm_up",
            json!({"audience": {"stage": ["inquiry", "nurturing"]}, "exhausted": "tell",
            "again_after_days": 60})
        ),
        program(
            "customers",
            json!({"for": "customer", "audience": {"stage": "customer"},
            "first_after_days": 5})
        ),
    ]);
    playbook["consent"] = json!({ "single_opt_in": SINGLE_OPT_IN });
    let forms = playbook["forms"].as_array_mut().unwrap();
    let form = forms.iter_mut().find(|form| form["id"] == "whitepaper").unwrap();
    form["fields"]["timezone"] = json!("attributes.timezone");
    form["fields"]["company_size"] = json!("attributes.company_size");
    playbook
}

/// Numbers that look random and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn in_a_hundred(&mut self, of: u64) -> bool {
        self.below(100) < of
    }

    fn hours(&mut self, most: u64) -> i64 {
        (1 + self.below(most * 60)) as i64 * MINUTE_MS
    }
}

/// What fails: nobody answers any more, the answer gets lost, nothing is done.
const FAULTS: [Failure; 3] = [Failure::Hangs, Failure::TimedOutAfterWrite, Failure::Throttled];

/// What somebody does, or what happens to them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    /// Fills in a form.
    Comes(usize),
    /// Looks at a page, or asks to be contacted.
    Does(usize, &'static str),
    /// Follows a link of a mail, or loads its pixel.
    Follows(String),
    /// A machine looks at two links at once.
    Scans(String, String),
    /// Presses the button of a page, with these words.
    Presses(String, &'static str),
    /// The mail service tells something of a mail.
    Told(String),
    /// Sales reports something of a lead.
    Sales(LeadId, String),
}

struct Year {
    clock: Arc<SetClock>,
    chance: Chance,
    agenda: BinaryHeap<Reverse<(Timestamp, u64, Act)>>,
    planned: u64,
    mailer: Arc<MemoryMailer>,
    mails: Vec<Message>,
    tokens: RoleTokens,
    api: Api,
    store: DynamoLeadStore,
    nurture: nurture::App,
    rescore: rescore::App,
    /// Leads that sales has dealt with in the cycle of this number.
    dealt_with: BTreeMap<LeadId, u32>,
    ticks: u32,
    /// What fails of what ticks ask for.
    failures: Failures,
    /// How many ticks died, and of how many mails nobody knows whether they went out.
    died: u32,
    unknown: u64,
    /// How often each fault was met.
    met: [u32; FAULTS.len()],
    _dynamo: Dynamo,
}

impl Year {
    async fn new(leads: usize) -> Self {
        let dynamo = Dynamo::start().await;
        let clock = Arc::new(SetClock::at(time(START)));
        let shown: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let catalog: Arc<dyn Catalog> = Arc::new(dynamo.catalog());
        activate(&playbook(), Arc::clone(&catalog), Arc::clone(&shown)).await;
        let tokens = RoleTokens::create(Arc::clone(&catalog), Arc::clone(&shown)).await.unwrap();
        let mailer = Arc::new(MemoryMailer::new());
        let from = Mailbox {
            name: Some("Company".to_owned()),
            email: Email::parse("hello@company.example").unwrap(),
        };
        let store = Arc::new(dynamo.leads());
        let failures = Failures::none();
        let failing = FailingMailer::new(Arc::clone(&mailer), failures.clone());
        let post = nurture::Post::new(Arc::new(failing), from, BASE);
        let failing = Arc::new(FailingLeadStore::new(Arc::clone(&store), failures.clone()));
        let mut nurture = nurture::App::new(failing, Arc::clone(&catalog), Some(post), Arc::clone(&shown));
        nurture.rate = Arc::new(nurture::rate::Rate::new(0));
        nurture.work_for = std::time::Duration::from_secs(600);
        let rescore =
            rescore::App::on_one_machine(Arc::clone(&store), Arc::clone(&catalog), Arc::clone(&shown));
        let api = Api::over(&store, &catalog, &shown);
        let mut year = Self {
            clock,
            chance: Chance(2_026),
            agenda: BinaryHeap::new(),
            planned: 0,
            mailer,
            mails: Vec::new(),
            tokens,
            api,
            store: dynamo.leads(),
            nurture,
            rescore,
            dealt_with: BTreeMap::new(),
            ticks: 0,
            failures,
            died: 0,
            unknown: 0,
            met: [0; FAULTS.len()],
            _dynamo: dynamo,
        };
        year.content().await;
        for n in 0..leads {
            // Half of them come in the first weeks, so that a year is long for many.
            let days = if n % 2 == 0 { 30 } else { 300 };
            let at = time(START).plus(year.chance.below(days * 24 * 60) as i64 * MINUTE_MS);
            year.plan(at, Act::Comes(n));
            for _ in 0..year.chance.below(5) {
                let path = ["/pricing", "/products/one", "/about"][year.chance.below(3) as usize];
                let later = at.plus(DAY_MS + year.chance.below(250 * 24) as i64 * HOUR_MS);
                year.plan(later, Act::Does(n, path));
            }
            if year.chance.in_a_hundred(12) {
                let later = at.plus(DAY_MS + year.chance.below(200 * 24) as i64 * HOUR_MS);
                year.plan(later, Act::Does(n, "contact_requested"));
            }
        }
        year
    }

    async fn content(&self) {
        let mut pieces: Vec<(String, Value)> =
            COURSE.map(|id| (id.to_owned(), json!({"personas": []}))).into();
        for n in 0..9 {
            pieces
                .push((format!("paper-{n}"), json!({"phases": ["awareness", "consideration", "decision"]})));
        }
        for n in 0..3 {
            pieces.push((format!("how-to-{n}"), json!({"phases": ["customer"]})));
        }
        for (id, more) in pieces {
            let mut piece =
                json!({"title": format!("About {id}"), "url": format!("/papers/{id}"), "kind": "guide"});
            piece.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let call = self.api.call("PUT", &format!("/v1/content/{id}"));
            call.token(self.tokens.of(Role::Marketing)).json(&piece).expect(201).await;
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn plan(&mut self, at: Timestamp, act: Act) {
        self.planned += 1;
        self.agenda.push(Reverse((at, self.planned, act)));
    }

    fn soon(&mut self, hours: u64, act: Act) {
        let at = self.now().plus(self.chance.hours(hours));
        self.plan(at, act);
    }

    /// Lets the year pass, day by day: at the beginning of each it is read when which lead is due, so that ticks in which
    /// nothing would happen need not be made.
    #[allow(clippy::print_stdout, reason = "long work shows progress")]
    async fn pass(&mut self) {
        let start = time(START);
        for day in 0..DAYS {
            if day % 30 == 0 {
                println!("day {day} of {DAYS}: {} mails so far", self.mails.len());
            }
            let midnight = start.plus(day * DAY_MS);
            self.until(midnight).await;
            let mut due = self.look().await;
            due.retain(|at| *at < midnight.plus(DAY_MS));
            // Rounded up to the next half an hour; what is overdue, at once.
            let slot = |at: Timestamp| {
                let half = 30 * MINUTE_MS;
                Timestamp::from_millis((at.millis() + half - 1).div_euclid(half) * half)
            };
            let mut slots: BTreeSet<Timestamp> = due.into_iter().map(|at| slot(at.max(midnight))).collect();
            // Some days the scheduler stands still, and what was due is late, in the night of most.
            if self.chance.in_a_hundred(20) {
                let from = midnight.plus(self.chance.below(12) as i64 * HOUR_MS);
                let until = midnight.plus(17 * HOUR_MS + self.chance.hours(10));
                let held: Vec<Timestamp> =
                    slots.iter().copied().filter(|at| (from..until).contains(at)).collect();
                if !held.is_empty() {
                    slots.retain(|at| !held.contains(at));
                    slots.insert(until);
                }
            }
            while let Some(at) = slots.pop_first() {
                self.until(at).await;
                if !self.mail().await {
                    slots.insert(at.plus(30 * MINUTE_MS));
                }
            }
        }
        self.until(start.plus(DAYS * DAY_MS)).await;
    }

    /// Lets people act until a moment.
    async fn until(&mut self, at: Timestamp) {
        while self.agenda.peek().is_some_and(|Reverse((next, ..))| *next <= at) {
            let Some(Reverse((next, _, act))) = self.agenda.pop() else { return };
            self.clock.set(next.max(self.now()));
            self.act(act).await;
        }
        self.clock.set(at.max(self.now()));
    }

    /// Reads when which lead's mail is due, lets time change what it changes, and lets sales deal with the leads that it has.
    async fn look(&mut self) -> Vec<Timestamp> {
        let mut due = Vec::new();
        let mut handed = Vec::new();
        let (now, mut changes) = (self.now(), false);
        for lead in leads(&self.store).await {
            due.extend(lead.nurture.next_at);
            changes |= lead.due_at.is_some_and(|at| at <= now && lead.nurture.next_at != Some(at));
            if lead.stage == Stage::MarketingQualified {
                handed.push((lead.id.clone(), lead.cycle));
            }
        }
        if changes {
            rescore::handle(&self.rescore, json!({ "action": "due" })).await.unwrap();
        }
        for (id, cycle) in handed {
            if self.dealt_with.insert(id.clone(), cycle) != Some(cycle) {
                self.deal_with(&id);
            }
        }
        due
    }

    fn deal_with(&mut self, id: &LeadId) {
        let now = self.now();
        let sales = |what: Value| Act::Sales(id.clone(), what.to_string());
        self.plan(now.plus(5 * HOUR_MS), sales(json!({"kind": "accepted"})));
        let decided = now.plus((2 + self.chance.below(10) as i64) * DAY_MS);
        let euros = 500 + self.chance.below(20_000);
        let reason = ["budget", "timing"][self.chance.below(2) as usize];
        let what = match self.chance.below(10) {
            0..=3 => json!({"kind": "not_ready", "reason": reason,
                "not_before": decided.plus(20 * DAY_MS).day().to_string()}),
            4..=7 => json!({"kind": "won", "deal": {"system": "crm", "id": format!("{id}-{}", now.millis())},
                "amount": {"amount": format!("{euros}.00"), "currency": "EUR"}}),
            _ => json!({"kind": "disqualified", "reason": "not_a_buyer"}),
        };
        self.plan(decided, sales(what));
    }

    /// Lets a tick send what is due, perhaps with something that fails; tells whether all went well.
    async fn mail(&mut self) -> bool {
        self.ticks += 1;
        let fault = self.chance.in_a_hundred(10).then(|| {
            // The first calls ask what is due; there are as many as partitions.
            (self.chance.below(3) as usize, 1 + self.chance.below(60) as usize)
        });
        if let Some((failure, at)) = fault {
            self.failures.on_call(at, FAULTS[failure]);
        }
        let event = json!({ "action": "due" });
        let told = tokio::select! {
            told = nurture::handle(&self.nurture, &event) => Some(told),
            () = self.failures.hung() => None,
        };
        let calls = self.failures.take_calls().len();
        if let Some((failure, _)) = fault.filter(|(_, at)| *at <= calls) {
            self.met[failure] += 1;
        }
        for message in self.mailer.take() {
            self.receive(&message);
            self.mails.push(message);
        }
        let Some(told) = told else {
            self.died += 1;
            return false;
        };
        let Ok(told) = told else { return false };
        let told = told.unwrap();
        assert_eq!(told["failed"], 0, "{told}");
        self.unknown += told["unknown"].as_u64().unwrap();
        true
    }

    /// Lets somebody do something about a mail.
    fn receive(&mut self, message: &Message) {
        if let Some(confirm) = link(message, "y") {
            if self.chance.in_a_hundred(75) {
                self.soon(60, Act::Presses(confirm, "confirm=yes"));
            }
            return;
        }
        let (open, click) = (link(message, "o").unwrap(), link(message, "c"));
        let told = |kind: &str, more: Value| {
            let tags: serde_json::Map<String, Value> =
                message.tags.iter().map(|(name, value)| ((*name).to_owned(), json!([value]))).collect();
            let mut detail = json!({"eventType": kind, "mail": {"tags": tags}});
            detail.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            Act::Told(json!({"source": "aws.ses", "detail": detail}).to_string())
        };
        match self.chance.below(1_000) {
            0..15 => {
                let bounce = json!({"bounce": {"bounceType": "Permanent", "bounceSubType": "General"}});
                return self.soon(1, told("Bounce", bounce));
            }
            15..35 => {
                let bounce = json!({"bounce": {"bounceType": "Transient", "bounceSubType": "MailboxFull"}});
                return self.soon(1, told("Bounce", bounce));
            }
            35..43 => self.soon(30, told("Complaint", json!({"complaint": {}}))),
            _ => self.soon(1, told("Delivery", json!({"delivery": {}}))),
        }
        if self.chance.in_a_hundred(6) {
            self.soon(1, Act::Scans(open.clone(), click.clone().unwrap_or_else(|| open.clone())));
        }
        if self.chance.in_a_hundred(35) {
            self.soon(40, Act::Follows(open));
        }
        if let Some(click) = click.filter(|_| self.chance.in_a_hundred(14)) {
            self.soon(50, Act::Follows(click));
            let who = message.to.email.as_str();
            let n = who.trim_start_matches('p').split('@').next().and_then(|n| n.parse().ok()).unwrap();
            if self.chance.in_a_hundred(40) {
                self.soon(90, Act::Does(n, "/pricing"));
                self.soon(90, Act::Does(n, "/pricing"));
            }
        }
        if self.chance.in_a_hundred(2) {
            let unsubscribe = link(message, "u").unwrap();
            self.soon(70, Act::Presses(unsubscribe, "List-Unsubscribe=One-Click"));
        }
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Comes(n) => self.comes(n).await,
            Act::Does(n, what) => {
                let (kind, properties) = match what.strip_prefix('/') {
                    Some(_) => ("page_viewed", json!({ "path": what })),
                    None => (what, json!({})),
                };
                let did = json!({"lead": {"email": who(n)}, "kind": kind, "properties": properties});
                let call = self.api.call("POST", "/v1/activities");
                call.token(self.tokens.of(Role::Capture)).json(&did).expect(200).await;
            }
            Act::Follows(path) => {
                let answer = self.api.call("GET", &path).header("user-agent", BROWSER).send().await;
                assert!([200, 302].contains(&answer.status), "{path}: {}", answer.text());
            }
            Act::Scans(one, other) => {
                self.api.call("GET", &one).header("user-agent", "Barracuda Sentinel").send().await;
                self.clock.set(self.now().plus(SECOND_MS));
                self.api.call("HEAD", &other).header("user-agent", BROWSER).send().await;
            }
            Act::Presses(path, words) => {
                let call = self.api.call("POST", &path).body("application/x-www-form-urlencoded", words);
                call.expect(200).await;
            }
            Act::Told(event) => {
                let event: Value = serde_json::from_str(&event).unwrap();
                nurture::handle(&self.nurture, &event).await.unwrap().unwrap();
            }
            Act::Sales(id, body) => {
                let body: Value = serde_json::from_str(&body).unwrap();
                let call = self.api.call("POST", &format!("/v1/leads/{id}/feedback"));
                let answer = call.token(self.tokens.of(Role::Sales)).json(&body).send().await;
                assert!([200, 409].contains(&answer.status), "{body}: {}", answer.text());
                if self.chance.in_a_hundred(10) {
                    let until = self.now().plus(30 * DAY_MS).day().to_string();
                    let body = json!({"kind": "nurture_paused", "until": until});
                    let call = self.api.call("POST", &format!("/v1/leads/{id}/feedback"));
                    call.token(self.tokens.of(Role::Sales)).json(&body).expect(200).await;
                }
            }
        }
    }

    async fn comes(&mut self, n: usize) {
        let mut roll = self.chance.below(100);
        let (country, ..) = PLACES
            .into_iter()
            .find(|(.., of)| {
                let found = roll < *of;
                roll = roll.saturating_sub(*of);
                found
            })
            .unwrap();
        let job = ["plant manager", "clerk", "head of systems"][self.chance.below(3) as usize];
        let mut form = json!({
            "email": who(n), "full_name": format!("Person {n}"), "country": country, "submission_id": n.to_string(),
            "job_title": job,
            "company_size": (20 + self.chance.below(400)).to_string(),
        });
        if self.chance.in_a_hundred(85) {
            form["consent_marketing"] = true.into();
        }
        // Some say where they are, wherever their company is.
        if self.chance.in_a_hundred(10) {
            form["timezone"] = "Asia/Kolkata".into();
        }
        self.api.call("POST", "/v1/forms/whitepaper").json(&form).expect(202).await;
    }
}

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

fn who(n: usize) -> String {
    format!("p{n}@customer.example")
}

/// Finds the path of the first link of a kind in a mail's HTML.
fn link(message: &Message, kind: &str) -> Option<String> {
    let (_, rest) = message.html.split_once(&format!("{BASE}/t/{kind}/"))?;
    let token = rest.split(['"', '&', '\'', '<']).next()?;
    Some(format!("/t/{kind}/{token}"))
}

async fn leads(store: &DynamoLeadStore) -> Vec<Lead> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.scan(0, 1, cursor.as_deref()).await.unwrap();
        all.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return all;
        }
    }
}

async fn timeline(store: &DynamoLeadStore, id: &LeadId) -> Vec<Entry> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.entries(id, Direction::Forward, 200, cursor.as_deref()).await.unwrap();
        all.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            // As it became known, not as it is said to have happened.
            all.sort_by_key(|entry| entry.recorded_at);
            return all;
        }
    }
}

fn text<'a>(activity: &'a Activity, name: &str) -> Option<&'a str> {
    match activity.properties.get(name) {
        Some(AttributeValue::Text(text)) => Some(text),
        _ => None,
    }
}

fn number(activity: &Activity) -> u32 {
    match activity.properties.get("message") {
        Some(AttributeValue::Number(n)) => *n as u32,
        _ => panic!("{activity:?}"),
    }
}

/// Gives what entries tell of activities, in order.
fn activities(entries: &[Entry]) -> impl Iterator<Item = (&Entry, &Activity)> {
    entries.iter().filter_map(|entry| match &entry.fact {
        Fact::Activity(activity) => Some((entry, activity)),
        _ => None,
    })
}

/// A mail of a program, as the timeline has it.
#[derive(Clone, Debug)]
struct Sent {
    at: Timestamp,
    number: u32,
    program: String,
    content: String,
}

fn sent(entries: &[Entry]) -> Vec<Sent> {
    let sent = activities(entries).filter(|(entry, a)| a.kind == "email_sent" && entry.by == NURTURE);
    sent.filter_map(|(entry, activity)| {
        Some(Sent {
            at: entry.at,
            number: number(activity),
            program: text(activity, "program")?.to_owned(),
            content: text(activity, "content")?.to_owned(),
        })
    })
    .collect()
}

/// Gives the zones of a lead, by what its form said.
fn zones(entries: &[Entry]) -> Vec<TimeZone> {
    let said = |name: &str| {
        let name = AttributeName::parse(name).unwrap();
        entries.iter().find_map(|entry| match &entry.fact {
            Fact::Captured(capture) => match &capture.attributes.get(&name)?.value {
                AttributeValue::Text(text) => Some(text.clone()),
                _ => None,
            },
            _ => None,
        })
    };
    let country = said("country");
    let names: Vec<String> = match said("timezone") {
        Some(zone) => vec![zone],
        None => {
            let place = PLACES.into_iter().find(|(country_, ..)| Some(*country_) == country.as_deref());
            place.unwrap().1.iter().map(|zone| (*zone).to_owned()).collect()
        }
    };
    names.iter().map(|name| TimeZone::get(name).unwrap()).collect()
}

/// Says what is wrong with the moment of a mail for whoever lives in a zone.
fn quiet(at: Timestamp, zone: &TimeZone) -> Option<String> {
    let local = jiff::Timestamp::from_millisecond(at.millis()).unwrap().to_zoned(zone.clone());
    let day = local.weekday().to_monday_zero_offset() as usize;
    let Some((from, to)) = HOURS.get(day) else { return Some(format!("{local} is a weekend")) };
    if HOLIDAYS.contains(&local.date().to_string().as_str()) {
        return Some(format!("{local} is a holiday"));
    }
    (local.hour() < *from || local.hour() >= *to).then(|| format!("{local} is at night"))
}

/// Looks for all that must never happen to a lead, up to the end of the year.
fn broken(entries: &[Entry], end: Timestamp) -> Vec<String> {
    let mut wrong = Vec::new();
    let all = sent(entries);
    let zones = zones(entries);
    // Pace.
    for two in all.windows(2) {
        let (_, gap, ..) = PROGRAMS.iter().find(|(id, ..)| *id == two[1].program).unwrap();
        if two[1].at.since(two[0].at) < gap * DAY_MS {
            wrong.push(format!("{} came too soon after {}", two[1].at, two[0].at));
        }
    }
    for some in all.windows(MOST_PER_WEEK + 1) {
        if some[MOST_PER_WEEK].at.since(some[0].at) < 7 * DAY_MS {
            wrong.push(format!("{} is one too many in a week", some[MOST_PER_WEEK].at));
        }
    }
    for mail in &all {
        wrong.extend(zones.iter().filter_map(|zone| quiet(mail.at, zone)));
    }
    // Nothing twice, and no number left out.
    // What came back for good was not had; what came back for now may have arrived all the same.
    let came_back: BTreeSet<u32> = activities(entries)
        .filter(|(_, activity)| {
            activity.kind == "email_bounced"
                && activity.properties.get("permanent") == Some(&AttributeValue::Flag(true))
        })
        .map(|(_, activity)| number(activity))
        .collect();
    let had: Vec<&str> =
        all.iter().filter(|m| !came_back.contains(&m.number)).map(|m| m.content.as_str()).collect();
    let mut once = BTreeSet::new();
    wrong.extend(had.iter().filter(|piece| !once.insert(**piece)).map(|piece| format!("{piece} came twice")));
    let numbers: Vec<u32> = activities(entries)
        .filter(|(entry, activity)| activity.kind == "email_sent" && entry.by == NURTURE)
        .map(|(_, activity)| number(activity))
        .collect();
    if !numbers.iter().copied().eq(1..=numbers.len() as u32) {
        wrong.push(format!("numbers are {numbers:?}"));
    }
    // What held at each moment, as it became known.
    let (mut consent, mut program, mut stage) =
        (None::<ConsentStatus>, None::<(String, bool)>, Stage::Contact);
    let (mut silent, mut bounced, mut paused) = (0, false, None::<Timestamp>);
    // When it was last written to, came into a program, or was said to have had everything.
    let mut cared_for = Timestamp::EARLIEST;
    for entry in entries {
        if let Fact::Activity(activity) = &entry.fact {
            match activity.kind.as_str() {
                "email_sent" if text(activity, "program").is_some() => {
                    let id = text(activity, "program").unwrap();
                    let (_, _, whose, _) = PROGRAMS.iter().find(|(known, ..)| *known == id).unwrap();
                    if consent != Some(ConsentStatus::Confirmed) {
                        wrong.push(format!("{} without consent: {consent:?}", entry.at));
                    }
                    if program != Some((id.to_owned(), false)) {
                        wrong.push(format!("{} of {id} while in {program:?}", entry.at));
                    }
                    if stage.team() != *whose {
                        wrong.push(format!("{} of {id} in stage {stage:?}", entry.at));
                    }
                    if bounced {
                        wrong.push(format!("{} after a mail came back for good", entry.at));
                    }
                    if paused.is_some_and(|until| entry.at < until) {
                        wrong.push(format!("{} while sales wanted it left alone", entry.at));
                    }
                    cared_for = entry.at;
                    silent += 1;
                    if silent > AFTER_MAILS + 1 {
                        wrong.push(format!("{} after the last try", entry.at));
                    }
                }
                "email_bounced"
                    if activity.properties.get("permanent") == Some(&AttributeValue::Flag(true)) =>
                {
                    bounced = true;
                }
                "email_opened" | "email_clicked" if text(activity, "machine").is_none() => silent = 0,
                "page_viewed" | "contact_requested" | "content_downloaded" => silent = 0,
                _ => {}
            }
        }
        if let Fact::NurturePaused { until, .. } = &entry.fact {
            paused = *until;
        }
        for effect in &entry.effects {
            match effect {
                Effect::ProgramEntered { program: id, held_out, .. } => {
                    program = Some((id.to_string(), *held_out));
                    cared_for = entry.recorded_at;
                }
                Effect::ProgramLeft { .. } => program = None,
                // It is said once; it holds for as long as nothing new is written.
                Effect::ContentExhausted { .. } => cared_for = end,
                Effect::StageChanged { to, .. } => stage = *to,
                Effect::ConsentChanged { purpose: Purpose::Marketing, status } => consent = Some(*status),
                _ => {}
            }
        }
    }
    // Nobody is forgotten: who is in a program and gets nothing for months had everything, and that was said.
    let cared_for = paused.map_or(cared_for, |until| cared_for.max(until));
    if program.as_ref().is_some_and(|(_, held_out)| !held_out) && end.since(cared_for) > 60 * DAY_MS {
        wrong.push(format!("forgotten in {program:?} since {cared_for}"));
    }
    wrong
}

/// What the report counts of a lead in a program.
struct Recounted {
    held_out: bool,
    ready: bool,
    /// In cents, of each deal that was won; no two leads share one here.
    won: Vec<i64>,
}

/// What the timeline of a lead says of a program, for the report.
fn recounted(program: &str, entries: &[Entry]) -> Option<Recounted> {
    let entered = entries.iter().find_map(|entry| {
        entry.effects.iter().find_map(|effect| match effect {
            Effect::ProgramEntered { program: id, held_out, .. } if id.as_str() == program => {
                Some((entry.recorded_at, *held_out))
            }
            _ => None,
        })
    });
    let (eligible, held_out) = entered?;
    let (mut stage, mut ready) = (Stage::Contact, false);
    for entry in entries {
        for effect in &entry.effects {
            if let Effect::StageChanged { to, .. } = effect {
                ready |= entry.recorded_at > eligible
                    && stage.team() == Team::Marketing
                    && to.team() == Team::Sales;
                stage = *to;
            }
        }
    }
    let won = entries.iter().filter(|entry| {
        let possible = !entry.effects.iter().any(|effect| matches!(effect, Effect::Impossible { .. }));
        possible && entry.at > eligible
    });
    let won = won.filter_map(|entry| match &entry.fact {
        Fact::Sales { what: domain::sales::Move::Won { amount, .. }, .. } => {
            Some(amount.map_or(0, |amount| amount.minor))
        }
        _ => None,
    });
    Some(Recounted { held_out, ready, won: won.collect() })
}

#[tokio::test]
async fn a_year_of_nurturing_breaks_no_promise_and_the_report_says_what_the_timelines_say() {
    let asked =
        adapters::config::Environment::read().optional("LEADLOOP_YEAR_LEADS").and_then(|n| n.parse().ok());
    let count = asked.unwrap_or(LEADS);
    let mut year = Year::new(count).await;
    year.pass().await;
    let leads = leads(&year.store).await;
    assert_eq!(leads.len(), count);
    let mut timelines = BTreeMap::new();
    for lead in &leads {
        timelines.insert(lead.id.clone(), timeline(&year.store, &lead.id).await);
    }
    let wrong: Vec<String> = timelines
        .iter()
        .flat_map(|(id, entries)| {
            broken(entries, year.now()).into_iter().map(move |wrong| format!("{id}: {wrong}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));

    // Each mail that left is one that the timelines tell of, and the other way round; but of those that nobody knows of.
    let told: BTreeMap<String, bool> = timelines
        .iter()
        .flat_map(|(id, entries)| {
            let sent = activities(entries).filter(|(entry, a)| a.kind == "email_sent" && entry.by == NURTURE);
            sent.map(move |(_, activity)| {
                let known = text(activity, "outcome") != Some("unknown");
                (format!("nurture.{id}.{}", number(activity)), known)
            })
        })
        .collect();
    let left: BTreeSet<String> = year.mails.iter().map(|message| message.id.clone()).collect();
    assert_eq!(left.len(), year.mails.len(), "no mail twice");
    assert!(left.iter().all(|id| told.contains_key(id)), "none untold");
    let never: Vec<&String> =
        told.iter().filter(|(id, known)| **known && !left.contains(*id)).map(|(id, _)| id).collect();
    assert!(never.is_empty(), "told and never sent: {never:?}");
    // A tick that dies may have recorded more of them than any tick told.
    let unknown = told.values().filter(|known| !**known).count();
    assert!(unknown as u64 >= year.unknown, "{unknown} and {}", year.unknown);

    // Who had all that there is was told of, and leaves the program where it says so.
    let mut exhausted = 0_usize;
    for (id, entries) in &timelines {
        let all = sent(entries);
        let lessons: BTreeSet<&str> =
            all.iter().map(|mail| mail.content.as_str()).filter(|piece| COURSE.contains(piece)).collect();
        let said = entries.iter().flat_map(|entry| &entry.effects).any(
            |effect| matches!(effect, Effect::ContentExhausted { program } if program.as_str() == "course"),
        );
        assert!(!said || lessons.len() == COURSE.len(), "{id} had {lessons:?}");
        exhausted += usize::from(said);
    }

    // The report.
    let call = year.api.call("GET", "/v1/reports/nurture");
    let report = call.token(year.tokens.of(Role::Marketing)).expect(200).await.json();
    let (mut held_out, mut euros) = (0, 0);
    for row in report["rows"].as_array().unwrap() {
        let program = row["program"].as_str().unwrap();
        let all: Vec<Recounted> =
            timelines.values().filter_map(|entries| recounted(program, entries)).collect();
        for (name, held) in [("nurtured", false), ("held_out", true)] {
            let of = || all.iter().filter(move |one| one.held_out == held);
            let cents: i64 = of().flat_map(|one| &one.won).sum();
            let expected = (
                of().count(),
                of().filter(|one| one.ready).count(),
                of().filter(|one| !one.won.is_empty()).count(),
                format!("{}.{:02}", cents / 100, cents % 100),
            );
            let arm = &row[name];
            let number = |value: &Value| value.as_u64().unwrap() as usize;
            assert!(arm["revenue"].as_array().unwrap().len() <= 1, "deals are in EUR");
            let revenue = arm["revenue"][0]["amount"].as_str().unwrap_or("0.00").to_owned();
            let found =
                (number(&arm["leads"]), number(&arm["ready"]["hits"]), number(&arm["won"]["hits"]), revenue);
            assert_eq!(found, expected, "{program} {name} (leads, ready, won, revenue)");
            euros += cents / 100;
        }
        held_out += all.iter().filter(|one| one.held_out).count();
    }
    let call = year.api.call("GET", "/v1/reports/nurture?group_by=content");
    let by_content = call.token(year.tokens.of(Role::Marketing)).expect(200).await.json();
    let rows = by_content["rows"].as_array().unwrap();
    let counted: u64 = rows.iter().map(|row| row["sent"].as_u64().unwrap()).sum();
    let mails: usize = timelines.values().map(|entries| sent(entries).len()).sum();
    assert_eq!(counted as usize, mails);

    // The year was one in which something happened.
    let of = |kind: &str, by: &str| {
        let entries = timelines.values().flat_map(|entries| activities(entries));
        entries.filter(|(entry, activity)| entry.by == by && activity.kind == kind).count()
    };
    let effects = || timelines.values().flatten().flat_map(|entry| &entry.effects);
    let handed = effects().filter(|effect| matches!(effect, Effect::HandedOff { .. })).count();
    let said_later = effects()
        .filter(
            |e| matches!(e, Effect::ProgramEntered { program, .. } if program.as_str() == "sales_said_later"),
        )
        .count();
    println!(
        "{count} leads, {} ticks of which {} died: {mails} mails of programs, {} that asked to confirm, {} opened, {} clicked, {} came back, \
         {} unsubscribed, {handed} handed off, {said_later} given back, {held_out} held out, {exhausted} had the whole course, \
         {unknown} mails of which nobody knows, {euros} EUR in the report",
        year.ticks,
        year.died,
        year.mails.len() - mails,
        of("email_opened", MAIL),
        of("email_clicked", MAIL),
        of("email_bounced", MAIL),
        of("unsubscribed", MAIL),
    );
    assert!(euros > 0 && year.died > 0 && year.met.iter().all(|times| *times > 0), "{:?}", year.met);
    assert!(mails > 2 * count && year.mails.len() > mails && handed * 10 > count && held_out > 0);
    assert!(of("email_clicked", MAIL) > 0 && exhausted + said_later > 0);
    // Mails go at the first minute of the same local hour in summer and in winter.
    let zone = TimeZone::get("Europe/Vienna").unwrap();
    let opening = |from: &str, to: &str| {
        let days = Day::parse(from).unwrap()..Day::parse(to).unwrap();
        let all = timelines.values().flat_map(|entries| sent(entries));
        all.filter(|mail| days.contains(&mail.at.day()))
            .map(|mail| jiff::Timestamp::from_millisecond(mail.at.millis()).unwrap().to_zoned(zone.clone()))
            .filter(|local| (local.hour(), local.minute()) == (8, 0))
            .count()
    };
    let (summer, winter) = (opening("2026-03-29", "2026-10-25"), opening("2026-10-25", "2027-03-02"));
    println!("{summer} mails at eight in Vienna in summer, {winter} in winter");
    assert!(summer > 0 && winter > 0);
}
