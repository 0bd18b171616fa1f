//! Touches: responses to campaigns, kept compactly in the lead.
//!
//! A touch is something that the lead did because of a campaign: a form with a source, an answer to a mailing, a seat in
//! a webinar. It is never a mere open or a page view ([`Touch::of`]).
//!
//! # Why they are kept in the lead and not read from its timeline
//!
//! A report over all leads reads each item once; the timelines of those that bought would cost a query each, and end
//! with the retention of the timeline, while deals are asked about for years. So the lead keeps them: the first and the
//! latest one whole, since conditions ask for both, and those between them, up to [`MOST_BETWEEN`] lines.
//!
//! # What happens to a lead with more
//!
//! Nobody's share may be lost because a lead is busy, and nobody who posts a public form a thousand times may fill the
//! lead up. So lines that are alike are folded into one that says how many it stands for, and the more there are, the
//! coarser "alike" is read: every touch by itself, then those of one source within 1 day, 8, 64 and 512 days, then of
//! one source ever; at last the landing page, the campaign and the channel are let go of, in that order. A folded line
//! has the time of its earliest touch, and so counts whole for a deal that was won within its stretch. Each step lies
//! within the next, and a step is taken only where the one before does not fit; hence what is kept depends on which
//! touches there were and not on the order in which they arrived. A source keeps its share of all touches until the last
//! three steps, which no human being's lead gets to.

use crate::activity::Activity;
use crate::attribute::AttributeValue;
use crate::time::Timestamp;

/// The most lines between the first and the latest touch.
pub const MOST_BETWEEN: usize = 24;
/// The longest channel, campaign or landing page, in characters.
pub const LONGEST_SOURCE: usize = 300;
/// The most touches that one line stands for.
pub const MOST_TIMES: u32 = 1_000_000;

/// A response to a campaign: when, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Touch {
    /// When.
    pub at: Timestamp,
    /// The channel, such as `paid_search`.
    pub channel: Option<String>,
    /// The campaign.
    pub campaign: Option<String>,
    /// The landing page.
    pub landing_page: Option<String>,
}

impl Touch {
    /// Gives the touch that an activity is: a response that names its campaign, with a channel and a landing page where
    /// it names them. Opening, viewing and being sent something is none.
    #[must_use]
    pub fn of(activity: &Activity, at: Timestamp) -> Option<Self> {
        let text = |name: &str| match activity.properties.get(name) {
            Some(AttributeValue::Text(text)) => {
                let text = text.trim();
                (!text.is_empty() && text.chars().count() <= LONGEST_SOURCE).then(|| text.to_owned())
            }
            _ => None,
        };
        let campaign = text("campaign").filter(|_| activity.is_response())?;
        let (channel, landing_page) = (text("channel"), text("landing_page"));
        Some(Self { at, channel, campaign: Some(campaign), landing_page })
    }
}

/// How coarsely touches between the first and the latest are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Grain(u8);

impl Grain {
    /// The coarsest one: all touches are alike.
    pub const COARSEST: Self = Self(8);
    /// From which one on a line says nothing of when.
    const EVER: u8 = 5;

    /// Reads what [`Self::step`] gave.
    #[must_use]
    pub fn from_step(step: u8) -> Option<Self> {
        (step <= Self::COARSEST.0).then_some(Self(step))
    }

    /// Gives the step, from 0.
    #[must_use]
    pub const fn step(self) -> u8 {
        self.0
    }

    /// Lets go of what this grain no longer tells apart.
    fn of(self, mut touch: Touch) -> Touch {
        for (from, part) in [
            (Self::EVER + 1, &mut touch.landing_page),
            (Self::EVER + 2, &mut touch.campaign),
            (Self::EVER + 3, &mut touch.channel),
        ] {
            if self.0 >= from {
                *part = None;
            }
        }
        touch
    }

    /// Tells in which stretch of time a touch lies; each stretch lies within one of the next grain.
    fn stretch(self, at: Timestamp) -> i64 {
        match self.0 {
            0 => at.millis(),
            step if step < Self::EVER => i64::from(at.day().0) >> (3 * (step - 1)),
            _ => 0,
        }
    }

    fn alike(self, one: &Touch, other: &Touch) -> bool {
        self.stretch(one.at) == self.stretch(other.at)
            && (&one.channel, &one.campaign, &one.landing_page)
                == (&other.channel, &other.campaign, &other.landing_page)
    }
}

