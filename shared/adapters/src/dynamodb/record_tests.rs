//! What is stored reads back equal, stays small, and where it is damaged says so.
//!
//! Not proved here: that DynamoDB gives back what it was given. The store contract does that against the database.
//!
//! [`generators`] make any lead and entry that the types allow, also ones that the rules would never produce; other
//! tests of this crate may use them.

use super::super::item::number_size;
use super::super::{entry_record, keys};
use super::{CorruptRecord, from_item, item_size, to_item};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Stored;
use domain::activity::Activity;
use domain::attribute::{Attribute, AttributeName, AttributeValue, NewAttribute};
use domain::change::{Effect, Entry, Event, EventKind, Fact, entry_id};
use domain::consent::{ConsentState, Consents, Purpose};
use domain::identity::{AnonymousId, Email, ExternalId, Identity, LeadId, Slug};
use domain::lead::{Company, Had, HadBy, Lead, MOST_CONTENT, MOST_CONTENT_BYTES, Touch, Touches};
use domain::ledger::{Ledger, SignalKey};
use domain::machine::Machines;
use domain::member::Members;
use domain::nurture::opt_in::OptIn;
use domain::nurture::{Enrolment, Nurture};
use domain::phase::Phase;
use domain::reason::Reason;
use domain::sales::{DeliveryId, Move, SalesFact};
use domain::score::{Label, Score};
use domain::stage::Stage;
use domain::time::{DAY_MS, Day, HOUR_MS, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[path = "record_tests/generators.rs"]
pub(crate) mod generators;

/// Makes numbers as a client gets them back from DynamoDB: without exponent.
fn as_given_back(value: &Stored) -> Stored {
    match value {
        Stored::N(n) => Stored::N(plain(n)),
        Stored::M(map) => Stored::M(map.iter().map(|(name, v)| (name.clone(), as_given_back(v))).collect()),
        Stored::L(values) => Stored::L(values.iter().map(as_given_back).collect()),
        Stored::Ss(texts) => Stored::Ss(texts.iter().rev().cloned().collect()),
        other => other.clone(),
    }
}

fn plain(n: &str) -> String {
    let Some((mantissa, exponent)) = n.split_once('e') else { return n.to_owned() };
    let exponent: i32 = exponent.parse().unwrap();
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{whole}{fraction}{}", "0".repeat(140), "0".repeat(140));
    let (before, after) = digits.split_at(usize::try_from(140 + 1 + exponent).unwrap());
    let text = format!("{sign}{}.{after}", before.trim_start_matches('0'));
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

proptest! {
    #[test]
    fn a_lead_reads_back_as_it_was(lead in generators::lead()) {
        let item = to_item(&lead);
        prop_assert_eq!(&from_item(&item).unwrap(), &lead);
        let Stored::M(given_back) = as_given_back(&Stored::M(item.clone())) else { unreachable!() };
        prop_assert_eq!(&from_item(&given_back).unwrap(), &lead);
        prop_assert_eq!(item_size(&given_back), item_size(&item));
    }

    #[test]
    fn an_entry_reads_back_as_it_was(
        entry in generators::entry(),
        expires_at in proptest::option::of(generators::time()),
    ) {
        let item = entry_record::to_item("aaaaaaaaaaaaaaaaaaaaaaaaaa", &entry, expires_at);
        prop_assert_eq!(entry_record::from_item(&item).unwrap(), entry);
        prop_assert_eq!(item.contains_key(keys::EXPIRES_AT), expires_at.is_some());
    }

    #[test]
    fn a_number_reads_back_to_the_last_bit(bits in any::<u64>()) {
        let n = f64::from_bits(bits);
        let mut lead = typical_lead();
        lead.attributes.retain(|_, attribute| matches!(attribute.value, AttributeValue::Number(_)));
        lead.attributes.values_mut().for_each(|attribute| attribute.value = AttributeValue::Number(n));
        let same = |value: &AttributeValue| match value {
            AttributeValue::Number(read) => read.to_bits() == bits || (read.is_nan() && n.is_nan()),
            _ => false,
        };
        prop_assert!(from_item(&to_item(&lead)).unwrap().attributes.values().all(|a| same(&a.value)));
        let mut entry = typical_entry();
        entry.fact = Fact::Activity(Activity {
            kind: "weighed".into(),
            properties: BTreeMap::from([("n".into(), AttributeValue::Number(n))]),
        });
        let read = entry_record::from_item(&entry_record::to_item("", &entry, None)).unwrap();
        let Fact::Activity(read) = read.fact else { unreachable!() };
        prop_assert!(same(&read.properties["n"]));
    }

    #[test]
    fn a_damaged_lead_is_an_error_or_a_lead_and_never_a_panic(
        lead in generators::lead(),
        at in any::<prop::sample::Index>(),
        damage in damage(),
    ) {
        let mut item = to_item(&lead);
        damage_one(&mut item, at, damage);
        if let Ok(read) = from_item(&item) {
            // What could be read is a lead like any other.
            prop_assert_eq!(from_item(&to_item(&read)).unwrap(), read);
        }
    }

    #[test]
    fn a_damaged_entry_is_an_error_or_an_entry_and_never_a_panic(
        entry in generators::entry(),
        at in any::<prop::sample::Index>(),
        damage in damage(),
    ) {
        let mut item = entry_record::to_item("aaaaaaaaaaaaaaaaaaaaaaaaaa", &entry, None);
        damage_one(&mut item, at, damage);
        if let Ok(read) = entry_record::from_item(&item) {
            prop_assert_eq!(entry_record::from_item(&entry_record::to_item("", &read, None)).unwrap(), read);
        }
    }
}

#[derive(Clone, Debug)]
enum Harm {
    Removed,
    Replaced(Stored),
    /// One byte of a text, number or binary is another, or the rest behind it is gone.
    Changed(prop::sample::Index, Option<u8>),
}

fn damage() -> impl Strategy<Value = Harm> {
    let other = prop_oneof![
        Just(Stored::Null(true)),
        Just(Stored::Bool(false)),
        "\\PC{0,8}".prop_map(Stored::S),
        "[0-9a-z.-]{0,30}".prop_map(Stored::N),
        any::<Vec<u8>>().prop_map(|bytes| Stored::B(Blob::new(bytes))),
        Just(Stored::L(vec![Stored::Null(true)])),
        Just(Stored::L(vec![Stored::M(HashMap::new())])),
        Just(Stored::M(HashMap::new())),
        Just(Stored::M(HashMap::from([("marketing".to_owned(), Stored::S("1".into()))]))),
        Just(Stored::Ss(vec!["?".into()])),
    ];
    prop_oneof![
        1 => Just(Harm::Removed),
        1 => other.prop_map(Harm::Replaced),
        4 => (any::<prop::sample::Index>(), proptest::option::of(any::<u8>()))
            .prop_map(|(at, byte)| Harm::Changed(at, byte)),
    ]
}

fn damage_one(item: &mut HashMap<String, Stored>, at: prop::sample::Index, harm: Harm) {
    let mut names: Vec<String> = item.keys().cloned().collect();
    names.sort();
    let name = at.get(&names);
    match harm {
        Harm::Removed => {
            item.remove(name);
        }
        Harm::Replaced(value) => {
            item.insert(name.clone(), value);
        }
        Harm::Changed(place, byte) => change(item.get_mut(name).unwrap(), place, byte),
    }
}

fn change(value: &mut Stored, place: prop::sample::Index, byte: Option<u8>) {
    let harmed = |mut bytes: Vec<u8>| {
        if !bytes.is_empty() {
            let at = place.index(bytes.len());
            match byte {
                Some(byte) => bytes[at] = byte,
                None => bytes.truncate(at),
            }
        }
        bytes
    };
    match value {
        Stored::S(text) | Stored::N(text) => {
            *text = String::from_utf8_lossy(&harmed(text.clone().into_bytes())).into_owned();
        }
        Stored::B(blob) => *blob = Blob::new(harmed(blob.as_ref().to_vec())),
        Stored::M(map) => {
            if let Some(inner) = map.values_mut().next() {
                change(inner, place, byte);
            }
        }
        Stored::L(values) => {
            if let Some(inner) = values.first_mut() {
                change(inner, place, byte);
            }
        }
        _ => {}
    }
}

fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

/// A lead as a company of some size has many: 12 attributes from a form and from enrichment, an e-mail address and an
/// id in the CRM, two consents, two touches, 10 activities over 6 signals, 3 segments.
pub(crate) fn typical_lead() -> Lead {
    let created_at = Timestamp::parse("2026-02-01T09:12:44.123Z").unwrap();
    let enriched_at = created_at.plus(3 * DAY_MS + 7_123_456);
    let text = |text: &str| AttributeValue::Text(text.to_owned());
    let attributes = [
        ("annual_revenue", AttributeValue::Number(12_500_000.0), enriched_at, "import"),
        ("city", text("Salzburg"), created_at, "form:contact"),
        ("company_size", AttributeValue::Number(120.0), created_at, "form:contact"),
        ("country", text("AT"), created_at, "form:contact"),
        ("department", text("Sales"), enriched_at, "import"),
        ("first_name", text("Annemarie"), created_at, "form:contact"),
        ("has_budget", AttributeValue::Flag(true), enriched_at, "sales"),
        ("industry", text("manufacturing"), enriched_at, "import"),
        ("job_title", text("Head of Sales Operations"), created_at, "form:contact"),
        ("language", text("de"), created_at, "form:contact"),
        ("last_name", text("Hinterberger"), created_at, "form:contact"),
        ("seniority", text("director"), enriched_at, "import"),
    ];
    let mut ledger = Ledger::default();
    // Ten activities within three weeks; a form counts for one signal, a pricing view for two.
    for (signal, day) in [(1, 0), (2, 0), (2, 1), (3, 1), (2, 4), (4, 4), (5, 9), (2, 12), (3, 12), (6, 20)] {
        ledger.add(SignalKey(signal * 2_654_435 % 0x0100_0000), created_at.day().plus(day), 1);
    }
    let touch = |at: Timestamp, channel: &str, campaign: &str, page: &str| {
        Some(Touch {
            at,
            channel: Some(channel.into()),
            campaign: Some(campaign.into()),
            landing_page: Some(page.into()),
        })
    };
    let consent = |pending: Option<Timestamp>, at, text: &str| ConsentState {
        pending_at: pending,
        confirmed_at: Some(at),
        text: Some(text.into()),
        source: Some("form:contact".into()),
        ..ConsentState::default()
    };
    Lead {
        id: LeadId::from_bytes([0x5a; 16]),
        version: 11,
        playbook_version: 4,
        identities: vec![
            Identity::External(ExternalId::new("crm", "00Q5g00000ABCdE").unwrap()),
            Identity::Email(Email::parse("annemarie.hinterberger@maschinenbau.example").unwrap()),
        ],
        company: Company {
            name: Some("Maschinenbau Salzburg GmbH".into()),
            domain: Some("maschinenbau.example".into()),
            external_id: None,
        },
        attributes: attributes
            .into_iter()
            .map(|(name, value, set_at, by)| {
                let attribute = Attribute { value, set_at, set_by: by.into(), known_at: None };
                (AttributeName::parse(name).unwrap(), attribute)
            })
            .collect(),
        consents: Consents(BTreeMap::from([
            (Purpose::Marketing, consent(Some(created_at), created_at.plus(HOUR_MS), "v3")),
            (Purpose::Tracking, consent(None, created_at, "cookies-v2")),
        ])),
        opt_in: OptIn { wanted_at: Some(created_at), asked: Vec::new(), typed: true },
        suppressed: None,
        touches: Touches {
            first: touch(created_at, "paid_search", "spring", "lp-7"),
            latest: touch(created_at.plus(20 * DAY_MS), "email", "webinar-march", "webinar"),
            ..Touches::default()
        },
        created_at,
        responded_at: Some(created_at),
        was_customer: false,
        sales: Vec::new(),
        withdrawn: Vec::new(),
        activities: 10,
        ledger,
        counts_from: None,
        ledger_since: Ledger::default(),
        machines: Machines::default(),
        score: Score { fit: 62, engagement: 35, label: Label::parse("B3").unwrap() },
        ready: false,
        held_for: None,
        stage: Stage::Inquiry,
        stage_since: created_at,
        cycle: 1,
        person: None,
        person_since: None,
        promise_due_at: None,
        to_assign: None,
        persona: Some(slug("plant-manager")),
        phase: Some(Phase::Consideration),
        segments: ["dach-manufacturing", "newsletter", "webinar-guests"].map(slug).into(),
        content: [(slug("buyers-guide"), Had { on: Day(20_590), by: HadBy::Mail })].into(),
        due_at: Some(Day(20_600).start()),
        recent: (0..10).map(|n| DeliveryId::new("form", &n.to_string())).collect(),
        members: Members::default(),
        nurture: Nurture {
            program: Some(slug("warm-up")),
            enrolments: [(
                slug("warm-up"),
                Enrolment {
                    eligible_at: created_at.plus(HOUR_MS),
                    held_out: false,
                    share: 10,
                    persona: Some(slug("plant-manager")),
                    phase: Some(Phase::Awareness),
                    entered_at: created_at.plus(HOUR_MS),
                    left: None,
                    messages: 3,
                },
            )]
            .into(),
            messages: 4,
            sent: (1..4).map(|week| created_at.plus(week * 7 * DAY_MS)).collect(),
            unanswered: 1,
            reacted_at: Some(created_at.plus(15 * DAY_MS)),
            next_at: Some(created_at.plus(28 * DAY_MS)),
            ..Nurture::default()
        },
        possible_duplicates: BTreeSet::new(),
    }
}

/// An activity that moved the score.
pub(crate) fn typical_entry() -> Entry {
    let at = Timestamp::parse("2026-02-21T09:12:44.123Z").unwrap();
    let score = |fit, engagement, label| Score { fit, engagement, label: Label::parse(label).unwrap() };
    Entry {
        id: entry_id(at, DeliveryId::new("api", "1")),
        at,
        recorded_at: at.plus(312),
        by: "api:website".into(),
        history: false,
        fact: Fact::Activity(Activity {
            kind: "page_viewed".into(),
            properties: BTreeMap::from([
                ("path".into(), AttributeValue::Text("/pricing".into())),
                ("seconds".into(), AttributeValue::Number(48.0)),
            ]),
        }),
        effects: vec![
            Effect::ScoreChanged { old: Some(score(62, 35, "B3")), new: score(62, 45, "B2") },
            Effect::SegmentEntered {
                segment: slug("looked-at-pricing"),
                because: vec![Reason { part: 1, answer: Some(true) }],
            },
        ],
        playbook_version: 4,
    }
}

/// The same lead, just handed over: with an owner, a running promise and its first sales fact.
fn handed_over() -> Lead {
    let mut lead = typical_lead();
    let at = lead.created_at.plus(20 * DAY_MS);
    let due = at.plus(24 * HOUR_MS);
    lead.stage = Stage::MarketingQualified;
    lead.stage_since = at;
    lead.ready = true;
    lead.person = Some(slug("at-1"));
    lead.promise_due_at = Some(due);
    let what = Move::MarketingQualified { owner: slug("at-1"), promise_due_at: due };
    lead.sales.push(SalesFact { at, id: DeliveryId::default(), by: None, what, ends: false });
    lead
}

#[test]
fn a_typical_lead_takes_at_most_1000_bytes_and_its_ledger_at_most_100() {
    let item = to_item(&typical_lead());
    let mut parts: Vec<(usize, &str)> = item
        .iter()
        .map(|(name, value)| (item_size(&HashMap::from([(name.clone(), value.clone())])), name.as_str()))
        .collect();
    parts.sort_unstable();
    assert!(item_size(&item) <= 1_000, "{} bytes: {parts:?}", item_size(&item));
    assert!(typical_lead().ledger.encode().len() <= 100);
    assert!(parts.iter().map(|(size, _)| size).sum::<usize>() == item_size(&item));
}

#[test]
fn a_lead_of_no_program_stays_within_one_write_unit_when_it_is_handed_over_and_any_typical_one_within_1_200_bytes_when_its_memory_is_full()
 {
    let mut lead = typical_lead();
    lead.recent = (0..32).map(|n| DeliveryId::new("form", &n.to_string())).collect();
    assert!(item_size(&to_item(&lead)) <= 1_200, "{}", item_size(&to_item(&lead)));
    let nurtured = handed_over();
    assert!(item_size(&to_item(&nurtured)) <= 1_120, "{}", item_size(&to_item(&nurtured)));
    let never = Lead { nurture: Nurture::default(), ..nurtured };
    assert!(item_size(&to_item(&never)) <= 1_024, "{}", item_size(&to_item(&never)));
}

#[test]
fn a_lead_with_as_many_touches_as_it_keeps_stays_within_1300_bytes_and_within_3000_where_names_are_long() {
    let mut lead = typical_lead();
    for n in 0..60 {
        // Two a week for half a year: six campaigns of two channels, each with a landing page of its own.
        let campaign = n / 10;
        lead.touches.take(Touch {
            at: lead.created_at.plus(n * 84 * HOUR_MS),
            channel: Some(if campaign % 2 == 0 { "paid_search" } else { "email" }.into()),
            campaign: Some(format!("spring-{campaign}")),
            landing_page: Some(format!("lp-{campaign}")),
        });
    }
    assert!(lead.touches.between.len() <= domain::touch::MOST_BETWEEN);
    assert!(item_size(&to_item(&lead)) <= 1_300, "{}", item_size(&to_item(&lead)));
    // Twenty-four sources with names as long as people make them.
    let mut lead = typical_lead();
    for n in 0..26 {
        lead.touches.take(Touch {
            at: lead.created_at.plus(n * DAY_MS),
            channel: Some("paid_social".into()),
            campaign: Some(format!("2026-q1-emea-awareness-{n:02}")),
            landing_page: Some(format!("lp-white-paper-{n:02}")),
        });
    }
    assert!(item_size(&to_item(&lead)) <= 3_000, "{}", item_size(&to_item(&lead)));
}

#[test]
fn an_item_from_before_touches_in_between_were_kept_reads_as_it_did() {
    let mut lead = typical_lead();
    let before = to_item(&lead);
    assert!(!before.contains_key("tm"));
    assert_eq!(from_item(&before).unwrap(), lead);
    let between = Touch { at: lead.created_at.plus(DAY_MS), ..lead.touches.first.clone().unwrap() };
    lead.touches.take(between);
    let mut item = to_item(&lead);
    assert_eq!(from_item(&item).unwrap(), lead);
    // What it holds is read to its last byte or not at all.
    for bytes in [&[9][..], &[0, 1], &[0, 0, 0], &[0, 1, 0, 0, 0, 0], &[0, 1, 3, b'x']] {
        item.insert("tm".to_owned(), Stored::B(Blob::new(bytes)));
        assert!(from_item(&item).unwrap_err().to_string().contains("tm"), "{bytes:?}");
    }
}

#[test]
fn a_lead_with_much_sales_history_stays_within_4_kb() {
    let mut lead = handed_over();
    lead.recent = (0..32).map(|n| DeliveryId::new("form", &n.to_string())).collect();
    let deal = ExternalId::new("crm", "0065g00000XYZab").unwrap();
    for n in 0..24 {
        let what = match n % 4 {
            0 => Move::Accepted,
            1 => Move::Opportunity { deal: deal.clone(), amount: None },
            2 => Move::Lost { deal: Some(deal.clone()), reason: Some("price".into()) },
            _ => Move::Assigned { to: slug("at-2"), promise_due_at: None },
        };
        lead.sales.push(SalesFact {
            at: lead.created_at.plus(n * DAY_MS),
            id: DeliveryId::default(),
            by: Some(slug("at-1")),
            what,
            ends: false,
        });
    }
    assert!(item_size(&to_item(&lead)) <= 4_096, "{}", item_size(&to_item(&lead)));
}

#[test]
fn a_lead_that_had_all_the_content_it_remembers_stays_within_4_kb_and_with_usual_ids_within_3() {
    let full = |length: usize| {
        let mut lead = typical_lead();
        let had = Had { on: lead.created_at.day().plus(9_999), by: HadBy::MailAndForm };
        let ids = (0..MOST_CONTENT).map(|n| slug(&format!("{n:02}{}", "x".repeat(length - 2))));
        lead.content = ids.map(|id| (id, had)).collect();
        assert!(lead.content.keys().map(|id| id.as_str().len()).sum::<usize>() <= MOST_CONTENT_BYTES);
        let item = to_item(&lead);
        assert_eq!(from_item(&item).unwrap(), lead);
        item_size(&item)
    };
    assert!(full(22) <= 3_072 && full(40) <= 4_096, "{} {}", full(22), full(40));
}

#[test]
fn content_from_before_its_ways_were_kept_is_the_leads_own_and_nonsense_is_damage() {
    let mut item = to_item(&typical_lead());
    assert!(item.remove("cw").is_some());
    assert!(from_item(&item).unwrap().content.values().all(|had| had.by == HadBy::Own));
    for wrong in [vec![1, 1], vec![9]] {
        item.insert("cw".to_owned(), Stored::B(Blob::new(wrong)));
        assert!(from_item(&item).is_err());
    }
    let mut own = typical_lead();
    own.content.values_mut().for_each(|had| had.by = HadBy::Own);
    assert!(!to_item(&own).contains_key("cw"), "what says nothing is not stored");
}

#[test]
fn a_typical_activity_takes_at_most_500_bytes() {
    let item = entry_record::to_item(typical_lead().id.as_str(), &typical_entry(), None);
    assert!(item_size(&item) <= 500, "{} bytes: {item:?}", item_size(&item));
}

#[test]
fn the_attributes_of_indexes_are_there_only_where_they_belong() {
    let mut lead = typical_lead();
    lead.due_at = None;
    let item = to_item(&lead);
    for name in [keys::DUE_AT, keys::DUE_SHARD, keys::OWNER, keys::PROMISE_DUE_AT] {
        assert!(!item.contains_key(name), "{name}");
    }

    lead.held_for = Some(Slug::parse("at-1").unwrap());
    let item = to_item(&lead);
    assert_eq!(item[keys::OWNER], Stored::S("~at-1".into()), "in nobody's inbox");
    assert_eq!(item[keys::PROMISE_DUE_AT], Stored::N("103".into()), "200 less fit 62 and engagement 35");
    assert_eq!(from_item(&item).unwrap(), lead);

    let mut lead = handed_over();
    lead.due_at = Some(Timestamp::from_millis(1_790_000_000_999));
    let item = to_item(&lead);
    assert_eq!(item[keys::DUE_AT], Stored::N("1790000000".into()));
    assert_eq!(item[keys::DUE_SHARD], Stored::N(keys::shard_of(&lead).to_string()));
    assert_eq!(item[keys::OWNER], Stored::S("at-1".into()));
    assert_eq!(item[keys::PROMISE_DUE_AT], Stored::N(lead.promise_due_at.unwrap().secs().to_string()));
    assert_eq!(item[keys::LABEL], Stored::S("B3".into()));
    assert_eq!(item[keys::STAGE], Stored::S("marketing_qualified".into()));

    lead.promise_due_at = None;
    lead.person = None;
    let item = to_item(&lead);
    assert_eq!(item[keys::PROMISE_DUE_AT], Stored::N("253402300799".into()));
    assert_eq!(item[keys::OWNER], Stored::S("-".into()));
    assert_eq!(from_item(&item).unwrap(), lead);
}

#[test]
fn attribute_values_are_readable_in_the_console() {
    let item = to_item(&typical_lead());
    let values = item["a"].as_m().unwrap();
    assert_eq!(values["company_size"], Stored::N("120".into()));
    assert_eq!(values["job_title"], Stored::S("Head of Sales Operations".into()));
    assert_eq!(values["has_budget"], Stored::Bool(true));
}

#[test]
fn attributes_of_a_later_version_are_ignored_and_optional_ones_may_be_missing() {
    let mut item = to_item(&typical_lead());
    item.insert("zz".into(), Stored::M(HashMap::new()));
    assert_eq!(from_item(&item).unwrap(), typical_lead());

    let needed = [keys::LEAD_ID, keys::VERSION, keys::LABEL, keys::STAGE, "ct", "pv"];
    item.retain(|name, _| needed.contains(&name.as_str()));
    let lead = from_item(&item).unwrap();
    assert_eq!((lead.cycle, lead.stage_since, lead.activities), (1, lead.created_at, 0));
    for name in needed {
        let mut item = item.clone();
        item.remove(name);
        assert_eq!(from_item(&item).unwrap_err().place, name);
    }

    let mut entry = entry_record::to_item("aaaaaaaaaaaaaaaaaaaaaaaaaa", &typical_entry(), None);
    entry.insert("zz".into(), Stored::Null(true));
    assert_eq!(entry_record::from_item(&entry).unwrap(), typical_entry());
}

#[test]
fn an_error_says_what_is_damaged_where_and_repeats_nothing_of_it() {
    let lead = typical_lead();
    let mut item = to_item(&lead);
    item.insert("i".into(), Stored::L(vec![Stored::S("@ada at example.com".into())]));
    assert_eq!(
        from_item(&item).unwrap_err().to_string(),
        format!(
            "the stored record of lead {} is damaged: attribute i does not read as what it should hold",
            lead.id
        )
    );

    let mut item = entry_record::to_item(lead.id.as_str(), &typical_entry(), None);
    let effects = r#"[{"effect":"score_changed","new":"ada@example.com"}]"#;
    item.insert("effects".into(), Stored::S(effects.into()));
    let error: CorruptRecord = entry_record::from_item(&item).unwrap_err();
    assert_eq!(error.record, format!("entry {} of lead {}", typical_entry().id, lead.id));
    assert_eq!(error.place, "effects.new");

    let visitor = AnonymousId::parse("0123456789abcdef").unwrap();
    item.insert(keys::LEAD_ID.into(), Stored::S(keys::visitor_partition(&visitor)));
    assert!(!entry_record::from_item(&item).unwrap_err().to_string().contains("0123456789"));
}

#[test]
fn an_entry_reads_as_it_did_when_the_form_was_decided() {
    let item = entry_record::to_item("aaaaaaaaaaaaaaaaaaaaaaaaaa", &typical_entry(), None);
    assert_eq!(
        item["fact"].as_s().unwrap(),
        r#"{"kind":"page_viewed","properties":{"path":"/pricing","seconds":48}}"#
    );
    assert_eq!(
        item["effects"].as_s().unwrap(),
        r#"[{"effect":"score_changed","new":[62,45,"B2"],"old":[62,35,"B3"]},{"because":"1","effect":"segment_entered","segment":"looked-at-pricing"}]"#
    );
    let mut capture = domain::change::Capture::default();
    let known = NewAttribute { value: AttributeValue::Number(3.0), known_at: Some(Timestamp::from_secs(1)) };
    capture.attributes.insert(AttributeName::parse("seats").unwrap(), known);
    let entry = Entry { fact: Fact::Captured(Box::new(capture)), ..typical_entry() };
    let item = entry_record::to_item("", &entry, None);
    assert_eq!(item["fact"].as_s().unwrap(), r#"{"attributes":{"seats":{"known_at":1000,"value":3}}}"#);
    assert_eq!(item["kind"].as_s().unwrap(), "profile");
}

#[test]
fn an_event_carries_the_version_and_its_details() {
    let event = Event {
        id: "e-1".into(),
        kind: EventKind::HandedOff,
        at: Timestamp::from_millis(1_234),
        detail: vec![("to", "at-1".into())],
    };
    let lead = typical_lead();
    let item = entry_record::event_to_item(&lead.id, 7, &event, Timestamp::from_secs(99));
    assert_eq!(item[keys::LEAD_ID], Stored::S(lead.id.as_str().into()));
    assert_eq!(item[keys::ENTRY_ID], Stored::S("e-1".into()));
    assert_eq!(item[keys::KIND], Stored::S("handed_off".into()));
    assert_eq!(item["at"], Stored::N("1234".into()));
    assert_eq!(item["version"], Stored::N("7".into()));
    assert_eq!(item[keys::EXPIRES_AT], Stored::N("99".into()));
    assert_eq!(item["detail"].as_m().unwrap()["to"], Stored::S("at-1".into()));
}

#[test]
fn numbers_are_sized_as_dynamodb_does() {
    for (text, size) in [
        ("0", 1),
        ("7", 2),
        ("42", 2),
        ("-42", 3),
        ("100", 2),
        ("123", 3),
        ("1.5", 3),
        ("0.05", 2),
        ("1e100", 2),
        ("12.5e-3", 3),
        ("1790000000000", 3),
        ("1790000000123", 8),
        ("0042", 2),
    ] {
        assert_eq!(number_size(text), size, "{text}");
    }
}
