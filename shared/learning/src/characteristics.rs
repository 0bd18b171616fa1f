//! What best and worst customers have in common.
//!
//! For each attribute and signal: who has which value, how many of them are of the wanted kind, and how sure that is.
//! One at a time, so that it can be read; what counts beside everything else is for [`suggest`](crate::suggest).
//!
//! # Leaks
//!
//! An attribute that sales fills in once a deal is won explains every win and predicts none. Where its values bear no
//! time that would show it, its mere presence does: the won have it and the others do not, or the other way round. It
//! is named a leak where *being given* or *not being given* is [`LEAK`] times as likely for the one kind as for the
//! other (98 % to 2 %), also where only a few of the won have it, as with a field that was filled in for some deals.
//! That asks nothing of the values themselves: a value that wins nearly always may be honest.

use crate::bins::{Bin, Binned, Count, Source, information_value, minimum_support};
use crate::dataset::Dataset;
use crate::measure::{Interval, wilson};

/// How many times as likely makes a leak.
pub const LEAK: f64 = 49.0;
/// In about how many bands numbers are shown.
const BANDS: usize = 8;
/// How many of the best and of the worst are shown.
const SHOWN: usize = 20;

/// What is wanted of a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// That it is won.
    Won,
    /// That, won, it brings more than the median of the won whose revenue is known.
    Revenue,
    /// That, won, it stays a customer.
    Retained,
}

impl Target {
    /// Every target with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("won", Self::Won), ("revenue", Self::Revenue), ("retained", Self::Retained)];

    /// Gives the leads that can be judged, and of each whether it is of the wanted kind.
    fn judged(self, dataset: &Dataset) -> (Vec<usize>, Vec<bool>) {
        let won = dataset.outcomes.iter().enumerate().filter(|(_, outcome)| outcome.won);
        match self {
            Self::Won => dataset.outcomes.iter().map(|outcome| outcome.won).enumerate().unzip(),
            Self::Retained => won.filter_map(|(lead, outcome)| Some((lead, outcome.retained?))).unzip(),
            Self::Revenue => {
                let revenues: Vec<(usize, i64)> =
                    won.filter_map(|(lead, outcome)| Some((lead, outcome.revenue?))).collect();
                let mut sorted: Vec<i64> = revenues.iter().map(|(_, revenue)| *revenue).collect();
                sorted.sort_unstable();
                // The lower of the two in the middle, so that half of them can lie above it.
                let median = sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default();
                revenues.into_iter().map(|(lead, revenue)| (lead, revenue > median)).unzip()
            }
        }
    }
}

/// A value or band, or a signal seen so often, and what became of the leads that have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Trait {
    /// What it is about.
    pub source: Source,
    /// The value or band.
    pub bin: Bin,
    /// The value or band in words.
    pub title: String,
    /// The leads that have it, and the wanted among them.
    pub count: Count,
    /// The share of the wanted among them.
    pub rate: f64,
    /// Between which that share lies, with a confidence of 95 %.
    pub interval: Option<Interval>,
    /// That share by the share among all.
    pub lift: f64,
    /// The weight of evidence.
    pub weight_of_evidence: f64,
}

/// Something that looks as if it were known only after the outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Leak {
    /// What.
    pub source: Source,
    /// The share of the wanted that have it.
    pub given_wanted: f64,
    /// The share of the others that have it.
    pub given_others: f64,
}

impl std::fmt::Display for Leak {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        write!(
            f,
            "`{}` looks as if it were known only after the outcome: {} of the won have it and {} of the others",
            self.source.as_str(),
            percent(self.given_wanted),
            percent(self.given_others)
        )
    }
}

/// What best and worst have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Characteristics {
    /// The leads that were judged, and the wanted among them.
    pub all: Count,
    /// What the wanted have more often than the others, the most telling first.
    pub best: Vec<Trait>,
    /// What the others have more often, the most telling first.
    pub worst: Vec<Trait>,
    /// How much each attribute and signal tells as a whole, the most first.
    pub information: Vec<(Source, f64)>,
    /// What was left out.
    pub leaks: Vec<Leak>,
}

/// Tells what best and worst have in common.
#[must_use]
pub fn characteristics(dataset: &Dataset, target: Target) -> Characteristics {
    let (leads, wanted) = target.judged(dataset);
    let mut columns = Binned::all(dataset, &leads, BANDS);
    let leaks = leaks(&columns, &wanted);
    columns.retain(|column| leaks.iter().all(|leak| leak.source != column.source));
    let mut all = Count::default();
    wanted.iter().for_each(|wanted| all.add(*wanted));
    let support = minimum_support(leads.len());
    let mut traits = Vec::new();
    let mut information = Vec::new();
    for column in &columns {
        let counts = column.counts(&wanted);
        information.push((column.source.clone(), information_value(&counts)));
        for (bin, count) in column.bins.iter().zip(counts).filter(|(_, count)| count.leads >= support) {
            traits.push(Trait {
                source: column.source.clone(),
                bin: bin.clone(),
                title: column.title(bin),
                count,
                rate: count.rate(),
                interval: wilson(f64::from(count.wins), f64::from(count.leads)),
                lift: if all.wins == 0 { 0.0 } else { count.rate() / all.rate() },
                weight_of_evidence: count.weight_of_evidence(all),
            });
        }
    }
    information.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let evidence = |a: &Trait, b: &Trait| b.weight_of_evidence.total_cmp(&a.weight_of_evidence);
    let (mut best, mut worst): (Vec<Trait>, Vec<Trait>) =
        traits.into_iter().partition(|one| one.weight_of_evidence >= 0.0);
    best.sort_by(evidence);
    worst.sort_by(|a, b| evidence(b, a));
    best.truncate(SHOWN);
    worst.truncate(SHOWN);
    Characteristics { all, best, worst, information, leaks }
}

