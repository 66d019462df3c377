//! A training that stops between two steps and goes on equals one that does not stop.

use super::snapshot::Moment;
use super::tests::{features, images, model, recipe};
use super::*;
use crate::recipe::{Arch, Model, Optimizer, Precision, Train};
use crate::samples::Samples;
use crate::seed::Seed;
use crate::{Error, ErrorKind, Result};

/// Saves a training before every step.
#[derive(Default)]
struct Saves {
    saved: Vec<((usize, usize), Vec<u8>)>,
    looks: Vec<usize>,
}

impl Follow for Saves {
    fn step(&mut self, moment: &Moment<'_>) -> Result<()> {
        let mut bytes = Vec::new();
        moment.save(&mut bytes)?;
        self.saved.push((moment.place(), bytes));
        Ok(())
    }

    fn epoch(&mut self, report: &EpochReport, _: &Predictor<'_>) -> Result<()> {
        self.looks.push(report.epoch);
        Ok(())
    }
}

fn job<'a>(
    samples: &'a Samples,
    members: &'a [u32],
    model: &'a Model,
    train: &'a Train,
) -> Job<'a> {
    Job { samples, members, model, train, seed: Seed::new(5), device: "cpu", start: None }
}

#[test]
fn from_any_step_the_rest_of_a_training_has_the_same_bytes() {
    let members: Vec<u32> = (0..90).filter(|i| i % 3 != 0).collect();
    let train = Train { epochs: 3, ..recipe() };
    let views = Train { flip: true, crop: 2, ..train.clone() };
    let adam = Train { optimizer: Optimizer::Adamw, lr: 0.01, ..train.clone() };
    let plain = Train { momentum: 0.0, nesterov: false, ..train.clone() };
    let scaled = Train { precision: Precision::F16, ..train.clone() };
    for (samples, arch, train) in [
        (&images(90), Arch::Convnet, &views),
        (&images(90), Arch::Resnet18, &train),
        (&features(90), Arch::Mlp, &train),
        (&features(90), Arch::Mlp, &adam),
        (&features(90), Arch::Linear, &plain),
        (&features(90), Arch::Mlp, &scaled),
    ] {
        let model = model(arch);
        let job = job(samples, &members, &model, train);
        let mut saves = Saves::default();
        let whole = Training::begin(&job).unwrap().run(&mut saves).unwrap();
        assert_eq!(saves.saved.len(), 3 * 2, "{arch:?}: two steps an epoch");
        for (place, bytes) in &saves.saved {
            let training = Training::resume(&job, bytes).unwrap();
            assert_eq!(training.place(), *place);
            let mut again = Saves::default();
            assert!(training.run(&mut again).unwrap() == whole, "{arch:?} from {place:?}");
            // What is saved on the rest of the way is the same, too.
            let rest = &saves.saved[2 * place.0 + place.1..];
            assert!(again.saved == rest, "{arch:?} from {place:?}");
            assert_eq!(again.looks, saves.looks[place.0..]);
        }
        let bytes = saves.saved.last().unwrap().1.len() as u64;
        let shape = samples.inputs.shape();
        let numbers = checkpoint_bytes(&model, train, shape, 4).unwrap();
        assert!((numbers..numbers + 1000).contains(&bytes), "{arch:?}: {bytes}, not {numbers}");
    }
}

#[test]
fn a_state_of_another_training_is_refused() {
    let (samples, members): (_, Vec<u32>) = (features(60), (0..60).collect());
    let (small, train) = (model(Arch::Mlp), recipe());
    let mut saves = Saves::default();
    Training::begin(&job(&samples, &members, &small, &train)).unwrap().run(&mut saves).unwrap();
    let state = &saves.saved.last().unwrap().1;
    let refused = |model: &Model, train: &Train, state: &[u8]| -> Error {
        Training::resume(&job(&samples, &members, model, train), state).err().unwrap()
    };
    let large = Model { hidden: vec![33], ..small.clone() };
    let short = Train { epochs: 2, ..train.clone() };
    let coarse = Train { batch_size: 60, ..train.clone() };
    let scaled = Train { precision: Precision::F16, ..train.clone() };
    // As plain SGD would have left it.
    let end = state.iter().position(|byte| *byte == b'\n').unwrap();
    let head = String::from_utf8(state[..=end].to_vec()).unwrap();
    let bare = head.replace("\"buffers\":[1,1,1,1]", "\"buffers\":[0,0,0,0]");
    assert_ne!(bare, head);
    let numbers = (state.len() - end - 1) / 2;
    let bare = [bare.as_bytes(), &state[end + 1..][..numbers]].concat();
    let error = refused(&small, &train, &bare);
    assert!(error.to_string().contains("lacks buffers of the recipe's optimiser"), "{error}");
    for (model, train, state) in [
        (&large, &train, &state[..]),
        (&small, &train, &bare),
        (&small, &short, state),
        (&small, &coarse, state),
        (&small, &scaled, state),
        (&small, &train, &state[..state.len() - 4]),
        (&small, &train, &[&state[..], &[0; 4]].concat()),
        (&small, &train, b"{}\n"),
        (&small, &train, b""),
    ] {
        assert_eq!(refused(model, train, state).kind(), ErrorKind::CorruptData);
    }
}
