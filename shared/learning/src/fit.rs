//! Logistic regression with an L2 penalty on yes-or-no features, a handful of them.
//!
//! Leads that the features cannot tell apart are one [`Row`], so a fit over a hundred thousand leads costs no more than
//! one over the few hundred patterns that they show.

use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;

/// The strength of the penalty: as if each weight had been seen to be 0 with a variance of 1.
pub(crate) const PENALTY: f64 = 1.0;

/// The leads that show one pattern.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    /// Which features they have, one bit each; the lowest, the intercept's, is always set.
    pub(crate) mask: u32,
    /// How many leads there are.
    pub(crate) leads: f64,
    /// How many of them were won.
    pub(crate) wins: f64,
}

/// Gives what belongs to the bits that are set.
pub(crate) fn set_bits<T>(mask: u32, all: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
    all.into_iter().enumerate().filter_map(move |(at, item)| (mask >> at & 1 == 1).then_some(item))
}

/// Gives the log-odds of a pattern.
pub(crate) fn log_odds(mask: u32, weights: &[f64]) -> f64 {
    set_bits(mask, weights).sum()
}

/// Gives the probability that belongs to log-odds.
pub(crate) fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// Gives the sum over leads of minus the logarithm of the probability of what became of them.
pub(crate) fn log_loss(rows: &[Row], weights: &[f64]) -> f64 {
    let softplus = |z: f64| z.max(0.0) + (-z.abs()).exp().ln_1p();
    rows.iter()
        .map(|row| {
            let z = log_odds(row.mask, weights);
            row.wins * softplus(-z) + (row.leads - row.wins) * softplus(z)
        })
        .sum()
}

struct Loss<'a> {
    rows: &'a [Row],
    leads: f64,
}

impl CostFunction for Loss<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, weights: &Vec<f64>) -> Result<f64, Error> {
        // The intercept, which comes first, is not penalised: how often leads are won is no matter of taste.
        let penalty: f64 = weights.iter().skip(1).map(|w| w * w).sum();
        Ok((log_loss(self.rows, weights) + PENALTY / 2.0 * penalty) / self.leads)
    }
}

impl Gradient for Loss<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, weights: &Vec<f64>) -> Result<Vec<f64>, Error> {
        let mut gradient: Vec<f64> =
            weights.iter().enumerate().map(|(at, w)| if at == 0 { 0.0 } else { PENALTY * w }).collect();
        for row in self.rows {
            let over = row.leads * probability(log_odds(row.mask, weights)) - row.wins;
            set_bits(row.mask, &mut gradient).for_each(|part| *part += over);
        }
        gradient.iter_mut().for_each(|part| *part /= self.leads);
        Ok(gradient)
    }
}

/// Fits the weights, the intercept first, beginning with some that are near; `None` where that fails.
pub(crate) fn logistic(rows: &[Row], start: Vec<f64>) -> Option<Vec<f64>> {
    let leads = rows.iter().map(|row| row.leads).sum();
    let search = MoreThuenteLineSearch::new();
    let solver = LBFGS::new(search, 7).with_tolerance_grad(1e-6).ok()?.with_tolerance_cost(1e-11).ok()?;
    // No timer: a pure crate reads no clock.
    let run = Executor::new(Loss { rows, leads }, solver)
        .configure(|state| state.param(start).max_iters(100))
        .timer(false)
        .run()
        .ok()?;
    let weights = run.state().get_best_param()?;
    weights.iter().all(|w| w.is_finite()).then(|| weights.clone())
}

/// A symmetric positive matrix as the product of a triangular one with itself.
pub(crate) struct Cholesky(Vec<Vec<f64>>);

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Cholesky {
    /// Splits a matrix, of whose rows only the part up to the diagonal is read.
    pub(crate) fn of(matrix: &[Vec<f64>]) -> Self {
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(matrix.len());
        for row in matrix {
            let mut new: Vec<f64> = Vec::with_capacity(rows.len() + 1);
            for (value, before) in row.iter().zip(&rows) {
                new.push((value - dot(&new, before)) / before.last().copied().unwrap_or(1.0));
            }
            let rest = row.get(rows.len()).copied().unwrap_or(0.0) - dot(&new, &new);
            new.push(rest.max(1e-9).sqrt());
            rows.push(new);
        }
        Self(rows)
    }

    /// Gives the quadratic form of a vector with the inverse of the matrix.
    pub(crate) fn inverse_form(&self, vector: &[f64]) -> f64 {
        let mut solved: Vec<f64> = Vec::with_capacity(vector.len());
        for (row, value) in self.0.iter().zip(vector) {
            solved.push((value - dot(&solved, row)) / row.last().copied().unwrap_or(1.0));
        }
        dot(&solved, &solved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_finds_the_weights_that_made_the_leads() {
        let truth = [-1.0, 2.0, -0.5, 0.0];
        let rows: Vec<Row> = (0..8)
            .map(|mask| {
                let mask = mask << 1 | 1;
                Row { mask, leads: 1e6, wins: 1e6 * probability(log_odds(mask, &truth)) }
            })
            .collect();
        let found = logistic(&rows, vec![0.0; 4]).unwrap();
        for (found, truth) in found.iter().zip(truth) {
            assert!((found - truth).abs() < 1e-3, "{found} {truth}");
        }
    }

    #[test]
    fn what_separates_perfectly_gets_a_finite_weight() {
        let rows = [Row { mask: 1, leads: 50.0, wins: 0.0 }, Row { mask: 3, leads: 50.0, wins: 50.0 }];
        let found = logistic(&rows, vec![0.0; 2]).unwrap();
        assert!(found[1] > 3.0 && found[1] < 12.0, "{found:?}");
    }

    #[test]
    fn the_inverse_form_is_that_of_the_inverse() {
        // The inverse of [[4, 2], [2, 3]] is [[3, -2], [-2, 4]] / 8.
        let cholesky = Cholesky::of(&[vec![4.0], vec![2.0, 3.0]]);
        assert!((cholesky.inverse_form(&[1.0, 2.0]) - (3.0 - 8.0 + 16.0) / 8.0).abs() < 1e-12);
    }
}
