//! Attribution: how much of a won deal each of its touches is given.
//!
//! No model is the truth about what made somebody buy; each is an agreed way to divide, and six of them side by side show
//! which campaigns look good only in one. So they are computed together, over the same touches, and divide the same
//! deals. A model gives each touch a *weight*, a whole number; its share is its weight over the sum of all weights.
//!
//! | model | a touch is given | source |
//! | --- | --- | --- |
//! | first touch | 1 if it is the first, else 0 | [HubSpot] "first interaction" |
//! | last touch | 1 if it is the last, else 0 | [HubSpot] "last interaction" |
//! | linear | 1 / n | [HubSpot] "linear" |
//! | U | 40% for the first, 40% for the one that made the lead; 20% / (n − those two) for each other one | [HubSpot] "U-shaped" |
//! | W | 30% for the first, 30% for the one that made the lead, 30% for the one that made the opportunity; 10% / (n − those three) for each other one | [HubSpot] "W-shaped" |
//! | time decay | 2^(−d / 7) / Σ 2^(−d / 7), d in whole UTC days before the win | [HubSpot] "time decay": seven days before the close date a touch has half the credit of one on that date |
//!
//! [HubSpot]: https://knowledge.hubspot.com/reports/understand-attribution-reporting
//!
//! What the sources leave open is decided here:
//!
//! * **Touches after the win** get nothing. One at the very moment of the win counts. A line that stands for several
//!   has the time of the earliest of them ([`crate::touch`]), and counts whole where that is not after the win: which of
//!   its touches came later is no longer known.
//! * **The touch that made the lead** is the last one up to the lead's first response; **the one that made the
//!   opportunity** the last one up to the first word of that opportunity, or up to the win where nobody reported an
//!   opportunity. Where no touch is that early it is the first one.
//! * **One touch at two moments** gets the parts of both: a lead that came by its first form gives that form 80% in U.
//! * **Nothing left over**: where every touch stands at a moment, the moments share alike what the others would have
//!   had. So a single touch gets all, and two touches in U get half each, unless the first made the lead.
//! * **The same campaign twice** is two touches. A line that stands for several ([`crate::touch`]) is that many touches
//!   of one time, of which one stands at a moment.
//! * **No touch at all**: all weights are 0, and the deal belongs to nobody known.
//! * **Time decay is reckoned from the last touch** rather than from the win. All weights differ by the same factor, so
//!   the shares are the same, and a win years after the last touch does not round everything to nothing. Its factors are
//!   those of the score ([`HalfLife`]), in 30 binary digits; a touch 119 days before the last one is worth nothing.
//!
//! **Exactly one deal, exactly its money.** Shares are never rounded by themselves: [`allot`] divides a whole number, the
//! cents of a deal or its [`CREDIT`], by the largest remainders, so that the parts add up to it to the last one.

use crate::score::HalfLife;
use crate::time::Timestamp;

/// In how many parts the credit for a deal is divided.
pub const CREDIT: i64 = 1_000_000;
/// The half-life of time decay, in days.
pub const HALF_LIFE_DAYS: u16 = 7;

/// A way to divide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Model {
    /// All to the first.
    FirstTouch,
    /// All to the last.
    LastTouch,
    /// To each the same.
    Linear,
    /// Most to the first and to the one that made the lead.
    UShaped,
    /// Most to these two and to the one that made the opportunity.
    WShaped,
    /// The more, the later.
    TimeDecay,
}

impl Model {
    /// Every model with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("first_touch", Self::FirstTouch),
        ("last_touch", Self::LastTouch),
        ("linear", Self::Linear),
        ("u_shaped", Self::UShaped),
        ("w_shaped", Self::WShaped),
        ("time_decay", Self::TimeDecay),
    ];
}

/// What happened on the way to a win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moments {
    /// When the lead first responded.
    pub created: Timestamp,
    /// When somebody first spoke of the opportunity; none where nobody did.
    pub opened: Option<Timestamp>,
    /// When it was won.
    pub won: Timestamp,
}

impl Moments {
    /// Gives the earlier of each, for a deal that two leads share.
    #[must_use]
    pub fn earliest(self, other: Self) -> Self {
        Self {
            created: self.created.min(other.created),
            opened: self.opened.into_iter().chain(other.opened).min(),
            won: self.won.min(other.won),
        }
    }
}

/// Weighs touches; it holds what all deals of a report have in common.
#[derive(Clone, Debug)]
pub struct Weighing {
    half_life: HalfLife,
}

