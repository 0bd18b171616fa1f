//! How good the active score was, by month.
//!
//! A lead belongs to the month in which it was handed to sales, or first crossed the line where it came as history and
//! was handed to nobody. One that did neither belongs to the month of its thirtieth day, or of the day before sales
//! touched it, so that the area under the curve is that of all leads and not only of those that passed. It is judged by
//! the score that it had at that moment under the active version, from its facts up to then; values of which nobody says
//! since when they were known count from the fact that brought them, as the live score counts them.
//!
//! Sales' first answer after the moment is its acceptance. Only the first hand-off of a lead is looked at.
//!
//! # Drift
//!
//! A score is calibrated as long as a label goes on to mean what it meant. So the rates per label of the latest month
//! that can be told are set against those of all months before, and their differences averaged, weighted by the month's
//! leads. Two samples of the same thing differ, too; the alarm is raised only where the average lies beyond what chance
//! gives in 95 of 100 cases. Acceptance can be told as soon as a month is over, win rates only when all its leads had
//! their days to be won: the first is the early warning, the second the truth.
//!
//! # Which rules decided
//!
//! A rule decided a lead that sales rejected if without its points the lead would not have been ready. Sorted by how
//! many those are, with sales' reasons, that list says which rule to talk about: "wrong size" points at the fit rule
//! that let them through.

use crate::backtest::{ApartTally, HORIZON_DAYS, Past, keep, leads, rank, without_segments};
use crate::measure::{Histogram, Rate, Tally, auc, auc_json, float, rounded, too_few};
use domain::change::{Fact, Incoming, is_ready};
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::replay::{Declared, Replay, as_known, hand_offs, is_of_sales, sales_did};
use domain::sales::Move;
use domain::score::explain;
use domain::time::{DAY_MS, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Beyond how many standard deviations chance is no explanation.
const BEYOND_CHANCE: f64 = 1.96;

/// What sales answered first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    Rejected(Option<String>),
    NotReady,
}

/// Gives sales' first answer at or after a moment.
pub(crate) fn answer(facts: &[Incoming], moment: Timestamp) -> Option<Answer> {
    let answer = |incoming: &Incoming| match &incoming.fact {
        Fact::Sales { what, .. } => match what {
            Move::Accepted | Move::Qualified | Move::Opportunity { .. } | Move::Won { .. } => {
                Some(Answer::Accepted)
            }
            // Who loses a deal has worked on it.
            Move::Lost { deal: Some(_), .. } => Some(Answer::Accepted),
            Move::Rejected { reason } | Move::Disqualified { reason } | Move::Lost { deal: None, reason } => {
                Some(Answer::Rejected(reason.clone()))
            }
            Move::NotReady { .. } => Some(Answer::NotReady),
            Move::Assigned { .. } | Move::Churned | Move::FollowedUp => None,
            Move::MarketingQualified { .. } | Move::PromiseDueSoon | Move::PromiseBroken { .. } => None,
        },
        _ => None,
    };
    sales_did(facts)
        .filter(|incoming| incoming.occurred_at >= moment)
        .filter_map(|incoming| Some((incoming.occurred_at, answer(incoming)?)))
        .min_by_key(|(at, _)| *at)
        .map(|(_, answer)| answer)
}

/// What is asked: the active version, of all leads, now.
#[derive(Clone, Debug)]
pub struct Quality {
    playbook: Playbook,
    /// The playbook without each of its rules that give points, with the rule's id.
    without: Vec<(String, Playbook)>,
    titles: BTreeMap<String, String>,
    horizon_days: u16,
    now: Timestamp,
}

