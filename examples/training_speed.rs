//! One side of `benches/training`: trains or evaluates a net on random images, as much as it is told.
//!
//! ```text
//! cargo run --example training_speed -- ours|candle mlp|convnet|resnet18-16|resnet18-64 train|evaluate BATCHES
//! cargo run --example training_speed -- cuda|cuda-bf16|cuda-f16 NET train|evaluate BATCHES
//! cargo run --example training_speed -- gemm|scores|read
//! ```
//!
//! Works off `BATCHES` batches for each line on its standard input, after one for warming up, and answers
//! with how much that was (images, operations of a matrix product, or bytes of logits that were scored or
//! only read) and the seconds it took. `ours` is
//! the whole way of a training of this program; `cuda` the same on the first CUDA device, with steps of
//! training in that precision; `candle` is the same net built from the layers and the optimiser of
//! `candle-nn`. A single run by hand: `yes '' | head -5 | cargo run ...`.
#![allow(clippy::print_stdout)]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::error::Error;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use candle_nn::{
    BatchNorm, Conv2d, Conv2dConfig, Linear, Module, ModuleT, Optimizer, SGD, VarBuilder, VarMap,
    batch_norm, conv2d_no_bias, linear,
};
use rayon::prelude::*;
use unseen::recipe::{Arch, Method, Model, Precision, Train};
use unseen::samples::{Inputs, Samples, Shape};
use unseen::scoring::{Block, Values, criterion, score_block};
use unseen::seed::Seed;
use unseen::training::{Job, Request, View, predict, train};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const SHAPE: Shape = Shape::Image { channels: 3, height: 32, width: 32 };
const CLASSES: usize = 10;
/// Images of a step of training.
const BATCH: usize = 128;
/// Images of a batch of evaluation, the most that the product takes at once.
const EVALUATED: usize = 256;
/// The side of the matrices whose product tells the machine's speed.
const SIDE: usize = 1024;
/// Rows of logits that are scored, and how many classes they have.
const ROWS: usize = 200_000;
const SCORED: usize = 1000;

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["gemm"] => gemm(),
        ["scores"] => scores(),
        ["read"] => read(),
        ["candle", net, mode, batches] => candle(net, mode == "train", batches.parse()?),
        [side, net, "train", batches] => ours_train(on(side)?, net, batches.parse()?),
        [side, net, "evaluate", batches] => ours_evaluate(on(side)?, net, batches.parse()?),
        _ => Err("see the head of this file for the arguments".into()),
    }
}

/// Answers the lines of the standard input.
struct Clock {
    amount: usize,
    begun: Option<Instant>,
}

impl Clock {
    fn new(amount: usize) -> Self {
        Self { amount, begun: None }
    }

    /// Tells how long the work since the last call took, and waits for a line; ends the program if
    /// there is none. The first call says that all is warm.
    fn tick(&mut self) {
        match self.begun {
            Some(begun) => println!("{} {}", self.amount, begun.elapsed().as_secs_f64()),
            None => println!("ready"),
        }
        let mut line = String::new();
        if !matches!(std::io::stdin().read_line(&mut line), Ok(1..)) {
            std::process::exit(0);
        }
        self.begun = Some(Instant::now());
    }
}

fn gemm() -> Outcome {
    let matrix = Tensor::rand(-1_f32, 1.0, (SIDE, SIDE), &Device::Cpu)?;
    let repeats = 20;
    let mut clock = Clock::new(repeats * 2 * SIDE * SIDE * SIDE);
    loop {
        for _ in 0..repeats {
            matrix.matmul(&matrix)?;
        }
        clock.tick();
    }
}

/// Logits of as many rows as ImageNet has classes, 800 MB of them.
fn logits() -> Vec<f32> {
    let mut random = Seed::new(2).rng();
    let row: Vec<f32> = (0..ROWS + SCORED).map(|_| 12.0 * random.unit() - 6.0).collect();
    (0..ROWS).flat_map(|i| row[i..i + SCORED].iter().copied()).collect()
}

fn scores() -> Outcome {
    let logits = logits();
    let labels: Vec<u32> = (0..ROWS).map(|i| (i % SCORED) as u32).collect();
    let values = Values::Logits(&logits);
    let block = Block { values, classes: SCORED, labels: &labels, embedding_norms: None };
    let methods = [Method::Entropy, Method::Margin, Method::LeastConfidence, Method::El2n];
    let criteria: Vec<_> = methods.into_iter().filter_map(criterion).collect();
    let mut out = vec![0.0; ROWS * criteria.len()];
    let mut clock = Clock::new(size_of_val(&logits[..]));
    loop {
        score_block(&block, &criteria, &mut out)?;
        clock.tick();
    }
}

