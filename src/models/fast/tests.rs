//! The fast path against an f64 reference and finite differences of it.

use super::train::Trainer;
use super::*;

pub(super) fn conv(outputs: usize, kernel: usize, stride: usize) -> Layer {
    Layer::Conv { outputs, kernel, stride, relu: true }
}

fn bare(outputs: usize, kernel: usize, stride: usize) -> Layer {
    Layer::Conv { outputs, kernel, stride, relu: false }
}

const POOL: Layer = Layer::Pool { kernel: 2 };

pub(super) fn size(channels: usize, height: usize, width: usize) -> Size {
    Size { channels, height, width }
}

/// A basic block, with a projection where the size changes.
pub(super) fn basic(channels: usize, stride: usize, projected: bool) -> Layer {
    let body = vec![conv(channels, 3, stride), bare(channels, 3, 1)];
    let shortcut = if projected { vec![bare(channels, 1, stride)] } else { Vec::new() };
    Layer::Residual { body, shortcut }
}

pub(super) fn resnet(width: usize, blocks: [usize; 4]) -> Vec<Layer> {
    let mut layers = vec![conv(width, 3, 1)];
    for (stage, count) in blocks.into_iter().enumerate() {
        for block in 0..count {
            let first = stage > 0 && block == 0;
            layers.push(basic(width << stage, if first { 2 } else { 1 }, first));
        }
    }
    layers
}

pub(super) fn convnet(width: usize, blocks: usize) -> Vec<Layer> {
    let block = |i| [POOL, conv(width << i, 3, 1)];
    (0..blocks).flat_map(block).skip(1).collect()
}

/// Numbers in -1..1 that look random.
pub(super) fn numbers(count: usize, salt: u64) -> Vec<f32> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Weights of a sensible size, factors around 1 and of both signs, offsets around 0.
fn theta(plan: &Plan, salt: u64) -> Vec<f32> {
    let mut theta = numbers(plan.theta_len(), salt);
    for conv in plan.convs() {
        let fan_in = (conv.input.channels * conv.kernel * conv.kernel) as f32;
        theta[conv.weight()].iter_mut().for_each(|w| *w *= 1.7 / fan_in.sqrt());
        theta[conv.scale()].iter_mut().for_each(|s| *s = 1.0_f32.copysign(*s + 0.7) + 0.2 * *s);
        theta[conv.offset()].iter_mut().for_each(|o| *o *= 0.3);
    }
    theta
}

pub(super) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

/// The largest difference, as a share of the largest number.
pub(super) fn error(ours: &[f32], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let largest = theirs.iter().fold(1e-9_f64, |most, v| most.max(v.abs()));
    let difference = |(a, b): (&f32, &f64)| (f64::from(*a) - b).abs();
    let differences = ours.iter().zip(theirs).map(difference);
    differences.fold(0.0, |most, d| if d > most || d.is_nan() { d } else { most }) / largest
}

pub(super) struct Case {
    pub(super) size: Size,
    pub(super) layers: Vec<Layer>,
    pub(super) plan: Plan,
    pub(super) x: Vec<f32>,
    pub(super) theta: Vec<f32>,
}

impl Case {
    pub(super) fn new(size: Size, layers: Vec<Layer>, images: usize, salt: u64) -> Self {
        let plan = Plan::new(size, &layers).unwrap();
        let x = numbers(images * plan.image_len(), salt + 1);
        let theta = theta(&plan, salt + 2);
        Self { size, layers, plan, x, theta }
    }

    /// What weighs the features, so that gradients are not uniform.
    pub(super) fn weights(&self) -> Vec<f32> {
        numbers(self.x.len() / self.plan.image_len() * self.plan.features(), 77)
    }

    fn loss(&self, x: &[f64], theta: &[f64]) -> f64 {
        let (features, _) = reference::features(self.size, &self.layers, x, theta, None);
        features.iter().zip(wide(&self.weights())).map(|(f, w)| f * w).sum()
    }

    /// Central differences of the reference at some places of theta.
    fn slopes(&self, places: &[usize]) -> Vec<f64> {
        let (x, step) = (wide(&self.x), 1e-6);
        let slope = |place: &usize| {
            let moved = |delta: f64| {
                let mut theta = wide(&self.theta);
                theta[*place] += delta;
                self.loss(&x, &theta)
            };
            (moved(step) - moved(-step)) / (2.0 * step)
        };
        places.iter().map(slope).collect()
    }

