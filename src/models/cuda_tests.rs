//! Nets on a CUDA device against the CPU. They need a device: CONTRIBUTING says how to run them.

use super::half_tests::{IMAGE, apart, assert_near, net, nets};
use super::tests::{batch, distance};
use super::*;
use crate::models::{is_full, open};

fn device() -> Device {
    open("cuda").unwrap()
}

/// To a thousandth, as the two ways of the CPU.
#[test]
fn nets_have_the_outputs_gradients_and_statistics_of_the_cpu() {
    let (device, x) = (device(), batch(IMAGE, 6));
    let there = x.to_device(&device).unwrap();
    for architecture in nets() {
        let (ours, theirs) = (net(&architecture, &device), net(&architecture, &Device::Cpu));
        let apart = apart(&ours, &theirs, [&there, &x]);
        assert_near(&architecture, Precision::F32, apart);
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
        for precision in [Precision::Bf16, Precision::F16] {
            let narrow = net(&architecture, &device).training_in(precision);
            let apart = apart(&narrow, &net(&architecture, &Device::Cpu), [&there, &x]);
            assert_near(&architecture, precision, apart);
        }
    }
}

#[test]
fn a_device_without_room_says_so() {
    let error = Tensor::zeros((1 << 20, 1 << 20), DType::F32, &device()).unwrap_err();
    assert!(is_full(&error.into()), "4 TiB");
}
