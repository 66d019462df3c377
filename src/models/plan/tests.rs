//! Names, shapes and counts of tensors, and what is refused.

use std::collections::BTreeMap;

use super::*;

const GREY: Shape = Shape::Image { channels: 1, height: 28, width: 28 };

fn names(architecture: &Architecture, shape: Shape) -> Vec<(String, Vec<usize>)> {
    let steps = architecture.steps(shape, 10).unwrap();
    steps.iter().flat_map(Step::parameters).map(|p| (p.name, p.shape)).collect()
}

#[test]
fn an_mlp_chains_its_widths() {
    let mlp = Architecture::Mlp { hidden: vec![5, 3] };
    let expected = [
        ("hidden.0.weight", vec![5, 784]),
        ("hidden.0.bias", vec![5]),
        ("hidden.1.weight", vec![3, 5]),
        ("hidden.1.bias", vec![3]),
        ("head.weight", vec![10, 3]),
        ("head.bias", vec![10]),
    ];
    assert_eq!(names(&mlp, GREY), expected.map(|(n, s)| (n.to_owned(), s)));
}

#[test]
fn a_convnet_doubles_channels_and_does_not_pool_at_the_end() {
    let net = Architecture::Convnet { width: 4, blocks: 3 };
    let steps = net.steps(GREY, 2).unwrap();
    assert_eq!(steps.iter().filter(|s| **s == Step::Pool { kernel: 2 }).count(), 2);
    assert!(names(&net, GREY).contains(&("blocks.2.conv.weight".into(), vec![16, 8, 3, 3])));
}

fn count(architecture: &Architecture, shape: Shape) -> usize {
    let steps = architecture.steps(shape, 10).unwrap();
    let trained = steps.iter().flat_map(Step::parameters).filter(|p| p.role.trained());
    trained.map(|p| p.shape.iter().product::<usize>()).sum()
}

/// The counts of torchvision's and timm's own nets, and with the other stem.
#[test]
fn parameters_are_as_many_as_in_torchvision_and_timm() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/nets/parameter_counts.json");
    let counts: BTreeMap<String, usize> =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(counts.len(), 7);
    let large = Shape::Image { channels: 3, height: 224, width: 224 };
    for (name, theirs) in counts {
        let stem = if name.ends_with("cifar") { Stem::Cifar } else { Stem::Imagenet };
        let net = match name.split(' ').next().unwrap() {
            "resnet18" => Architecture::Resnet18 { width: 64, stem },
            "resnet34" => Architecture::Resnet34 { width: 64, stem },
            "resnet50" => Architecture::Resnet50 { width: 64, stem },
            _ => Architecture::VitTiny { patch: 16 },
        };
        assert_eq!(count(&net, large), theirs, "{name}");
    }
}

#[test]
fn resnets_have_the_names_and_shapes_of_torchvision() {
    let net = Architecture::Resnet50 { width: 64, stem: Stem::Imagenet };
    let names = names(&net, Shape::Image { channels: 3, height: 224, width: 224 });
    for (name, shape) in [
        ("conv1.weight", vec![64, 3, 7, 7]),
        ("bn1.running_mean", vec![64]),
        ("layer1.0.conv1.weight", vec![64, 64, 1, 1]),
        ("layer1.0.downsample.0.weight", vec![256, 64, 1, 1]),
        ("layer2.0.conv2.weight", vec![128, 128, 3, 3]),
        ("layer2.0.downsample.1.bias", vec![512]),
        ("layer4.2.bn3.running_var", vec![2048]),
        ("fc.weight", vec![10, 2048]),
    ] {
        assert!(names.contains(&(name.to_owned(), shape)), "{name}");
    }
}

#[test]
fn refuses_what_cannot_work() {
    let features = Shape::Features { width: 9 };
    for (net, shape) in [
        (Architecture::Convnet { width: 4, blocks: 2 }, features),
        (Architecture::Convnet { width: 4, blocks: 6 }, GREY),
        (Architecture::Convnet { width: 0, blocks: 1 }, GREY),
        (Architecture::Convnet { width: 4, blocks: 0 }, GREY),
        (Architecture::Resnet18 { width: 4, stem: Stem::Cifar }, features),
        (Architecture::Resnet50 { width: 0, stem: Stem::Imagenet }, GREY),
        (Architecture::Mlp { hidden: vec![] }, features),
        (Architecture::VitTiny { patch: 4 }, features),
        (Architecture::VitTiny { patch: 0 }, GREY),
        (Architecture::VitTiny { patch: 8 }, GREY),
    ] {
        let error = net.steps(shape, 10).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidRecipe, "{net:?}: {error}");
    }
    assert!(Architecture::Convnet { width: 4, blocks: 5 }.steps(GREY, 10).is_ok());
}
