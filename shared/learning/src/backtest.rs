//! A playbook confronted with outcomes, lead by lead, as of then.
//!
//! Each lead is played again under the tested playbook, and beside it under the active one, with only the activities
//! and attribute values known then, and judged at moments at which sales had not touched it: 0, 7 and 30 days after its
//! capture, and when it first crossed the tested line. What sales did before a moment would make a score look wise that
//! only repeats what sales knew. So a moment after the first contact is *clipped* to just before it, and counted as
//! such. A lead that sales found first cannot be judged, and neither can a contact that never responded; both are
//! counted apart.
//!
//! A lead counts as won if it was won within some days of the moment, as lost if it was lost or those days went by; a
//! younger one is *censored*: it tells nothing yet. The line is judged by whether the lead ever crossed it, each version
//! at its own crossing; one that never did, at its thirtieth day.
//!
//! # Leaks
//!
//! A rule that rests on what was written when the deal was won separates won from lost beautifully and foretells
//! nothing. So the leads are gone through twice. First [`Known`] counts, for each attribute, whether its values were
//! known before sales' first contact, after it, or whether nobody can say. An attribute that is known too late or
//! undated in more than half of its values is refused by name: its values are hidden, and the rules that rest on it are
//! left out. Then [`Backtest`] judges what remains.
//!
//! # A job over many machines
//!
//! All that is kept are counts: [`Known`] and [`Tallies`] take no more room for a million leads than for a thousand.
//! Both can be written down, read back and added to each other, so that parts can be counted anywhere, and resumed.

use crate::measure::{Class, Histogram, Rate, Tally, auc, auc_json, float, lift, rounded, tenths, too_few};
use domain::attribute::AttributeName;
use domain::change::{Fact, Incoming};
use domain::condition::Condition;
use domain::identity::LeadId;
use domain::lead::Lead;
use domain::phase::Phases;
use domain::playbook::{EngagementRule, FitRule, Group, How, LeadWhen, Playbook};
use domain::replay::{Crossing, Declared, Replay, as_known, first_contact, is_of_sales};
use domain::sales::{DeliveryId, Outcome};
use domain::score::{Explanation, LineKind, Part, Score, explain};
use domain::time::{DAY_MS, Day, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Within how many days a lead has to be won, where nothing else is asked for.
pub const HORIZON_DAYS: u16 = 180;
/// How many days after its capture a lead is judged.
const DAYS: [i64; 3] = [0, 7, 30];
/// The moments at which leads are judged, as they are called in the answer.
const MOMENTS: [&str; 4] = ["day_0", "day_7", "day_30", "first_crossing"];
/// The moment at which the lead first crossed the line.
const CROSSING: usize = 3;
/// How many leads that flip are shown, each way.
const SAMPLE: usize = 5;

/// Why a lead is not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    /// It never responded: it is a contact and no lead.
    Contact,
    /// It was a customer before.
    Customer,
    /// Sales touched it before it was captured.
    SalesCameFirst,
    /// Its timeline no longer reaches back to its capture.
    Forgotten,
}

/// What there is to judge of a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// When it first responded, and so became a lead.
    pub captured: Timestamp,
    /// When sales first touched it.
    pub contact: Option<Timestamp>,
    /// The last moment at which it can be judged: just before sales first touched it, or now.
    pub last: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
}

impl Past {
    /// Looks at a lead with its facts.
    ///
    /// # Errors
    ///
    /// Why it cannot be judged.
    pub fn of(lead: &Lead, facts: &[Incoming], now: Timestamp) -> Result<Self, Apart> {
        let captured = lead.responded_at.ok_or(Apart::Contact)?;
        if lead.was_customer {
            return Err(Apart::Customer);
        }
        let contact = first_contact(facts);
        let last = match contact {
            None => now,
            Some(at) if at < captured => return Err(Apart::SalesCameFirst),
            // An import that knows only days: the lead did first what it did on the day on which sales answered.
            Some(at) if at == captured => captured,
            Some(at) => at.plus(-1),
        };
        if facts.iter().all(|fact| fact.occurred_at > captured) {
            return Err(Apart::Forgotten);
        }
        Ok(Self { captured, contact, last, outcome: lead.standing().outcome })
    }

    /// Gives the moment some days after the capture, no later than it can be judged.
    #[must_use]
    pub fn after(&self, days: i64) -> Timestamp {
        self.captured.plus(days * DAY_MS).min(self.last)
    }

    /// Tells what became of the lead, seen from a moment.
    #[must_use]
    pub fn class(&self, at: Timestamp, horizon_days: u16, now: Timestamp) -> Class {
        let end = at.plus(i64::from(horizon_days) * DAY_MS);
        match self.outcome {
            Outcome::Won(won) if won <= end => Class::Positive,
            Outcome::Lost(_) => Class::Negative,
            _ if end <= now => Class::Negative,
            _ => Class::Censored,
        }
    }
}

/// In how many leads an attribute has a value, and since when it was known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 3]", into = "[u64; 3]")]
pub struct Times {
    /// Leads that have a value.
    pub given: u64,
    /// Those in which nobody can say since when.
    pub undated: u64,
    /// Those in which it was known only when sales had touched the lead.
    pub late: u64,
}

impl From<[u64; 3]> for Times {
    fn from([given, undated, late]: [u64; 3]) -> Self {
        Self { given, undated, late }
    }
}

impl From<Times> for [u64; 3] {
    fn from(times: Times) -> Self {
        [times.given, times.undated, times.late]
    }
}

impl Times {
    /// Tells whether nothing may rest on the attribute: more than half of its values are late or undated.
    #[must_use]
    pub const fn refused(&self) -> bool {
        (self.late + self.undated) * 2 > self.given
    }