impl Quality {
    /// Prepares the question. `now` is the time of the whole job.
    #[must_use]
    pub fn new(playbook: &Playbook, now: Timestamp) -> Self {
        let playbook = without_segments(playbook);
        let fit = playbook.fit.iter().flat_map(|group| &group.rules);
        let engagement = playbook.engagement.iter().flat_map(|group| &group.rules);
        let rules: Vec<_> = fit
            .map(|rule| (&rule.id, &rule.title, rule.points))
            .chain(engagement.map(|rule| (&rule.id, &rule.title, rule.points)))
            .collect();
        let without = rules.iter().filter(|(_, _, points)| *points > 0).map(|(id, ..)| {
            let mut other = playbook.clone();
            keep(&mut other.fit, |rule| rule.id != **id);
            keep(&mut other.engagement, |rule| rule.id != **id);
            (id.to_string(), other)
        });
        Self {
            without: without.collect(),
            titles: rules.iter().map(|(id, title, _)| (id.to_string(), (*title).clone())).collect(),
            playbook: playbook.clone(),
            horizon_days: HORIZON_DAYS,
            now,
        }
    }

    /// Counts a lead with all its facts.
    pub fn add(&self, tallies: &mut Tallies, lead: &Lead, facts: &[Incoming]) {
        let past = match Past::of(lead, facts, self.now) {
            Ok(past) => past,
            Err(apart) => {
                tallies.apart.add(apart);
                return;
            }
        };
        let mut own = as_known(facts, &|_| Declared::WithFact).facts;
        own.retain(|incoming| !is_of_sales(&incoming.fact));
        let mut replay = Replay::new(lead.id.clone(), &self.playbook, &own);
        // Sales may have answered at the very time of the hand-off, where only days are known.
        let handed = hand_offs(facts)
            .map(|hand_off| hand_off.occurred_at)
            .find(|at| past.contact.is_none_or(|contact| contact >= *at));
        let qualified = handed.or_else(|| replay.clone().first_ready(past.last).map(|crossing| crossing.at));
        let moment = qualified.unwrap_or_else(|| past.after(30));
        let Some(then) = replay.until(moment) else { return };
        let explanation = explain(&self.playbook, &then.view(moment.day()));
        let label = explanation.score.label.to_string();
        let class = past.class(moment, self.horizon_days, self.now);
        let name = month_of(moment, &self.playbook);
        let month = tallies.months.entry(name).or_default();
        month.ranks.add(rank(explanation.score), class);
        month.labels.add(label.clone(), class);
        if qualified.is_none() {
            return;
        }
        let answer = answer(facts, moment);
        month.answers.entry(label).or_default().add(answer.as_ref());
        if let Some(Answer::Rejected(reason)) = answer {
            let reason = reason.unwrap_or_default();
            tallies.rejected += 1;
            let mut decided = false;
            if is_ready(then, &self.playbook, moment.day()) {
                for (rule, other) in &self.without {
                    let gave = explanation.lines.iter().any(|line| {
                        line.points > 0 && line.rule.as_ref().is_some_and(|r| r.as_str() == rule)
                    });
                    if gave && !is_ready(then, other, moment.day()) {
                        decided = true;
                        let reasons = tallies.deciders.entry(rule.clone()).or_default();
                        *reasons.entry(reason.clone()).or_default() += 1;
                    }
                }
            }
            tallies.undecided += u64::from(!decided);
        }
    }
}

/// Names the month of a moment in the playbook's time zone: `2026-11`.
fn month_of(at: Timestamp, playbook: &Playbook) -> String {
    at.day_in(&playbook.timezone).to_string().chars().take(7).collect()
}

/// Gives a moment by which a month is over everywhere on earth.
fn end_of(month: &str) -> Option<Timestamp> {
    let (year, month) = month.split_once('-')?;
    let (year, month): (u16, u8) = (year.parse().ok()?, month.parse().ok()?);
    let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    Timestamp::parse(&format!("{year:04}-{month:02}-01T00:00:00Z")).map(|at| at.plus(DAY_MS))
}

/// What sales answered to leads of one label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 4]", into = "[u64; 4]")]
pub(crate) struct Answers {
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) not_ready: u64,
    pub(crate) unanswered: u64,
}

impl From<[u64; 4]> for Answers {
    fn from([accepted, rejected, not_ready, unanswered]: [u64; 4]) -> Self {
        Self { accepted, rejected, not_ready, unanswered }
    }
}

impl From<Answers> for [u64; 4] {
    fn from(answers: Answers) -> Self {
        [answers.accepted, answers.rejected, answers.not_ready, answers.unanswered]
    }
}

