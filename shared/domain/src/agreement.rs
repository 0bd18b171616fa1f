//! The agreement of marketing and sales on a playbook version: what state it is in, who signed what, and whether the
//! keys that its activation needs are there.
//!
//! > draft → proposed → active → retired, and from retired again to proposed
//!
//! A key is a sign-off by a team of exactly one content, named by its hash. Which keys are needed is decided by what the
//! version changes against the one that is active at that moment ([`crate::playbook::diff`]) and never by who asks. To go
//! back to an earlier version is to agree to it anew: proposing it again starts with no signatures.

use crate::playbook::diff::{Agree, Difference, needs_sales};
use crate::stage::Team;
use crate::time::Timestamp;
use serde_json::Value;
use std::fmt;

/// Tells who has to agree to all of the differences together.
#[must_use]
pub fn agree(differences: &[Difference]) -> Agree {
    if needs_sales(differences) { Agree::Both } else { Agree::Marketing }
}

/// Where a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Status {
    /// Written, and asked of nobody.
    #[default]
    Draft,
    /// Waits for its keys.
    Proposed,
    /// New leads are evaluated with it, and existing ones are brought to it.
    Active,
    /// Was active before another one.
    Retired,
}

impl Status {
    /// Every status with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("draft", Self::Draft),
        ("proposed", Self::Proposed),
        ("active", Self::Active),
        ("retired", Self::Retired),
    ];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, status)| *status == self).map_or("", |(word, _)| word)
    }
}

/// A signature under a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignOff {
    /// For which team.
    pub team: Team,
    /// Whose it is.
    pub holder: String,
    /// When.
    pub at: Timestamp,
    /// The hash of the content that was signed.
    pub hash: String,
    /// The version that was active then, which the content was compared with; none where none was.
    pub against: Option<u32>,
    /// What the signer had been shown of a backtest: its id and its figures, and no lead; none where they signed without
    /// one.
    pub backtest: Option<Value>,
    /// What the signer said.
    pub comment: Option<String>,
}

/// Says why a step was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The version is in a state in which this makes no sense.
    NotNow {
        /// What was asked for.
        step: &'static str,
        /// The state.
        status: Status,
        /// The states in which it would.
        legal: &'static [Status],
    },
    /// Another content was signed than this version has.
    OtherContent {
        /// The hash that was sent.
        sent: String,
        /// The hash of the version.
        hash: String,
    },
    /// The same person signed for the other team already.
    SameHolder(String),
    /// Keys were given when another version was active: what the signers agreed to change is no longer what would change.
    Outdated(Vec<Team>),
    /// Keys are missing.
    Unsigned {
        /// Which.
        teams: Vec<Team>,
        /// What the version needs.
        agree: Agree,
    },
}

impl fmt::Display for Refusal {
    /// Says what is wrong and what would be right.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNow { step, status, legal } => {
                let legal: Vec<&str> = legal.iter().map(|status| status.as_str()).collect();
                let (status, legal) = (status.as_str(), legal.join(" or "));
                write!(f, "a version that is {status} cannot be {step}; only one that is {legal} can")
            }
            Self::OtherContent { sent, hash } => {
                write!(
                    f,
                    "the content to sign has the hash {hash}, and not {sent}: read it again before you sign"
                )
            }
            Self::SameHolder(holder) => {
                write!(f, "{holder} signed for the other team already; the two keys belong to two people")
            }
            Self::Outdated(teams) => {
                let teams = words(teams);
                write!(f, "the sign-off of {teams} was given when another version was active; sign again")
            }
            Self::Unsigned { teams, agree } => {
                let teams = words(teams);
                let why = match agree {
                    Agree::Both => "it changes what both teams live with",
                    Agree::Marketing => "it changes only what is marketing's own",
                };
                write!(f, "the sign-off of {teams} is missing: {why}")
            }
        }
    }
}

fn words(teams: &[Team]) -> String {
    let teams: Vec<&str> = teams.iter().map(|team| team.as_str()).collect();
    teams.join(" and of ")
}

/// The most signatures of one team under one version: one is enough.
pub const MOST_SIGN_OFFS: usize = 10;

/// How far marketing and sales are with a version.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Agreement {
    /// Where it stands.
    pub status: Status,
    /// Who signed, oldest first.
    pub sign_offs: Vec<SignOff>,
}

const fn either(team: Team) -> Team {
    match team {
        Team::Marketing => Team::Sales,
        Team::Sales => Team::Marketing,
    }
}

impl Agreement {
    fn must_be(&self, step: &'static str, legal: &'static [Status]) -> Result<(), Refusal> {
        if legal.contains(&self.status) {
            return Ok(());
        }
        Err(Refusal::NotNow { step, status: self.status, legal })
    }

