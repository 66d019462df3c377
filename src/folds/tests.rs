//! Sizes, balance, groups and independence of row order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{assign, clusters, near_duplicates, rare_classes, together};
use crate::recipe::{FitOn, Folds, FoldsBy};
use crate::seed::Seed;
use crate::{ErrorKind, Result};

fn ids(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("train-{i:05}")).collect()
}

fn spec(k: usize) -> Folds {
    Folds { k, ..Folds::default() }
}

fn stratified(k: usize) -> Folds {
    Folds { stratify: true, ..spec(k) }
}

fn by_hash(k: usize) -> Folds {
    Folds { by: FoldsBy::Hash, ..spec(k) }
}

fn plain(n: usize, spec: &Folds) -> Result<Vec<u32>> {
    assign(&ids(n), &vec![0; n], None, spec, &Seed::new(0))
}

fn counts(folds: impl IntoIterator<Item = u32>, k: usize) -> Vec<usize> {
    let mut counts = vec![0; k];
    folds.into_iter().for_each(|fold| counts[fold as usize] += 1);
    counts
}

fn spread(counts: &[usize]) -> usize {
    counts.iter().max().unwrap() - counts.iter().min().unwrap()
}

#[test]
fn folds_are_pinned_and_follow_the_seed() {
    // A change of these numbers changes every run of every user.
    assert_eq!(plain(10, &spec(3)).unwrap(), PINNED);
    let other = assign(&ids(10), &[0; 10], None, &spec(3), &Seed::new(1)).unwrap();
    assert_ne!(other, PINNED);
}

const PINNED: [u32; 10] = [0, 2, 0, 0, 1, 2, 0, 2, 1, 1];

#[test]
fn impossible_splits_say_so() {
    let kind = |result: Result<Vec<u32>>| result.unwrap_err().kind();
    assert_eq!(kind(plain(4, &spec(5))), ErrorKind::InvalidInput);
    assert_eq!(kind(plain(4, &spec(1))), ErrorKind::InvalidRecipe);
    assert_eq!(kind(plain(4, &Folds { stratify: true, ..by_hash(2) })), ErrorKind::InvalidRecipe);
    let one_group = vec![Some("g".to_owned()); 9];
    for spec in [spec(3), by_hash(3)] {
        let packed = assign(&ids(9), &[0; 9], Some(&one_group), &spec, &Seed::new(0));
        assert_eq!(kind(packed), ErrorKind::InvalidInput);
    }
}

