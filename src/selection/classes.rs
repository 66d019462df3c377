//! What each class keeps: the rules `classes`, `floor`, `cap` and `target` as bounds on counts.

use super::quota::{Bounds, apportion, by_error, level, total, within};
use crate::recipe::{Amount, Classes, Select, nearest};
use crate::{Error, Result};

/// Shares in `target` count to so many digits, so that equal decimals are equal.
const DIGITS: f64 = 1e12;

/// Classes that a message names.
const NAMED: usize = 5;

/// The rules for the classes of one dataset.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ClassRules {
    names: Vec<String>,
    sizes: Vec<u64>,
    rule: Rule,
}

#[derive(Clone, Debug, PartialEq)]
enum Rule {
    /// Each class its share of what is kept, in parts of the sum.
    Target(Vec<u64>),
    /// Within floor and cap, if there are any.
    Spread { classes: Classes, floor: Option<Amount>, cap: Option<Amount> },
}

impl ClassRules {
    /// The rules of a recipe.
    ///
    /// # Errors
    /// `InvalidRecipe` if `target` names a class that is not there, or leaves out one that has
    /// samples.
    pub(super) fn new(select: &Select, names: &[String], sizes: &[u64]) -> Result<Self> {
        let rule = match &select.target {
            None => Rule::Spread { classes: select.spread(), floor: select.floor, cap: select.cap },
            Some(target) => {
                let unknown = target.keys().find(|class| !names.contains(class));
                if let Some(class) = unknown {
                    return Err(no_class(class, names));
                }
                let share = |name: &String| target.get(name).copied();
                let left_out = |(name, size): &(&String, &u64)| **size > 0 && share(name).is_none();
                let left_out: Vec<_> = names.iter().zip(sizes).filter(left_out).collect();
                if !left_out.is_empty() {
                    return Err(Error::recipe(format!(
                        "`select.target` must name every class that has samples, but leaves out {}; \
                         give them a share, 0 to keep none",
                        listed(left_out.iter().map(|(name, _)| format!("`{name}`")))
                    )));
                }
                let parts = |name| (share(name).unwrap_or(0.0) * DIGITS).round() as u64;
                Rule::Target(names.iter().map(parts).collect())
            }
        };
        Ok(Self { names: names.to_vec(), sizes: sizes.to_vec(), rule })
    }

    /// How many usable samples each class has.
    pub(super) fn class_sizes(&self) -> &[u64] {
        &self.sizes
    }

    /// The bounds of each class when `kept` of the `eligible` samples are kept in the end. `errors`
    /// are the wrong predictions of stage 1, which decide in `hard_class`; without them its bounds are
    /// those that hold in any case.
    ///
    /// # Errors
    /// `InvalidRecipe` naming the classes if no selection keeps all of them.
    pub(super) fn bounds(
        &self,
        kept: u64,
        eligible: &[u64],
        errors: Option<&[u64]>,
    ) -> Result<Vec<Bounds>> {
        match &self.rule {
            Rule::Target(parts) => self.targets(apportion(kept, parts), eligible),
            Rule::Spread { classes, floor, cap } => {
                let bounds = self.spread(*floor, *cap, eligible)?;
                self.check_sums(kept, &bounds)?;
                let exactly = |quotas: Vec<u64>| quotas.into_iter().map(Bounds::exactly).collect();
                Ok(match (classes, errors) {
                    (Classes::Proportional, _) => exactly(within(kept, &self.sizes, &bounds)),
                    (Classes::Uniform, _) => exactly(level(kept, &bounds)),
                    (Classes::HardClass, Some(errors)) => {
                        exactly(by_error(kept, errors, &self.sizes, &bounds))
                    }
                    (Classes::Global | Classes::HardClass, _) => bounds,
                })
            }
        }
    }

