//! Whole trainings in 16 bits.

use super::tests::{accuracy, features, gentle, images, model, patches, recipe, run};
use super::*;
use crate::recipe::{Arch, Model, Optimizer, Precision, Train};
use crate::samples::Samples;

const HALVES: [Precision; 2] = [Precision::Bf16, Precision::F16];

fn trained(samples: &Samples, arch: Arch, recipe: &Train, precision: Precision) -> Trained {
    let model = Model { width: 4, ..model(arch) };
    run(samples, &model, &Train { precision, ..recipe.clone() }, None)
}

#[test]
fn trainings_in_16_bits_reach_what_those_in_32_reach() {
    let (images, features) = (images(450), features(900));
    let adam = Train { optimizer: Optimizer::Adamw, lr: 0.01, ..recipe() };
    for (samples, arch, recipe) in [
        (&features, Arch::Mlp, &recipe()),
        (&images, Arch::Mlp, &adam),
        (&images, Arch::Convnet, &adam),
    ] {
        let loss = |trained: &Trained| trained.history.last().unwrap().loss;
        let wide = trained(samples, arch, recipe, Precision::F32);
        for precision in HALVES {
            let narrow = trained(samples, arch, recipe, precision);
            let what = format!("{arch:?} in {precision:?}: {} of {}", loss(&narrow), loss(&wide));
            assert!((loss(&narrow) - loss(&wide)).abs() < 0.05 + 0.1 * loss(&wide), "{what}");
            assert!(accuracy(&narrow.checkpoint, samples) > 0.9, "{what}");
            assert_ne!(narrow.checkpoint.weights, wide.checkpoint.weights, "{what}");
            assert!(narrow == trained(samples, arch, recipe, precision), "{what}: other bytes");
        }
    }
}

/// Attention, layer norms and GELU, which the nets above have not; too few steps to learn much.
#[test]
fn transformers_in_16_bits_go_the_way_of_those_in_32() {
    let (samples, recipe) = (patches(72), Train { epochs: 3, batch_size: 16, ..gentle() });
    let losses = |trained: &Trained| -> Vec<f64> {
        trained.history.iter().map(|epoch| epoch.loss).collect()
    };
    let wide = trained(&samples, Arch::VitTiny, &recipe, Precision::F32);
    let way = losses(&wide);
    assert!(way[2] < way[0], "{way:?}");
    for precision in HALVES {
        let narrow = trained(&samples, Arch::VitTiny, &recipe, precision);
        let apart =
            losses(&narrow).iter().zip(&way).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart < 0.1, "{precision:?}: {:?} of {way:?}", losses(&narrow));
        assert_ne!(narrow.checkpoint.weights, wide.checkpoint.weights, "{precision:?}");
        let again = trained(&samples, Arch::VitTiny, &recipe, precision);
        assert!(narrow == again, "{precision:?}: other bytes");
    }
}

/// The factor is a power of two, and one layer is computed in 32 bits.
#[test]
fn scaling_the_loss_changes_no_digit() {
    let samples = features(300);
    let of = |precision| trained(&samples, Arch::Linear, &recipe(), precision);
    assert!(of(Precision::F16) == of(Precision::F32));
}

/// With a rate at which gradients overflow f16 but not f32.
#[test]
fn what_overflows_f16_says_so() {
    let samples = features(90);
    let wild = Train { lr: 1e6, warmup_epochs: 0.0, precision: Precision::F16, ..recipe() };
    let members: Vec<u32> = (0..90).collect();
    let job = Job {
        samples: &samples,
        members: &members,
        model: &model(Arch::Mlp),
        train: &wild,
        seed: crate::seed::Seed::new(5),
        device: "cpu",
        start: None,
    };
    let error = train(&job, &mut |_, _| Ok(())).unwrap_err();
    assert!(error.to_string().starts_with("training diverged"), "{error}");
}
