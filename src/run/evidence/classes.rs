//! The classes before and after, and how uneven they are.

use arrow::array::Array;

use super::facts::Facts;
use super::types::{ClassStory, Disparity, Uneven};
use crate::error::Result;
use crate::run::rows::ints;

/// Each class, and how many of its samples entered in each stage.
pub(super) fn stories(facts: &Facts) -> Result<Vec<ClassStory>> {
    let stages = facts.states.len();
    let classes = facts.summary.classes.iter();
    let mut stories: Vec<ClassStory> = classes
        .map(|c| ClassStory { name: c.name.clone(), total: c.total, entered: vec![0; stages] })
        .collect();
    let (label, stage) = (ints(&facts.selection, "label")?, ints(&facts.selection, "stage")?);
    for at in (0..label.len()).filter(|at| stage.is_valid(*at) && label.is_valid(*at)) {
        let story = stories.get_mut(label.value(at) as usize);
        if let Some(count) = story.and_then(|s| s.entered.get_mut(stage.value(at) as usize - 1)) {
            *count += 1;
        }
    }
    Ok(stories)
}

/// How uneven the classes that have samples are.
pub(super) fn disparity(classes: &[ClassStory]) -> Disparity {
    let present = || classes.iter().filter(|class| class.total > 0);
    Disparity {
        before: uneven(present().map(|class| class.total as f64)),
        after: uneven(present().map(|class| class.kept() as f64)),
        kept: uneven(present().map(|class| class.kept() as f64 / class.total as f64)),
    }
}

fn uneven(values: impl Iterator<Item = f64>) -> Uneven {
    let values: Vec<f64> = values.collect();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let deviation = (squares / values.len().max(1) as f64).sqrt();
    Uneven {
        ratio: (least > 0.0 && least.is_finite()).then(|| most / least),
        variation: if mean > 0.0 { deviation / mean } else { 0.0 },
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "hand values are exact")]
mod tests {
    use super::*;

    #[test]
    fn unevenness_is_a_ratio_and_a_variation() {
        let found = uneven([1.0, 3.0].into_iter());
        // The mean is 2, each is 1 away.
        assert_eq!((found.ratio, found.variation), (Some(3.0), 0.5));
        assert_eq!(uneven([2.0, 2.0].into_iter()).variation, 0.0);
        assert_eq!(uneven([0.0, 2.0].into_iter()).ratio, None);
        assert_eq!(uneven(std::iter::empty()), Uneven { ratio: None, variation: 0.0 });
    }

    #[test]
    fn a_class_without_samples_is_not_uneven() {
        let class = |total, entered: &[u64]| ClassStory {
            name: String::new(),
            total,
            entered: entered.to_vec(),
        };
        let found = disparity(&[class(10, &[2, 3]), class(0, &[0, 0]), class(20, &[5, 0])]);
        assert_eq!(found.before.ratio, Some(2.0));
        assert_eq!((found.after.ratio, found.kept.ratio), (Some(1.0), Some(2.0)));
    }
}
