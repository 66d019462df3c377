//! Toys, edges and laws of the trajectory scores.

use crate::recipe::{self, Method, NeverLearned};
use crate::scoring::{
    Block, Direction, Dynamics, Trajectory, Values, check_trajectory, direction, trajectory,
};
use crate::{ErrorKind, Result};

const ALL: [Method; 7] = [
    Method::Forgetting,
    Method::AumLogitMean,
    Method::AumProbSum,
    Method::Tdds,
    Method::DynUnc,
    Method::Dual,
    Method::MeanConfidence,
];

fn options(window: usize) -> recipe::Trajectory {
    recipe::Trajectory { window, decay: 0.5, ..recipe::Trajectory::default() }
}

fn built(methods: &[Method], options: &recipe::Trajectory) -> Vec<Box<dyn Trajectory>> {
    methods.iter().map(|method| trajectory(*method, options).unwrap()).collect()
}

/// A block of two classes whose labels are 0.
fn block<'a>(values: Values<'a>, labels: &'a [u32]) -> Block<'a> {
    Block { values, classes: 2, labels, embedding_norms: None }
}

/// The score of a sample of class 0 whose probability is `p` after each epoch.
fn score(method: Method, options: &recipe::Trajectory, p: &[f32]) -> f32 {
    let mut dynamics = Dynamics::new(built(&[method], options), 1, 2);
    for (epoch, p) in p.iter().enumerate() {
        let values = [*p, 1.0 - p];
        dynamics.observe(epoch, 0, &block(Values::Probabilities(&values), &[0])).unwrap();
    }
    dynamics.finish(p.len())[0][0]
}

fn assert_close(got: f32, want: f64) {
    assert!((f64::from(got) - want).abs() <= 1e-6 * want.abs().max(1e-3), "{got} is not {want}");
}

const EASY: [f32; 6] = [0.9, 0.97, 0.98, 0.985, 0.99, 0.99];
const BOUNDARY: [f32; 6] = [0.3, 0.7, 0.4, 0.8, 0.35, 0.75];
const NEVER: [f32; 6] = [0.02, 0.01, 0.01, 0.01, 0.01, 0.01];

#[test]
fn each_direction_prefers_what_its_method_looks_for() {
    for method in ALL {
        let [easy, boundary, never] = [EASY, BOUNDARY, NEVER].map(|p| {
            let score = score(method, &options(3), &p);
            if direction(method) == Direction::KeepHigh { score } else { -score }
        });
        assert!(boundary > easy, "{method:?}: {boundary} and {easy}");
        match method {
            // Spread: a sample that never moves is not wanted, right or wrong.
            Method::Tdds | Method::DynUnc | Method::Dual => {
                assert!(boundary > never, "{method:?}: {boundary} and {never}");
            }
            _ => assert!(never > boundary, "{method:?}: {never} and {boundary}"),
        }
    }
}

#[test]
fn names_and_directions_are_those_of_the_methods() {
    for method in Method::ALL {
        let found = trajectory(method, &options(3));
        assert_eq!(found.is_some(), ALL.contains(&method));
        if let Some(found) = found {
            assert_eq!((found.name(), found.direction()), (method.name(), direction(method)));
        }
    }
}

#[test]
fn forgetting_counts_falls_and_has_a_policy_for_the_never_learned() {
    let with = |never_learned, p: &[f32]| {
        score(Method::Forgetting, &recipe::Trajectory { never_learned, ..options(3) }, p)
    };
    for policy in [NeverLearned::Max, NeverLearned::Infinity, NeverLearned::Zero] {
        assert_eq!(with(policy, &BOUNDARY), 2.0);
        assert_eq!(with(policy, &EASY), 0.0);
        assert_eq!(with(policy, &[0.1, 0.9, 0.9]), 0.0, "learned late and kept");
        assert_eq!(with(policy, &[0.9, 0.1, 0.1]), 1.0, "learned once and lost");
    }
    assert_eq!(with(NeverLearned::Max, &NEVER), 6.0);
    assert_eq!(with(NeverLearned::Max, &[0.5; 4]), 4.0, "a tie is not learned");
    assert_eq!(with(NeverLearned::Zero, &NEVER), 0.0);
    // Above the mean over a million models of the highest count there is.
    let infinity = with(NeverLearned::Infinity, &NEVER);
    assert!(infinity.is_finite() && f64::from(infinity) / 1e6 > 1e6);
}