impl Answers {
    pub(crate) const fn add(&mut self, answer: Option<&Answer>) {
        match answer {
            Some(Answer::Accepted) => self.accepted += 1,
            Some(Answer::Rejected(_)) => self.rejected += 1,
            Some(Answer::NotReady) => self.not_ready += 1,
            None => self.unanswered += 1,
        }
    }

    const fn merge(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.not_ready += other.not_ready;
        self.unanswered += other.unanswered;
    }

    /// Gives the share of those answered that were accepted. "Not yet" is no yes.
    pub(crate) const fn acceptance(&self) -> Rate {
        Rate { hits: self.accepted, of: self.accepted + self.rejected + self.not_ready }
    }
}

/// What was counted of one month.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Month {
    ranks: Histogram,
    labels: Histogram<String>,
    answers: BTreeMap<String, Answers>,
}

impl Month {
    fn merge(&mut self, other: Self) {
        self.ranks.merge(other.ranks);
        self.labels.merge(other.labels);
        for (label, answers) in other.answers {
            self.answers.entry(label).or_default().merge(&answers);
        }
    }

    fn win_rates(&self) -> BTreeMap<&str, Rate> {
        self.labels.0.iter().map(|(label, tally)| (label.as_str(), tally.win_rate())).collect()
    }

    fn acceptances(&self) -> BTreeMap<&str, Rate> {
        self.answers.iter().map(|(label, answers)| (label.as_str(), answers.acceptance())).collect()
    }

    fn to_json(&self, name: &str) -> Value {
        let total = self.ranks.total();
        let label = |(label, tally): (&String, &Tally)| {
            let answers = self.answers.get(label).copied().unwrap_or_default();
            json!({
                "label": label,
                "leads": leads(tally),
                "win_rate": tally.win_rate().to_json(),
                "acceptance": answers.acceptance().to_json(),
                "accepted": answers.accepted,
                "rejected": answers.rejected,
                "not_ready": answers.not_ready,
                "unanswered": answers.unanswered,
            })
        };
        json!({
            "month": name,
            "leads": leads(&total),
            "wins": total.positive,
            "losses": total.negative,
            "censored": total.censored,
            "auc": auc_json(auc(&self.ranks)),
            "labels": self.labels.0.iter().map(label).collect::<Vec<_>>(),
            "caution": too_few(&self.ranks),
        })
    }
}

