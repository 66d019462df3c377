//! Nets and layers against PyTorch: `tests/golden/generate_nets.py` wrote the numbers, in f64.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use safetensors::{Dtype, SafeTensors};

use super::net::{Net, Pass};
use super::plan::{Architecture, Parameter, Step, Vit};
use super::{ops, transformer};
use crate::recipe::Stem;
use crate::samples::Shape;

pub(crate) const CLASSES: usize = 5;

/// The tensors of one golden file by name; bytes as numbers.
pub(crate) struct Golden(BTreeMap<String, Tensor>);

impl Golden {
    pub(crate) fn read(name: &str) -> Self {
        let root = env!("CARGO_MANIFEST_DIR");
        let bytes = std::fs::read(format!("{root}/tests/golden/nets/{name}.safetensors")).unwrap();
        let tensor = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
            let values: Vec<f32> = match view.dtype() {
                Dtype::U8 => view.data().iter().map(|b| f32::from(*b)).collect(),
                _ => view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            };
            (name, Tensor::from_vec(values, view.shape(), &Device::Cpu).unwrap())
        };
        Self(SafeTensors::deserialize(&bytes).unwrap().tensors().into_iter().map(tensor).collect())
    }

    pub(crate) fn get(&self, name: &str) -> &Tensor {
        self.0.get(name).unwrap_or_else(|| panic!("no golden {name}"))
    }

    /// The tensors below a prefix, with the rest of their names.
    fn below(&self, prefix: &str) -> Vec<(&str, &Tensor)> {
        let parts = self.0.iter();
        parts.filter_map(|(name, t)| Some((name.strip_prefix(prefix)?, t))).collect()
    }

    pub(crate) fn shape(&self) -> Shape {
        let (_, channels, height, width) = self.get("pixels").dims4().unwrap();
        Shape::Image { channels, height, width }
    }

    /// `[batch, numbers]`.
    pub(crate) fn inputs(&self) -> Tensor {
        let pixels = self.get("pixels").flatten_from(1).unwrap();
        ((pixels / 255.0).unwrap() - 0.5).unwrap().affine(4.0, 0.0).unwrap()
    }

    pub(crate) fn labels(&self) -> Vec<u32> {
        numbers(self.get("labels")).iter().map(|label| *label as u32).collect()
    }

    /// The weights that the file begins with.
    pub(crate) fn weights(&self, parameter: &Parameter) -> Vec<f32> {
        let weights = self.get(&format!("weights.{}", parameter.name));
        assert_eq!(weights.dims(), parameter.shape, "{}", parameter.name);
        numbers(weights)
    }

    fn net(&self, steps: Vec<Step>) -> Net {
        let given = self.below("weights.").len();
        assert_eq!(steps.iter().flat_map(Step::parameters).count(), given);
        Net::of(steps, self.shape(), &Device::Cpu, |p| Ok(self.weights(p))).unwrap()
    }
}

pub(crate) fn numbers(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// The largest difference is below `tolerance` of the largest number, or of 1e-3 if all are smaller.
pub(crate) fn assert_close(ours: &Tensor, theirs: &Tensor, tolerance: f32, what: &str) {
    assert_eq!(ours.dims(), theirs.dims(), "{what}");
    let (ours, theirs) = (numbers(ours), numbers(theirs));
    let largest = theirs.iter().fold(1e-3_f32, |most, v| most.max(v.abs()));
    let differences = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs() / largest);
    let worst = differences.fold(0.0, |most, d| if d > most || d.is_nan() { d } else { most });
    assert!(worst < tolerance, "{what}: {worst}");
}

/// Logits to 1e-4 and gradients to 5e-4 of the largest number, on both paths where there are two.
fn check(name: &str, steps: &[Step]) {
    let golden = Golden::read(name);
    let net = || golden.net(steps.to_vec());
    let nets = [("as it is", net()), ("operation by operation", net().plain())];
    for (path, net) in nets {
        let close = |ours: &Tensor, theirs: &str, tolerance| {
            assert_close(ours, golden.get(theirs), tolerance, &format!("{name} {path}: {theirs}"));
        };
        let x = golden.inputs();
        close(&net.forward(&x, Pass::Clean).unwrap(), "logits.clean", 1e-4);
        let logits = net.forward(&x, Pass::Train).unwrap();
        close(&logits, "logits.train", 1e-4);
        let labels = Tensor::new(golden.labels(), &Device::Cpu).unwrap();
        let loss = candle_nn::loss::cross_entropy(&logits.contiguous().unwrap(), &labels).unwrap();
        let gradients = net.backward(&loss).unwrap();
        for (name, role, var) in net.tensors() {
            if role.trained() {
                close(gradients.get(var).unwrap(), &format!("gradients.{name}"), 5e-4);
            } else {
                close(var, &format!("statistics.{name}"), 1e-4);
            }
        }
    }
}

