//! Nurture: leads that are not ready are kept warm, by the right content at the right pace.
//!
//! A program is for an audience; a lead is in one program at a time. Which one follows from the lead and the playbook, as
//! its segments do, with one difference: who is in a program stays until something ends it. When its next mail may go is
//! arithmetic over what was sent. What to send needs the catalog, so it is chosen where the mail is sent.
//!
//! * **Intention to treat.** From the first day on which a lead is eligible for a program it stands in
//!   [`Nurture::enrolments`], and whether it is held out was drawn then and never again. Who is held out sits in the
//!   program's place and gets nothing for as long as it would have been mailed, also from no other program: otherwise the
//!   comparison would be one with another program.
//! * **The draw** is a hash of the program's and the lead's id: the same for everybody who asks, and not tied to the draw of
//!   any other program. A larger share keeps those who were held out before.
//! * **The claim** on a mail ([`Sending`]) stands in the lead: it is written under the lead's version, so whatever changed
//!   the lead since the mail was chosen makes the claim fail.
//!
//! # Layout
//!
//! * this file – what a lead knows of its nurturing, and what a program is;
//! * [`enrol`] – who is in which program, and why;
//! * [`opt_in`] – whether it is to be asked to confirm what it agreed to;
//! * [`pace`] – when the next mail may go; [`zones`] – what time it is for a lead.

pub mod enrol;
pub mod opt_in;
pub mod pace;
pub mod zones;

use crate::calendar::Week;
use crate::condition::Condition;
use crate::identity::Slug;
use crate::phase::Phase;
use crate::stage::Stage;
use crate::time::{DAY_MS, Day, MINUTE_MS, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// For how long a claim is its maker's, in milliseconds: longer than any function runs.
pub const LEASE_MS: i64 = 16 * MINUTE_MS;
/// How many of the latest mails a lead remembers the times of: as many as a playbook may allow a week.
pub const MOST_A_WEEK: usize = 14;
/// How many programs a lead remembers to have been eligible for; the one that it left longest ago goes where there is no room.
pub const MOST_ENROLMENTS: usize = 30;

/// Whose leads a program is for. A lead of another stage is in no such program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// Marketing's, that are not ready.
    Marketing,
    /// Those that sales has: it goes on after the hand-off.
    WithSales,
    /// Customers: it goes on after the purchase.
    Customer,
}

impl Whose {
    /// Each with its word in the playbook.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("marketing", Self::Marketing), ("with_sales", Self::WithSales), ("customer", Self::Customer)];

    /// Gives the word in the playbook.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, whose)| *whose == self).map_or("", |(word, _)| word)
    }

    /// Gives whose the leads of a stage are; nobody mails those that will never buy.
    #[must_use]
    pub const fn of(stage: Stage) -> Option<Self> {
        match stage {
            Stage::Contact | Stage::Inquiry | Stage::Nurturing => Some(Self::Marketing),
            Stage::MarketingQualified | Stage::SalesAccepted | Stage::SalesQualified | Stage::Opportunity => {
                Some(Self::WithSales)
            }
            Stage::Customer => Some(Self::Customer),
            Stage::Disqualified => None,
        }
    }
}

/// How a program chooses what to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pieces {
    /// Of all content that fits, what did best.
    BestNext,
    /// Of these, in this order, the first that fits and that the lead has not had.
    InOrder(Vec<Slug>),
}

/// What happens when nothing is left to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenExhausted {
    /// The lead waits for new content.
    Wait,
    /// It waits, and marketing is told.
    Tell,
    /// It leaves the program, so that another can have it.
    MoveOn,
}

impl WhenExhausted {
    /// Each with its word in the playbook.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("wait", Self::Wait), ("tell", Self::Tell), ("move_on", Self::MoveOn)];
}

