//! What customers said about the marketing, as sales heard it: how often they liked it, and the latest of their words.
//!
//! A pure fold over leads with their facts, in any order. Every word counts once, by the time at which it was said, and one
//! that was withdrawn was never said. What it was about is text that people typed, letter by letter.
//!
//! # Room
//!
//! What was counted has to fit into a job, one item of 400 KB, whoever types whatever. So [`MOST_NAMES`] are told apart, which
//! ones decided by a hash as in the [funnel](mod@crate::funnel), and of each row the latest [`MOST_QUOTES`] quotes are kept,
//! in one line of [`LONGEST_QUOTE`] characters: the dossier of the lead has the whole of it.

use crate::change::{Fact, Incoming, MarketingFeedback};
use crate::funnel::{Group, hash};
use crate::identity::{LeadId, Slug};
use crate::lead::Lead;
use crate::sales::DeliveryId;
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// The most names that are told apart.
pub const MOST_NAMES: usize = 80;
/// How many quotes are kept of a row.
pub const MOST_QUOTES: usize = 3;
/// How many characters are kept of a quote.
pub const LONGEST_QUOTE: usize = 200;
/// What it was like, in the words of the API; what has none of them is unrated.
pub const SENTIMENTS: [&str; 3] = ["positive", "neutral", "negative"];

/// What the rows stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// The campaign that it was about.
    Campaign,
    /// The content that it was about.
    Content,
}

impl GroupBy {
    /// Every way to group with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("campaign", Self::Campaign), ("content", Self::Content)];

    fn of(self, said: &MarketingFeedback) -> Option<&str> {
        match self {
            Self::Campaign => said.campaign.as_deref(),
            Self::Content => said.content.as_deref(),
        }
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// What the rows stand for.
    pub group_by: GroupBy,
    /// Said from then on.
    pub from: Option<Timestamp>,
    /// Said before.
    pub to: Option<Timestamp>,
}

/// A customer's words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quote {
    /// When they were said.
    pub at: Timestamp,
    /// Which fact that was.
    pub fact: DeliveryId,
    /// By which lead.
    pub lead: LeadId,
    /// What they are like, where somebody rated them.
    pub sentiment: Option<String>,
    /// The words, in one line.
    pub words: String,
    /// Who heard them.
    pub by: Option<Slug>,
}

/// A line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Line {
    /// How often something of each of the [`SENTIMENTS`] was said.
    pub rated: [u64; 3],
    /// How often something was said that nobody rated.
    pub unrated: u64,
    /// The latest quotes, the latest first.
    pub quotes: Vec<Quote>,
}

impl Line {
    /// Tells how often anything was said.
    #[must_use]
    pub fn said(&self) -> u64 {
        self.rated.iter().sum::<u64>() + self.unrated
    }

    fn add(&mut self, sentiment: Option<&str>, quote: Option<Quote>) {
        let rated = SENTIMENTS.iter().position(|known| Some(*known) == sentiment);
        *rated.and_then(|place| self.rated.get_mut(place)).unwrap_or(&mut self.unrated) += 1;
        self.quotes.extend(quote);
        self.tidy();
    }

    fn merge(&mut self, other: Self) {
        self.rated.iter_mut().zip(other.rated).for_each(|(sum, more)| *sum += more);
        self.unrated += other.unrated;
        self.quotes.extend(other.quotes);
        self.tidy();
    }

    fn tidy(&mut self) {
        self.quotes.sort_unstable_by(|one, other| other.cmp(one));
        self.quotes.truncate(MOST_QUOTES);
    }
}

/// What was said, by what it was about.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Said(pub BTreeMap<Group, Line>);

impl Said {
    /// Adds what a lead said.
    pub fn add(&mut self, question: &Question, lead: &Lead, facts: &[Incoming]) {
        for incoming in facts {
            let at = incoming.occurred_at;
            let asked = question.from.is_none_or(|from| at >= from) && question.to.is_none_or(|to| at < to);
            let Fact::MarketingFeedback { said, by, .. } = &incoming.fact else { continue };
            if !asked || lead.withdrawn.contains(&incoming.delivery) {
                continue;
            }
            let quote = said.quote.as_deref().map(|words| Quote {
                at,
                fact: incoming.delivery,
                lead: lead.id.clone(),
                sentiment: said.sentiment.clone(),
                words: in_one_line(words),
                by: by.clone(),
            });
            let group = Group::Of(question.group_by.of(said).map(str::to_owned));
            self.0.entry(group).or_default().add(said.sentiment.as_deref(), quote);
            self.make_room();
        }
    }

    /// Counts the name of the highest hash with all others. One that stays was never among these, in whatever order leads come.
    fn make_room(&mut self) {
        let names = || self.0.keys().filter(|group| matches!(group, Group::Of(Some(_))));
        if names().count() <= MOST_NAMES {
            return;
        }
        let place = |group: &&Group| match group {
            Group::Of(Some(name)) => Some((hash(name), name.clone())),
            _ => None,
        };
        let highest = names().max_by_key(place).cloned();
        if let Some(line) = highest.and_then(|group| self.0.remove(&group)) {
            self.0.entry(Group::Others).or_default().merge(line);
        }
    }

    /// Gives all of it as one line.
    #[must_use]
    pub fn total(&self) -> Line {
        let mut total = Line::default();
        self.0.values().cloned().for_each(|line| total.merge(line));
        total
    }

    /// Gives the lines, those of which most was said first, and at the end what is not told apart.
    #[must_use]
    pub fn finish(self) -> Vec<(Group, Line)> {
        let mut lines: Vec<(Group, Line)> = self.0.into_iter().collect();
        let place = |(group, line): &(Group, Line)| {
            (*group == Group::Others, std::cmp::Reverse(line.said()), group.clone())
        };
        lines.sort_by_cached_key(place);
        lines
    }
}

/// Gives the beginning of a text in one line; what was left out is marked.
fn in_one_line(text: &str) -> String {
    let mut line: String =
        text.split(|c: char| c.is_control() || c.is_whitespace()).fold(String::new(), |mut line, word| {
            if !word.is_empty() {
                line.extend((!line.is_empty()).then_some(' '));
                line.push_str(word);
            }
            line
        });
    if let Some((end, _)) = line.char_indices().nth(LONGEST_QUOTE) {
        line.truncate(end);
        line.pop();
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_one_line_that_says_where_it_was_cut() {
        assert_eq!(in_one_line(" Zu viele\r\n\u{0}\tMails – „nervig“! "), "Zu viele Mails – „nervig“!");
        let exact = "ü".repeat(LONGEST_QUOTE);
        assert_eq!(in_one_line(&exact), exact);
        let cut = in_one_line(&format!("{exact}s"));
        assert_eq!((cut.chars().count(), cut.ends_with("üü…")), (LONGEST_QUOTE, true));
    }
}
