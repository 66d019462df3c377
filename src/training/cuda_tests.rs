//! Trainings on CUDA devices against the CPU. They need a device: CONTRIBUTING says how to run them.

use std::thread;

use super::tests::{features, gentle, images, model, patches, recipe};
use super::*;
use crate::models::{Checkpoint, devices};
use crate::recipe::{Arch, Model, Precision, Train};
use crate::samples::Samples;
use crate::seed::Seed;

/// Something to learn, a model and how it is trained.
type Problem = (Samples, Model, Train);

/// Every architecture and something for it to learn.
fn problems() -> Vec<Problem> {
    let of_images = [Arch::Convnet, Arch::Resnet18, Arch::Resnet34, Arch::Resnet50].map(model);
    let of_images = of_images.into_iter().map(|model| (images(300), model, recipe()));
    let of_features = [Arch::Linear, Arch::Mlp].map(|arch| (features(300), model(arch), recipe()));
    let of_patches = [(patches(300), model(Arch::VitTiny), gentle())];
    of_images.chain(of_features).chain(of_patches).collect()
}

fn trained(problem: &Problem, precision: Precision, device: &str) -> Trained {
    let members: Vec<u32> = (0..200).collect();
    let (samples, model, train) = problem;
    let train = &Train { precision, ..train.clone() };
    let seed = Seed::new(5);
    let job = Job { samples, members: &members, model, train, seed, device, start: None };
    super::train(&job, &mut |_, _| Ok(())).unwrap()
}

fn logits(checkpoint: &Checkpoint, samples: &Samples, device: &str) -> Vec<f32> {
    let indices: Vec<u32> = (200..300).collect();
    let request = Request { indices: &indices, view: View::Clean, embeddings: false };
    let mut all = Vec::new();
    let mut sink = |batch: &Batch<'_>| {
        all.extend_from_slice(batch.logits);
        Ok(())
    };
    predict(checkpoint, samples, device, &request, &mut sink).unwrap();
    all
}

/// A model gives the same logits to a thousandth of the largest.
#[test]
fn scoring_agrees_with_the_cpu() {
    for problem in problems() {
        let checkpoint = trained(&problem, Precision::F32, "cuda").checkpoint;
        let [ours, theirs] = ["cuda", "cpu"].map(|device| logits(&checkpoint, &problem.0, device));
        let largest = theirs.iter().fold(1e-6_f32, |most, z| most.max(z.abs()));
        let same = ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-3 * largest);
        assert!(same, "{:?}", problem.1.arch);
    }
}

/// Training amplifies what is rounded otherwise, so only losses are compared: to a tenth, and 0.05.
#[test]
fn trainings_in_every_precision_reach_the_loss_of_the_cpu() {
    for problem in problems() {
        let loss = |trained: &Trained| trained.history.last().unwrap().loss;
        let theirs = loss(&trained(&problem, Precision::F32, "cpu"));
        for precision in [Precision::F32, Precision::Bf16, Precision::F16] {
            let ours = loss(&trained(&problem, precision, "cuda"));
            let what = format!("{:?} in {precision:?}: {ours} of {theirs}", problem.1.arch);
            assert!((ours - theirs).abs() < 0.05 + 0.1 * theirs, "{what}");
        }
    }
}

/// On a machine with one device both lie on that one.
#[test]
fn trainings_side_by_side_do_not_disturb_each_other() {
    let devices = devices("cuda").unwrap();
    let problem = &(images(300), model(Arch::Convnet), recipe());
    let loss = |device: &str| trained(problem, Precision::F32, device).history[5].loss;
    let alone = loss(&devices[0]);
    thread::scope(|scope| {
        let both = [0, 1].map(|place| &devices[place % devices.len()]);
        let loss = &loss;
        for side in both.map(|device| scope.spawn(move || loss(device))) {
            let beside = side.join().unwrap();
            assert!((beside - alone).abs() < 0.05 + 0.1 * alone, "{beside} {alone}");
        }
    });
}