/// All that is counted of the leads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tallies {
    apart: ApartTally,
    months: BTreeMap<String, Month>,
    rejected: u64,
    /// Those rejected that would have been ready without any single rule, or were not ready by this version.
    undecided: u64,
    /// By rule, then by sales' reason, empty where none was given: rejected leads that the rule decided.
    deciders: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Tallies {
    /// Adds another part.
    pub fn merge(&mut self, other: Self) {
        self.apart.merge(other.apart);
        self.rejected += other.rejected;
        self.undecided += other.undecided;
        for (name, month) in other.months {
            self.months.entry(name).or_default().merge(month);
        }
        for (rule, reasons) in other.deciders {
            let sum = self.deciders.entry(rule).or_default();
            for (reason, leads) in reasons {
                *sum.entry(reason).or_default() += leads;
            }
        }
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

/// How far the rates of a month lie from those before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// The latest month that can be told.
    pub month: String,
    /// The mean difference of the labels' rates, weighted by the month's leads.
    pub value: f64,
    /// What chance alone would give on average.
    pub by_chance: f64,
    /// What chance alone stays below in 95 of 100 cases.
    pub limit: f64,
    /// By label: the month's rate and that of the months before.
    pub labels: BTreeMap<String, (Rate, Rate)>,
}

impl Drift {
    /// Sets one month's rates against those of the months before; none where no label has both.
    ///
    /// Where nothing drifted, the difference of a label's two rates is about normal about zero with variance
    /// p (1 − p) (1 / n + 1 / m), and so the mean of its size is σ √(2 / π) and its variance σ² (1 − 2 / π).
    fn between(month: &str, now: &BTreeMap<&str, Rate>, before: &BTreeMap<&str, Rate>) -> Option<Self> {
        let labels: BTreeMap<String, (Rate, Rate)> = now
            .iter()
            .filter_map(|(label, rate)| Some(((*label).to_owned(), (*rate, *before.get(label)?))))
            .filter(|(_, (rate, reference))| rate.of > 0 && reference.of > 0)
            .collect();
        let all: f64 = labels.values().map(|(rate, _)| float(rate.of)).sum();
        if all <= 0.0 {
            return None;
        }
        let (mut value, mut by_chance, mut variance) = (0.0, 0.0, 0.0);
        for (rate, reference) in labels.values() {
            let (n, m) = (float(rate.of), float(reference.of));
            let weight = n / all;
            value += weight * (rate.share()? - reference.share()?).abs();
            // One of each more, so that a few leads of one kind are not taken for certainty (Laplace).
            let p = (float(rate.hits + reference.hits) + 1.0) / (n + m + 2.0);
            let sigma2 = p * (1.0 - p) * (1.0 / n + 1.0 / m);
            by_chance += weight * (sigma2 * std::f64::consts::FRAC_2_PI).sqrt();
            variance += weight * weight * sigma2 * (1.0 - std::f64::consts::FRAC_2_PI);
        }
        let limit = by_chance + BEYOND_CHANCE * variance.sqrt();
        Some(Self { month: month.to_owned(), value, by_chance, limit, labels })
    }

    /// Tells whether chance is no explanation.
    #[must_use]
    pub fn alarm(&self) -> bool {
        self.value > self.limit
    }

    fn to_json(&self) -> Value {
        let label = |(label, (rate, reference)): (&String, &(Rate, Rate))| json!({ "label": label, "rate": rate.to_json(), "before": reference.to_json() });
        json!({
            "month": self.month,
            "value": rounded(self.value),
            "by_chance": rounded(self.by_chance),
            "limit": rounded(self.limit),
            "alarm": self.alarm(),
            "labels": self.labels.iter().map(label).collect::<Vec<_>>(),
        })
    }
}

/// The answer about the score's quality.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What was asked.
    pub quality: &'a Quality,
    /// What was counted.
    pub tallies: &'a Tallies,
}