/// A line that stands for one touch, or for several that are alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Folded {
    /// The earliest of them, without what they no longer have in common.
    pub touch: Touch,
    /// How many.
    pub times: u32,
}

/// All touches of a lead.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Touches {
    /// The first one.
    pub first: Option<Touch>,
    /// The latest one, where it is another.
    pub latest: Option<Touch>,
    /// Those between them, in order.
    pub between: Vec<Folded>,
    /// How coarsely those are told apart.
    pub grain: Grain,
}

impl Touches {
    /// Gives the latest touch.
    #[must_use]
    pub fn last(&self) -> Option<&Touch> {
        self.latest.as_ref().or(self.first.as_ref())
    }

    /// Gives all touches in order, each with how many it stands for.
    pub fn all(&self) -> impl Iterator<Item = (&Touch, u32)> {
        let first = self.first.iter().map(|touch| (touch, 1));
        let between = self.between.iter().map(|folded| (&folded.touch, folded.times));
        first.chain(between).chain(self.latest.iter().map(|touch| (touch, 1)))
    }

    /// Takes a touch in and tells whether it is now the first or the latest. The order of arrival does not matter.
    ///
    /// A touch that is there already is not taken again; among folded ones that can no longer be told, and is left to
    /// the delivery, which is recognised before.
    pub fn take(&mut self, touch: Touch) -> bool {
        if self.first.as_ref() == Some(&touch) || self.latest.as_ref() == Some(&touch) {
            return false;
        }
        let inner = match (&mut self.first, &mut self.latest) {
            (first @ None, _) => {
                *first = Some(touch);
                None
            }
            (Some(first), latest @ None) => {
                let earlier = touch < *first;
                *latest = Some(if earlier { std::mem::replace(first, touch) } else { touch });
                None
            }
            (Some(first), _) if touch < *first => Some((std::mem::replace(first, touch), true)),
            (_, Some(latest)) if touch > *latest => Some((std::mem::replace(latest, touch), true)),
            _ => Some((touch, false)),
        };
        let Some((inner, moved)) = inner else { return true };
        self.fold(Folded { touch: inner, times: 1 });
        while self.between.len() > MOST_BETWEEN && self.grain < Grain::COARSEST {
            self.grain = Grain(self.grain.0 + 1);
            for folded in std::mem::take(&mut self.between) {
                self.fold(folded);
            }
        }
        moved
    }

