//! The playbook: one document that holds everything that marketing and sales agreed on.
//!
//! It is read once into a type that cannot be wrong ([`Playbook::parse`]); whatever is wrong is reported at once, each
//! fault with its place and what would be right. After that nothing can fail any more: rules hold the conditions they
//! need already compiled, references are resolved, every lead has one qualifier.
//!
//! # Layout
//!
//! * this file – the types and the questions asked of them;
//! * `read` – the document, section by section; `personas` – of it, personas, phases and topics; `programs`, `promises` and
//!   `territories` – of it, those;
//! * `conditions` – the condition language as it is written;
//! * [`diff`] – what changed between two playbooks, in words, and who has to agree to it.

mod conditions;
pub mod diff;
mod personas;
mod programs;
mod promises;
mod read;
mod territories;

pub use territories::{Member, Territory};

use crate::activity::Activity;
use crate::condition::{Condition, Level, Test, View};
use crate::consent::Purpose;
use crate::country::Country;
use crate::export::schedule::Scheduled;
use crate::fault::Fault;
use crate::identity::Slug;
use crate::ledger::{Ledger, SignalKey};
use crate::machine::{Rule, Withhold, rule_of, withheld_key};
use crate::nurture::{Nurturing, Program};
use crate::persona::Persona;
use crate::phase::Phases;
use crate::promise::Promises;
use crate::reader::Node;
use crate::sales::Move;
use crate::score::{Engagement, Fit, HalfLife, Label};
use crate::stage::Step;
use crate::time::Day;
use std::collections::{BTreeMap, BTreeSet};

/// A named matcher of activities.
#[derive(Clone, Debug)]
pub struct Signal {
    /// Its id.
    pub id: Slug,
    /// What people call it.
    pub title: String,
    /// The key under which the ledger counts it.
    pub key: SignalKey,
    /// The kinds of activity that it matches.
    pub kinds: Vec<String>,
    /// What it asks of the activity's properties.
    pub tests: Vec<(String, Test)>,
}

impl Signal {
    /// Tells whether an activity shows the signal.
    #[must_use]
    pub fn matches(&self, activity: &Activity) -> bool {
        self.kinds.contains(&activity.kind)
            && self.tests.iter().all(|(name, test)| test.eval(activity.properties.get(name)) == Some(true))
    }
}

/// Rules that share a cap.
#[derive(Clone, Debug)]
pub struct Group<R> {
    /// Its id.
    pub id: Slug,
    /// What people call it.
    pub title: String,
    /// The most points that its rules may give together.
    pub cap: Option<u8>,
    /// The rules.
    pub rules: Vec<R>,
}

/// A rule about who the lead is.
#[derive(Clone, Debug)]
pub struct FitRule {
    /// Its id.
    pub id: Slug,
    /// What people call it.
    pub title: String,
    /// The points that it gives, or takes.
    pub points: i16,
    /// When it applies.
    pub when: Condition,
}

impl FitRule {
    /// Says why the rule applies, naming the values that it looked at.
    #[must_use]
    pub fn because(&self, view: &View<'_>) -> String {
        let mut seen: Vec<String> = Vec::new();
        self.when.visit(&mut |part| {
            for name in part.attributes() {
                if let Some(attribute) = view.attributes.get(name) {
                    let value: String = attribute.value.to_string().chars().take(60).collect();
                    seen.push(format!("{name}: {value}"));
                }
            }
        });
        seen.dedup();
        if seen.is_empty() { self.title.clone() } else { format!("{} ({})", self.title, seen.join(", ")) }
    }
}

/// A rule about what the lead did.
#[derive(Clone, Debug)]
pub struct EngagementRule {
    /// Its id.
    pub id: Slug,
    /// What people call it.
    pub title: String,
    /// The points that it gives, or takes: per hit, or once.
    pub points: i16,
    /// How it counts.
    pub how: How,
}