    /// Says why the attribute is refused, or which of its values are left out; none where all were known in time.
    #[must_use]
    pub fn because(&self, name: &str) -> Option<String> {
        let percent = |n: u64| n * 100 / self.given.max(1);
        let late = format!(
            "known only after the outcome in {} % of its values (at or after sales' first contact)",
            percent(self.late)
        );
        let undated = format!(
            "undated in {} % of its values: nobody says since when they were known",
            percent(self.undated)
        );
        let what = match (self.late, self.undated) {
            (0, 0) => return None,
            (_, 0) => late,
            (0, _) => undated,
            (l, u) if l >= u => format!("{late}, and {undated}"),
            _ => format!("{undated}, and {late}"),
        };
        Some(format!("`{name}` is {what}"))
    }
}

/// The first pass: since when the values of each attribute were known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Known(BTreeMap<String, Times>);

impl Known {
    /// Counts a lead, if it can be judged. `declared` are the attributes that people declared known at capture.
    pub fn add(
        &mut self,
        lead: &Lead,
        facts: &[Incoming],
        declared: &BTreeSet<AttributeName>,
        now: Timestamp,
    ) {
        let Ok(past) = Past::of(lead, facts, now) else { return };
        for (name, since) in as_known(facts, &|name| said(name, declared)).since {
            let times = self.0.entry(name.as_str().to_owned()).or_default();
            times.given += 1;
            match since {
                None => times.undated += 1,
                Some(since) if since > past.last => times.late += 1,
                Some(_) => {}
            }
        }
    }

    /// Adds another part.
    pub fn merge(&mut self, other: Self) {
        for (name, times) in other.0 {
            let sum = self.0.entry(name).or_default();
            sum.given += times.given;
            sum.undated += times.undated;
            sum.late += times.late;
        }
    }

    /// Gives every attribute that any lead has.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Times)> {
        self.0.iter().map(|(name, times)| (name.as_str(), times))
    }

    /// Tells whether nothing may rest on an attribute.
    #[must_use]
    pub fn refuses(&self, name: &AttributeName) -> bool {
        self.0.get(name.as_str()).is_some_and(Times::refused)
    }

    /// Writes it down.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Reads what was written down.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }
}

pub(crate) fn said(name: &AttributeName, declared: &BTreeSet<AttributeName>) -> Declared {
    if declared.contains(name) { Declared::AtCapture } else { Declared::Nothing }
}

/// Something in a playbook that rests on an attribute that is refused, and was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The attribute.
    pub attribute: String,
    /// The rule by its id; `marketing_qualified` and `lead_when` for the conditions of those.
    pub rule: String,
}

/// Names the attributes that a condition looks at; one that asks for personas looks at all that make one.
pub(crate) fn attributes_of<'c>(
    condition: &'c Condition,
    playbook: &'c Playbook,
) -> BTreeSet<&'c AttributeName> {
    let (mut found, mut asks_for_personas) = (BTreeSet::new(), false);
    condition.visit(&mut |part| {
        found.extend(part.attributes());
        asks_for_personas |= matches!(part, Condition::Persona(_));
    });
    for persona in playbook.personas.iter().filter(|_| asks_for_personas) {
        persona.when.visit(&mut |part| found.extend(part.attributes()));
    }
    found
}

/// Names everything in a playbook that has a condition on attributes, with those.
pub(crate) fn uses(playbook: &Playbook) -> Vec<(&str, BTreeSet<&AttributeName>)> {
    let fit = playbook.fit.iter().flat_map(|group| &group.rules);
    let engagement = playbook.engagement.iter().flat_map(|group| &group.rules);
    let definition = playbook.marketing_qualified.when.as_ref();
    let lead_when = match &playbook.lead_when {
        LeadWhen::Met(condition) => Some(condition),
        LeadWhen::AnyResponse => None,
    };
    fit.map(|rule| (rule.id.as_str(), &rule.when))
        .chain(engagement.filter_map(|rule| match &rule.how {
            How::When(condition) => Some((rule.id.as_str(), condition)),
            How::PerHit { .. } => None,
        }))
        .chain(definition.map(|condition| ("marketing_qualified", condition)))
        .chain(lead_when.map(|condition| ("lead_when", condition)))
        .map(|(what, condition)| (what, attributes_of(condition, playbook)))
        .collect()
}

/// A playbook as it is tested.
#[derive(Clone, Debug)]
struct Version {
    playbook: Playbook,
    left_out: Vec<LeftOut>,
    /// What is said of values that are left out though their attribute is not.
    notes: Vec<String>,
}

impl Version {
    fn new(playbook: &Playbook, known: &Known) -> Self {
        let mut notes = BTreeSet::new();
        let mut left_out = Vec::new();
        for (rule, names) in uses(playbook) {
            for name in names {
                let Some(times) = known.0.get(name.as_str()) else { continue };
                if times.refused() {
                    let (attribute, rule) = (name.as_str().to_owned(), rule.to_owned());
                    left_out.push(LeftOut { attribute, rule });
                } else {
                    notes.extend(times.because(name.as_str()));
                }
            }
        }
        let mut cleaned = without_segments(playbook);
        let rests =
            |condition: &Condition| attributes_of(condition, playbook).iter().any(|name| known.refuses(name));
        keep(&mut cleaned.fit, |rule: &FitRule| !rests(&rule.when));
        keep(
            &mut cleaned.engagement,
            |rule: &EngagementRule| !matches!(&rule.how, How::When(condition) if rests(condition)),
        );
        cleaned.marketing_qualified.when.take_if(|condition| rests(condition));
        if matches!(&cleaned.lead_when, LeadWhen::Met(condition) if rests(condition)) {
            cleaned.lead_when = LeadWhen::AnyResponse;
        }
        Self { playbook: cleaned, left_out, notes: notes.into_iter().collect() }
    }
}

/// Copies a playbook without its segments and phases: neither a score nor the line depends on them, and they take time.
pub(crate) fn without_segments(playbook: &Playbook) -> Playbook {
    Playbook { segments: Vec::new(), phases: Phases::default(), ..playbook.clone() }
}