/// Sums all logits, as fast as they come.
fn read() -> Outcome {
    let logits = logits();
    let mut clock = Clock::new(size_of_val(&logits[..]));
    let lanes = |part: &[f32]| {
        let mut sums = [0.0_f32; 64];
        for numbers in part.as_chunks::<64>().0 {
            sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
        }
        sums.iter().sum::<f32>()
    };
    loop {
        std::hint::black_box(logits.par_chunks(1 << 20).map(lanes).sum::<f32>());
        clock.tick();
    }
}

fn samples(count: usize) -> Samples {
    let mut random = Seed::new(1).rng();
    let pixels = (0..count * SHAPE.len()).map(|_| random.below(256) as u8).collect();
    Samples {
        ids: (0..count).map(|i| format!("{i:08}")).collect(),
        labels: (0..count).map(|_| random.below(CLASSES as u32)).collect(),
        classes: (0..CLASSES).map(|class| class.to_string()).collect(),
        inputs: Inputs::images(pixels, SHAPE),
    }
}

fn model(net: &str) -> Outcome<Model> {
    let (arch, width) = match net {
        "mlp" => (Arch::Mlp, 0),
        "convnet" => (Arch::Convnet, 16),
        "resnet18-16" => (Arch::Resnet18, 16),
        "resnet18-64" => (Arch::Resnet18, 64),
        _ => return Err(format!("no net {net}").into()),
    };
    Ok(Model { arch, width, blocks: 3, hidden: vec![512, 512], ..Model::default() })
}

/// The device and the precision of a side.
fn on(side: &str) -> Outcome<(&str, Precision)> {
    Ok(match side {
        "ours" => ("cpu", Precision::F32),
        "cuda" => ("cuda", Precision::F32),
        "cuda-bf16" => ("cuda", Precision::Bf16),
        "cuda-f16" => ("cuda", Precision::F16),
        _ => return Err(format!("no side {side}").into()),
    })
}

fn ours_train((device, precision): (&str, Precision), net: &str, batches: usize) -> Outcome {
    let samples = samples(batches * BATCH);
    let mut clock = Clock::new(batches * BATCH);
    let settings = Train { epochs: 10_000, batch_size: BATCH, precision, ..Train::default() };
    let members: Vec<u32> = (0..samples.len() as u32).collect();
    let job = Job {
        samples: &samples,
        members: &members,
        model: &model(net)?,
        train: &settings,
        seed: Seed::new(1),
        device,
        start: None,
    };
    train(&job, &mut |_, _| {
        clock.tick();
        Ok(())
    })?;
    Ok(())
}

fn ours_evaluate((device, precision): (&str, Precision), net: &str, batches: usize) -> Outcome {
    let samples = samples(batches * EVALUATED);
    let settings = Train { epochs: 1, warmup_epochs: 0.0, precision, ..Train::default() };
    let job = Job {
        samples: &samples,
        members: &(0..BATCH as u32).collect::<Vec<_>>(),
        model: &model(net)?,
        train: &settings,
        seed: Seed::new(1),
        device,
        start: None,
    };
    let trained = train(&job, &mut |_, _| Ok(()))?.checkpoint;
    let indices: Vec<u32> = (0..samples.len() as u32).collect();
    let request = Request { indices: &indices, view: View::Clean, embeddings: false };
    let mut clock = Clock::new(samples.len());
    loop {
        predict(&trained, &samples, device, &request, &mut |_| Ok(()))?;
        clock.tick();
    }
}

fn candle(net: &str, training: bool, batches: usize) -> Outcome {
    let vars = VarMap::new();
    let net = Layers::new(net, &VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu))?;
    let mut optimizer = SGD::new(vars.all_vars(), 0.05)?;
    let count = if training { BATCH } else { EVALUATED };
    let x = Tensor::rand(-1_f32, 1.0, (count, 3, 32, 32), &Device::Cpu)?;
    let labels = Tensor::zeros(count, DType::U32, &Device::Cpu)?;
    let mut clock = Clock::new(batches * count);
    loop {
        for _ in 0..batches {
            let logits = net.forward(&x, training)?;
            if training {
                optimizer.backward_step(&candle_nn::loss::cross_entropy(&logits, &labels)?)?;
            }
        }
        clock.tick();
    }
}