    /// Asks both teams to sign; earlier signatures are void. `false` where it is proposed already.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotNow`] where it is active.
    pub fn propose(&mut self) -> Result<bool, Refusal> {
        if self.status == Status::Proposed {
            return Ok(false);
        }
        self.must_be("proposed", &[Status::Draft, Status::Retired])?;
        *self = Self { status: Status::Proposed, sign_offs: Vec::new() };
        Ok(true)
    }

    /// Takes a signature. Who signs again for their team has the later signature count.
    ///
    /// # Errors
    ///
    /// [`Refusal`], and nothing is changed.
    pub fn sign(&mut self, sign_off: SignOff, hash: &str) -> Result<(), Refusal> {
        self.must_be("signed", &[Status::Proposed])?;
        if sign_off.hash != hash {
            return Err(Refusal::OtherContent { sent: sign_off.hash, hash: hash.to_owned() });
        }
        let other = either(sign_off.team);
        if self.sign_offs.iter().any(|known| known.team == other && known.holder == sign_off.holder) {
            return Err(Refusal::SameHolder(sign_off.holder));
        }
        // Who signs the same again, and says nothing of a backtest, had been shown what they were shown.
        let own = |known: &SignOff| known.team == sign_off.team && known.holder == sign_off.holder;
        let before = self.sign_offs.iter().find(|known| own(known) && known.hash == sign_off.hash).cloned();
        self.sign_offs.retain(|known| !own(known));
        let before_said = before.map(|before| (before.backtest, before.comment));
        let (backtest, comment) = before_said.unwrap_or_default();
        let sign_off = SignOff {
            backtest: sign_off.backtest.or(backtest),
            comment: sign_off.comment.or(comment),
            ..sign_off
        };
        let team = sign_off.team;
        self.sign_offs.push(sign_off);
        // The oldest of the team make room: each of the others opens as much.
        let of_team = |known: &SignOff| known.team == team;
        while self.sign_offs.iter().filter(|known| of_team(known)).count() > MOST_SIGN_OFFS {
            if let Some(oldest) = self.sign_offs.iter().position(of_team) {
                self.sign_offs.remove(oldest);
            }
        }
        Ok(())
    }

    /// Takes somebody's signatures back; `false` where there were none.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotNow`] where it no longer waits for them.
    pub fn withdraw(&mut self, holder: &str) -> Result<bool, Refusal> {
        self.must_be("unsigned", &[Status::Proposed])?;
        let before = self.sign_offs.len();
        self.sign_offs.retain(|known| known.holder != holder);
        Ok(self.sign_offs.len() < before)
    }

    /// Makes it active, if the keys are there for this content, given while `active` was the active version as it is now.
    ///
    /// # Errors
    ///
    /// [`Refusal`], and nothing is changed.
    pub fn activate(&mut self, agree: Agree, hash: &str, active: Option<u32>) -> Result<(), Refusal> {
        self.must_be("activated", &[Status::Proposed])?;
        let signed = |team: Team| self.sign_offs.iter().filter(move |s| s.team == team && s.hash == hash);
        let has = |team: Team| signed(team).next().is_some();
        let holds = |team: Team| signed(team).any(|sign_off| sign_off.against == active);
        let needed: &[Team] = match agree {
            Agree::Both => &[Team::Marketing, Team::Sales],
            Agree::Marketing => &[Team::Marketing],
        };
        let teams: Vec<Team> = needed.iter().copied().filter(|team| !has(*team)).collect();
        if !teams.is_empty() {
            return Err(Refusal::Unsigned { teams, agree });
        }
        let outdated: Vec<Team> = needed.iter().copied().filter(|team| !holds(*team)).collect();
        if !outdated.is_empty() {
            return Err(Refusal::Outdated(outdated));
        }
        self.status = Status::Active;
        Ok(())
    }

