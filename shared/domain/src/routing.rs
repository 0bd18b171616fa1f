//! Who gets a lead: the one person who qualifies its territory, then somebody of the pool behind them.
//!
//! [`qualify`] says to whom a lead goes that became ready, [`pick`] to whom of a pool one goes that was found to be a real
//! prospect. Both say why ([`Routed`]): by which rule, and who was passed over for which reason. Neither reads anything:
//! people, what they have already and whose turn it is come with the question.
//!
//! * **Never without an owner.** A qualifier who is not there is answered for by their deputy, then by their manager;
//!   where none of them is there, the lead is the qualifier's all the same, and the default qualifier's where the
//!   qualifier left the company. A pool in which nobody has room leaves the lead with whoever has it, and is asked again.
//! * **Not there** is who left the company, is absent, or has a holiday on that day of their own calendar. Who sleeps or
//!   has a weekend is there: leads come at night too.
//! * **Colleagues stay together.** What comes from a company of whose leads somebody has one already goes to them, in a
//!   pool or not, as long as they are with the company; it takes nobody's turn. While they are away it goes in turn, and
//!   the company stays theirs.
//! * **In turn, by weight.** Each lead is owed to those who can get one now, in shares by weight; it goes to whoever is
//!   owed one soonest, of those who are owed anything at all (the earliest eligible virtual deadline first; Stoica and
//!   Abdel-Wahab 1995).
//!
//! # What is fair
//!
//! Among the same people with room, whatever their weights:
//!
//! * counted from the first lead, nobody is ever a whole lead ahead of or behind their share;
//! * over as many leads in a row as the weights add up to, from any lead on, everybody gets exactly their weight; over
//!   any other number in a row, less than two more or fewer than their share;
//! * of equal weight, nobody gets over any leads in a row more than one more than somebody else.
//!
//! Who is away or full takes no part: nobody owes them for it when they come back, and they owe nobody. The last of the
//! three holds through that too, for any two who had room all the time. An exact ±1 over any leads in a row is more than
//! a rule can promise for every set of weights: with weights of 3, 3, 4, 3, 2, 3, 2 and 3 this one comes to 1.65.

use crate::identity::Slug;
use crate::playbook::{Member, Playbook, Territory};
use crate::promise::{People, Person};
use crate::time::{Day, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// In how many parts a lead is shared; a number that JSON can hold.
const LEAD: i64 = 1_000_000_000_000_000;
/// How many of them make no difference: what rounding loses in five hundred million turns.
const ROUND: i64 = LEAD / 1_000_000;

/// How many leads somebody can have; what is not said is not limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Room {
    /// From pools on one day of their calendar.
    pub a_day: Option<u32>,
    /// At the same time, from wherever.
    pub open: Option<u32>,
}

/// Why somebody did not get a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hindrance {
    /// They are no longer with the company.
    Left,
    /// They are absent.
    Absent,
    /// They have a holiday.
    Holiday,
    /// They got as many today as they can.
    FullToday,
    /// They have as many as they can.
    Full,
}

impl Hindrance {
    /// Every hindrance with its word.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("left", Self::Left),
        ("absent", Self::Absent),
        ("holiday", Self::Holiday),
        ("full_today", Self::FullToday),
        ("full", Self::Full),
    ];

    /// Gives the word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, one)| *one == self).map_or("", |(word, _)| word)
    }
}

/// Somebody who did not get a lead, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Who.
    pub person: Slug,
    /// Why not.
    pub because: Hindrance,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.person, self.because.as_str())
    }
}

impl Passed {
    /// Reads what [`Passed`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (person, word) = text.split_once(' ')?;
        let because = Hindrance::WORDS.iter().find(|(known, _)| *known == word)?.1;
        Some(Self { person: Slug::parse(person).ok()?, because })
    }
}