#[test]
fn aum_by_logits_and_by_probabilities_are_two_scores() {
    // Margins of logits 2 and -1, of probabilities tanh(1) and -tanh(1/2).
    let mut dynamics =
        Dynamics::new(built(&[Method::AumLogitMean, Method::AumProbSum], &options(3)), 1, 2);
    for (epoch, logits) in [[2.0, 0.0], [3.0, 4.0]].iter().enumerate() {
        dynamics.observe(epoch, 0, &block(Values::Logits(logits), &[0])).unwrap();
    }
    let scores = dynamics.finish(2);
    assert_close(scores[0][0], 0.5);
    assert_close(scores[1][0], 1f64.tanh() - 0.5f64.tanh());
}

#[test]
fn deviations_divide_by_one_less_than_the_window() {
    // Windows (1/4, 3/4) and (3/4, 1/4): deviation sqrt(1/8), mean 1/2.
    let p = [0.25, 0.75, 0.25];
    let deviation = 0.125f64.sqrt();
    assert_close(score(Method::DynUnc, &options(2), &p), deviation);
    assert_close(score(Method::Dual, &options(2), &p), deviation * 0.5);
    // One window when there are as many epochs as it has.
    // The mean is 5/12, the squares are twice 1/36 and once 1/9, and two divides them.
    assert_close(score(Method::DynUnc, &options(3), &p), (1f64 / 12.0).sqrt());
}

/// TDDS as published, with whole arrays.
fn tdds(p: &[f32], window: usize, decay: f64) -> f64 {
    let p: Vec<[f64; 2]> = p.iter().map(|p| [f64::from(*p), f64::from(1.0 - p)]).collect();
    let step = |t: usize| -> f64 {
        let of = |c: usize| p[t + 1][c] * ((p[t + 1][c] + 1e-8).ln() - (p[t][c] + 1e-8).ln());
        of(0).abs() + of(1).abs()
    };
    let spread = |k: usize| {
        let steps: Vec<f64> = (k..k + window - 1).map(step).collect();
        let mean = steps.iter().sum::<f64>() / steps.len() as f64;
        steps.iter().map(|a| (a - mean).powi(2)).sum::<f64>().sqrt()
    };
    let last = p.len() - window;
    (0..=last).map(|k| decay * (1.0 - decay).powi((last - k) as i32) * spread(k)).sum()
}

#[test]
fn tdds_takes_absolute_values_inside_and_its_window_moves() {
    for p in [EASY, BOUNDARY, NEVER] {
        for window in [3, 4, 6] {
            assert_close(score(Method::Tdds, &options(window), &p), tdds(&p, window, 0.5));
        }
    }
    // With the absolute value outside, this trajectory had steps of its divergence alone; inside, a
    // step there and one back are of a size, so that there is hardly a spread.
    let level = score(Method::Tdds, &options(3), &[0.4, 0.6, 0.4, 0.6]);
    assert!(level.abs() < 1e-6, "{level}");
    // Only the last window sees the jump, and only the first did.
    let late = score(Method::Tdds, &options(3), &[0.5, 0.5, 0.5, 0.5, 0.9]);
    let early = score(Method::Tdds, &options(3), &[0.9, 0.5, 0.5, 0.5, 0.5]);
    assert!(late > 2.0 * early && early > 0.0, "{late} and {early}");
}

#[test]
fn windows_that_do_not_fit_are_refused_before_training() {
    let check = |method, options: &recipe::Trajectory, epochs| -> Result<()> {
        check_trajectory(method, options, epochs)
    };
    for method in [Method::Tdds, Method::DynUnc, Method::Dual] {
        check(method, &options(5), 5).unwrap();
        let error = check(method, &options(6), 5).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRecipe);
        assert!(error.to_string().contains("`score.trajectory.window`"), "{error}");
        let few = recipe::Trajectory { epochs: Some(4), ..options(5) };
        check(method, &few, 9).unwrap_err();
        check(method, &options(1), 5).unwrap_err();
    }
    check(Method::DynUnc, &options(2), 5).unwrap();
    check(Method::Tdds, &options(2), 5).unwrap_err();
    for decay in [0.0, 1.1, f64::NAN] {
        check(Method::Tdds, &recipe::Trajectory { decay, ..options(3) }, 5).unwrap_err();
    }
    for method in [Method::Forgetting, Method::AumLogitMean, Method::Entropy, Method::KCenter] {
        check(method, &options(10), 1).unwrap();
    }
    let more = recipe::Trajectory { epochs: Some(6), ..options(3) };
    let error = check(Method::Forgetting, &more, 5).unwrap_err();
    assert!(error.to_string().contains("watches 6 epochs, but models train for 5"), "{error}");
    // Whoever does not check gets no number.
    for method in [Method::Tdds, Method::DynUnc, Method::Dual] {
        assert!(score(method, &options(7), &EASY).is_nan());
    }
}