    /// Features, statistics and gradient agree with the reference.
    fn check(&self, tolerance: f64) {
        let what = format!("{:?} {:?}", self.size, self.layers);
        let mut trainer = Trainer::new(self.plan.clone());
        let (features, statistics) = trainer.forward(&self.x, &self.theta).unwrap();
        let (expected, moments) =
            reference::features(self.size, &self.layers, &wide(&self.x), &wide(&self.theta), None);
        assert!(error(&features, &expected) < tolerance, "features of {what}");
        assert!(error(&statistics, &moments) < tolerance, "statistics of {what}");
        let by_theta = trainer.backward(&self.theta, &self.weights()).unwrap();
        for conv in self.plan.convs() {
            for part in [conv.weight(), conv.scale(), conv.offset()] {
                // No multiple of three, to meet every tap of a kernel.
                let step = 1 + part.len() / 36 * 3;
                let places: Vec<usize> = part.step_by(step).collect();
                let ours: Vec<f32> = places.iter().map(|p| by_theta[*p]).collect();
                let error = error(&ours, &self.slopes(&places));
                assert!(error < tolerance, "gradient by {places:?} of {what}: {error}");
            }
        }
    }
}

#[test]
fn the_plan_says_where_pytorchs_tensors_lie_in_theta() {
    let plan = Plan::new(size(3, 8, 8), &[conv(4, 3, 1), basic(8, 2, true)]).unwrap();
    let shapes: Vec<[usize; 4]> = plan.convs().map(|conv| conv.shape).collect();
    assert_eq!(shapes, [[4, 3, 3, 3], [8, 4, 3, 3], [8, 8, 3, 3], [8, 4, 1, 1]]);
    let mut end = 0;
    for conv in plan.convs() {
        assert_eq!(conv.weight(), end..end + conv.shape.iter().product::<usize>());
        assert_eq!((conv.weight().end, conv.scale().len()), (conv.scale().start, conv.shape[0]));
        assert_eq!((conv.scale().end, conv.offset().len()), (conv.offset().start, conv.shape[0]));
        end = conv.offset().end;
    }
    assert_eq!(end, plan.theta_len());
}

#[test]
fn a_first_convolution_agrees_with_the_reference() {
    for (channels, kernel, stride) in [(1, 3, 1), (3, 3, 1), (3, 3, 2), (20, 1, 1), (3, 7, 2)] {
        Case::new(size(channels, 5, 7), vec![conv(18, kernel, stride)], 3, 1).check(1e-4);
    }
}

#[test]
fn a_3x3_convolution_agrees_with_the_reference() {
    for (height, width) in [(4, 4), (7, 7), (8, 6), (1, 9), (13, 2)] {
        for (inputs, outputs, stride) in [(5, 20, 1), (33, 7, 2), (16, 16, 1)] {
            let layers = vec![conv(inputs, 3, 1), conv(outputs, 3, stride)];
            Case::new(size(2, height, width), layers, 3, 5).check(2e-4);
        }
    }
}

#[test]
fn a_1x1_convolution_agrees_with_the_reference() {
    for (height, width) in [(4, 4), (7, 5), (1, 1)] {
        for stride in [1, 2] {
            let layers = vec![conv(5, 3, 1), conv(20, 1, stride)];
            Case::new(size(2, height, width), layers, 7, 9).check(1e-4);
        }
    }
}

#[test]
fn pooling_agrees_with_the_reference_and_crops() {
    for (height, width) in [(4, 6), (5, 7), (2, 3)] {
        for pool in [POOL, Layer::Pool { kernel: 3 }] {
            let layers = vec![conv(20, 3, 1), pool.clone(), conv(4, 3, 1)];
            Case::new(size(1, height, width), layers, 5, 13).check(2e-4);
            let last = vec![bare(20, 3, 1), pool];
            Case::new(size(1, height, width), last, 5, 14).check(1e-4);
        }
    }
}

