//! Strategies for whatever can be stored: any lead and entry that the types allow.

use domain::activity::Activity;
use domain::attribute::{Attribute, AttributeName, AttributeValue, NewAttribute};
use domain::change::{Capture, Effect, Entry, Fact, MarketingFeedback};
use domain::consent::{Basis, ConsentFact, ConsentState, ConsentStatus, Consents, Purpose};
use domain::identity::{AnonymousId, Email, ExternalId, Identity, LeadId, Phone, Slug};
use domain::lead::{Company, Had, HadBy, Lead, Touch, Touches};
use domain::ledger::{Ledger, SignalKey};
use domain::machine::{Click, Machines};
use domain::money::{Currency, Money};
use domain::nurture::opt_in::OptIn;
use domain::nurture::{Enrolment, Exit, Mail, Nurture, Sending};
use domain::phase::Phase;
use domain::reason::Reason;
use domain::routing::{Hindrance, Passed, Routed, Rule};
use domain::sales::{DeliveryId, Move, SalesFact};
use domain::score::{Label, Score};
use domain::stage::{Stage, Step};
use domain::time::{Day, Timestamp};
use domain::touch::{Folded, Grain};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

/// Any text, empty ones and such with white space around them included.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,12}", "\\PC{0,24}", Just(" \n\"\\#\u{0} ".to_owned())]
}

pub(crate) fn time() -> impl Strategy<Value = Timestamp> {
    (Timestamp::EARLIEST.millis()..=Timestamp::LATEST.millis()).prop_map(Timestamp::from_millis)
}

/// Times that no fact may carry included.
fn any_time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![4 => time(), 1 => any::<i64>().prop_map(Timestamp::from_millis)]
}

pub(crate) fn slug() -> impl Strategy<Value = Slug> {
    "[a-z0-9][a-z0-9_-]{0,15}".prop_map(|text| Slug::parse(&text).unwrap())
}

pub(crate) fn lead_id() -> impl Strategy<Value = LeadId> {
    any::<[u8; 16]>().prop_map(LeadId::from_bytes)
}

pub(crate) fn delivery() -> impl Strategy<Value = DeliveryId> {
    any::<[u8; 8]>().prop_map(DeliveryId)
}

pub(crate) fn external_id() -> impl Strategy<Value = ExternalId> {
    ("[a-z0-9_-]{1,12}", "[^\\pC ][^\\pC]{0,10}[^\\pC\\pZ]")
        .prop_filter_map("an id", |(system, id)| ExternalId::new(&system, &id).ok())
}

pub(crate) fn identity() -> impl Strategy<Value = Identity> {
    prop_oneof![
        external_id().prop_map(Identity::External),
        "[a-zA-Zß0-9+]{1,12}@[a-zü]{1,12}\\.example"
            .prop_map(|text| Identity::Email(Email::parse(&text).unwrap())),
        "\\+[1-9][0-9]{6,14}".prop_map(|text| Identity::Phone(Phone::parse(&text).unwrap())),
        "[A-Za-z0-9_-]{8,64}".prop_map(|text| Identity::Anonymous(AnonymousId::parse(&text).unwrap())),
    ]
}

pub(crate) fn value() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        text().prop_map(AttributeValue::Text),
        any::<bool>().prop_map(AttributeValue::Flag),
        (-1_000_000_i32..1_000_000).prop_map(|n| AttributeValue::Number(f64::from(n) / 100.0)),
        // Any double but NaN, which is not equal to itself.
        any::<u64>()
            .prop_map(f64::from_bits)
            .prop_filter("a number", |n| !n.is_nan())
            .prop_map(AttributeValue::Number),
        select(vec![0.0, -0.0, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1e126, 1e-130, 1e21, 1e-6, 1e16])
            .prop_map(AttributeValue::Number),
    ]
}

pub(crate) fn attribute_name() -> impl Strategy<Value = AttributeName> {
    "[a-z][a-z0-9_]{0,15}".prop_map(|text| AttributeName::parse(&text).unwrap())
}

fn attribute() -> impl Strategy<Value = Attribute> {
    (value(), any_time(), prop_oneof![text(), Just("form:contact".to_owned())], of(any_time()))
        .prop_map(|(value, set_at, set_by, known_at)| Attribute { value, set_at, set_by, known_at })
}

