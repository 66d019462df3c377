//! The operation against the same nets by Candle's own operations.

use candle_core::{Device, Tensor, Var};

use super::tests::{Case, conv, convnet, error, resnet, size, wide};
use super::{Backbone, Layer};

/// The same net by Candle's own differentiable operations, with a pooling whose gradient is right.
struct Plain<'a> {
    theta: &'a Tensor,
    at: usize,
}

impl Plain<'_> {
    fn take(&mut self, shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        self.at += count;
        self.theta.narrow(0, self.at - count, count).unwrap().reshape(shape).unwrap()
    }

    fn chain(&mut self, mut x: Tensor, layers: &[Layer]) -> Tensor {
        for layer in layers {
            x = match layer {
                Layer::Conv { outputs, kernel, stride, relu } => {
                    let weight = self.take(&[*outputs, x.dim(1).unwrap(), *kernel, *kernel]);
                    let y = x.conv2d(&weight, kernel / 2, *stride, 1, 1).unwrap();
                    let z = self.norm(&y);
                    if *relu { z.relu().unwrap() } else { z }
                }
                Layer::Pool { .. } => pool(&x),
                Layer::Residual { body, shortcut } => {
                    let sum = self.chain(x.clone(), body);
                    (sum + self.chain(x, shortcut)).unwrap().relu().unwrap()
                }
            };
        }
        x
    }

    fn norm(&mut self, y: &Tensor) -> Tensor {
        let channels = y.dim(1).unwrap();
        let shape = [1, channels, 1, 1];
        let (scale, offset) = (self.take(&shape), self.take(&shape));
        let centred = y.broadcast_sub(&y.mean_keepdim((0, 2, 3)).unwrap()).unwrap();
        let variance = centred.sqr().unwrap().mean_keepdim((0, 2, 3)).unwrap();
        let deviation = (variance + 1e-5).unwrap().sqrt().unwrap();
        let normal = centred.broadcast_div(&deviation).unwrap();
        normal.broadcast_mul(&scale).unwrap().broadcast_add(&offset).unwrap()
    }
}

fn pool(x: &Tensor) -> Tensor {
    let (n, c, height, width) = x.dims4().unwrap();
    let (h, w) = (height / 2, width / 2);
    let x = x.narrow(2, 0, 2 * h).unwrap().narrow(3, 0, 2 * w).unwrap().contiguous().unwrap();
    x.reshape((n * c, h, 2, w, 2))
        .unwrap()
        .max(4)
        .unwrap()
        .max(2)
        .unwrap()
        .reshape((n, c, h, w))
        .unwrap()
}

#[test]
fn the_operation_agrees_with_candles_own() {
    for (size, layers, images) in
        [(size(1, 28, 28), convnet(16, 3), 12), (size(3, 16, 16), resnet(16, [2, 2, 2, 2]), 6)]
    {
        let case = Case::new(size, layers, images, 81);
        let shape = (images, size.channels, size.height, size.width);
        let x = Tensor::from_vec(case.x.clone(), shape, &Device::Cpu).unwrap();
        let theta = Var::from_vec(case.theta.clone(), case.theta.len(), &Device::Cpu).unwrap();
        let backbone = Backbone::new(case.plan.clone()).unwrap();
        let (ours, _) = backbone.forward(&x, &theta, true).unwrap();
        let mut plain = Plain { theta: &theta, at: 0 };
        let theirs = plain.chain(x.clone(), &case.layers).mean((2, 3)).unwrap();
        let weights = Tensor::from_vec(case.weights(), ours.shape(), &Device::Cpu).unwrap();
        let gradients = |features: &Tensor| {
            (features * &weights).unwrap().sum_all().unwrap().backward().unwrap()
        };
        let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let close = |ours: &Tensor, theirs: &Tensor, what: &str| {
            let error = error(&values(ours), &wide(&values(theirs)));
            assert!(error < 2e-3, "{what}: {error}");
        };
        close(&ours, &theirs, "features");
        let their = gradients(&theirs);
        gradients(&ours);
        let our = Tensor::new(backbone.take_gradient().unwrap(), &Device::Cpu).unwrap();
        close(&our, their.get(&theta).unwrap(), "gradient by theta");
    }
}

#[test]
fn a_second_forward_pass_before_the_backward_pass_is_an_error() {
    let case = Case::new(size(1, 4, 4), vec![conv(4, 3, 1)], 2, 91);
    let x = Tensor::from_vec(case.x.clone(), (2, 1, 4, 4), &Device::Cpu).unwrap();
    let theta = Var::from_vec(case.theta.clone(), case.theta.len(), &Device::Cpu).unwrap();
    let backbone = Backbone::new(case.plan.clone()).unwrap();
    let loss = || backbone.forward(&x, &theta, true).unwrap().0.sqr().unwrap().sum_all().unwrap();
    let (first, second) = (loss(), loss());
    assert!(first.backward().unwrap_err().to_string().contains("ran forward again"));
    assert!(backbone.take_gradient().is_none());
    second.backward().unwrap();
    assert!(backbone.take_gradient().is_some() && backbone.take_gradient().is_none());
    let tracked = Var::from_tensor(&x).unwrap();
    let error = backbone.forward(&tracked, &theta, true).unwrap_err().to_string();
    assert!(error.contains("no gradient by images"));
}
