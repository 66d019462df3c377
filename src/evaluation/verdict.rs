//! The plain sentence about a coreset: honest also where it is bad news.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::gap::Gap;

/// How a coreset stands against another training set.
#[derive(Clone, Debug, PartialEq)]
pub struct Against {
    /// What it is compared with, for people: `full`, `random`.
    pub name: &'static str,
    /// Whether the other is a random subset of the same size, which a coreset should beat.
    pub random: bool,
    /// Its accuracy minus that of the other.
    pub gap: Gap,
}

/// How a coreset stands against the random subsets of its size, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Surely worse than one of them.
    Worse,
    /// Below one of them, by no more than noise explains.
    Below,
    /// Not surely better than each of them.
    NotProven,
    /// Surely better than all of them.
    Better,
}

impl Standing {
    /// The standing of a coreset; without a random subset nothing is proven.
    pub fn of(against: &[Against]) -> Self {
        let random = || against.iter().filter(|other| other.random);
        if random().any(|other| other.is_below() && other.is_sure()) {
            Self::Worse
        } else if random().any(Against::is_below) {
            Self::Below
        } else if random().count() > 0 && random().all(|other| other.is_above() && other.is_sure())
        {
            Self::Better
        } else {
            Self::NotProven
        }
    }

    /// The same for people. Capitals are for what is sure.
    pub fn headline(self) -> &'static str {
        match self {
            Self::Worse => "WORSE than random",
            Self::Below => "Below random, within noise",
            Self::NotProven => "Not proven better than random",
            Self::Better => "Better than random",
        }
    }

    /// The name in tables and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Below => "below",
            Self::NotProven => "not_proven",
            Self::Better => "better",
        }
    }
}

impl Against {
    /// The difference in tenths of a point, as it is printed: what rounds to 0.0 is neither above nor below.
    fn tenths(&self) -> f64 {
        (10.0 * self.gap.points.mean).round()
    }

    fn is_below(&self) -> bool {
        self.tenths() < 0.0
    }

    fn is_above(&self) -> bool {
        self.tenths() > 0.0
    }

    /// Whether neither the scatter of seeds nor that of test samples explains the difference.
    fn is_sure(&self) -> bool {
        self.gap.points.holds_zero() == Some(false)
    }

    /// What explains the difference, for people.
    fn noise(&self) -> String {
        let Gap { points, seed_noise, test_samples } = self.gap;
        match points.holds_zero() {
            Some(true) if seed_noise.is_some_and(|half| points.mean.abs() > half) => {
                format!(", too small a difference for {test_samples} test samples")
            }
            Some(true) => ", within seed noise".to_owned(),
            _ => String::new(),
        }
    }
}

/// `70 % kept: 0.3 points below full, within seed noise; 2.1 points above random.` `keep` is the share of
/// samples that the coreset has. If it does not beat a random subset, the sentence ends with that, and names
/// the one that it is furthest below.
pub fn verdict(keep: f64, against: &[Against]) -> String {
    let told: Vec<String> = against.iter().map(one).collect();
    let mut text = format!("{} % kept: {}.", percent(keep), told.join("; "));
    let standing = Standing::of(against);
    let counts = |other: &&Against| other.is_sure() || standing != Standing::Worse;
    let below = against.iter().filter(|other| other.random && other.is_below()).filter(counts);
    let mean = |other: &Against| other.gap.points.mean;
    let lowest = below.min_by(|a, b| mean(a).total_cmp(&mean(b)));
    let name = lowest.map_or("", |other| other.name);
    let _ = match standing {
        Standing::Worse => {
            write!(text, " WORSE than a subset drawn at random ({name}): do not train on it.")
        }
        Standing::Below => {
            write!(text, " Below a subset drawn at random ({name}): no reason to train on it.")
        }
        Standing::NotProven => write!(text, " Not proven better than a subset drawn at random."),
        Standing::Better => Ok(()),
    };
    if against.iter().any(|other| other.gap.points.half_width.is_none()) {
        text.push_str(" One seed: the noise is not known; take more seeds.");
    }
    text
}

fn one(other: &Against) -> String {
    let points = other.gap.points.mean;
    let (name, noise) = (other.name, other.noise());
    match other.tenths() {
        0.0 => format!("level with {name}{noise}"),
        tenths if tenths < 0.0 => format!("{:.1} points below {name}{noise}", points.abs()),
        _ => format!("{points:.1} points above {name}{noise}"),
    }
}