pub(crate) fn company() -> impl Strategy<Value = Company> {
    (of(text()), of(text()), of(external_id())).prop_map(|(name, domain, external_id)| Company {
        name,
        domain,
        external_id,
    })
}

pub(crate) fn touch() -> impl Strategy<Value = Touch> {
    (any_time(), of(text()), of(text()), of(text())).prop_map(|(at, channel, campaign, landing_page)| Touch {
        at,
        channel,
        campaign,
        landing_page,
    })
}

fn touches() -> impl Strategy<Value = Touches> {
    let folded = (touch(), 1..=u32::MAX).prop_map(|(touch, times)| Folded { touch, times });
    let grain = (0..=Grain::COARSEST.step()).prop_map(|step| Grain::from_step(step).unwrap());
    (of(touch()), of(touch()), vec(folded, 0..25), grain).prop_map(|(first, latest, between, grain)| {
        // A grain says something of lines only.
        let grain = if between.is_empty() { Grain::default() } else { grain };
        Touches { first, latest, between, grain }
    })
}

fn purpose() -> impl Strategy<Value = Purpose> {
    select(Purpose::WORDS).prop_map(|(_, purpose)| purpose)
}

fn consent_status() -> impl Strategy<Value = ConsentStatus> {
    select(ConsentStatus::WORDS).prop_map(|(_, status)| status)
}

fn consent_state() -> impl Strategy<Value = ConsentState> {
    (of(any_time()), of(any_time()), of(any_time()), any::<bool>(), of(text()), of(text())).prop_map(
        |(pending_at, confirmed_at, withdrawn_at, soft_opt_in, text, source)| ConsentState {
            pending_at,
            confirmed_at,
            withdrawn_at,
            soft_opt_in,
            text,
            source,
        },
    )
}

fn opt_in() -> impl Strategy<Value = OptIn> {
    (of(any_time()), vec(any_time(), 0..4), any::<bool>()).prop_map(|(wanted_at, asked, typed)| OptIn {
        wanted_at,
        asked,
        typed,
    })
}

fn suppression() -> impl Strategy<Value = domain::suppression::Reason> {
    select(domain::suppression::Reason::WORDS).prop_map(|(_, reason)| reason)
}

fn consent_fact() -> impl Strategy<Value = ConsentFact> {
    (purpose(), consent_status(), select(Basis::WORDS), of(text()), of(text()), any_time()).prop_map(
        |(purpose, status, (_, basis), text, source, at)| ConsentFact {
            purpose,
            status,
            basis,
            text,
            source,
            at,
        },
    )
}

fn money() -> impl Strategy<Value = Money> {
    (any::<i64>(), select(vec!["EUR", "JPY", "KWD"]))
        .prop_map(|(minor, code)| Money { minor, currency: Currency::parse(code).unwrap() })
}

/// Every move.
pub(crate) fn a_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        (slug(), any_time())
            .prop_map(|(owner, promise_due_at)| Move::MarketingQualified { owner, promise_due_at }),
        Just(Move::Accepted),
        of(text()).prop_map(|reason| Move::Rejected { reason }),
        (of(text()), of(any_time())).prop_map(|(reason, not_before)| Move::NotReady { reason, not_before }),
        Just(Move::Qualified),
        (slug(), of(any_time())).prop_map(|(to, promise_due_at)| Move::Assigned { to, promise_due_at }),
        Just(Move::FollowedUp),
        Just(Move::PromiseDueSoon),
        of((slug(), any_time())).prop_map(|to| Move::PromiseBroken { to }),
        (external_id(), of(money())).prop_map(|(deal, amount)| Move::Opportunity { deal, amount }),
        (external_id(), of(money())).prop_map(|(deal, amount)| Move::Won { deal, amount }),
        (of(external_id()), of(text())).prop_map(|(deal, reason)| Move::Lost { deal, reason }),
        of(text()).prop_map(|reason| Move::Disqualified { reason }),
        Just(Move::Churned),
    ]
}

