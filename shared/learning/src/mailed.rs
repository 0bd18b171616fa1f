//! What became of the mails of each piece of content, program by program.
//!
//! Counted from the facts of leads: which mails we sent, and what the mail service and the links in them told. A mail is
//! known by its number, so what is told twice counts once, and what is told of mails that we never sent counts nowhere.
//! Opens and clicks of machines are nobody's, by the rules that the playbook lets withhold them.
//!
//! These figures only describe. Who was written to with a piece was chosen by how it does and by where the lead stood, so
//! that a piece for leads that are nearly ready is followed by more of them, whatever it does. What nurturing changes is
//! told by [who was held out](crate::nurtured), and of a program as a whole.

use crate::measure::Rate;
use crate::nurtured::{Question, Side, Since};
use domain::activity::Activity;
use domain::attribute::AttributeValue;
use domain::change::nurture::{MAIL, NURTURE};
use domain::change::{Fact, Incoming};
use domain::identity::Slug;
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::time::{DAY_MS, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Within how many days after a mail a lead is to become ready.
pub const READY_WITHIN_DAYS: i64 = 30;
/// The most rows that are told apart: as many as fit into a job. Others are counted together.
pub const MOST_ROWS: usize = 1_000;

/// What was counted of mails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 9]", into = "[u64; 9]")]
pub struct Sums {
    /// Mails that were sent, as far as anybody knows.
    pub sent: u64,
    /// Those that the mail service says were taken.
    pub delivered: u64,
    /// Those that did not arrive: they came back for good, or were not sent after all.
    pub bounced: u64,
    /// Those that a person opened.
    pub opened: u64,
    /// Those in which a person clicked.
    pub clicked: u64,
    /// Those by which somebody unsubscribed.
    pub unsubscribed: u64,
    /// Those that somebody called spam.
    pub complained: u64,
    /// Those sent so long ago that it can be told whether their lead became ready in time.
    pub judged: u64,
    /// Of these, those whose lead did.
    pub ready: u64,
}

impl From<[u64; 9]> for Sums {
    fn from(sums: [u64; 9]) -> Self {
        let [sent, delivered, bounced, opened, clicked, unsubscribed, complained, judged, ready] = sums;
        Self { sent, delivered, bounced, opened, clicked, unsubscribed, complained, judged, ready }
    }
}

impl From<Sums> for [u64; 9] {
    fn from(sums: Sums) -> Self {
        let Sums { sent, delivered, bounced, opened, clicked, unsubscribed, complained, judged, ready } =
            sums;
        [sent, delivered, bounced, opened, clicked, unsubscribed, complained, judged, ready]
    }
}

impl Sums {
    fn add(&mut self, other: Self) {
        let (mine, theirs): ([u64; 9], [u64; 9]) = ((*self).into(), other.into());
        let mut sums = [0; 9];
        sums.iter_mut().zip(mine.iter().zip(theirs)).for_each(|(sum, (one, other))| *sum = one + other);
        *self = sums.into();
    }

    /// Gives them for an answer: counts, with shares of what was sent, or judged.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Value> {
        let of = |hits: u64| Rate { hits, of: self.sent }.to_json();
        [
            ("sent", self.sent.into()),
            ("delivered", of(self.delivered)),
            ("bounced", of(self.bounced)),
            ("opened", of(self.opened)),
            ("clicked", of(self.clicked)),
            ("unsubscribed", of(self.unsubscribed)),
            ("complained", of(self.complained)),
            ("ready", Rate { hits: self.ready, of: self.judged }.to_json()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
    }
}

/// Which mails are asked for, and how.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Of which leads and programs.
    pub question: &'a Question,
    /// Whose rules tell what machines did.
    pub playbook: &'a Playbook,
    /// As of when.
    pub now: Timestamp,
}

/// What was counted, by program and content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mails {
    rows: BTreeMap<(Slug, Slug), Sums>,
    others: Option<Sums>,
}

fn text<'a>(activity: &'a Activity, name: &str) -> Option<&'a str> {
    match activity.properties.get(name) {
        Some(AttributeValue::Text(text)) => Some(text),
        _ => None,
    }
}

/// Gives what tells the mail from others that an activity is about: its number, bit by bit.
fn number(activity: &Activity) -> Option<u64> {
    match activity.properties.get("message") {
        Some(AttributeValue::Number(number)) => Some(number.to_bits()),
        _ => None,
    }
}

