//! Evidence: what a persona stands on.
//!
//! A piece of evidence is something that somebody said, or a figure, with where and when it comes from. It speaks for or
//! against statements of one persona, by their ids, or for none in particular. There are six kinds, since a persona that
//! stands on one of them alone is that one's prejudice: what prospects and customers say, what sales and customer service
//! hear, what the database, search engines and social networks show.
//!
//! # The same evidence twice
//!
//! Evidence is recognised by what it says ([`Evidence::id`]), so that a file can be imported twice and a lost answer be
//! asked for again. What somebody thinks of it – its weight, what it supports – is no part of that: entered again with
//! another weight, it is the same evidence, weighed anew. A keyword is the same one in every export, since two exports
//! are not twice the demand; the later one has the figures.
//!
//! # Whose words
//!
//! A quote serves for what it says; who said it is nobody's business here and would have to be found again when they ask
//! to be forgotten. So evidence has no author. From every text of it, addresses, handles and phone numbers are blacked out,
//! and of the address of a post so much is cut off as names who wrote it ([`Evidence::without_names`]).

pub mod names;

use crate::attribute::AttributeName;
use crate::identity::Slug;
use crate::time::Day;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt;

/// The weight of evidence that says none.
pub const USUAL_WEIGHT: u8 = 1;
/// The most that a piece of evidence weighs.
pub const MOST_WEIGHT: u8 = 5;

/// The kind of a piece of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// What a prospect or a customer said.
    InterviewProspect,
    /// What sales hears.
    InterviewSales,
    /// What customer service hears.
    InterviewCustomerService,
    /// What the database shows.
    DatabaseMining,
    /// What people search for.
    KeywordResearch,
    /// What people say in public.
    SocialListening,
}

impl Kind {
    /// Every kind with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("interview_prospect", Self::InterviewProspect),
        ("interview_sales", Self::InterviewSales),
        ("interview_customer_service", Self::InterviewCustomerService),
        ("database_mining", Self::DatabaseMining),
        ("keyword_research", Self::KeywordResearch),
        ("social_listening", Self::SocialListening),
    ];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }

    /// Gives what people call it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::InterviewProspect => "Interviews with prospects and customers",
            Self::InterviewSales => "Interviews with sales",
            Self::InterviewCustomerService => "Interviews with customer service",
            Self::DatabaseMining => "Findings from the database",
            Self::KeywordResearch => "Keyword research",
            Self::SocialListening => "Social media",
        }
    }
}

/// Who was interviewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum With {
    /// Somebody who may buy.
    Prospect,
    /// Somebody who did.
    Customer,
}

impl With {
    /// Both with their words in the API.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("prospect", Self::Prospect), ("customer", Self::Customer)];

    /// Gives the word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prospect => "prospect",
            Self::Customer => "customer",
        }
    }
}

/// How many advertisers want a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Competition {
    /// Few.
    Low,
    /// Some.
    Medium,
    /// Many.
    High,
}

impl Competition {
    /// Every degree with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("low", Self::Low), ("medium", Self::Medium), ("high", Self::High)];

    /// Gives the word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What people search for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyword {
    /// The words that they type.
    pub keyword: String,
    /// How often they do in a month, on average.
    pub monthly_searches: Option<u64>,
    /// How many advertisers want it.
    pub competition: Option<Competition>,
    /// The topic of the playbook that it is about, where somebody said; else the topics' keywords tell.
    pub topic: Option<Slug>,
}

/// What leads were compared with in a finding that the system mined itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compared {
    /// The persona's won leads with its others.
    WonWithLost,
    /// The persona's leads with the whole base.
    PersonaWithBase,
}

impl Compared {
    /// Both with their words in the API.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("won_with_lost", Self::WonWithLost), ("persona_with_base", Self::PersonaWithBase)];

    /// Gives the word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WonWithLost => "won_with_lost",
            Self::PersonaWithBase => "persona_with_base",
        }
    }
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Who the leads are.
    Attribute(AttributeName),
    /// What they did.
    Signal(Slug),
}

impl About {
    /// Gives the name in the playbook.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Attribute(name) => name.as_str(),
            Self::Signal(id) => id.as_str(),
        }
    }
}

