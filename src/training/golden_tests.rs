//! Steps of SGD against PyTorch: `tests/golden/generate_nets.py` wrote the numbers.

use candle_core::Device;

use super::loss;
use super::optimizer::Optimizer;
use crate::models::golden_tests::{CLASSES, Golden, assert_close};
use crate::models::{Architecture, Net, Pass};
use crate::recipe::Train;

/// Three steps with Nesterov momentum and weight decay: weights and running statistics.
#[test]
fn steps_of_sgd_agree_with_pytorch() {
    let golden = Golden::read("convnet");
    let train = Train { momentum: 0.9, nesterov: true, weight_decay: 0.01, ..Train::default() };
    let net = Architecture::Convnet { width: 4, blocks: 3 };
    let weights = |p: &_| Ok(golden.weights(p));
    let net = Net::build(&net, golden.shape(), CLASSES, &Device::Cpu, weights).unwrap();
    let mut optimizer = Optimizer::new(&train);
    for _ in 0..3 {
        let logits = net.forward(&golden.inputs(), Pass::Train).unwrap();
        let loss = loss::cross_entropy(&logits, &golden.labels(), 1.0).unwrap();
        optimizer.step(&net, &net.backward(&loss.objective).unwrap(), 0.05).unwrap();
    }
    for (name, _, var) in net.tensors() {
        assert_close(var, golden.get(&format!("stepped.{name}")), 5e-4, name);
    }
}