/// Every move that is a fact of its own.
fn a_told_move() -> impl Strategy<Value = Move> {
    a_move().prop_filter("a follow-up is another fact", |what| *what != Move::FollowedUp)
}

fn sales_fact() -> impl Strategy<Value = SalesFact> {
    (any_time(), delivery(), of(slug()), a_move(), any::<bool>())
        .prop_map(|(at, id, by, what, ends)| SalesFact { at, id, by, what, ends })
}

pub(crate) fn ledger() -> impl Strategy<Value = Ledger> {
    vec((0_u32..8, 0_u32..0x0100_0000, 7_305_i32..40_000, 1_u32..300), 0..12).prop_map(|hits| {
        let mut ledger = Ledger::default();
        for (few, any, day, n) in hits {
            ledger.add(SignalKey(if any % 2 == 0 { few } else { any }), Day(day), n);
        }
        ledger
    })
}

fn machines() -> impl Strategy<Value = Machines> {
    let numbers = (any::<u32>(), any::<u32>());
    let click =
        (any_time(), delivery(), numbers, any::<bool>(), any::<bool>(), vec(0_u32..0x0100_0000, 0..4));
    let click = click.prop_map(|(at, id, (message, link), machine, waits, counted)| {
        let counted = counted.into_iter().map(SignalKey).collect();
        Click { at, id, message, link, machine, waits, counted }
    });
    (ledger(), vec(click, 0..4)).prop_map(|(withheld, clicks)| Machines { withheld, clicks })
}

pub(crate) fn any_day() -> impl Strategy<Value = Day> {
    (-40_000_i32..40_000).prop_map(Day)
}

fn had() -> impl Strategy<Value = Had> {
    (any_day(), select(HadBy::ALL.to_vec())).prop_map(|(on, by)| Had { on, by })
}

pub(crate) fn phase() -> impl Strategy<Value = Phase> {
    select(Phase::WORDS).prop_map(|(_, phase)| phase)
}

pub(crate) fn reasons() -> impl Strategy<Value = Vec<Reason>> {
    vec((any::<u16>(), any::<Option<bool>>()).prop_map(|(part, answer)| Reason { part, answer }), 0..4)
}

fn instead() -> impl Strategy<Value = domain::reason::Because> {
    (any::<bool>(), reasons()).prop_map(|(ended, parts)| domain::reason::Because { ended, parts })
}

pub(crate) fn stage() -> impl Strategy<Value = Stage> {
    select(Stage::WORDS).prop_map(|(_, stage)| stage)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![Just(Step::Respond), Just(Step::Qualify), select(Step::REPORTED).prop_map(|(_, step)| step)]
}

pub(crate) fn score() -> impl Strategy<Value = Score> {
    (any::<u8>(), any::<u8>(), "[ABCD][1234]").prop_map(|(fit, engagement, label)| Score {
        fit,
        engagement,
        label: Label::parse(&label).unwrap(),
    })
}

prop_compose! {
    /// Any lead.
    pub(crate) fn lead()(
        (id, version, playbook_version, cycle, activities) in
            (lead_id(), any::<u64>(), any::<u32>(), prop_oneof![Just(1), any::<u32>()], any::<u32>()),
        (identities, company, attributes, consents) in (
            vec(identity(), 0..5),
            company(),
            btree_map(attribute_name(), attribute(), 0..14),
            btree_map(purpose(), consent_state(), 0..4),
        ),
        (touches, opt_in, suppressed) in (touches(), opt_in(), of(suppression())),
        (created_at, responded_at, counts_from, since, person_since, promise_due_at, due_at) in
            (any_time(), of(any_time()), of(any_time()), of(any_time()), of(time()), of(time()), of(time())),
        (was_customer, ready, stage, score, person, held_for) in
            (any::<bool>(), any::<bool>(), stage(), score(), of(slug()), of(slug())),
        (sales, withdrawn, recent, ledger, ledger_since, machines) in (
            vec(sales_fact(), 0..5), vec(delivery(), 0..3), vec(delivery(), 0..33), ledger(), ledger(), machines(),
        ),
        (segments, possible_duplicates) in (btree_set(slug(), 0..4), btree_set(lead_id(), 0..3)),
        (persona, phase, content, members, to_assign) in (
            of(slug()),
            of(phase()),
            btree_map(slug(), had(), 0..4),
            btree_map("[a-zü ]{1,20}", btree_map("[a-z_]{1,12}", any_time(), 1..4), 0..3),
            of(delivery()),
        ),
        nurture in nurture(),
    ) -> Lead {
        Lead {
            id, version, playbook_version, identities, company, attributes,
            consents: Consents(consents),
            opt_in, suppressed, touches,
            created_at, responded_at, was_customer, sales, withdrawn, activities, ledger,
            counts_from, ledger_since, machines, score, ready, stage,
            held_for: held_for.filter(|_| !stage.in_inbox()),
            stage_since: since.unwrap_or(created_at),
            cycle, person, person_since, promise_due_at, to_assign, persona, phase, segments, content, due_at,
            recent,
            members: domain::member::Members(members),
            nurture,
            possible_duplicates,
        }
    }
}

