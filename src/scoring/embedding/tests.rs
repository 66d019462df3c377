//! Goldens, traps and edges of the scores of embeddings.

use proptest::prelude::*;
use serde_json::Value;

use super::{Cloud, embedding_limit, embedding_scores, prototypicality};
use crate::recipe::{Embedding, Method};
use crate::seed::Seed;
use crate::{ErrorKind, Result};

const METHODS: [Method; 7] = [
    Method::Moderate,
    Method::Prototypicality,
    Method::KCenter,
    Method::Herding,
    Method::Cal,
    Method::D2,
    Method::FacilityLocation,
];
const ORDERS: [Method; 4] =
    [Method::KCenter, Method::Herding, Method::D2, Method::FacilityLocation];

/// A cloud that owns its numbers.
#[derive(Clone, Debug)]
struct Owned {
    points: Vec<f32>,
    width: usize,
    labels: Vec<u32>,
    classes: usize,
    probabilities: Vec<f32>,
    difficulty: Vec<f32>,
    ties: Vec<u64>,
}

impl Owned {
    /// Points with labels; the class of the label has probability 0.7, difficulties are 1, ties are
    /// hashes of the index.
    fn new(points: &[f32], width: usize, labels: &[u32]) -> Self {
        let classes = labels.iter().max().map_or(1, |most| *most as usize + 1);
        let of =
            |label: u32| (0..classes).map(move |c| if c == label as usize { 0.7 } else { 0.3 });
        Self {
            points: points.to_vec(),
            width,
            labels: labels.to_vec(),
            classes,
            probabilities: labels.iter().flat_map(|label| of(*label)).collect(),
            difficulty: vec![1.0; labels.len()],
            ties: (0..labels.len()).map(|i| Seed::new(0).hash(&i.to_string())).collect(),
        }
    }

    fn random(n: usize, width: usize, seed: u64) -> Self {
        let mut rng = Seed::new(seed).rng();
        let points: Vec<f32> = (0..n * width).map(|_| rng.unit() * 4.0 - 2.0).collect();
        let labels: Vec<u32> = (0..n).map(|_| rng.below(3)).collect();
        let mut cloud = Self::new(&points, width, &labels);
        cloud.difficulty.iter_mut().for_each(|x| *x = rng.unit());
        cloud
    }

    fn cloud(&self) -> Cloud<'_> {
        Cloud {
            points: &self.points,
            width: self.width,
            labels: &self.labels,
            classes: self.classes,
            probabilities: Some(&self.probabilities),
            difficulty: Some(&self.difficulty),
            ties: &self.ties,
            chosen: &[],
        }
    }

    fn try_scores(&self, method: Method, options: &Embedding) -> Result<Vec<f32>> {
        embedding_scores(method, &self.cloud(), options, &Seed::new(0))
    }

    fn scores(&self, method: Method, options: &Embedding) -> Vec<f32> {
        self.try_scores(method, options).unwrap()
    }

    fn default_scores(&self, method: Method) -> Vec<f32> {
        self.scores(method, &Embedding::default())
    }

    /// Indices in the order of their places.
    fn order(&self, method: Method) -> Vec<usize> {
        let places = self.default_scores(method);
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by(|a, b| places[*a].total_cmp(&places[*b]));
        order
    }
}

// Goldens.

struct Golden {
    json: Value,
    cloud: Owned,
    options: Embedding,
}

impl Golden {
    fn read(text: &str) -> Self {
        let json: Value = serde_json::from_str(text).unwrap();
        let whole = |name: &str| json[name].as_u64().unwrap() as usize;
        let floats = |name: &str| numbers(&json, name).iter().map(|x| *x as f32).collect();
        let wholes = |name: &str| -> Vec<u64> {
            json[name].as_array().unwrap().iter().map(|x| x.as_u64().unwrap()).collect()
        };
        let cloud = Owned {
            points: floats("points"),
            width: whole("width"),
            labels: wholes("labels").into_iter().map(|x| x as u32).collect(),
            classes: whole("classes"),
            probabilities: floats("probabilities"),
            difficulty: floats("difficulty"),
            ties: wholes("ties"),
        };
        let options = Embedding {
            neighbors: whole("neighbors"),
            gamma: json["gamma"].as_f64().unwrap(),
            ..Embedding::default()
        };
        Self { json, cloud, options }
    }

