//! How a deal is divided among its touches: cases worked out by hand, and the report against a second reckoning.

use crate::case::{lead_id, read, time};
use crate::drawn::{delivery, start};
use domain::attribution::{CREDIT, Model, Moments, Weighing};
use domain::condition::TouchField;
use domain::identity::ExternalId;
use domain::lead::Touch;
use domain::money::{Currency, Money};
use domain::report::{Basis, Campaigns, Line, Question, Row, WonDeal};
use domain::sales::Outcome;
use domain::time::{DAY_MS, HOUR_MS, Timestamp};
use domain::touch::Touches;
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "about")]
    _about: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    touches: Vec<OneOrMore>,
    created: String,
    opened: Option<String>,
    won: String,
    expect: BTreeMap<String, Vec<Fraction>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    Single(String),
    Several { on: String, times: u32 },
}

/// `0`, `1`, or `2/3`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Fraction {
    Whole(u64),
    Parts(String),
}

impl Fraction {
    fn parts(&self) -> (u128, u128) {
        match self {
            Self::Whole(n) => (u128::from(*n), 1),
            Self::Parts(text) => {
                let (part, whole) = text.split_once('/').unwrap();
                (part.parse().unwrap(), whole.parse().unwrap())
            }
        }
    }
}

fn on(day: &str) -> Timestamp {
    time(&format!("2026-{day}"))
}