/// By which rule somebody got a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// They qualify its territory, or what is in none.
    Qualifier,
    /// They answer for somebody who is not there.
    Deputy,
    /// Somebody whom they lead is not there, nor is the deputy.
    Manager,
    /// They qualify what is in no territory, and the territory's own qualifier left.
    DefaultQualifier,
    /// It was their turn.
    Turn,
    /// They have a lead of the same company.
    Company,
    /// They were named.
    Named,
}

impl Rule {
    /// Every rule with its word.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("qualifier", Self::Qualifier),
        ("deputy", Self::Deputy),
        ("manager", Self::Manager),
        ("default_qualifier", Self::DefaultQualifier),
        ("turn", Self::Turn),
        ("company", Self::Company),
        ("named", Self::Named),
    ];

    /// Gives the word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, rule)| *rule == self).map_or("", |(word, _)| word)
    }
}

/// Who gets a lead, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routed {
    /// Who gets it.
    pub to: Slug,
    /// In which territory it is.
    pub territory: Option<Slug>,
    /// By which rule.
    pub rule: Rule,
    /// Who would have got it rather, and why they did not.
    pub passed: Vec<Passed>,
}

/// Says why somebody is not there, if they are not.
#[must_use]
pub fn missing(person: &Person, now: Timestamp) -> Option<Hindrance> {
    if person.has_left(now) {
        Some(Hindrance::Left)
    } else if person.calendar.is_absent(now) {
        Some(Hindrance::Absent)
    } else if person.calendar.is_holiday(now) {
        Some(Hindrance::Holiday)
    } else {
        None
    }
}

/// Finds who is there of somebody, their deputy and their manager, and notes who is not.
fn there(who: &Slug, people: &People, now: Timestamp, passed: &mut Vec<Passed>) -> Option<(Slug, Rule)> {
    let person = people.get(who);
    let chain = [
        (Some(who), Rule::Qualifier),
        (person.deputy.as_ref(), Rule::Deputy),
        (person.manager.as_ref(), Rule::Manager),
    ];
    for (id, rule) in chain {
        let Some(id) = id.filter(|id| passed.iter().all(|known| known.person != **id)) else { continue };
        match missing(people.get(id), now) {
            None => return Some((id.clone(), rule)),
            Some(because) => passed.push(Passed { person: id.clone(), because }),
        }
    }
    None
}

/// Says who gets a lead that became ready: the qualifier of its territory, or who answers for them.
#[must_use]
pub fn qualify(
    playbook: &Playbook,
    territory: Option<&Territory>,
    people: &People,
    now: Timestamp,
) -> Routed {
    let default = &playbook.default_qualifier;
    let qualifier = territory.map_or(default, |territory| &territory.qualifier);
    let mut passed = Vec::new();
    let mut found = there(qualifier, people, now, &mut passed);
    let left = people.get(qualifier).has_left(now);
    if found.is_none() && left && qualifier != default {
        // What nobody answers for any more is the default qualifier's, be they there or not.
        let stands_in = there(default, people, now, &mut passed);
        let rule = |rule| if rule == Rule::Qualifier { Rule::DefaultQualifier } else { rule };
        found = stands_in.map(|(to, by)| (to, rule(by))).or(Some((default.clone(), Rule::DefaultQualifier)));
    }
    let (to, rule) = found.unwrap_or_else(|| (qualifier.clone(), Rule::Qualifier));
    Routed { to, territory: territory.map(|territory| territory.id.clone()), rule, passed }
}

/// What somebody has besides what a rotation knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Load {
    /// Leads that they have.
    pub open: u32,
    /// Leads that other pools gave them today.
    pub elsewhere_today: u32,
}

/// How somebody of a pool stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Stand {
    /// What they are owed, in parts of a lead ([`LEAD`]); less than nothing where they are ahead. None where they took
    /// no part in the latest turn.
    owed: Option<i64>,
    /// The number of the turn that was theirs last.
    last: u64,
    /// The day of their calendar on which they last got a lead.
    day: Day,
    /// How many they got on it.
    that_day: u32,
}