/// Finds the attributes whose mere presence nearly decides the outcome.
#[must_use]
pub fn leaks(columns: &[Binned], wanted: &[bool]) -> Vec<Leak> {
    let mut leaks = Vec::new();
    for column in columns.iter().filter(|column| matches!(column.source, Source::Attribute(_))) {
        let counts = column.counts(wanted);
        let all: Count = counts.iter().copied().sum();
        let absent: Count =
            column.bins.iter().zip(&counts).filter(|(bin, _)| **bin == Bin::NotGiven).map(|(_, n)| *n).sum();
        let given = Count { leads: all.leads - absent.leads, wins: all.wins - absent.wins };
        let support = minimum_support(wanted.len());
        let decides = |count: Count| count.weight_of_evidence(all).abs() >= LEAK.ln();
        if given.leads.min(absent.leads) >= support && (decides(given) || decides(absent)) {
            leaks.push(Leak {
                source: column.source.clone(),
                given_wanted: f64::from(given.wins) / f64::from(all.wins.max(1)),
                given_others: f64::from(given.losses()) / f64::from(all.losses().max(1)),
            });
        }
    }
    leaks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Outcome;
    use crate::dataset::tests::{name, text};
    use domain::identity::Slug;

    fn dataset() -> Dataset {
        let [source, deal, note] = ["source", "deal", "note"].map(name);
        let seen = Slug::parse("pricing_viewed").unwrap();
        let (fair, web, yes) = (text("Fair"), text("Web"), text("yes"));
        let mut dataset = Dataset::default();
        for i in 0..1_000_i64 {
            let won = i % 10 < if i < 500 { 6 } else { 2 };
            let mut attributes = vec![(&source, if i < 500 { &fair } else { &web })];
            if won && i % 2 == 0 {
                attributes.push((&deal, &yes));
            }
            let rare = text(&format!("note {}", i % 50));
            attributes.push((&note, &rare));
            let outcome = Outcome {
                won,
                revenue: won.then_some(i * 100),
                retained: (won && i < 500).then_some(i < 250),
            };
            dataset.add(attributes, (won && i % 4 == 0).then_some((&seen, 2)), outcome);
        }
        dataset
    }

    #[test]
    fn best_and_worst_stand_first_with_their_intervals() {
        let found = characteristics(&dataset(), Target::Won);
        assert_eq!(found.all, Count { leads: 1_000, wins: 400 });
        let of = |traits: &[Trait], title: &str| traits.iter().find(|t| t.title == title).unwrap().clone();
        let fair = of(&found.best, "Fair");
        assert_eq!(fair.count, Count { leads: 500, wins: 300 });
        assert!((fair.rate - 0.6).abs() < 1e-12 && (fair.lift - 1.5).abs() < 1e-12);
        // Wilson's interval of 300 of 500, as R's prop.test without correction gives it.
        let interval = fair.interval.unwrap();
        assert!((interval.low - 0.5565).abs() < 1e-3 && (interval.high - 0.6420).abs() < 1e-3);
        assert_eq!(of(&found.worst, "Web").count.wins, 100);
        assert_eq!(found.best.first().unwrap().source.as_str(), "pricing_viewed");
        // Each note stands on 20 leads only.
        assert!(found.best.iter().chain(&found.worst).all(|t| !t.title.starts_with("note")));
        assert!(found.information.windows(2).all(|pair| pair[0].1 >= pair[1].1));
    }

    #[test]
    fn what_only_the_won_have_is_a_leak() {
        let found = characteristics(&dataset(), Target::Won);
        assert_eq!(found.leaks.len(), 1);
        assert_eq!(found.leaks[0].source.as_str(), "deal");
        assert_eq!(found.leaks[0].given_others, 0.0);
        assert!(found.best.iter().all(|t| t.source.as_str() != "deal"));
    }

    #[test]
    fn revenue_and_retention_are_asked_of_the_won() {
        let revenue = characteristics(&dataset(), Target::Revenue);
        assert_eq!(revenue.all, Count { leads: 400, wins: 200 });
        assert_eq!(
            revenue.worst.iter().find(|t| t.title == "Fair").unwrap().count,
            Count { leads: 300, wins: 100 }
        );
        assert_eq!(characteristics(&dataset(), Target::Retained).all, Count { leads: 300, wins: 150 });
        assert_eq!(characteristics(&Dataset::default(), Target::Revenue).all, Count::default());
    }
}
