//! Opens and clicks of machines: what they give is withheld, hands nobody over, can be had back, and is the same whatever
//! the order in which it was heard of.

use crate::case::{lead_id, yaml};
use crate::drawn::subject;
use domain::activity::Activity;
use domain::attribute::{AttributeName, AttributeValue, NewAttribute};
use domain::change::nurture::MAIL;
use domain::change::{
    Capture, Change, Effect, Entry, Fact, Incoming, Pace, Recount, advance, decide, review,
};
use domain::lead::Lead;
use domain::machine::{MACHINE, Request, Rule, SETTLES_MS, TOO_SOON_MS, WITHIN_MS, rule_of};
use domain::playbook::Playbook;
use domain::promise::People;
use domain::replay::{Replay, facts_of};
use domain::sales::DeliveryId;
use domain::score::{Basis, LineKind, explain};
use domain::stage::Stage;
use domain::time::{DAY_MS, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const DOCUMENT: &str = "
name: Machines
signals:
  - {id: clicks, title: Clicked, kind: email_clicked}
  - {id: prices, title: Prices, kind: email_clicked, where: {url: {starts_with: 'https://a.example/1'}}}
  - {id: opens, title: Opened, kind: email_opened}
  - {id: visit, title: Came by, kind: page_viewed}
fit: [{id: who, rules: [{id: here, points: 60, when: {attribute: country, equals: AT}}]}]
engagement:
  - {id: interest, cap: 70, rules: [
      {id: follows, points: 20, signal: clicks, max_hits: 3, half_life_days: 10},
      {id: pays, points: 15, when: {signal: prices, within_days: 5}},
      {id: opens_mail, points: 3, signal: opens},
      {id: came, points: 5, signal: visit}]}
bands: {fit: {A: 60, B: 40, C: 20}, engagement: {1: 60, 2: 40, 3: 20}}
marketing_qualified: {labels: [A1, A2, A3]}
default_qualifier: eu-1
";

fn document(withhold: Option<&[&str]>) -> Value {
    let mut document = yaml(DOCUMENT);
    if let Some(rules) = withhold {
        document["machines"] = json!({ "withhold": rules });
    }
    document
}

fn with(withhold: Option<&[&str]>) -> Playbook {
    Playbook::parse(&document(withhold)).unwrap()
}

fn start() -> Timestamp {
    Timestamp::parse("2026-03-02T23:59:30Z").unwrap()
}

fn by_mail(n: usize, at: Timestamp, kind: &str, message: u32, link: u8, machine: Option<Rule>) -> Incoming {
    let mut properties: std::collections::BTreeMap<String, AttributeValue> = [
        ("message".to_owned(), AttributeValue::Number(f64::from(message))),
        ("url".to_owned(), AttributeValue::Text(format!("https://a.example/{link}"))),
    ]
    .into();
    if let Some(rule) = machine {
        properties.insert(MACHINE.to_owned(), AttributeValue::Text(rule.as_str().to_owned()));
    }
    let fact = Fact::Activity(Activity { kind: kind.to_owned(), properties });
    let delivery = DeliveryId::new("mail", &n.to_string());
    Incoming { delivery, occurred_at: at, history: false, by: MAIL.to_owned(), strict: false, fact }
}

fn click(n: usize, ms: i64, link: u8) -> Incoming {
    by_mail(n, start().plus(ms), "email_clicked", 1, link, None)
}

fn told(n: usize, at: Timestamp, fact: Fact) -> Incoming {
    let delivery = DeliveryId::new("test", &n.to_string());
    Incoming { delivery, occurred_at: at, history: false, by: "api:test".to_owned(), strict: false, fact }
}

fn from_austria(responded: bool) -> Fact {
    let value = NewAttribute { value: AttributeValue::Text("AT".to_owned()), known_at: None };
    let attributes = [(AttributeName::parse("country").unwrap(), value)].into();
    Fact::Captured(Box::new(Capture { attributes, responded, ..Capture::default() }))
}

/// A lead, its timeline and what left the system.
#[derive(Default)]
struct World {
    lead: Option<Lead>,
    timeline: Vec<Entry>,
    events: Vec<&'static str>,
}

impl World {
    fn known(responded: bool, playbook: &Playbook) -> Self {
        let mut world = Self::default();
        world.take(
            &told(1_000, start().plus(-DAY_MS), from_austria(responded)),
            start().plus(-DAY_MS),
            playbook,
        );
        world
    }

    fn keep(&mut self, change: Change) {
        self.events.extend(change.events.iter().map(|event| event.kind.as_str()));
        self.timeline.extend(change.entries);
        self.lead = Some(change.lead);
    }

    fn take(&mut self, fact: &Incoming, now: Timestamp, playbook: &Playbook) {
        let facts = std::slice::from_ref(fact);
        let change =
            decide(subject(self.lead.clone()), Vec::new(), &[], facts, playbook, People::nobody(), now);
        self.keep(change);
    }

    /// Lets the tick look after the lead, if it is due by then.
    fn tick(&mut self, now: Timestamp, playbook: &Playbook) {
        if self.lead().due_at.is_some_and(|due| due <= now)
            && let Some(change) = advance(self.lead(), playbook, 1, None, People::nobody(), now)
        {
            self.keep(change);
        }
    }

    fn lead(&self) -> &Lead {
        self.lead.as_ref().unwrap()
    }

    fn engagement(&self, playbook: &Playbook) -> u8 {
        domain::score::score(playbook, &self.lead().view(start().day().plus(1))).engagement
    }

    fn handed(&self) -> bool {
        self.events.contains(&"handed_off")
    }
}

/// Tells which clicks are a machine's, from the definition: another link of its mail within two seconds of it.
fn machines(clicks: &[Incoming]) -> BTreeSet<DeliveryId> {
    let of = |incoming: &Incoming| {
        let Fact::Activity(activity) = &incoming.fact else { return None };
        (activity.kind == "email_clicked")
            .then(|| (activity.properties["message"].clone(), activity.properties["url"].clone()))
    };
    let pair = |one: &Incoming, other: &Incoming| {
        let (Some((mail, link)), Some((same, different))) = (of(one), of(other)) else { return false };
        mail == same && link != different && one.occurred_at.since(other.occurred_at).abs() <= WITHIN_MS
    };
    clicks.iter().filter(|one| clicks.iter().any(|other| pair(one, other))).map(|one| one.delivery).collect()
}

fn what_happens() -> impl Strategy<Value = Vec<Incoming>> {
    let rule = prop_oneof![4 => Just(None), 1 => proptest::sample::select(Rule::WORDS).prop_map(|(_, rule)| Some(rule))];
    let kind = prop_oneof![5 => Just("email_clicked"), 1 => Just("email_opened")];
    let one = (0_i64..12_000, kind, 1_u32..3, 0_u8..4, rule);
    prop::collection::vec(one, 1..14).prop_map(|all| {
        let facts = all.into_iter().enumerate();
        facts
            .map(|(n, (ms, kind, mail, link, rule))| by_mail(n, start().plus(ms * 5), kind, mail, link, rule))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_is_the_one_counted_anew_whatever_the_order_and_however_late_facts_arrive(
        mut facts in what_happens(), order in any::<u64>(), late in prop::collection::vec(0_i64..200_000, 14),
        withhold in prop::option::of(prop::sample::subsequence(Rule::WORDS, 0..Rule::WORDS.len())),
    ) {
        let words: Option<Vec<&str>> = withhold.map(|rules| rules.iter().map(|(word, _)| *word).collect());
        let playbook = with(words.as_deref());
        facts.sort_by_cached_key(|fact| DeliveryId::new(&order.to_string(), &fact.delivery.to_string()));
        let mut world = World::known(true, &playbook);
        let mut now = start().plus(60_000);
        for (fact, late) in facts.iter().zip(late) {
            now = now.plus(late / 10);
            world.take(fact, now, &playbook);
            if late % 3 == 0 {
                world.tick(now, &playbook);
            }
        }
        let known = BTreeSet::new();
        let mut recount = Recount::new(&playbook, &known, world.lead());
        world.timeline.iter().for_each(|entry| recount.take(entry));
        let counted = recount.finish();
        prop_assert_eq!(&counted.ledger, &world.lead().ledger);
        prop_assert_eq!(&counted.withheld, &world.lead().machines.withheld);
        // Played again in the order in which it happened, it is the same once more.
        let facts = facts_of(world.timeline.clone());
        let mut replay = Replay::new(lead_id(1), &playbook, &facts);
        let again = replay.until(now).unwrap();
        prop_assert_eq!(&again.ledger, &world.lead().ledger);
        prop_assert_eq!(&again.machines.withheld, &world.lead().machines.withheld);
        // And the lines of its explanation add up to the score.
        let explanation = explain(&playbook, &world.lead().view(now.day()));
        let sum: i64 = explanation.lines.iter().map(|line| line.points).sum();
        prop_assert_eq!(sum, i64::from(explanation.score.fit) + i64::from(explanation.score.engagement));
    }

    #[test]
    fn the_same_clicks_are_judged_whatever_the_order_in_which_they_arrive_within_a_minute(
        facts in what_happens(), order in any::<u64>(),
    ) {
        let playbook = with(None);
        let mut shuffled = facts.clone();
        shuffled.sort_by_cached_key(|fact| DeliveryId::new(&order.to_string(), &fact.delivery.to_string()));
        let judge = |facts: &[Incoming]| {
            let mut world = World::known(true, &playbook);
            facts.iter().for_each(|fact| world.take(fact, start().plus(60_000), &playbook));
            let judged: BTreeSet<DeliveryId> = facts_of(world.timeline.clone()).iter().filter(|incoming| {
                matches!(&incoming.fact, Fact::Activity(activity) if rule_of(activity).is_some())
            }).map(|incoming| incoming.delivery).collect();
            (judged, world.lead().ledger.clone(), world.lead().machines.withheld.clone())
        };
        let (one, other) = (judge(&facts), judge(&shuffled));
        prop_assert_eq!(&one, &other);
        let mut expected = machines(&facts);
        expected.extend(facts.iter().filter(|incoming| {
            matches!(&incoming.fact, Fact::Activity(activity) if rule_of(activity).is_some())
        }).map(|incoming| incoming.delivery));
        prop_assert_eq!(one.0, expected);
    }

    #[test]
    fn what_is_withheld_comes_back_with_a_playbook_that_lets_it_count(facts in what_happens()) {
        let (before, after) = (with(None), with(Some(&[])));
        let mut world = World::known(true, &before);
        facts.iter().for_each(|fact| world.take(fact, fact.occurred_at, &before));
        let refill = |lead: &Lead, from: &Playbook, to: &Playbook| {
            let known = from.signals.iter().map(|signal| signal.key).collect();
            let mut recount = Recount::new(to, &known, lead);
            world.timeline.iter().for_each(|entry| recount.take(entry));
            let now = start().plus(DAY_MS);
            let refilled = Some(recount.finish());
            review(lead, to, lead.playbook_version + 1, refilled, Pace::Hold, People::nobody(), now).unwrap().lead
        };
        let given = refill(world.lead(), &before, &after);
        let total = |lead: &Lead, playbook: &Playbook, id: &str| {
            let key = playbook.signals.iter().find(|signal| signal.id.as_str() == id).unwrap().key;
            lead.ledger.get(key).map_or(0, |counts| counts.total)
        };
        let clicks = facts.iter().filter(|incoming| {
            matches!(&incoming.fact, Fact::Activity(activity) if activity.kind == "email_clicked")
        });
        prop_assert_eq!(total(&given, &after, "clicks"), clicks.count() as u32);
        prop_assert!(given.machines.withheld.is_empty());
        let lines = explain(&after, &given.view(start().day())).lines;
        prop_assert!(lines.iter().all(|line| line.kind != LineKind::Withheld));
        let back = refill(&given, &after, &before);
        let stored = world.lead();
        prop_assert_eq!((&back.ledger, &back.machines.withheld), (&stored.ledger, &stored.machines.withheld));
    }
}

#[test]
fn a_scanner_that_follows_all_links_gets_no_points_and_the_explanation_says_which_were_withheld() {
    let playbook = with(None);
    let mut world = World::known(true, &playbook);
    world.take(&click(1, 0, 1), start(), &playbook);
    assert_eq!(world.engagement(&playbook), 34, "the first click looks like anybody's, a day old");
    world.take(&click(2, 400, 2), start().plus(400), &playbook);
    assert_eq!(world.engagement(&playbook), 0);
    let view = world.lead().view(start().day());
    let withheld: Vec<_> = explain(&playbook, &view)
        .lines
        .into_iter()
        .filter(|line| line.kind == LineKind::Withheld)
        .map(|line| (line.rule.unwrap().to_string(), line.points, line.because, line.basis))
        .collect();
    let basis = |points, n| Basis::Withheld { points, hits: vec![(Rule::ManyLinks, n)] };
    let clicked = "2 × Clicked, by machines (many_links)".to_owned();
    let priced = "1 × Prices, by machines (many_links)".to_owned();
    let expected = [("follows", clicked, basis(40, 2)), ("pays", priced, basis(15, 1))];
    let expected = expected.map(|(rule, because, basis)| (rule.to_owned(), 0, because, basis));
    assert_eq!(withheld, expected);
    // Another mail's links, or the same one again, are nobody's but a person's.
    let mut world = World::known(true, &playbook);
    world.take(&click(1, 0, 1), start(), &playbook);
    world.take(&click(2, 100, 1), start(), &playbook);
    world.take(&by_mail(3, start().plus(200), "email_clicked", 2, 2, None), start(), &playbook);
    world.take(&click(4, 100 + WITHIN_MS + 1, 3), start(), &playbook);
    let lines = explain(&playbook, &world.lead().view(start().day())).lines;
    assert!(lines.iter().all(|line| line.kind != LineKind::Withheld));
}

#[test]
fn a_machine_makes_nobody_a_lead_and_hands_nobody_over_and_a_person_does_once_no_other_click_came() {
    let playbook = with(None);
    let later = |ms| start().plus(ms);
    for responded in [false, true] {
        let mut world = World::known(responded, &playbook);
        let before = world.lead().stage;
        for n in 0..4_u8 {
            world.take(&click(n.into(), i64::from(n) * 300, n), later(i64::from(n) * 300), &playbook);
            world.tick(later(i64::from(n) * 300), &playbook);
        }
        world.tick(later(DAY_MS), &playbook);
        assert_eq!((world.lead().stage, world.handed()), (before, false), "responded: {responded}");

        let mut world = World::known(responded, &playbook);
        world.take(&click(0, 0, 1), later(0), &playbook);
        assert_eq!((world.lead().stage, world.handed()), (before, false), "it may yet be a machine's");
        let due = world.lead().due_at.unwrap();
        assert!(due >= later(SETTLES_MS) && due < later(SETTLES_MS + 1_000));
        // What is only said meanwhile does not hand it over either.
        world.take(&told(7, later(900), from_austria(false)), later(900), &playbook);
        world.tick(later(1_000), &playbook);
        assert!(!world.handed());
        world.tick(due, &playbook);
        assert_eq!((world.lead().stage, world.handed()), (Stage::MarketingQualified, true));
        assert_eq!(world.events.iter().filter(|kind| **kind == "handed_off").count(), 1);
        assert!(!world.lead().machines.clicks.iter().any(|click| click.waits));
    }
    // A form is a person's at once.
    let mut world = World::known(true, &playbook);
    world.take(&click(0, 0, 1), later(0), &playbook);
    let form = Capture {
        activity: Some(Activity { kind: "form_submitted".to_owned(), properties: [].into() }),
        responded: true,
        ..Capture::default()
    };
    world.take(&told(8, later(100), Fact::Captured(Box::new(form))), later(100), &playbook);
    assert!(world.handed());
}

#[test]
fn a_click_that_one_request_gives_away_is_no_response_and_gives_no_content() {
    let playbook = with(None);
    for (word, rule) in Rule::WORDS {
        let mut world = World::known(false, &playbook);
        let mut fact = by_mail(1, start(), "email_clicked", 1, 1, Some(*rule));
        let Fact::Activity(activity) = &mut fact.fact else { unreachable!() };
        activity.properties.insert("content".to_owned(), AttributeValue::Text("guide".to_owned()));
        activity.properties.insert("campaign".to_owned(), AttributeValue::Text("spring".to_owned()));
        world.take(&fact, start(), &playbook);
        let lead = world.lead();
        assert_eq!((lead.stage, lead.responded_at, lead.activities), (Stage::Contact, None, 1), "{word}");
        assert!(lead.ledger.is_empty() && lead.content.is_empty() && lead.touches.first.is_none(), "{word}");
        let effects = &world.timeline.last().unwrap().effects;
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::StageChanged { .. })), "{word}");
        // The same where the rule does not withhold.
        let others: Vec<&str> =
            Rule::WORDS.iter().map(|(word, _)| *word).filter(|other| other != word).collect();
        let playbook = with(Some(&others));
        let mut world = World::known(false, &playbook);
        world.take(&fact, start(), &playbook);
        world.tick(start().plus(SETTLES_MS + 1_000), &playbook);
        assert!(world.lead().responded_at.is_some() && !world.lead().ledger.is_empty(), "{word}");
        assert!(!world.lead().content.is_empty(), "{word}");
    }
}