#[test]
fn convolution_nets_agree_with_pytorch() {
    for (name, net) in [
        ("convnet", Architecture::Convnet { width: 4, blocks: 3 }),
        ("resnet18", Architecture::Resnet18 { width: 2, stem: Stem::Cifar }),
        ("resnet50", Architecture::Resnet50 { width: 2, stem: Stem::Cifar }),
        ("resnet18_imagenet", Architecture::Resnet18 { width: 2, stem: Stem::Imagenet }),
    ] {
        check(name, &net.steps(Golden::read(name).shape(), CLASSES).unwrap());
    }
}

#[test]
fn a_vision_transformer_agrees_with_timm() {
    let vit = Vit { patch: 4, width: 12, depth: 2, heads: 3 };
    check("vit", &vit.steps(Golden::read("vit").shape(), CLASSES).unwrap());
}

/// Outputs and all gradients of a layer, to 2e-5 of the largest number.
fn check_layer(name: &str, f: impl Fn(&Tensor, &BTreeMap<String, Var>) -> Tensor) {
    let golden = Golden::read("layers");
    let of = |part: &str| golden.get(&format!("{name}.{part}"));
    let x = Var::from_tensor(of("x")).unwrap();
    let prefix = format!("{name}.weights.");
    let weights = golden.below(&prefix).into_iter();
    let weights: BTreeMap<_, _> =
        weights.map(|(part, t)| (part.to_owned(), Var::from_tensor(t).unwrap())).collect();
    let y = f(&x, &weights);
    assert_close(&y, of("y"), 2e-5, name);
    let gradients = (y * of("along")).unwrap().sum_all().unwrap().backward().unwrap();
    let by = |gradients: &GradStore, var: &Var| gradients.get(var).unwrap().clone();
    assert_close(&by(&gradients, &x), of("dx"), 2e-5, &format!("{name} by x"));
    for (part, var) in &weights {
        let theirs = of(&format!("gradients.{part}"));
        assert_close(&by(&gradients, var), theirs, 2e-5, &format!("{name} by {part}"));
    }
}

/// Our convolutions and pools are channel-major.
fn turned(t: &Tensor) -> Tensor {
    t.transpose(0, 1).unwrap().contiguous().unwrap()
}

#[test]
fn layers_of_convolution_nets_agree_with_pytorch() {
    for (name, stride) in
        [("conv3s1", 1), ("conv3s2", 2), ("conv1s1", 1), ("conv1s2", 2), ("conv7s2", 2)]
    {
        check_layer(name, |x, of| turned(&ops::conv(&turned(x), &of["weight"], stride).unwrap()));
    }
    for (name, kernel) in [("pool2", 2), ("pool3", 3)] {
        check_layer(name, |x, _| turned(&ops::max_pool(&turned(x), kernel).unwrap()));
    }
    check_layer("batch_norm", |x, of| {
        let x = turned(x);
        let (mean, var) = ops::moments(&x).unwrap();
        turned(&ops::norm(&x, (&mean, &var), &of["weight"], &of["bias"]).unwrap())
    });
}

#[test]
fn layers_of_transformers_agree_with_pytorch() {
    let affine = |of: &BTreeMap<String, Var>, name: &str| {
        ["weight", "bias"].map(|part| of[&format!("{name}{part}")].as_tensor().clone())
    };
    check_layer("gelu", |x, _| x.gelu_erf().unwrap());
    check_layer("layer_norm", |x, of| transformer::norm(x, &affine(of, "")).unwrap());
    check_layer("block", |x, of| {
        let block = transformer::Block {
            norm1: affine(of, "norm1."),
            qkv: affine(of, "attn.qkv."),
            proj: affine(of, "attn.proj."),
            norm2: affine(of, "norm2."),
            fc1: affine(of, "mlp.fc1."),
            fc2: affine(of, "mlp.fc2."),
        };
        transformer::block(x, &block, 3).unwrap()
    });
}
