//! Embeddings, and looking at a model in the midst of its training.

use super::tests::{features, images, model, recipe, run};
use super::*;
use crate::models::Checkpoint;
use crate::recipe::Arch;
use crate::samples::{Samples, floats};
use crate::seed::Seed;

/// Clean logits and embeddings of all samples.
fn outputs(checkpoint: &Checkpoint, samples: &Samples) -> (Vec<f32>, Vec<f32>) {
    let indices: Vec<u32> = (0..samples.len() as u32).collect();
    let request = Request { indices: &indices, view: View::Clean, embeddings: true };
    let (mut logits, mut embeddings) = (Vec::new(), Vec::new());
    predict(checkpoint, samples, "cpu", &request, &mut |batch| {
        logits.extend_from_slice(batch.logits);
        embeddings.extend_from_slice(batch.embeddings.unwrap());
        Ok(())
    })
    .unwrap();
    (logits, embeddings)
}

/// A tensor of a checkpoint.
fn tensor(checkpoint: &Checkpoint, name: &str) -> Vec<f32> {
    let stored = safetensors::SafeTensors::deserialize(&checkpoint.weights).unwrap();
    floats(stored.tensor(name).unwrap().data()).collect()
}

#[test]
fn the_last_layer_makes_logits_of_embeddings() {
    for (samples, arch, width, head) in [
        (&features(300), Arch::Linear, 6, "head"),
        (&features(300), Arch::Mlp, 32, "head"),
        (&images(300), Arch::Convnet, 16, "head"),
        (&images(300), Arch::Resnet34, 64, "fc"),
    ] {
        let (model, recipe) = (model(arch), recipe());
        let shape = samples.inputs.shape();
        assert_eq!(embedding_width(&model, shape, 4).unwrap(), width);
        let checkpoint = run(samples, &model, &recipe, None).checkpoint;
        let (logits, embeddings) = outputs(&checkpoint, samples);
        assert_eq!(embeddings.len(), samples.len() * width, "{arch:?}");
        let weight = tensor(&checkpoint, &format!("{head}.weight"));
        let bias = tensor(&checkpoint, &format!("{head}.bias"));
        for (z, h) in logits.chunks(4).zip(embeddings.chunks(width)) {
            for (class, z) in z.iter().enumerate() {
                let row = &weight[class * width..(class + 1) * width];
                let sum: f32 = row.iter().zip(h).map(|(w, h)| w * h).sum::<f32>() + bias[class];
                assert!((sum - z).abs() <= 1e-4 * (1.0 + z.abs()), "{arch:?}: {sum} and {z}");
            }
        }
    }
}

#[test]
fn the_embedding_of_a_linear_model_is_its_scaled_input() {
    let samples = features(90);
    let checkpoint = run(&samples, &model(Arch::Linear), &recipe(), None).checkpoint;
    let (_, embeddings) = outputs(&checkpoint, &samples);
    let scaling = &checkpoint.card.scaling;
    let mut buffer = Vec::new();
    for (i, row) in embeddings.chunks(6).enumerate() {
        let input = floats(samples.inputs.get(i as u32, &mut buffer).unwrap());
        for (j, x) in input.enumerate() {
            assert_eq!(row[j].to_bits(), ((x - scaling.mean[j]) / scaling.std[j]).to_bits());
        }
    }
}

#[test]
fn looking_changes_nothing_and_sees_the_model_of_the_epoch() {
    let samples = images(120);
    let (model, recipe) = (model(Arch::Convnet), recipe());
    let members: Vec<u32> = (0..120).filter(|i| i % 3 != 0).collect();
    let unseen: Vec<u32> = (0..120).filter(|i| i % 3 == 0).collect();
    let augmented = crate::recipe::Train { crop: 2, flip: true, ..recipe.clone() };
    let seed = Seed::new(3);
    for view in [View::Clean, View::Training { train: &augmented, seed: &seed }] {
        let job = Job {
            samples: &samples,
            members: &members,
            model: &model,
            train: &recipe,
            seed: Seed::new(5),
            device: "cpu",
            start: None,
        };
        let mut looks = Vec::new();
        let watched = train(&job, &mut |epoch, model| {
            let request = Request { indices: &unseen, view, embeddings: false };
            let mut logits = Vec::new();
            model.predict(&request, &mut |batch| {
                logits.extend_from_slice(batch.logits);
                Ok(())
            })?;
            looks.push((epoch.epoch, logits));
            Ok(())
        })
        .unwrap();
        assert!(watched == run(&samples, &model, &recipe, None), "{view:?}");
        assert_eq!(looks.len(), recipe.epochs);
        assert_ne!(looks[0].1, looks[1].1);
        let mut last = Vec::new();
        let request = Request { indices: &unseen, view, embeddings: false };
        predict(&watched.checkpoint, &samples, "cpu", &request, &mut |batch| {
            last.extend_from_slice(batch.logits);
            Ok(())
        })
        .unwrap();
        assert_eq!(looks.pop(), Some((recipe.epochs, last)), "{view:?}");
    }
}