    /// How many samples may leave, of whatever classes, before the rules cannot hold.
    pub(super) fn spare(&self, kept: u64) -> u64 {
        match &self.rule {
            Rule::Target(parts) => {
                let counts = apportion(kept, parts);
                let spare = self.sizes.iter().zip(counts).filter(|(_, count)| *count > 0);
                spare.map(|(size, count)| size.saturating_sub(count)).min().unwrap_or(u64::MAX)
            }
            Rule::Spread { cap: None, .. } => u64::MAX,
            Rule::Spread { cap: Some(cap), .. } => {
                let most = self.sizes.iter().map(|size| rows(*cap, *size).min(*size)).sum::<u64>();
                most.saturating_sub(kept)
            }
        }
    }

    fn targets(&self, counts: Vec<u64>, eligible: &[u64]) -> Result<Vec<Bounds>> {
        let short: Vec<String> = (0..counts.len())
            .filter(|c| counts[*c] > eligible[*c])
            .map(|c| format!("`{}` {} of {}", self.names[c], counts[c], self.has(c, eligible)))
            .collect();
        if short.is_empty() {
            return Ok(counts.into_iter().map(Bounds::exactly).collect());
        }
        Err(Error::recipe(format!(
            "`select.target` asks for more than classes have: {}; lower their share, or keep less",
            listed(short)
        )))
    }

    fn spread(
        &self,
        floor: Option<Amount>,
        cap: Option<Amount>,
        eligible: &[u64],
    ) -> Result<Vec<Bounds>> {
        let one = |(class, size): (usize, &u64)| {
            let amount = |amount: Option<Amount>| amount.map(|a| rows(a, *size).min(*size));
            let (floor, cap) = (amount(floor).unwrap_or(0), amount(cap).unwrap_or(*size));
            if floor > cap {
                return Err(Error::recipe(format!(
                    "class `{}` has {size} samples: `select.floor` is {floor} of them, above `select.cap`, {cap}; lower one of them",
                    self.names[class]
                )));
            }
            Ok(Bounds { least: floor.min(eligible[class]), most: cap.min(eligible[class]) })
        };
        self.sizes.iter().enumerate().map(one).collect()
    }

    fn check_sums(&self, kept: u64, bounds: &[Bounds]) -> Result<()> {
        let least: u64 = bounds.iter().map(|b| b.least).sum();
        let most: u64 = bounds.iter().map(|b| b.most).sum();
        let named = self.names.iter().zip(bounds).zip(&self.sizes);
        let (what, binding): (_, Vec<String>) = if least > kept {
            let binding = named.filter(|((_, b), _)| b.least > 0);
            let what = format!(
                "`select.floor` keeps at least {least} samples, but {kept} are to be kept; lower it, or keep more"
            );
            (what, binding.map(|((n, b), size)| format!("`{n}` {} of {size}", b.least)).collect())
        } else if most < kept {
            let binding = named.filter(|((_, b), size)| b.most < **size);
            let what = format!(
                "`select.cap` keeps at most {most} samples, but {kept} are to be kept; raise it, or keep less"
            );
            (what, binding.map(|((n, b), size)| format!("`{n}` {} of {size}", b.most)).collect())
        } else {
            return Ok(());
        };
        Err(Error::recipe(format!("{what} (it binds {})", listed(binding))))
    }

    /// What a class has to choose from, in words.
    fn has(&self, class: usize, eligible: &[u64]) -> String {
        let (size, eligible) = (self.sizes[class], eligible[class]);
        if size == eligible {
            return size.to_string();
        }
        format!("the {eligible} of {size} that the noise guard, the filter and duplicates leave")
    }
}

/// An amount in rows of a class.
fn rows(amount: Amount, size: u64) -> u64 {
    match amount {
        Amount::Rows(rows) => rows,
        Amount::Share(share) => total(size, share),
    }
}

fn no_class(class: &str, names: &[String]) -> Error {
    let hint = match nearest(class, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the classes are {}", listed(names.iter().map(|n| format!("`{n}`")))),
    };
    Error::recipe(format!("`select.target` names `{class}`, which is no class; {hint}"))
}

