//! Whole trainings on small synthetic problems.

use std::time::Instant;

use super::*;
use crate::recipe::{Arch, Model, Train};
use crate::samples::{Inputs, Samples, Shape};
use crate::seed::Seed;

pub(super) fn blobs(n: usize, shape: Shape, classes: u32) -> Samples {
    let mut random = Seed::new(99).rng();
    let labels: Vec<u32> = (0..n as u32).map(|i| i % classes).collect();
    let pixels = labels.iter().flat_map(|_| (0..shape.len()).map(|_| random.below(256) as u8).collect::<Vec<_>>()).collect();
    Samples {
        ids: (0..n).map(|i| format!("{i:05}")).collect(),
        labels,
        classes: (0..classes).map(|c| c.to_string()).collect(),
        inputs: Inputs::Images { pixels, shape },
    }
}

#[test]
#[ignore]
#[allow(clippy::disallowed_methods)]
fn speed() {
    let grey = Shape::Image { channels: 1, height: 28, width: 28 };
    let colour = Shape::Image { channels: 3, height: 32, width: 32 };
    for (name, arch, shape, n) in std::env::var("ONLY").map_or([0,1,2].to_vec(), |s| vec![s.parse().unwrap()]).into_iter().map(|i: usize| [("mlp", Arch::Mlp, grey, 12800), ("conv28", Arch::Convnet, grey, 1280), ("conv32", Arch::Convnet, colour, 1280)][i]) {
        let samples = blobs(n, shape, 10);
        let members: Vec<u32> = (0..n as u32).collect();
        let model = Model { arch, ..Model::default() };
        let recipe = Train { epochs: 3, ..Train::default() };
        let job = Job { samples: &samples, members: &members, model: &model, train: &recipe, seed: Seed::new(0), device: "cpu", start: None };
        let mut t = Instant::now();
        let trained = train(&job, &mut |r| { println!("{name} train {:.0}/s loss {}", n as f64 / t.elapsed().as_secs_f64(), r.loss); t = Instant::now(); Ok(()) }).unwrap();
        let t = Instant::now();
        predict(&trained.checkpoint, &samples, &members, "cpu", &mut |_, _| Ok(())).unwrap();
        println!("{name} eval {:.0}/s", n as f64 / t.elapsed().as_secs_f64());
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        println!("{}", status.lines().find(|l| l.starts_with("VmHWM")).unwrap());
    }
}

#[test]
#[ignore]
fn parts() {
    use candle_core::{Device, Tensor, Var};
    let d = Device::Cpu;
    let x = Tensor::rand(0f32, 1., (128, 784), &d).unwrap();
    let w = Var::from_tensor(&Tensor::rand(0f32, 1., (256, 784), &d).unwrap()).unwrap();
    let g = Tensor::rand(0f32, 1., (256, 128), &d).unwrap();
    let time = |name: &str, f: &dyn Fn()| { f(); let t = Instant::now(); for _ in 0..50 { f(); } println!("{name}: {:.0} us", t.elapsed().as_secs_f64() * 2e4); };
    time("fwd", &|| { w.as_detached_tensor().matmul(&x.t().unwrap()).unwrap(); });
    time("dw", &|| { g.matmul(&x).unwrap(); });
    time("dx", &|| { w.as_detached_tensor().t().unwrap().matmul(&g).unwrap(); });
    time("fwd2", &|| { x.matmul(&w.as_detached_tensor().t().unwrap()).unwrap(); });
    time("dw2", &|| { x.t().unwrap().matmul(&g.t().unwrap()).unwrap(); });
    time("add", &|| { (w.as_tensor().detach() + w.as_detached_tensor()).unwrap(); });
    time("mul", &|| { (w.as_detached_tensor() * 2.0).unwrap(); });
    time("set", &|| { w.set(&w.as_detached_tensor().zeros_like().unwrap()).unwrap(); });
    let samples = blobs(1280, Shape::Image { channels: 1, height: 28, width: 28 }, 10);
    let gather = super::inputs::Gather::new(&samples.inputs, &crate::models::Scaling::identity(samples.inputs.shape()));
    let idx: Vec<u32> = (0..128).collect();
    time("gather", &|| { gather.batch(&idx, None); });
}
