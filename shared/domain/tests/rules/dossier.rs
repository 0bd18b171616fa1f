//! What is said of a lead to whoever is about to talk to them: sentences, the next step, who was won and is alike.

use crate::case::{lead_id, playbook, slug, time, yaml};
use crate::drawn::{BRISK, brisk, deliver, delivery, some_facts};
use domain::activity::Activity;
use domain::attribute::{Attribute, AttributeName, AttributeValue};
use domain::change::{Capture, Effect, Entry, Fact, Incoming, MarketingFeedback, entry_id};
use domain::condition::Condition;
use domain::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use domain::evidence::{Detail, Evidence};
use domain::identity::ExternalId;
use domain::lead::{Lead, Touch};
use domain::money::{Currency, Money};
use domain::next_step::{Action, next_step};
use domain::persona::card::Card;
use domain::persona::talk::points;
use domain::persona::{Aspect, Persona, Statement};
use domain::phase::Phase;
use domain::playbook::Playbook;
use domain::reason::Because;
use domain::routing::{Hindrance, Passed, Routed, Rule};
use domain::sales::Move;
use domain::score::{Label, Score};
use domain::sentence::{Names, date, moment, of_effect, of_fact, story};
use domain::similar::{LatestWon, MOST, Trait, Won, traits};
use domain::stage::{Stage, Step};
use domain::time::{DAY_MS, Day, HOUR_MS, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

fn named() -> Playbook {
    let mut document = yaml(BRISK);
    document["signals"][0]["title"] = json!("Asked us something");
    document["reasons"]["rejected"][0]["title"] = json!("Works for a rival");
    document["segments"][0]["title"] = json!("Keen ones");
    document["territories"][0]["title"] = json!("The Alps");
    document["personas"] = json!([{"id": "olga", "name": "Olga, who runs the plant", "when": {"attribute": "job", "exists": true}}]);
    playbook(&document)
}

fn did(kind: &str, properties: &[(&str, &str)]) -> Activity {
    let value = |text: &str| AttributeValue::Text(text.to_owned());
    let properties = properties.iter().map(|(name, text)| ((*name).to_owned(), value(text))).collect();
    Activity { kind: kind.to_owned(), properties }
}

fn sales(what: Move, by: Option<&str>, note: Option<&str>) -> Fact {
    Fact::Sales { what, by: by.map(slug), note: note.map(str::to_owned) }
}

fn captured(capture: Capture) -> Fact {
    Fact::Captured(Box::new(capture))
}

fn euros(minor: i64) -> Option<Money> {
    Some(Money { minor, currency: Currency::parse("EUR").unwrap() })
}

fn heard(
    campaign: Option<&str>,
    content: Option<&str>,
    sentiment: Option<&str>,
    quote: Option<&str>,
) -> Fact {
    let own = |text: Option<&str>| text.map(str::to_owned);
    let said = MarketingFeedback {
        campaign: own(campaign),
        content: own(content),
        sentiment: own(sentiment),
        quote: own(quote),
    };
    Fact::MarketingFeedback { said, by: Some(slug("at-1")), note: None }
}

fn touch(campaign: Option<&str>, channel: Option<&str>) -> Option<Touch> {
    let own = |text: Option<&str>| text.map(str::to_owned);
    Some(Touch { at: time("2026-03-02"), channel: own(channel), campaign: own(campaign), landing_page: None })
}

fn consent(purpose: Purpose, status: ConsentStatus) -> Fact {
    let at = time("2026-03-02");
    Fact::Consent(ConsentFact { purpose, status, basis: Basis::Consent, text: None, source: None, at })
}

/// Every kind of fact, and of activity that has words of its own, with its sentence.
fn facts() -> Vec<(Fact, &'static str)> {
    let deal = || ExternalId::new("crm", "D-7").unwrap();
    let activity = |kind, properties: &[(&str, &str)]| Fact::Activity(did(kind, properties));
    vec![
        (activity("page_viewed", &[("path", "/pricing")]), "Viewed the pricing page"),
        (activity("page_viewed", &[("path", "/case-studies?utm=1")]), "Viewed the case studies page"),
        (activity("page_viewed", &[("path", "/")]), "Viewed the home page"),
        (activity("page_viewed", &[("path", "/blog/a b")]), "Viewed the page /blog/a b"),
        (activity("page_viewed", &[]), "Viewed a page"),
        (activity("content_downloaded", &[("content", "savings")]), "Downloaded “Savings in the plant”"),
        (activity("content_downloaded", &[("content", "unknown-one")]), "Downloaded “unknown-one”"),
        (activity("content_downloaded", &[]), "Downloaded a document"),
        (activity("form_submitted", &[("form", "demo")]), "Filled in the form “demo”"),
        (
            activity("contact_requested", &[("message", "Call  me,\nplease.")]),
            "Asked to be contacted. “Call me, please.”",
        ),
        (activity("webinar_registered", &[("webinar", "Spring")]), "Registered for the webinar “Spring”"),
        (activity("webinar_attended", &[]), "Attended the webinar of ours"),
        (activity("email_sent", &[("subject", "Hello")]), "Was sent the mail “Hello”"),
        (activity("email_clicked", &[("machine", "head")]), "Clicked a link in a mail, by a machine (head)"),
        (activity("email_delivered", &[]), "Received a mail"),
        (activity("email_opened", &[("content", "savings")]), "Opened the mail “Savings in the plant”"),
        (activity("email_clicked", &[]), "Clicked a link in a mail"),
        (activity("email_bounced", &[]), "A mail to them came back"),
        (activity("email_complained", &[]), "Called a mail of ours spam"),
        (activity("unsubscribed", &[]), "Unsubscribed"),
        (activity("asked", &[]), "Asked us something"),
        (activity("demo_booked", &[("name", "Tour")]), "Demo booked: “Tour”"),
        (
            captured(Capture {
                activity: Some(did("form_submitted", &[])),
                touch: touch(Some("spring"), None),
                ..Capture::default()
            }),
            "Filled in the form of a page, coming from the campaign “spring”",
        ),
        (
            captured(Capture {
                responded: true,
                touch: touch(None, Some("paid_search")),
                ..Capture::default()
            }),
            "Was entered as a lead, coming from paid search",
        ),
        (captured(Capture::default()), "Was entered as a contact"),
        (captured(Capture { customer: true, ..Capture::default() }), "Was entered as a customer"),
        (
            sales(
                Move::MarketingQualified { owner: slug("at-1"), promise_due_at: time("2026-03-03") },
                None,
                None,
            ),
            "Was handed to Anna Example",
        ),
        (sales(Move::Accepted, Some("at-1"), None), "Anna Example took the lead"),
        (sales(Move::Accepted, None, Some("At last.")), "Sales took the lead. “At last.”"),
        (
            sales(Move::Rejected { reason: Some("rival".to_owned()) }, Some("at-2"), None),
            "at-2 gave the lead back: Works for a rival",
        ),
        (
            sales(
                Move::NotReady { reason: Some("no budget".to_owned()), not_before: Some(time("2027-02-01")) },
                None,
                None,
            ),
            "Sales found them not ready yet: no budget, not before 1 February 2027",
        ),
        (sales(Move::Qualified, Some("at-1"), None), "Anna Example found them a real prospect"),
        (
            sales(Move::Assigned { to: slug("at-2"), promise_due_at: None }, Some("at-1"), None),
            "Anna Example passed the lead on to at-2",
        ),
        (
            sales(Move::Assigned { to: slug("at-1"), promise_due_at: None }, Some("at-1"), None),
            "Anna Example took the lead over",
        ),
        (sales(Move::FollowedUp, None, None), "Sales followed up"),
        (sales(Move::PromiseDueSoon, None, None), "An answer that was promised was due soon"),
        (sales(Move::PromiseBroken { to: None }, None, None), "The promise of an answer was broken"),
        (
            sales(Move::Opportunity { deal: deal(), amount: euros(120_050) }, Some("at-1"), None),
            "Anna Example opened the deal “D-7” worth 1200.50 EUR",
        ),
        (
            sales(Move::Won { deal: deal(), amount: None }, Some("at-1"), None),
            "Anna Example won the deal “D-7”",
        ),
        (
            sales(Move::Lost { deal: Some(deal()), reason: Some("price".to_owned()) }, None, None),
            "Sales lost the deal “D-7”: price",
        ),
        (sales(Move::Lost { deal: None, reason: None }, None, None), "Sales lost the lead"),
        (
            sales(Move::Disqualified { reason: Some("student".to_owned()) }, None, None),
            "Sales found that they will never buy: student",
        ),
        (sales(Move::Churned, None, None), "Sales reported that they left us"),
        (
            Fact::FollowUp {
                channel: "phone".to_owned(),
                result: Some("left_message".to_owned()),
                by: Some(slug("at-1")),
                note: Some("Back on Monday.".to_owned()),
            },
            "Anna Example followed up by phone: left message. “Back on Monday.”",
        ),
        (
            heard(Some("spring"), None, Some("negative"), Some("Too loud.")),
            "Anna Example heard something bad about the campaign “spring”: “Too loud.”",
        ),
        (
            heard(None, Some("savings"), Some("positive"), None),
            "Anna Example heard something good about “Savings in the plant”",
        ),
        (heard(None, None, None, Some("Hm.")), "Anna Example heard something about our marketing: “Hm.”"),
        (
            consent(Purpose::Marketing, ConsentStatus::Pending),
            "Asked for marketing by mail, not confirmed yet",
        ),
        (consent(Purpose::Phone, ConsentStatus::Confirmed), "Agreed to calls"),
        (
            consent(Purpose::AdAudience, ConsentStatus::Withdrawn),
            "Withdrew the consent to advertisers' audiences",
        ),
        (
            Fact::Withdrawn { id: delivery(1), note: Some("Wrong lead.".to_owned()) },
            "An earlier entry was taken back. “Wrong lead.”",
        ),
        (Fact::Reviewed, "Time passed, or another playbook came"),
    ]
}

fn effects() -> Vec<(Effect, &'static str)> {
    let score = |fit, engagement, label| Score { fit, engagement, label: Label::parse(label).unwrap() };
    let name = AttributeName::parse("company_size").unwrap();
    let number = AttributeValue::Number;
    let because = Because::default;
    vec![
        (Effect::Created, "Became known to us"),
        (Effect::IdentityAdded { kind: "phone".to_owned() }, "Is now known by another phone number too"),
        (Effect::PossibleDuplicate { lead: lead_id(1) }, "May be the same person as lead "),
        (
            Effect::AttributeChanged { name: name.clone(), old: Some(number(12.0)), new: number(120.0) },
            "Company size is 120, before: 12",
        ),
        (Effect::AttributeProposed { name, value: number(7.0) }, "Company size may be 7"),
        (
            Effect::ConsentChanged { purpose: Purpose::Phone, status: ConsentStatus::Withdrawn },
            "Consent to calls is withdrawn",
        ),
        (
            Effect::ScoreChanged { old: Some(score(1, 2, "D4")), new: score(60, 40, "B2") },
            "Score went from D4 (fit 1, engagement 2) to B2 (fit 60, engagement 40)",
        ),
        (Effect::ScoreChanged { old: None, new: score(1, 2, "D4") }, "Score is D4 (fit 1, engagement 2)"),
        (
            Effect::StageChanged { from: Stage::Inquiry, to: Stage::MarketingQualified, skipped: Vec::new() },
            "Moved from inquiry to marketing qualified",
        ),
        (
            Effect::HandedOff {
                to: slug("at-1"),
                territory: Some(slug("alps")),
                promise_due_at: time("2026-03-03T09:30:00Z"),
            },
            "Was handed to Anna Example for The Alps, who promised an answer by 09:30 UTC on 3 March 2026",
        ),
        (
            Effect::Routed(Routed {
                to: slug("at-2"),
                territory: None,
                rule: Rule::Turn,
                passed: vec![Passed { person: slug("at-1"), because: Hindrance::FullToday }],
            }),
            "Went to at-2, whose turn it was, past Anna Example (full today)",
        ),
        (
            Effect::PromiseDueSoon { owner: slug("at-1"), due_at: time("2026-03-03T09:30:00Z") },
            "Anna Example was reminded of the answer promised by 09:30 UTC on 3 March 2026",
        ),
        (
            Effect::PromiseBroken {
                owner: slug("at-1"),
                to: Some((slug("at-2"), time("2026-03-04T09:30:00Z"))),
            },
            "Anna Example let the promised answer pass, and at-2 has it now, who is to answer by 09:30 UTC on 4 March 2026",
        ),
        (
            Effect::PromiseBroken { owner: slug("at-1"), to: None },
            "Anna Example let the promised answer pass",
        ),
        (Effect::Held { owner: slug("at-1") }, "Is ready, and waits until Anna Example has room"),
        (
            Effect::PersonaChanged { from: None, to: Some(slug("olga")), because: because() },
            "Mirrors Olga, who runs the plant",
        ),
        (
            Effect::PersonaChanged { from: Some(slug("olga")), to: None, because: because() },
            "Mirrors no persona any more",
        ),
        (
            Effect::PhaseChanged { from: None, to: Some(Phase::Decision), because: because() },
            "Is in the phase decision",
        ),
        (
            Effect::PhaseChanged { from: Some(Phase::Decision), to: None, because: because() },
            "Is in no phase any more",
        ),
        (
            Effect::SegmentEntered { segment: slug("keen"), because: Vec::new() },
            "Came into the segment Keen ones",
        ),
        (Effect::SegmentLeft { segment: slug("gone"), because: Vec::new() }, "Left the segment gone"),
        (
            Effect::Impossible { step: Step::Accept, stage: Stage::Inquiry },
            "“accepted” makes no sense for a lead in inquiry, and was passed over",
        ),
        (Effect::PlaybookChanged { from: 1, to: 2 }, "Is judged by version 2 of the playbook, before by 1"),
    ]
}

fn with_names<T>(ask: impl FnOnce(&Names<'_>) -> T) -> T {
    let (playbook, content) =
        (named(), BTreeMap::from([(slug("savings"), "Savings in the plant".to_owned())]));
    let people = BTreeMap::from([(slug("at-1"), "Anna Example".to_owned())]);
    ask(&Names { playbook: &playbook, content: &content, people: &people })
}

#[test]
fn every_fact_and_every_effect_is_a_sentence() {
    with_names(|names| {
        for (fact, says) in facts() {
            assert_eq!(of_fact(&fact, names), says);
        }
        for (effect, says) in effects() {
            let said = of_effect(&effect, names);
            assert!(
                if says.ends_with(' ') { said.starts_with(says) } else { said == says },
                "{said} is not {says}"
            );
        }
    });
}

fn entry(at: Timestamp, n: usize, fact: Fact, effects: Vec<Effect>) -> Entry {
    let id = entry_id(at, delivery(n));
    Entry {
        id,
        at,
        recorded_at: at,
        by: "test".to_owned(),
        history: false,
        fact,
        effects,
        playbook_version: 1,
    }
}

#[test]
fn what_happened_alike_on_one_day_is_one_line() {
    let viewed = || Fact::Activity(did("page_viewed", &[("path", "/pricing")]));
    let (third, fourth) = (time("2026-03-03T08:00:00Z"), time("2026-03-04T08:00:00Z"));
    let call = || Fact::FollowUp { channel: "phone".to_owned(), result: None, by: None, note: None };
    let entries = [
        entry(fourth, 1, viewed(), vec![Effect::Created, Effect::PlaybookChanged { from: 1, to: 2 }]),
        entry(fourth, 2, Fact::Reviewed, vec![Effect::PlaybookChanged { from: 1, to: 2 }]),
        entry(fourth, 3, Fact::Reviewed, vec![Effect::PromiseBroken { owner: slug("at-1"), to: None }]),
        entry(fourth.plus(-HOUR_MS), 4, call(), Vec::new()),
        entry(fourth.plus(-2 * HOUR_MS), 5, call(), Vec::new()),
        entry(third.plus(HOUR_MS), 6, viewed(), Vec::new()),
        entry(third, 7, viewed(), Vec::new()),
    ];
    let told = with_names(|names| story(&entries, &[delivery(5)], names));
    let says: Vec<&str> = told.iter().map(|line| line.says.as_str()).collect();
    assert_eq!(
        says,
        [
            "Viewed the pricing page on 4 March 2026",
            "Time passed, or another playbook came on 4 March 2026",
            "Sales followed up by phone on 4 March 2026",
            "Sales followed up by phone on 4 March 2026 (taken back later)",
            "Viewed the pricing page twice on 3 March 2026",
        ]
    );
    assert_eq!(told[0].then, ["Became known to us"], "bookkeeping is left out");
    assert_eq!(told[1].then, ["Anna Example let the promised answer pass"]);
    assert_eq!((told[4].times, told[4].entries.len()), (2, 2));
    assert_eq!(date(Day::parse("2026-12-31").unwrap()), "31 December 2026");
    assert_eq!(moment(time("2026-03-03T09:05:59Z")), "09:05 UTC on 3 March 2026");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_can_be_told_and_every_entry_is_told_once(facts in some_facts(16)) {
        let playbook = brisk();
        let (mut lead, mut entries, mut now) = (None, Vec::new(), time("2026-03-02"));
        for (at, fact) in &facts {
            now = *at;
            let change = deliver(lead.take(), fact, &playbook, now);
            entries.extend(change.entries);
            lead = Some(change.lead);
        }
        let (lead, none) = (lead.unwrap(), BTreeMap::new());
        let people = BTreeMap::new();
        let told = story(&entries, &lead.withdrawn, &Names { playbook: &playbook, content: &none, people: &people });
        let mut ids: Vec<&String> = told.iter().flat_map(|line| &line.entries).collect();
        ids.sort();
        let mut all: Vec<&String> = entries.iter().map(|entry| &entry.id).collect();
        all.sort();
        prop_assert_eq!(ids, all);
        prop_assert!(told.iter().all(|line| !line.says.contains('\n') && line.times == line.entries.len()));
        let next = next_step(&lead, &playbook.promises, now);
        prop_assert!(!next.says.is_empty() && !next.because.is_empty());
        let with_sales = matches!(lead.stage, Stage::MarketingQualified | Stage::SalesAccepted | Stage::SalesQualified | Stage::Opportunity);
        let for_sales = [Action::AnswerNow, Action::Answer, Action::Decide, Action::FollowUp, Action::Qualify, Action::OpenDeal, Action::CloseDeal];
        prop_assert_eq!(for_sales.contains(&next.action), with_sales, "{:?} in {}", next, lead.stage);
    }
}

#[test]
fn the_next_step_is_the_first_rule_that_applies() {
    let mut document = yaml(BRISK);
    document["marketing_qualified"] = json!({"labels": ["D4"]});
    let (playbook, start) = (playbook(&document), time("2026-03-02T08:00:00Z"));
    let tell = |lead: Option<Lead>, n: usize, at: Timestamp, fact: Fact| {
        let by = "test".to_owned();
        let sent =
            Incoming { delivery: delivery(n), occurred_at: at, history: false, by, strict: false, fact };
        deliver(lead, &sent, &playbook, at).lead
    };
    let deal = || ExternalId::new("crm", "D-7").unwrap();
    let call = || Fact::FollowUp { channel: "phone".to_owned(), result: None, by: None, note: None };
    let next = |lead: &Lead, at: Timestamp| {
        let next = next_step(lead, &playbook.promises, at);
        (next.action, next.because)
    };
    let handed = tell(None, 0, start, captured(Capture { responded: true, ..Capture::default() }));
    let hour = start.plus(HOUR_MS);
    assert_eq!(
        next(&handed, hour),
        (Action::Answer, "an answer is promised by 08:00 UTC on 3 March 2026".to_owned())
    );
    assert_eq!(
        next(&handed, start.plus(26 * HOUR_MS)),
        (Action::AnswerNow, "the answer that was promised is 2 hours late".to_owned())
    );
    let tried = tell(Some(handed.clone()), 1, hour, call());
    assert_eq!(next(&tried, hour).0, Action::Decide);
    let accepted = tell(Some(handed), 2, hour, sales(Move::Accepted, Some("at-1"), None));
    assert_eq!(
        next(&accepted, hour),
        (Action::FollowUp, "nobody has tried to reach them since they were handed over".to_owned())
    );
    let called = tell(Some(accepted), 3, hour, call());
    assert_eq!(next(&called, hour).0, Action::Qualify);
    assert_eq!(next(&called, hour.plus(8 * DAY_MS)).0, Action::FollowUp, "a week later again");
    let qualified = tell(Some(called.clone()), 4, hour.plus(1), sales(Move::Qualified, None, None));
    assert_eq!(next(&qualified, hour.plus(2)).0, Action::OpenDeal);
    let opened = tell(
        Some(qualified),
        5,
        hour.plus(2),
        sales(Move::Opportunity { deal: deal(), amount: None }, None, None),
    );
    assert_eq!(
        next(&opened, hour.plus(3)),
        (Action::CloseDeal, "the deal D-7 is open since 2 March 2026".to_owned())
    );
    let won =
        tell(Some(opened), 6, hour.plus(3), sales(Move::Won { deal: deal(), amount: None }, None, None));
    assert_eq!(next(&won, hour.plus(4)).0, Action::LookAfter);
    let later = Move::NotReady { reason: None, not_before: Some(time("2026-06-01")) };
    let returned = tell(Some(called.clone()), 7, hour.plus(1), sales(later, None, None));
    assert_eq!(
        next(&returned, hour.plus(2)),
        (Action::Wait, "sales asked not to have them before 1 June 2026".to_owned())
    );
    assert_eq!(next(&returned, time("2026-06-02")).0, Action::KeepWarm);
    let ended =
        tell(Some(called.clone()), 8, hour.plus(1), sales(Move::Disqualified { reason: None }, None, None));
    assert_eq!(next(&ended, hour.plus(2)).0, Action::LeaveAlone);
    let shy = tell(Some(called), 9, hour.plus(1), consent(Purpose::Phone, ConsentStatus::Withdrawn));
    assert_eq!(next_step(&shy, &playbook.promises, hour).mind, ["They do not want to be called."]);
}

fn won(n: u8, day: i64, like: &[(&str, &str)], channel: &str) -> Lead {
    let playbook = brisk();
    let at = time("2026-03-02").plus(day * DAY_MS);
    let capture = Capture { responded: true, touch: touch(None, Some(channel)), ..Capture::default() };
    let tell = |lead: Option<Lead>, id: usize, fact: Fact| {
        let by = "test".to_owned();
        let sent = Incoming {
            delivery: delivery(id),
            occurred_at: at.plus(id as i64),
            history: true,
            by,
            strict: false,
            fact,
        };
        deliver(lead, &sent, &playbook, at).lead
    };
    let mut lead = tell(None, 0, captured(capture));
    lead.id = lead_id(n);
    for (name, value) in like {
        let value = value.parse().map_or(AttributeValue::Text((*value).to_owned()), AttributeValue::Number);
        let attribute = Attribute { value, set_at: at, set_by: "test".to_owned(), known_at: None };
        lead.attributes.insert(AttributeName::parse(name).unwrap(), attribute);
    }
    let deal = ExternalId::new("crm", &format!("D-{n}")).unwrap();
    tell(Some(lead), 1, sales(Move::Won { deal, amount: None }, None, None))
}

#[test]
fn the_won_leads_that_share_most_and_rarest_are_the_similar_ones() {
    let machines = [("country", "Österreich"), ("industry", " Machines "), ("company_size", "120")];
    let mut all = LatestWon::default();
    for (n, day, like, channel) in [
        (1, 1, &machines[..], "search"),
        (2, 2, &[("country", "AT"), ("industry", "Food"), ("company_size", "5")], "search"),
        (3, 3, &[("country", "AT"), ("industry", "machines"), ("company_size", "9")], "fair"),
        (4, 4, &[("country", "DE"), ("industry", "Food"), ("company_size", "700")], "search"),
        (5, 5, &[("country", "AT"), ("industry", "Wood"), ("company_size", "8")], "search"),
    ] {
        all.add(&won(n, day, like, channel));
    }
    let asking =
        won(6, 9, &[("country", "Austria"), ("industry", "MACHINES"), ("company_size", "60")], "search");
    let found = all.like(&asking, 10);
    let ids: Vec<_> = found.iter().map(|similar| similar.won.lead.clone()).collect();
    // Four traits; then two each: machines are rarer than search; of two alike the later one; with one trait none.
    assert_eq!(ids, [lead_id(1), lead_id(3), lead_id(5), lead_id(2)]);
    let shared: Vec<_> =
        found[0].shared.iter().map(|(name, value)| format!("{} {value}", name.as_str())).collect();
    assert_eq!(shared, ["industry machines", "company_size 50 to 249", "country AT", "channel search"]);
    assert_eq!(all.like(&asking, 1).len(), 1);
    all.add(&asking);
    assert!(
        all.like(&asking, 10).iter().all(|similar| similar.won.lead != asking.id),
        "nobody is like themselves"
    );
    let long = won(7, 1, &[("industry", &"x".repeat(65))], "search");
    assert!(!traits(&long).contains_key(&Trait::Industry), "what is too long is no trait");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn won_leads_join_in_any_order_and_the_latest_stay(
        leads in prop::collection::vec((0_u8..250, 0_i64..2_000), 0..1_200), cut in 0_usize..1_200
    ) {
        let won = |(n, at): &(u8, i64)| Won { lead: lead_id(*n), at: Timestamp::from_secs(*at), traits: BTreeMap::new() };
        let of = |part: &[(u8, i64)]| {
            let mut all = LatestWon::default();
            all.extend(part.iter().map(won));
            all
        };
        let (one, other) = leads.split_at(cut.min(leads.len()));
        let (mut here, mut there) = (of(one), of(other));
        here.merge(of(other));
        there.merge(of(one));
        prop_assert_eq!(&here, &there);
        prop_assert_eq!(&here, &of(&leads));
        let mut times: Vec<(i64, _)> = leads.iter().map(|(n, at)| (-*at, lead_id(*n))).collect();
        times.sort();
        times.dedup();
        times.truncate(MOST);
        let kept: Vec<(i64, _)> = here.iter().map(|won| (-won.at.secs(), won.lead)).collect();
        prop_assert_eq!(kept, times);
    }
}

#[test]
fn what_to_talk_about_stands_firm_and_is_never_what_evidence_speaks_against() {
    let statement = |id: &str, aspect| Statement {
        id: slug(id),
        aspect,
        text: id.to_owned(),
        basis: domain::persona::Basis::Speculation,
    };
    let persona = Persona {
        id: slug("olga"),
        name: "Olga".to_owned(),
        portrait: None,
        statements: vec![
            statement("born", Aspect::History),
            statement("guess", Aspect::Goal),
            statement("light", Aspect::Pain),
            statement("heavy", Aspect::Concern),
            statement("wrong", Aspect::Objection),
        ],
        channels: BTreeSet::new(),
        when: Condition::All(Vec::new()),
        priority: 1,
    };
    let said = |text: &str, weight, supports: &[&str], contradicts: &[&str]| Evidence {
        persona: slug("olga"),
        detail: Detail::InterviewSales,
        text: text.to_owned(),
        source: None,
        day: Day::parse("2026-03-01").unwrap(),
        weight,
        supports: supports.iter().map(|id| slug(id)).collect(),
        contradicts: contradicts.iter().map(|id| slug(id)).collect(),
    };
    let evidence = [
        said("it hurts", 1, &["light"], &[]),
        said("I worry", 5, &["heavy"], &["wrong"]),
        said("me too", 1, &["heavy"], &[]),
    ];
    let card = Card::of(&persona, &evidence);
    let found: Vec<_> =
        points(&card).into_iter().map(|p| (p.judged.statement.text.clone(), p.quote, p.how)).collect();
    assert_eq!(
        found,
        [
            ("heavy".to_owned(), Some("I worry"), "Take the worry before they name it"),
            ("light".to_owned(), Some("it hurts"), "Ask whether it hurts them too"),
            ("guess".to_owned(), None, "Show how we help them reach it"),
        ]
    );
}