    fn fold(&mut self, Folded { touch, times }: Folded) {
        let touch = self.grain.of(touch);
        let grain = self.grain;
        match self.between.iter_mut().find(|known| grain.alike(&known.touch, &touch)) {
            // Told apart to the last, the two are one.
            Some(_) if grain == Grain::default() => {}
            Some(known) => {
                known.times = known.times.saturating_add(times).min(MOST_TIMES);
                known.touch.at = known.touch.at.min(touch.at);
            }
            None => self.between.push(Folded { touch, times }),
        }
        self.between.sort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{DAY_MS, HOUR_MS};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn touch(at: i64, channel: &str) -> Touch {
        Touch {
            at: Timestamp::from_secs(at),
            channel: Some(channel.into()),
            campaign: None,
            landing_page: None,
        }
    }

    fn folded(touches: &[Touch]) -> Touches {
        let mut all = Touches::default();
        touches.iter().for_each(|touch| {
            all.take(touch.clone());
        });
        all
    }

    #[test]
    fn the_first_and_the_latest_touch_are_kept_in_any_order_of_arrival() {
        let mut touches = Touches::default();
        assert!(touches.take(touch(20, "b")));
        assert!(!touches.take(touch(20, "b")));
        assert!(touches.take(touch(10, "a")));
        assert!(!touches.take(touch(15, "x")));
        assert!(touches.take(touch(30, "c")));
        assert_eq!(
            touches.all().map(|(touch, times)| (touch.clone(), times)).collect::<Vec<_>>(),
            [(touch(10, "a"), 1), (touch(15, "x"), 1), (touch(20, "b"), 1), (touch(30, "c"), 1)]
        );
        assert_eq!((touches.first, touches.latest), (Some(touch(10, "a")), Some(touch(30, "c"))));
    }

    #[test]
    fn a_response_that_names_its_campaign_is_a_touch_and_a_mere_open_is_none() {
        let activity = |kind: &str, named: &[(&str, &str)]| Activity {
            kind: kind.to_owned(),
            properties: named
                .iter()
                .map(|(name, text)| ((*name).to_owned(), AttributeValue::Text((*text).to_owned())))
                .collect(),
        };
        let at = Timestamp::from_secs(5);
        let spring = [("campaign", " spring "), ("channel", "email")];
        let touch = Touch::of(&activity("webinar_attended", &spring), at).unwrap();
        assert_eq!((touch.channel.as_deref(), touch.campaign.as_deref()), (Some("email"), Some("spring")));
        assert_eq!(Touch::of(&activity("email_opened", &spring), at), None);
        assert_eq!(Touch::of(&activity("page_viewed", &spring), at), None);
        assert_eq!(Touch::of(&activity("webinar_attended", &[("channel", "email")]), at), None);
        assert_eq!(Touch::of(&activity("webinar_attended", &[("campaign", " ")]), at), None);
        let long = "x".repeat(LONGEST_SOURCE + 1);
        assert_eq!(Touch::of(&activity("webinar_attended", &[("campaign", &long)]), at), None);
    }

    #[test]
    fn many_touches_are_folded_by_their_source_and_within_a_stretch_of_time() {
        // Forty touches of two sources, one an hour: two lines for each of the days that they span.
        let many: Vec<Touch> =
            (0..40).map(|n| touch(n * HOUR_MS / 1_000, if n % 4 == 0 { "a" } else { "b" })).collect();
        let touches = folded(&many);
        assert_eq!((touches.grain.step(), touches.between.len()), (1, 4));
        let b: u32 =
            touches.between.iter().filter(|f| f.touch.channel.as_deref() == Some("b")).map(|f| f.times).sum();
        // The latest, n = 39, is kept by itself.
        assert_eq!(b, 29);
        assert_eq!(touches.between.iter().map(|f| f.times).sum::<u32>(), 38);
    }

    #[test]
    fn who_makes_up_a_thousand_sources_fills_no_lead() {
        let many: Vec<Touch> = (0..1_000).map(|n| touch(n * 86_400, &format!("made up {n}"))).collect();
        let touches = folded(&many);
        assert_eq!((touches.grain, touches.between.len()), (Grain::COARSEST, 1));
        assert_eq!(touches.all().map(|(_, times)| times).sum::<u32>(), 1_000);
    }

    fn some_touches() -> impl Strategy<Value = Vec<Touch>> {
        let word = |n: u8| prop::option::of((0..n).prop_map(|n| format!("s{n}")));
        let one = (0_i64..3_000 * 24, word(4), word(9), word(3)).prop_map(
            |(hours, channel, campaign, landing_page)| Touch {
                at: Timestamp::from_secs(0).plus(hours * HOUR_MS),
                channel,
                campaign,
                landing_page,
            },
        );
        let spread = prop::collection::vec(one.clone(), 1..120);
        let dense = (prop::collection::vec(one, 1..60), 1_i64..60).prop_map(|(mut all, days)| {
            for touch in &mut all {
                touch.at = Timestamp::from_millis(touch.at.millis() % (days * DAY_MS));
            }
            all
        });
        prop_oneof![spread, dense]
    }

    proptest! {
        #[test]
        fn what_is_kept_depends_on_the_touches_and_not_on_the_order_of_their_arrival(
            (one, other) in some_touches().prop_map(|touches| {
                touches.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
            }).prop_flat_map(|touches| (Just(touches.clone()), Just(touches).prop_shuffle()))
        ) {
            prop_assert_eq!(folded(&one), folded(&other));
        }

        #[test]
        fn no_touch_is_lost_and_a_source_keeps_its_share(touches in some_touches()) {
            let all: BTreeSet<Touch> = touches.into_iter().collect();
            let kept = folded(&all.iter().cloned().collect::<Vec<_>>());
            prop_assert!(kept.between.len() <= MOST_BETWEEN);
            prop_assert_eq!(kept.all().map(|(_, times)| times as usize).sum::<usize>(), all.len());
            prop_assert_eq!((kept.first.as_ref(), kept.last()), (all.first(), all.last()));
            if kept.grain.step() <= Grain::EVER {
                let count = |touches: &mut dyn Iterator<Item = (&Touch, u32)>| {
                    let mut counts = BTreeMap::new();
                    for (touch, times) in touches {
                        let source = (touch.channel.clone(), touch.campaign.clone(), touch.landing_page.clone());
                        *counts.entry(source).or_insert(0) += times;
                    }
                    counts
                };
                prop_assert_eq!(count(&mut kept.all()), count(&mut all.iter().map(|touch| (touch, 1))));
            }
        }
    }
}