    /// Lets it make room for another version.
    pub fn retire(&mut self) {
        self.status = Status::Retired;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(team: Team, holder: &str, hash: &str) -> SignOff {
        SignOff {
            team,
            holder: holder.into(),
            at: Timestamp::from_secs(1),
            hash: hash.into(),
            against: Some(1),
            backtest: None,
            comment: None,
        }
    }

    fn proposed() -> Agreement {
        let mut agreement = Agreement::default();
        assert_eq!(agreement.propose(), Ok(true));
        agreement
    }

    #[test]
    fn two_teams_sign_one_content() {
        let mut agreement = proposed();
        let unsigned = agreement.activate(Agree::Both, "h", Some(1));
        assert_eq!(
            unsigned,
            Err(Refusal::Unsigned { teams: vec![Team::Marketing, Team::Sales], agree: Agree::Both })
        );
        agreement.sign(key(Team::Marketing, "mia", "h"), "h").unwrap();
        assert_eq!(
            agreement.sign(key(Team::Sales, "mia", "h"), "h"),
            Err(Refusal::SameHolder("mia".to_owned()))
        );
        assert!(matches!(
            agreement.sign(key(Team::Sales, "at-1", "other"), "h"),
            Err(Refusal::OtherContent { .. })
        ));
        assert!(agreement.activate(Agree::Both, "h", Some(1)).is_err());
        assert!(agreement.clone().activate(Agree::Marketing, "h", Some(1)).is_ok());
        agreement.sign(key(Team::Sales, "at-1", "h"), "h").unwrap();
        // An edit makes another content, which nobody signed.
        assert!(agreement.activate(Agree::Both, "edited", Some(1)).is_err());
        assert_eq!(agreement.activate(Agree::Both, "h", Some(1)), Ok(()));
        assert_eq!(agreement.status, Status::Active);
    }

    #[test]
    fn sales_alone_activates_nothing() {
        let mut agreement = proposed();
        agreement.sign(key(Team::Sales, "at-1", "h"), "h").unwrap();
        for agree in [Agree::Both, Agree::Marketing] {
            assert!(agreement.activate(agree, "h", Some(1)).is_err());
        }
    }

    #[test]
    fn keys_end_when_another_version_goes_live() {
        let mut agreement = proposed();
        agreement.sign(key(Team::Marketing, "mia", "h"), "h").unwrap();
        agreement.sign(key(Team::Sales, "at-1", "h"), "h").unwrap();
        let outdated = Err(Refusal::Outdated(vec![Team::Marketing, Team::Sales]));
        assert_eq!(agreement.activate(Agree::Both, "h", Some(2)), outdated);
        let again = |team, holder| SignOff { against: Some(2), ..key(team, holder, "h") };
        agreement.sign(again(Team::Marketing, "mia"), "h").unwrap();
        assert_eq!(agreement.activate(Agree::Both, "h", Some(2)), Err(Refusal::Outdated(vec![Team::Sales])));
        agreement.sign(again(Team::Sales, "at-1"), "h").unwrap();
        assert_eq!(agreement.activate(Agree::Both, "h", Some(2)), Ok(()));
    }

    #[test]
    fn who_signs_again_still_had_been_shown_what_they_were_shown() {
        let mut agreement = proposed();
        let shown = Some(serde_json::json!({"job": "backtest-1"}));
        let first = SignOff { backtest: shown.clone(), ..key(Team::Marketing, "mia", "h") };
        agreement.sign(first, "h").unwrap();
        agreement.sign(key(Team::Marketing, "mia", "h"), "h").unwrap();
        assert_eq!(agreement.sign_offs.len(), 1);
        assert_eq!(agreement.sign_offs.first().map(|signed| &signed.backtest), Some(&shown));
    }

    #[test]
    fn a_signature_can_be_taken_back() {
        let mut agreement = proposed();
        agreement.sign(key(Team::Marketing, "mia", "h"), "h").unwrap();
        assert_eq!(agreement.withdraw("mia"), Ok(true));
        assert_eq!(agreement.withdraw("mia"), Ok(false));
        assert_eq!(agreement.sign(key(Team::Sales, "mia", "h"), "h"), Ok(()), "for the other team now");
    }

    #[test]
    fn signatures_have_an_end_and_no_team_locks_the_other_out() {
        let mut agreement = proposed();
        for n in 0..MOST_SIGN_OFFS + 5 {
            agreement.sign(key(Team::Sales, &n.to_string(), "h"), "h").unwrap();
        }
        assert_eq!(agreement.sign_offs.len(), MOST_SIGN_OFFS);
        assert_eq!(agreement.sign_offs.first().map(|oldest| oldest.holder.as_str()), Some("5"));
        agreement.sign(key(Team::Marketing, "mia", "h"), "h").unwrap();
        assert_eq!(agreement.activate(Agree::Both, "h", Some(1)), Ok(()));
    }

    #[test]
    fn who_goes_back_signs_anew() {
        let mut agreement = proposed();
        agreement.sign(key(Team::Marketing, "mia", "h"), "h").unwrap();
        assert_eq!(agreement.propose(), Ok(false), "proposing again voids nothing");
        agreement.activate(Agree::Marketing, "h", Some(1)).unwrap();
        assert!(agreement.propose().is_err());
        agreement.retire();
        assert!(agreement.activate(Agree::Marketing, "h", Some(1)).is_err());
        assert!(agreement.sign(key(Team::Marketing, "mia", "h"), "h").is_err());
        agreement.propose().unwrap();
        assert!(agreement.activate(Agree::Marketing, "h", Some(1)).is_err());
    }
}