/// Keeps some rules of groups.
pub(crate) fn keep<R>(groups: &mut [Group<R>], wanted: impl Fn(&R) -> bool) {
    for group in groups {
        group.rules.retain(&wanted);
    }
}

/// What is asked: a playbook, beside the active one, of leads of which the first pass knows since when what was known.
#[derive(Clone, Debug)]
pub struct Backtest {
    tested: Version,
    active: Option<Version>,
    known: Known,
    declared: BTreeSet<AttributeName>,
    horizon_days: u16,
    now: Timestamp,
}

/// What became of one lead under one version.
struct Played {
    /// Its score at each of the moments, and whether it was ready on those that are days.
    at: [Option<(Score, bool)>; MOMENTS.len()],
    crossing: Option<Crossing>,
}

impl Backtest {
    /// Prepares a backtest: leaves out what rests on attributes that are refused. `now` is the time of the whole job.
    #[must_use]
    pub fn new(
        tested: &Playbook,
        active: Option<&Playbook>,
        known: Known,
        declared: BTreeSet<AttributeName>,
        horizon_days: u16,
        now: Timestamp,
    ) -> Self {
        Self {
            tested: Version::new(tested, &known),
            active: active.map(|active| Version::new(active, &known)),
            known,
            declared,
            horizon_days,
            now,
        }
    }

    /// Judges a lead with all its facts.
    pub fn add(&self, tallies: &mut Tallies, lead: &Lead, facts: &[Incoming]) {
        let past = match Past::of(lead, facts, self.now) {
            Ok(past) => past,
            Err(apart) => {
                tallies.apart.add(apart);
                return;
            }
        };
        tallies.leads += 1;
        tallies.never_worked += u64::from(past.contact.is_none());
        for (clipped, days) in tallies.clipped.iter_mut().zip(DAYS) {
            let too_late = past.captured.plus(days * DAY_MS) > past.last;
            *clipped += u64::from(past.contact.is_some() && too_late);
        }
        let facts = self.as_of_then(facts);
        let tested = play(&self.tested.playbook, lead, &facts, &past, None);
        let crossing = tested.crossing.map(|crossing| crossing.at);
        self.count(&mut tallies.tested, &self.tested, lead, &past, &tested, crossing);
        let Some(version) = &self.active else { return };
        let active = play(&version.playbook, lead, &facts, &past, crossing);
        self.count(&mut tallies.active, version, lead, &past, &active, crossing);
        let (flips, at) = match (tested.crossing, active.crossing) {
            (Some(crossing), None) => (&mut tallies.newly_qualified, crossing.at),
            (None, Some(crossing)) => (&mut tallies.no_longer_qualified, crossing.at),
            _ => return,
        };
        flips.add(&lead.id, || {
            json!({
                "lead_id": lead.id.as_str(),
                "at": at.to_string(),
                "tested": explained(&self.tested.playbook, lead, &facts, at),
                "active": explained(&version.playbook, lead, &facts, at),
            })
        });
    }

    /// Gives what the lead did and what was known of it, each when it was known, without anything that sales did.
    fn as_of_then(&self, facts: &[Incoming]) -> Vec<Incoming> {
        let declared = |name: &AttributeName| {
            if self.known.refuses(name) { Declared::Hidden } else { said(name, &self.declared) }
        };
        let mut facts = as_known(facts, &declared).facts;
        facts.retain(|incoming| {
            !is_of_sales(&incoming.fact) && !matches!(incoming.fact, Fact::Withdrawn { .. })
        });
        facts
    }

    fn count(
        &self,
        tallies: &mut VersionTallies,
        version: &Version,
        lead: &Lead,
        past: &Past,
        played: &Played,
        crossing: Option<Timestamp>,
    ) {
        let class = |at| past.class(at, self.horizon_days, self.now);
        let at = DAYS.map(|days| Some(past.after(days))).into_iter().chain([crossing]);
        for (n, ((moment, at), known)) in tallies.moments.iter_mut().zip(at).zip(played.at).enumerate() {
            if let (Some(at), Some((score, ready))) = (at, known) {
                moment.ranks.add(rank(score), class(at));
                moment.labels.add(score.label.to_string(), class(at));
                if n != CROSSING {
                    moment.line(ready, class(at));
                }
            }
        }
        // The line is crossed sooner or later, or never.
        let own = played.crossing.map(|crossing| crossing.at);
        if let Some(moment) = tallies.moments.get_mut(CROSSING) {
            moment.line(own.is_some(), class(own.unwrap_or_else(|| past.after(30))));
        }
        if let Some(at) = own {
            let playbook = &version.playbook;
            let owner = playbook.qualifier(lead, at.day()).1.to_string();
            let week = at.day_in(&playbook.timezone).monday().0;
            *tallies.hand_offs.entry(week).or_default().entry(owner).or_default() += 1;
        }
    }
}

/// Plays a lead up to sales' first contact. `crossing` is when it crossed the tested line, where that is another's.
fn play(
    playbook: &Playbook,
    lead: &Lead,
    facts: &[Incoming],
    past: &Past,
    crossing: Option<Timestamp>,
) -> Played {
    let mut moments: Vec<(usize, Timestamp)> =
        DAYS.into_iter().map(|days| past.after(days)).chain(crossing).enumerate().collect();
    moments.sort_by_key(|(_, at)| *at);
    let mut replay = Replay::new(lead.id.clone(), playbook, facts);
    let mut played = Played { at: Default::default(), crossing: None };
    for (n, at) in moments {
        let score = replay.score(at);
        let ready = replay.until(at).is_some_and(|lead| lead.ready);
        if let Some(slot) = played.at.get_mut(n) {
            *slot = score.map(|score| (score, ready));
        }
    }
    played.crossing = replay.first_ready(past.last);
    if let ([.., slot @ None], Some(own)) = (&mut played.at, played.crossing)
        && crossing.is_none()
    {
        *slot = Some((own.score, true));
    }
    played
}

/// Gives the one number by which leads are ranked.
#[must_use]
pub fn rank(score: Score) -> u16 {
    u16::from(score.fit) + u16::from(score.engagement)
}