/// Gives when an activity happened that we brought, or the mail service, or a link in a mail.
fn told<'a>(facts: &'a [Incoming], by: &'a str) -> impl Iterator<Item = (u64, &'a Activity, Timestamp)> {
    facts.iter().filter(move |incoming| incoming.by == by).filter_map(|incoming| match &incoming.fact {
        Fact::Activity(activity) => Some((number(activity)?, activity, incoming.occurred_at)),
        _ => None,
    })
}

impl Mails {
    /// Counts the mails that a lead got of the programs that are asked for, by its facts.
    pub fn add(&mut self, ask: &Asked<'_>, lead: &Lead, facts: &[Incoming]) {
        let Asked { question, playbook, now } = *ask;
        let programs: Vec<&Slug> =
            question.eligible(lead).filter(|e| e.side == Side::Nurtured).map(|e| e.program).collect();
        let mut mails: BTreeMap<u64, ((Slug, Slug), Sums)> = BTreeMap::new();
        for (number, sent, at) in
            told(facts, NURTURE).filter(|(_, activity, _)| activity.kind == "email_sent")
        {
            let slug = |name: &str| text(sent, name).and_then(|id| Slug::parse(id).ok());
            let Some(place) = slug("program").zip(slug("content")) else { continue };
            if !programs.contains(&&place.0) {
                continue;
            }
            let until = at.plus(READY_WITHIN_DAYS * DAY_MS);
            let ready = Since::of(lead, at).ready.is_some_and(|ready| ready <= until);
            let judged = until <= now;
            let sums =
                Sums { sent: 1, judged: judged.into(), ready: (judged && ready).into(), ..Sums::default() };
            mails.insert(number, (place, sums));
        }
        for (number, activity, _) in told(facts, MAIL) {
            let Some((_, sums)) = mails.get_mut(&number) else { continue };
            let by_a_person = playbook.withheld(activity).is_none();
            match activity.kind.as_str() {
                "email_delivered" => sums.delivered = 1,
                "email_bounced" if activity.is_lost_mail() => sums.bounced = 1,
                "email_opened" if by_a_person => sums.opened = 1,
                "email_clicked" if by_a_person => sums.clicked = 1,
                "unsubscribed" => sums.unsubscribed = 1,
                "email_complained" => sums.complained = 1,
                _ => {}
            }
        }
        for (place, sums) in mails.into_values() {
            self.take(place, sums);
        }
    }

    fn take(&mut self, place: (Slug, Slug), sums: Sums) {
        if self.rows.len() < MOST_ROWS || self.rows.contains_key(&place) {
            self.rows.entry(place).or_default().add(sums);
        } else {
            self.others.get_or_insert_default().add(sums);
        }
    }

    /// Gives program, content and sums, most mails first.
    #[must_use]
    pub fn rows(&self) -> Vec<(&Slug, &Slug, &Sums)> {
        let mut rows: Vec<_> =
            self.rows.iter().map(|((program, content), sums)| (program, content, sums)).collect();
        rows.sort_by_key(|(_, _, sums)| std::cmp::Reverse(sums.sent));
        rows
    }

    /// Gives what was counted together, where there were too many rows.
    #[must_use]
    pub const fn others(&self) -> Option<&Sums> {
        self.others.as_ref()
    }