fn exit() -> impl Strategy<Value = Exit> {
    select(Exit::WORDS).prop_map(|(_, exit)| exit)
}

prop_compose! {
    fn enrolment()(
        (eligible_at, later, left) in (any_time(), of(any_time()), of((any_time(), exit()))),
        (persona, phase) in (of(slug()), of(phase())),
        (held_out, share, messages) in any::<(bool, u8, u16)>(),
    ) -> Enrolment {
        let entered_at = later.unwrap_or(eligible_at);
        Enrolment { eligible_at, held_out, share, persona, phase, entered_at, left, messages }
    }
}

prop_compose! {
    fn nurture()(
        program in of(slug()),
        enrolments in btree_map(slug(), enrolment(), 0..4),
        (messages, unanswered, token) in any::<(u32, u16, u64)>(),
        sent in vec(any_time(), 0..5),
        sending in of((any_time(), prop_oneof![
            Just(Mail::OptIn),
            (slug(), slug()).prop_map(|(program, content)| Mail::Program { program, content }),
        ])),
        (reacted_at, rests_since, wait_until, next_at) in
            (of(any_time()), of(any_time()), of(any_time()), of(any_time())),
        (paused, exhausted) in (of((any_time(), any_time())), of(any_time())),
    ) -> Nurture {
        let sending = sending.map(|(at, mail)| Sending { at, token, mail });
        Nurture {
            program, enrolments, messages, sent, sending, unanswered, reacted_at, rests_since, paused,
             wait_until, exhausted, next_at,
        }
    }
}

fn routed() -> impl Strategy<Value = Routed> {
    let words = || Hindrance::WORDS.iter().map(|(_, because)| *because).collect::<Vec<_>>();
    let passed =
        (slug(), proptest::sample::select(words())).prop_map(|(person, because)| Passed { person, because });
    let rules = Rule::WORDS.iter().map(|(_, rule)| *rule).collect::<Vec<_>>();
    (slug(), of(slug()), proptest::sample::select(rules), vec(passed, 0..4))
        .prop_map(|(to, territory, rule, passed)| Routed { to, territory, rule, passed })
}

pub(crate) fn activity() -> impl Strategy<Value = Activity> {
    ("[a-z][a-z0-9_]{0,20}", btree_map(text(), value(), 0..5))
        .prop_map(|(kind, properties)| Activity { kind, properties })
}

fn capture() -> impl Strategy<Value = Capture> {
    let new_attribute =
        (value(), of(any_time())).prop_map(|(value, known_at)| NewAttribute { value, known_at });
    (
        btree_map(attribute_name(), new_attribute, 0..6),
        company(),
        of(touch()),
        vec(consent_fact(), 0..3),
        of(activity()),
        any::<[bool; 3]>(),
    )
        .prop_map(|(attributes, company, touch, consents, activity, [responded, customer, public])| {
            Capture { attributes, company, touch, consents, activity, responded, customer, public }
        })
}