/// Whose turn it is in a territory.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Rotation {
    /// How many turns there were.
    turns: u64,
    stands: BTreeMap<Slug, Stand>,
}

impl Rotation {
    /// Reads what [`Rotation::to_json`] wrote; what is unreadable is as if it had never been.
    #[must_use]
    pub fn read(json: &Value) -> Self {
        let number = |json: &Value, key: &str| json.get(key).and_then(Value::as_i64);
        let stand = |json: &Value| Stand {
            // Nobody is ever owed that much; a sum of a whole pool's stays a number.
            owed: number(json, "owed").map(|owed| owed.clamp(-9 * LEAD, 9 * LEAD)),
            last: json.get("last").and_then(Value::as_u64).unwrap_or(0),
            day: json.get("day").and_then(Value::as_str).and_then(Day::parse).unwrap_or_default(),
            that_day: number(json, "that_day").and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
        };
        let stands = json.get("people").and_then(Value::as_object).into_iter().flatten();
        Self {
            turns: json.get("turns").and_then(Value::as_u64).unwrap_or(0),
            stands: stands.filter_map(|(id, json)| Some((Slug::parse(id).ok()?, stand(json)))).collect(),
        }
    }

    /// Writes it as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let stand = |stand: &Stand| {
            json!({
                "owed": stand.owed, "last": stand.last, "day": stand.day.to_string(),
                "that_day": stand.that_day,
            })
        };
        let people: serde_json::Map<String, Value> =
            self.stands.iter().map(|(id, one)| (id.to_string(), stand(one))).collect();
        json!({ "turns": self.turns, "people": people })
    }

    /// Tells how many leads it gave somebody on a day of their calendar.
    #[must_use]
    pub fn given_on(&self, person: &Slug, day: Day) -> u32 {
        self.stands.get(person).filter(|stand| stand.day == day).map_or(0, |stand| stand.that_day)
    }

    fn give(&mut self, person: &Slug, day: Day) {
        let stand = self.stands.entry(person.clone()).or_default();
        stand.that_day = if stand.day == day { stand.that_day.saturating_add(1) } else { 1 };
        stand.day = day;
    }

    /// Takes note of who takes part in the next turn: who does no longer is owed nothing, and what that leaves too much
    /// or too little is shared. Gives the weights together.
    fn gather(&mut self, members: &[&Member]) -> i64 {
        let takes_part = |id: &Slug| members.iter().any(|member| member.person == *id);
        for (id, stand) in &mut self.stands {
            stand.owed = stand.owed.filter(|_| takes_part(id));
        }
        let (mut sum, mut weights) = (0, 0);
        for member in members {
            sum += *self.stands.entry(member.person.clone()).or_default().owed.get_or_insert(0);
            weights += i64::from(member.weight);
        }
        for member in members {
            self.owe(&member.person, -share(sum, member, weights));
        }
        weights
    }

    fn owe(&mut self, person: &Slug, parts: i64) {
        if let Some(owed) = self.stands.get_mut(person).and_then(|stand| stand.owed.as_mut()) {
            *owed += parts;
        }
    }

    /// Finds whose turn it is among those who take part, and lets it be over.
    fn turn<'a>(&mut self, members: &[&'a Member]) -> Option<&'a Member> {
        let weights = self.gather(members);
        let stand = |member: &Member| self.stands.get(&member.person).copied().unwrap_or_default();
        // Rounded, so that what was lost in sharing decides nothing.
        let owed = |member: &Member| (stand(member).owed.unwrap_or(0) + ROUND / 2).div_euclid(ROUND);
        let next = members.iter().copied().filter(|member| owed(member) >= 0).min_by(|a, b| {
            // Who is owed one soonest: what is missing to a whole lead, by what each lead brings.
            let to_go = |member| LEAD / ROUND - owed(member);
            (to_go(a) * i64::from(b.weight))
                .cmp(&(to_go(b) * i64::from(a.weight)))
                .then(stand(a).last.cmp(&stand(b).last))
                .then(a.person.cmp(&b.person))
        })?;
        for member in members {
            self.owe(&member.person, share(LEAD, member, weights));
        }
        self.owe(&next.person, -LEAD);
        self.turns += 1;
        let turns = self.turns;
        self.stands.entry(next.person.clone()).or_default().last = turns;
        Some(next)
    }
}

