//! The fast path against the plain one.

use candle_core::backprop::GradStore;

use super::*;
use crate::recipe::Stem;

const COLOUR: Shape = Shape::Image { channels: 3, height: 13, width: 10 };

/// One net twice, the second time without `fast`.
fn both(architecture: &Architecture) -> [Net; 2] {
    let net = || Net::new(architecture, COLOUR, 5, &Seed::new(3), &Device::Cpu).unwrap();
    let dense = matches!(architecture, Architecture::Linear | Architecture::Mlp { .. });
    assert!(net().body.is_some() != dense && net().dense.is_some(), "{architecture:?}");
    [net(), net().plain()]
}

pub(super) fn batch(shape: Shape, count: usize) -> Tensor {
    let mut random = Seed::new(4).rng();
    let values = (0..count * shape.len()).map(|_| 2.0 * random.unit() - 1.0);
    Tensor::from_vec(values.collect::<Vec<_>>(), (count, shape.len()), &Device::Cpu).unwrap()
}

pub(super) fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// The largest difference is below a thousandth of the largest number.
fn assert_close(ours: &Tensor, theirs: &Tensor, what: &str) {
    let distance = distance(ours, theirs);
    assert!(distance < 1e-3, "{what}: {distance}");
}

/// The largest difference as a share of the largest number.
pub(super) fn distance(ours: &Tensor, theirs: &Tensor) -> f32 {
    assert_eq!(ours.dims(), theirs.dims());
    let (ours, theirs) = (values(ours), values(theirs));
    let largest = theirs.iter().fold(1e-6_f32, |most, v| most.max(v.abs()));
    // `max` would drop what is no number.
    let wider = |most: f32, (a, b): (&f32, &f32)| {
        let apart = (a - b).abs();
        if apart <= most { most } else { apart }
    };
    ours.iter().zip(&theirs).fold(0.0, wider) / largest
}

/// Gradients of a loss that weighs every logit differently.
pub(super) fn gradients(net: &Net, logits: &Tensor) -> GradStore {
    let weights: Vec<f32> = (0..logits.elem_count()).map(|i| (i * 7 % 11) as f32 - 4.7).collect();
    let weights = Tensor::from_vec(weights, logits.shape(), logits.device()).unwrap();
    net.backward(&(logits * weights).unwrap().sum_all().unwrap()).unwrap()
}

fn nets() -> [Architecture; 6] {
    [
        Architecture::Linear,
        Architecture::Mlp { hidden: vec![40, 9] },
        Architecture::Convnet { width: 6, blocks: 3 },
        Architecture::Resnet18 { width: 5, stem: Stem::Cifar },
        Architecture::Resnet34 { width: 3, stem: Stem::Imagenet },
        Architecture::Resnet50 { width: 2, stem: Stem::Cifar },
    ]
}

#[test]
fn both_paths_have_the_same_outputs_gradients_and_statistics() {
    for architecture in nets() {
        let ([fast, plain], x) = (both(&architecture), batch(COLOUR, 7));
        let what = |part: &str| format!("{architecture:?}: {part}");
        for pass in [Pass::Train, Pass::Batch, Pass::Clean] {
            let (ours, our_embeddings) = fast.forward_embedding(&x, pass).unwrap();
            let (theirs, their_embeddings) = plain.forward_embedding(&x, pass).unwrap();
            assert_close(&ours, &theirs, &what(&format!("logits of {pass:?}")));
            assert_close(&our_embeddings, &their_embeddings, &what(&format!("{pass:?}")));
            assert_eq!(ours.track_op(), pass == Pass::Train);
            if pass == Pass::Train {
                let (our, their) = (gradients(&fast, &ours), gradients(&plain, &theirs));
                for ((name, role, a), (_, _, b)) in fast.tensors().zip(plain.tensors()) {
                    if role.trained() {
                        assert_close(our.get(a).unwrap(), their.get(b).unwrap(), &what(name));
                    }
                }
            }
        }
        for ((name, _, ours), (_, _, theirs)) in fast.tensors().zip(plain.tensors()) {
            assert_close(ours, theirs, &what(name));
        }
    }
}

/// Whatever was laid out for one batch is that of the next.
#[test]
fn passes_one_after_another_have_the_bits_of_single_ones() {
    let (first, second) = (batch(COLOUR, 3), batch(COLOUR, 20));
    for architecture in nets() {
        let [net, _] = both(&architecture);
        net.forward(&second, Pass::Train).unwrap();
        for pass in [Pass::Batch, Pass::Clean] {
            let passes = net.passes(pass).unwrap();
            for x in [&first, &second, &first] {
                let (logits, embeddings) = passes.outputs(x).unwrap();
                let single = net.forward_embedding(x, pass).unwrap();
                let both = [values(&logits), values(&embeddings)];
                assert!(both == [values(&single.0), values(&single.1)], "{architecture:?}");
            }
        }
    }
}

#[test]
fn only_training_moves_running_statistics() {
    let [net, _] = both(&nets()[2]);
    let state = || net.tensors().map(|(_, _, var)| values(var)).collect::<Vec<_>>();
    let before = state();
    net.forward(&batch(COLOUR, 4), Pass::Batch).unwrap();
    net.forward(&batch(COLOUR, 4), Pass::Clean).unwrap();
    assert_eq!(state(), before);
    net.forward(&batch(COLOUR, 4), Pass::Train).unwrap();
    assert_ne!(state(), before);
}
