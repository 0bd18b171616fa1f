//! Bins: numbers in bands, texts as they are, "not given" as a value of its own; and the weight of evidence.
//!
//! Bins are made without a look at the outcome. Numbers are cut near their quantiles, at the roundest number that lies
//! half a band around each ("600", not "587"), since people have to read and remember the cuts. A text that fewer leads
//! have than the minimum support is one of *the others*. What tells bins apart is done afterwards, by whoever knows
//! which leads may be looked at.

use crate::dataset::{Cell, Dataset};
use domain::attribute::{AttributeName, AttributeValue};
use domain::identity::Slug;
use serde_json::{Value, json};
use std::fmt;

/// The most texts that are bins of their own, so that a bin's place fits into a byte together with the bands.
const MOST_VALUES: usize = 200;

/// What bins are about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Who the lead is.
    Attribute(AttributeName),
    /// What it did.
    Signal(Slug),
}

impl Source {
    /// Gives the name in the playbook.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Attribute(name) => name.as_str(),
            Self::Signal(id) => id.as_str(),
        }
    }

    /// Writes the source as JSON, as a condition names it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Attribute(name) => json!({"attribute": name.as_str()}),
            Self::Signal(id) => json!({"signal": id.as_str()}),
        }
    }
}

impl fmt::Display for Source {
    /// As people would write it at the start of a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.as_str().replace(['_', '-'], " ");
        let mut chars = words.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        write!(f, "{}{}", first.map_or_else(String::new, String::from), chars.as_str())
    }
}

/// One of the groups into which an attribute or a signal divides the leads.
#[derive(Clone, Debug, PartialEq)]
pub enum Bin {
    /// Those of whom it is not known.
    NotGiven,
    /// Those whose number, or count of a signal, lies between these.
    Band {
        /// At least this.
        least: Option<f64>,
        /// Less than this.
        below: Option<f64>,
    },
    /// Those with this text, or yes or no.
    Value(AttributeValue),
    /// Those with a text that too few have.
    Other,
}

/// An attribute or a signal, with its bins and who is in which.
#[derive(Clone, Debug)]
pub struct Binned {
    /// What the bins are about.
    pub source: Source,
    /// The bins, none of them empty.
    pub bins: Vec<Bin>,
    /// Are all numbers whole?
    pub whole: bool,
    /// The place of each lead's bin.
    pub(crate) places: Vec<u8>,
}

/// Leads of one bin or group, and those of the wanted kind among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub leads: u32,
    /// How many of them are of the wanted kind.
    pub wins: u32,
}

impl Count {
    /// Counts one more.
    pub const fn add(&mut self, win: bool) {
        self.leads += 1;
        self.wins += win as u32;
    }

    /// Gives those that are not of the wanted kind.
    #[must_use]
    pub const fn losses(self) -> u32 {
        self.leads.saturating_sub(self.wins)
    }

    /// Gives the share of the wanted kind; 0 of nobody.
    #[must_use]
    pub fn rate(self) -> f64 {
        if self.leads == 0 { 0.0 } else { f64::from(self.wins) / f64::from(self.leads) }
    }

    /// Gives the weight of evidence of being in this group, when `all` is everybody: the logarithm of how much more
    /// often winners are in it than others. Half a lead is added on each side, so that it is finite.
    #[must_use]
    pub fn weight_of_evidence(self, all: Self) -> f64 {
        let [wins, losses] = self.shares(all);
        (wins / losses).ln()
    }

    fn shares(self, all: Self) -> [f64; 2] {
        let share = |part: u32, of: u32| (f64::from(part) + 0.5) / (f64::from(of) + 1.0);
        [share(self.wins, all.wins), share(self.losses(), all.losses())]
    }
}

impl std::iter::Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, count| Self {
            leads: sum.leads + count.leads,
            wins: sum.wins + count.wins,
        })
    }
}

/// Gives the information value of bins: how far the winners' spread over them differs from the others'.
#[must_use]
pub fn information_value(bins: &[Count]) -> f64 {
    let all: Count = bins.iter().copied().sum();
    bins.iter()
        .map(|bin| {
            let [wins, losses] = bin.shares(all);
            (wins - losses) * (wins / losses).ln()
        })
        .sum()
}

