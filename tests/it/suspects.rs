//! What is not as it seems: near duplicates, wrong labels, and tables that were forged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, Float32Array, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Float32Type, Int32Type};
use unseen::seed::Seed;

use crate::options::{forge, table};
use crate::scores::{everything, floats, ids, pruned, recipe, write_pictures};
use crate::support::{Place, Toy, run, succeed, toy_recipe};

#[test]
fn planted_wrong_labels_are_found() {
    let place = Place::new();
    let mut toy = Toy::new(300, 3);
    let mut random = Seed::new(8).rng();
    for (i, features) in toy.features.iter_mut().enumerate() {
        let angle = (i % 3) as f32 / 3.0 * std::f32::consts::TAU;
        let mut noise = || 0.5 * (random.unit() - 0.5);
        *features = [angle.cos() + noise(), angle.sin() + noise()];
    }
    let wrong: BTreeSet<String> = (0..300).step_by(25).map(|i| toy.ids[i].clone()).collect();
    for i in (0..300).step_by(25) {
        toy.labels[i] = (toy.labels[i] + 1) % 3;
    }
    toy.write(&place.path("toy.parquet"));
    let path = recipe(&place, "run", "[score]\nlabel_errors = true");
    let output = run(&["run", &path, "--set", "train.epochs=30"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    succeed(&["verify", &place.text("run")]);
    let errors = table(&place.path("run"), "tables/label_errors.parquet");
    let suspected = errors["suspected"].as_boolean();
    let found: BTreeSet<String> = ids(&errors)
        .into_iter()
        .enumerate()
        .filter(|(i, _)| suspected.value(*i))
        .map(|(_, id)| id.to_owned())
        .collect();
    assert_eq!(found, wrong);
    let suggested = errors["suggested"].as_primitive::<Int32Type>();
    for (i, id) in ids(&errors).into_iter().enumerate().filter(|(i, _)| suspected.value(*i)) {
        let row = toy.ids.iter().position(|other| other == id).unwrap();
        assert_eq!(suggested.value(i) as usize, row % 3, "the class that {id} had");
    }
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("label_errors.parquet  (12 suspected labels)"), "{told}");
}

/// Toy rows, every even one of which has a twin that differs a little.
fn write_twins(place: &Place) {
    let mut toy = Toy::new(200, 4);
    for i in (0..200).step_by(2) {
        toy.features[i].iter_mut().for_each(|x| *x *= 3.0);
        toy.features[i + 1] = toy.features[i].map(|x| x * 1.01);
    }
    toy.write(&place.path("toy.parquet"));
}

#[test]
fn near_duplicates_share_a_fold_and_no_model_scores_one_of_what_it_saw() {
    let place = Place::new();
    write_twins(&place);
    let apart = |name: &str, sets: &[&str]| {
        pruned(&place, name, "", sets);
        let folds = table(&place.path(name), "tables/folds.parquet");
        let folds: Vec<i32> =
            folds["fold"].as_primitive::<Int32Type>().iter().map(Option::unwrap).collect();
        folds.chunks(2).filter(|pair| pair[0] != pair[1]).count()
    };
    assert!(apart("alone", &["select.stages=1"]) > 30);
    assert_eq!(apart("near", &["folds.near=0.9999999", "select.stages=1"]), 0);
    assert_eq!(apart("hash", &["folds.near=0.9999999", "folds.by=hash", "select.stages=1"]), 0);
    let samples = table(&place.path("near"), "tables/samples.parquet");
    let clusters = samples["cluster"].as_string::<i32>();
    let names: Vec<&str> = ids(&samples);
    for pair in (0..200).step_by(2) {
        let cluster = clusters.value(pair);
        assert_eq!(cluster, clusters.value(pair + 1));
        assert!(cluster <= names[pair], "named after the first of it");
    }
    for model in 0..3 {
        let at = format!("stage-1-model-{model}.parquet");
        let members = table(&place.path("near"), &format!("tables/members/{at}"));
        let scores = table(&place.path("near"), &format!("tables/scores/{at}"));
        let cluster: BTreeMap<&str, &str> =
            names.iter().copied().zip(clusters.iter().flatten()).collect();
        let saw: BTreeSet<&str> = ids(&members).into_iter().map(|id| cluster[id]).collect();
        assert!(ids(&scores).into_iter().all(|id| !saw.contains(cluster[id])));
    }
}

#[test]
fn near_duplicates_of_pictures_are_those_of_their_embeddings() {
    let place = Place::new();
    write_pictures(&place.path("toy.parquet"), 60);
    let text = toy_recipe(&place.text("toy.parquet"), &place.text("run"), "")
        .replace("features = \"features\"", "image = \"image\"\nembedding = \"vector\"");
    let path = place.recipe("toy.toml", &text);
    succeed(&["run", &path, "--quiet", "--set", "folds.near=0.95"]);
    let proof = succeed(&["verify", &place.text("run")]);
    assert!(proof.contains("clusters of duplicates, derived again from the input"), "{proof}");
    // Chains of near pairs, the plain way: names run down until nothing changes.
    let source = table(&place.path(""), "toy.parquet");
    let vectors = source["vector"].as_fixed_size_list().values().clone();
    let vectors: Vec<&[f32]> = vectors.as_primitive::<Float32Type>().values().chunks(3).collect();
    let dot =
        |a: usize, b: usize| -> f32 { vectors[a].iter().zip(vectors[b]).map(|(x, y)| x * y).sum() };
    let near = |a: usize, b: usize| dot(a, b) >= 0.95 * (dot(a, a) * dot(b, b)).sqrt();
    let mut first: Vec<usize> = (0..60).collect();
    for _ in 0..60 {
        for a in 0..60 {
            first[a] = (0..60).filter(|b| near(a, *b)).map(|b| first[b]).min().unwrap();
        }
    }
    let names = ids(&source);
    let alone = |a: usize| first.iter().filter(|f| **f == first[a]).count() == 1;
    let wanted: Vec<_> = (0..60).map(|a| (!alone(a)).then(|| names[first[a]])).collect();
    assert!(wanted.contains(&None) && wanted.iter().flatten().count() > 20, "{wanted:?}");
    let samples = table(&place.path("run"), "tables/samples.parquet");
    assert_eq!(samples["cluster"].as_string::<i32>().iter().collect::<Vec<_>>(), wanted);
}

/// A finished run in which one number of a table is another, with every checksum made to fit.
fn forged(place: &Place, name: &str, column: &str) -> String {
    let run_dir = place.path("run");
    let before = table(&run_dir, name);
    let mut columns = before.columns().to_vec();
    let at = before.schema().index_of(column).unwrap();
    columns[at] = if *before[column].data_type() == DataType::Int32 {
        let numbers = before[column].as_primitive::<Int32Type>();
        Arc::new(numbers.values().iter().map(|n| Some(1 - n)).collect::<Int32Array>())
    } else if *before[column].data_type() == DataType::Utf8 {
        let texts = before[column].as_string::<i32>().iter();
        Arc::new(texts.map(|text| text.map(|_| "s00000")).collect::<StringArray>())
    } else {
        let mut numbers = floats(&before, column).to_vec();
        numbers[7] += 0.125;
        Arc::new(Float32Array::from(numbers))
    };
    let after = RecordBatch::try_new(before.schema(), columns).unwrap();
    let bytes = std::fs::read(run_dir.join(name)).unwrap();
    forge(&run_dir, name, &unseen::storage::parquet::encode_table(&after).unwrap());
    let answer = run(&["verify", &place.text("run")]);
    let told = String::from_utf8(answer.stdout).unwrap();
    assert_eq!(answer.status.code(), Some(1), "{told}");
    assert!(told.contains("ok      checksums"), "{told}");
    forge(&run_dir, name, &bytes);
    succeed(&["verify", &place.text("run")]);
    told
}

#[test]
fn forged_trajectories_label_errors_and_clusters_are_found() {
    let place = Place::new();
    write_twins(&place);
    pruned(&place, "run", &everything(), &["folds.near=0.9999999", "train.epochs=4"]);
    let told = forged(&place, "tables/dynamics/stage-2-model-0.parquet", "dual");
    assert!(told.contains("`dual` of model 0 of stage 2 is not what was watched"), "{told}");
    for (column, says) in [
        ("predicted", "which is not its largest output"),
        ("label", "which is not what the samples and folds say"),
        ("fold", "which is not what the samples and folds say"),
        ("model", "names another stage or model"),
        ("stage", "names another stage or model"),
    ] {
        let told = forged(&place, "tables/scores/stage-1-model-0.parquet", column);
        assert!(told.contains("FAILED  scores") && told.contains(says), "{column}: {told}");
    }
    let told = forged(&place, "tables/label_errors.parquet", "self_confidence");
    assert!(told.contains("FAILED  labels"), "{told}");
    let told = forged(&place, "tables/samples.parquet", "cluster");
    assert!(told.contains("the clusters of duplicates are not those of the input"), "{told}");
}
