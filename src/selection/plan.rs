//! The plan of a selection: how many rows each stage adds, and how classes share them.

use super::classes::ClassRules;
use super::quota::{Bounds, Quota, apportion, total};
use crate::recipe::{Select, Stages};
use crate::{Error, Result};

/// How many samples each stage adds, for `rows` usable samples.
///
/// The total is `keep_rows` or the share that is kept times `rows`, rounded. Equal stages differ by at
/// most 1, the earlier ones larger. Shares are rounded one by one and the last stage takes what is
/// left. With a budget this is an estimate: as if all samples cost the same, or, without a share, as if
/// all could be paid for.
///
/// # Errors
/// `InvalidRecipe` unless exactly one of `keep`, `prune`, `keep_rows` and `budget` is given and in
/// range, if shares do not sum to what is kept (within 1e-9), or if a stage would add nothing.
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
    let budget = spec.budget.as_ref().map(|budget| budget.share.unwrap_or(1.0));
    let given = [spec.keep.is_some(), spec.prune.is_some(), spec.keep_rows.is_some()];
    if given.into_iter().chain([budget.is_some()]).filter(|given| *given).count() != 1 {
        return Err(Error::recipe(
            "give one of `select.keep`, `select.prune`, `select.keep_rows` and `select.budget`",
        ));
    }
    match (spec.keep_share().or(budget), spec.keep_rows) {
        (Some(keep), _) if keep > 0.0 && keep <= 1.0 => Ok(total(rows, keep)),
        (Some(_), _) if spec.prune.is_some() => Err(Error::recipe(format!(
            "`select.prune` is {}; it must lie in [0, 1)",
            spec.prune.unwrap_or_default()
        ))),
        (Some(keep), _) => {
            Err(Error::recipe(format!("`select.keep` is {keep}; it must lie in (0, 1]")))
        }
        (None, kept) if kept.is_some_and(|kept| kept <= rows) => Ok(kept.unwrap_or_default()),
        (None, kept) => Err(Error::recipe(format!(
            "`select.keep_rows` is {}, but there are only {rows} usable samples",
            kept.unwrap_or_default()
        ))),
    }
}

