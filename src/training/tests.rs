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
    for (name, arch, shape, n) in [("mlp", Arch::Mlp, grey, 12800), ("conv28", Arch::Convnet, grey, 1280), ("conv32", Arch::Convnet, colour, 1280)] {
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