    fn all() -> [Self; 3] {
        [
            include_str!("../../../tests/golden/embedding_random.json"),
            include_str!("../../../tests/golden/embedding_ties.json"),
            include_str!("../../../tests/golden/embedding_real.json"),
        ]
        .map(Self::read)
    }

    fn assert_close(&self, name: &str, got: &[f32]) {
        let want = numbers(&self.json, name);
        assert_eq!(got.len(), want.len());
        let scale = want.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        for (i, (got, want)) in got.iter().zip(want).enumerate() {
            // Differences from a median are only as exact as the distances.
            let allowed = 1e-5 * want.abs() + 1e-7 * scale;
            assert!(
                (f64::from(*got) - want).abs() <= allowed,
                "{name} of {i}: {got} is not {want}"
            );
        }
    }
}

fn numbers(json: &Value, name: &str) -> Vec<f64> {
    json[name].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn values_equal_those_of_numpy() {
    for golden in Golden::all() {
        for method in [Method::Moderate, Method::Cal] {
            golden.assert_close(method.name(), &golden.cloud.scores(method, &golden.options));
        }
    }
}

#[test]
fn orders_equal_those_of_numpy() {
    for golden in Golden::all() {
        for method in ORDERS {
            let got = golden.cloud.scores(method, &golden.options);
            let want: Vec<f32> =
                numbers(&golden.json, method.name()).iter().map(|x| *x as f32).collect();
            assert_eq!(got, want, "{}", method.name());
        }
    }
}

#[test]
fn k_means_equals_that_of_numpy() {
    for golden in Golden::all() {
        let cloud = golden.cloud.cloud();
        let start = numbers(&golden.json, "start");
        let start = start.iter().flat_map(|i| cloud.point(*i as usize).to_vec()).collect();
        let assigned = prototypicality::assign(&cloud, &prototypicality::lloyd(&cloud, start));
        let got: Vec<f32> = assigned.iter().map(|(squared, _)| squared.sqrt()).collect();
        golden.assert_close("k_means", &got);
    }
}

// Traps.

/// Two clusters of five on a line, from 0 and from 10.
fn two_clusters() -> Owned {
    let points = [0.0, 0.1, 0.2, 0.3, 0.4, 10.0, 10.1, 10.2, 10.3, 10.4];
    Owned::new(&points, 1, &[0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
}

#[test]
fn herding_follows_the_mean_where_the_farthest_choice_leaves_it() {
    let cloud = two_clusters();
    let mean = |of: &[usize]| of.iter().map(|i| cloud.points[*i]).sum::<f32>() / of.len() as f32;
    let whole = mean(&(0..10).collect::<Vec<_>>());
    let order = cloud.order(Method::Herding);
    for m in [2, 4, 6, 8] {
        assert!((mean(&order[..m]) - whole).abs() < 0.5, "{m} of {order:?}");
    }
    // DeepCore's argmax stays in the cluster that it starts with as long as it can.
    let mut farthest: Vec<usize> = Vec::new();
    while farthest.len() < 4 {
        let sum: f32 = farthest.iter().map(|i| cloud.points[*i]).sum();
        let lacking = (farthest.len() + 1) as f32 * whole - sum;
        let left = (0..10).filter(|i| !farthest.contains(i));
        let gap = |i: &usize| (lacking - cloud.points[*i]).abs();
        farthest.push(left.max_by(|a, b| gap(a).total_cmp(&gap(b))).unwrap());
    }
    assert!((mean(&farthest) - whole).abs() > 4.0, "{farthest:?}");
}

#[test]
fn cal_is_highest_where_predictions_and_neighbours_disagree() {
    let mut cloud = two_clusters();
    let of = |label: u32| if label == 0 { [0.9, 0.1] } else { [0.1, 0.9] };
    cloud.probabilities = cloud.labels.iter().flat_map(|label| of(*label)).collect();
    cloud.probabilities[4..6].copy_from_slice(&of(1));
    let options = Embedding { neighbors: 3, ..Embedding::default() };
    let scores = cloud.scores(Method::Cal, &options);
    // All three neighbours of the third say class 0: 0.9 ln 9 - 0.1 ln 9.
    assert!((scores[2] - 0.8 * 9f32.ln()).abs() < 1e-5, "{scores:?}");
    assert!(scores.iter().enumerate().all(|(i, s)| i == 2 || *s < scores[2]));
    assert_eq!(scores[5..], [0.0; 5]);
    assert_eq!(crate::scoring::direction(Method::Cal), crate::scoring::Direction::KeepHigh);
}

#[test]
fn cal_is_not_symmetric_and_finite_at_zero() {
    let mut cloud = Owned::new(&[0.0, 1.0], 1, &[0, 1]);
    cloud.probabilities = vec![0.5, 0.5, 1.0, 0.0];
    let scores = cloud.default_scores(Method::Cal);
    // The neighbour's distribution comes first: KL((1, 0) || (1/2, 1/2)) = ln 2.
    assert!((scores[0] - 2f32.ln()).abs() < 1e-6, "{scores:?}");
    let other = 0.5 * 0.5f64.ln() + 0.5 * (0.5f64.ln() - f64::from(f32::MIN_POSITIVE).ln());
    assert!((f64::from(scores[1]) - other).abs() < 1e-4, "{scores:?}");
}

#[test]
fn moderate_keeps_the_middle_around_medians() {
    // Class 0: median 2 whatever the outlier, distances 2, 1, 0, 1, 98. Class 1: median 10 as the mean
    // of two, distances 1 and 1. All: 0, 1, 1, 1, 1, 2, 98: the median is 1.
    let cloud = Owned::new(&[0.0, 1.0, 2.0, 3.0, 100.0, 9.0, 11.0], 1, &[0, 0, 0, 0, 0, 1, 1]);
    let scores = cloud.default_scores(Method::Moderate);
    assert_eq!(scores, [1.0, 0.0, 1.0, 0.0, 97.0, 0.0, 0.0]);
    assert_eq!(crate::scoring::direction(Method::Moderate), crate::scoring::Direction::KeepLow);
}

#[test]
fn k_center_reaches_every_cluster_first_and_copies_last() {
    let mut rng = Seed::new(5).rng();
    let points: Vec<f32> = (0..60).flat_map(|i| [(i % 6) as f32 * 50.0, rng.unit()]).collect();
    let mut cloud = Owned::new(&points, 2, &[0; 60]);
    cloud.points.copy_within(0..12, 108);
    let order = cloud.order(Method::KCenter);
    let smallest = (0..60).min_by_key(|i| cloud.ties[*i]).unwrap();
    assert_eq!(order[0], smallest);
    let mut reached: Vec<usize> = order[..6].iter().map(|i| i % 6).collect();
    reached.sort_unstable();
    assert_eq!(reached, [0, 1, 2, 3, 4, 5]);
    let mut last: Vec<usize> = order[54..].iter().map(|i| i % 54).collect();
    last.sort_unstable();
    assert_eq!(last, [0, 1, 2, 3, 4, 5], "one of each pair of copies");
}

#[test]
fn prototypicality_finds_clusters_from_any_start() {
    let centers = [[0.0, 0.0], [90.0, 0.0], [0.0, 90.0], [90.0, 90.0]];
    let offsets = [[1.0, 0.0], [-1.0, 0.0], [0.0, 3.0], [0.0, -3.0]];
    let points = centers.iter().flat_map(|[x, y]| offsets.map(|[dx, dy]| [x + dx, y + dy]));
    let cloud = Owned::new(points.flatten().collect::<Vec<f32>>().as_slice(), 2, &[0; 16]);
    let options = Embedding { prototypes: Some(4), ..Embedding::default() };
    for seed in 0..20 {
        let scores =
            embedding_scores(Method::Prototypicality, &cloud.cloud(), &options, &Seed::new(seed));
        assert_eq!(scores.unwrap(), [1.0, 1.0, 3.0, 3.0].repeat(4), "seed {seed}");
    }
}

#[test]
fn prototypicality_uses_its_seed() {
    let cloud = Owned::random(200, 3, 1);
    let scores = |seed: u64| {
        let seed = Seed::new(seed);
        embedding_scores(Method::Prototypicality, &cloud.cloud(), &Embedding::default(), &seed)
    };
    assert_eq!(scores(1).unwrap(), scores(1).unwrap());
    assert_ne!(scores(1).unwrap(), scores(2).unwrap());
}

#[test]
fn d2_spreads_difficulty_and_then_avoids_neighbours() {
    // A tight pair of hard samples, and a lonely one that is a little easier than they are.
    let mut cloud = Owned::new(&[0.0, 0.01, 100.0, 200.0], 1, &[0; 4]);
    cloud.difficulty = vec![1.0, 0.99, 0.9, 0.1];
    let options = Embedding { neighbors: 1, gamma: 0.1, ..Embedding::default() };
    // The pair adds to each other (1.98); after the one, next to nothing is left of the other.
    assert_eq!(cloud.scores(Method::D2, &options), [0.0, 3.0, 1.0, 2.0]);
    // With a pull that ends at once both stay wanted.
    let options = Embedding { gamma: 1e4, ..options };
    assert_eq!(cloud.scores(Method::D2, &options), [0.0, 1.0, 2.0, 3.0]);
}

// Laws and edges.

#[test]
fn places_are_complete_and_threads_change_no_bit() {
    let cloud = Owned::random(301, 19, 2);
    for method in METHODS {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let scores = pool.install(|| cloud.default_scores(method));
            scores.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        let one = on(1);
        assert_eq!(one, on(2), "{}", method.name());
        assert_eq!(one, on(5), "{}", method.name());
    }
    for method in ORDERS {
        let mut places = cloud.default_scores(method);
        places.sort_by(f32::total_cmp);
        assert_eq!(places, (0..301).map(|i| i as f32).collect::<Vec<_>>(), "{}", method.name());
    }
}

#[test]
fn few_and_equal_points_are_scored() {
    let options = Embedding { neighbors: 50, prototypes: Some(9), ..Embedding::default() };
    for n in [0, 1, 2, 3, 40] {
        let equal = Owned::new(&vec![0.5; n * 3], 3, &vec![0; n]);
        let zero = Owned::new(&vec![0.0; n * 3], 3, &vec![0; n]);
        let different = Owned::random(n, 3, 7);
        for (cloud, method) in
            [&equal, &zero, &different].into_iter().flat_map(|c| METHODS.map(|m| (c, m)))
        {
            let scores = cloud.scores(method, &options);
            assert_eq!(scores.len(), n);
            assert!(scores.iter().all(|s| s.is_finite()), "{} of {n}", method.name());
        }
        for method in [Method::Moderate, Method::Prototypicality, Method::Cal] {
            assert_eq!(equal.scores(method, &options), vec![0.0; n], "{}", method.name());
        }
        let mut by_tie: Vec<usize> = (0..n).collect();
        by_tie.sort_by_key(|i| equal.ties[*i]);
        for method in ORDERS.into_iter().filter(|m| *m != Method::D2) {
            assert_eq!(equal.order(method), by_tie, "{}", method.name());
        }
    }
}

#[test]
fn bad_clouds_are_refused() {
    let good = Owned::random(5, 2, 3);
    let error =
        |cloud: &Owned, method| cloud.try_scores(method, &Embedding::default()).unwrap_err();
    for value in [f32::NAN, f32::INFINITY, -3e38] {
        let mut cloud = good.clone();
        cloud.points[7] = value;
        for method in METHODS {
            let error = error(&cloud, method);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("embedding of row 3 "), "{error}");
        }
    }
    let mut cloud = good.clone();
    cloud.difficulty[4] = f32::NAN;
    assert!(error(&cloud, Method::D2).to_string().contains("difficulty of row 4 "));
    let mut cloud = good.clone();
    cloud.ties.pop();
    assert_eq!(error(&cloud, Method::KCenter).kind(), ErrorKind::Internal);
    assert_eq!(error(&good, Method::Entropy).kind(), ErrorKind::Internal);
    for method in [Method::Cal, Method::D2] {
        let bare = Cloud { probabilities: None, difficulty: None, ..good.cloud() };
        let error = embedding_scores(method, &bare, &Embedding::default(), &Seed::new(0));
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Internal);
    }
}

#[test]
fn too_many_rows_are_refused_where_pairs_are_compared() {
    let options = Embedding { max_rows: 4, ..Embedding::default() };
    let cloud = Owned::random(5, 2, 3);
    for method in METHODS {
        let linear = [Method::Moderate, Method::Prototypicality].contains(&method);
        let kind = cloud.try_scores(method, &options).map_err(|e| e.kind());
        assert_eq!(kind.err(), (!linear).then_some(ErrorKind::LimitExceeded));
        assert!(embedding_limit(method, 4, &options).is_ok());
    }
    let error = cloud.try_scores(Method::D2, &options).unwrap_err().to_string();
    assert!(error.contains("`score.embedding.max_rows` = 4") && error.contains("5 samples"));
}

/// Clouds on a small grid, full of copies and equal distances.
fn grids() -> impl Strategy<Value = Owned> {
    prop::collection::vec((-2i8..3, -2i8..3, 0u32..3), 1..40).prop_map(|rows| {
        let points: Vec<f32> = rows.iter().flat_map(|r| [f32::from(r.0), f32::from(r.1)]).collect();
        Owned::new(&points, 2, &rows.iter().map(|r| r.2).collect::<Vec<_>>())
    })
}

proptest! {
    /// The lazy greedy is the plain one, to the bit.
    #[test]
    fn lazy_facility_location_is_the_plain_greedy(grid in grids(), seed: u64) {
        for owned in [grid, Owned::random(33, 4, seed)] {
            let cloud = owned.cloud();
            let plain = super::facility_location::plain(&cloud);
            prop_assert_eq!(owned.default_scores(Method::FacilityLocation), plain);
        }
    }

    /// Where a row stands decides nothing.
    #[test]
    fn row_order_does_not_matter(grid in grids(), seed: u64) {
        let n = grid.labels.len();
        let mut from: Vec<usize> = (0..n).collect();
        Seed::new(seed).rng().shuffle(&mut from);
        let mut moved = grid.clone();
        for (to, from) in from.iter().enumerate() {
            moved.points[to * 2..to * 2 + 2].copy_from_slice(&grid.points[from * 2..from * 2 + 2]);
            moved.labels[to] = grid.labels[*from];
            moved.ties[to] = grid.ties[*from];
            let (to, from) = (to * grid.classes, from * grid.classes);
            moved.probabilities[to..to + grid.classes]
                .copy_from_slice(&grid.probabilities[from..from + grid.classes]);
        }
        for method in [Method::Moderate, Method::KCenter, Method::Cal, Method::D2] {
            let (before, after) = (grid.default_scores(method), moved.default_scores(method));
            let want: Vec<f32> = from.iter().map(|i| before[*i]).collect();
            prop_assert_eq!(after, want, "{}", method.name());
        }
    }
}

/// What is chosen in two steps is what is chosen in one.
#[test]
fn orders_go_on_after_points_that_were_chosen_before() {
    let mut rng = Seed::new(5).rng();
    let width = 3;
    let points: Vec<f32> = (0..40 * width).map(|_| rng.unit()).collect();
    let ties: Vec<u64> = (0..40).map(|i| Seed::new(0).hash(&i.to_string())).collect();
    let of = |rows: &[usize]| -> Vec<f32> {
        rows.iter().flat_map(|i| &points[i * width..(i + 1) * width]).copied().collect()
    };
    let order = |method: Method, rows: &[usize], chosen: &[f32]| -> Vec<usize> {
        let (own, labels) = (of(rows), vec![0; rows.len()]);
        let ties: Vec<u64> = rows.iter().map(|i| ties[*i]).collect();
        let cloud = Cloud {
            points: &own,
            width,
            labels: &labels,
            classes: 1,
            probabilities: None,
            difficulty: None,
            ties: &ties,
            chosen,
        };
        let options = Embedding::default();
        let places = embedding_scores(method, &cloud, &options, &Seed::new(0)).unwrap();
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|a, b| places[*a].total_cmp(&places[*b]));
        order.into_iter().map(|at| rows[at]).collect()
    };
    let all: Vec<usize> = (0..40).collect();
    for method in [Method::KCenter, Method::Herding, Method::FacilityLocation] {
        let whole = order(method, &all, &[]);
        let (first, rest) = whole.split_at(15);
        let mut left = rest.to_vec();
        left.sort_unstable();
        assert_eq!(order(method, &left, &of(first)), rest, "{method:?}");
    }
}
