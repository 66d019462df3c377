//! The plain sentence about a coreset: honest also where it is bad news.

use std::fmt::Write as _;

use serde::Serialize;

use super::interval::Interval;

/// How a coreset stands against another training set.
#[derive(Clone, Debug, PartialEq)]
pub struct Against {
    /// What it is compared with, for people: `full`, `random`.
    pub name: &'static str,
    /// Whether the other is a random subset of the same size, which a coreset should beat.
    pub random: bool,
    /// Its accuracy minus that of the other, in points.
    pub points: Interval,
    /// By how many points two models that are equally good may differ on so few test samples.
    pub test_noise: f64,
}

/// How a coreset stands against the random subsets of its size, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
    /// The standing of a coreset; without a random subset there is none that it does not beat.
    pub fn of(against: &[Against]) -> Self {
        let random = || against.iter().filter(|other| other.random);
        if random().any(|other| other.is_below() && other.is_sure()) {
            Self::Worse
        } else if random().any(Against::is_below) {
            Self::Below
        } else if random().all(Against::is_sure) {
            Self::Better
        } else {
            Self::NotProven
        }
    }
}

/// The 95 % limit of the difference, in points, between two accuracies that are both `accuracy` (from 0
/// to 1) on `samples` test samples: `1.96 sqrt(2 p (1 - p) / n)`. It takes the two for independent, which
/// is more than two models on the same samples differ.
pub fn test_noise(accuracy: f64, samples: u64) -> f64 {
    100.0 * 1.959_964 * (2.0 * accuracy * (1.0 - accuracy) / samples.max(1) as f64).sqrt()
}

impl Against {
    /// Whether the coreset is worse, however little.
    fn is_below(&self) -> bool {
        self.points.mean < 0.0
    }

    /// Whether neither the scatter of seeds nor the number of test samples explains the difference.
    fn is_sure(&self) -> bool {
        self.points.holds_zero() == Some(false) && self.points.mean.abs() > self.test_noise
    }

    /// What explains the difference, for people.
    fn noise(&self) -> &'static str {
        match self.points.holds_zero() {
            Some(true) => ", within seed noise",
            Some(false) if !self.is_sure() => ", within what so few test samples can tell",
            _ => "",
        }
    }
}

/// `70 % kept: 0.3 points below full, within seed noise; 2.1 points above random.` `keep` is the share of
/// samples that the coreset has. If it does not beat a random subset, the sentence ends with that.
pub fn verdict(keep: f64, against: &[Against]) -> String {
    let told: Vec<String> = against.iter().map(one).collect();
    let mut text = format!("{} % kept: {}.", percent(keep), told.join("; "));
    let standing = Standing::of(against);
    let sure = |other: &&Against| other.is_sure() || standing != Standing::Worse;
    let mut below = against.iter().filter(|other| other.random && other.is_below());
    let name = below.find(sure).map_or("", |other| other.name);
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
    if against.iter().any(|other| other.points.half_width.is_none()) {
        text.push_str(" One seed: the noise is not known; take more seeds.");
    }
    text
}

fn one(other: &Against) -> String {
    let points = other.points.mean;
    let (name, noise) = (other.name, other.noise());
    // As it is printed: what rounds to 0.0 is neither above nor below.
    match (points * 10.0).round() {
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

    fn against(name: &'static str, mean: f64, half_width: Option<f64>) -> Against {
        let points = Interval { mean, half_width, n: 3 };
        Against { name, random: name != "full", points, test_noise: 0.1 }
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
        let worse =
            verdict(0.3, &[against("full", -9.0, Some(1.0)), against("random", -3.0, Some(1.0))]);
        assert!(
            worse.ends_with("WORSE than a subset drawn at random (random): do not train on it."),
            "{worse}"
        );
        let below = verdict(0.305, &[against("random", -0.5, Some(1.0))]);
        assert!(
            below.starts_with("30.5 % kept: 0.5 points below random, within seed noise."),
            "{below}"
        );
        assert!(below.ends_with("no reason to train on it."), "{below}");
        let level = verdict(0.3, &[against("random", 0.01, Some(1.0))]);
        assert_eq!(
            level,
            "30 % kept: level with random, within seed noise. Not proven better than a subset drawn at random."
        );
        // One of two random subsets is enough.
        let half =
            [against("random", 3.0, Some(1.0)), against("stratified random", -2.0, Some(1.0))];
        assert!(
            verdict(0.3, &half).contains("WORSE than a subset drawn at random (stratified random)")
        );
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
    }

    #[test]
    fn few_test_samples_prove_nothing() {
        // 60 samples, models without any scatter: one sample is 1.7 points.
        let few = |mean| Against {
            test_noise: test_noise(0.8, 60),
            ..against("random", mean, Some(0.0))
        };
        let text = verdict(0.5, &[few(-100.0 / 60.0)]);
        assert!(text.contains("within what so few test samples can tell"), "{text}");
        assert!(text.ends_with("no reason to train on it."), "{text}");
        assert!(verdict(0.5, &[few(100.0 / 60.0)]).ends_with("drawn at random."));
        assert!((test_noise(0.5, 200) - 9.8).abs() < 0.01);
    }

    #[test]
    fn one_seed_proves_nothing() {
        let text = verdict(0.5, &[against("full", -1.0, None), against("random", 1.0, None)]);
        assert!(text.contains("Not proven better") && text.contains("One seed"), "{text}");
    }
}
