//! A first answer is promised in the owner's working hours, and what becomes of the promise is said once, on time.

use super::setting::Setting;
use adapters::http::Role;
use adapters::people::CACHED_MS;
use domain::change::{Effect, Entry, Fact};
use domain::lead::Lead;
use domain::sales::Move;
use domain::time::{HOUR_MS, MINUTE_MS, Timestamp};
use serde_json::{Value, json};
use testkit::builders::{a_lead, email, slug, test_playbook, time};
use testkit::{Failure, Failures};

const WHO: &str = "ada@company.example";

/// Eight hours of work for a first answer, the last two of which it is due soon.
async fn setting() -> Setting {
    let mut playbook = test_playbook();
    playbook["promises"] = json!({"first_answer_hours": 8, "due_soon_percent": 25});
    Setting::with(&playbook).await
}

async fn person(setting: &Setting, id: &str, more: Value) {
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday"];
    let hours: serde_json::Map<String, Value> =
        days.iter().map(|day| ((*day).to_owned(), json!(["09:00-17:00"]))).collect();
    let mut record = json!({"name": id, "email": format!("{id}@ours.example"), "team": "sales",
        "timezone": "Europe/Vienna", "working_hours": hours});
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = setting.call(Role::Admin, "PUT", &format!("/v1/people/{id}"), Some(&record)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Hands a lead to at-1, whose deputy is at-2 and whose manager is boss, on a Friday an hour before the weekend.
async fn handed_over(setting: &Setting) -> Lead {
    person(setting, "at-1", json!({"deputy": "at-2", "manager": "boss"})).await;
    person(setting, "at-2", json!({})).await;
    person(setting, "boss", json!({})).await;
    setting.go_to(time("2026-03-06T15:00:00Z"));
    let lead = a_lead().known_by(email(WHO)).ready().at(setting.now()).change();
    let fact = lead.entries[0].fact.clone();
    setting.record(WHO, "asked", fact).await
}

async fn tick(setting: &Setting, at: &str) {
    setting.go_to(time(at));
    setting.handle(json!({"action": "due"})).await;
}

/// Gives what was said of promises, in order.
async fn said(setting: &Setting) -> Vec<String> {
    let lead = setting.lead_of(WHO);
    let page = adapters::ports::Timeline::entries(
        &*setting.store,
        &lead.id,
        adapters::ports::Direction::Forward,
        100,
        None,
    );
    let entries: Vec<Entry> = page.await.unwrap().items;
    let word = |effect: &Effect| match effect {
        Effect::PromiseDueSoon { owner, .. } => Some(format!("{owner} soon")),
        Effect::PromiseBroken { owner, to } => {
            Some(format!("{owner} to {}", to.as_ref().map_or("nobody", |(to, _)| to.as_str())))
        }
        _ => None,
    };
    entries.iter().flat_map(|entry| &entry.effects).filter_map(word).collect()
}

fn owner(setting: &Setting) -> (String, Option<Timestamp>) {
    let lead = setting.lead_of(WHO);
    (lead.person.unwrap().to_string(), lead.promise_due_at)
}

#[tokio::test]
async fn a_weekend_stands_still_and_a_broken_promise_goes_to_the_deputy_and_then_the_manager() {
    let setting = setting().await;
    let lead = handed_over(&setting).await;
    assert_eq!((lead.person, lead.promise_due_at), (Some(slug("at-1")), Some(time("2026-03-09T15:00:00Z"))));
    for quiet in ["2026-03-07T12:00:00Z", "2026-03-09T12:55:00Z"] {
        tick(&setting, quiet).await;
        assert_eq!(said(&setting).await, Vec::<String>::new(), "{quiet}");
    }
    for _ in 0..3 {
        tick(&setting, "2026-03-09T13:00:00Z").await;
        assert_eq!(said(&setting).await, ["at-1 soon"]);
    }
    for _ in 0..3 {
        tick(&setting, "2026-03-09T15:05:00Z").await;
        assert_eq!(said(&setting).await, ["at-1 soon", "at-1 to at-2"]);
        assert_eq!(owner(&setting), ("at-2".to_owned(), Some(time("2026-03-10T15:05:00Z"))));
    }
    tick(&setting, "2026-03-10T15:10:00Z").await;
    tick(&setting, "2026-03-11T15:15:00Z").await;
    tick(&setting, "2026-03-20T15:15:00Z").await;
    assert_eq!(said(&setting).await, ["at-1 soon", "at-1 to at-2", "at-2 to boss", "boss to nobody"]);
    assert_eq!(owner(&setting).0, "boss", "it stays with sales");
}

#[tokio::test]
async fn an_answer_stops_the_clock_whoever_else_works_on_the_lead_at_that_moment() {
    let setting = setting().await;
    handed_over(&setting).await;
    setting.go_to(time("2026-03-09T15:05:00Z"));
    let called = Fact::FollowUp { channel: "phone".to_owned(), result: None, by: None, note: None };
    let (_, lead) =
        tokio::join!(setting.handle(json!({"action": "due"})), setting.record(WHO, "called", called));
    let then = said(&setting).await;
    assert!(lead.promise_due_at.is_none() && then.len() <= 1, "{then:?}");
    tick(&setting, "2026-03-20T15:00:00Z").await;
    assert_eq!(said(&setting).await, then, "what was answered is not raised any more");
}

#[tokio::test]
async fn a_tick_that_dies_or_hears_no_answer_says_it_once_all_the_same() {
    let faults: [fn(&Failures); 3] = [
        |failures| failures.next_writes(1, Failure::Conflict),
        |failures| failures.next_writes(1, Failure::TimedOutAfterWrite),
        |failures| failures.every_write(1, Failure::Throttled),
    ];
    for fault in faults {
        let setting = setting().await;
        handed_over(&setting).await;
        fault(&setting.failures);
        tick(&setting, "2026-03-09T15:05:00Z").await;
        setting.failures.heal();
        // Whoever failed is put off.
        tick(&setting, "2026-03-09T15:25:00Z").await;
        assert_eq!(said(&setting).await, ["at-1 to at-2"]);
        assert_eq!(owner(&setting).0, "at-2");
    }
}

#[tokio::test]
async fn new_hours_count_for_the_next_promise_and_leave_what_was_promised() {
    let setting = setting().await;
    let promised = handed_over(&setting).await.promise_due_at;
    person(&setting, "at-1", json!({"absences": [{"from": "2026-03-09", "through": "2026-03-10"}]})).await;
    setting.later(CACHED_MS);
    assert_eq!(setting.lead_of(WHO).promise_due_at, promised);
    let other = a_lead().known_by(email("bob@company.example")).ready().change();
    let lead = setting.record("bob@company.example", "bob", other.entries[0].fact.clone()).await;
    assert!(lead.promise_due_at.unwrap().since(time("2026-03-11T15:00:00Z")) < MINUTE_MS);
    assert!(lead.promise_due_at.unwrap() >= time("2026-03-11T15:00:00Z"));
}

#[tokio::test]
async fn given_to_somebody_else_the_rest_of_the_time_goes_on_in_their_hours() {
    let setting = setting().await;
    handed_over(&setting).await;
    setting.later(HOUR_MS);
    let what = Move::Assigned { to: slug("at-2"), promise_due_at: None };
    let lead = setting.record(WHO, "given", Fact::Sales { what, by: None, note: None }).await;
    assert_eq!(lead.promise_due_at, Some(time("2026-03-09T15:00:00Z")), "both have the weekend off");
    tick(&setting, "2026-03-09T15:05:00Z").await;
    assert_eq!(said(&setting).await, ["at-2 to nobody"], "at-2 has no deputy, and at-1 gave it away");
}

#[tokio::test]
async fn the_report_says_what_both_sides_promised_and_kept_and_opens_to_the_leads_behind() {
    let mut playbook = test_playbook();
    playbook["promises"] = json!({"first_answer_hours": 8,
        "marketing": [{"territory": "alps", "timezone": "Europe/Vienna", "leads_a_week": 1, "accepted_percent": 50}]});
    let setting = Setting::with(&playbook).await;
    // Handed over on Friday; at-1 lets it pass on Monday, at-2 takes it on Tuesday.
    let lead = handed_over(&setting).await;
    tick(&setting, "2026-03-09T15:05:00Z").await;
    setting.go_to(time("2026-03-10T09:00:00Z"));
    setting.record(WHO, "taken", Fact::Sales { what: Move::Accepted, by: None, note: None }).await;
    let get = async |path: &str| {
        let answer = setting.call(Role::Sales, "GET", path, None).await;
        (answer.status, answer.json())
    };
    let (status, report) =
        get("/v1/reports/promises?group_by=person,week&from=2026-03-02&to=2026-03-16").await;
    assert_eq!(status, 200, "{report}");
    let row = &report["sales"]["rows"][0];
    assert_eq!(
        (&row["person"], &row["week"], &row["promised"], &row["kept"], &row["broken"], &row["kept_rate"]),
        (&json!("at-1"), &json!("2026-03-02"), &json!(1), &json!(0), &json!(1), &json!(0.0))
    );
    // An hour on Friday, eight on Monday, one on Tuesday: hours in which at-1 works.
    assert_eq!(row["first_answer_hours"], json!({"median": 10, "p90": 10, "of": 1}));
    assert_eq!(
        row["waited_longest"],
        json!([{"lead_id": lead.id.as_str(), "owner": "at-1", "since": "2026-03-06T15:00:00Z", "hours": 10, "answered": true}])
    );
    let weeks = &report["marketing"][0]["weeks"];
    assert_eq!(
        weeks[0],
        json!({"week": "2026-03-02", "handed_off": 1, "accepted": 1, "returned": 0, "verdict": "kept"})
    );
    assert_eq!((&weeks[1]["verdict"], weeks.as_array().unwrap().len()), (&json!("open"), 2));

    let csv = setting.call_accepting("/v1/reports/promises?group_by=person,week", "text/csv").await.text();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines,
        [
            "side,territory,person,week,promised,kept,broken,open,median_hours,p90_hours,answers,given_up,tried_enough,handed_off,accepted,returned,accepted_percent",
            "sales,,at-1,2026-03-02,1,0,1,0,10,10,1,0,0,,,,",
            "marketing,alps,,2026-03-02,1,1,0,0,,,,,,1,1,0,50",
            "marketing,alps,,2026-03-09,1,0,0,1,,,,,,0,0,0,50",
        ]
    );

    let behind =
        async |query: &str| get(&format!("/v1/reports/promises/leads?{query}")).await.1["items"].clone();
    let found = behind("figure=broken&person=at-1&week=2026-03-02&territory=alps").await;
    assert_eq!(
        found,
        json!([{"lead_id": lead.id.as_str(), "territory": "alps", "promises": [{"owner": "at-1",
            "handed_off_at": "2026-03-06T15:00:00Z", "due_at": "2026-03-09T15:00:00Z",
            "answered_at": "2026-03-10T09:00:00Z", "accepted": true}]}])
    );
    for none in
        ["figure=kept", "person=at-2", "week=2026-03-09", "territory=", "to=2026-03-06", "figure=open"]
    {
        assert_eq!(behind(none).await, json!([]), "{none}");
    }

    for (path, pointers) in [
        (
            "promises?group_by=territory,territory&from=spring&tz=Mars",
            ["/from", "/group_by", "/tz"].as_slice(),
        ),
        ("promises/leads?figure=late&week=2026-03-03&cursor=x", &["/cursor", "/figure", "/week"]),
    ] {
        let (status, problem) = get(&format!("/v1/reports/{path}")).await;
        let mut found: Vec<&str> =
            problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!((status, found.as_slice()), (422, pointers), "{problem}");
    }
}