/// The first few of `items`, and how many more there are.
fn listed(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    let shown = items.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn rules(toml: &str, sizes: &[u64]) -> Result<ClassRules> {
        let names = ["cat", "dog", "owl", "elk"].map(str::to_owned);
        let select: Select = toml::from_str(&format!("keep = 0.5\n{toml}")).unwrap();
        ClassRules::new(&select, &names[..sizes.len()], sizes)
    }

    fn bounds(toml: &str, sizes: &[u64], kept: u64) -> Result<Vec<(u64, u64)>> {
        let bounds = rules(toml, sizes)?.bounds(kept, sizes, None)?;
        Ok(bounds.into_iter().map(|b| (b.least, b.most)).collect())
    }

    #[test]
    fn bounds_equal_hand_values() {
        let sizes = [10, 100, 0];
        assert_eq!(bounds("", &sizes, 50).unwrap(), [(0, 10), (0, 100), (0, 0)]);
        assert_eq!(bounds("floor = 0.25", &sizes, 50).unwrap(), [(3, 10), (25, 100), (0, 0)]);
        assert_eq!(bounds("floor = 20", &sizes, 50).unwrap(), [(10, 10), (20, 100), (0, 0)]);
        let both = "floor = 1\ncap = 0.5";
        assert_eq!(bounds(both, &sizes, 50).unwrap(), [(1, 5), (1, 50), (0, 0)]);
        let uniform = "classes = 'uniform'\ncap = 0.5";
        assert_eq!(bounds(uniform, &sizes, 50).unwrap(), [(5, 5), (45, 45), (0, 0)]);
        let proportional = "classes = 'proportional'\nfloor = 9";
        assert_eq!(bounds(proportional, &sizes, 55).unwrap(), [(9, 9), (46, 46), (0, 0)]);
        let target = "target = { cat = 0.1, dog = 0.9 }";
        assert_eq!(bounds(target, &sizes, 55).unwrap(), [(6, 6), (49, 49), (0, 0)]);
        let thirds = format!("target = {{ cat = {t}, dog = {t}, owl = {t} }}", t = 1.0 / 3.0);
        assert_eq!(bounds(&thirds, &[9, 9, 9], 10).unwrap(), [(4, 4), (3, 3), (3, 3)]);
    }

    #[test]
    fn rules_that_cannot_hold_name_the_classes() {
        let sizes = [10, 100, 30];
        for (toml, says) in [
            (
                "floor = 0.9",
                "keeps at least 126 samples, but 70 are to be kept; lower it, or keep more (it binds `cat` 9 of 10, `dog` 90 of 100, `owl` 27 of 30)",
            ),
            (
                "cap = 20",
                "keeps at most 50 samples, but 70 are to be kept; raise it, or keep less (it binds `dog` 20 of 100, `owl` 20 of 30)",
            ),
            (
                "floor = 8\ncap = 0.5",
                "class `cat` has 10 samples: `select.floor` is 8 of them, above",
            ),
            (
                "target = { cat = 0.5, dog = 0.25, owl = 0.25 }",
                "asks for more than classes have: `cat` 35 of 10;",
            ),
            (
                "target = { cat = 0.5, dgo = 0.5 }",
                "names `dgo`, which is no class; did you mean `dog`?",
            ),
            ("target = { zebra = 1.0 }", "no class; the classes are `cat`, `dog`, `owl`"),
            ("target = { dog = 1.0 }", "leaves out `cat`, `owl`; give them"),
        ] {
            let error = bounds(toml, &sizes, 70).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRecipe);
            assert!(error.to_string().contains(says), "{toml}: {error}");
        }
    }

    #[test]
    fn a_guard_that_takes_too_much_of_a_class_is_named() {
        let target = rules("target = { cat = 0.5, dog = 0.5 }", &[10, 10]).unwrap();
        assert!(target.bounds(10, &[5, 10], None).is_ok());
        let error = target.bounds(10, &[4, 10], None).unwrap_err();
        assert!(
            error.to_string().contains("`cat` 5 of the 4 of 10 that the noise guard, the filter")
        );
        assert_eq!(target.spare(10), 5);
        let cap = rules("cap = 6", &[10, 10]).unwrap();
        assert_eq!((cap.spare(10), cap.bounds(10, &[4, 10], None).is_ok()), (2, true));
        assert!(cap.bounds(10, &[3, 10], None).is_err());
        assert_eq!(rules("floor = 6", &[10, 10]).unwrap().spare(10), u64::MAX);
    }
}