    /// Writes them down, for a job.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let rows = self.rows.iter();
        let rows: Vec<_> =
            rows.map(|((program, content), sums)| (program.as_str(), content.as_str(), sums)).collect();
        serde_json::json!({ "rows": rows, "others": self.others })
    }

    /// Reads what was written down.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        let rows = <Vec<(String, String, Sums)>>::deserialize(value.get("rows")?).ok()?;
        let row = |(program, content, sums): (String, String, Sums)| {
            Some(((Slug::parse(&program).ok()?, Slug::parse(&content).ok()?), sums))
        };
        let rows = rows.into_iter().map(row).collect::<Option<_>>()?;
        Some(Self { rows, others: Option::deserialize(value.get("others")?).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backtest::tests::{Story, day, playbook};
    use crate::nurtured::tests::{enrolled, slug};
    use domain::machine::Withhold;

    fn told(story: &mut Story, at: i64, by: &str, kind: &str, properties: &[(&str, AttributeValue)]) {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let activity = Activity { kind: kind.to_owned(), properties };
        let told = std::mem::replace(story, Story::new(0)).at(day(at), Fact::Activity(activity));
        *story = told;
        if let Some(last) = story.facts.last_mut() {
            by.clone_into(&mut last.by);
        }
    }

    fn text(text: &str) -> AttributeValue {
        AttributeValue::Text(text.to_owned())
    }

    fn number(n: f64) -> AttributeValue {
        AttributeValue::Number(n)
    }

    /// A lead with three mails: one that was read, one that machines looked at, one that came back, and made ready after the
    /// first.
    fn story() -> Story {
        let mut story = Story::new(1).given(0, "size", 1.0, None);
        for (at, n, content) in [(10, 1.0, "guide"), (20, 2.0, "case"), (95, 3.0, "guide-2")] {
            let sent = [("message", number(n)), ("program", text("warm")), ("content", text(content))];
            told(&mut story, at, NURTURE, "email_sent", &sent);
        }
        for kind in ["email_delivered", "email_opened", "email_opened", "email_clicked"] {
            told(&mut story, 11, MAIL, kind, &[("message", number(1.0))]);
        }
        for kind in ["email_delivered", "email_opened", "email_clicked"] {
            told(&mut story, 20, MAIL, kind, &[("message", number(2.0)), ("machine", text("many_links"))]);
        }
        told(&mut story, 21, MAIL, "unsubscribed", &[("message", number(2.0))]);
        let for_now = [("message", number(1.0)), ("permanent", AttributeValue::Flag(false))];
        told(&mut story, 11, MAIL, "email_bounced", &for_now);
        told(&mut story, 95, MAIL, "email_bounced", &[("message", number(3.0))]);
        // What others say of mails is theirs, and what nobody sent is nothing.
        told(
            &mut story,
            12,
            "api:mailer",
            "email_sent",
            &[("message", number(7.0)), ("program", text("warm")), ("content", text("theirs"))],
        );
        told(&mut story, 12, MAIL, "email_opened", &[("message", number(9.0))]);
        told(&mut story, 12, "api:mailer", "email_clicked", &[("message", number(3.0))]);
        story.handed(35)
    }

    #[test]
    fn mails_are_counted_once_each_with_what_people_did_with_them() {
        let (story, now, playbook) = (story(), day(100), playbook());
        let all = Question::default();
        let asked = Asked { question: &all, playbook: &playbook, now };
        let lead = enrolled(story.lead(now), "warm", 5, false, 10);
        let mut mails = Mails::default();
        mails.add(&asked, &lead, &story.facts);
        let again = Mails::from_json(&mails.to_json()).unwrap();
        assert_eq!(again, mails);
        let (guide, case, late) = (slug("guide"), slug("case"), slug("guide-2"));
        let found: BTreeMap<&Slug, Sums> =
            mails.rows().into_iter().map(|(_, content, sums)| (content, *sums)).collect();
        let sent = Sums { sent: 1, ..Sums::default() };
        assert_eq!(
            found,
            BTreeMap::from([
                (&guide, Sums { delivered: 1, opened: 1, clicked: 1, judged: 1, ready: 1, ..sent }),
                // What came 15 days later came after this one as well, and what machines did is nobody's.
                (&case, Sums { delivered: 1, unsubscribed: 1, judged: 1, ready: 1, ..sent }),
                // Five days are too few to tell.
                (&late, Sums { bounced: 1, ..sent }),
            ])
        );
        // Of a program, or time, that nobody asked for nothing is counted.
        let mut none = Mails::default();
        let other = Question { program: Some(slug("other")), ..Question::default() };
        let late = Question { from: Some(day(6)), ..Question::default() };
        for question in [&other, &late] {
            none.add(&Asked { question, ..asked }, &lead, &story.facts);
        }
        none.add(&asked, &story.lead(now), &story.facts);
        assert_eq!(none, Mails::default());
        // A playbook that withholds nothing gives back what machines did.
        let mut lenient = playbook.clone();
        lenient.machines = Withhold([].into());
        none.add(&Asked { playbook: &lenient, ..asked }, &lead, &story.facts);
        let (_, _, sums) = none.rows().into_iter().find(|(_, content, _)| **content == case).unwrap();
        assert_eq!((sums.opened, sums.clicked), (1, 1));
    }

    #[test]
    fn beyond_so_many_rows_mails_are_counted_together() {
        let mut mails = Mails::default();
        let one = Sums { sent: 1, ..Sums::default() };
        for n in 0..MOST_ROWS + 5 {
            mails.take((slug("warm"), slug(&format!("piece-{n}"))), one);
        }
        mails.take((slug("warm"), slug("piece-0")), one);
        assert_eq!((mails.rows().len(), mails.rows()[0].2.sent), (MOST_ROWS, 2));
        assert_eq!(mails.others().map(|sums| sums.sent), Some(5));
        assert_eq!(Mails::from_json(&mails.to_json()).unwrap(), mails);
        assert!(mails.to_json().to_string().len() < 100_000);
    }
}
