//! Nets on a CUDA device against the CPU. They need a device: CONTRIBUTING says how to run them.

use super::half_tests::{IMAGE, apart, net, nets};
use super::tests::{batch, distance};
use super::*;
use crate::models::{is_full, open};

fn device() -> Device {
    open("cuda").unwrap()
}

/// All numbers within a thousandth of the largest of their tensor, as the two ways of the CPU.
#[test]
fn nets_have_the_outputs_gradients_and_statistics_of_the_cpu() {
    let (device, x) = (device(), batch(IMAGE, 6));
    let there = x.to_device(&device).unwrap();
    for architecture in nets() {
        let (ours, theirs) = (net(&architecture, &device), net(&architecture, &Device::Cpu));
        let apart = apart(&ours, &theirs, [&there, &x]);
        assert!(apart[0] < 1e-3 && apart[1] < 1e-3, "{architecture:?}: {apart:?}");
        for ((name, _, a), (_, _, b)) in ours.tensors().zip(theirs.tensors()) {
            assert!(distance(a, b) < 1e-3, "{architecture:?}: {name}");
        }
        for pass in [Pass::Batch, Pass::Clean] {
            let [a, b] = [(&ours, &there), (&theirs, &x)].map(|(n, x)| n.forward(x, pass).unwrap());
            assert!(distance(&a, &b) < 1e-3, "{architecture:?}: {pass:?}");
        }
    }
}

/// As far from 32 bits as on the CPU.
#[test]
fn steps_in_16_bits_are_near_those_in_32() {
    let (device, x) = (device(), batch(IMAGE, 6));
    let there = x.to_device(&device).unwrap();
    for architecture in nets() {
        for (precision, logits, gradient) in
            [(Precision::Bf16, 0.08, 0.4), (Precision::F16, 0.01, 0.05)]
        {
            let narrow = net(&architecture, &device).training_in(precision);
            let apart = apart(&narrow, &net(&architecture, &Device::Cpu), [&there, &x]);
            let what = format!("{architecture:?} in {precision:?}: {apart:?}");
            assert!(apart[0] < logits && apart[1] < gradient, "{what}");
        }
    }
}

#[test]
fn a_device_without_room_says_so() {
    let error = Tensor::zeros((1 << 20, 1 << 20), DType::F32, &device()).unwrap_err();
    assert!(is_full(&error.into()), "4 TiB");
}
