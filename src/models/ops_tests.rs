//! The operations against Candle's own and against finite differences.

use candle_core::{Device, Var};

use super::*;

/// Numbers without ties and away from 0.
fn var(shape: &[usize], salt: usize) -> Var {
    let count = shape.iter().product();
    let number = |i: usize| ((i * 7919 + salt * 104_729) % 2003) as f32 / 1001.5 - 0.9998;
    Var::from_vec((0..count).map(number).collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// A scalar that weighs every number differently, so that its gradient is not uniform.
fn weighed(t: &Tensor) -> Tensor {
    let weights = var(t.dims(), 17);
    (t * weights.as_detached_tensor()).unwrap().sum_all().unwrap()
}

fn assert_close(ours: &Tensor, theirs: &Tensor, what: &str) {
    assert_eq!(ours.dims(), theirs.dims(), "{what}");
    for (a, b) in numbers(ours).into_iter().zip(numbers(theirs)) {
        assert!((a - b).abs() < 2e-4 * (1.0 + b.abs()), "{what}: {a} is not {b}");
    }
}

/// Values and gradients of two forms of one operation are equal.
fn assert_same(inputs: &[Var], ours: &Tensor, theirs: &Tensor) {
    assert_close(ours, theirs, "value");
    let (our_grads, their_grads) =
        (weighed(ours).backward().unwrap(), weighed(theirs).backward().unwrap());
    for (i, input) in inputs.iter().enumerate() {
        let what = format!("gradient by input {i}");
        assert_close(our_grads.get(input).unwrap(), their_grads.get(input).unwrap(), &what);
    }
}

/// The gradient agrees with central differences of the same function.
fn assert_differences(inputs: &[Var], f: &dyn Fn() -> Tensor) {
    let grads = weighed(&f()).backward().unwrap();
    let value = || f64::from(weighed(&f()).to_scalar::<f32>().unwrap());
    for input in inputs {
        let (old, shape) = (numbers(input), input.shape().clone());
        let gradient = numbers(grads.get(input).unwrap());
        for i in (0..old.len()).step_by(1 + old.len() / 40) {
            let at = |delta: f32| {
                let mut moved = old.clone();
                moved[i] += delta;
                input.set(&Tensor::from_vec(moved, &shape, &Device::Cpu).unwrap()).unwrap();
                value()
            };
            let step = 2e-3;
            let slope = (at(step) - at(-step)) / (2.0 * f64::from(step));
            at(0.0);
            let gradient = f64::from(gradient[i]);
            assert!((slope - gradient).abs() < 0.02 * (1.0 + slope.abs()), "{slope} {gradient}");
        }
    }
}

#[test]
fn a_convolution_keeps_its_axes_in_order() {
    let (x, weight) = (var(&[2, 3, 5, 4], 1), var(&[4, 2, 3, 3], 2));
    let batch_major = x.transpose(0, 1).unwrap().contiguous().unwrap();
    for (stride, shape) in [(1, [4, 3, 5, 4]), (2, [4, 3, 3, 2])] {
        let ours = conv(&x, &weight, stride).unwrap();
        assert_eq!(ours.dims(), shape);
        let theirs = batch_major.conv2d(&weight, 1, stride, 1, 1).unwrap();
        assert_close(&ours.transpose(0, 1).unwrap(), &theirs, "value");
    }
}

#[test]
fn a_convolution_has_the_right_gradient_for_sides_of_any_parity() {
    for (height, width) in [(5, 4), (4, 5), (5, 3), (4, 2), (1, 2)] {
        for (kernel, stride) in [(3, 1), (3, 2), (1, 2), (7, 2)] {
            let inputs = [var(&[2, 3, height, width], 1), var(&[4, 2, kernel, kernel], 2)];
            assert_differences(&inputs, &|| conv(&inputs[0], &inputs[1], stride).unwrap());
        }
    }
}

/// Where Candle's own gradient is right: without a stride.
#[test]
fn a_convolution_has_candles_gradient() {
    for kernel in [1, 3, 5] {
        let inputs = [var(&[3, 2, 6, 5], 1), var(&[4, 2, kernel, kernel], 2)];
        let [x, weight] = &inputs;
        let theirs = x.conv2d(weight, kernel / 2, 1, 1, 1).unwrap();
        assert_same(&inputs, &convolution(x, weight, 1).unwrap(), &theirs);
    }
}

#[test]
fn pooling_has_the_right_gradient_and_crops() {
    for (height, width) in [(4, 6), (5, 7), (2, 2)] {
        let inputs = [var(&[2, 3, height, width], 5)];
        for (kernel, h, w) in
            [(2, height / 2, width / 2), (3, height.div_ceil(2), width.div_ceil(2))]
        {
            let ours = || max_pool(&inputs[0], kernel).unwrap();
            assert_eq!(ours().dims(), [2, 3, h, w]);
            assert_differences(&inputs, &ours);
        }
    }
}

#[test]
fn of_equal_maxima_the_first_gets_the_gradient() {
    let even = Var::ones((1, 1, 4, 4), DType::F32, &Device::Cpu).unwrap();
    for (kernel, wanted) in [
        (2, [1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]),
        (3, [1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        let sum = max_pool(&even, kernel).unwrap().sum_all().unwrap();
        let gradient = numbers(sum.backward().unwrap().get(&even).unwrap());
        assert_eq!(gradient, wanted.map(|g| g as f32), "{kernel}");
    }
}

#[test]
fn batch_norm_has_the_right_gradient() {
    let inputs = [var(&[3, 4, 5, 6], 6), var(&[3], 7), var(&[3], 8)];
    let [x, scale, offset] = &inputs;
    assert_differences(&inputs, &|| {
        let (mean, var) = moments(x).unwrap();
        norm(x, (&mean, &var), scale, offset).unwrap()
    });
}

#[test]
fn batch_norm_makes_mean_0_and_variance_1() {
    let x = (var(&[1, 2, 20, 30], 9).as_detached_tensor() + 10.0).unwrap();
    let one = Tensor::ones(1, DType::F32, &Device::Cpu).unwrap();
    let (mean, var) = moments(&x).unwrap();
    let zero = one.zeros_like().unwrap();
    let normal = moments(&norm(&x, (&mean, &var), &one, &zero).unwrap()).unwrap();
    assert_close(&normal.0, &zero, "mean");
    assert_close(&normal.1, &one, "variance");
    let wanted = (var * (1200.0 / 1199.0)).unwrap();
    assert_close(&unbiased(&moments(&x).unwrap().1, 1200).unwrap(), &wanted, "unbiased");
}

#[test]
fn running_statistics_move_a_tenth_of_the_way() {
    let running = Var::new(&[1.0_f32], &Device::Cpu).unwrap();
    follow(&running, &Tensor::new(&[3.0_f32], &Device::Cpu).unwrap()).unwrap();
    assert!((numbers(&running)[0] - 1.2).abs() < 1e-6);
}
