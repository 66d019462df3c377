//! Dense layers against Candle's own operations and the definition in f64.

use candle_core::{Device, Tensor, Var};

use super::Dense;
use super::matrix::Panels;
use super::tests::{error, numbers, wide};

fn var(shape: (usize, usize), salt: u64) -> Var {
    Var::from_vec(numbers(shape.0 * shape.1, salt), shape, &Device::Cpu).unwrap()
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn a_product_agrees_with_the_definition() {
    // Fewer and more rows, columns and products than a task, a panel and a pass take.
    for [m, k, n] in
        [[1, 1, 1], [5, 3, 17], [6, 16, 64], [24, 33, 65], [31, 1601, 130], [70, 768, 48]]
    {
        let (left, right) = (numbers(m * k, 1), numbers(k * n, 2));
        let element = |i: usize| {
            let (row, column) = (i / n, i % n);
            let term = |p: usize| f64::from(left[row * k + p]) * f64::from(right[p * n + column]);
            (0..k).map(term).sum::<f64>() + row as f64
        };
        let expected: Vec<f64> = (0..m * n).map(element).collect();
        let turned: Vec<f32> = (0..k * n).map(|i| right[i % k * n + i / k]).collect();
        for transposed in [false, true] {
            let (mut panels, mut out) = (Panels::default(), vec![f32::NAN; m * n]);
            // What an earlier matrix has left does not matter.
            panels.copy(&vec![f32::NAN; 5000], 50);
            if transposed {
                panels.transpose(&turned, k);
            } else {
                panels.copy(&right, n);
            }
            panels.product(&left, &mut out, |row, out| {
                for number in out {
                    *number += row as f32;
                }
            });
            assert!(error(&out, &expected) < 1e-5, "{m} {k} {n} {transposed}");
        }
    }
}

#[test]
fn a_layer_agrees_with_candles_own() {
    for (batch, inputs, outputs) in [(1, 1, 1), (7, 30, 10), (70, 100, 33), (128, 784, 90)] {
        for relu in [false, true] {
            let (weight, bias) = (var((outputs, inputs), 1), var((outputs, 1), 2));
            let flat = Var::from_tensor(&bias.flatten_all().unwrap()).unwrap();
            let along = var((outputs, batch), 5).as_detached_tensor();
            // Inputs as they come, samples in rows, and as a layer leaves them.
            let (rows, columns) = (var((batch, inputs), 3), var((inputs, batch), 4));
            for (from, x) in [(&rows, rows.t().unwrap()), (&columns, columns.as_tensor().clone())] {
                let dense = Dense::default();
                let ours = dense.layer(&x, [&weight, &flat], relu).unwrap();
                let plain = weight.matmul(&x).unwrap().broadcast_add(&bias).unwrap();
                let theirs = if relu { plain.relu().unwrap() } else { plain };
                let scalar = |y: &Tensor| (y * &along).unwrap().sum_all().unwrap();
                let their = scalar(&theirs).backward().unwrap();
                let mut our = scalar(&ours).backward().unwrap();
                assert!(our.get(&weight).is_none());
                dense.add_gradients(&mut our);
                let close = |a: &Tensor, b: &Tensor, what: &str| {
                    let error = error(&values(a), &wide(&values(b)));
                    assert!(error < 1e-5, "{what} of {batch} {inputs} {outputs} {relu}: {error}");
                };
                close(&ours, &theirs, "outputs");
                close(our.get(&weight).unwrap(), their.get(&weight).unwrap(), "weights");
                close(our.get(&flat).unwrap(), their.get(&bias).unwrap(), "bias");
                close(our.get(from).unwrap(), their.get(from).unwrap(), "inputs");
            }
        }
    }
}

#[test]
fn gradients_do_not_depend_on_threads_and_none_is_left_behind() {
    let (weight, bias) = (var((50, 900), 1), Var::zeros(50, candle_core::DType::F32, &Device::Cpu));
    let (bias, x) = (bias.unwrap(), var((90, 900), 2).t().unwrap().detach());
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let dense = Dense::default();
            let step = |factor: f64| {
                let y = dense.layer(&x, [&weight, &bias], true).unwrap();
                (y.sqr().unwrap() * factor).unwrap().sum_all().unwrap().backward().unwrap()
            };
            // Nobody asks for the gradients of this one.
            step(5.0);
            let mut gradients = step(1.0);
            dense.add_gradients(&mut gradients);
            values(gradients.get(&weight).unwrap())
        })
    };
    let one = run(1);
    for threads in [2, 3] {
        assert!(run(threads) == one, "{threads} threads");
    }
}

#[test]
fn what_is_not_a_number_stays_visible() {
    let (weight, bias) = (var((3, 4), 1), Var::from_vec(vec![f32::NAN, 0.0, 0.0], 3, &Device::Cpu));
    let x = var((2, 4), 2).t().unwrap().detach();
    let y = Dense::default().layer(&x, [&weight, &bias.unwrap()], true).unwrap();
    let nan: Vec<bool> = values(&y).iter().map(|y| y.is_nan()).collect();
    assert_eq!(nan, [true, true, false, false, false, false]);
}