#[test]
fn each_model_divides_a_deal_as_reckoned_by_hand() {
    let file: File = read("attribution.yaml");
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for case in &file.cases {
        let touches: Vec<(Timestamp, u32)> = case
            .touches
            .iter()
            .map(|line| match line {
                OneOrMore::Single(day) => (on(day), 1),
                OneOrMore::Several { on: day, times } => (on(day), *times),
            })
            .collect();
        let moments = Moments {
            created: on(&case.created),
            opened: case.opened.as_deref().map(on),
            won: on(&case.won),
        };
        for (word, expected) in &case.expect {
            let model = Model::WORDS.iter().find(|(known, _)| known == word).unwrap().1;
            seen.insert(model);
            let weights = Weighing::default().weights(model, &touches, &moments);
            let sum: u128 = weights.iter().sum();
            let same = weights.len() == expected.len()
                && weights.iter().zip(expected).all(|(weight, fraction)| {
                    let (part, whole) = fraction.parts();
                    // Decay comes from a table of thirty binary digits; all others are exact.
                    let off = (weight * whole).abs_diff(part * sum);
                    if model == Model::TimeDecay { off <= sum / 1_000_000 } else { off == 0 }
                });
            if !same {
                wrong.push(format!("{}: {word}: {weights:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(seen.len(), Model::WORDS.len(), "each model has a case");
}

/// A deal of one lead: its id, when it was won and opened, and cents in dollars or euros.
type Deal = (u8, i64, Option<i64>, Option<(i32, bool)>);

#[derive(Clone, Debug)]
struct Drawn {
    touches: Vec<(i64, u8)>,
    responded: i64,
    deals: Vec<Deal>,
}

fn some_leads() -> impl Strategy<Value = Vec<Drawn>> {
    let deal =
        (0_u8..4, 0_i64..60, prop::option::of(0_i64..60), prop::option::of((any::<i32>(), any::<bool>())));
    let lead =
        (prop::collection::vec((0_i64..60, 0_u8..4), 0..6), 0_i64..60, prop::collection::vec(deal, 0..3));
    let lead = lead.prop_map(|(mut touches, responded, mut deals)| {
        touches.sort_unstable();
        touches.dedup();
        deals.sort_unstable_by_key(|(id, ..)| *id);
        deals.dedup_by_key(|(id, ..)| *id);
        Drawn { touches, responded, deals }
    });
    prop::collection::vec(lead, 1..7)
}

fn day(n: i64) -> Timestamp {
    start().plus(n * DAY_MS)
}

fn currency(dollars: bool) -> Currency {
    Currency::parse(if dollars { "USD" } else { "EUR" }).unwrap()
}

fn row(n: usize, lead: &Drawn) -> Row {
    let touches: Vec<(Touch, u32)> = lead
        .touches
        .iter()
        .map(|(at, channel)| {
            let channel = (*channel > 0).then(|| format!("c{channel}"));
            (Touch { at: day(*at), channel, campaign: None, landing_page: None }, 1)
        })
        .collect();
    let won = lead.deals.iter().map(|(id, at, opened, amount)| WonDeal {
        id: ExternalId::new("crm", &id.to_string()).unwrap(),
        amount: amount.map(|(minor, dollars)| Money { minor: minor.into(), currency: currency(dollars) }),
        at: day(*at),
        fact: delivery(n),
        opened: opened.map(day),
        first_won: day(*at),
    });
    Row {
        lead: lead_id(n as u8),
        first_touch: touches.first().map(|(touch, _)| touch.clone()),
        touches,
        responded_at: day(lead.responded),
        outcome: if lead.deals.is_empty() { Outcome::Open } else { Outcome::Won(day(lead.deals[0].1)) },
        won: won.collect(),
        stays: Vec::new(),
    }
}

/// Shares by floating-point numbers and in the words of the sources, by another route than weights.
fn shares(model: Model, at: &[i64], created: i64, opened: i64, won: i64) -> Vec<f64> {
    let n = at.len();
    let by = |moment: i64| (0..n).rev().find(|i| at[*i] <= moment).unwrap_or(0);
    let shape = |moments: &[usize], part: f64| {
        let others: Vec<usize> = (0..n).filter(|i| !moments.contains(i)).collect();
        let mut shares = vec![0.0; n];
        let part = if others.is_empty() { 1.0 / moments.len() as f64 } else { part };
        moments.iter().for_each(|i| shares[*i] += part);
        let rest = 1.0 - part * moments.len() as f64;
        others.iter().for_each(|i| shares[*i] += rest / others.len() as f64);
        shares
    };
    match model {
        Model::FirstTouch => shape(&[0], 1.0),
        Model::LastTouch => shape(&[n - 1], 1.0),
        Model::Linear => vec![1.0 / n as f64; n],
        Model::UShaped => shape(&[0, by(created)], 0.4),
        Model::WShaped => shape(&[0, by(created), by(opened)], 0.3),
        Model::TimeDecay => {
            let raw: Vec<f64> = at.iter().map(|at| 0.5_f64.powf((won - at) as f64 / 7.0)).collect();
            let sum: f64 = raw.iter().sum();
            raw.iter().map(|one| one / sum).collect()
        }
    }
}

/// What each channel is credited with, in deals and in each currency, by that route.
fn reckoned(leads: &[Drawn], model: Model) -> BTreeMap<(Option<String>, Option<Currency>), f64> {
    let mut credit = BTreeMap::new();
    let deals: BTreeSet<u8> = leads.iter().flat_map(|lead| lead.deals.iter().map(|deal| deal.0)).collect();
    for id in deals {
        let of: Vec<(usize, &Drawn, &Deal)> = leads
            .iter()
            .enumerate()
            .filter_map(|(n, lead)| Some((n, lead, lead.deals.iter().find(|deal| deal.0 == id)?)))
            .collect();
        let won = of.iter().map(|(.., deal)| deal.1).min().unwrap();
        let opened = of.iter().filter_map(|(.., deal)| deal.2).min().unwrap_or(won);
        let created = of.iter().map(|(_, lead, _)| lead.responded).min().unwrap();
        let amount = of.iter().filter(|(.., deal)| deal.3.is_some());
        let amount = amount.max_by_key(|(n, _, deal)| (deal.1, delivery(*n))).and_then(|(.., deal)| deal.3);
        let mut touches: Vec<(i64, u8)> = of
            .iter()
            .flat_map(|(_, lead, _)| lead.touches.iter().copied())
            .filter(|(at, _)| *at <= won)
            .collect();
        touches.sort_unstable();
        let at: Vec<i64> = touches.iter().map(|(at, _)| *at).collect();
        let mut parts: BTreeMap<Option<String>, f64> = BTreeMap::new();
        if touches.is_empty() {
            parts.insert(None, 1.0);
        } else {
            for ((_, channel), share) in touches.iter().zip(shares(model, &at, created, opened, won)) {
                *parts.entry((*channel > 0).then(|| format!("c{channel}"))).or_default() += share;
            }
        }
        for (name, share) in parts {
            *credit.entry((name.clone(), None)).or_insert(0.0) += share;
            if let Some((minor, dollars)) = amount {
                *credit.entry((name, Some(currency(dollars)))).or_insert(0.0) += share * f64::from(minor);
            }
        }
    }
    credit
}

fn report(rows: &[Row]) -> BTreeMap<Option<String>, Line> {
    let question = Question { group_by: TouchField::Channel, basis: Basis::Cohort, from: None, to: None };
    counted(rows, question)
}

fn counted(rows: &[Row], question: Question) -> BTreeMap<Option<String>, Line> {
    let mut report = Campaigns::default();
    rows.iter().for_each(|row| report.add(&question, row));
    report.finish(&question)
}

#[test]
fn a_deal_won_within_a_folded_stretch_credits_all_of_it() {
    // One touch each hour: more than are kept, so those between the first and the latest are one line for each day.
    let mut kept = Touches::default();
    for n in 0..30 {
        let channel = Some(if n == 0 { "c1" } else { "c2" }.to_owned());
        let at = on("01-05").plus(n * HOUR_MS);
        kept.take(Touch { at, channel, campaign: None, landing_page: None });
    }
    let lead = Drawn { touches: Vec::new(), responded: 0, deals: vec![(0, 0, None, None)] };
    let mut row = row(0, &lead);
    row.touches = kept.all().map(|(touch, times)| (touch.clone(), times)).collect();
    row.won[0].first_won = on("01-05").plus(10 * HOUR_MS);
    let lines = report(&[row]);
    let linear = |name: &str| lines[&Some(name.to_owned())].models[&Model::Linear].deals;
    // The first, and the 23 of the line of the first day; not the line of the second day.
    assert_eq!((linear("c1"), linear("c2")), (41_667, 958_333));
}

/// Money by currency, and the credit of each model.
type Sums = (BTreeMap<Currency, i64>, [i64; 6]);

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn periods_side_by_side_have_each_deal_once_whoever_shares_it(
        leads in some_leads(), cuts in prop::collection::btree_set(0_i64..60, 0..4)
    ) {
        let rows: Vec<Row> = leads.iter().enumerate().map(|(n, lead)| row(n, lead)).collect();
        let ends: Vec<Option<Timestamp>> = cuts.iter().map(|n| Some(day(*n))).collect();
        let borders: Vec<Option<Timestamp>> = [&[None][..], &ends, &[None]].concat();
        let (group_by, basis) = (TouchField::Channel, Basis::Period);
        let of = |from, to| counted(&rows, Question { group_by, basis, from, to });
        let mut parts = BTreeMap::new();
        let add = |sums: &mut BTreeMap<_, Sums>, lines: BTreeMap<_, Line>| {
            for (name, line) in lines {
                let (revenue, credit) = sums.entry(name).or_default();
                line.revenue.iter().for_each(|(currency, minor)| *revenue.entry(*currency).or_default() += minor);
                for (sum, (_, model)) in credit.iter_mut().zip(Model::WORDS) {
                    *sum += line.models.get(model).map_or(0, |credit| credit.deals);
                }
            }
        };
        borders.windows(2).for_each(|border| add(&mut parts, of(border[0], border[1])));
        let mut whole = BTreeMap::new();
        add(&mut whole, of(None, None));
        prop_assert_eq!(parts, whole);
    }

    #[test]
    fn the_report_credits_each_deal_whole_and_as_a_second_reckoning_does_in_any_order_of_the_scan(
        (leads, order) in some_leads().prop_flat_map(|leads| {
            let order: Vec<usize> = (0..leads.len()).collect();
            (Just(leads), Just(order).prop_shuffle())
        })
    ) {
        let rows: Vec<Row> = leads.iter().enumerate().map(|(n, lead)| row(n, lead)).collect();
        let lines = report(&rows);
        let shuffled: Vec<Row> = order.iter().map(|n| rows[*n].clone()).collect();
        prop_assert_eq!(&report(&shuffled), &lines);

        let deals: BTreeSet<u8> = leads.iter().flat_map(|lead| lead.deals.iter().map(|deal| deal.0)).collect();
        let sum = |of: &dyn Fn(&Line) -> i64| lines.values().map(of).sum::<i64>();
        for (word, model) in Model::WORDS {
            let credited = sum(&|line| line.models.get(model).map_or(0, |credit| credit.deals));
            prop_assert_eq!(credited, CREDIT * deals.len() as i64, "{}: whole deals", word);
            for dollars in [false, true] {
                let money = currency(dollars);
                let credited = sum(&|line| {
                    line.models.get(model).and_then(|credit| credit.revenue.get(&money)).copied().unwrap_or(0)
                });
                let revenue = sum(&|line| line.revenue.get(&money).copied().unwrap_or(0));
                prop_assert_eq!(credited, revenue, "{}: to the cent", word);
            }
            let reckoned = reckoned(&leads, *model);
            for (name, line) in &lines {
                let credit = line.models.get(model).cloned().unwrap_or_default();
                let expected = |currency| reckoned.get(&(name.clone(), currency)).copied().unwrap_or(0.0);
                let off = (credit.deals as f64 - expected(None) * CREDIT as f64).abs();
                prop_assert!(off < deals.len() as f64 + 5.0, "{}: {:?}: {:?}", word, name, credit);
                for (currency, minor) in &credit.revenue {
                    let off = (*minor as f64 - expected(Some(*currency))).abs();
                    // A cent for each deal, and the last digits of the table of decay.
                    let most = deals.len() as f64 * (1.0 + f64::from(i32::MAX) * 1e-6);
                    let most = if *model == Model::TimeDecay { most } else { deals.len() as f64 + 0.01 };
                    prop_assert!(off <= most, "{}: {:?}: {} is off by {}", word, name, currency, off);
                }
            }
        }
    }
}