impl Report<'_> {
    /// Gives the drift of the win rates, in the latest month all of whose leads had their days to be won.
    #[must_use]
    pub fn win_rate_drift(&self) -> Option<Drift> {
        self.drift(i64::from(self.quality.horizon_days) * DAY_MS, Month::win_rates)
    }

    /// Gives the drift of the acceptances, in the latest month that is over.
    #[must_use]
    pub fn acceptance_drift(&self) -> Option<Drift> {
        self.drift(0, Month::acceptances)
    }

    fn drift(&self, wait_ms: i64, rates: impl Fn(&Month) -> BTreeMap<&str, Rate>) -> Option<Drift> {
        let closed = |name: &str| end_of(name).is_some_and(|end| end.plus(wait_ms) <= self.quality.now);
        let told = |month: &Month| rates(month).values().any(|rate| rate.of > 0);
        let months = &self.tallies.months;
        let (name, month) = months.iter().rev().find(|(name, month)| closed(name) && told(month))?;
        let mut before: BTreeMap<&str, Rate> = BTreeMap::new();
        for (_, month) in months.range::<String, _>(..name) {
            for (label, rate) in rates(month) {
                let sum = before.entry(label).or_default();
                sum.hits += rate.hits;
                sum.of += rate.of;
            }
        }
        Drift::between(name, &rates(month), &before)
    }

    /// Writes it for the API.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let tallies = self.tallies;
        let (wins, acceptance) = (self.win_rate_drift(), self.acceptance_drift());
        let alarm = wins.as_ref().is_some_and(Drift::alarm) || acceptance.as_ref().is_some_and(Drift::alarm);
        let months: Vec<Value> = tallies.months.iter().map(|(name, month)| month.to_json(name)).collect();
        json!({
            "horizon_days": self.quality.horizon_days,
            "as_of": self.quality.now.to_string(),
            "apart": tallies.apart.to_json(),
            "months": months,
            "drift": {
                "win_rate": wins.as_ref().map(Drift::to_json),
                "acceptance": acceptance.as_ref().map(Drift::to_json),
            },
            "alarm": alarm,
            "rejected": {
                "leads": tallies.rejected,
                "by_no_single_rule": tallies.undecided,
                "rules": self.deciders(),
            },
            "caution": self.caution(wins.as_ref(), acceptance.as_ref()),
        })
    }

    /// Lists the rules that decided rejected leads, those that decided most first, each with sales' reasons.
    fn deciders(&self) -> Vec<Value> {
        let mut rules: Vec<(u64, &String, &BTreeMap<String, u64>)> = self
            .tallies
            .deciders
            .iter()
            .map(|(rule, reasons)| (reasons.values().sum(), rule, reasons))
            .collect();
        rules.sort_by_key(|(leads, rule, _)| (std::cmp::Reverse(*leads), *rule));
        let written = |(leads, rule, reasons): (u64, &String, &BTreeMap<String, u64>)| {
            let mut reasons: Vec<(&String, &u64)> = reasons.iter().collect();
            reasons.sort_by_key(|(reason, leads)| (std::cmp::Reverse(**leads), *reason));
            let reasons: Vec<Value> = reasons
                .into_iter()
                .map(|(reason, leads)| {
                    json!({ "reason": Some(reason).filter(|reason| !reason.is_empty()), "leads": leads })
                })
                .collect();
            let title = self.quality.titles.get(rule);
            json!({ "rule": rule, "title": title, "leads": leads, "reasons": reasons })
        };
        rules.into_iter().map(written).collect()
    }

    fn caution(&self, wins: Option<&Drift>, acceptance: Option<&Drift>) -> Vec<String> {
        let mut all = Histogram::default();
        for month in self.tallies.months.values() {
            all.merge(month.ranks.clone());
        }
        let none =
            |what: &str| format!("no two months can be compared yet by {what}: nothing can be said of drift");
        let drift = |what: &str, drift: Option<&Drift>| match drift {
            None => Some(none(what)),
            Some(drift) => drift.alarm().then(|| {
                format!(
                    "{what} by label drifted by {:.2} in {}; chance alone stays below {:.2}",
                    drift.value, drift.month, drift.limit
                )
            }),
        };
        too_few(&all)
            .into_iter()
            .chain(drift("win rates", wins))
            .chain(drift("acceptance", acceptance))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backtest::tests::{Story, day, playbook};

    /// A lead that asked and was handed over, and what sales answered.
    fn handed(n: u8, at: i64, size: f64, answer: Move) -> Story {
        Story::new(n).given(at, "size", size, None).did(at, "asked").handed(at).sales(at + 1, answer)
    }

    fn rejected(reason: &str) -> Move {
        Move::Rejected { reason: Some(reason.to_owned()) }
    }

    fn counted(stories: &[Story], now: Timestamp) -> (Quality, Tallies) {
        let quality = Quality::new(&playbook(), now);
        let mut tallies = Tallies::default();
        for story in stories {
            quality.add(&mut tallies, &story.lead(now), &story.facts);
        }
        (quality, tallies)
    }

    fn report(stories: &[Story], now: Timestamp) -> Value {
        let (quality, tallies) = counted(stories, now);
        Report { quality: &quality, tallies: &tallies }.to_json()
    }

    #[test]
    fn the_rule_that_let_a_rejected_lead_through_is_named_with_the_reason() {
        // Of size 60 and up the rule `big` gives 40 points, without which the fit is D.
        let stories = [
            handed(1, 0, 60.0, rejected("wrong_size")),
            handed(2, 1, 70.0, rejected("wrong_size")),
            handed(3, 2, 80.0, rejected("no_budget")),
            handed(4, 3, 80.0, Move::Accepted),
        ];
        let report = report(&stories, day(60));
        assert_eq!(report["rejected"]["leads"], 3);
        let rules = report["rejected"]["rules"].as_array().unwrap();
        assert_eq!(rules.len(), 2, "{rules:?}");
        assert_eq!((&rules[1]["rule"], &rules[1]["leads"]), (&json!("big"), &json!(3)));
        assert_eq!(
            rules[1]["reasons"],
            json!([{"reason": "wrong_size", "leads": 2}, {"reason": "no_budget", "leads": 1}])
        );
        // Nobody is ready who did nothing.
        assert_eq!(rules[0]["rule"], "asks");
    }

    #[test]
    fn acceptance_stands_beside_the_month_of_the_hand_off() {
        let stories = [
            handed(1, 0, 60.0, Move::Accepted),
            handed(2, 1, 70.0, rejected("x")),
            handed(3, 40, 70.0, Move::Accepted),
        ];
        let report = report(&stories, day(60));
        let months: Vec<(&Value, &Value, &Value)> = report["months"]
            .as_array()
            .unwrap()
            .iter()
            .map(|month| {
                let label = &month["labels"][0];
                (&month["month"], &label["label"], &label["acceptance"]["rate"])
            })
            .collect();
        assert_eq!(
            months,
            [(&json!("2026-03"), &json!("B1"), &json!(0.5)), (&json!("2026-04"), &json!("B1"), &json!(1.0))]
        );
        assert_eq!(report["months"][0]["censored"], 2);
        assert_eq!(report["months"][0]["auc"]["value"], Value::Null);
    }

    #[test]
    fn a_lead_that_was_handed_to_nobody_is_judged_too() {
        let quiet = Story::new(1).given(0, "size", 60.0, None);
        let imported = Story::new(2).given(0, "size", 60.0, None).did(3, "asked").won(20);
        let (_, tallies) = counted(&[quiet, imported], day(400));
        // The quiet one's thirtieth day is the first of April.
        let march = &tallies.months["2026-03"];
        assert_eq!(march.ranks.total(), Tally { positive: 1, negative: 0, censored: 0 });
        let april = &tallies.months["2026-04"];
        assert_eq!(april.ranks.total(), Tally { positive: 0, negative: 1, censored: 0 });
        assert!(april.answers.is_empty());
        assert_eq!(march.answers["B1"], Answers { accepted: 1, ..Answers::default() });
    }

    /// A hundred leads of a month, some of which were accepted.
    fn month(first: u8, at: i64, accepted: u8) -> Vec<Story> {
        (0..100)
            .map(|n| {
                let what = if n < accepted { Move::Accepted } else { rejected("x") };
                handed(first.wrapping_add(n), at, 60.0, what)
            })
            .collect()
    }

    #[test]
    fn the_alarm_is_raised_beyond_chance_and_not_within() {
        let drift = |later: u8| {
            let stories = [month(0, 0, 60), month(100, 35, later)].concat();
            let (quality, tallies) = counted(&stories, day(70));
            Report { quality: &quality, tallies: &tallies }.acceptance_drift().unwrap()
        };
        let same = drift(55);
        assert!((same.value - 0.05).abs() < 1e-9 && !same.alarm(), "{same:?}");
        let worse = drift(30);
        assert!((worse.value - 0.3).abs() < 1e-9 && worse.alarm() && worse.month == "2026-04", "{worse:?}");
    }

    #[test]
    fn a_month_that_is_not_over_is_not_compared() {
        let stories = [month(0, 0, 60), month(100, 35, 30)].concat();
        // April is over on the first of May, everywhere on the second; win rates are told 180 days later.
        let (quality, tallies) = counted(&stories, day(61));
        assert!(Report { quality: &quality, tallies: &tallies }.acceptance_drift().is_some());
        let (quality, tallies) = counted(&stories, day(60));
        let report = Report { quality: &quality, tallies: &tallies };
        assert!(report.acceptance_drift().is_none() && report.win_rate_drift().is_none());
        let json = report.to_json();
        assert_eq!((&json["alarm"], &json["drift"]["acceptance"]), (&json!(false), &Value::Null));
    }

    #[test]
    fn parts_add_up_and_read_back() {
        let stories = [month(0, 0, 60), month(100, 35, 30)].concat();
        let (_, all) = counted(&stories, day(70));
        let (_, mut left) = counted(&stories[..77], day(70));
        let (_, right) = counted(&stories[77..], day(70));
        left.merge(Tallies::from_json(&right.to_json()).unwrap());
        assert_eq!(left, all);
    }
}
