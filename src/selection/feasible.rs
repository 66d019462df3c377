//! Whether whole numbers can satisfy all demands, and which demands contradict each other.

use microlp::{ComparisonOp, OptimizationDirection, Problem, SolveOptions, Variable};

use super::cells::{Demand, Sense};
use crate::{Error, ErrorKind, Result};

/// Branches after which the search gives up. Demands that a search needs are rare: where the groups of
/// two columns cross, the first relaxation is whole.
const NODES: u64 = 20_000;

/// Demands that a message names.
const NAMED: usize = 8;

/// How many of each cell are kept in the end, at least and at most, and of all together.
#[derive(Clone, Debug)]
pub(super) struct Room {
    pub(super) least: Vec<u64>,
    pub(super) most: Vec<u64>,
    pub(super) total: u64,
}

impl Room {
    /// A count for each cell that satisfies all demands; `None` if there is none.
    ///
    /// A solution is checked in whole numbers, so that rounding in the solver cannot pass for one.
    ///
    /// # Errors
    /// `LimitExceeded` if the search gives up.
    pub(super) fn solve(&self, demands: &[&Demand]) -> Result<Option<Vec<u64>>> {
        if self.is_hopeless(demands) {
            return Ok(None);
        }
        // Without a demand that binds, any counts do.
        let binding: Vec<&&Demand> = demands.iter().filter(|d| !self.always_holds(d)).collect();
        if binding.is_empty() {
            return Ok(Some(self.filled()));
        }
        let (problem, cells) = self.problem(&binding);
        let mut options = SolveOptions::default();
        options.node_limit = Some(NODES);
        let outcome = match problem.solve_with(options) {
            Ok(outcome) => outcome,
            Err(microlp::Error::Infeasible) => return Ok(None),
            Err(e) => return Err(undecided().because(e)),
        };
        let solution = outcome.solution().ok_or_else(undecided)?;
        let counts: Vec<u64> =
            cells.iter().map(|cell| solution.var_value(*cell).round().max(0.0) as u64).collect();
        if self.allows(&counts, demands) { Ok(Some(counts)) } else { Err(undecided()) }
    }

    fn problem(&self, demands: &[&&Demand]) -> (Problem, Vec<Variable>) {
        let mut problem = Problem::new(OptimizationDirection::Minimize);
        let limits = self.least.iter().zip(&self.most);
        let cells: Vec<Variable> = limits
            .map(|(least, most)| problem.add_integer_var(0.0, (*least as i32, *most as i32)))
            .collect();
        let all: Vec<(Variable, f64)> = cells.iter().map(|cell| (*cell, 1.0)).collect();
        problem.add_constraint(&all, ComparisonOp::Eq, self.total as f64);
        for demand in demands {
            let sum: Vec<_> = demand.cells.iter().map(|cell| (cells[*cell], 1.0)).collect();
            let sense = match demand.sense {
                Sense::AtLeast => ComparisonOp::Ge,
                Sense::AtMost => ComparisonOp::Le,
            };
            problem.add_constraint(&sum, sense, demand.rows as f64);
        }
        (problem, cells)
    }

    /// Whether the counts satisfy everything.
    pub(super) fn allows(&self, counts: &[u64], demands: &[&Demand]) -> bool {
        let within = |i: usize| (self.least[i]..=self.most[i]).contains(&counts[i]);
        (0..counts.len()).all(within)
            && counts.iter().sum::<u64>() == self.total
            && demands.iter().all(|demand| {
                let sum = sum(&demand.cells, counts);
                match demand.sense {
                    Sense::AtLeast => sum >= demand.rows,
                    Sense::AtMost => sum <= demand.rows,
                }
            })
    }

    /// Whether bounds alone rule a solution out.
    fn is_hopeless(&self, demands: &[&Demand]) -> bool {
        let crossed = self.least.iter().zip(&self.most).any(|(least, most)| least > most);
        let (least, most) = (self.least.iter().sum::<u64>(), self.most.iter().sum::<u64>());
        crossed
            || !(least..=most).contains(&self.total)
            || demands.iter().any(|demand| match demand.sense {
                Sense::AtLeast => self.most_of(demand) < demand.rows,
                Sense::AtMost => sum(&demand.cells, &self.least) > demand.rows,
            })
    }

    fn always_holds(&self, demand: &Demand) -> bool {
        match demand.sense {
            Sense::AtLeast => sum(&demand.cells, &self.least) >= demand.rows,
            Sense::AtMost => self.most_of(demand) <= demand.rows,
        }
    }

    /// The most that the group of a demand may keep, whatever the other demands say.
    fn most_of(&self, demand: &Demand) -> u64 {
        sum(&demand.cells, &self.most)
    }

    /// Counts that sum to the total, the first cells fullest.
    fn filled(&self) -> Vec<u64> {
        let mut left = self.total - self.least.iter().sum::<u64>();
        let limits = self.least.iter().zip(&self.most);
        let fill = |(least, most): (&u64, &u64)| {
            let more = left.min(most - least);
            left -= more;
            least + more
        };
        limits.map(fill).collect()
    }

    /// The error of demands that have no solution: an irreducible set of them, found by leaving out one
    /// after another for as long as the rest still contradict each other.
    ///
    /// # Errors
    /// As [`Room::solve`].
    pub(super) fn conflict(&self, demands: &[Demand]) -> Result<Error> {
        let mut core: Vec<&Demand> = Vec::new();
        for demand in demands {
            if self.solve(&[demand])?.is_none() {
                core.push(demand);
            }
        }
        if core.is_empty() {
            core = demands.iter().collect();
            let mut at = 0;
            while at < core.len() {
                let mut rest = core.clone();
                rest.remove(at);
                if self.solve(&rest)?.is_none() { core = rest } else { at += 1 }
            }
        }
        let mut told: Vec<String> = core.iter().take(NAMED).map(|d| self.told(d)).collect();
        if core.len() > NAMED {
            told.push(format!("and {} more", core.len() - NAMED));
        }
        Ok(Error::recipe(format!(
            "select.quota cannot hold where {} samples are kept: {}; change one of them",
            self.total,
            told.join("; ")
        )))
    }

    fn told(&self, demand: &Demand) -> String {
        let (name, rows, has) = (&demand.name, demand.rows, self.most_of(demand));
        match demand.sense {
            Sense::AtLeast => format!("{name} has {has} samples but min asks {rows}"),
            Sense::AtMost => format!("{name} has {has} samples but max allows {rows}"),
        }
    }
}

fn sum(cells: &[usize], counts: &[u64]) -> u64 {
    cells.iter().map(|cell| counts[*cell]).sum()
}

fn undecided() -> Error {
    Error::new(
        ErrorKind::LimitExceeded,
        "it cannot be decided whether select.quota can hold: its cells cross in too many ways; use fewer columns or bounds",
    )
}