#[test]
fn residual_blocks_agree_with_the_reference() {
    let bottleneck = |channels, stride, shortcut: Vec<Layer>| Layer::Residual {
        body: vec![conv(channels / 4, 1, 1), conv(channels / 4, 3, stride), bare(channels, 1, 1)],
        shortcut,
    };
    let two = vec![conv(20, 3, 2), bare(20, 1, 1)];
    for blocks in [
        vec![basic(8, 1, false)],
        vec![basic(8, 1, false), basic(8, 1, false)],
        vec![basic(20, 2, true)],
        vec![basic(20, 2, true), basic(20, 1, false), POOL],
        vec![bottleneck(20, 2, two), bottleneck(20, 1, Vec::new())],
    ] {
        let layers = std::iter::once(conv(8, 3, 1)).chain(blocks).collect();
        Case::new(size(3, 7, 6), layers, 4, 17).check(1e-3);
    }
}

#[test]
fn whole_nets_agree_with_the_reference_for_any_batch() {
    for images in [2, 7, 19] {
        Case::new(size(1, 28, 28), convnet(4, 3), images, 21).check(1e-3);
    }
    Case::new(size(3, 8, 8), resnet(4, [1, 1, 1, 1]), 9, 26).check(2e-3);
}

#[test]
fn evaluation_agrees_with_the_reference() {
    for (size, layers) in [
        (size(1, 28, 28), convnet(5, 3)),
        (size(3, 16, 16), resnet(4, [2, 1, 1, 1])),
        (size(3, 9, 11), vec![conv(3, 3, 2), basic(40, 2, true), POOL]),
        (size(3, 21, 17), vec![conv(8, 7, 2), Layer::Pool { kernel: 3 }, basic(8, 1, false)]),
    ] {
        let case = Case::new(size, layers, 19, 31);
        let statistics = numbers(case.plan.statistics_len(), 32);
        let statistics: Vec<f32> = statistics.iter().map(|v| v.abs() + 0.1).collect();
        let net = Evaluator::new(&case.plan, &case.theta, &statistics).unwrap();
        let (expected, _) = reference::features(
            case.size,
            &case.layers,
            &wide(&case.x),
            &wide(&case.theta),
            Some(&wide(&statistics)),
        );
        assert!(error(&net.features(&case.x).unwrap(), &expected) < 1e-4);
        let alone = net.features(&case.x[..case.plan.image_len()]).unwrap();
        assert_eq!(alone, net.features(&case.x).unwrap()[..case.plan.features()]);
    }
}

#[test]
fn results_do_not_depend_on_threads() {
    for (size, layers) in
        [(size(1, 28, 28), convnet(16, 3)), (size(3, 16, 16), resnet(16, [1, 1, 1, 1]))]
    {
        for images in [1, 7, 128] {
            let case = Case::new(size, layers.clone(), images, 41);
            let statistics = vec![0.5; case.plan.statistics_len()];
            let run = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let mut trainer = Trainer::new(case.plan.clone());
                    let forward = trainer.forward(&case.x, &case.theta).unwrap();
                    let weights = case.weights();
                    let by_theta = trainer.backward(&case.theta, &weights).unwrap();
                    let net = Evaluator::new(&case.plan, &case.theta, &statistics).unwrap();
                    let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                    [forward.0, forward.1, by_theta]
                        .iter()
                        .map(|v| bits(v))
                        .chain([bits(&net.features(&case.x).unwrap())])
                        .collect::<Vec<_>>()
                })
            };
            let one = run(1);
            for threads in [2, 3, 5] {
                assert!(run(threads) == one, "{threads} threads, {images} images");
            }
        }
    }
}

#[test]
fn buffers_of_an_earlier_batch_leave_no_trace() {
    let case = Case::new(size(3, 9, 9), resnet(5, [1, 1, 1, 1]), 19, 51);
    let few = case.x[..3 * case.plan.image_len()].to_vec();
    let weights = case.weights();
    let step = |trainer: &mut Trainer, x: &[f32]| {
        let features = trainer.forward(x, &case.theta).unwrap();
        let weights = &weights[..features.0.len()];
        (features, trainer.backward(&case.theta, weights).unwrap())
    };
    let mut used = Trainer::new(case.plan.clone());
    step(&mut used, &case.x);
    assert!(step(&mut used, &few) == step(&mut Trainer::new(case.plan.clone()), &few));
    assert!(step(&mut used, &case.x) == step(&mut Trainer::new(case.plan.clone()), &case.x));
}