#[test]
fn stratify_names_the_classes_that_are_too_rare() {
    let labels = [0, 0, 0, 1, 1, 3, 0, 0, 0];
    let error = assign(&ids(9), &labels, None, &stratified(3), &Seed::new(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("class 1 has 2, class 3 has 1;"), "{error}");
}

#[test]
fn rare_classes_depend_on_what_a_model_trains_on() {
    let labels: Vec<u32> = [[0; 24].as_slice(), &[1; 6], &[2; 25]].concat();
    assert_eq!(rare_classes(&labels, 4, &spec(5)), [(0, 24), (1, 6)]);
    let complement = Folds { fit_on: FitOn::Complement, ..spec(5) };
    assert_eq!(rare_classes(&labels, 4, &complement), [(1, 6)]);
}

#[test]
fn appended_rows_move_nothing_under_hash() {
    let few = plain(200, &by_hash(4)).unwrap();
    assert_eq!(few[..], plain(900, &by_hash(4)).unwrap()[..200]);
    assert!(spread(&counts(few, 4)) < 40);
}

#[test]
fn duplicates_and_groups_join_in_chains() {
    let contents = ["a", "b", "a", "c", "b", "d"].map(str::to_owned);
    let clusters = |groups: Option<[&str; 6]>| -> Vec<String> {
        let groups = groups.map(|g| g.map(|g| (!g.is_empty()).then(|| g.to_owned())));
        let all = together(groups.as_ref().map(<[_; 6]>::as_slice), None, &contents);
        all.into_iter().map(Option::unwrap).collect()
    };
    let [a, b, c, d] = ["content a", "content b", "content c", "content d"];
    assert_eq!(clusters(None), [a, b, a, c, b, d]);
    assert_eq!(clusters(Some([""; 6])), [a, b, a, c, b, d]);
    // The third joins content `a` to group `x`, the fourth to `c`: one cluster of three.
    assert_eq!(clusters(Some(["", "", "x", "x", "", ""])), ["x", b, "x", "x", b, d]);
    // Groups `x` and `y` meet in content `b`; the first name stands.
    assert_eq!(clusters(Some(["", "y", "", "y", "x", "x"])), [a, "x", a, "x", "x", "x"]);
}

#[test]
fn an_appended_duplicate_moves_nothing_under_hash() {
    let contents = |n: usize| (0..n).map(|i| (i % 150).to_string()).collect::<Vec<_>>();
    let folds = |n: usize| {
        let groups = together(None, None, &contents(n));
        assign(&ids(n), &vec![0; n], Some(&groups), &by_hash(4), &Seed::new(0)).unwrap()
    };
    let all = folds(200);
    assert_eq!(folds(150), all[..150]);
    assert_eq!(all[150..], all[..50], "a copy is where its original is");
}

fn near(embeddings: &[f32], width: usize, cosine: f64) -> Vec<usize> {
    near_duplicates(embeddings, width, cosine, 1000).unwrap()
}

#[test]
fn near_duplicates_point_the_same_way_in_chains() {
    // Lengths do not matter; -x is the opposite of x; a zero vector is near to nothing, itself included.
    let rows = [1.0, 2.0, 3.0, 6.0, -1.0, -2.0, 0.0, 0.0, 2.0, 1.0, 0.0, 0.0];
    assert_eq!(near(&rows, 2, 1.0), [0, 0, 2, 3, 4, 5]);
    // cos of (1, 2) and (2, 1) is 0.8.
    assert_eq!(near(&rows, 2, 0.799), [0, 0, 2, 3, 0, 5]);
    assert_eq!(near(&rows, 2, 0.801), [0, 0, 2, 3, 4, 5]);
    // 10 degrees apart each: neighbours are near, the ends are not, and yet all are one chain.
    let fan = |degrees: f32| [degrees.to_radians().cos(), degrees.to_radians().sin()];
    let fan: Vec<f32> = (0..9).map(|i| i as f32 * 10.0).flat_map(fan).collect();
    assert_eq!(near(&fan, 2, 0.98), [0; 9]);
    assert_eq!(near(&fan, 2, 0.99), (0..9).collect::<Vec<_>>());
    assert_eq!(near(&[], 2, 0.5), [0; 0]);
}

#[test]
fn near_duplicates_refuse_what_they_cannot_compare() {
    let error = |rows: &[f32]| near_duplicates(rows, 2, 0.9, 2).unwrap_err();
    assert_eq!(error(&[1.0; 6]).kind(), ErrorKind::LimitExceeded);
    assert!(error(&[1.0; 6]).to_string().contains("`score.embedding.max_rows` = 2"));
    assert_eq!(error(&[1.0, 1.0, 1.0, f32::NAN]).kind(), ErrorKind::InvalidInput);
    assert!(error(&[1.0, 1.0, 1.0, f32::NAN]).to_string().contains("row 1 "));
    assert_eq!(error(&[1.0; 3]).kind(), ErrorKind::Internal);
}

#[test]
fn clusters_are_named_after_their_first_id_and_leave_out_the_lonely() {
    let contents = ["a", "b", "a", "c", "b", "d"].map(str::to_owned);
    let names = |near: Option<&[usize]>| -> Vec<String> {
        let all = clusters(&ids(6), &contents, near);
        all.into_iter().map(Option::unwrap_or_default).collect()
    };
    let [first, second, fourth] = ["train-00000", "train-00001", "train-00003"];
    assert_eq!(names(None), [first, second, first, "", second, ""]);
    assert_eq!(names(Some(&[0, 1, 2, 3, 4, 3])), [first, second, first, fourth, second, fourth]);
    // The fifth is near the third: contents `a` and `b` meet.
    assert_eq!(names(Some(&[0, 1, 2, 3, 2, 5])), [first, first, first, "", first, ""]);
}

#[test]
fn clusters_and_groups_stay_together() {
    let some = |names: [&str; 5]| names.map(|n| (!n.is_empty()).then(|| n.to_owned()));
    let contents = ["a", "b", "c", "d", "e"].map(str::to_owned);
    let near = some(["", "train-1", "train-1", "train-3", "train-3"]);
    let all = together(None, Some(&near), &contents);
    assert_eq!(
        all.into_iter().flatten().collect::<Vec<_>>(),
        ["a", "b", "b", "d", "d"].map(|c| format!("content {c}"))
    );
    // The group of the first and the third takes the second along.
    let all = together(Some(&some(["g", "", "g", "", ""])), Some(&near), &contents);
    assert_eq!(
        all.into_iter().flatten().collect::<Vec<_>>(),
        ["g", "g", "g", "content d", "content d"]
    );
}

/// Random samples with their group: ids, labels, groups.
fn samples() -> impl Strategy<Value = Vec<(String, u32, Option<String>)>> {
    let row = (0u32..4, prop::option::of((0u32..9).prop_map(|g| format!("train-0000{g}"))));
    prop::collection::vec(row, 12..80).prop_map(|rows| {
        let rows = ids(rows.len()).into_iter().zip(rows);
        rows.map(|(id, (label, group))| (id, label, group)).collect()
    })
}

proptest! {
    #[test]
    fn random_folds_are_equal_and_stratified_ones_in_every_class(
        rows in samples(), k in 2usize..6, seed: u64,
    ) {
        let ids: Vec<_> = rows.iter().map(|r| r.0.clone()).collect();
        let labels: Vec<_> = rows.iter().map(|r| r.1).collect();
        let folds = assign(&ids, &labels, None, &spec(k), &Seed::new(seed)).unwrap();
        prop_assert!(spread(&counts(folds, k)) <= 1);
        let Ok(folds) = assign(&ids, &labels, None, &stratified(k), &Seed::new(seed)) else {
            prop_assert!((0..4).any(|c| (1..k).contains(&labels.iter().filter(|l| **l == c).count())));
            return Ok(());
        };
        prop_assert!(spread(&counts(folds.iter().copied(), k)) <= 1);
        for class in 0..4 {
            let of_class = folds.iter().zip(&labels).filter(|(_, l)| **l == class).map(|(f, _)| *f);
            prop_assert!(spread(&counts(of_class, k)) <= 1);
        }
    }

    #[test]
    fn groups_stay_together_and_pack_evenly(rows in samples(), k in 2usize..5, hash: bool, seed: u64) {
        let ids: Vec<_> = rows.iter().map(|r| r.0.clone()).collect();
        let groups: Vec<_> = rows.iter().map(|r| r.2.clone()).collect();
        let spec = if hash { by_hash(k) } else { spec(k) };
        let Ok(folds) = assign(&ids, &vec![0; ids.len()], Some(&groups), &spec, &Seed::new(seed))
        else {
            prop_assert!(hash || groups.iter().filter(|g| g.is_none()).count() < k);
            return Ok(());
        };
        let mut together: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (group, fold) in groups.iter().zip(&folds) {
            if let Some(group) = group {
                together.entry(group).or_default().push(*fold);
            }
        }
        prop_assert!(together.values().all(|folds| folds.iter().all(|f| *f == folds[0])));
        let largest = together.values().map(Vec::len).max().unwrap_or(1);
        // Greedy packing: the fullest fold was the emptiest before it took its last group.
        prop_assert!(hash || spread(&counts(folds, k)) <= largest);
    }

    /// Clusters are the connected parts of the graph of equal contents and equal groups.
    #[test]
    fn clusters_are_connected_parts(rows in samples()) {
        let contents: Vec<String> = rows.iter().map(|r| r.0[9..].to_owned()).collect();
        let groups: Vec<_> = rows.iter().map(|r| r.2.clone()).collect();
        let clusters = together(Some(&groups), None, &contents);
        let joined = |a: usize, b: usize| {
            contents[a] == contents[b] || groups[a].is_some() && groups[a] == groups[b]
        };
        let n = rows.len();
        let mut reach: Vec<Vec<bool>> =
            (0..n).map(|a| (0..n).map(|b| joined(a, b)).collect()).collect();
        for via in 0..n {
            for a in 0..n {
                for b in 0..n {
                    reach[a][b] |= reach[a][via] && reach[via][b];
                }
            }
        }
        for a in 0..n {
            for b in 0..n {
                prop_assert_eq!(reach[a][b], clusters[a] == clusters[b]);
            }
        }
    }

    /// Near duplicates are the connected parts of the graph of cosines, on any number of threads.
    #[test]
    fn near_duplicates_are_connected_parts(
        rows in prop::collection::vec([-3i8..4, -3i8..4, -3i8..4], 1..60), degrees in 1u8..60,
    ) {
        // Off the cosines that a grid has.
        let cosine = (f64::from(degrees) + 0.123).to_radians().cos();
        let length = |a: &[i8; 3]| a.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let joined = |a: &[i8; 3], b: &[i8; 3]| {
            let dot: f64 = a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            dot > 0.0 && dot >= cosine * length(a) * length(b)
        };
        let mut first: Vec<usize> = (0..rows.len()).collect();
        for _ in 0..rows.len() {
            for (a, b) in (0..rows.len()).flat_map(|a| (0..a).map(move |b| (a, b))) {
                if joined(&rows[a], &rows[b]) {
                    let least = first[a].min(first[b]);
                    (first[a], first[b]) = (least, least);
                }
            }
        }
        let embeddings: Vec<f32> = rows.iter().flatten().map(|x| f32::from(*x)).collect();
        prop_assert_eq!(&near(&embeddings, 3, cosine), &first);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        prop_assert_eq!(pool.install(|| near(&embeddings, 3, cosine)), first);
    }

    /// What other samples are called, and where a row stands, decides nothing but the deal.
    #[test]
    fn labels_do_not_matter_unless_stratified(rows in samples(), seed: u64) {
        let ids: Vec<_> = rows.iter().map(|r| r.0.clone()).collect();
        let labels: Vec<_> = rows.iter().map(|r| r.1).collect();
        let seed = Seed::new(seed);
        prop_assert_eq!(
            assign(&ids, &labels, None, &spec(3), &seed).unwrap(),
            assign(&ids, &vec![0; ids.len()], None, &spec(3), &seed).unwrap()
        );
    }
}
