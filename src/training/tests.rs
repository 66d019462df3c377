//! Whole trainings on small synthetic problems.

use std::process::Command;

use sha2::{Digest, Sha256};

use super::*;
use crate::models::{Architecture, Checkpoint, ModelCard, Scaling};
use crate::recipe::{Arch, Model, Optimizer, Outputs, Train};
use crate::samples::{Inputs, Samples, Shape};
use crate::seed::Seed;
use crate::{Error, ErrorKind, Result};

const IMAGE: Shape = Shape::Image { channels: 2, height: 9, width: 8 };

fn samples(n: usize, inputs: Inputs, classes: u32) -> Samples {
    Samples {
        ids: (0..n).map(|i| format!("{i:05}")).collect(),
        labels: (0..n as u32).map(|i| i % classes).collect(),
        classes: (0..classes).map(|c| c.to_string()).collect(),
        inputs,
    }
}

/// Noise, with a bright square whose place is the class (one of four corners).
pub(super) fn images(n: usize) -> Samples {
    images_of(n, IMAGE)
}

/// Such images for a transformer: four patches and the class token.
pub(super) fn patches(n: usize) -> Samples {
    images_of(n, Shape::Image { channels: 1, height: 8, width: 8 })
}

fn images_of(n: usize, shape: Shape) -> Samples {
    let Shape::Image { height, width, .. } = shape else { panic!("no images") };
    let mut random = Seed::new(99).rng();
    let mut pixels = Vec::new();
    for i in 0..n {
        let (top, left) = (i % 4 / 2 * (height - 4), i % 2 * (width - 4));
        for p in 0..shape.len() {
            let (y, x) = (p / width % height, p % width);
            let bright = (top..top + 4).contains(&y) && (left..left + 4).contains(&x);
            pixels.push(random.below(120) as u8 + if bright { 100 } else { 0 });
        }
    }
    samples(n, Inputs::images(pixels, shape), 4)
}

/// Noise, with one feature raised: that of the class.
pub(super) fn features(n: usize) -> Samples {
    let mut random = Seed::new(98).rng();
    let value = |i: usize, j: usize, u: f32| u + if j == i % 4 { 1.0 } else { 0.0 };
    let values: Vec<f32> = (0..n * 6).map(|p| value(p / 6, p % 6, random.unit())).collect();
    samples(n, Inputs::features(&values, 6), 4)
}

pub(super) fn model(arch: Arch) -> Model {
    Model { arch, hidden: vec![32], width: 8, blocks: 2, ..Model::default() }
}

pub(super) fn recipe() -> Train {
    Train { epochs: 6, batch_size: 32, ..Train::default() }
}

/// How a transformer is trained.
pub(super) fn gentle() -> Train {
    Train { optimizer: Optimizer::Adamw, lr: 5e-4, ..recipe() }
}

/// Trains on every sample whose index is not a multiple of 3.
pub(super) fn run(
    samples: &Samples,
    model: &Model,
    recipe: &Train,
    start: Option<&Checkpoint>,
) -> Trained {
    let members: Vec<u32> = (0..samples.len() as u32).filter(|i| i % 3 != 0).collect();
    let job = Job {
        samples,
        members: &members,
        model,
        train: recipe,
        seed: Seed::new(5),
        device: "cpu",
        start,
    };
    train(&job, &mut |_, _| Ok(())).unwrap()
}

/// Clean logits of `indices`, in their order.
fn logits(checkpoint: &Checkpoint, samples: &Samples, indices: &[u32]) -> Vec<f32> {
    viewed(checkpoint, samples, indices, View::Clean)
}

fn viewed(checkpoint: &Checkpoint, samples: &Samples, indices: &[u32], view: View) -> Vec<f32> {
    let (mut seen, mut all) = (Vec::new(), Vec::new());
    let mut sink = |batch: &Batch<'_>| {
        assert!(batch.embeddings.is_none(), "nobody asked");
        seen.extend_from_slice(batch.indices);
        all.extend_from_slice(batch.logits);
        Ok(())
    };
    let request = Request { indices, view, embeddings: false };
    predict(checkpoint, samples, "cpu", &request, &mut sink).unwrap();
    assert_eq!(seen, indices);
    all
}