/// How an engagement rule counts.
#[derive(Clone, Debug)]
pub enum How {
    /// Points for each hit of a signal.
    PerHit {
        /// The signal, by its place in the playbook.
        signal: usize,
        /// The signal's key in the ledger.
        key: SignalKey,
        /// The most hits that count; the latest ones do.
        max_hits: u32,
        /// How fast the points fade; never where none is given.
        half_life: Option<HalfLife>,
    },
    /// Points once, while a condition is met.
    When(Condition),
}

/// The scores from which each band begins; below the last comes D, or 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bands {
    /// From where A, B and C begin.
    pub fit: [u8; 3],
    /// From where 1, 2 and 3 begin.
    pub engagement: [u8; 3],
}

impl Bands {
    /// Gives the band of a fit.
    #[must_use]
    pub const fn fit(&self, fit: u8) -> Fit {
        let [a, b, c] = self.fit;
        if fit >= a {
            Fit::A
        } else if fit >= b {
            Fit::B
        } else if fit >= c {
            Fit::C
        } else {
            Fit::D
        }
    }

    /// Gives the band of an engagement.
    #[must_use]
    pub const fn engagement(&self, engagement: u8) -> Engagement {
        let [one, two, three] = self.engagement;
        if engagement >= one {
            Engagement::One
        } else if engagement >= two {
            Engagement::Two
        } else if engagement >= three {
            Engagement::Three
        } else {
            Engagement::Four
        }
    }
}

/// When a contact becomes a lead.
#[derive(Clone, Debug)]
pub enum LeadWhen {
    /// With any response to a marketing communication.
    AnyResponse,
    /// When a condition is met.
    Met(Condition),
}

/// When a lead is marketing-qualified.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The labels that qualify.
    pub labels: Vec<Label>,
    /// What else must be met.
    pub when: Option<Condition>,
}

/// Countries that conditions and territories speak of together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its id.
    pub id: Slug,
    /// What people call it.
    pub title: String,
    /// Its countries, in the order of their codes.
    pub countries: Vec<Country>,
}

/// Where a field of a form goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormTarget {
    /// The e-mail address.
    Email,
    /// The phone number.
    Phone,
    /// The name of the company.
    CompanyName,
    /// An attribute.
    Attribute(crate::attribute::AttributeName),
    /// A property of the activity, not of the lead: a message, a question.
    Property(String),
}

/// A consent box on a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentBox {
    /// The field that is ticked.
    pub field: String,
    /// What for.
    pub purpose: Purpose,
    /// Which text stands beside it, by its version.
    pub text: String,
}

/// A web form, as the playbook defines it.
#[derive(Clone, Debug)]
pub struct Form {
    /// Its id, which stands in the URL.
    pub id: Slug,
    /// What people call it.
    pub title: String,
    /// The kind of activity that a submission is.
    pub activity: String,
    /// Where each field goes.
    pub fields: BTreeMap<String, FormTarget>,
    /// The fields without which a submission is refused.
    pub required: Vec<String>,
    /// The consent boxes.
    pub consents: Vec<ConsentBox>,
    /// A field that people do not see; who fills it in is a machine.
    pub honeypot: Option<String>,
    /// The origins whose pages may post it; any where none is given.
    pub allowed_origins: Vec<String>,
    /// The kinds of activity that its page's script may report: anybody can send them.
    pub page_activities: Vec<String>,
    /// Where a plain HTML form goes afterwards.
    pub thank_you: Option<String>,
}

/// A segment: a named condition.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its id.
    pub id: Slug,
    /// What people call it.
    pub title: String,
    /// Who is in it.
    pub when: Condition,
}

/// Why sales gives a lead back, of a list that both teams agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedbackReason {
    /// Its id, which stands in the feedback.
    pub id: Slug,
    /// What people call it.
    pub title: String,
    /// Whether it ends the matter for good, so that the lead is disqualified rather than kept warm.
    pub disqualifies: bool,
}

/// What content is about, and the words by which people look for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its id.
    pub id: Slug,
    /// What people call it.
    pub title: String,
    /// A keyword that people search for is about the topic when it contains one of these, whatever its case.
    pub keywords: BTreeSet<String>,
}

