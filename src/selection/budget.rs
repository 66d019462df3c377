//! A budget: the most value for the cost.

use super::beside::Beside;
use crate::recipe::Select;
use crate::{Error, Result};

/// How far rounding may carry a sum of costs past its limit.
const ROUNDING: f64 = 1e-12;

/// What the kept samples may cost, and what each sample costs.
pub(super) struct Purse {
    costs: Vec<f64>,
    total: f64,
}

impl Purse {
    /// The purse of all usable samples, if the recipe has a budget.
    ///
    /// # Errors
    /// `InvalidRecipe` if there is no such column; `InvalidInput` naming ids without a cost of 0 or
    /// more.
    pub(super) fn of(select: &Select, beside: &Beside) -> Result<Option<Self>> {
        let Some(budget) = &select.budget else { return Ok(None) };
        let costs = beside.costs(&budget.column)?;
        let all = costs.iter().fold(0.0, |sum, cost| sum + cost);
        let total = budget.total.unwrap_or_else(|| budget.share.unwrap_or(1.0) * all);
        Ok(Some(Self { costs, total }))
    }

    /// What the most wanted, value per cost, of `ranked` cost less together than is left in a stage
    /// that ends at `share` of the budget, when `kept` are in already.
    ///
    /// The value of a sample is its rank from 0 to 1, where 1 is the most wanted. Samples that cost
    /// nothing come first; what does not fit any more is passed over.
    pub(super) fn spend(&self, ranked: &[usize], kept: &[usize], share: f64) -> Vec<usize> {
        let whole = self.costs.iter().all(|cost| cost.fract() == 0.0);
        // Sums of whole numbers are exact; others may be off in their last digits.
        let limit = self.total * share * (1.0 + if whole { 0.0 } else { ROUNDING });
        let mut spent = kept.iter().fold(0.0, |sum, i| sum + self.costs[*i]);
        let value = |place: usize| (ranked.len() - place) as f64 / ranked.len() as f64;
        let worth = |(place, i): (usize, &usize)| (value(place) / self.costs[*i], place, *i);
        let mut order: Vec<(f64, usize, usize)> = ranked.iter().enumerate().map(worth).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut taken = Vec::new();
        for (_, _, i) in order {
            if self.costs[i] == 0.0 || spent + self.costs[i] <= limit {
                spent += self.costs[i];
                taken.push(i);
            }
        }
        taken
    }

    /// The error of a budget from which nothing can be kept.
    pub(super) fn too_small(&self, t: usize) -> Error {
        let cheapest = self.costs.iter().copied().fold(f64::INFINITY, f64::min);
        Error::recipe(format!(
            "select.budget of {} buys no sample up to stage {t}: the cheapest costs {cheapest}; raise it, or use fewer stages",
            self.total
        ))
    }
}
