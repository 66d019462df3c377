//! The picture of an evaluation, and a made-up one for other tests.

use super::evaluation;
use crate::evaluation::{Gap, Interval, Standing};
use crate::recipe::TrainBudget;
use crate::run::{Compared, Comparison, Evaluated, Subset};

/// A comparison with these accuracies by seed.
pub(in crate::report) fn comparison(of: &[(Subset, &[f64])], standing: Standing) -> Comparison {
    let one = |(subset, values): &(Subset, &[f64])| Evaluated {
        subset: *subset,
        samples: 50,
        keep: if *subset == Subset::Full { 1.0 } else { 0.5 },
        epochs: 3,
        steps: 30,
        accuracy: Interval::of(values),
        worst_class: Interval::of(values),
        class_spread: Interval::of(values),
        ece: Interval::of(values),
        accuracies: values.to_vec(),
    };
    let points = Interval::of(&[1.0, 2.0]);
    let gap = Gap { points, seed_noise: points.half_width, test_samples: 100 };
    Comparison {
        test: "the <test>".to_owned(),
        held_out: false,
        test_samples: 100,
        budget: TrainBudget::Epochs,
        seeds: 2,
        subsets: of.iter().map(one).collect(),
        against: vec![Compared { subset: Subset::Random, gap }],
        standing,
        verdict: "50 % <kept>.".to_owned(),
    }
}

#[test]
fn each_subset_has_its_models_and_its_interval() {
    let subsets: [(Subset, &[f64]); 3] =
        [(Subset::Full, &[0.9]), (Subset::Coreset, &[0.80, 0.82]), (Subset::Random, &[0.7, 0.72])];
    let svg = evaluation(&comparison(&subsets, Standing::Better)).inline();
    assert_eq!((svg.matches("<circle").count(), svg.matches("class=\"whisker").count()), (5, 2));
    assert!(svg.contains("Accuracy, same epochs, on the &lt;test&gt;"), "{svg}");
    // t(0.975, 1) = 12.7: half of the width is 12.7 points.
    assert!(svg.contains("coreset, 50.0 %: 81.00 \u{b1} 12.71 %"), "{svg}");
    assert!(svg.contains("everything: 90.00 %") && svg.contains("class=\"mark\""), "{svg}");
    assert!(svg.contains("50 % &lt;kept&gt;."), "{svg}");
}
