//! Facts, what they change, and what leaves the system because of it: the words in which a lead's life is told.

use crate::activity::Activity;
use crate::attribute::{AttributeName, AttributeValue, NewAttributes};
use crate::consent::{ConsentFact, ConsentStatus, Purpose};
use crate::identity::{Identity, LeadId, Slug};
use crate::lead::{Company, Lead, Touch};
use crate::nurture::Exit;
use crate::phase::Phase;
use crate::reason::{Because, Reason};
use crate::routing::Routed;
use crate::sales::{DeliveryId, Move};
use crate::score::Score;
use crate::stage::{Stage, Step};
use crate::time::Timestamp;

/// What was delivered: one fact with where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// Which delivery it is; a second one of the same id changes nothing.
    pub delivery: DeliveryId,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Whether it is an import of what happened long ago.
    pub history: bool,
    /// What brought it: `form:contact`, `api:…`.
    pub by: String,
    /// Whether a person sent it by itself, rather than a system among many: then a newest fact that makes no sense is
    /// refused, rather than recorded and skipped, and a profile is a response of this moment.
    pub strict: bool,
    /// The fact.
    pub fact: Fact,
}

/// A profile that was sent: by a form, an import, a person.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Capture {
    /// Attributes.
    pub attributes: NewAttributes,
    /// The company.
    pub company: Company,
    /// Where the lead came from.
    pub touch: Option<Touch>,
    /// What it agreed to.
    pub consents: Vec<ConsentFact>,
    /// What it did, for a form.
    pub activity: Option<Activity>,
    /// Whether this is a response to marketing; an imported contact's is not.
    pub responded: bool,
    /// Whether it is a customer already.
    pub customer: bool,
    /// Whether anybody could have sent it: then it only fills what is empty.
    pub public: bool,
}

/// What a customer said about the marketing.
#[derive(Clone, Debug, PartialEq)]
pub struct MarketingFeedback {
    /// About which campaign.
    pub campaign: Option<String>,
    /// About which content.
    pub content: Option<String>,
    /// `positive`, `neutral` or `negative`.
    pub sentiment: Option<String>,
    /// In the customer's words.
    pub quote: Option<String>,
}

/// A fact about a lead.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A profile was sent.
    Captured(Box<Capture>),
    /// It did something.
    Activity(Activity),
    /// Sales reported something that moves its stage.
    Sales {
        /// What.
        what: Move,
        /// Who did it.
        by: Option<Slug>,
        /// In their words.
        note: Option<String>,
    },
    /// Sales tried to reach it.
    FollowUp {
        /// By what: `phone`, `email`.
        channel: String,
        /// With what result.
        result: Option<String>,
        /// Who did it.
        by: Option<Slug>,
        /// In their words.
        note: Option<String>,
    },
    /// Sales heard what the customer thinks of the marketing.
    MarketingFeedback {
        /// What was said.
        said: MarketingFeedback,
        /// Who heard it.
        by: Option<Slug>,
        /// In their words.
        note: Option<String>,
    },
    /// Consent was given or withdrawn.
    Consent(ConsentFact),
    /// An earlier fact is taken back.
    Withdrawn {
        /// Which.
        id: DeliveryId,
        /// Why.
        note: Option<String>,
    },
    /// Sales wants its nurturing to pause, or to go on.
    NurturePaused {
        /// Until when; it goes on where nothing is said.
        until: Option<Timestamp>,
        /// Who did it.
        by: Option<Slug>,
        /// In their words.
        note: Option<String>,
    },
    /// Nothing happened but time, or another playbook; written by the system.
    Reviewed,
}

impl Fact {
    /// Names the kind of the fact, as the timeline has it.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Captured(capture) => {
                if capture.activity.is_some() {
                    "form"
                } else {
                    "profile"
                }
            }
            Self::Activity(_) => "activity",
            Self::Sales { what, .. } => what.step().as_str(),
            Self::FollowUp { .. } => "follow_up",
            Self::MarketingFeedback { .. } => "marketing_feedback",
            Self::Consent(_) => "consent",
            Self::Withdrawn { .. } => "withdrawn",
            Self::NurturePaused { until: Some(_), .. } => "nurture_paused",
            Self::NurturePaused { until: None, .. } => "nurture_resumed",
            Self::Reviewed => "reviewed",
        }
    }
}