/// The nets again, from the layers of `candle-nn`.
enum Layers {
    Mlp(Vec<Linear>),
    Convnet(Vec<Unit>, Linear),
    Resnet(Unit, Vec<Residual>, Linear),
}

struct Unit(Conv2d, BatchNorm);

struct Residual {
    body: [Unit; 2],
    shortcut: Option<Unit>,
}

impl Layers {
    fn new(net: &str, vars: &VarBuilder) -> candle_core::Result<Self> {
        let mlp = |sizes: &[[usize; 2]]| {
            let layer = |(i, [a, b]): (usize, &[usize; 2])| linear(*a, *b, vars.pp(i));
            sizes.iter().enumerate().map(layer).collect::<candle_core::Result<_>>()
        };
        let unit = |i: usize, inputs, outputs| Unit::new([inputs, outputs], [3, 1], &vars.pp(i));
        let head = |inputs| linear(inputs, CLASSES, vars.pp("head"));
        Ok(match net {
            "mlp" => Self::Mlp(mlp(&[[SHAPE.len(), 512], [512, 512], [512, CLASSES]])?),
            "convnet" => {
                Self::Convnet(vec![unit(0, 3, 16)?, unit(1, 16, 32)?, unit(2, 32, 64)?], head(64)?)
            }
            _ => {
                let width = if net.ends_with("64") { 64 } else { 16 };
                let stages = [(1, 1, 1), (1, 1, 1), (1, 2, 2), (2, 2, 1), (2, 4, 2), (4, 4, 1)];
                let stages = stages.into_iter().chain([(4, 8, 2), (8, 8, 1)]).enumerate();
                let block = |(i, (inputs, outputs, stride))| {
                    Residual::new([width * inputs, width * outputs], stride, &vars.pp(i + 1))
                };
                let blocks = stages.map(block).collect::<candle_core::Result<Vec<_>>>()?;
                Self::Resnet(unit(0, 3, width)?, blocks, head(8 * width)?)
            }
        })
    }

    fn forward(&self, x: &Tensor, training: bool) -> candle_core::Result<Tensor> {
        match self {
            Self::Mlp(layers) => {
                let mut x = x.flatten_from(1)?;
                for (i, layer) in layers.iter().enumerate() {
                    x = layer.forward(&if i == 0 { x } else { x.relu()? })?;
                }
                Ok(x)
            }
            Self::Convnet(units, head) => {
                let mut x = x.clone();
                for (i, unit) in units.iter().enumerate() {
                    x = if i == 0 { x } else { x.max_pool2d(2)? };
                    x = unit.forward(&x, training)?.relu()?;
                }
                head.forward(&x.mean((2, 3))?)
            }
            Self::Resnet(stem, blocks, head) => {
                let mut x = stem.forward(x, training)?.relu()?;
                for Residual { body: [first, second], shortcut } in blocks {
                    let inner = second.forward(&first.forward(&x, training)?.relu()?, training)?;
                    x = match shortcut {
                        Some(unit) => (inner + unit.forward(&x, training)?)?.relu()?,
                        None => (inner + x)?.relu()?,
                    };
                }
                head.forward(&x.mean((2, 3))?)
            }
        }
    }
}

impl Unit {
    fn new(
        [inputs, outputs]: [usize; 2],
        [kernel, stride]: [usize; 2],
        vars: &VarBuilder,
    ) -> candle_core::Result<Self> {
        let config = Conv2dConfig { padding: kernel / 2, stride, ..Conv2dConfig::default() };
        let conv = conv2d_no_bias(inputs, outputs, kernel, config, vars.pp("conv"))?;
        Ok(Self(conv, batch_norm(outputs, 1e-5, vars.pp("norm"))?))
    }

    fn forward(&self, x: &Tensor, training: bool) -> candle_core::Result<Tensor> {
        self.1.forward_t(&self.0.forward(x)?, training)
    }
}

impl Residual {
    fn new(sizes: [usize; 2], stride: usize, vars: &VarBuilder) -> candle_core::Result<Self> {
        let [_, outputs] = sizes;
        let first = Unit::new(sizes, [3, stride], &vars.pp("first"))?;
        let second = Unit::new([outputs; 2], [3, 1], &vars.pp("second"))?;
        let projected = stride > 1;
        let shortcut = projected.then(|| Unit::new(sizes, [1, stride], &vars.pp("shortcut")));
        Ok(Self { body: [first, second], shortcut: shortcut.transpose()? })
    }
}