/// A program.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its id.
    pub id: Slug,
    /// What people call it.
    pub title: String,
    /// Which comes first where a lead fits several: the lowest.
    pub priority: u16,
    /// Whose leads it is for.
    pub whose: Whose,
    /// Who it is for.
    pub audience: Condition,
    /// For which of sales' reasons a lead has to have been given back; for all leads where it says nothing.
    pub given_back_for: BTreeSet<String>,
    /// What it wants to reach: a lead that meets this leaves it. Becoming ready always is one.
    pub goal: Option<Condition>,
    /// What else ends it.
    pub exit: Option<Condition>,
    /// How it chooses.
    pub pieces: Pieces,
    /// The template of its mails; the built-in one where none is named.
    pub template: Option<Slug>,
    /// After how many days a lead gets the first mail.
    pub first_after_days: u16,
    /// How many days lie between two mails at least.
    pub gap_days: u16,
    /// When its mails may go, in the lead's time; when any mail may, where nothing is said.
    pub hours: Option<Week>,
    /// After how many days a lead that left may come in again; never where nothing is said.
    pub again_after_days: Option<u16>,
    /// What happens when nothing is left to send.
    pub exhausted: WhenExhausted,
    /// How many of a hundred get nothing, so that what the program does can be told.
    pub holdout_percent: u8,
}

impl Program {
    /// Tells whether the draw holds a lead out.
    #[must_use]
    pub fn holds_out(&self, lead: &str) -> bool {
        let hash = Sha256::digest(format!("holdout\n{}\n{lead}", self.id).as_bytes());
        let draw = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        draw % 100 < u64::from(self.holdout_percent)
    }
}

/// Whether something is tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    /// For everybody.
    Always,
    /// For those who agreed to being recognised.
    WithConsent,
    /// For nobody.
    Never,
}

impl Track {
    /// Each with its word in the playbook.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("always", Self::Always), ("with_consent", Self::WithConsent), ("never", Self::Never)];
}

/// What happens to leads that react to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sunset {
    /// After how many mails without any reaction the last try goes out.
    pub after_mails: u16,
    /// The template of the last try; the program's where none is named.
    pub template: Option<Slug>,
    /// How many days after the last try a lead rests.
    pub wait_days: u16,
}

/// What holds for all programs together.
#[derive(Clone, Debug)]
pub struct Nurturing {
    /// Where whoever sends can be reached by post; no mail goes out without it.
    pub postal_address: Option<String>,
    /// The address that answers go to; the sender's where nothing is said.
    pub reply_to: Option<String>,
    /// The site that paths of content belong to, without a slash at the end.
    pub site: Option<String>,
    /// When mails may go, in the lead's time.
    pub hours: Week,
    /// Days on which none go.
    pub holidays: BTreeSet<Day>,
    /// How many mails a lead gets in seven days at most, of all programs together.
    pub most_per_week: u16,
    /// Whether opens are tracked.
    pub opens: Track,
    /// Whether clicks are.
    pub clicks: Track,
    /// What happens to leads that react to nothing.
    pub sunset: Option<Sunset>,
}

/// Why a lead left a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// It met the program's goal.
    Goal,
    /// It went on in the funnel: it became ready, sales got it or gave it back, it bought.
    Stage,
    /// It may not be written to any more.
    Permission,
    /// It met the condition that ends the program.
    Condition,
    /// It is no longer in the audience.
    Audience,
    /// A program that comes first takes it.
    Another,
    /// Nothing was left to send.
    Exhausted,
    /// It reacted to nothing, not even to the last try.
    Silent,
    /// The playbook no longer has the program.
    Retired,
}

impl Exit {
    /// Each with its word in the API; its place is its number in a record.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("goal", Self::Goal),
        ("stage", Self::Stage),
        ("permission", Self::Permission),
        ("condition", Self::Condition),
        ("audience", Self::Audience),
        ("another", Self::Another),
        ("exhausted", Self::Exhausted),
        ("silent", Self::Silent),
        ("retired", Self::Retired),
    ];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, exit)| *exit == self).map_or("", |(word, _)| word)
    }
}

/// What a lead knows of one program that it was eligible for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// When it was found to be eligible for the first time.
    pub eligible_at: Timestamp,
    /// Whether it is held out, as drawn then.
    pub held_out: bool,
    /// How many of a hundred were held out then: leads are compared with those of the same share.
    pub share: u8,
    /// The persona that it mirrored then.
    pub persona: Option<Slug>,
    /// The phase that it was in then.
    pub phase: Option<Phase>,
    /// When it last came in.
    pub entered_at: Timestamp,
    /// When and why it last left; none while it is in.
    pub left: Option<(Timestamp, Exit)>,
    /// How many mails it got of this program.
    pub messages: u16,
}