fn explained(playbook: &Playbook, lead: &Lead, facts: &[Incoming], at: Timestamp) -> Value {
    let mut replay = Replay::new(lead.id.clone(), playbook, facts);
    replay.until(at).map_or(Value::Null, |then| explanation_json(&explain(playbook, &then.view(at.day()))))
}

/// Writes an explanation as `GET /v1/leads/{id}` does.
fn explanation_json(explanation: &Explanation) -> Value {
    let line = |line: &domain::score::Line| {
        json!({
            "part": match line.part { Part::Fit => "fit", Part::Engagement => "engagement" },
            "kind": LineKind::as_str(line.kind),
            "rule": line.rule.as_ref().map(domain::identity::Slug::as_str),
            "points": line.points,
            "because": line.because,
        })
    };
    json!({
        "fit": explanation.score.fit,
        "engagement": explanation.score.engagement,
        "label": explanation.score.label.to_string(),
        "explanation": explanation.lines.iter().map(line).collect::<Vec<_>>(),
    })
}

/// Leads that are not judged, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 4]", into = "[u64; 4]")]
pub struct ApartTally {
    contacts: u64,
    customers: u64,
    sales_came_first: u64,
    forgotten: u64,
}

impl From<[u64; 4]> for ApartTally {
    fn from([contacts, customers, sales_came_first, forgotten]: [u64; 4]) -> Self {
        Self { contacts, customers, sales_came_first, forgotten }
    }
}

impl From<ApartTally> for [u64; 4] {
    fn from(tally: ApartTally) -> Self {
        [tally.contacts, tally.customers, tally.sales_came_first, tally.forgotten]
    }
}

impl ApartTally {
    pub(crate) const fn add(&mut self, apart: Apart) {
        match apart {
            Apart::Contact => self.contacts += 1,
            Apart::Customer => self.customers += 1,
            Apart::SalesCameFirst => self.sales_came_first += 1,
            Apart::Forgotten => self.forgotten += 1,
        }
    }

    pub(crate) const fn merge(&mut self, other: Self) {
        self.contacts += other.contacts;
        self.customers += other.customers;
        self.sales_came_first += other.sales_came_first;
        self.forgotten += other.forgotten;
    }

    pub(crate) fn to_json(self) -> Value {
        json!({
            "contacts": self.contacts,
            "customers": self.customers,
            "sales_came_first": self.sales_came_first,
            "forgotten": self.forgotten,
        })
    }
}

/// What was counted at one moment under one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct MomentTallies {
    ranks: Histogram,
    labels: Histogram<String>,
    /// Those at or over the line, and those below.
    ready: Tally,
    below: Tally,
}

impl MomentTallies {
    const fn line(&mut self, ready: bool, class: Class) {
        if ready { self.ready.add(class) } else { self.below.add(class) }
    }

    fn merge(&mut self, other: Self) {
        self.ranks.merge(other.ranks);
        self.labels.merge(other.labels);
        self.ready.merge(&other.ready);
        self.below.merge(&other.below);
    }

    fn to_json(&self) -> Value {
        let total = self.ranks.total();
        let labels: Vec<Value> = self
            .labels
            .0
            .iter()
            .map(|(label, tally)| {
                json!({ "label": label, "leads": leads(tally), "win_rate": tally.win_rate().to_json() })
            })
            .collect();
        let found = Rate { hits: self.ready.positive, of: self.ready.positive + self.below.positive };
        json!({
            "leads": leads(&total),
            "wins": total.positive,
            "losses": total.negative,
            "censored": total.censored,
            "auc": auc_json(auc(&self.ranks)),
            "win_rate": total.win_rate().to_json(),
            "labels": labels,
            "tenths": tenths(&self.ranks),
            "lift": {
                "best_10_percent": lift(&self.ranks, 0.1).map(rounded),
                "best_20_percent": lift(&self.ranks, 0.2).map(rounded),
            },
            "line": {
                "qualified": leads(&self.ready),
                "precision": self.ready.win_rate().to_json(),
                "recall": found.to_json(),
            },
            "caution": too_few(&self.ranks),
        })
    }
}

pub(crate) const fn leads(tally: &Tally) -> u64 {
    tally.judged() + tally.censored
}

/// What was counted under one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct VersionTallies {
    moments: [MomentTallies; MOMENTS.len()],
    /// By the week's Monday, then by owner: leads that first crossed the line.
    hand_offs: BTreeMap<i32, BTreeMap<String, u64>>,
}

impl VersionTallies {
    fn merge(&mut self, other: Self) {
        for (sum, moment) in self.moments.iter_mut().zip(other.moments) {
            sum.merge(moment);
        }
        for (week, owners) in other.hand_offs {
            let sum = self.hand_offs.entry(week).or_default();
            for (owner, leads) in owners {
                *sum.entry(owner).or_default() += leads;
            }
        }
    }

    fn to_json(&self, version: &Version) -> Value {
        let moments: serde_json::Map<String, Value> =
            MOMENTS.iter().zip(&self.moments).map(|(name, m)| ((*name).to_owned(), m.to_json())).collect();
        let hand_offs: Vec<Value> = self
            .hand_offs
            .iter()
            .flat_map(|(week, owners)| {
                let (starts, week) = (Day(*week).to_string(), Day(*week).iso_week());
                owners.iter().map(move |(owner, leads)| {
                    json!({ "week": week, "starts": starts, "owner": owner, "leads": leads })
                })
            })
            .collect();
        let left_out: Vec<Value> = version
            .left_out
            .iter()
            .map(|left| json!({ "rule": left.rule, "attribute": left.attribute }))
            .collect();
        json!({ "moments": moments, "hand_offs": hand_offs, "left_out": left_out })
    }
}

/// Leads that one version qualifies and the other does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Flips {
    count: u64,
    /// Those whose hashed id comes first: the same in whatever order and parts they are counted, and none is favoured.
    sample: BTreeMap<String, Value>,
}

