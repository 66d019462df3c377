//! The plan of a selection: how many rows each stage adds, and how classes share them.

use super::classes::ClassRules;
use super::quota::{Bounds, Quota, apportion, total};
use crate::recipe::{Select, Stages};
use crate::{Error, Result};

/// How many samples each stage adds, for `rows` usable samples.
///
/// The total is `keep_rows` or `keep * rows`, rounded. Equal stages differ by at most 1, the
/// earlier ones larger. Shares are rounded one by one and the last stage takes what is left.
///
/// # Errors
/// `InvalidRecipe` if `keep` and `keep_rows` are both or neither given or out of range, if shares
/// do not sum to `keep` (within 1e-9), or if a stage would add nothing.
pub fn stage_sizes(spec: &Select, rows: u64) -> Result<Vec<u64>> {
    let kept = kept_rows(spec, rows)?;
    let sizes = match &spec.stages {
        // Before memory is taken for them: there may be far too many.
        Stages::Equal(stages) if *stages as u64 > kept => {
            return Err(empty_stage(kept as usize + 1, *stages, kept, rows));
        }
        Stages::Equal(stages) => apportion(kept, &vec![1; *stages]),
        Stages::Shares(shares) => {
            check_shares(shares, spec, kept, rows)?;
            rounded(shares, kept, rows)
        }
    };
    if sizes.is_empty() {
        return Err(Error::recipe("`select.stages` is empty; give at least one stage"));
    }
    match sizes.iter().position(|size| *size == 0) {
        None => Ok(sizes),
        Some(stage) => Err(empty_stage(stage + 1, sizes.len(), kept, rows)),
    }
}

fn empty_stage(stage: usize, stages: usize, kept: u64, rows: u64) -> Error {
    Error::recipe(format!(
        "stage {stage} of {stages} would add no sample ({kept} of {rows} are kept); use fewer stages or keep more"
    ))
}

fn kept_rows(spec: &Select, rows: u64) -> Result<u64> {
    match (spec.keep, spec.keep_rows) {
        (Some(keep), None) if keep > 0.0 && keep <= 1.0 => Ok(total(rows, keep)),
        (Some(keep), None) => {
            Err(Error::recipe(format!("`select.keep` is {keep}; it must lie in (0, 1]")))
        }
        (None, Some(kept)) if kept <= rows => Ok(kept),
        (None, Some(kept)) => Err(Error::recipe(format!(
            "`select.keep_rows` is {kept}, but there are only {rows} usable samples"
        ))),
        _ => Err(Error::recipe("give either `select.keep` or `select.keep_rows`")),
    }
}

fn check_shares(shares: &[f64], spec: &Select, kept: u64, rows: u64) -> Result<()> {
    let sum: f64 = shares.iter().sum();
    let fits = match spec.keep {
        Some(keep) => (sum - keep).abs() <= 1e-9,
        None => total(rows, sum) == kept,
    };
    if fits && shares.iter().all(|share| *share > 0.0) {
        return Ok(());
    }
    Err(Error::recipe(format!(
        "the shares in `select.stages` must be positive and sum to what is kept ({:.6} of all), but their sum is {sum:.6}",
        spec.keep.unwrap_or(kept as f64 / rows as f64)
    )))
}

fn rounded(shares: &[f64], kept: u64, rows: u64) -> Vec<u64> {
    let mut sizes: Vec<u64> = shares.iter().map(|share| total(rows, *share)).collect();
    if let Some((last, earlier)) = sizes.split_last_mut() {
        *last = kept.saturating_sub(earlier.iter().sum());
    }
    sizes
}

/// The whole plan: sizes of the stages, the noise guard and the class rules.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectionPlan {
    sizes: Vec<u64>,
    guarded: u64,
    rules: ClassRules,
}

impl SelectionPlan {
    /// The plan for usable samples of which `class_sizes[label]` belong to the class
    /// `names[label]`.
    ///
    /// # Errors
    /// As [`stage_sizes`]; `InvalidRecipe` also if the noise guard leaves too few samples, or if the
    /// class rules cannot hold: the message names the classes.
    pub fn new(select: &Select, names: &[String], class_sizes: &[u64]) -> Result<Self> {
        let rows = class_sizes.iter().sum();
        let sizes = stage_sizes(select, rows)?;
        let kept: u64 = sizes.iter().sum();
        let drop = select.drop_hardest;
        let guarded = total(rows, drop);
        if !(0.0..1.0).contains(&drop) || kept + guarded > rows {
            return Err(Error::recipe(format!(
                "`select.drop_hardest` is {drop}, which leaves {} of {rows} samples, but {kept} are to be kept; lower one of them",
                rows.saturating_sub(guarded)
            )));
        }
        let rules = ClassRules::new(select, names, class_sizes)?;
        rules.bounds(kept, class_sizes)?;
        Ok(Self { sizes, guarded, rules })
    }

    /// How many samples each stage adds.
    pub fn sizes(&self) -> &[u64] {
        &self.sizes
    }

    /// How many samples are kept in the end.
    pub fn kept(&self) -> u64 {
        self.sizes.iter().sum()
    }

    /// How many usable samples there are.
    pub fn rows(&self) -> u64 {
        self.rules.class_sizes().iter().sum()
    }

    /// How many samples, hardest first by stage 1, are never kept.
    pub fn guarded(&self) -> u64 {
        self.guarded
    }