/// Gives the least support that a bin or rule must have: half a per cent of the leads, and 30, below which an interval
/// of a rate is wider than anything one would conclude from it.
#[must_use]
pub fn minimum_support(leads: usize) -> u32 {
    u32::try_from(leads / 200).unwrap_or(u32::MAX).max(30)
}

impl Binned {
    /// Bins everything that is known of some of the leads, numbers in about so many bands.
    ///
    /// What has but one bin tells nothing and is not among them.
    #[must_use]
    pub fn all(dataset: &Dataset, leads: &[usize], bands: usize) -> Vec<Self> {
        let bands = bands.clamp(2, 50);
        let attributes = dataset.attributes.iter().map(|(name, column)| {
            let cells = leads.iter().map(|lead| column.cell(*lead)).collect();
            Self::of(Source::Attribute(name.clone()), cells, column.known(), bands)
        });
        let signals = dataset.signals.iter().map(|(id, counts)| {
            let cells = leads
                .iter()
                .map(|lead| Cell::Number(f64::from(counts.get(*lead).copied().unwrap_or(0))))
                .collect();
            Self::of(Source::Signal(id.clone()), cells, &[], bands)
        });
        attributes.chain(signals).filter(|binned| binned.bins.len() > 1).collect()
    }

    fn of(source: Source, cells: Vec<Cell>, known: &[AttributeValue], bands: usize) -> Self {
        let mut numbers: Vec<f64> = Vec::new();
        let mut support: Vec<(u32, usize)> = (0..known.len()).map(|place| (0, place)).collect();
        for cell in &cells {
            match cell {
                Cell::Number(n) => numbers.push(*n),
                Cell::Text(Some(place)) => {
                    if let Some((n, _)) = support.get_mut(*place) {
                        *n += 1;
                    }
                }
                Cell::NotGiven | Cell::Text(None) => {}
            }
        }
        numbers.sort_by(f64::total_cmp);
        let whole = numbers.iter().all(|n| n.fract() == 0.0);
        let cuts = match &source {
            Source::Attribute(_) => cuts(&numbers, bands, whole),
            // Most leads never show most signals: seen or not is the first cut, the others lie among those who did.
            Source::Signal(_) => {
                let seen = numbers.partition_point(|n| *n < 1.0);
                let mut cuts = cuts(numbers.get(seen..).unwrap_or(&[]), bands, whole);
                cuts.insert(0, 1.0);
                cuts.dedup();
                cuts
            }
        };
        let least = minimum_support(cells.len());
        support.retain(|(n, _)| *n >= least);
        support.sort_by_key(|(n, place)| (std::cmp::Reverse(*n), *place));
        support.truncate(MOST_VALUES);
        let mut values = vec![None; known.len()];
        for (at, (_, place)) in support.iter().enumerate() {
            if let Some(value) = values.get_mut(*place) {
                *value = Some(at);
            }
        }

        // The places before those that nobody is in are left out: not given, bands, values, others.
        let bands = cuts.len() + 1;
        let raw = |cell: &Cell| match cell {
            Cell::NotGiven => 0,
            Cell::Number(n) => 1 + cuts.partition_point(|cut| cut <= n),
            Cell::Text(place) => match place.and_then(|place| values.get(place).copied().flatten()) {
                Some(at) => 1 + bands + at,
                None => 1 + bands + support.len(),
            },
        };
        let band = |at: usize| Bin::Band {
            least: at.checked_sub(1).and_then(|at| cuts.get(at).copied()),
            below: cuts.get(at).copied(),
        };
        let all = std::iter::once(Bin::NotGiven)
            .chain((0..bands).map(band))
            .chain(support.iter().filter_map(|(_, place)| known.get(*place).cloned().map(Bin::Value)))
            .chain([Bin::Other]);
        let mut used = vec![false; 2 + bands + support.len()];
        for cell in &cells {
            if let Some(used) = used.get_mut(raw(cell)) {
                *used = true;
            }
        }
        let mut bins = Vec::new();
        let mut renumbered = Vec::new();
        for (bin, used) in all.zip(&used) {
            renumbered.push(u8::try_from(bins.len()).unwrap_or(u8::MAX));
            if *used {
                bins.push(bin);
            }
        }
        let places =
            cells.iter().map(|cell| renumbered.get(raw(cell)).copied().unwrap_or_default()).collect();
        Self { source, bins, whole, places }
    }