impl Default for Weighing {
    fn default() -> Self {
        Self { half_life: HalfLife::new(HALF_LIFE_DAYS) }
    }
}

impl Weighing {
    /// Gives the weight of each touch, in their order. A touch is its time and how many it stands for; they are sorted.
    #[must_use]
    pub fn weights(&self, model: Model, touches: &[(Timestamp, u32)], moments: &Moments) -> Vec<u128> {
        let counted = touches.partition_point(|(at, _)| *at <= moments.won);
        let (before, after) = touches.split_at(counted);
        let last = before.len().saturating_sub(1);
        // The place of the last touch up to a moment.
        let by = |moment: Timestamp| before.partition_point(|(at, _)| *at <= moment).saturating_sub(1);
        let mut weights = match model {
            Model::FirstTouch => shaped(before, &[0], 100),
            Model::LastTouch => shaped(before, &[last], 100),
            Model::Linear => before.iter().map(|(_, times)| u128::from(*times)).collect(),
            Model::UShaped => shaped(before, &[0, by(moments.created)], 40),
            Model::WShaped => {
                let opened = moments.opened.unwrap_or(moments.won);
                shaped(before, &[0, by(moments.created), by(opened)], 30)
            }
            Model::TimeDecay => {
                let latest = before.last().map(|(at, _)| at.day().0).unwrap_or_default();
                let age = |at: &Timestamp| u32::try_from(latest - at.day().0).unwrap_or_default();
                let factor = |at| u128::from(self.half_life.factor(age(at)));
                before.iter().map(|(at, times)| factor(at) * u128::from(*times)).collect()
            }
        };
        weights.extend(after.iter().map(|_| 0));
        weights
    }
}

/// Weighs touches of which those at `moments` get `percent` for each moment, and the others alike what is left.
///
/// With m other touches a moment weighs `percent` × m and each other touch `rest`, which is m × 100 in all: whole
/// numbers without a division.
fn shaped(touches: &[(Timestamp, u32)], moments: &[usize], percent: u128) -> Vec<u128> {
    let rest = 100_u128.saturating_sub(percent * moments.len() as u128);
    let standing = |place: usize| moments.iter().filter(|moment| **moment == place).count() as u128;
    let others =
        |place: usize, times: u32| u128::from(times) - u128::from(standing(place) > 0).min(times.into());
    let in_all: u128 = touches.iter().enumerate().map(|(place, (_, times))| others(place, *times)).sum();
    let weight = |(place, (_, times)): (usize, &(Timestamp, u32))| match (in_all, rest) {
        (0, _) | (_, 0) => standing(place),
        _ => percent * in_all * standing(place) + rest * others(place, *times),
    };
    touches.iter().enumerate().map(weight).collect()
}