/// What the database shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What it is about, where that is one attribute or signal.
    pub about: Option<About>,
    /// Of the attribute or signal, which value or how much of it.
    pub value: Option<String>,
    /// How many times as often as among all.
    pub lift: Option<f64>,
    /// How many leads it rests on.
    pub support: Option<u64>,
    /// Between which the share lies, with a confidence of 95 %.
    pub interval: Option<(f64, f64)>,
    /// What was compared, where the system mined it itself: the next run replaces it.
    pub own: Option<Compared>,
}

/// What a piece of evidence has by its kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// What a prospect or a customer said.
    InterviewProspect(With),
    /// What sales hears.
    InterviewSales,
    /// What customer service hears.
    InterviewCustomerService,
    /// What the database shows.
    DatabaseMining(Finding),
    /// What people search for.
    KeywordResearch(Keyword),
    /// What people say in public: the network, and where to read it, as far as that does not name them.
    SocialListening {
        /// The network.
        network: String,
        /// Where to read it.
        url: Option<String>,
    },
}

impl Detail {
    /// Gives the kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::InterviewProspect(_) => Kind::InterviewProspect,
            Self::InterviewSales => Kind::InterviewSales,
            Self::InterviewCustomerService => Kind::InterviewCustomerService,
            Self::DatabaseMining(_) => Kind::DatabaseMining,
            Self::KeywordResearch(_) => Kind::KeywordResearch,
            Self::SocialListening { .. } => Kind::SocialListening,
        }
    }
}

/// A piece of evidence.
#[derive(Clone, PartialEq)]
pub struct Evidence {
    /// The persona that it is about.
    pub persona: Slug,
    /// What it has by its kind.
    pub detail: Detail,
    /// The quote or finding.
    pub text: String,
    /// Where it comes from.
    pub source: Option<String>,
    /// Of which day it is.
    pub day: Day,
    /// How much it counts, 1 to [`MOST_WEIGHT`].
    pub weight: u8,
    /// The statements that it speaks for.
    pub supports: BTreeSet<Slug>,
    /// The statements that it speaks against.
    pub contradicts: BTreeSet<Slug>,
}

impl fmt::Debug for Evidence {
    /// Shows no words: somebody said them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}, {}", self.kind().as_str(), self.persona, self.id())
    }
}

