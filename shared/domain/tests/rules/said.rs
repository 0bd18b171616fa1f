//! What customers said about the marketing, against a recount by hand.

use crate::case::{lead_id, slug};
use crate::drawn::{arrive, brisk, delivery, start};
use domain::activity::Activity;
use domain::change::{Fact, Incoming, MarketingFeedback};
use domain::funnel::Group;
use domain::lead::Lead;
use domain::said::{GroupBy, Line, MOST_NAMES, MOST_QUOTES, Question, SENTIMENTS, Said};
use domain::time::{HOUR_MS, Timestamp};
use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

fn hour(n: i64) -> Timestamp {
    start().plus(n * HOUR_MS)
}

fn incoming(id: usize, at: i64, fact: Fact) -> Incoming {
    let by = "test".to_owned();
    Incoming { delivery: delivery(id), occurred_at: hour(at), history: false, by, strict: false, fact }
}

/// When, about which campaign and content, like what, in which words, and whether it was withdrawn.
type Told = (i64, Option<u8>, Option<u8>, Option<usize>, Option<u8>, bool);

fn some_told(names: u8) -> impl Strategy<Value = Vec<(u8, Told)>> {
    use prop::option::of;
    let told =
        (0_i64..40, of(0..names), of(0..names), of(0_usize..3), of(any::<u8>()), prop::bool::weighted(0.2));
    prop::collection::vec((0_u8..20, told), 0..250)
}

/// How often something of each sentiment was said, and when what was quoted, by its fact.
type Counted = ([u64; 4], Vec<(Timestamp, String)>);

/// Makes the leads of what was told; the place in the list is the fact's id.
fn leads(told: &[(u8, Told)]) -> Vec<(Lead, Vec<Incoming>)> {
    let viewed = Activity { kind: "page_viewed".to_owned(), properties: BTreeMap::new() };
    let first = incoming(9_999, 0, Fact::Activity(viewed));
    let (born, _) = arrive(&[(start(), first.clone())], &brisk());
    let of = |n: u8| {
        let (mut lead, mut facts) = (Lead { id: lead_id(n), ..born.clone() }, vec![first.clone()]);
        for (id, (_, (at, campaign, content, sentiment, words, withdrawn))) in
            told.iter().enumerate().filter(|(_, (whose, _))| *whose == n)
        {
            let said = MarketingFeedback {
                campaign: campaign.map(|n| format!("c{n}")),
                content: content.map(|n| format!("p{n}")),
                sentiment: sentiment.map(|n| SENTIMENTS[n].to_owned()),
                quote: words.map(|n| format!("said {n}")),
            };
            let by = Some(slug("at-1"));
            facts.push(incoming(id, *at, Fact::MarketingFeedback { said, by, note: None }));
            lead.withdrawn.extend(withdrawn.then(|| delivery(id)));
        }
        (lead, facts)
    };
    (0..20).map(of).collect()
}

fn count<'a>(question: &Question, leads: impl Iterator<Item = &'a (Lead, Vec<Incoming>)>) -> Said {
    let mut said = Said::default();
    leads.for_each(|(lead, facts)| said.add(question, lead, facts));
    said
}

fn numbers(line: &Line) -> [u64; 4] {
    let [positive, neutral, negative] = line.rated;
    [positive, neutral, negative, line.unrated]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_word_that_stands_counts_once_in_its_row_with_the_latest_quotes(
        told in some_told(5), by_content in any::<bool>(), from in prop::option::of(0_i64..40), to in prop::option::of(0_i64..40)
    ) {
        let group_by = if by_content { GroupBy::Content } else { GroupBy::Campaign };
        let question = Question { group_by, from: from.map(hour), to: to.map(hour) };
        let found = count(&question, leads(&told).iter());
        let mut rows: BTreeMap<Option<String>, Counted> = BTreeMap::new();
        for (id, (_, (at, campaign, content, sentiment, words, withdrawn))) in told.iter().enumerate() {
            if *withdrawn || from.is_some_and(|from| *at < from) || to.is_some_and(|to| *at >= to) {
                continue;
            }
            let name = if by_content { content.map(|n| format!("p{n}")) } else { campaign.map(|n| format!("c{n}")) };
            let row = rows.entry(name).or_default();
            row.0[sentiment.unwrap_or(3)] += 1;
            row.1.extend(words.map(|_| (hour(*at), delivery(id).to_string())));
        }
        let rows: Vec<_> = rows
            .into_iter()
            .map(|(name, (numbers, mut quotes))| {
                quotes.sort_by(|one, other| other.cmp(one));
                quotes.truncate(MOST_QUOTES);
                (Group::Of(name), numbers, quotes)
            })
            .collect();
        let shown: Vec<_> = found
            .0
            .iter()
            .map(|(group, line)| {
                let quotes: Vec<_> = line.quotes.iter().map(|quote| (quote.at, quote.fact.to_string())).collect();
                (group.clone(), numbers(line), quotes)
            })
            .collect();
        prop_assert_eq!(shown, rows);
    }

    #[test]
    fn however_many_names_somebody_types_each_word_counts_and_the_order_of_the_scan_says_nothing(
        (told, order) in (some_told(255), Just((0..20_usize).collect::<Vec<_>>()).prop_shuffle())
    ) {
        let question = Question { group_by: GroupBy::Campaign, from: None, to: None };
        let leads = leads(&told);
        let found = count(&question, leads.iter());
        prop_assert_eq!(&count(&question, order.iter().map(|n| &leads[*n])), &found);
        let standing = told.iter().filter(|(_, told)| !told.5);
        prop_assert_eq!(found.total().said(), standing.clone().count() as u64);
        let names: BTreeSet<u8> = standing.filter_map(|(_, told)| told.1).collect();
        let apart = found.0.keys().filter(|group| matches!(group, Group::Of(Some(_)))).count();
        prop_assert_eq!(apart, names.len().min(MOST_NAMES));
        let lines = found.finish();
        prop_assert_eq!(lines.iter().any(|(group, _)| *group == Group::Others), names.len() > MOST_NAMES);
        let order: Vec<_> = lines.iter().map(|(group, line)| (*group == Group::Others, line.said())).collect();
        prop_assert!(order.is_sorted_by(|a, b| (a.0, Reverse(a.1)) <= (b.0, Reverse(b.1))), "{:?}", order);
    }
}