impl Flips {
    fn add(&mut self, lead: &LeadId, shown: impl FnOnce() -> Value) {
        self.count += 1;
        let place = DeliveryId::new("flip", lead.as_str()).to_string();
        if self.sample.len() < SAMPLE || self.sample.last_key_value().is_some_and(|(last, _)| place < *last) {
            self.sample.insert(place, shown());
            self.trim();
        }
    }

    fn trim(&mut self) {
        while self.sample.len() > SAMPLE {
            self.sample.pop_last();
        }
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sample.extend(other.sample);
        self.trim();
    }

    fn to_json(&self) -> Value {
        json!({ "leads": self.count, "sample": self.sample.values().collect::<Vec<_>>() })
    }
}

/// The second pass: all that is counted of the leads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tallies {
    leads: u64,
    apart: ApartTally,
    never_worked: u64,
    /// For each of the days, the leads that sales had touched by then.
    clipped: [u64; DAYS.len()],
    tested: VersionTallies,
    active: VersionTallies,
    newly_qualified: Flips,
    no_longer_qualified: Flips,
}

impl Tallies {
    /// Adds another part.
    pub fn merge(&mut self, other: Self) {
        self.leads += other.leads;
        self.apart.merge(other.apart);
        self.never_worked += other.never_worked;
        for (sum, clipped) in self.clipped.iter_mut().zip(other.clipped) {
            *sum += clipped;
        }
        self.tested.merge(other.tested);
        self.active.merge(other.active);
        self.newly_qualified.merge(other.newly_qualified);
        self.no_longer_qualified.merge(other.no_longer_qualified);
    }

    /// Writes them down.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Reads what was written down.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }
}

/// The answer of a backtest.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What was asked.
    pub backtest: &'a Backtest,
    /// What was counted.
    pub tallies: &'a Tallies,
}