impl Topic {
    /// Tells whether a keyword that people search for is about the topic.
    #[must_use]
    pub fn has(&self, keyword: &str) -> bool {
        let keyword = keyword.to_lowercase();
        self.keywords.iter().any(|own| keyword.contains(own.as_str()))
    }
}

/// Everything that marketing and sales agreed on.
#[derive(Clone, Debug)]
pub struct Playbook {
    /// What people call it.
    pub name: String,
    /// The time zone of its reports.
    pub timezone: jiff::tz::TimeZone,
    /// The signals.
    pub signals: Vec<Signal>,
    /// The rules about who the lead is.
    pub fit: Vec<Group<FitRule>>,
    /// The rules about what the lead did.
    pub engagement: Vec<Group<EngagementRule>>,
    /// The bands.
    pub bands: Bands,
    /// When a contact becomes a lead.
    pub lead_when: LeadWhen,
    /// When a lead is marketing-qualified.
    pub marketing_qualified: Definition,
    /// The regions.
    pub regions: Vec<Region>,
    /// The territories, the first that has a lead first.
    pub territories: Vec<Territory>,
    /// Who qualifies where no territory matches.
    pub default_qualifier: Slug,
    /// What sales and marketing promise each other.
    pub promises: Promises,
    /// The reasons that sales may give, by the step that they are given for; any text where a step has none.
    pub reasons: BTreeMap<Step, Vec<FeedbackReason>>,
    /// Countries in which a ticked box needs no confirmation by mail.
    pub single_opt_in: Vec<Country>,
    /// Countries in which a customer may be written to until they object.
    pub soft_opt_in: Vec<Country>,
    /// Which opens and clicks of machines are withheld.
    pub machines: Withhold,
    /// The forms.
    pub forms: Vec<Form>,
    /// The personas, the first by priority first.
    pub personas: Vec<Persona>,
    /// The phases.
    pub phases: Phases,
    /// The topics.
    pub topics: Vec<Topic>,
    /// The segments, each after those that it refers to.
    pub segments: Vec<Segment>,
    /// What holds for all mails to leads.
    pub nurture: Nurturing,
    /// The programs that keep leads warm, the first by place first.
    pub programs: Vec<Program>,
    /// The exports that are made by themselves.
    pub exports: Vec<Scheduled>,
    /// How many days back any rule or condition looks.
    pub lookback_days: i32,
}

impl Playbook {
    /// Reads a playbook from its document.
    ///
    /// # Errors
    ///
    /// Every fault at once, each with a JSON pointer into the document and what would be right.
    pub fn parse(document: &serde_json::Value) -> Result<Self, Vec<Fault>> {
        read::playbook(document)
    }