/// The share of unseen samples that a model gets right.
pub(super) fn accuracy(checkpoint: &Checkpoint, samples: &Samples) -> f64 {
    let unseen: Vec<u32> = (0..samples.len() as u32).filter(|i| i % 3 == 0).collect();
    let all = logits(checkpoint, samples, &unseen);
    let right = |(i, row): &(&u32, &[f32])| {
        let best = (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
        best == samples.labels[**i as usize] as usize
    };
    let rows = unseen.iter().zip(all.chunks(samples.classes.len()));
    rows.filter(right).count() as f64 / unseen.len() as f64
}

#[test]
fn every_architecture_learns_and_generalises() {
    let (images, features) = (images(900), features(900));
    let adam = Train { optimizer: Optimizer::Adamw, lr: 0.01, ..recipe() };
    let augmented = Train { crop: 1, epochs: 10, ..recipe() };
    for (samples, arch, recipe) in [
        (&features, Arch::Linear, &recipe()),
        (&features, Arch::Mlp, &recipe()),
        (&features, Arch::Mlp, &adam),
        (&images, Arch::Mlp, &recipe()),
        (&images, Arch::Convnet, &augmented),
        (&images, Arch::Convnet, &adam),
        (&images, Arch::Resnet18, &augmented),
    ] {
        let trained = run(samples, &model(arch), recipe, None);
        let (first, last) = (&trained.history[0], trained.history.last().unwrap());
        assert!(last.loss < first.loss, "{arch:?}: {:?}", trained.history);
        assert_eq!((last.epoch, last.samples), (recipe.epochs, 600));
        let accuracy = accuracy(&trained.checkpoint, samples);
        assert!(accuracy > 0.9, "{arch:?} reaches {accuracy}");
    }
}

#[test]
fn equal_jobs_give_equal_bytes_and_seeds_matter() {
    let samples = images(90);
    let recipe = Train { epochs: 2, flip: true, crop: 2, ..recipe() };
    let first = run(&samples, &model(Arch::Convnet), &recipe, None);
    assert!(first == run(&samples, &model(Arch::Convnet), &recipe, None));
    let members: Vec<u32> = (0..90).filter(|i| i % 3 != 0).collect();
    let job = Job {
        samples: &samples,
        members: &members,
        model: &model(Arch::Convnet),
        train: &recipe,
        seed: Seed::new(6),
        device: "cpu",
        start: None,
    };
    let other = train(&job, &mut |_, _| Ok(())).unwrap();
    assert!(first.checkpoint.weights != other.checkpoint.weights);
}

/// A digest of weights, history and logits of models large enough for threads to share the work.
fn digest() -> String {
    let mut hash = Sha256::new();
    let mut random = Seed::new(1).rng();
    let grey = Shape::Image { channels: 1, height: 28, width: 28 };
    let pixels = (0..300 * grey.len()).map(|_| random.below(256) as u8).collect();
    let samples = samples(300, Inputs::images(pixels, grey), 10);
    let wide = Model { hidden: vec![256], ..model(Arch::Mlp) };
    let conv = Model { width: 16, blocks: 3, ..model(Arch::Convnet) };
    let residual = Model { width: 8, ..model(Arch::Resnet18) };
    for (model, batch_size) in [(wide, 128), (conv, 64), (residual, 64)] {
        let recipe = Train { epochs: 2, batch_size, flip: true, crop: 2, ..recipe() };
        let trained = run(&samples, &model, &recipe, None);
        hash.update(&trained.checkpoint.weights);
        hash.update(serde_json::to_vec(&trained.history).unwrap());
        let all = logits(&trained.checkpoint, &samples, &(0..300).collect::<Vec<_>>());
        for z in all {
            hash.update(z.to_le_bytes());
        }
    }
    format!("digest {:x?}", hash.finalize().as_slice())
}

/// Candle asks the environment for its number of threads, so each count needs a process.
#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let name = "training::tests::bytes_do_not_depend_on_the_number_of_threads";
    if std::env::var_os("UNSEEN_TEST_DIGEST").is_some() {
        println!("{}", digest());
        return;
    }
    let with_threads = |threads: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([name, "--exact", "--nocapture"]).env("UNSEEN_TEST_DIGEST", "1");
        let out = command.env("RAYON_NUM_THREADS", threads).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        text.split('\n').find_map(|l| l.find("digest").map(|at| l[at..].to_owned())).unwrap()
    };
    let one = with_threads("1");
    assert_eq!(one, with_threads("2"));
    assert_eq!(one, with_threads("5"));
}