    /// Counts the leads of each bin; `wins` tells of each lead whether it is of the wanted kind.
    #[must_use]
    pub fn counts(&self, wins: &[bool]) -> Vec<Count> {
        let mut counts = vec![Count::default(); self.bins.len()];
        for (place, win) in self.places.iter().zip(wins) {
            if let Some(count) = counts.get_mut(usize::from(*place)) {
                count.add(*win);
            }
        }
        counts
    }

    /// Says in words who is in a bin, to stand behind the name of the source.
    #[must_use]
    pub fn title(&self, bin: &Bin) -> String {
        let number = |n: &f64| AttributeValue::Number(*n).to_string();
        let signal = matches!(self.source, Source::Signal(_));
        match bin {
            Bin::NotGiven => "not given".to_owned(),
            Bin::Value(value) => value.to_string(),
            Bin::Other => "anything else".to_owned(),
            Bin::Band { below: Some(below), .. } if signal && *below <= 1.0 => "not seen".to_owned(),
            Bin::Band { least, below } => {
                let last = below.map(|below| if self.whole { below - 1.0 } else { below });
                let words = match (least, last) {
                    (None, None) => "any number".to_owned(),
                    (None, Some(last)) if self.whole => format!("at most {}", number(&last)),
                    (None, Some(last)) => format!("below {}", number(&last)),
                    (Some(least), None) => format!("at least {}", number(least)),
                    (Some(least), Some(last)) if self.whole && last <= *least => number(least),
                    (Some(least), Some(last)) if self.whole => {
                        format!("{} to {}", number(least), number(&last))
                    }
                    (Some(least), Some(last)) => format!("{} to below {}", number(least), number(&last)),
                };
                if signal { format!("seen {words} times") } else { words }
            }
        }
    }
}

/// Cuts sorted numbers into about so many bands of as many leads each.
fn cuts(sorted: &[f64], bands: usize, whole: bool) -> Vec<f64> {
    let Some(last) = sorted.len().checked_sub(1) else { return Vec::new() };
    // Quantiles in half bands.
    let quantile = |halves: usize| sorted.get(last * halves / (2 * bands)).copied();
    let mut cuts: Vec<f64> = (1..bands)
        .filter_map(|band| {
            let (low, high) = (quantile(2 * band - 1)?, quantile(2 * band + 1)?);
            (low < high).then(|| roundest(low, high, whole))
        })
        .collect();
    cuts.dedup();
    cuts
}