#[test]
fn training_holds_as_much_memory_as_predicted() {
    for (size, layers) in
        [(size(1, 28, 28), convnet(16, 3)), (size(3, 16, 16), resnet(16, [2, 2, 2, 2]))]
    {
        let case = Case::new(size, layers, 32, 55);
        let mut trainer = Trainer::new(case.plan.clone());
        let mut step = || {
            trainer.forward(&case.x, &case.theta).unwrap();
            trainer.backward(&case.theta, &case.weights()).unwrap();
            trainer.bytes() as f64 / case.plan.training_bytes(32) as f64
        };
        let first = step();
        assert!((0.8..1.25).contains(&first), "{first} of what was predicted");
        for _ in 0..3 {
            assert!((0.8..1.25).contains(&step()), "buffers grow");
        }
    }
}

#[test]
fn what_is_not_a_number_stays_visible() {
    for (size, layers) in [(size(1, 8, 8), convnet(4, 3)), (size(3, 8, 8), resnet(4, [1; 4]))] {
        let mut case = Case::new(size, layers, 3, 61);
        case.x[5] = f32::NAN;
        let mut trainer = Trainer::new(case.plan.clone());
        let (features, statistics) = trainer.forward(&case.x, &case.theta).unwrap();
        assert!(features.iter().all(|f| f.is_nan()));
        assert!(statistics.iter().any(|s| s.is_nan()));
        let running = vec![1.0; case.plan.statistics_len()];
        let net = Evaluator::new(&case.plan, &case.theta, &running).unwrap();
        let features = net.features(&case.x).unwrap();
        assert!(features[..case.plan.features()].iter().any(|f| f.is_nan()));
        assert!(features[case.plan.features()..].iter().all(|f| f.is_finite()));
    }
}

#[test]
fn a_mean_far_above_the_deviation_costs_no_variance() {
    let plan = Plan::new(size(1, 8, 8), &[conv(1, 1, 1)]).unwrap();
    let x: Vec<f32> = numbers(5 * 64, 71).iter().map(|v| v + 1000.0).collect();
    let (_, statistics) = Trainer::new(plan).forward(&x, &[1.0, 1.0, 0.0]).unwrap();
    let mean = wide(&x).iter().sum::<f64>() / 320.0;
    let variance = wide(&x).iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 319.0;
    assert!((f64::from(statistics[1]) / variance - 1.0).abs() < 1e-4);
}

#[test]
fn refuses_what_it_does_not_compute() {
    let refused = |size, layers: &[Layer]| Plan::new(size, layers).unwrap_err().to_string();
    let grey = size(1, 4, 4);
    assert!(refused(grey, &[]).contains("no layer"));
    assert!(refused(grey, &[POOL]).contains("does not pool images"));
    assert!(refused(grey, &[conv(4, 2, 1)]).contains("no Conv"));
    assert!(refused(grey, &[conv(4, 3, 1), conv(4, 5, 1)]).contains("no Conv"));
    assert!(refused(grey, &[conv(4, 3, 4), POOL]).contains("too small"));
    assert!(refused(grey, &[basic(4, 1, false)]).contains("cannot come first"));
    let block = |body, shortcut| [conv(4, 3, 1), Layer::Residual { body, shortcut }];
    assert!(refused(grey, &block(vec![bare(4, 3, 1)], vec![])).contains("two convolutions"));
    assert!(refused(grey, &block(vec![conv(4, 3, 1); 2], vec![])).contains("behind the sum"));
    assert!(refused(grey, &[conv(4, 3, 1), basic(8, 1, false)]).contains("differ in size"));
    assert!(refused(grey, &block(vec![POOL; 2], vec![])).contains("convolutions only"));
    let plan = Plan::new(grey, &[conv(4, 3, 1)]).unwrap();
    assert!(Trainer::new(plan.clone()).forward(&[0.0; 16], &[0.0; 3]).is_err());
    assert!(Trainer::new(plan.clone()).forward(&[0.0; 15], &[0.0; 44]).is_err());
    assert!(Evaluator::new(&plan, &[0.0; 44], &[0.0; 7]).is_err());
}