/// A mail that somebody is about to send: the claim on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    /// When it was claimed, which is when it is said to have been sent.
    pub at: Timestamp,
    /// Whose it is: a number that its maker drew, so that one whose answer got lost still knows its own.
    pub token: u64,
    /// Which mail it is.
    pub mail: Mail,
}

/// Which mail is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mail {
    /// One of a program, with a piece of content.
    Program {
        /// The program.
        program: Slug,
        /// The piece.
        content: Slug,
    },
    /// The question whether it was really the owner of the address who agreed.
    OptIn,
}

/// What a lead knows of its nurturing.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Nurture {
    /// The program that it is in, held out or not.
    pub program: Option<Slug>,
    /// The programs that it was eligible for.
    pub enrolments: BTreeMap<Slug, Enrolment>,
    /// How many mails were decided for it, of all kinds: the next one's number is one more.
    pub messages: u32,
    /// When the latest mails of programs went out, the earliest first: at most [`MOST_A_WEEK`].
    pub sent: Vec<Timestamp>,
    /// The mail that is being sent.
    pub sending: Option<Sending>,
    /// How many mails of programs it got since it last did anything.
    pub unanswered: u16,
    /// When it last did anything by itself.
    pub reacted_at: Option<Timestamp>,
    /// Since when it rests, having reacted to nothing.
    pub rests_since: Option<Timestamp>,
    /// Until when sales wants it left alone, and when they said so.
    pub paused: Option<(Timestamp, Timestamp)>,
    /// Before when nothing is tried again: a mail was not taken, or this is no time for mails.
    pub wait_until: Option<Timestamp>,
    /// When it is looked again whether its program has something to send, while nothing is left.
    pub exhausted: Option<Timestamp>,
    /// When its next mail may go, or an open claim ends.
    pub next_at: Option<Timestamp>,
}

impl Nurture {
    /// Gives the enrolment of the program that it is in.
    #[must_use]
    pub fn enrolment(&self) -> Option<&Enrolment> {
        self.enrolments.get(self.program.as_ref()?)
    }

    /// Remembers that a mail of a program went out.
    pub fn sent(&mut self, program: &Slug, at: Timestamp) {
        let place = self.sent.partition_point(|known| *known <= at);
        self.sent.insert(place, at);
        let over = self.sent.len().saturating_sub(MOST_A_WEEK);
        self.sent.drain(..over);
        if let Some(enrolment) = self.enrolments.get_mut(program) {
            enrolment.messages = enrolment.messages.saturating_add(1);
        }
        if self.reacted_at.is_none_or(|reacted| reacted <= at) {
            self.unanswered = self.unanswered.saturating_add(1);
        }
    }

    /// Takes in that the lead did something by itself.
    pub fn reacted(&mut self, at: Timestamp) {
        if self.reacted_at.is_none_or(|known| known < at) {
            self.reacted_at = Some(at);
        }
        let later = self.sent.iter().filter(|sent| **sent > at).count();
        self.unanswered = self.unanswered.min(u16::try_from(later).unwrap_or(u16::MAX));
        if self.rests_since.is_some_and(|since| at > since) {
            self.rests_since = None;
        }
    }

    /// Tells whether sales wants it left alone.
    #[must_use]
    pub fn is_paused(&self, now: Timestamp) -> bool {
        self.paused.is_some_and(|(until, _)| until > now)
    }

    /// Makes room for another enrolment: the one that was left longest ago goes.
    fn make_room(&mut self) {
        while self.enrolments.len() >= MOST_ENROLMENTS {
            let oldest = self.enrolments.iter().filter_map(|(id, one)| Some((one.left?.0, id.clone()))).min();
            let Some((_, id)) = oldest else { return };
            self.enrolments.remove(&id);
        }
    }
}

/// So many days in milliseconds.
#[must_use]
pub fn days_ms(days: u16) -> i64 {
    i64::from(days) * DAY_MS
}
