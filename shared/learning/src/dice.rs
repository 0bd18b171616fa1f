//! Dice that fall alike every time, for whoever draws leads anew: the same leads give the same answer.

/// Numbers that look random and are always the same: SplitMix64 (G. L. Steele, D. Lea, C. H. Flood: Fast splittable
/// pseudorandom number generators. OOPSLA 2014). A crate would have to promise never to change its numbers.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Draws any number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Draws from above 0 up to 1.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are what a float holds")]
    pub(crate) fn part(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Draws from a Poisson distribution: by counting arrivals where few are expected, by the normal distribution (Box and
    /// Muller) where that is as good.
    pub(crate) fn poisson(&mut self, mean: u32) -> u32 {
        let expected = f64::from(mean);
        if mean <= 64 {
            let (end, mut at, mut count) = ((-expected).exp(), self.part(), 0);
            while at > end {
                at *= self.part();
                count += 1;
            }
            return count;
        }
        let normal = (-2.0 * self.part().ln()).sqrt() * (std::f64::consts::TAU * self.part()).cos();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
        let drawn = (expected + normal * expected.sqrt()).round().clamp(0.0, f64::from(u32::MAX)) as u32;
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dice_have_the_mean_and_the_variance_of_poisson() {
        for mean in [0_u32, 3, 40, 65, 900] {
            let mut dice = Dice(1);
            let drawn: Vec<f64> = (0..20_000).map(|_| f64::from(dice.poisson(mean))).collect();
            let average = drawn.iter().sum::<f64>() / 20_000.0;
            let variance = drawn.iter().map(|n| (n - average).powi(2)).sum::<f64>() / 20_000.0;
            let expected = f64::from(mean);
            assert!((average - expected).abs() <= 0.03 * expected.sqrt(), "{mean}: {average}");
            assert!((variance - expected).abs() <= 0.05 * expected, "{mean}: {variance}");
        }
    }
}