impl Report<'_> {
    /// Writes it for the API.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Self { backtest, tallies } = self;
        let clipped: serde_json::Map<String, Value> =
            MOMENTS.iter().zip(tallies.clipped).map(|(name, n)| ((*name).to_owned(), n.into())).collect();
        let flips = backtest.active.as_ref().map(|_| {
            json!({
                "newly_qualified": tallies.newly_qualified.to_json(),
                "no_longer_qualified": tallies.no_longer_qualified.to_json(),
            })
        });
        let first = tallies.tested.moments.first().map(|moment| moment.ranks.total()).unwrap_or_default();
        json!({
            "horizon_days": backtest.horizon_days,
            "as_of": backtest.now.to_string(),
            "leads": tallies.leads,
            "wins": first.positive,
            "losses": first.negative,
            "censored": first.censored,
            "apart": tallies.apart.to_json(),
            "never_worked": Rate { hits: tallies.never_worked, of: tallies.leads }.to_json(),
            "clipped": clipped,
            "tested": tallies.tested.to_json(&backtest.tested),
            "active": backtest.active.as_ref().map(|version| tallies.active.to_json(version)),
            "flips": flips,
            "refused": self.refused(),
            "notes": self.notes(),
            "caution": self.caution(&first),
        })
    }

    /// Names each attribute that is refused, with the rules of the tested version that rested on it.
    fn refused(&self) -> Vec<Value> {
        let refused = self.backtest.known.iter().filter(|(_, times)| times.refused());
        refused
            .map(|(name, times)| {
                let left_out = &self.backtest.tested.left_out;
                let rules: Vec<&str> = left_out
                    .iter()
                    .filter(|left| left.attribute == name)
                    .map(|left| left.rule.as_str())
                    .collect();
                json!({
                    "attribute": name,
                    "because": times.because(name),
                    "values": times.given,
                    "late": times.late,
                    "undated": times.undated,
                    "rules": rules,
                })
            })
            .collect()
    }

    fn notes(&self) -> Vec<String> {
        let versions = [Some(&self.backtest.tested), self.backtest.active.as_ref()];
        let notes: BTreeSet<&String> = versions.into_iter().flatten().flat_map(|v| &v.notes).collect();
        notes.into_iter().map(|note| format!("{note}; those values are left out")).collect()
    }

    fn caution(&self, first: &Tally) -> Vec<String> {
        let tallies = self.tallies;
        let few = MOMENTS
            .iter()
            .zip(&tallies.tested.moments)
            .filter_map(|(name, moment)| Some(format!("{name}: {}", too_few(&moment.ranks)?)));
        let left = self.backtest.tested.left_out.iter().map(|left| {
            format!("`{}` was left out, since it rests on `{}`, which is refused", left.rule, left.attribute)
        });
        let percent = |n: u64| (100.0 * float(n) / float(tallies.leads.max(1))).round();
        let unworked = (tallies.never_worked > 0).then(|| {
            format!(
                "sales never worked {} % of these leads: a score is partly judged on whom sales chose",
                percent(tallies.never_worked)
            )
        });
        let young = (first.censored > 0).then(|| {
            format!(
                "{} % of these leads are too young to tell and count for nothing",
                percent(first.censored)
            )
        });
        few.chain(left).chain(unworked).chain(young).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use domain::activity::Activity;
    use domain::attribute::{AttributeValue, NewAttribute};
    use domain::change::Capture;
    use domain::identity::{ExternalId, Slug};
    use domain::sales::Move;

    pub(crate) fn day(n: i64) -> Timestamp {
        Timestamp::parse("2026-03-02T09:00:00Z").unwrap().plus(n * DAY_MS)
    }

    fn document() -> Value {
        json!({
            "name": "Tested",
            "signals": [{"id": "asked", "kind": "asked"}, {"id": "looked", "kind": "page_viewed"}],
            "fit": [{"id": "who", "rules": [
                {"id": "big", "points": 40, "when": {"attribute": "size", "at_least": 60}},
                {"id": "rich", "points": 40, "when": {"any": [
                    {"attribute": "budget", "exists": true}, {"attribute": "size", "at_least": 9000}
                ]}}
            ]}],
            "engagement": [{"id": "what", "rules": [
                {"id": "asks", "points": 60, "signal": "asked", "max_hits": 1, "half_life_days": 30},
                {"id": "spams", "points": -100, "when": {"signal": "looked", "at_least": 3, "within_days": 5}}
            ]}],
            "bands": {"fit": {"A": 60, "B": 40, "C": 20}, "engagement": {"1": 50, "2": 30, "3": 10}},
            "marketing_qualified": {"labels": ["A1", "A2", "B1", "B2"]},
            "territories": [{"id": "alps", "countries": ["AT"], "qualifier": "at-1"}],
            "default_qualifier": "eu-1",
            "segments": [{"id": "warm", "when": {"engagement": {"at_least": 20}}}]
        })
    }

    pub(crate) fn playbook() -> Playbook {
        Playbook::parse(&document()).unwrap()
    }

    /// The same, but for which being big alone is not enough.
    fn stricter() -> Playbook {
        let mut document = document();
        document["marketing_qualified"]["labels"] = json!(["A1", "A2"]);
        Playbook::parse(&document).unwrap()
    }

    fn name(text: &str) -> AttributeName {
        AttributeName::parse(text).unwrap()
    }

    /// What happened to a lead, told in one line.
    #[derive(Clone)]
    pub(crate) struct Story {
        id: LeadId,
        pub(crate) facts: Vec<Incoming>,
    }

    impl Story {
        pub(crate) fn new(n: u8) -> Self {
            Self { id: LeadId::from_bytes([n; 16]), facts: Vec::new() }
        }

        pub(crate) fn at(mut self, at: Timestamp, fact: Fact) -> Self {
            let delivery = DeliveryId::new("story", &format!("{} {}", self.id, self.facts.len()));
            let (by, strict) = ("api:t".to_owned(), false);
            self.facts.push(Incoming { delivery, occurred_at: at, history: true, by, strict, fact });
            self
        }

        /// Somebody wrote a value down; it was known since some day, where that is said.
        pub(crate) fn given(self, at: i64, attribute: &str, n: f64, known: Option<i64>) -> Self {
            let new = NewAttribute { value: AttributeValue::Number(n), known_at: known.map(day) };
            let attributes = [(name(attribute), new)].into();
            let capture = Capture { attributes, responded: true, ..Capture::default() };
            self.at(day(at), Fact::Captured(Box::new(capture)))
        }

        pub(crate) fn did(self, at: i64, kind: &str) -> Self {
            let activity = Activity { kind: kind.to_owned(), properties: BTreeMap::new() };
            self.at(day(at), Fact::Activity(activity))
        }

        pub(crate) fn sales(self, at: i64, what: Move) -> Self {
            self.at(day(at), Fact::Sales { what, by: None, note: None })
        }

        pub(crate) fn handed(self, at: i64) -> Self {
            let owner = Slug::parse("eu-1").unwrap();
            self.sales(at, Move::MarketingQualified { owner, promise_due_at: day(at + 1) })
        }

        pub(crate) fn won(self, at: i64) -> Self {
            self.sales(at, Move::Won { deal: ExternalId::new("crm", "D").unwrap(), amount: None })
        }

        fn lost(self, at: i64) -> Self {
            self.sales(at, Move::Lost { deal: None, reason: None })
        }

        pub(crate) fn id(&self) -> LeadId {
            self.id.clone()
        }

        /// The lead as it is stored.
        pub(crate) fn lead(&self, now: Timestamp) -> Lead {
            Replay::new(self.id.clone(), &playbook(), &self.facts).until(now).unwrap().clone()
        }
    }

    fn now() -> Timestamp {
        day(400)
    }

    fn at_capture(names: &[&str]) -> BTreeSet<AttributeName> {
        names.iter().map(|text| name(text)).collect()
    }

    fn known(stories: &[Story], declared: &BTreeSet<AttributeName>) -> Known {
        let mut known = Known::default();
        for story in stories {
            known.add(&story.lead(now()), &story.facts, declared, now());
        }
        known
    }

    fn run(stories: &[Story], active: Option<&Playbook>, declared: &[&str]) -> (Backtest, Tallies) {
        let declared = at_capture(declared);
        let known = known(stories, &declared);
        let backtest = Backtest::new(&playbook(), active, known, declared, HORIZON_DAYS, now());
        let mut tallies = Tallies::default();
        for story in stories {
            backtest.add(&mut tallies, &story.lead(now()), &story.facts);
        }
        (backtest, tallies)
    }

    fn report(stories: &[Story], active: Option<&Playbook>, declared: &[&str]) -> Value {
        let (backtest, tallies) = run(stories, active, declared);
        Report { backtest: &backtest, tallies: &tallies }.to_json()
    }

    /// The ranks at the four moments under the tested version.
    fn ranks(tallies: &Tallies) -> [Vec<u16>; 4] {
        tallies.tested.moments.each_ref().map(|moment| moment.ranks.0.keys().copied().collect())
    }

    #[test]
    fn a_lead_is_judged_by_what_it_had_done_by_then() {
        let story = Story::new(1).given(0, "size", 60.0, Some(0)).did(5, "asked").did(90, "page_viewed");
        let (_, tallies) = run(&[story], None, &[]);
        // Asked on day 5: faded by two days on day 7, and by 25 on day 30.
        assert_eq!(ranks(&tallies), [vec![40], vec![97], vec![74], vec![100]]);
        assert_eq!(tallies.clipped, [0, 0, 0]);
        assert_eq!(tallies.never_worked, 1);
    }

    #[test]
    fn what_came_with_or_after_sales_first_contact_is_not_known() {
        let story = Story::new(1)
            .given(0, "size", 60.0, Some(0))
            .sales(2, Move::Accepted)
            .did(2, "asked")
            .given(3, "budget", 1.0, Some(3))
            .won(9);
        let (_, tallies) = run(&[story], None, &[]);
        assert_eq!(ranks(&tallies), [vec![40], vec![40], vec![40], vec![]]);
        assert_eq!(tallies.clipped, [0, 1, 1]);
        assert_eq!(tallies.tested.moments[1].ranks.total().positive, 1);
        assert_eq!(tallies.tested.moments[CROSSING].below.positive, 1);
    }

    #[test]
    fn a_contact_on_the_day_of_the_capture_leaves_what_the_lead_did_on_it() {
        let story = Story::new(1).won(0).given(0, "size", 60.0, Some(0)).did(0, "asked");
        let (_, tallies) = run(&[story], None, &[]);
        assert_eq!(ranks(&tallies), [vec![100], vec![100], vec![100], vec![100]]);
        assert_eq!((tallies.clipped, tallies.leads), ([0, 1, 1], 1));
        assert_eq!(tallies.tested.moments[CROSSING].ready.positive, 1);
    }

    #[test]
    fn who_cannot_be_judged_is_counted_apart() {
        let first = Story::new(1).sales(-1, Move::Qualified).given(0, "size", 60.0, Some(0)).won(5);
        let contact = Story::new(2).did(0, "page_viewed");
        let customer = Capture { customer: true, ..Capture::default() };
        let customer =
            Story::new(3).at(day(0), Fact::Captured(Box::new(customer))).given(9, "size", 1.0, None);
        let mut forgotten = Story::new(4).given(0, "size", 60.0, Some(0)).did(5, "asked");
        let lead = forgotten.lead(now());
        forgotten.facts.remove(0);
        let (backtest, mut tallies) = run(&[first, contact, customer], None, &[]);
        backtest.add(&mut tallies, &lead, &forgotten.facts);
        let counts = json!({"contacts": 1, "customers": 1, "sales_came_first": 1, "forgotten": 1});
        assert_eq!((tallies.apart.to_json(), tallies.leads), (counts, 0));
    }

    #[test]
    fn an_outcome_counts_within_its_days_and_the_young_are_censored() {
        let story = |n| Story::new(n).given(0, "size", 60.0, Some(0));
        let past = |story: &Story, now| Past::of(&story.lead(now), &story.facts, now).unwrap();
        let class = |story: &Story, now| past(story, now).class(day(0), 180, now);
        assert_eq!(class(&story(1).won(180), now()), Class::Positive);
        assert_eq!(class(&story(1).won(181), now()), Class::Negative);
        assert_eq!(class(&story(1).lost(300), now()), Class::Negative);
        assert_eq!(class(&story(1), day(180)), Class::Negative);
        assert_eq!(class(&story(1), day(179)), Class::Censored);
        assert_eq!(class(&story(1).lost(5).sales(6, Move::Qualified), day(179)), Class::Censored);
        // The win was a mistake and taken back: it is neither an outcome nor a contact.
        let taken_back = story(1).won(20);
        let id = taken_back.facts[1].delivery;
        let taken_back = taken_back.at(day(21), Fact::Withdrawn { id, note: None });
        assert_eq!(class(&taken_back, now()), Class::Negative);
        assert_eq!(past(&taken_back, now()).contact, None);
    }

    #[test]
    fn the_line_is_crossed_when_a_window_ends() {
        let spam = Story::new(1).given(0, "size", 60.0, Some(0)).did(0, "asked");
        let spam = spam.did(0, "page_viewed").did(0, "page_viewed").did(0, "page_viewed");
        let (_, tallies) = run(std::slice::from_ref(&spam), None, &[]);
        // Within five days of day 0 it counts as spam; midnight of day 5 is a Saturday of the tenth week.
        assert_eq!(ranks(&tallies), [vec![40], vec![91], vec![70], vec![93]]);
        let weeks = &tallies.tested.hand_offs;
        assert_eq!(weeks.keys().map(|week| Day(*week).iso_week()).collect::<Vec<_>>(), ["2026-W10"]);
        assert_eq!(weeks.values().next().unwrap()["eu-1"], 1);
        // Had sales called on day 4, it would never have crossed.
        let (_, tallies) = run(&[spam.sales(4, Move::Accepted)], None, &[]);
        assert!(tallies.tested.hand_offs.is_empty());
    }

    #[test]
    fn a_rule_on_what_is_known_after_the_outcome_is_refused_by_name() {
        let stories: Vec<Story> = (0..4)
            .map(|n| {
                let story = Story::new(n).given(0, "size", 60.0, Some(0)).sales(3, Move::Accepted);
                if n < 2 { story.given(5, "budget", 1.0, Some(6)).won(9) } else { story.lost(9) }
            })
            .collect();
        let report = report(&stories, Some(&stricter()), &[]);
        assert_eq!(report["refused"].as_array().unwrap().len(), 1);
        let refused = &report["refused"][0];
        assert_eq!((&refused["attribute"], &refused["rules"]), (&json!("budget"), &json!(["rich"])));
        let because = refused["because"].as_str().unwrap();
        assert!(because.starts_with("`budget` is known only after the outcome in 100 % of its values"));
        assert_eq!(report["active"]["left_out"], json!([{"rule": "rich", "attribute": "budget"}]));
    }

    #[test]
    fn an_undated_attribute_is_refused_until_it_is_declared_known_at_capture() {
        let stories = [Story::new(1).given(0, "size", 60.0, None).did(0, "asked").won(5)];
        let refused = report(&stories, None, &[]);
        assert_eq!(
            refused["refused"][0]["because"],
            "`size` is undated in 100 % of its values: nobody says since when they were known"
        );
        // `rich` asks for the size, too.
        assert_eq!(refused["refused"][0]["rules"], json!(["big", "rich"]));
        assert_eq!(refused["tested"]["moments"]["day_0"]["labels"][0]["label"], "D1");
        let declared = report(&stories, None, &["size"]);
        assert_eq!(declared["refused"], json!([]));
        assert_eq!(declared["tested"]["moments"]["day_0"]["labels"][0]["label"], "B1");
        assert_eq!(declared["tested"]["moments"]["first_crossing"]["line"]["precision"]["rate"], 1.0);
    }

    #[test]
    fn a_definition_that_asks_for_a_persona_rests_on_what_makes_one() {
        let mut document = document();
        document["personas"] = json!([
            {"id": "rich", "name": "Rich", "when": {"attribute": "budget", "at_least": 50}},
            {"id": "poor", "name": "Poor", "when": {"attribute": "country", "exists": true}},
        ]);
        document["marketing_qualified"]["when"] = json!({"not": {"persona": "poor"}});
        let stories = [Story::new(1).given(0, "budget", 60.0, None)];
        let version = Version::new(&Playbook::parse(&document).unwrap(), &known(&stories, &at_capture(&[])));
        let named = |left: &LeftOut| left.rule == "marketing_qualified" && left.attribute == "budget";
        assert!(version.left_out.iter().any(named), "{:?}", version.left_out);
        assert!(version.playbook.marketing_qualified.when.is_none());
    }

    #[test]
    fn a_definition_that_rests_on_a_leak_does_without_it() {
        let mut document = document();
        document["marketing_qualified"]["when"] = json!({"not": {"attribute": "budget", "at_most": 5}});
        document["lead_when"] = json!({"attribute": "budget", "exists": false});
        let stories = [Story::new(1).given(0, "budget", 60.0, None)];
        let version = Version::new(&Playbook::parse(&document).unwrap(), &known(&stories, &at_capture(&[])));
        let rules: Vec<&str> = version.left_out.iter().map(|left| left.rule.as_str()).collect();
        assert_eq!(rules, ["rich", "marketing_qualified", "lead_when"]);
        assert!(version.playbook.marketing_qualified.when.is_none());
        assert!(matches!(version.playbook.lead_when, LeadWhen::AnyResponse));
        let kept: Vec<&str> =
            version.playbook.fit.iter().flat_map(|g| &g.rules).map(|r| r.id.as_str()).collect();
        assert_eq!(kept, ["big"]);
    }

    #[test]
    fn fewer_than_half_is_a_note_and_those_values_are_left_out() {
        let stories: Vec<Story> = (0..4)
            .map(|n| {
                let known = if n == 0 { None } else { Some(0) };
                Story::new(n).given(0, "size", 60.0, known).did(0, "asked")
            })
            .collect();
        let report = report(&stories, None, &[]);
        assert_eq!(report["refused"], json!([]));
        let note = report["notes"][0].as_str().unwrap();
        assert!(note.starts_with("`size` is undated in 25 % of its values"), "{note}");
        assert_eq!(report["tested"]["moments"]["first_crossing"]["line"]["qualified"], 3);
    }

    /// Many leads of every kind.
    fn crowd() -> Vec<Story> {
        (0..60_u8)
            .map(|n| {
                let size = f64::from(n) * 3.0;
                let mut story = Story::new(n).given(i64::from(n % 7), "size", size, Some(0));
                if n % 2 == 0 {
                    story = story.did(i64::from(n % 11), "asked");
                }
                match n % 4 {
                    0 => story.sales(20, Move::Accepted).won(40),
                    1 => story.lost(25),
                    2 => story,
                    _ => story.given(1, "budget", 1.0, Some(1)),
                }
            })
            .collect()
    }

    #[test]
    fn leads_on_which_two_versions_disagree_are_counted_and_explained() {
        let report = report(&crowd(), Some(&stricter()), &[]);
        let flips = &report["flips"]["newly_qualified"];
        assert_eq!(flips["leads"], 20);
        assert_eq!(flips["sample"].as_array().unwrap().len(), SAMPLE);
        let shown = &flips["sample"][0];
        assert_eq!((&shown["tested"]["label"], &shown["active"]["label"]), (&json!("B1"), &json!("B1")));
        assert_eq!(shown["tested"]["explanation"][0]["rule"], "big");
        assert_eq!(report["flips"]["no_longer_qualified"]["leads"], 0);
        assert_eq!(super::tests::report(&crowd(), None, &[])["flips"], Value::Null);
    }

    #[test]
    fn parts_add_up_and_read_back() {
        let stories = crowd();
        let active = stricter();
        let (backtest, all) = run(&stories, Some(&active), &[]);
        let count = |stories: &[Story]| {
            let mut part = Tallies::default();
            stories.iter().for_each(|story| backtest.add(&mut part, &story.lead(now()), &story.facts));
            Tallies::from_json(&part.to_json()).unwrap()
        };
        let (left, right) = stories.split_at(23);
        let mut sum = count(right);
        sum.merge(count(left));
        assert_eq!(sum, all);
        let none = at_capture(&[]);
        let mut known_sum = known(left, &none);
        known_sum.merge(Known::from_json(&known(right, &none).to_json()).unwrap());
        assert_eq!(known_sum, known(&stories, &none));
        assert_eq!(Tallies::from_json(&json!({})), Some(Tallies::default()));
        assert_eq!(Tallies::from_json(&json!({"leads": "many"})), None);
    }

    #[test]
    fn the_answer_says_what_cannot_be_concluded() {
        let report = report(&crowd(), None, &[]);
        let caution: Vec<&str> =
            report["caution"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        assert!(
            caution[0].starts_with("day_0: too few to conclude: 15 wins; the AUC's interval is 0."),
            "{caution:?}"
        );
        assert!(caution.iter().any(|line| line.starts_with("sales never worked 50 % of these leads")));
        assert_eq!(
            (&report["wins"], &report["losses"], &report["censored"]),
            (&json!(15), &json!(45), &json!(0))
        );
        let nothing = super::tests::report(&[], None, &[]);
        assert_eq!(nothing["tested"]["moments"]["day_0"]["win_rate"]["rate"], Value::Null);
        assert_eq!(nothing["tested"]["moments"]["day_0"]["auc"]["value"], Value::Null);
        assert_eq!(nothing["never_worked"]["rate"], Value::Null);
    }
}