    /// How many samples each class keeps in the end, at least and at most, given how many of it are
    /// `eligible` (not under the noise guard).
    ///
    /// # Errors
    /// `InvalidRecipe` if the noise guard took so many of a class that the rules cannot hold.
    pub fn class_bounds(&self, eligible: &[u64]) -> Result<Vec<Bounds>> {
        self.rules.bounds(self.kept(), eligible)
    }

    /// Whether it depends on where the noise guard falls if the class rules can hold.
    pub fn guard_may_break_rules(&self) -> bool {
        self.rules.spare(self.kept()) < self.guarded
    }

    /// How many classes there are.
    pub(super) fn classes(&self) -> usize {
        self.rules.class_sizes().len()
    }

    /// What a stage that adds `size` rows may take, when `kept` of each class are in already.
    ///
    /// Of what the classes still lack of their least, the stage reserves its share of all rows that
    /// are still to come, so that the last stage ends with nothing lacking; the rest is free for any
    /// class below its most. Where least and most are the same, all of the stage is reserved.
    pub(super) fn stage_quota(&self, size: u64, eligible: &[u64], kept: &[u64]) -> Result<Quota> {
        let bounds = self.class_bounds(eligible)?;
        let beyond = |of: fn(&Bounds) -> u64| -> Vec<u64> {
            bounds.iter().zip(kept).map(|(b, kept)| of(b).saturating_sub(*kept)).collect()
        };
        let (lacking, most) = (beyond(|b| b.least), beyond(|b| b.most));
        let to_come = u128::from(self.kept() - kept.iter().sum::<u64>()).max(1);
        let all: u64 = lacking.iter().sum();
        let reserved = (u128::from(all) * u128::from(size)).div_ceil(to_come) as u64;
        Ok(Quota::between(size, apportion(reserved, &lacking), &most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn select(toml: &str) -> Select {
        toml::from_str(toml).unwrap()
    }

    fn sizes(toml: &str, rows: u64) -> Result<Vec<u64>> {
        stage_sizes(&select(toml), rows)
    }

    #[test]
    fn stages_sum_to_what_is_kept() {
        assert_eq!(sizes("keep = 0.7", 100).unwrap(), [24, 23, 23]);
        assert_eq!(sizes("keep_rows = 5\nstages = 2", 9).unwrap(), [3, 2]);
        assert_eq!(sizes("keep = 0.5\nstages = [0.25, 0.25]", 10).unwrap(), [3, 2]);
        assert_eq!(sizes("keep = 0.3\nstages = [0.1, 0.1, 0.1]", 50_000).unwrap(), [5000; 3]);
        assert_eq!(sizes("keep_rows = 4\nstages = [0.1, 0.3]", 10).unwrap(), [1, 3]);
        assert_eq!(sizes("keep = 1.0\nstages = 1", 7).unwrap(), [7]);
    }

    #[test]
    fn impossible_stages_say_so() {
        for (toml, says) in [
            ("keep = 0.1", "stage 2 of 3 would add no sample (1 of 10"),
            ("keep = 0.1\nstages = 10000000000000", "stage 2 of 10000000000000 would add no"),
            ("keep = 0.0", "must lie in (0, 1]"),
            ("keep = nan", "must lie in (0, 1]"),
            ("keep = 1.5", "must lie in (0, 1]"),
            ("keep_rows = 11", "only 10 usable"),
            ("stages = 1", "give either"),
            ("keep = 0.5\nkeep_rows = 5", "give either"),
            ("keep = 0.5\nstages = 0", "is empty"),
            ("keep = 0.5\nstages = []", "sum to what is kept"),
            ("keep = 0.5\nstages = [0.3, 0.3]", "their sum is 0.6"),
            ("keep = 0.5\nstages = [0.7, -0.2]", "must be positive"),
        ] {
            let error = sizes(toml, 10).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRecipe);
            assert!(error.to_string().contains(says), "{toml}: {error}");
        }
    }

    #[test]
    fn the_noise_guard_must_leave_enough() {
        let names = ["a", "b"].map(str::to_owned);
        let plan = |toml| SelectionPlan::new(&select(toml), &names, &[6, 4]);
        assert_eq!(plan("keep = 0.9\ndrop_hardest = 0.1").unwrap().guarded(), 1);
        let error = plan("keep = 0.9\ndrop_hardest = 0.2").unwrap_err();
        assert!(error.to_string().contains("leaves 8 of 10 samples, but 9"), "{error}");
        assert!(plan("keep = 0.5\ndrop_hardest = -0.1").is_err());
    }

    #[test]
    fn stage_quotas_end_at_the_final_quotas() {
        let names = ["a", "b", "c", "d"].map(str::to_owned);
        for classes in ["proportional", "uniform"] {
            let spec = select(&format!("keep = 0.37\nstages = 4\nclasses = '{classes}'"));
            let sizes = [1, 10, 1000, 0];
            let plan = SelectionPlan::new(&spec, &names, &sizes).unwrap();
            let mut kept = vec![0; 4];
            for size in plan.sizes() {
                let mut quota = plan.stage_quota(*size, &sizes, &kept).unwrap();
                let mut took = 0;
                for (label, kept) in kept.iter_mut().enumerate() {
                    while quota.take(label as i32) {
                        (*kept, took) = (*kept + 1, took + 1);
                    }
                }
                assert_eq!(took, *size);
            }
            let wanted = plan.class_bounds(&sizes).unwrap();
            assert_eq!(kept.into_iter().map(Bounds::exactly).collect::<Vec<_>>(), wanted);
        }
    }
}