#[test]
fn what_others_tell_is_judged_by_what_they_tell_and_names_nothing() {
    let playbook = with(None);
    let mut world = World::known(true, &playbook);
    world.take(&click(1, 0, 1), start(), &playbook);
    let named = world.timeline.last().unwrap().id.rsplit('-').next().unwrap().to_owned();
    let mut fact = click(2, 100, 2);
    fact.by = "page:contact".to_owned();
    let Fact::Activity(activity) = &mut fact.fact else { unreachable!() };
    activity.properties.insert("machine_also".to_owned(), AttributeValue::Text(named));
    world.take(&fact, start(), &playbook);
    assert!(world.lead().machines.withheld.is_empty(), "a page's script takes nothing back");
}

#[test]
fn a_changed_list_of_rules_changes_the_keys_of_signals_of_mails_only() {
    let key = |playbook: &Playbook, id: &str| {
        playbook.signals.iter().find(|signal| signal.id.as_str() == id).unwrap().key
    };
    let all: Vec<&str> = Rule::WORDS.iter().map(|(word, _)| *word).collect();
    let (default, said, none) = (with(None), with(Some(&all)), with(Some(&[])));
    for id in ["clicks", "prices", "opens"] {
        assert_eq!(key(&default, id), key(&said, id));
        assert_ne!(key(&default, id), key(&none, id));
    }
    assert_eq!(key(&default, "visit"), key(&none, "visit"));
}