    /// Gives every condition that decides something about a lead.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let engagement = self.engagement.iter().flat_map(|group| &group.rules);
        let lead_when = match &self.lead_when {
            LeadWhen::Met(condition) => Some(condition),
            LeadWhen::AnyResponse => None,
        };
        (self.fit.iter().flat_map(|group| &group.rules).map(|rule| &rule.when))
            .chain(engagement.filter_map(|rule| match &rule.how {
                How::When(condition) => Some(condition),
                How::PerHit { .. } => None,
            }))
            .chain(lead_when)
            .chain(self.marketing_qualified.when.as_ref())
            .chain(self.territories.iter().filter_map(|territory| territory.when.as_ref()))
            .chain(self.personas.iter().map(|persona| &persona.when))
            .chain(self.phases.conditions.iter().map(|(_, when)| when))
            .chain(self.segments.iter().map(|segment| &segment.when))
            .chain(self.programs.iter().map(|program| &program.audience))
            .chain(self.programs.iter().flat_map(|program| program.goal.iter().chain(&program.exit)))
    }

    /// Reads a condition over leads that speaks of this playbook's signals, regions and segments, outside of its document;
    /// it may use no more than `level` allows.
    #[must_use]
    pub fn condition(&self, node: &Node<'_>, level: Level) -> Option<Condition> {
        let signals = self.signals.iter().enumerate().map(|(at, s)| (s.id.clone(), (at, s.key))).collect();
        let personas: Vec<Slug> = self.personas.iter().map(|persona| persona.id.clone()).collect();
        let segments: Vec<Slug> = self.segments.iter().map(|segment| segment.id.clone()).collect();
        conditions::Names {
            signals: &signals,
            regions: &self.regions,
            personas: &personas,
            segments: &segments,
        }
        .condition(node, level)
    }

    /// Tells whether a fact gives a lead back for a reason that ends the matter for good.
    #[must_use]
    pub fn ends(&self, what: &Move) -> bool {
        let known = self.reasons.get(&what.step()).into_iter().flatten();
        let given = what.reason().map(str::trim);
        given.is_some_and(|given| {
            known.clone().any(|reason| reason.disqualifies && reason.id.as_str() == given)
        })
    }

    /// Gives the form with an id.
    #[must_use]
    pub fn form(&self, id: &str) -> Option<&Form> {
        self.forms.iter().find(|form| form.id.as_str() == id)
    }

    /// Gives the persona with an id.
    #[must_use]
    pub fn persona(&self, id: &str) -> Option<&Persona> {
        self.personas.iter().find(|persona| persona.id.as_str() == id)
    }

    /// Gives the topic with an id.
    #[must_use]
    pub fn topic(&self, id: &str) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.id.as_str() == id)
    }

    /// Gives the program with an id.
    #[must_use]
    pub fn program(&self, id: &str) -> Option<&Program> {
        self.programs.iter().find(|program| program.id.as_str() == id)
    }

    /// Gives the segment with an id.
    #[must_use]
    pub fn segment(&self, id: &str) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.id.as_str() == id)
    }

    /// Gives the keys of the signals that an activity shows.
    pub fn signals_of<'a>(&'a self, activity: &'a Activity) -> impl Iterator<Item = &'a Signal> {
        self.signals.iter().filter(move |signal| signal.matches(activity))
    }

    /// Gives the rule by which an activity is withheld: a machine did it, and the playbook lets that count for nothing.
    #[must_use]
    pub fn withheld(&self, activity: &Activity) -> Option<Rule> {
        rule_of(activity).filter(|rule| self.machines.0.contains(rule))
    }

    /// Counts those of an activity's signals that are asked for; what is withheld, apart from what counts.
    pub fn count(
        &self,
        activity: &Activity,
        day: Day,
        ledger: &mut Ledger,
        withheld: &mut Ledger,
        asked: impl Fn(SignalKey) -> bool,
    ) {
        let rule = self.withheld(activity);
        for signal in self.signals_of(activity).filter(|signal| asked(signal.key)) {
            match rule {
                Some(rule) => withheld.add(withheld_key(signal.key, rule), day, 1),
                None => ledger.add(signal.key, day, 1),
            }
        }
    }

    /// Tells whether an activity makes a contact a lead, where any response does.
    #[must_use]
    pub fn responds(&self, activity: &Activity) -> bool {
        matches!(self.lead_when, LeadWhen::AnyResponse)
            && activity.is_response()
            && self.withheld(activity).is_none()
    }

    /// Lists everybody whom the playbook names, without repeats.
    #[must_use]
    pub fn people(&self) -> Vec<&Slug> {
        let pools = self.territories.iter().flat_map(|territory| &territory.pool);
        let mut people: Vec<&Slug> = (self.territories.iter().map(|territory| &territory.qualifier))
            .chain(pools.map(|member| &member.person))
            .chain([&self.default_qualifier])
            .collect();
        people.sort();
        people.dedup();
        people
    }

    /// Gives the first day that any rule still looks at on `today`.
    #[must_use]
    pub fn horizon(&self, today: Day) -> Day {
        today.plus(-self.lookback_days)
    }
}
