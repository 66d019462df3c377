//! What trainings and predictions take, counted by the kernel, against what `memory_bytes` says.

use std::process::Command;

use super::*;
use crate::recipe::{Arch, Model, Optimizer, Outputs, Train};
use crate::samples::{Inputs, Samples, Shape};
use crate::seed::Seed;

const NAME: &str = "training::memory_tests::a_model_takes_the_memory_that_was_predicted";
const CASE: &str = "UNSEEN_TEST_MEMORY";
const IMAGE: Shape = Shape::Image { channels: 3, height: 32, width: 32 };
const CLASSES: usize = 10;
/// More than a batch of predictions, so that a second is gathered.
const SCORED: usize = 260;

/// MiB of mapped code, stacks and heaps of threads that the first step of any net takes, which a plan counts
/// with the program; and how exact that is.
const PROGRAM: f64 = 14.0;
const SLACK: f64 = 8.0;

/// A net, its batch, the outputs that are wanted of it, and whether also after each epoch.
fn cases() -> Vec<(Model, Train, Outputs, bool)> {
    let case = |arch, width, batch_size, outputs| {
        let model = Model { arch, width, blocks: 3, hidden: vec![512, 512], ..Model::default() };
        (model, Train { epochs: 1, batch_size, ..Train::default() }, outputs, false)
    };
    let (clean, training) = (Outputs::Clean, Outputs::Training);
    let adamw = |(model, train, outputs, watched)| {
        (model, Train { optimizer: Optimizer::Adamw, ..train }, outputs, watched)
    };
    let watched = |(model, train, outputs, _)| (model, train, outputs, true);
    vec![
        case(Arch::Linear, 0, 64, clean),
        case(Arch::Linear, 0, 2048, clean),
        case(Arch::Mlp, 0, 32, clean),
        case(Arch::Mlp, 0, 2048, clean),
        adamw(case(Arch::Mlp, 0, 128, clean)),
        case(Arch::Convnet, 16, 32, clean),
        case(Arch::Convnet, 16, 512, clean),
        case(Arch::Convnet, 16, 32, training),
        case(Arch::Resnet18, 16, 16, clean),
        case(Arch::VitTiny, 0, 4, clean),
        watched(case(Arch::Resnet18, 16, 16, clean)),
        watched(case(Arch::Convnet, 16, 256, training)),
    ]
}

fn samples(count: usize) -> Samples {
    let mut random = Seed::new(1).rng();
    let pixels = (0..count * IMAGE.len()).map(|_| random.below(256) as u8).collect();
    Samples {
        ids: (0..count).map(|i| format!("{i:05}")).collect(),
        labels: (0..count).map(|_| random.below(CLASSES as u32)).collect(),
        classes: (0..CLASSES).map(|class| class.to_string()).collect(),
        inputs: Inputs::images(pixels, IMAGE),
    }
}

/// Mebibytes of this process that are resident now, or were at most since the last call.
fn resident(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    let kib: f64 = line.trim_matches([':', ' ', '\t', 'k', 'B']).parse().unwrap();
    // Forgets the peak.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    kib / 1024.0
}

/// The peaks of two steps of a training and of some predictions, in MiB.
fn peaks((model, train, outputs, watched): &(Model, Train, Outputs, bool)) -> [f64; 2] {
    let data = samples(SCORED.max(2 * train.batch_size));
    let members: Vec<u32> = (0..2 * train.batch_size as u32).collect();
    let seed = Seed::new(1);
    let (samples, members, seed_of_job) = (&data, &members[..], seed.clone());
    let job = Job { samples, members, model, train, seed: seed_of_job, device: "cpu", start: None };
    let indices: Vec<u32> = (0..SCORED as u32).collect();
    let view = match outputs {
        Outputs::Clean => View::Clean,
        Outputs::Training => View::Training { train, seed: &seed },
    };
    let request = Request { indices: &indices, view, embeddings: false };
    let before = resident("VmRSS");
    let trained = super::train(&job, &mut |_, model| {
        if *watched { model.predict(&request, &mut |_| Ok(())) } else { Ok(()) }
    });
    let trained = trained.unwrap().checkpoint;
    let steps = resident("VmHWM") - before;
    let before = resident("VmRSS").min(before);
    predict(&trained, &data, "cpu", &request, &mut |_| Ok(())).unwrap();
    [steps, resident("VmHWM") - before]
}

/// Each case has a process, as what others free stays with the allocator.
#[test]
#[cfg(target_os = "linux")]
fn a_model_takes_the_memory_that_was_predicted() {
    if let Ok(case) = std::env::var(CASE) {
        let [steps, predictions] = peaks(&cases()[case.parse::<usize>().unwrap()]);
        println!("peaks {steps} {predictions}");
        return;
    }
    let mut wrong = Vec::new();
    for (i, (model, train, outputs, watched)) in cases().iter().enumerate() {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([NAME, "--exact", "--nocapture"]).env(CASE, i.to_string());
        let out = command.env("RAYON_NUM_THREADS", "2").output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let line = text.lines().find_map(|line| line.split_once("peaks ")).unwrap().1;
        let peaks: Vec<f64> = line.split(' ').map(|peak| peak.parse().unwrap()).collect();
        let peak = peaks[0].max(peaks[1]) - PROGRAM;
        let asked = (*outputs, *watched);
        let planned = memory_bytes(model, train, asked, IMAGE, CLASSES).unwrap();
        let planned = planned as f64 / f64::from(1 << 20);
        let told = format!(
            "{:?} of width {}, batch {}, {} outputs, watched {watched}: {peak:.0} MiB ({line}), planned {planned:.0}",
            model.arch,
            model.width,
            train.batch_size,
            outputs.name(),
        );
        println!("{told}");
        if (peak - planned).abs() > 0.25 * planned + SLACK {
            wrong.push(told);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