/// Every fact.
pub(crate) fn fact() -> impl Strategy<Value = Fact> {
    let feedback =
        (of(text()), of(text()), of(text()), of(text())).prop_map(|(campaign, content, sentiment, quote)| {
            MarketingFeedback { campaign, content, sentiment, quote }
        });
    prop_oneof![
        3 => capture().prop_map(|capture| Fact::Captured(Box::new(capture))),
        2 => activity().prop_map(Fact::Activity),
        3 => (a_told_move(), of(slug()), of(text())).prop_map(|(what, by, note)| Fact::Sales { what, by, note }),
        1 => (text(), of(text()), of(slug()), of(text()))
            .prop_map(|(channel, result, by, note)| Fact::FollowUp { channel, result, by, note }),
        1 => (feedback, of(slug()), of(text()))
            .prop_map(|(said, by, note)| Fact::MarketingFeedback { said, by, note }),
        1 => consent_fact().prop_map(Fact::Consent),
        1 => (delivery(), of(text())).prop_map(|(id, note)| Fact::Withdrawn { id, note }),
        1 => (of(any_time()), of(slug()), of(text()))
            .prop_map(|(until, by, note)| Fact::NurturePaused { until, by, note }),
        1 => Just(Fact::Reviewed),
    ]
}

/// Every effect.
pub(crate) fn effect() -> impl Strategy<Value = Effect> {
    prop_oneof![
        Just(Effect::Created),
        text().prop_map(|kind| Effect::IdentityAdded { kind }),
        lead_id().prop_map(|lead| Effect::PossibleDuplicate { lead }),
        (attribute_name(), of(value()), value()).prop_map(|(name, old, new)| Effect::AttributeChanged {
            name,
            old,
            new
        }),
        (attribute_name(), value()).prop_map(|(name, value)| Effect::AttributeProposed { name, value }),
        (purpose(), consent_status())
            .prop_map(|(purpose, status)| Effect::ConsentChanged { purpose, status }),
        (of(score()), score()).prop_map(|(old, new)| Effect::ScoreChanged { old, new }),
        (stage(), stage(), vec(stage(), 0..3)).prop_map(|(from, to, skipped)| Effect::StageChanged {
            from,
            to,
            skipped
        }),
        (slug(), of(slug()), any_time()).prop_map(|(to, territory, promise_due_at)| Effect::HandedOff {
            to,
            territory,
            promise_due_at
        }),
        routed().prop_map(Effect::Routed),
        (slug(), any_time()).prop_map(|(owner, due_at)| Effect::PromiseDueSoon { owner, due_at }),
        (slug(), of((slug(), any_time()))).prop_map(|(owner, to)| Effect::PromiseBroken { owner, to }),
        slug().prop_map(|owner| Effect::Held { owner }),
        (of(slug()), of(slug()), instead()).prop_map(|(from, to, because)| Effect::PersonaChanged {
            from,
            to,
            because
        }),
        (of(phase()), of(phase()), instead()).prop_map(|(from, to, because)| Effect::PhaseChanged {
            from,
            to,
            because
        }),
        (slug(), reasons()).prop_map(|(segment, because)| Effect::SegmentEntered { segment, because }),
        (slug(), reasons()).prop_map(|(segment, because)| Effect::SegmentLeft { segment, because }),
        (slug(), any::<bool>(), reasons(), vec(slug(), 0..3), of(text())).prop_map(
            |(program, held_out, because, over, given_back)| Effect::ProgramEntered {
                program,
                held_out,
                because,
                over,
                given_back
            }
        ),
        (slug(), exit(), reasons()).prop_map(|(program, exit, because)| Effect::ProgramLeft {
            program,
            exit,
            because
        }),
        slug().prop_map(|program| Effect::ContentExhausted { program }),
        (step(), stage()).prop_map(|(step, stage)| Effect::Impossible { step, stage }),
        any::<[u32; 2]>().prop_map(|[from, to]| Effect::PlaybookChanged { from, to }),
    ]
}

prop_compose! {
    /// Any entry.
    pub(crate) fn entry()(
        id in "[0-9TZ:.-]{1,40}",
        at in any_time(),
        recorded_at in any_time(),
        by in text(),
        history in any::<bool>(),
        fact in fact(),
        effects in vec(effect(), 0..6),
        playbook_version in any::<u32>(),
    ) -> Entry {
        Entry { id, at, recorded_at, by, history, fact, effects, playbook_version }
    }
}