/// What a fact changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The lead is new.
    Created,
    /// It is now known by this kind of identity too.
    IdentityAdded {
        /// The kind.
        kind: String,
    },
    /// Another lead may be the same person.
    PossibleDuplicate {
        /// Which.
        lead: LeadId,
    },
    /// An attribute has another value.
    AttributeChanged {
        /// Which.
        name: AttributeName,
        /// The value before.
        old: Option<AttributeValue>,
        /// The value now.
        new: AttributeValue,
    },
    /// A value was sent and not taken over: a public form may not overwrite, or the lead is full.
    AttributeProposed {
        /// Which.
        name: AttributeName,
        /// The value that was sent.
        value: AttributeValue,
    },
    /// The consent for a purpose has another status.
    ConsentChanged {
        /// What for.
        purpose: Purpose,
        /// The status now.
        status: ConsentStatus,
    },
    /// The score has other numbers or another label.
    ScoreChanged {
        /// Before; none for a new lead.
        old: Option<Score>,
        /// Now.
        new: Score,
    },
    /// The stage is another.
    StageChanged {
        /// Before.
        from: Stage,
        /// Now.
        to: Stage,
        /// Those in between that it jumped over.
        skipped: Vec<Stage>,
    },
    /// It was handed to somebody in sales.
    HandedOff {
        /// Whom.
        to: Slug,
        /// For which territory; none for the default.
        territory: Option<Slug>,
        /// When they promised to have answered.
        promise_due_at: Timestamp,
    },
    /// Why somebody has it: said wherever that is not simply the qualifier of its territory.
    Routed(Routed),
    /// Its owner owes it a first answer soon.
    PromiseDueSoon {
        /// Who.
        owner: Slug,
        /// By when.
        due_at: Timestamp,
    },
    /// Whoever had it let the time of the promise pass.
    PromiseBroken {
        /// Who.
        owner: Slug,
        /// Who has it since, and by when they promised to answer; it stays where it is where nobody is left.
        to: Option<(Slug, Timestamp)>,
    },
    /// It became ready together with many and waits until its owner has room for it.
    Held {
        /// Who will get it.
        owner: Slug,
    },
    /// It mirrors another persona.
    PersonaChanged {
        /// Before.
        from: Option<Slug>,
        /// Now.
        to: Option<Slug>,
        /// Why.
        because: Because,
    },
    /// It is in another phase.
    PhaseChanged {
        /// Before.
        from: Option<Phase>,
        /// Now.
        to: Option<Phase>,
        /// Why.
        because: Because,
    },
    /// It came into a segment.
    SegmentEntered {
        /// Which.
        segment: Slug,
        /// Why: parts of the segment's condition.
        because: Vec<Reason>,
    },
    /// It left a segment.
    SegmentLeft {
        /// Which.
        segment: Slug,
        /// Why: parts of the segment's condition; none where the playbook no longer has it.
        because: Vec<Reason>,
    },
    /// A fact made no sense in its stage; it is kept and skipped.
    Impossible {
        /// What it asked for.
        step: Step,
        /// The stage in which it came.
        stage: Stage,
    },
    /// It came into a program.
    ProgramEntered {
        /// Which.
        program: Slug,
        /// Whether it is held out: it gets nothing, so that what the program does can be told.
        held_out: bool,
        /// Why: parts of the condition of the audience.
        because: Vec<Reason>,
        /// Which other programs would have taken it too.
        over: Vec<Slug>,
        /// For which reason sales gave it back, where it did.
        given_back: Option<String>,
    },
    /// It left a program.
    ProgramLeft {
        /// Which.
        program: Slug,
        /// What ended it.
        exit: Exit,
        /// Parts of the condition that says so, where one does.
        because: Vec<Reason>,
    },
    /// Nothing was left to send to it in its program.
    ContentExhausted {
        /// Which program.
        program: Slug,
    },
    /// It is now evaluated with another playbook version.
    PlaybookChanged {
        /// Before.
        from: u32,
        /// Now.
        to: u32,
    },
}