/// Divides a whole number by weights, so that the parts add up to it: each part is rounded towards zero, and what is left
/// goes, one by one, to the largest remainders, of equal ones to the first (Hamilton's method). Weights that are all 0
/// get nothing.
///
/// ```
/// use domain::attribution::allot;
///
/// assert_eq!(allot(100, &[1, 1, 1]), [34, 33, 33]);
/// assert_eq!(allot(-5, &[3, 1]), [-4, -1]);
/// assert_eq!(allot(7, &[0, 0]), [0, 0]);
/// ```
#[must_use]
pub fn allot(whole: i64, weights: &[u128]) -> Vec<i64> {
    // 64 bits for the sum of weights and 63 for the whole fit into 128; heavier weights lose their lowest digits.
    let sum = weights.iter().fold(0_u128, |sum, weight| sum.saturating_add(*weight));
    let spare = (u128::BITS - sum.leading_zeros()).saturating_sub(u64::BITS);
    let weights: Vec<u128> = weights.iter().map(|weight| weight >> spare).collect();
    let sum: u128 = weights.iter().sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let size = u128::from(whole.unsigned_abs());
    let mut parts: Vec<(u128, u128)> =
        weights.iter().map(|weight| (size * weight / sum, size * weight % sum)).collect();
    let given: u128 = parts.iter().map(|(part, _)| part).sum();
    let mut places: Vec<usize> = (0..parts.len()).collect();
    places.sort_by_key(|place| std::cmp::Reverse(parts.get(*place).map(|(_, remainder)| *remainder)));
    let left = usize::try_from(size - given).unwrap_or(usize::MAX);
    for place in places.into_iter().take(left) {
        if let Some((part, _)) = parts.get_mut(place) {
            *part += 1;
        }
    }
    let signed = |(part, _): (u128, u128)| {
        let part = i128::try_from(part).unwrap_or(i128::MAX) * i128::from(whole.signum());
        i64::try_from(part).unwrap_or(whole)
    };
    parts.into_iter().map(signed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::DAY_MS;
    use proptest::prelude::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_millis(day * DAY_MS)
    }

    fn some_touches() -> impl Strategy<Value = Vec<(Timestamp, u32)>> {
        prop::collection::vec((0_i64..400, 1_u32..50), 0..12).prop_map(|mut all| {
            all.sort_unstable();
            all.into_iter().map(|(day, times)| (at(day), times)).collect()
        })
    }

    fn some_moments() -> impl Strategy<Value = Moments> {
        (0_i64..400, prop::option::of(0_i64..400), 0_i64..500).prop_map(|(created, opened, won)| Moments {
            created: at(created),
            opened: opened.map(at),
            won: at(won),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn parts_add_up_to_the_whole_and_none_is_off_by_one(
            whole in any::<i64>(), weights in prop::collection::vec(any::<u64>(), 1..20)
        ) {
            let weights: Vec<u128> = weights.into_iter().map(|weight| u128::from(weight % 1_000_003)).collect();
            let parts = allot(whole, &weights);
            let sum: u128 = weights.iter().sum();
            if sum == 0 {
                prop_assert!(parts.iter().all(|part| *part == 0));
                return Ok(());
            }
            prop_assert_eq!(parts.iter().map(|part| i128::from(*part)).sum::<i128>(), i128::from(whole));
            for (part, weight) in parts.iter().zip(&weights) {
                // |part − whole × weight / sum| < 1, without a division.
                let off = i128::from(*part) * sum as i128 - i128::from(whole) * *weight as i128;
                prop_assert!(off.unsigned_abs() < sum, "{part} of {whole} for {weight} of {sum}");
                prop_assert!(*weight > 0 || *part == 0, "what weighs nothing gets nothing");
            }
        }

        #[test]
        fn weights_of_any_size_are_divided(whole in any::<i64>(), weights in prop::collection::vec(any::<u128>(), 1..6)) {
            let parts = allot(whole, &weights);
            let sum: i128 = parts.iter().map(|part| i128::from(*part)).sum();
            prop_assert!(sum == i128::from(whole) || weights.iter().all(|weight| weight >> 67 == 0));
        }

        #[test]
        fn every_deal_with_a_touch_before_its_win_is_credited_whole_in_every_model_and_no_later_touch_at_all(
            touches in some_touches(), moments in some_moments(), cents in any::<i64>()
        ) {
            let weighing = Weighing::default();
            for (word, model) in Model::WORDS {
                let weights = weighing.weights(*model, &touches, &moments);
                prop_assert_eq!(weights.len(), touches.len());
                let any = touches.iter().any(|(at, _)| *at <= moments.won);
                for whole in [CREDIT, cents] {
                    let given: i128 = allot(whole, &weights).into_iter().map(i128::from).sum();
                    prop_assert_eq!(given, if any { i128::from(whole) } else { 0 }, "{}", word);
                }
                for ((at, _), weight) in touches.iter().zip(&weights) {
                    prop_assert!(*at <= moments.won || *weight == 0, "{}: after the win", word);
                }
            }
        }

        /// A line that stands for several is worth as much as they are one by one.
        #[test]
        fn what_is_folded_weighs_as_much_as_what_is_not(touches in some_touches(), moments in some_moments()) {
            let weighing = Weighing::default();
            let mut touches = touches;
            // The first touch of all is always one by itself.
            touches.iter_mut().take(1).for_each(|(_, times)| *times = 1);
            let unfolded: Vec<(Timestamp, u32)> =
                touches.iter().flat_map(|(at, times)| (0..*times).map(|_| (*at, 1))).collect();
            // Where two lines have one time, which of them stands at a moment is another's to say.
            let times: std::collections::BTreeSet<_> = touches.iter().map(|(at, _)| *at).collect();
            prop_assume!(times.len() == touches.len());
            for (word, model) in Model::WORDS {
                let weights = weighing.weights(*model, &touches, &moments);
                let single = weighing.weights(*model, &unfolded, &moments);
                let (sum, single_sum): (u128, u128) = (weights.iter().sum(), single.iter().sum());
                let mut rest = single.as_slice();
                for (weight, (_, times)) in weights.iter().zip(&touches) {
                    let (these, others) = rest.split_at(*times as usize);
                    rest = others;
                    prop_assert_eq!(weight * single_sum, these.iter().sum::<u128>() * sum, "{}", word);
                }
            }
        }
    }
}
