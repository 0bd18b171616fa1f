//! No message without consent: over any history, a lead may be written to only where its owner's latest word says so and
//! nothing forbids it. What that means is written here a second time, from the history alone. And no flood of questions
//! either: whoever fills in forms in somebody's name, however often, has few mails sent to them.

use crate::case::{lead_id, playbook, yaml};
use domain::activity::Activity;
use domain::attribute::{AttributeName, AttributeValue, NewAttribute};
use domain::change::nurture::{MAIL, sent_fact};
use domain::change::{Capture, Fact, Incoming, Outcome, STALE_MS, Subject, decide};
use domain::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use domain::export::held_back;
use domain::identity::{AnonymousId, Email, ExternalId, Identity, Phone};
use domain::lead::Lead;
use domain::nurture::opt_in::{APART_MS, FORGOTTEN_MS, MOST, owed, owed_at, pending};
use domain::nurture::{Mail, Sending};
use domain::permission::{Refusal, may_write};
use domain::playbook::Playbook;
use domain::promise::People;
use domain::sales::{DeliveryId, Move};
use domain::stage::Stage;
use domain::suppression::{Reason, lifted};
use domain::time::{DAY_MS, HOUR_MS, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;

const DOCUMENT: &str = "
name: Consent
signals: []
fit: []
engagement: []
bands: {fit: {A: 60, B: 40, C: 20}, engagement: {1: 60, 2: 40, 3: 20}}
marketing_qualified: {labels: [A1]}
default_qualifier: eu-1
consent: {single_opt_in: [GB], soft_opt_in: [AT]}
";

fn agreed() -> Playbook {
    playbook(&yaml(DOCUMENT))
}

fn start() -> Timestamp {
    Timestamp::parse("2026-03-02T09:00:00Z").unwrap()
}

/// Something that may happen, said without the words of the domain's own reader.
#[derive(Clone, Debug)]
enum Event {
    /// A form was filled in, with boxes ticked.
    Form(Vec<Purpose>),
    /// Somebody with a token stated consent, of so many hours ago.
    Stated(Purpose, ConsentStatus, Basis, i64),
    /// An activity came, from somebody.
    Did(&'static str, &'static str, BTreeMap<&'static str, AttributeValue>),
    /// The address came onto the list.
    Listed(Reason),
    /// It was taken off.
    Lifted,
    /// The country became known, or another one.
    Country(&'static str),
    /// It bought, or left.
    Sales(bool),
}

fn purpose() -> impl Strategy<Value = Purpose> {
    // Mostly the one that matters, so that histories meet.
    prop_oneof![3 => Just(Purpose::Marketing), 1 => select(Purpose::WORDS).prop_map(|(_, purpose)| purpose)]
}

fn event() -> impl Strategy<Value = Event> {
    let text = |text: &str| AttributeValue::Text(text.to_owned());
    let who = || select(vec!["mail", "api:mailer", "page:contact", "form:contact", "suppression", "mailer"]);
    let stated = (
        purpose(),
        select(ConsentStatus::WORDS),
        prop_oneof![4 => Just(Basis::Consent), 1 => Just(Basis::SoftOptIn)],
        0_i64..300,
    );
    prop_oneof![
        4 => prop::collection::vec(purpose(), 1..3).prop_map(Event::Form),
        4 => stated.prop_map(|(purpose, (_, status), basis, ago)| Event::Stated(purpose, status, basis, ago)),
        2 => (who(), prop::option::of(purpose())).prop_map(move |(by, purpose)| {
            let purpose = purpose.map(|purpose| ("purpose", text(purpose.as_str())));
            Event::Did("unsubscribed", by, purpose.into_iter().collect())
        }),
        1 => who().prop_map(|by| Event::Did("email_complained", by, BTreeMap::new())),
        1 => (who(), any::<bool>()).prop_map(|(by, permanent)| {
            Event::Did("email_bounced", by, [("permanent", AttributeValue::Flag(permanent))].into())
        }),
        // What only the list may say, said by others.
        1 => who().prop_map(move |by| Event::Did("address_suppressed", by, [("reason", text("legal"))].into())),
        1 => who().prop_map(|by| Event::Did("suppression_lifted", by, BTreeMap::new())),
        1 => select(Reason::WORDS).prop_map(|(_, reason)| Event::Listed(reason)),
        1 => Just(Event::Lifted),
        1 => select(vec!["GB", "AT", "DE"]).prop_map(Event::Country),
        1 => any::<bool>().prop_map(Event::Sales),
    ]
}

fn consent(purpose: Purpose, status: ConsentStatus, basis: Basis, at: Timestamp) -> ConsentFact {
    ConsentFact { purpose, status, basis, text: Some("v1".to_owned()), source: None, at }
}

/// Makes the delivery that tells of an event.
/// What somebody is known by who has no address.
fn phone() -> Vec<Identity> {
    vec![Identity::Phone(Phone::parse("+436641234567").unwrap())]
}

fn delivered(n: usize, event: &Event, history: bool, now: Timestamp) -> Incoming {
    let mut capture = Capture::default();
    let (by, occurred_at, fact) = match event {
        Event::Form(purposes) => {
            let ticked = |purpose: &Purpose| consent(*purpose, ConsentStatus::Pending, Basis::Consent, now);
            capture.consents = purposes.iter().map(ticked).collect();
            capture.public = true;
            ("form:contact", now, Fact::Captured(Box::new(capture)))
        }
        Event::Stated(purpose, status, basis, ago) => {
            let at = now.plus(-ago * HOUR_MS);
            ("api:crm", at, Fact::Consent(consent(*purpose, *status, *basis, at)))
        }
        Event::Did(kind, by, properties) => {
            let properties =
                properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            (*by, now, Fact::Activity(Activity { kind: (*kind).to_owned(), properties }))
        }
        Event::Listed(reason) => return reason.fact(Some("anna"), None, now),
        Event::Lifted => return lifted("anna", "A mistake", now),
        Event::Country(code) => {
            let value = NewAttribute { value: AttributeValue::Text((*code).to_owned()), known_at: None };
            capture.attributes = [(AttributeName::parse("country").unwrap(), value)].into();
            ("api:crm", now, Fact::Captured(Box::new(capture)))
        }
        Event::Sales(bought) => {
            let deal = ExternalId::new("crm", &n.to_string()).unwrap();
            let what = if *bought { Move::Won { deal, amount: None } } else { Move::Churned };
            ("api:crm", now, Fact::Sales { what, by: None, note: None })
        }
    };
    let delivery = DeliveryId::new("test", &n.to_string());
    Incoming { delivery, occurred_at, history, by: by.to_owned(), strict: false, fact }
}

fn take(lead: Option<Lead>, fact: &Incoming, playbook: &Playbook, now: Timestamp) -> (Lead, Outcome) {
    let (subject, claims) = match lead {
        Some(lead) => (Subject::Existing(Box::new(lead)), Vec::new()),
        None => {
            let claims = vec![Identity::Email(Email::parse("ada@company.example").unwrap())];
            (Subject::New { id: lead_id(1), playbook_version: 1 }, claims)
        }
    };
    let facts = std::slice::from_ref(fact);
    let change = decide(subject, claims, &[], facts, playbook, People::nobody(), now);
    (change.lead, change.outcomes[0].clone())
}

/// The history as somebody would note it on paper: every statement with its time, and whether the address is on the list.
#[derive(Default)]
struct Paper {
    said: Vec<(Purpose, ConsentStatus, Timestamp)>,
    listed: Option<Reason>,
}

impl Paper {
    fn note(&mut self, event: &Event, country: Option<&str>, now: Timestamp) {
        let say = |paper: &mut Self, purpose, status, at| paper.said.push((purpose, status, at));
        match event {
            Event::Form(purposes) => {
                for purpose in purposes {
                    // A trusted form confirms, unless somebody said no and nobody confirmed it since.
                    let objected =
                        self.ever_said_no(*purpose) && !self.stands(*purpose, ConsentStatus::Confirmed);
                    let trusted = country == Some("GB") && !objected;
                    let status = if trusted { ConsentStatus::Confirmed } else { ConsentStatus::Pending };
                    say(self, *purpose, status, now);
                }
            }
            Event::Stated(purpose, status, _, ago) => say(self, *purpose, *status, now.plus(-ago * HOUR_MS)),
            Event::Did(kind, by, properties) => {
                let believed = *by == "mail" || *by == "api:mailer";
                let purpose = properties.get("purpose").map(ToString::to_string);
                let purpose = purpose.map_or(Purpose::Marketing, |word| {
                    Purpose::WORDS.iter().find(|(known, _)| *known == word).unwrap().1
                });
                if believed && matches!(*kind, "unsubscribed" | "email_complained") {
                    say(self, purpose, ConsentStatus::Withdrawn, now);
                }
                let dead = properties.get("permanent") == Some(&AttributeValue::Flag(true));
                self.listed = self.listed.max(match *kind {
                    "email_complained" if *by == "mail" => Some(Reason::Complained),
                    "email_bounced" if *by == "mail" && dead => Some(Reason::Bounced),
                    _ => None,
                });
            }
            Event::Listed(reason) => {
                let objected: &[Purpose] = match reason {
                    Reason::Unsubscribed | Reason::Complained => &[Purpose::Marketing],
                    Reason::Legal => {
                        &[Purpose::Marketing, Purpose::Tracking, Purpose::AdAudience, Purpose::Phone]
                    }
                    Reason::Bounced | Reason::Other => &[],
                };
                // What the list says once more is another no, of its own moment.
                self.listed = self.listed.max(Some(*reason));
                for purpose in objected {
                    say(self, *purpose, ConsentStatus::Withdrawn, now);
                }
            }
            Event::Lifted => self.listed = None,
            Event::Country(_) | Event::Sales(_) => {}
        }
    }

    fn times(&self, purpose: Purpose, status: ConsentStatus) -> impl Iterator<Item = Timestamp> + '_ {
        self.said.iter().filter(move |(p, s, _)| (*p, *s) == (purpose, status)).map(|(.., at)| *at)
    }

    /// Tells whether some statement of a status was never followed, or met, by a no.
    fn stands(&self, purpose: Purpose, status: ConsentStatus) -> bool {
        self.times(purpose, status)
            .any(|yes| self.times(purpose, ConsentStatus::Withdrawn).all(|no| no < yes))
    }

    fn ever_said_no(&self, purpose: Purpose) -> bool {
        self.times(purpose, ConsentStatus::Withdrawn).next().is_some()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn nobody_is_written_to_without_a_yes_that_stands_and_nobody_on_the_list(
        events in prop::collection::vec((event(), 0_i64..200, prop::bool::weighted(0.2)), 1..25),
    ) {
        let playbook = agreed();
        let (mut lead, mut now, mut paper) = (None, start(), Paper::default());
        let (first, _) = take(None, &delivered(0, &Event::Country("DE"), false, now), &playbook, now);
        lead.replace(first);
        let mut country = Some("DE");
        for (n, (event, hours, history)) in (1..).zip(&events) {
            now = now.plus(hours * HOUR_MS);
            let fact = delivered(n, event, *history, now);
            let (after, _) = take(lead.take(), &fact, &playbook, now);
            paper.note(event, country, now);
            if let Event::Country(code) = event {
                country = Some(code);
            }
            for (_, purpose) in Purpose::WORDS {
                let yes = paper.stands(*purpose, ConsentStatus::Confirmed);
                let bought = after.stage == Stage::Customer
                    && country == Some("AT")
                    && *purpose == Purpose::Marketing
                    && !paper.ever_said_no(*purpose);
                let may = may_write(&after, *purpose, &playbook);
                prop_assert_eq!(may.is_ok(), (yes || bought) && paper.listed.is_none(), "{:?} {:?}", purpose, may);
                let by_address = matches!(purpose, Purpose::Marketing | Purpose::AdAudience);
                let left_out = !yes || (by_address && paper.listed.is_some());
                prop_assert_eq!(held_back(&after, *purpose).is_some(), left_out, "{:?}", purpose);
            }
            lead = Some(after);
        }
    }

    #[test]
    fn nobody_is_flooded_with_questions_whatever_is_filled_in(
        events in prop::collection::vec((event(), 0_i64..120, prop::bool::weighted(0.2)), 1..60),
        tick in 1_i64..30,
    ) {
        let playbook = agreed();
        let (mut lead, _) = take(None, &delivered(0, &Event::Country("DE"), false, start()), &playbook, start());
        let (mut now, mut next_tick) = (start(), start());
        let mut asked: Vec<Timestamp> = Vec::new();
        let mut since_answer = 0;
        for (n, (event, hours, history)) in (1..).zip(&events) {
            let until = now.plus(hours * HOUR_MS);
            while next_tick <= until {
                let due = owed_at(&lead, next_tick);
                if owed(&lead, next_tick).is_some() {
                    prop_assert!(due.is_some_and(|due| due <= next_tick), "what is owed is due");
                    prop_assert!(lead.suppressed.is_none());
                    prop_assert!(!pending(&lead).is_empty());
                    for purpose in pending(&lead) {
                        prop_assert_eq!(lead.consents.status(purpose), Some(ConsentStatus::Pending));
                    }
                    let wanted = lead.opt_in.wanted_at.unwrap();
                    prop_assert!(asked.last().is_none_or(|last| *last < wanted), "asked twice about one statement");
                    prop_assert!(next_tick.since(wanted) <= STALE_MS, "asked too late");
                    if since_answer > 0 {
                        prop_assert!(next_tick.since(*asked.last().unwrap()) >= APART_MS, "twice on a day");
                    }
                    let sent = sent_fact(&lead, &Sending { at: next_tick, token: 7, mail: Mail::OptIn }, tick % 2 == 0);
                    (lead, _) = take(Some(lead), &sent, &playbook, next_tick);
                    asked.push(next_tick);
                    since_answer += 1;
                    let within_a_year = asked.iter().rev().take(since_answer)
                        .filter(|at| next_tick.since(**at) < FORGOTTEN_MS).count();
                    prop_assert!(within_a_year <= MOST, "{} mails that nobody answered", within_a_year);
                    prop_assert_eq!(owed(&lead, next_tick), None, "asked, and asks again");
                } else {
                    prop_assert!(due.is_none_or(|due| due > next_tick), "what is due is owed");
                }
                next_tick = next_tick.plus(tick * HOUR_MS);
            }
            now = until;
            let confirmed = |lead: &Lead| -> Vec<_> {
                Purpose::WORDS.iter().map(|(_, p)| lead.consents.0.get(p).and_then(|s| s.confirmed_at)).collect()
            };
            let (before, wanted) = (confirmed(&lead), lead.opt_in.wanted_at);
            let fact = delivered(n, event, *history, now);
            (lead, _) = take(Some(lead), &fact, &playbook, now);
            let quiet = *history || now.since(fact.occurred_at) > STALE_MS;
            if confirmed(&lead) != before && !quiet {
                since_answer = 0;
            }
            if quiet {
                prop_assert_eq!(lead.opt_in.wanted_at, wanted, "history asks for nothing");
            }
        }
    }
}

#[test]
fn each_refusal_says_why() {
    let playbook = agreed();
    let now = start();
    let why = |events: &[Event]| {
        let (mut lead, _) = take(None, &delivered(0, &Event::Country("AT"), false, now), &playbook, now);
        for (n, event) in (1..).zip(events) {
            (lead, _) = take(Some(lead), &delivered(n, event, false, now), &playbook, now);
        }
        may_write(&lead, Purpose::Marketing, &playbook)
    };
    let said = |status| Event::Stated(Purpose::Marketing, status, Basis::Consent, 0);
    assert_eq!(why(&[]), Err(Refusal::NeverAsked));
    assert_eq!(why(&[Event::Form(vec![Purpose::Marketing])]), Err(Refusal::Pending));
    assert_eq!(why(&[said(ConsentStatus::Confirmed)]), Ok(Basis::Consent));
    assert_eq!(why(&[said(ConsentStatus::Withdrawn)]), Err(Refusal::Withdrawn));
    assert_eq!(why(&[Event::Sales(true)]), Ok(Basis::SoftOptIn));
    assert_eq!(why(&[Event::Sales(true), said(ConsentStatus::Withdrawn)]), Err(Refusal::Withdrawn));
    assert_eq!(
        why(&[said(ConsentStatus::Confirmed), Event::Listed(Reason::Bounced)]),
        Err(Refusal::Suppressed(Reason::Bounced))
    );
    let (nobody, _) = (Subject::New { id: lead_id(2), playbook_version: 1 }, ());
    let fact = delivered(9, &said(ConsentStatus::Confirmed), false, now);
    let change = decide(nobody, Vec::new(), &[], &[fact], &playbook, People::nobody(), now);
    assert_eq!(may_write(&change.lead, Purpose::Marketing, &playbook), Err(Refusal::NoAddress));
}

#[test]
fn no_number_of_ticks_undoes_an_objection_where_ticks_are_trusted() {
    let (playbook, mut now) = (agreed(), start());
    let (mut lead, _) = take(None, &delivered(0, &Event::Country("GB"), false, now), &playbook, now);
    let tick = Event::Form(vec![Purpose::Marketing]);
    let said = |status| Event::Stated(Purpose::Marketing, status, Basis::Consent, 0);
    let events = [
        (tick.clone(), Ok(Basis::Consent)),
        (said(ConsentStatus::Withdrawn), Err(Refusal::Withdrawn)),
        (tick.clone(), Err(Refusal::Pending)),
        (tick.clone(), Err(Refusal::Pending)),
        (tick.clone(), Err(Refusal::Pending)),
        (said(ConsentStatus::Confirmed), Ok(Basis::Consent)),
        (tick, Ok(Basis::Consent)),
    ];
    for (n, (event, may)) in (1..).zip(&events) {
        now = now.plus(HOUR_MS);
        (lead, _) = take(Some(lead), &delivered(n, event, false, now), &playbook, now);
        assert_eq!(may_write(&lead, Purpose::Marketing, &playbook), *may, "after {n}: {event:?}");
    }
}

#[test]
fn what_was_confirmed_without_an_address_waits_where_a_stranger_may_have_typed_the_first_one() {
    let (playbook, now) = (agreed(), start());
    let yes = |purpose| {
        delivered(1, &Event::Stated(purpose, ConsentStatus::Confirmed, Basis::Consent, 5), false, now)
    };
    let called = |purpose| {
        let nobody = Subject::New { id: lead_id(1), playbook_version: 1 };
        decide(nobody, phone(), &[], &[yes(purpose)], &playbook, People::nobody(), now).lead
    };
    let gets = |lead: Lead, address: &str, public: bool| {
        let capture = Capture { public, ..Capture::default() };
        let fact = Incoming {
            delivery: DeliveryId::new("test", address),
            fact: Fact::Captured(Box::new(capture)),
            ..delivered(2, &Event::Form(Vec::new()), false, now)
        };
        let claims = vec![Identity::Email(Email::parse(address).unwrap())];
        decide(Subject::Existing(Box::new(lead)), claims, &[], &[fact], &playbook, People::nobody(), now).lead
    };
    for purpose in [Purpose::Marketing, Purpose::AdAudience] {
        let lead = gets(called(purpose), "ada@company.example", true);
        assert_eq!(may_write(&lead, purpose, &playbook), Err(Refusal::Pending), "anybody may have typed it");
        assert_eq!((owed(&lead, now), pending(&lead)), (Some(now), vec![purpose]), "its owner is asked");
        let said = |id, by: &str| Incoming {
            delivery: DeliveryId::new("test", id),
            occurred_at: now,
            by: by.to_owned(),
            ..yes(purpose)
        };
        let (lead, _) = take(Some(lead), &said("3", "api:crm"), &playbook, now);
        assert_eq!(may_write(&lead, purpose, &playbook), Err(Refusal::Pending), "of no such address");
        let (lead, _) = take(Some(lead), &said("4", MAIL), &playbook, now);
        let lead = gets(lead, "second@company.example", true);
        assert_eq!(
            may_write(&lead, purpose, &playbook),
            Ok(Basis::Consent),
            "confirmed, and not the first one"
        );
        let known = gets(called(purpose), "ada@company.example", false);
        assert_eq!(
            may_write(&known, purpose, &playbook),
            Ok(Basis::Consent),
            "somebody with a token knows it"
        );
    }
    let lead = gets(called(Purpose::Phone), "ada@company.example", true);
    assert_eq!(may_write(&lead, Purpose::Phone, &playbook), Ok(Basis::Consent), "calls need no address");
}

#[test]
fn what_the_owner_of_a_typed_address_said_and_that_it_is_dead_says_nothing_of_the_one_that_takes_its_place() {
    let (playbook, now) = (agreed(), start());
    let nobody = Subject::New { id: lead_id(1), playbook_version: 1 };
    let known = delivered(1, &Event::Country("DE"), false, now);
    let mut lead = decide(nobody, phone(), &[], &[known], &playbook, People::nobody(), now).lead;
    let gets = |lead: Lead, address: &str, fact: Incoming| {
        let claims = vec![Identity::Email(Email::parse(address).unwrap())];
        decide(Subject::Existing(Box::new(lead)), claims, &[], &[fact], &playbook, People::nobody(), now).lead
    };
    lead = gets(lead, "eve@evil.example", delivered(2, &Event::Form(vec![Purpose::Marketing]), false, now));
    let yes = Event::Stated(Purpose::Marketing, ConsentStatus::Confirmed, Basis::Consent, 0);
    let confirmed = Incoming { by: MAIL.to_owned(), ..delivered(3, &yes, false, now) };
    (lead, _) = take(Some(lead), &confirmed, &playbook, now);
    assert_eq!(may_write(&lead, Purpose::Marketing, &playbook), Ok(Basis::Consent));
    let dead = Event::Did("email_bounced", "mail", [("permanent", AttributeValue::Flag(true))].into());
    let (dead, _) = take(Some(lead.clone()), &delivered(4, &dead, false, now), &playbook, now);
    assert_eq!(dead.suppressed, Some(Reason::Bounced));
    let told = delivered(5, &Event::Country("AT"), false, now);
    for lead in [lead, dead] {
        let sure = gets(lead, "ada@company.example", told.clone());
        assert_eq!(may_write(&sure, Purpose::Marketing, &playbook), Err(Refusal::Pending));
        assert_eq!(owed(&sure, now), Some(now), "its own owner is asked");
    }
}

#[test]
fn who_bought_is_not_written_to_where_a_stranger_may_have_typed_the_first_address_until_its_owner_says_yes() {
    let (playbook, now) = (agreed(), start());
    let customer = || {
        let nobody = Subject::New { id: lead_id(1), playbook_version: 1 };
        let facts =
            [delivered(1, &Event::Country("AT"), false, now), delivered(2, &Event::Sales(true), false, now)];
        decide(nobody, phone(), &[], &facts, &playbook, People::nobody(), now).lead
    };
    let gets = |lead: Lead, address: &str, public: bool| {
        let capture = Capture { public, ..Capture::default() };
        let fact = Incoming {
            delivery: DeliveryId::new("test", address),
            fact: Fact::Captured(Box::new(capture)),
            ..delivered(3, &Event::Form(Vec::new()), false, now)
        };
        let claims = vec![Identity::Email(Email::parse(address).unwrap())];
        decide(Subject::Existing(Box::new(lead)), claims, &[], &[fact], &playbook, People::nobody(), now).lead
    };
    let may = |lead: &Lead| may_write(lead, Purpose::Marketing, &playbook);
    let soft = Ok(Basis::SoftOptIn);
    let typed = gets(customer(), "eve@evil.example", true);
    assert_eq!(may(&typed), Err(Refusal::NeverAsked), "anybody may have typed it");
    assert_eq!(owed(&typed, now), None, "and nobody is asked who ticked nothing");
    assert_eq!(may(&gets(customer(), "ada@company.example", false)), soft, "somebody with a token knows it");
    let second = gets(gets(customer(), "ada@company.example", false), "eve@evil.example", true);
    assert_eq!(may(&second), soft, "the first address is the one that is written to");
    // A tick alone changes nothing, nor what somebody with a token states of whom they know; what its owner confirms does.
    let (ticked, _) = take(
        Some(typed.clone()),
        &delivered(4, &Event::Form(vec![Purpose::Marketing]), false, now),
        &playbook,
        now,
    );
    assert_eq!(may(&ticked), Err(Refusal::Pending));
    for (basis, expected) in [(Basis::Consent, Ok(Basis::Consent)), (Basis::SoftOptIn, soft)] {
        let yes = Event::Stated(Purpose::Marketing, ConsentStatus::Confirmed, basis, 0);
        let later = now.plus(HOUR_MS);
        let stated = delivered(5, &yes, false, later);
        let (asked, _) = take(Some(ticked.clone()), &stated, &playbook, later);
        assert_eq!((may(&asked), owed(&asked, later)), (Err(Refusal::Pending), Some(later)));
        let confirmed = Incoming { by: MAIL.to_owned(), ..stated };
        let (sure, _) = take(Some(ticked.clone()), &confirmed, &playbook, later);
        assert_eq!(may(&sure), expected);
    }
    // What somebody with a token brings takes its place, and the other stays known.
    let sure = gets(typed.clone(), "ada@company.example", false);
    assert_eq!((sure.email().map(Email::as_str), may(&sure)), (Some("ada@company.example"), soft));
    let kinds: Vec<&str> = sure.identities.iter().map(Identity::kind).collect();
    assert_eq!(kinds, ["email", "email", "phone"]);
    let third = gets(sure, "third@company.example", false);
    assert_eq!(third.email().map(Email::as_str), Some("ada@company.example"), "the first that is sure stays");
    // Whom nothing but a browser's id stood for is whoever fills in its form.
    let nobody = Subject::New { id: lead_id(1), playbook_version: 1 };
    let seen =
        [delivered(1, &Event::Country("AT"), false, now), delivered(2, &Event::Sales(true), false, now)];
    let browser = vec![Identity::Anonymous(AnonymousId::parse("v-browser-0-0123").unwrap())];
    let seen = decide(nobody, browser, &[], &seen, &playbook, People::nobody(), now).lead;
    assert_eq!(may(&gets(seen, "ada@company.example", true)), soft);
    // Who was known by the form's own address from the start bought as whoever it is.
    let (own, _) = take(None, &delivered(0, &Event::Form(Vec::new()), false, now), &playbook, now);
    let (own, _) = take(Some(own), &delivered(1, &Event::Country("AT"), false, now), &playbook, now);
    let (own, _) = take(Some(own), &delivered(2, &Event::Sales(true), false, now), &playbook, now);
    assert_eq!(may(&own), soft);
}

#[test]
fn what_the_list_said_before_says_nothing_new_and_the_weightier_reason_stays() {
    let (playbook, now) = (agreed(), start());
    let (lead, _) = take(None, &delivered(0, &Event::Country("DE"), false, now), &playbook, now);
    let (lead, first) = take(Some(lead), &Reason::Legal.fact(None, None, now), &playbook, now);
    assert!(matches!(first, Outcome::Updated { .. }));
    let later = now.plus(DAY_MS);
    for (reason, at) in [(Reason::Legal, now), (Reason::Unsubscribed, now), (Reason::Bounced, later)] {
        let (same, outcome) = take(Some(lead.clone()), &reason.fact(None, None, at), &playbook, later);
        assert_eq!((same, outcome), (lead.clone(), Outcome::Unchanged));
    }
    // A mail that bounces is a fact all the same; the reason stays.
    let dead = Event::Did("email_bounced", "mail", [("permanent", AttributeValue::Flag(true))].into());
    let (bounced, outcome) = take(Some(lead.clone()), &delivered(5, &dead, false, later), &playbook, later);
    assert!(matches!(outcome, Outcome::Updated { .. }));
    assert_eq!(bounced.suppressed, Some(Reason::Legal));
    let (free, _) = take(Some(bounced), &lifted("anna", "Asked us to", later), &playbook, later);
    assert_eq!(free.suppressed, None);
    let (_, outcome) = take(Some(free), &lifted("anna", "Asked us to", later.plus(1)), &playbook, later);
    assert_eq!(outcome, Outcome::Unchanged);
}

#[test]
fn a_later_no_by_the_list_beats_a_yes_from_before_it_whichever_comes_first() {
    let (playbook, now) = (agreed(), start());
    let (lead, _) = take(None, &delivered(0, &Event::Country("DE"), false, now), &playbook, now);
    let at = |hours: i64| now.plus(hours * HOUR_MS);
    let listed = |hours| Reason::Unsubscribed.fact(None, None, at(hours));
    let free = |hours| lifted("anna", "Asked us to", at(hours));
    let yes = |hours: i64, told: i64| {
        let event = Event::Stated(Purpose::Marketing, ConsentStatus::Confirmed, Basis::Consent, told - hours);
        delivered(1, &event, false, at(told))
    };
    let may = |facts: &[Incoming]| {
        let told = facts.iter().fold(lead.clone(), |lead, fact| {
            let (lead, _) = take(Some(lead), fact, &playbook, at(20));
            lead
        });
        may_write(&told, Purpose::Marketing, &playbook)
    };
    let (no, ok) = (Err(Refusal::Withdrawn), Ok(Basis::Consent));
    // Listed, a yes in between, listed again: in the order of the day, and with the yes coming late, before and after the end.
    assert_eq!(may(&[listed(1), yes(2, 2), listed(3), free(9)]), no);
    assert_eq!(may(&[listed(1), listed(3), yes(2, 4), free(9)]), no);
    assert_eq!(may(&[listed(1), listed(3), free(9), yes(2, 10)]), no);
    // With the first listing lifted before.
    assert_eq!(may(&[listed(1), free(2), yes(3, 3), listed(4), free(9)]), no);
    assert_eq!(may(&[listed(1), free(2), listed(4), yes(3, 5), free(9)]), no);
    assert_eq!(may(&[listed(1), free(2), listed(4), free(9), yes(3, 10)]), no);
    // And a yes after the last no is one.
    assert_eq!(may(&[listed(1), listed(3), yes(4, 5), free(9)]), ok);
    assert_eq!(may(&[listed(1), listed(3), free(9), yes(4, 10)]), ok);
}