/// Gives somebody's share of something by weight, rounded down: the same for all of one weight.
fn share(all: i64, member: &Member, weights: i64) -> i64 {
    let share = i128::from(all) * i128::from(member.weight);
    i64::try_from(share.div_euclid(i128::from(weights.max(1)))).unwrap_or(0)
}

/// Who of a pool gets a lead, with what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Who gets it, and why.
    pub routed: Routed,
    /// Whose turn it is then.
    pub rotation: Rotation,
    /// Whether the lead's company is theirs from now on.
    pub has_company: bool,
}

/// Says who of a territory's pool gets a lead; none where nobody has room for it now. `company` is who has the leads of
/// its company.
#[must_use]
pub fn pick(
    territory: &Territory,
    rotation: &Rotation,
    people: &People,
    loads: &BTreeMap<Slug, Load>,
    company: Option<&Slug>,
    now: Timestamp,
) -> Option<Pick> {
    let mut rotation = rotation.clone();
    // Who is in the pool no longer is forgotten.
    rotation.stands.retain(|id, stand| {
        stand.day == people.get(id).calendar.day(now) || territory.pool.iter().any(|m| m.person == *id)
    });
    let mut passed: Vec<Passed> = Vec::new();
    let mut has_company = true;
    let done = |mut rotation: Rotation, to: Slug, rule, passed, has_company| {
        rotation.give(&to, people.get(&to).calendar.day(now));
        let routed = Routed { to, territory: Some(territory.id.clone()), rule, passed };
        Some(Pick { routed, rotation, has_company })
    };
    if let Some(owner) = company {
        match missing(people.get(owner), now) {
            None => return done(rotation, owner.clone(), Rule::Company, passed, true),
            Some(because) => {
                has_company = because == Hindrance::Left;
                passed.push(Passed { person: owner.clone(), because });
            }
        }
    }
    let hindrance = |member: &Member| {
        let person = people.get(&member.person);
        let load = loads.get(&member.person).copied().unwrap_or_default();
        let today = rotation.given_on(&member.person, person.calendar.day(now));
        let full = |room: Option<u32>, has: u32| room.is_some_and(|room| has >= room);
        if let Some(missing) = missing(person, now) {
            Some(missing)
        } else if full(person.room.a_day, today.saturating_add(load.elsewhere_today)) {
            Some(Hindrance::FullToday)
        } else if full(person.room.open, load.open) {
            Some(Hindrance::Full)
        } else {
            None
        }
    };
    let (mut can, mut full) = (Vec::new(), false);
    for member in &territory.pool {
        match hindrance(member) {
            None => can.push(member),
            Some(because) => {
                full |= matches!(because, Hindrance::FullToday | Hindrance::Full);
                if passed.iter().all(|known| known.person != member.person) {
                    passed.push(Passed { person: member.person.clone(), because });
                }
            }
        }
    }
    if let Some(next) = rotation.turn(&can) {
        return done(rotation, next.person.clone(), Rule::Turn, passed, has_company);
    }
    if full {
        return None;
    }
    // Nobody is there: who answers for one of them does, first for whoever waits longest.
    let mut members: Vec<&Member> = territory.pool.iter().collect();
    members.sort_by_key(|member| {
        (rotation.stands.get(&member.person).map_or(0, |stand| stand.last), &member.person)
    });
    for member in members {
        if let Some((to, rule)) = there(&member.person, people, now, &mut passed) {
            rotation.turns += 1;
            let turns = rotation.turns;
            rotation.stands.entry(member.person.clone()).or_default().last = turns;
            // They stand in for a while; the company is to stay with somebody of the pool.
            return done(rotation, to, rule, passed, false);
        }
    }
    None
}
