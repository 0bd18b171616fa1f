//! What the database shows of a persona: findings that can be read, each with how sure it is.
//!
//! Two questions, of leads as they were with only what was known then: what the won among the persona's leads have more or
//! less often than its others, and what its leads have more often than the whole base. What the persona's own condition
//! asks for answers the second by itself and is no finding. A finding is told only where its 95 % interval leaves out the
//! share that it is compared with; of two hundred that are looked at a few do so by chance.

use crate::bins::{Bin, Count, Source};
use crate::characteristics::{Target, Trait, characteristics};
use crate::dataset::Dataset;
use crate::measure::{float, rounded, wilson};
use domain::evidence::{About, Compared, Finding};
use std::collections::BTreeSet;

/// How many findings of each side are told.
const TOLD: usize = 5;
/// From how many on each side anything can be concluded.
const ENOUGH: u32 = 30;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mined {
    /// The findings, in words and in figures.
    pub findings: Vec<(String, Finding)>,
    /// What could not be asked, and why.
    pub cautions: Vec<String>,
}

/// Looks for what a persona's leads have in common: `among` holds the persona's leads and whether they were won, `base`
/// everybody and whether they mirror it; `asked_for` is what its condition looks at.
#[must_use]
pub fn mine(among: &Dataset, base: &Dataset, asked_for: &BTreeSet<Source>) -> Mined {
    let mut mined = Mined::default();
    let won = characteristics(among, Target::Won);
    if mined.enough(won.all, "won", "other leads of this persona") {
        for side in [&won.best, &won.worst] {
            let told = side.iter().filter(|one| one.bin != Bin::Other);
            mined.findings.extend(told.filter_map(|one| won_with_lost(one, won.all)).take(TOLD));
        }
    }
    let common = characteristics(base, Target::Won);
    if mined.enough(common.all, "leads of this persona", "others") {
        let told = common.best.iter().filter(|one| one.bin != Bin::Other && !asked_for.contains(&one.source));
        mined.findings.extend(told.filter_map(|one| persona_with_base(one, common.all)).take(TOLD));
    }
    mined
}

impl Mined {
    fn enough(&mut self, all: Count, these: &str, those: &str) -> bool {
        let enough = all.wins.min(all.losses()) >= ENOUGH;
        if !enough {
            let (wins, losses) = (all.wins, all.losses());
            self.cautions.push(format!(
                "{wins} {these} and {losses} {those} are too few to conclude from; {ENOUGH} of each are"
            ));
        }
        enough
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn finding(one: &Trait, compared: Compared, support: u32, interval: (f64, f64)) -> Finding {
    let about = match &one.source {
        Source::Attribute(name) => About::Attribute(name.clone()),
        Source::Signal(id) => About::Signal(id.clone()),
    };
    Finding {
        about: Some(about),
        value: Some(one.title.clone()),
        lift: Some(rounded(one.lift)),
        support: Some(u64::from(support)),
        interval: Some((rounded(interval.0), rounded(interval.1))),
        own: Some(compared),
    }
}

fn won_with_lost(one: &Trait, all: Count) -> Option<(String, Finding)> {
    let interval = one.interval?;
    if (interval.low..=interval.high).contains(&all.rate()) {
        return None;
    }
    let text = format!(
        "{} {}: {} of {} such leads are won, and {} of all of this persona (between {} and {} with 95 % confidence).",
        one.source,
        one.title,
        percent(one.rate),
        one.count.leads,
        percent(all.rate()),
        percent(interval.low),
        percent(interval.high),
    );
    Some((text, finding(one, Compared::WonWithLost, one.count.leads, (interval.low, interval.high))))
}

fn persona_with_base(one: &Trait, all: Count) -> Option<(String, Finding)> {
    let interval = wilson(f64::from(one.count.wins), f64::from(all.wins))?;
    let share = f64::from(one.count.wins) / f64::from(all.wins.max(1));
    let in_base = float(u64::from(one.count.leads)) / float(u64::from(all.leads.max(1)));
    if interval.low <= in_base {
        return None;
    }
    let text = format!(
        "{} {}: {} of this persona's {} leads, and {} of the base (between {} and {} with 95 % confidence).",
        one.source,
        one.title,
        percent(share),
        all.wins,
        percent(in_base),
        percent(interval.low),
        percent(interval.high),
    );
    Some((text, finding(one, Compared::PersonaWithBase, one.count.wins, (interval.low, interval.high))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::tests::{LOST, WON, name, text};

    /// Of 400 leads every second is the persona's. Half of those come by fair, of the others a fifth; won is who comes by
    /// fair, and every fourth of the rest.
    fn datasets() -> (Dataset, Dataset) {
        let [source, industry, note] = ["source", "industry", "note"].map(name);
        let (mut among, mut base) = (Dataset::default(), Dataset::default());
        for n in 0..400_u32 {
            let member = n % 2 == 0;
            let fair = if member { n % 4 == 0 } else { n % 10 == 1 };
            let at_fair = text(if fair { "Fair" } else { "Web" });
            let plant = text(if member { "Plants" } else { "Shops" });
            let even = text(if n % 3 == 0 { "a" } else { "b" });
            let attributes = [(&source, &at_fair), (&industry, &plant), (&note, &even)];
            base.add(attributes, [], if member { WON } else { LOST });
            if member {
                among.add(attributes, [], if fair || n % 16 == 2 { WON } else { LOST });
            }
        }
        (among, base)
    }

    #[test]
    fn a_finding_says_how_much_more_often_and_how_sure_that_is() {
        let (among, base) = datasets();
        let asked_for = BTreeSet::from([Source::Attribute(name("industry"))]);
        let mined = mine(&among, &base, &asked_for);
        let told: Vec<&str> = mined.findings.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(
            told,
            [
                "Source Fair: 100 % of 100 such leads are won, and 62 % of all of this persona (between 96 % and 100 % with 95 % confidence).",
                "Source Web: 25 % of 100 such leads are won, and 62 % of all of this persona (between 18 % and 34 % with 95 % confidence).",
                "Source Fair: 50 % of this persona's 200 leads, and 35 % of the base (between 43 % and 57 % with 95 % confidence).",
            ]
        );
        let (_, fair) = &mined.findings[2];
        assert_eq!(
            (fair.lift, fair.support, fair.own),
            (Some(1.4286), Some(100), Some(Compared::PersonaWithBase))
        );
        assert_eq!(mined.cautions, Vec::<String>::new());
    }

    #[test]
    fn what_the_condition_asks_for_is_a_finding_only_for_others() {
        let (among, base) = datasets();
        let told = |asked_for: &BTreeSet<Source>| mine(&among, &base, asked_for).findings;
        let industry = Source::Attribute(name("industry"));
        let about = |finding: &Finding| finding.about == Some(About::Attribute(name("industry")));
        assert!(told(&BTreeSet::new()).iter().any(|(_, finding)| about(finding)));
        assert!(told(&BTreeSet::from([industry])).iter().all(|(_, finding)| !about(finding)));
    }

    #[test]
    fn too_few_leads_are_no_finding() {
        let mined = mine(&Dataset::default(), &Dataset::default(), &BTreeSet::new());
        assert_eq!((mined.findings.len(), mined.cautions.len()), (0, 2));
        assert!(mined.cautions[0].starts_with("0 won and 0 other leads"), "{:?}", mined.cautions);
    }
}