#[test]
fn continuing_starts_from_the_given_weights() {
    let samples = images(300);
    let model = model(Arch::Convnet);
    let first = run(&samples, &model, &recipe(), None);
    let still = Train { epochs: 1, lr: 0.0, ..recipe() };
    let same = run(&samples, &model, &still, Some(&first.checkpoint));
    assert_eq!(same.checkpoint.card, first.checkpoint.card);
    let weights = |c: &Checkpoint| {
        let net = c.net(&candle_core::Device::Cpu).unwrap();
        let trained = net.tensors().filter(|(_, role, _)| role.trained());
        trained
            .map(|(_, _, v)| v.flatten_all().unwrap().to_vec1().unwrap())
            .collect::<Vec<Vec<f32>>>()
    };
    assert_eq!(weights(&same.checkpoint), weights(&first.checkpoint));
    let more = run(&samples, &model, &Train { epochs: 1, ..recipe() }, Some(&first.checkpoint));
    assert!(more.history[0].loss < first.history[0].loss / 2.0);
    let other = Model { width: 4, ..model };
    let job = Job {
        samples: &samples,
        members: &[0, 1],
        model: &other,
        train: &recipe(),
        seed: Seed::new(0),
        device: "cpu",
        start: Some(&first.checkpoint),
    };
    assert_eq!(train(&job, &mut |_, _| Ok(())).unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// A linear model on two features: weights `[[1, 2], [-1, 0.5]]`, bias `[0.5, -3]`.
fn by_hand() -> Checkpoint {
    let bytes = |v: &[f32]| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let (weight, bias) = (bytes(&[1.0, 2.0, -1.0, 0.5]), bytes(&[0.5, -3.0]));
    let view = |shape, data| {
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, data).unwrap()
    };
    let tensors = [("head.weight", view(vec![2, 2], &weight)), ("head.bias", view(vec![2], &bias))];
    let weights = safetensors::serialize(tensors, None).unwrap();
    let scaling = Scaling { mean: vec![1.0, 0.0], std: vec![2.0, 1.0] };
    let shape = Shape::Features { width: 2 };
    Checkpoint { weights, card: ModelCard::new(Architecture::Linear, shape, 2, scaling) }
}

#[test]
fn predictions_of_a_linear_model_are_what_they_are_by_hand() {
    let samples = samples(2, Inputs::features(&[3.0, 1.0, 1.0, -2.0], 2), 2);
    assert_eq!(logits(&by_hand(), &samples, &[1, 0]), [-3.5, -4.0, 3.5, -3.5]);
}

#[test]
fn a_prediction_does_not_depend_on_its_batch() {
    let samples = images(600);
    let recipe = Train { epochs: 1, ..recipe() };
    let trained = run(&samples, &model(Arch::Convnet), &recipe, None);
    let all: Vec<u32> = (0..600).collect();
    let together = logits(&trained.checkpoint, &samples, &all);
    for i in [0, 255, 256, 599] {
        for (a, b) in
            logits(&trained.checkpoint, &samples, &[i]).iter().zip(&together[i as usize * 4..])
        {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
}

#[test]
fn training_outputs_follow_the_batch_the_view_and_the_seed() {
    let samples = images(60);
    let plain = Train { epochs: 1, ..recipe() };
    let moved = Train { flip: true, crop: 2, ..plain.clone() };
    let [norm, linear] = [Arch::Convnet, Arch::Linear]
        .map(|arch| run(&samples, &model(arch), &plain, None).checkpoint);
    let all: Vec<u32> = (0..60).collect();
    let of = |checkpoint, indices: &[u32], train, seed| {
        let seed = Seed::new(seed);
        viewed(checkpoint, &samples, indices, View::Training { train, seed: &seed })
    };
    assert_eq!(of(&norm, &all, &moved, 1), of(&norm, &all, &moved, 1));
    assert_ne!(
        of(&norm, &all, &moved, 1),
        of(&norm, &all, &moved, 2),
        "the seed decides the views"
    );
    // Batch norm sees the batch, also without augmentation.
    assert_ne!(of(&norm, &all, &plain, 1), logits(&norm, &samples, &all));
    assert_ne!(of(&norm, &all[..30], &plain, 1), of(&norm, &all, &plain, 1)[..30 * 4]);
    // Without batch norm the view is all that differs, and it is that of the sample.
    assert_eq!(of(&linear, &all, &plain, 1), logits(&linear, &samples, &all));
    let views = of(&linear, &all, &moved, 1);
    assert_ne!(views, logits(&linear, &samples, &all));
    for (a, b) in of(&linear, &[7], &moved, 1).iter().zip(&views[7 * 4..8 * 4]) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn a_single_last_sample_joins_the_batch_before_it() {
    let samples = images(257);
    let trained = run(&samples, &model(Arch::Convnet), &Train { epochs: 1, ..recipe() }, None);
    let (all, train, seed): (Vec<u32>, _, _) = ((0..257).collect(), recipe(), Seed::new(0));
    let mut sizes = Vec::new();
    let view = View::Training { train: &train, seed: &seed };
    for indices in [&all[..], &[5], &[]] {
        let mut sink = |batch: &Batch<'_>| {
            assert!(batch.logits.iter().all(|z| z.is_finite()));
            sizes.push(batch.indices.len());
            Ok(())
        };
        let request = Request { indices, view, embeddings: false };
        predict(&trained.checkpoint, &samples, "cpu", &request, &mut sink).unwrap();
    }
    assert_eq!(sizes, [257, 1]);
}

#[test]
fn training_outputs_are_those_of_a_training_step() {
    // With one batch an epoch and a rate of nearly 0, the loss of an epoch is that of its outputs.
    let samples = images(40);
    let (model, members): (_, Vec<u32>) = (model(Arch::Convnet), (0..40).collect());
    let still = Train { lr: 1e-30, epochs: 1, batch_size: 40, warmup_epochs: 0.0, ..recipe() };
    let job = Job {
        samples: &samples,
        members: &members,
        model: &model,
        train: &still,
        seed: Seed::new(5),
        device: "cpu",
        start: None,
    };
    let Trained { checkpoint, history } = train(&job, &mut |_, _| Ok(())).unwrap();
    let view = View::Training { train: &still, seed: &Seed::new(0) };
    let rows = viewed(&checkpoint, &samples, &members, view);
    let loss = |(z, label): (&[f32], &u32)| {
        let sum: f64 = z.iter().map(|z| f64::from(*z).exp()).sum();
        sum.ln() - f64::from(z[*label as usize])
    };
    let mean = rows.chunks(4).zip(&samples.labels).map(loss).sum::<f64>() / 40.0;
    assert!((mean - history[0].loss).abs() < 1e-4, "{mean} {}", history[0].loss);
}

#[test]
fn checkpoints_survive_storage_and_damage_is_noticed() {
    let trained = run(&images(60), &model(Arch::Convnet), &Train { epochs: 1, ..recipe() }, None);
    let Checkpoint { weights, card } = &trained.checkpoint;
    let json = card.to_json().unwrap();
    assert!(Checkpoint::load(weights, &json).unwrap() == trained.checkpoint);
    let refused = |weights: &[u8], json: &[u8], part: &str| {
        let error = Checkpoint::load(weights, json).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CorruptData, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    };
    refused(&weights[..weights.len() - 4], &json, "weights cannot be read");
    refused(&[], &json, "weights cannot be read");
    refused(weights, b"{}", "card cannot be read");
    let edited = |edit: &dyn Fn(&mut ModelCard)| {
        let mut card = card.clone();
        edit(&mut card);
        card.to_json().unwrap()
    };
    let convnet = |width, blocks| Architecture::Convnet { width, blocks };
    refused(weights, &edited(&|c| c.format = 9), "format 9");
    refused(weights, &edited(&|c| c.scaling.mean = vec![0.0]), "scaling");
    refused(weights, &edited(&|c| c.scaling.std[0] = 0.0), "scaling");
    refused(weights, &edited(&|c| c.classes = 5), "head");
    refused(weights, &edited(&|c| c.model = convnet(4, 2)), "blocks.0.conv.weight");
    refused(weights, &edited(&|c| c.model = convnet(8, 3)), "blocks.2");
    refused(weights, &edited(&|c| c.model = convnet(8, 1)), "head.weight");
    refused(weights, &edited(&|c| c.model = convnet(0, 1)), "no possible model");
    let mut broken = weights.clone();
    let end = broken.len();
    broken[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    refused(&broken, &json, "not finite");
}

#[test]
fn unknown_tensors_are_refused() {
    let mut checkpoint = by_hand();
    let data = [0; 4];
    let stored = safetensors::SafeTensors::deserialize(&checkpoint.weights).unwrap();
    let mut tensors = stored.tensors();
    let extra = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &data);
    tensors.push(("extra".to_owned(), extra.unwrap()));
    let weights = safetensors::serialize(tensors, None).unwrap();
    checkpoint.weights = weights;
    let error = checkpoint.net(&candle_core::Device::Cpu).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::CorruptData);
}

fn failure(samples: &Samples, members: &[u32], model: &Model, recipe: &Train) -> Error {
    let seed = Seed::new(0);
    let job = Job { samples, members, model, train: recipe, seed, device: "cpu", start: None };
    train(&job, &mut |_, _| Ok(())).unwrap_err()
}

#[test]
fn impossible_jobs_are_refused() {
    let (features, images) = (features(9), images(8));
    let kind = |s, members: &[u32], m: &Model, t: &Train| failure(s, members, m, t).kind();
    let (mlp, conv) = (model(Arch::Mlp), model(Arch::Convnet));
    assert_eq!(kind(&features, &[], &mlp, &recipe()), ErrorKind::InvalidInput);
    assert_eq!(kind(&features, &[9], &mlp, &recipe()), ErrorKind::Internal);
    assert_eq!(kind(&features, &[0], &conv, &recipe()), ErrorKind::InvalidRecipe);
    let flip = Train { flip: true, ..recipe() };
    assert_eq!(kind(&features, &[0], &mlp, &flip), ErrorKind::InvalidRecipe);
    let crop = Train { crop: 8, ..recipe() };
    assert_eq!(kind(&images, &[0], &mlp, &crop), ErrorKind::InvalidRecipe);
    let deep = Model { blocks: 5, ..conv };
    assert_eq!(kind(&images, &[0], &deep, &recipe()), ErrorKind::InvalidRecipe);
}

#[test]
fn divergence_is_an_error_that_names_the_epoch() {
    let recipe = Train { lr: 1e30, warmup_epochs: 0.0, ..recipe() };
    for arch in [Arch::Linear, Arch::Mlp] {
        let error = failure(&features(90), &[0, 1, 2, 3, 4, 5], &model(arch), &recipe);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("diverged in epoch"), "{error}");
        assert!(error.to_string().contains("train.lr"), "{error}");
    }
}

#[test]
fn a_divergence_in_the_very_last_step_is_noticed() {
    let recipe = Train { lr: 1e39, warmup_epochs: 0.0, epochs: 1, ..recipe() };
    let error = failure(&features(90), &[0, 1, 2], &model(Arch::Linear), &recipe);
    assert!(error.to_string().contains("diverged in epoch 1"), "{error}");
}

#[test]
fn one_sample_and_absent_classes_are_enough_to_train() {
    let samples = images(8);
    let (model, recipe) = (model(Arch::Convnet), recipe());
    for members in [&[3_u32][..], &[0, 4]] {
        let seed = Seed::new(0);
        let job = Job {
            samples: &samples,
            members,
            model: &model,
            train: &recipe,
            seed,
            device: "cpu",
            start: None,
        };
        let trained = train(&job, &mut |_, _| Ok(())).unwrap();
        assert!(logits(&trained.checkpoint, &samples, &[0]).iter().all(|z| z.is_finite()));
    }
}

#[test]
fn training_and_prediction_stop_when_told() {
    let samples = features(30);
    let (model, recipe) = (model(Arch::Linear), recipe());
    let members = [0, 1, 2];
    let seed = Seed::new(0);
    let job = Job {
        samples: &samples,
        members: &members,
        model: &model,
        train: &recipe,
        seed,
        device: "cpu",
        start: None,
    };
    let mut epochs = 0;
    let stopped = train(&job, &mut |_, _| {
        epochs += 1;
        Err(Error::input("enough"))
    });
    assert_eq!((stopped.unwrap_err().to_string(), epochs), ("enough".to_owned(), 1));
    let trained = run(&samples, &model, &recipe, None);
    let mut sink = |_: &Batch<'_>| -> Result<()> { Err(Error::input("full")) };
    let one = Request { indices: &[0], view: View::Clean, embeddings: false };
    let stopped = predict(&trained.checkpoint, &samples, "cpu", &one, &mut sink);
    assert_eq!(stopped.unwrap_err().to_string(), "full");
    let other = predict(&trained.checkpoint, &images(4), "cpu", &one, &mut sink);
    assert_eq!(other.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn sizes_are_counted() {
    let grey = Shape::Image { channels: 1, height: 28, width: 28 };
    let mlp = Model::default();
    assert_eq!(parameters(&mlp, grey, 10).unwrap(), 784 * 256 + 256 + 256 * 10 + 10);
    let conv = Model { arch: Arch::Convnet, ..Model::default() };
    let blocks = (9 * 16 + 32) + (9 * 16 * 32 + 64) + (9 * 32 * 64 + 128);
    assert_eq!(parameters(&conv, grey, 10).unwrap(), blocks + 64 * 10 + 10);
    let memory = |batch_size| {
        let train = Train { batch_size, ..Train::default() };
        memory_bytes(&conv, &train, (Outputs::Clean, false), grey, 10).unwrap()
    };
    assert!(memory(1024) > 3 * memory(256), "activations grow with the batch");
    assert!((20..200).contains(&(memory(128) >> 20)), "{} MiB", memory(128) >> 20);
}
