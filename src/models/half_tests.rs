//! Steps of training in 16 bits against the same in 32.

use super::tests::{batch, distance, gradients, values};
use super::*;
use crate::recipe::Stem;

pub(super) const IMAGE: Shape = Shape::Image { channels: 3, height: 16, width: 16 };

/// Every kind of step, in nets of few layers.
pub(super) fn nets() -> [Architecture; 5] {
    [
        Architecture::Linear,
        Architecture::Mlp { hidden: vec![48, 32] },
        Architecture::Convnet { width: 6, blocks: 3 },
        Architecture::Resnet18 { width: 4, stem: Stem::Imagenet },
        Architecture::VitTiny { patch: 8 },
    ]
}

pub(super) fn net(architecture: &Architecture, device: &Device) -> Net {
    Net::new(architecture, IMAGE, 5, &Seed::new(3), device).unwrap().plain()
}

/// How far logits (the largest difference as a share of the largest) and gradients (the length of the
/// difference as a share of theirs, over all tensors) of two nets are from each other.
pub(super) fn apart(ours: &Net, theirs: &Net, x: [&Tensor; 2]) -> [f32; 2] {
    let logits = [ours.forward(x[0], Pass::Train), theirs.forward(x[1], Pass::Train)];
    let [our_logits, their_logits] = logits.map(Result::unwrap);
    let (our, their) = (gradients(ours, &our_logits), gradients(theirs, &their_logits));
    let (mut difference, mut length) = (0.0, 0.0);
    let trained = ours.tensors().zip(theirs.tensors()).filter(|((_, role, _), _)| role.trained());
    for ((name, _, a), (_, _, b)) in trained {
        let (a, b) = (our.get(a).unwrap(), their.get(b).unwrap());
        assert_eq!(a.dtype(), DType::F32, "{name}");
        for (a, b) in values(a).iter().zip(&values(b)) {
            difference += (a - b).powi(2);
            length += b.powi(2);
        }
    }
    [distance(&our_logits, &their_logits), (difference / length).sqrt()]
}

/// Steps in 16 bits are as near to those in 32 as 8 and 11 digits go. Gradients differ most where rounding
/// lets another pixel win a pooling or pass a ReLU; 18 batch norms of few values amplify that too far for
/// bf16 to say anything about them.
pub(super) fn assert_near(architecture: &Architecture, precision: Precision, apart: [f32; 2]) {
    let deep = matches!(architecture, Architecture::Resnet18 { .. });
    let most = match precision {
        Precision::F32 => [1e-3, 1e-3],
        Precision::F16 => [0.01, 0.1],
        Precision::Bf16 => [0.1, if deep { f32::INFINITY } else { 0.3 }],
    };
    let near = apart[0] < most[0] && apart[1] < most[1];
    assert!(near, "{architecture:?} in {precision:?}: {apart:?}");
}

#[test]
fn steps_in_16_bits_are_near_those_in_32_and_their_gradients_are_f32() {
    let x = batch(IMAGE, 6);
    for architecture in nets() {
        for precision in [Precision::Bf16, Precision::F16] {
            let wide = net(&architecture, &Device::Cpu);
            let narrow = net(&architecture, &Device::Cpu).training_in(precision);
            let apart = apart(&narrow, &wide, [&x, &x]);
            assert_near(&architecture, precision, apart);
            let same = apart[0] + apart[1] == 0.0;
            assert_eq!(same, architecture == Architecture::Linear, "{apart:?}");
            for ((name, _, a), (_, _, b)) in narrow.tensors().zip(wide.tensors()) {
                assert_eq!(a.dtype(), DType::F32);
                assert!(distance(a, b) < 0.2, "{architecture:?} in {precision:?}: {name}");
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