#[test]
fn what_never_moves_has_no_spread() {
    for p in [0.0, -0.0, 0.3, 1.0] {
        for method in [Method::Tdds, Method::DynUnc, Method::Dual] {
            assert_eq!(score(method, &options(3), &[p; 5]).to_bits(), 0, "{method:?} at {p}");
        }
    }
    assert_eq!(score(Method::AumProbSum, &options(3), &[0.0; 5]), -5.0);
    assert_eq!(score(Method::MeanConfidence, &options(3), &[1.0; 5]), 1.0);
}

/// The columns of 700 samples over 7 epochs, observed in blocks of `size`.
fn columns(size: usize, threads: usize) -> Vec<Vec<u32>> {
    let mut rng = crate::seed::Seed::new(5).rng();
    let logits: Vec<f32> = (0..7 * 700 * 2).map(|_| rng.unit() * 8.0 - 4.0).collect();
    let labels: Vec<u32> = (0..700).map(|_| rng.below(2)).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let mut dynamics = Dynamics::new(built(&ALL, &options(4)), 700, 2);
    for (epoch, logits) in logits.chunks(700 * 2).enumerate() {
        let blocks = logits.chunks(size * 2).zip(labels.chunks(size));
        for (i, (logits, labels)) in blocks.enumerate() {
            let block = block(Values::Logits(logits), labels);
            pool.install(|| dynamics.observe(epoch, i * size, &block)).unwrap();
        }
    }
    let columns = pool.install(|| dynamics.finish(7)).into_iter();
    columns.map(|column| column.into_iter().map(f32::to_bits).collect()).collect()
}

#[test]
fn threads_and_blocks_change_no_bit() {
    let one = columns(700, 1);
    assert_eq!(one, columns(700, 3));
    assert_eq!(one, columns(33, 2));
}

#[test]
fn memory_is_known_beforehand() {
    let scores = built(&ALL, &options(10));
    // Forgetting 2, three sums, TDDS 10 + C, Dyn-Unc and DUAL 11 each.
    assert_eq!(Dynamics::bytes(&scores, 1000, 100), 1000 * 8 * (2 + 3 + 110 + 22));
}

#[test]
fn bad_blocks_are_refused_and_change_nothing() {
    let mut dynamics = Dynamics::new(built(&ALL, &options(2)), 3, 2);
    let mut observe = |epoch, first, logits: &[f32], labels: &[u32]| {
        dynamics.observe(epoch, first, &block(Values::Logits(logits), labels))
    };
    let error = observe(0, 0, &[0.0, 1.0, f32::NAN, 0.0], &[0, 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("row 1 has a logit"), "{error}");
    observe(0, 0, &[0.0; 4], &[0, 2]).unwrap_err();
    observe(0, 0, &[0.0; 5], &[0, 1]).unwrap_err();
    observe(0, 2, &[0.0; 4], &[0, 1]).unwrap_err();
    observe(1, 0, &[0.0; 6], &[0, 1, 0]).unwrap_err();
    observe(0, 1, &[0.0; 4], &[0, 1]).unwrap();
    let error = observe(1, 0, &[0.0; 6], &[0, 1, 0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.to_string().contains("epoch 0 still lacks 1 of 3"), "{error}");
    observe(0, 0, &[0.0; 2], &[0]).unwrap();
    observe(1, 0, &[0.0; 6], &[0, 1, 0]).unwrap();

    let sums = block(Values::Probabilities(&[0.5, 0.6]), &[0]);
    let error = dynamics.observe(2, 0, &sums).unwrap_err();
    assert!(error.to_string().contains("do not sum to 1"), "{error}");
}