fn check_shares(shares: &[f64], spec: &Select, kept: u64, rows: u64) -> Result<()> {
    let sum: f64 = shares.iter().sum();
    let share = spec.keep_share().or_else(|| spec.budget.as_ref()?.share);
    let fits = match share {
        Some(keep) => (sum - keep).abs() <= 1e-9,
        None => total(rows, sum) == kept,
    };
    if fits && shares.iter().all(|share| *share > 0.0) {
        return Ok(());
    }
    Err(Error::recipe(format!(
        "the shares in `select.stages` must be positive and sum to what is kept ({:.6} of all), but their sum is {sum:.6}",
        share.unwrap_or(kept as f64 / rows as f64)
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
    /// The share of the budget that is spent when each stage ends, if there is one.
    spent: Option<Vec<f64>>,
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
        let too_many = kept + guarded > rows && select.budget.is_none();
        if !(0.0..1.0).contains(&drop) || too_many {
            return Err(Error::recipe(format!(
                "`select.drop_hardest` is {drop}, which leaves {} of {rows} samples, but {kept} are to be kept; lower one of them",
                rows.saturating_sub(guarded)
            )));
        }
        let rules = ClassRules::new(select, names, class_sizes)?;
        rules.bounds(kept, class_sizes, None)?;
        let spent = select.budget.as_ref().map(|_| ends(&select.stages));
        Ok(Self { sizes, spent, guarded, rules })
    }

    /// Whether the sizes are promises; with a budget they are estimates.
    pub fn is_exact(&self) -> bool {
        self.spent.is_none()
    }

    /// The share of the budget that is spent when stage `t` ends; `None` without a budget.
    pub(super) fn spent(&self, t: usize) -> Option<f64> {
        self.spent.as_ref()?.get(t - 1).copied()
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
    /// `eligible` (not set aside) and, for `hard_class`, its `errors`: the wrong predictions of stage 1.
    ///
    /// # Errors
    /// `InvalidRecipe` if so many of a class are set aside that the rules cannot hold.
    pub fn class_bounds(&self, eligible: &[u64], errors: Option<&[u64]>) -> Result<Vec<Bounds>> {
        self.rules.bounds(self.kept(), eligible, errors)
    }

    /// Whether it depends on where the noise guard falls if the class rules can hold.
    pub fn guard_may_break_rules(&self) -> bool {
        self.rules.spare(self.kept()) < self.guarded
    }

    /// What a stage that adds `size` rows may take within `bounds`, when `kept` of each class are in
    /// already.
    ///
    /// Of what the classes still lack of their least, the stage reserves its share of all rows that
    /// are still to come, so that the last stage ends with nothing lacking; the rest is free for any
    /// class below its most. Where least and most are the same, all of the stage is reserved.
    pub(super) fn stage_quota(&self, size: u64, bounds: &[Bounds], kept: &[u64]) -> Quota {
        let beyond = |of: fn(&Bounds) -> u64| -> Vec<u64> {
            bounds.iter().zip(kept).map(|(b, kept)| of(b).saturating_sub(*kept)).collect()
        };
        let (lacking, most) = (beyond(|b| b.least), beyond(|b| b.most));
        let to_come = u128::from(self.kept() - kept.iter().sum::<u64>()).max(1);
        let all: u64 = lacking.iter().sum();
        let reserved = (u128::from(all) * u128::from(size)).div_ceil(to_come) as u64;
        Quota::between(size, apportion(reserved, &lacking), &most)
    }
}

/// The share of the whole that is reached when each stage ends.
fn ends(stages: &Stages) -> Vec<f64> {
    match stages {
        Stages::Equal(count) => (1..=*count).map(|t| t as f64 / *count as f64).collect(),
        Stages::Shares(shares) => {
            let sum: f64 = shares.iter().sum();
            let mut so_far = 0.0;
            let mut end = |share: &f64| {
                so_far += share;
                so_far / sum
            };
            shares.iter().map(&mut end).collect()
        }
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
        assert_eq!(sizes("prune = 0.0\nstages = 1", 7).unwrap(), [7]);
        assert_eq!(sizes("prune = 0.3\nstages = [0.4, 0.3]", 10).unwrap(), [4, 3]);
        let share = "budget = { column = 'bytes', share = 0.5 }\nstages = 2";
        assert_eq!(sizes(share, 10).unwrap(), [3, 2]);
        for keep in 1..=1000 {
            let keep = f64::from(keep) / 1000.0;
            let prune = format!("prune = {}\nstages = 1", (1000.0 - keep * 1000.0) / 1000.0);
            for rows in [5000, 1_281_167] {
                let keep = format!("keep = {keep}\nstages = 1");
                assert_eq!(sizes(&prune, rows).unwrap(), sizes(&keep, rows).unwrap());
            }
        }
    }

    #[test]
    fn impossible_stages_say_so() {
        for (toml, says) in [
            ("keep = 0.1", "stage 2 of 3 would add no sample (1 of 10"),
            ("keep = 0.1\nstages = 10000000000000", "stage 2 of 10000000000000 would add no"),
            ("keep = 0.0", "must lie in (0, 1]"),
            ("keep = nan", "must lie in (0, 1]"),
            ("prune = 1.0", "`select.prune` is 1; it must lie in [0, 1)"),
            ("prune = 0.5\nkeep = 0.5", "give one of"),
            ("keep = 1.5", "must lie in (0, 1]"),
            ("keep_rows = 11", "only 10 usable"),
            ("stages = 1", "give one of"),
            ("keep = 0.5\nkeep_rows = 5", "give one of"),
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
                let bounds = plan.class_bounds(&sizes, None).unwrap();
                let mut quota = plan.stage_quota(*size, &bounds, &kept);
                let mut took = 0;
                for (label, kept) in kept.iter_mut().enumerate() {
                    while quota.take(label as i32) {
                        (*kept, took) = (*kept + 1, took + 1);
                    }
                }
                assert_eq!(took, *size);
            }
            let wanted = plan.class_bounds(&sizes, None).unwrap();
            assert_eq!(kept.into_iter().map(Bounds::exactly).collect::<Vec<_>>(), wanted);
        }
    }
}