/// A share in per cent, with a decimal only where it says something.
fn percent(share: f64) -> String {
    let text = format!("{:.1}", 100.0 * share);
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::Interval;

    fn against(name: &'static str, mean: f64, half_width: Option<f64>) -> Against {
        let points = Interval { mean, half_width, n: 3 };
        let gap = Gap { points, seed_noise: half_width, test_samples: 1000 };
        Against { name, random: name != "full", gap }
    }

    #[test]
    fn a_good_coreset() {
        let others = [against("full", -0.3, Some(0.5)), against("random", 2.1, Some(0.4))];
        assert_eq!(
            verdict(0.7, &others),
            "70 % kept: 0.3 points below full, within seed noise; 2.1 points above random."
        );
    }

    #[test]
    fn bad_news_is_told() {
        assert_eq!(
            verdict(0.3, &[against("full", -9.0, Some(1.0)), against("random", -3.0, Some(1.0))]),
            "30 % kept: 9.0 points below full; 3.0 points below random. WORSE than a subset drawn at random \
             (random): do not train on it."
        );
        assert_eq!(
            verdict(0.305, &[against("random", -0.5, Some(1.0))]),
            "30.5 % kept: 0.5 points below random, within seed noise. Below a subset drawn at random (random): \
             no reason to train on it."
        );
    }

    #[test]
    fn what_is_printed_as_level_is_neither_above_nor_below() {
        let level = "30 % kept: level with random, within seed noise. Not proven better than a subset drawn at random.";
        assert_eq!(verdict(0.3, &[against("random", 0.01, Some(1.0))]), level);
        assert_eq!(verdict(0.3, &[against("random", -0.049, Some(1.0))]), level);
        // However sure that is.
        let of = |mean| Standing::of(&[against("random", mean, Some(0.001))]);
        assert_eq!((of(-0.04), of(0.04)), (Standing::NotProven, Standing::NotProven));
        assert_eq!((of(-0.06), of(0.06)), (Standing::Worse, Standing::Better));
    }

    #[test]
    fn the_lowest_of_several_random_subsets_is_named() {
        let two = |random: (f64, f64), stratified: (f64, f64)| {
            let [a, b] = [("random", random), ("stratified random", stratified)]
                .map(|(name, (mean, half))| against(name, mean, Some(half)));
            verdict(0.3, &[a, b])
        };
        assert_eq!(
            two((-0.02, 1.0), (-0.6, 1.0)),
            "30 % kept: level with random, within seed noise; 0.6 points below stratified random, within seed \
             noise. Below a subset drawn at random (stratified random): no reason to train on it."
        );
        let below = two((-0.2, 1.0), (-0.6, 1.0));
        assert!(below.contains("Below a subset drawn at random (stratified random)"), "{below}");
        // One of them is enough, and what is not sure does not count beside it.
        let worse = two((3.0, 1.0), (-2.0, 1.0));
        assert!(worse.contains("WORSE than a subset drawn at random (stratified random)"));
        let worse = two((-2.0, 1.0), (-3.0, 4.0));
        assert!(worse.contains("WORSE than a subset drawn at random (random)"), "{worse}");
    }

    #[test]
    fn the_standing_is_that_of_the_sentence() {
        let of = |mean, half| {
            Standing::of(&[against("full", -9.0, Some(0.1)), against("random", mean, half)])
        };
        assert_eq!(of(-3.0, Some(1.0)), Standing::Worse);
        assert_eq!(of(-0.5, Some(1.0)), Standing::Below);
        assert_eq!(of(0.5, Some(1.0)), Standing::NotProven);
        assert_eq!(of(3.0, None), Standing::NotProven);
        assert_eq!(of(3.0, Some(1.0)), Standing::Better);
        assert!(Standing::Worse < Standing::Below && Standing::NotProven < Standing::Better);
        // Nothing at random to beat is nothing beaten.
        assert_eq!(Standing::of(&[against("full", 3.0, Some(1.0))]), Standing::NotProven);
        for standing in [Standing::Worse, Standing::NotProven] {
            assert_eq!(serde_json::to_value(standing).unwrap(), standing.name());
        }
    }

    #[test]
    fn what_explains_a_difference_is_named() {
        // Seeds that scatter by 0.1 points, on samples that may move it by 2.
        let mut few = against("random", 1.7, Some(2.0));
        few.gap.seed_noise = Some(0.1);
        assert_eq!(
            verdict(0.5, &[few]),
            "50 % kept: 1.7 points above random, too small a difference for 1000 test samples. Not proven better \
             than a subset drawn at random."
        );
    }

    #[test]
    fn one_seed_proves_nothing() {
        let text = verdict(0.5, &[against("full", -1.0, None), against("random", 1.0, None)]);
        assert!(text.contains("Not proven better") && text.contains("One seed"), "{text}");
    }
}
