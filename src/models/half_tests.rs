//! Steps of training in 16 bits against the same in 32.

use super::tests::{batch, distance, gradients, values};
use super::*;
use crate::recipe::Stem;

pub(super) const IMAGE: Shape = Shape::Image { channels: 3, height: 16, width: 16 };

/// Every kind of step, in nets of few layers.
pub(super) fn nets() -> [Architecture; 6] {
    [
        Architecture::Linear,
        Architecture::Mlp { hidden: vec![48, 32] },
        Architecture::Convnet { width: 6, blocks: 3 },
        Architecture::Resnet18 { width: 4, stem: Stem::Imagenet },
        Architecture::Resnet50 { width: 2, stem: Stem::Cifar },
        Architecture::VitTiny { patch: 8 },
    ]
}

pub(super) fn net(architecture: &Architecture, device: &Device) -> Net {
    Net::new(architecture, IMAGE, 5, &Seed::new(3), device).unwrap().plain()
}

/// How far logits and the worst gradient of two nets are from each other.
pub(super) fn apart(ours: &Net, theirs: &Net, x: [&Tensor; 2]) -> [f32; 2] {
    let logits = [ours.forward(x[0], Pass::Train), theirs.forward(x[1], Pass::Train)];
    let [our_logits, their_logits] = logits.map(Result::unwrap);
    let (our, their) = (gradients(&our_logits), gradients(&their_logits));
    let trained = ours.tensors().zip(theirs.tensors()).filter(|((_, role, _), _)| role.trained());
    let worst = trained.fold(0.0_f32, |worst, ((name, _, a), (_, _, b))| {
        let gradient = our.get(a).unwrap();
        assert_eq!(gradient.dtype(), DType::F32, "{name}");
        worst.max(distance(gradient, their.get(b).unwrap()))
    });
    [distance(&our_logits, &their_logits), worst]
}

#[test]
fn steps_in_16_bits_are_near_those_in_32_and_their_gradients_are_f32() {
    let x = batch(IMAGE, 6);
    for architecture in nets() {
        for (precision, logits, gradient) in
            [(Precision::Bf16, 0.08, 0.4), (Precision::F16, 0.01, 0.05)]
        {
            let wide = net(&architecture, &Device::Cpu);
            let narrow = net(&architecture, &Device::Cpu).training_in(precision);
            let apart = apart(&narrow, &wide, [&x, &x]);
            let what = format!("{architecture:?} in {precision:?}: {apart:?}");
            assert!(apart[0] < logits && apart[1] < gradient, "{what}");
            assert_eq!(apart == [0.0; 2], architecture == Architecture::Linear, "{what}");
            for ((name, _, a), (_, _, b)) in narrow.tensors().zip(wide.tensors()) {
                assert_eq!(a.dtype(), DType::F32);
                assert!(distance(a, b) < logits, "{what}: {name}");
            }
        }
    }
}

#[test]
fn all_other_passes_are_in_32_bits() {
    let x = batch(IMAGE, 6);
    for architecture in nets() {
        let of = |precision| {
            let net = Net::new(&architecture, IMAGE, 5, &Seed::new(3), &Device::Cpu).unwrap();
            let net = net.training_in(precision);
            [Pass::Batch, Pass::Clean].map(|pass| {
                let (logits, embeddings) = net.forward_embedding(&x, pass).unwrap();
                [values(&logits), values(&embeddings)]
            })
        };
        assert_eq!(of(Precision::F16), of(Precision::F32), "{architecture:?}");
    }
}