#[test]
fn requests_are_told_by_the_first_rule_that_holds() {
    const PERSON: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
    let old = TOO_SOON_MS;
    let request = |agent| Request { agent: Some(agent), age_ms: old, ..Request::default() };
    let opens = |agent| Request { opens: true, ..request(agent) };
    for person in [
        PERSON,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
        "Mozilla/5.0 (Linux; Android 10; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
        "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.1.0",
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
        "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
    ] {
        assert_eq!((request(person).rule(), opens(person).rule()), (None, None), "{person}");
        assert_eq!(Request { age_ms: old - 1, ..request(person) }.rule(), Some(Rule::TooSoon));
        assert_eq!(Request { head: true, age_ms: 0, ..request(person) }.rule(), Some(Rule::Head));
    }
    for machine in [
        "",
        "  ",
        "Mozilla/5.0 (compatible; BarracudaSentinel/1.0)",
        "Mozilla/5.0 (compatible; ProofPoint URL Defense)",
        "Mimecast Link Protection",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "python-requests/2.32.3",
        "curl/8.4.0",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/139.0.0.0 Safari/537.36",
    ] {
        assert_eq!(request(machine).rule(), Some(Rule::KnownAgent), "{machine}");
    }
    assert_eq!(
        Request { age_ms: old, ..Request::default() }.rule(),
        Some(Rule::KnownAgent),
        "no name at all"
    );
    let gmail = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0";
    for proxy in ["Mozilla/5.0", gmail] {
        assert_eq!((opens(proxy).rule(), request(proxy).rule()), (Some(Rule::PrivacyProxy), None), "{proxy}");
    }
    for purpose in ["prefetch", "prefetch;prerender", "Preview"] {
        let ahead = Request { purposes: vec!["", purpose], ..request(PERSON) };
        assert_eq!(ahead.rule(), Some(Rule::Prefetch), "{purpose}");
    }
}