/// An entry of the timeline: a fact with its effects.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its id: the time and the delivery, so that entries sort by time and a second delivery meets the first one's key.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// What brought it.
    pub by: String,
    /// Whether it came as history.
    pub history: bool,
    /// The fact.
    pub fact: Fact,
    /// What it changed.
    pub effects: Vec<Effect>,
    /// The playbook version that decided.
    pub playbook_version: u32,
}

/// Makes the id of an entry.
#[must_use]
pub fn entry_id(at: Timestamp, delivery: DeliveryId) -> String {
    let text = at.to_string();
    // Fixed width, so that ids sort by time.
    let text = if text.len() == 20 { text.replace('Z', ".000Z") } else { text };
    format!("{text}-{delivery}")
}

/// A kind of event that leaves the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// A new lead.
    Captured,
    /// It met the definition.
    BecameQualified,
    /// It was handed to somebody.
    HandedOff,
    /// Somebody else in sales has it.
    Assigned,
    /// Its owner owes it a first answer soon.
    PromiseDueSoon,
    /// Its owner let the time of the promise pass.
    PromiseBroken,
    /// Its stage is another.
    StageChanged,
    /// It withdrew a consent.
    ConsentWithdrawn,
    /// A deal was won or lost.
    Outcome,
    /// It is forgotten.
    Erased,
}

impl EventKind {
    /// Every kind with its word on the wire.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("captured", Self::Captured),
        ("became_qualified", Self::BecameQualified),
        ("handed_off", Self::HandedOff),
        ("assigned", Self::Assigned),
        ("promise_due_soon", Self::PromiseDueSoon),
        ("promise_broken", Self::PromiseBroken),
        ("stage_changed", Self::StageChanged),
        ("consent_withdrawn", Self::ConsentWithdrawn),
        ("outcome", Self::Outcome),
        ("erased", Self::Erased),
    ];

    /// Gives the word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

/// An event that leaves the system; it carries the lead's version, since order is not promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its id: that of the entry that caused it, and its kind.
    pub id: String,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// Details, as words.
    pub detail: Vec<(&'static str, String)>,
}

/// What became of one delivered fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It made a new lead.
    Created {
        /// The id of its entry.
        entry: String,
    },
    /// It changed the lead.
    Updated {
        /// The id of its entry.
        entry: String,
    },
    /// It had come before, or says nothing new.
    Unchanged,
    /// It makes no sense in this stage.
    Illegal {
        /// The stage.
        stage: Stage,
        /// What would be legal.
        legal: Vec<&'static str>,
    },
}

/// Everything that is stored together.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The lead as it is now.
    pub lead: Lead,
    /// The version that it must still have; none where it is new.
    pub expected: Option<u64>,
    /// New entries of its timeline.
    pub entries: Vec<Entry>,
    /// Identities that become its own.
    pub claims: Vec<Identity>,
    /// Events that leave the system.
    pub events: Vec<Event>,
    /// What became of each delivered fact, in their order.
    pub outcomes: Vec<Outcome>,
}

impl Change {
    /// Tells whether there is nothing to store. A review may change the lead, such as when it is due, and have nothing
    /// to say of it in the timeline.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lead.version == self.expected.unwrap_or(0)
    }
}

/// The lead that facts are about: an existing one, or a new one with its id.
#[derive(Clone, Debug)]
pub enum Subject {
    /// It exists.
    Existing(Box<Lead>),
    /// It does not exist yet.
    New {
        /// The id that it gets.
        id: LeadId,
        /// The playbook version that new leads are evaluated with.
        playbook_version: u32,
    },
}