/// Gives the roundest number above `low` and up to `high`: the multiple of the largest 10, 5 or 2.5 times a power of
/// ten that lies there.
fn roundest(low: f64, high: f64, whole: bool) -> f64 {
    const DIGITS: i32 = 12;
    let largest = (high - low).abs().max(high.abs()).log10().ceil();
    #[allow(clippy::cast_possible_truncation, reason = "the logarithm of a number lies between -324 and 309")]
    let largest = largest as i32;
    for power in (largest - DIGITS..=largest).rev() {
        for part in [10.0, 5.0, 2.5] {
            let step = part * 10_f64.powi(power - 1);
            if whole && step.fract() != 0.0 {
                continue;
            }
            let (first, last) = ((low / step).floor() + 1.0, (high / step).floor());
            if first <= last {
                // The one in the middle, written with as many decimals as the step has.
                let multiple = ((first + last) / 2.0).floor() * step;
                let decimals = usize::try_from(2 - power).unwrap_or(0);
                return format!("{multiple:.decimals$}").parse().unwrap_or(high);
            }
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::tests::{LOST, WON, name, text};

    #[test]
    fn cuts_are_round_and_lie_near_quantiles() {
        let thousand: Vec<f64> = (0..1_000).map(f64::from).collect();
        assert_eq!(cuts(&thousand, 4, true), [250.0, 500.0, 750.0]);
        assert_eq!(roundest(540.0, 610.0, true), 600.0);
        assert_eq!(roundest(0.0, 1.0, true), 1.0);
        assert_eq!(roundest(0.31, 0.34, false), 0.325);
        assert_eq!(roundest(-3.0, -1.0, true), -2.0);
        assert_eq!(roundest(3.0, 4.0, true), 4.0);
        // A mass at one number is not cut; what lies above it is.
        let mut zeros = vec![0.0; 700];
        zeros.extend((1..=300).map(f64::from));
        let cuts = cuts(&zeros, 10, true);
        assert!(cuts.iter().all(|cut| *cut >= 1.0) && cuts.len() >= 3, "{cuts:?}");
        assert!(super::cuts(&[], 10, true).is_empty());
    }

    #[test]
    fn everybody_is_in_the_bin_that_the_title_says() {
        let (source, visits) = (name("source"), name("visits"));
        let seen = Slug::parse("pricing_viewed").unwrap();
        let mut dataset = Dataset::default();
        for i in 0..400_u32 {
            let value = match i % 4 {
                0 => text("Web"),
                1 => text("WEB"),
                2 => text(&format!("rare {i}")),
                _ => AttributeValue::Number(f64::from(i)),
            };
            let n = AttributeValue::Number(f64::from(i % 10));
            let mut attributes = vec![(&source, &value)];
            if i >= 100 {
                attributes.push((&visits, &n));
            }
            dataset.add(
                attributes,
                (i % 5 == 0).then_some((&seen, 1 + i % 3)),
                if i % 2 == 0 { WON } else { LOST },
            );
        }
        let leads: Vec<usize> = (0..400).collect();
        let wins: Vec<bool> = dataset.outcomes.iter().map(|o| o.won).collect();
        let all = Binned::all(&dataset, &leads, 4);
        let told: Vec<(String, Vec<(String, Count)>)> = all
            .iter()
            .map(|b| {
                let titles = b.bins.iter().map(|bin| b.title(bin));
                (b.source.to_string(), titles.zip(b.counts(&wins)).collect())
            })
            .collect();
        let of = |source: &str, title: &str| {
            let (_, bins) = told.iter().find(|(s, _)| s == source).unwrap();
            let found = bins.iter().find(|(t, _)| t == title);
            found.unwrap_or_else(|| panic!("{title} in {bins:?}")).1
        };
        assert_eq!(of("Source", "Web"), Count { leads: 200, wins: 100 });
        assert_eq!(of("Source", "anything else"), Count { leads: 100, wins: 100 });
        assert_eq!(of("Visits", "not given"), Count { leads: 100, wins: 50 });
        assert_eq!(of("Pricing viewed", "not seen").leads, 320);
        for binned in &all {
            assert_eq!(binned.counts(&wins).iter().map(|c| c.leads).sum::<u32>(), 400);
        }
    }

    #[test]
    fn evidence_weighs_as_in_the_textbook() {
        // 80 of 100 winners and 20 of 100 others: ln(0.8 / 0.2), but for the half leads that are added.
        let (bin, rest) = (Count { leads: 100, wins: 80 }, Count { leads: 100, wins: 20 });
        let all: Count = [bin, rest].into_iter().sum();
        assert!((bin.weight_of_evidence(all) - (80.5_f64 / 20.5).ln()).abs() < 1e-12);
        let expected = 2.0 * (60.0 / 101.0) * (80.5_f64 / 20.5).ln();
        assert!((information_value(&[bin, rest]) - expected).abs() < 1e-12);
        let never = Count { leads: 50, wins: 0 };
        assert!(never.weight_of_evidence(Count { leads: 100, wins: 50 }).is_finite());
        assert_eq!((minimum_support(1_000), minimum_support(100_000)), (30, 500));
    }
}