impl Evidence {
    /// Gives the kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.detail.kind()
    }

    /// Tells what was compared, where the system mined it itself.
    #[must_use]
    pub const fn own(&self) -> Option<Compared> {
        match &self.detail {
            Detail::DatabaseMining(finding) => finding.own,
            _ => None,
        }
    }

    /// Takes every name out of it that is seen by its form, from whichever field has words; done twice, it is the same.
    #[must_use]
    pub fn without_names(mut self) -> Self {
        let clean = |text: &mut String| *text = names::without_names(text);
        clean(&mut self.text);
        self.source.as_mut().map(clean);
        match &mut self.detail {
            Detail::InterviewProspect(_) | Detail::InterviewSales | Detail::InterviewCustomerService => {}
            Detail::DatabaseMining(finding) => {
                finding.value.as_mut().map(clean);
            }
            Detail::KeywordResearch(keyword) => clean(&mut keyword.keyword),
            Detail::SocialListening { network, url } => {
                clean(network);
                *url = url.as_deref().and_then(names::without_author);
            }
        }
        self
    }

    /// Gives its id within the persona: 26 characters, the same ones for the same evidence.
    #[must_use]
    pub fn id(&self) -> String {
        let day = self.day.to_string();
        let source = self.source.as_deref().unwrap_or_default();
        let said = [self.text.as_str(), source, day.as_str()];
        let parts: Vec<&str> = match &self.detail {
            Detail::KeywordResearch(keyword) => vec![&keyword.keyword],
            Detail::DatabaseMining(Finding { own: Some(own), about, value, .. }) => {
                let about = about.as_ref().map_or("", About::as_str);
                vec![own.as_str(), about, value.as_deref().unwrap_or_default()]
            }
            Detail::InterviewProspect(with) => [with.as_str()].into_iter().chain(said).collect(),
            Detail::SocialListening { network, url } => {
                let url = url.as_deref().unwrap_or_default();
                [network.as_str(), url].into_iter().chain(said).collect()
            }
            Detail::InterviewSales | Detail::InterviewCustomerService | Detail::DatabaseMining(_) => {
                said.to_vec()
            }
        };
        let mut hasher = Sha256::new();
        for part in [self.persona.as_str(), self.kind().as_str()].iter().chain(&parts) {
            // What follows the length cannot be taken for a part's end.
            hasher.update(part.len().to_be_bytes());
            hasher.update(part.to_lowercase());
        }
        let mut half = [0; 16];
        half.iter_mut().zip(hasher.finalize()).for_each(|(to, from)| *to = from);
        data_encoding::BASE32_NOPAD.encode(&half).to_lowercase()
    }

    /// Tells whether this is what is known from now on, where the same evidence was on record: the figures of an older
    /// export do not replace those of a newer one.
    #[must_use]
    pub fn replaces(&self, before: &Self) -> bool {
        self != before && (self.kind() != Kind::KeywordResearch || self.day >= before.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slug(text: &str) -> Slug {
        Slug::parse(text).unwrap()
    }

    fn said(text: &str) -> Evidence {
        Evidence {
            persona: slug("olga"),
            detail: Detail::InterviewSales,
            text: text.to_owned(),
            source: Some("Sales meeting".to_owned()),
            day: Day::parse("2026-03-01").unwrap(),
            weight: 1,
            supports: BTreeSet::from([slug("save_time")]),
            contradicts: BTreeSet::new(),
        }
    }

    fn keyword(day: &str, searches: u64) -> Evidence {
        let keyword = Keyword {
            keyword: "Plant software".to_owned(),
            monthly_searches: Some(searches),
            competition: None,
            topic: None,
        };
        Evidence {
            detail: Detail::KeywordResearch(keyword),
            day: Day::parse(day).unwrap(),
            ..said(&format!("{searches} searches"))
        }
    }

    #[test]
    fn what_says_the_same_is_the_same_evidence_whatever_somebody_thinks_of_it() {
        let one = said("They never have time.");
        let weighed = Evidence { weight: 5, supports: BTreeSet::new(), ..one.clone() };
        assert_eq!(one.id(), weighed.id());
        assert_eq!(one.id().len(), 26);
        assert!(weighed.replaces(&one) && !one.replaces(&one));
        let others = [
            said("They always have time."),
            Evidence { day: one.day.plus(1), ..one.clone() },
            Evidence { source: None, ..one.clone() },
            Evidence { persona: slug("otto"), ..one.clone() },
            Evidence { detail: Detail::InterviewCustomerService, ..one.clone() },
        ];
        for other in &others {
            assert_ne!(other.id(), one.id(), "{other:?}");
        }
        assert!(!format!("{one:?}").contains("time"), "{one:?}");
    }

    #[test]
    fn a_keyword_is_the_same_in_every_export_and_has_the_figures_of_the_latest() {
        let (old, new) = (keyword("2026-01-01", 500), keyword("2026-04-01", 900));
        assert_eq!(old.id(), new.id());
        assert!(new.replaces(&old) && !old.replaces(&new));
    }

    #[test]
    fn no_text_of_any_kind_keeps_a_name() {
        let name = || "n @ada_l".to_owned();
        let named = Evidence { text: name(), source: Some(name()), ..said("") };
        let keyword = Keyword { keyword: name(), monthly_searches: None, competition: None, topic: None };
        let finding = Finding {
            about: None,
            value: Some(name()),
            lift: None,
            support: None,
            interval: None,
            own: None,
        };
        let url = Some("https://youtube.com/@ada_l".to_owned());
        for detail in [
            Detail::InterviewProspect(With::Prospect),
            Detail::InterviewSales,
            Detail::InterviewCustomerService,
            Detail::DatabaseMining(finding),
            Detail::KeywordResearch(keyword),
            Detail::SocialListening { network: name(), url },
        ] {
            let cleaned = Evidence { detail, ..named.clone() }.without_names();
            let shown = format!("{:?} {} {:?}", cleaned.detail, cleaned.text, cleaned.source);
            assert!(!shown.contains("ada") && shown.contains("n […]"), "{shown}");
            assert!(cleaned.clone().without_names() == cleaned);
        }
    }
}
