//! Predictions of a hand-made toy, and every way in which they can break their contract.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, Float32Builder, Float64Array,
    Int32Array, Int64Array, LargeListBuilder, ListBuilder, StringArray,
};
use arrow::datatypes::{Float32Type, Int32Type};
use arrow::record_batch::RecordBatch;
use tempfile::TempDir;

use super::{Job, Scored, Scores, score};
use crate::recipe::{By, Method, Mode, Outputs, Recipe, Storage, Trajectory};
use crate::storage::{NewFile, parquet};
use crate::{Result, tables};

/// One prediction: id, model, epoch, outputs, label.
type Said = (&'static str, &'static str, i64, Vec<f32>, i64);

/// Four samples of two classes; model `a` was trained on the first two and `b` on the others.
fn toy() -> Vec<Said> {
    vec![
        ("s3", "a", 0, vec![2.0, 0.0], 0),
        ("s4", "a", 0, vec![0.0, 1.0], 1),
        ("s1", "b", 0, vec![0.5, 0.0], 0),
        ("s2", "b", 0, vec![3.0, 0.0], 1),
    ]
}

const MEMBERS: [(&str, &str); 4] = [("s1", "a"), ("s2", "a"), ("s3", "b"), ("s4", "b")];

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn uri(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, columns: Vec<(&str, ArrayRef)>) -> String {
        let uri = self.uri(name);
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        NewFile::at(&uri, &Storage::default()).unwrap().write_table(&batch).unwrap();
        uri
    }

    fn members(&self, members: &[(&str, &str)]) -> String {
        let (ids, models): (Vec<&str>, Vec<&str>) = members.iter().copied().unzip();
        self.write("members.parquet", vec![("id", texts(&ids)), ("model", texts(&models))])
    }

    /// Scores predictions with the members of the toy.
    fn score(&self, said: &[Said], change: impl FnOnce(&mut Job<'_>)) -> Result<Scored> {
        let predictions = self.write("predictions.parquet", columns(said, "logits"));
        let members = self.members(&MEMBERS);
        self.score_tables(&predictions, Some(&members), change)
    }

    fn score_tables(
        &self,
        predictions: &str,
        members: Option<&str>,
        change: impl FnOnce(&mut Job<'_>),
    ) -> Result<Scored> {
        let (trajectory, storage) = (Trajectory::default(), Storage::default());
        let predictions = [predictions.to_owned()];
        let mut job = Job {
            predictions: &predictions,
            members,
            labels: None,
            mode: Mode::Unseen,
            drop_seen: false,
            methods: &[Method::Margin, Method::El2n],
            trajectory: &trajectory,
            storage: &storage,
        };
        change(&mut job);
        score(&job, &NewFile::at(&self.uri("scores.parquet"), &storage).unwrap())
    }

    fn table(&self, methods: &[Method]) -> RecordBatch {
        let bytes = std::fs::read(self.uri("scores.parquet")).unwrap();
        parquet::decode_table(bytes.into(), &tables::scores(methods, &[], Outputs::Clean)).unwrap()
    }
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn lists(values: &[Vec<f32>]) -> ArrayRef {
    let mut lists = ListBuilder::new(Float32Builder::new());
    for row in values {
        lists.values().append_slice(row);
        lists.append(true);
    }
    Arc::new(lists.finish())
}

fn columns(said: &[Said], outputs: &'static str) -> Vec<(&'static str, ArrayRef)> {
    let ids: Vec<&str> = said.iter().map(|s| s.0).collect();
    let models: Vec<&str> = said.iter().map(|s| s.1).collect();
    let values: Vec<Vec<f32>> = said.iter().map(|s| s.3.clone()).collect();
    let mut columns = vec![
        ("id", texts(&ids)),
        ("model", texts(&models)),
        (outputs, lists(&values)),
        ("label", Arc::new(Int64Array::from_iter_values(said.iter().map(|s| s.4))) as ArrayRef),
    ];
    if said.iter().any(|s| s.2 != 0) {
        columns.push(("epoch", Arc::new(Int64Array::from_iter_values(said.iter().map(|s| s.2)))));
    }
    columns
}

#[test]
fn predictions_become_a_score_table_of_the_contract() {
    let place = Place::new();
    let scored = place.score(&toy(), |_| {}).unwrap();
    assert_eq!((scored.samples, scored.rows, scored.classes, scored.epochs), (4, 4, 2, 1));
    let models: Vec<_> =
        scored.models.iter().map(|m| (m.name.as_str(), m.members, m.scored, m.accuracy)).collect();
    assert_eq!(models, [("a", 2, 2, 1.0), ("b", 2, 2, 0.5)]);
    let table = place.table(&[Method::Margin, Method::El2n]);
    let ids: Vec<&str> = table["id"].as_string::<i32>().iter().flatten().collect();
    assert_eq!(ids, ["s3", "s4", "s1", "s2"], "by model, then by id");
    let ints = |name: &str| table[name].as_primitive::<Int32Type>().values().to_vec();
    assert_eq!((ints("model"), ints("fold")), (vec![0, 0, 1, 1], vec![1, 1, 0, 0]));
    assert_eq!((ints("predicted"), ints("stage")), (vec![0, 1, 0, 0], vec![1; 4]));
    // Of two classes the margin is tanh(|z1 - z2| / 2), and EL2N is sqrt 2 times the wrong share.
    let scores = |name: &str| table[name].as_primitive::<Float32Type>().values().to_vec();
    for (margin, gap) in scores("margin").iter().zip([2.0_f32, 1.0, 0.5, 3.0]) {
        assert!((margin - (gap / 2.0).tanh()).abs() < 1e-6);
    }
    let wrong = 1.0 / (1.0 + (-3.0_f32).exp());
    assert!((scores("el2n")[3] - 2.0_f32.sqrt() * wrong).abs() < 1e-6);
}

#[test]
fn every_list_type_and_probabilities_give_the_same_scores() {
    let said = toy();
    let softmax = |row: &[f32]| {
        let sum: f32 = row.iter().map(|z| z.exp()).sum();
        row.iter().map(|z| z.exp() / sum).collect::<Vec<f32>>()
    };
    let flat: Vec<f32> = said.iter().flat_map(|s| s.3.clone()).collect();
    let item =
        Arc::new(arrow::datatypes::Field::new("item", arrow::datatypes::DataType::Float32, true));
    let fixed = FixedSizeListArray::try_new(item, 2, Arc::new(Float32Array::from(flat)), None);
    let mut large = LargeListBuilder::new(Float64Array::builder(8));
    for row in &said {
        row.3.iter().for_each(|z| large.values().append_value(f64::from(*z)));
        large.append(true);
    }
    let probabilities: Vec<Vec<f32>> = said.iter().map(|s| softmax(&s.3)).collect();
    let forms: [(&'static str, ArrayRef); 4] = [
        ("logits", lists(&said.iter().map(|s| s.3.clone()).collect::<Vec<_>>())),
        ("logits", Arc::new(fixed.unwrap())),
        ("logits", Arc::new(large.finish())),
        ("probabilities", lists(&probabilities)),
    ];
    let mut seen = Vec::new();
    for (name, values) in forms {
        let place = Place::new();
        let mut columns = columns(&said, "logits");
        columns[2] = (name, values);
        let (predictions, members) = (place.write("p.parquet", columns), place.members(&MEMBERS));
        place.score_tables(&predictions, Some(&members), |_| {}).unwrap();
        let table = place.table(&[Method::Margin, Method::El2n]);
        seen.push(table["margin"].as_primitive::<Float32Type>().values().to_vec());
    }
    assert!(seen[0] == seen[1] && seen[0] == seen[2]);
    assert!(seen[0].iter().zip(&seen[3]).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn integer_models_are_numbered_in_the_order_of_numbers() {
    let place = Place::new();
    let mut predictions = columns(&toy(), "logits");
    predictions[1] = ("model", Arc::new(Int32Array::from(vec![10, 10, 9, 9])));
    let predictions = place.write("p.parquet", predictions);
    let members = place.write(
        "members.parquet",
        vec![
            ("id", texts(&["s1", "s2", "s3", "s4"])),
            ("model", Arc::new(Int32Array::from(vec![10, 10, 9, 9]))),
        ],
    );
    let scored = place.score_tables(&predictions, Some(&members), |_| {}).unwrap();
    let names: Vec<&str> = scored.models.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["9", "10"]);
}

/// The toy over three epochs, in an order of rows that is no help.
fn trained() -> Vec<Said> {
    let mut said = Vec::new();
    for (id, model, _, logits, label) in toy() {
        for epoch in [2, 1, 3] {
            let shrink = epoch as f32 / 3.0;
            let sign = if id == "s1" && epoch == 2 { -1.0 } else { 1.0 };
            said.push((
                id,
                model,
                epoch,
                logits.iter().map(|z| sign * shrink * z).collect(),
                label,
            ));
        }
    }
    said
}

#[test]
fn epochs_give_trajectories_and_the_last_one_the_snapshot() {
    let place = Place::new();
    let methods = [Method::Margin, Method::Forgetting, Method::AumLogitMean];
    let scored = place.score(&trained(), |job| job.methods = &methods).unwrap();
    assert_eq!((scored.rows, scored.epochs), (4, 3));
    let table = place.table(&methods);
    let column = |name: &str| table[name].as_primitive::<Float32Type>().values().to_vec();
    assert!((column("margin")[0] - 1.0_f32.tanh()).abs() < 1e-6, "of the last epoch");
    // s3 and s4 are always right; s1 is right, wrong, right; s2 is never learned.
    assert_eq!(column("forgetting"), [0.0, 0.0, 1.0, 3.0]);
    let aum = column("aum_logit_mean");
    assert!((aum[0] - 2.0 * (1.0 + 2.0 + 3.0) / 9.0).abs() < 1e-6, "{aum:?}");
    assert!((aum[2] - 0.5 * (1.0 - 2.0 + 3.0) / 9.0).abs() < 1e-6, "{aum:?}");
}

/// The error of the toy after `change`.
fn refused(change: impl FnOnce(&mut Vec<Said>)) -> String {
    let mut said = toy();
    change(&mut said);
    Place::new().score(&said, |_| {}).unwrap_err().to_string()
}

#[test]
fn predictions_that_cannot_be_scored_are_named() {
    let cases: [(fn(&mut Vec<Said>), &str); 8] = [
        (
            |s| s[1].3.push(0.0),
            "1 prediction have another number of outputs than the first: `s4` by model `a` has 3 logits, the first has 2",
        ),
        (|s| s[2].3[1] = f32::NAN, "`s1` by model `b` is NaN or null for class 1"),
        (|s| s[2].3[0] = f32::INFINITY, "`s1` by model `b` is infinite for class 0"),
        (|s| s[3].4 = 2, "`s2` has 2"),
        (|s| s[3].4 = -1, "sample `s2` has the label -1"),
        (
            |s| {
                let twice = s[0].clone();
                s.push(twice);
            },
            "are there twice: `s3` by model `a` in epoch 0",
        ),
        (
            |s| {
                s.push(("s1", "a", 0, vec![0.0, 1.0], 0));
            },
            "trained on the sample: `s1` by model `a`; leave them out with --drop-seen",
        ),
        (
            |s| {
                s.remove(3);
            },
            "1 sample have no score: `s2`",
        ),
    ];
    for (change, says) in cases {
        let error = refused(change);
        assert!(error.contains(says), "{error}\ndoes not say: {says}");
    }
    let contradiction = refused(|s| {
        s.push(("s1", "b", 1, vec![0.0, 1.0], 1));
    });
    assert!(contradiction.contains("sample `s1` has the labels 0 and 1"), "{contradiction}");
}

#[test]
fn probabilities_must_be_a_distribution() {
    let cases: [(&[f32], &str); 3] = [
        (&[0.9, 0.4], "`s3` by model `a` has probabilities that sum to 1.3000, not 1"),
        (&[-0.1, 1.1], "has the probability -0.1 for class 0"),
        (&[f32::NAN, 1.0], "is NaN or null for class 0"),
    ];
    for (row, says) in cases {
        let mut said = toy();
        said.iter_mut().for_each(|s| s.3 = vec![0.25, 0.75]);
        said[0].3 = row.to_vec();
        let place = Place::new();
        let predictions = place.write("p.parquet", columns(&said, "probabilities"));
        let members = place.members(&MEMBERS);
        let error = place.score_tables(&predictions, Some(&members), |_| {}).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn epochs_must_be_whole() {
    let mut gap = trained();
    gap.retain(|s| s.2 != 2);
    let error = Place::new().score(&gap, |_| {}).unwrap_err().to_string();
    assert!(error.contains("lack epochs: `s3` by model `a` has [1, 3]"), "{error}");
    let mut short = trained();
    short.retain(|s| !(s.0 == "s2" && s.2 == 3));
    let error = Place::new().score(&short, |_| {}).unwrap_err().to_string();
    assert!(error.contains("`s2` by model `b` has 2 of 3"), "{error}");
}

#[test]
fn members_must_fit_the_predictions() {
    let cases: [(&[(&str, &str)], &str); 3] = [
        (&[("s1", "a"), ("s3", "c")], "1 model of the members table have no predictions: `c`"),
        (&[("s1", "a"), ("s2", "a")], "1 model have no members: `b`"),
        (&[("s1", "a"), ("s9", "b")], "1 sample have no score: `s9`"),
    ];
    for (members, says) in cases {
        let place = Place::new();
        let predictions = place.write("p.parquet", columns(&toy(), "logits"));
        let members = place.members(members);
        let error = place.score_tables(&predictions, Some(&members), |_| {}).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    let place = Place::new();
    let predictions = place.write("p.parquet", columns(&toy(), "logits"));
    let error = place.score_tables(&predictions, None, |_| {}).unwrap_err();
    assert!(
        error.exit_code() == 2 && error.to_string().contains("--members is missing"),
        "{error}"
    );
}

#[test]
fn what_a_model_saw_is_dropped_on_request_and_fine_in_fitting_mode() {
    let mut said = toy();
    said.push(("s1", "a", 0, vec![0.0, 1.0], 0));
    let scored = Place::new().score(&said, |job| job.drop_seen = true).unwrap();
    assert_eq!((scored.rows, scored.dropped), (4, 1));
    let fitting: Vec<Said> = toy().into_iter().map(|s| (s.0, "all", s.2, s.3, s.4)).collect();
    let place = Place::new();
    let predictions = place.write("p.parquet", columns(&fitting, "logits"));
    let fit = |job: &mut Job<'_>| job.mode = Mode::Fitting;
    assert_eq!(place.score_tables(&predictions, None, fit).unwrap().rows, 4);
    let table = place.table(&[Method::Margin, Method::El2n]);
    assert_eq!(table["fold"].null_count(), 4);
}

#[test]
fn samples_need_equally_many_scores() {
    let error = refused(|s| {
        s.push(("s1", "c", 0, vec![0.0, 1.0], 0));
    });
    assert!(error.contains("1 model have no members: `c`"), "{error}");
    let mut said = toy();
    said.push(("s1", "c", 0, vec![0.0, 1.0], 0));
    let place = Place::new();
    let predictions = place.write("p.parquet", columns(&said, "logits"));
    let members = place.members(&[&MEMBERS[..], &[("s4", "c")]].concat());
    let error = place.score_tables(&predictions, Some(&members), |_| {}).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("3 samples have fewer scores than the others, which have 2: `s2` has 1"),
        "{error}"
    );
}

#[test]
fn labels_may_come_from_a_table_of_their_own() {
    let bare = || -> Vec<(&'static str, ArrayRef)> {
        columns(&toy(), "logits").into_iter().filter(|(name, _)| *name != "label").collect()
    };
    let with = |ids: &[&str], labels: Vec<i64>| {
        let place = Place::new();
        let (predictions, members) = (place.write("p.parquet", bare()), place.members(&MEMBERS));
        let labels: ArrayRef = Arc::new(Int64Array::from(labels));
        let labels = place.write("l.parquet", vec![("id", texts(ids)), ("label", labels)]);
        place
            .score_tables(&predictions, Some(&members), |job| job.labels = Some(&labels))
            .map_err(|e| e.to_string())
    };
    assert_eq!(with(&["s1", "s2", "s3", "s4"], vec![0, 1, 0, 1]).unwrap().models[1].accuracy, 0.5);
    let cases = [
        (
            with(&["s1", "s2", "s3"], vec![0, 1, 0]),
            "1 sample with predictions have no row in the labels table: `s4`",
        ),
        (with(&["s1", "s2", "s3", "s4", "s1"], vec![0; 5]), "there twice: `s1`"),
        (with(&["s1", "s2", "s3", "s4", "s5"], vec![0; 5]), "1 sample have no score: `s5`"),
        (with(&["s1", "s2", "s3", "s4"], vec![0, 1, 0, 7]), "`s4` has 7"),
    ];
    for (found, says) in cases {
        let error = found.unwrap_err();
        assert!(error.contains(says), "{error}\ndoes not say: {says}");
    }
    let place = Place::new();
    let (predictions, members) = (place.write("p.parquet", bare()), place.members(&MEMBERS));
    let error = place.score_tables(&predictions, Some(&members), |_| {}).unwrap_err().to_string();
    assert!(error.contains("or from --labels") && error.contains("no column `label`"), "{error}");
}

#[test]
fn columns_of_other_types_are_named() {
    let cases: [(usize, &'static str, ArrayRef, &str); 5] = [
        (
            0,
            "id",
            Arc::new(Float64Array::from(vec![1.0; 4])),
            "the column `id` is Float64, but must hold strings and integers",
        ),
        (
            1,
            "modl",
            texts(&["a"; 4]),
            "there is no column `model`; it has `id`, `modl`, `logits`, `label`",
        ),
        (
            2,
            "logits",
            texts(&["a"; 4]),
            "the column `logits` is Utf8, but must hold lists of numbers",
        ),
        (2, "scores", texts(&["a"; 4]), "needs a column `logits` or a column `probabilities`"),
        (
            0,
            "id",
            Arc::new(StringArray::from(vec![Some("a"), None, Some("b"), None])),
            "row 1 has no `id` (null)",
        ),
    ];
    for (at, name, values, says) in cases {
        let place = Place::new();
        let mut columns = columns(&toy(), "logits");
        columns[at] = (name, values);
        let (predictions, members) = (place.write("p.parquet", columns), place.members(&MEMBERS));
        let error = place.score_tables(&predictions, Some(&members), |_| {}).unwrap_err();
        assert!(error.to_string().contains(says), "{error}\ndoes not say: {says}");
    }
}

#[test]
fn methods_that_predictions_do_not_suffice_for_are_refused() {
    let cases = [
        (Method::Herding, "compares embeddings"),
        (Method::Grand, "needs the embeddings"),
        (Method::Forgetting, "needs a column `epoch`"),
    ];
    for (method, says) in cases {
        let error = Place::new().score(&toy(), |job| job.methods = &[]).is_ok();
        assert!(error, "no method is no error");
        let methods = [method];
        let predictions_place = Place::new();
        let predictions = predictions_place.write("p.parquet", columns(&toy(), "logits"));
        let members = predictions_place.members(&MEMBERS);
        let (trajectory, storage) = (Trajectory::default(), Storage::default());
        let job = Job {
            predictions: &[predictions],
            members: Some(&members),
            labels: None,
            mode: Mode::Unseen,
            drop_seen: false,
            methods: &methods,
            trajectory: &trajectory,
            storage: &storage,
        };
        let output = NewFile::at(&predictions_place.uri("s.parquet"), &storage).unwrap();
        let error = score(&job, &output).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains(says), "{error}");
    }
    let error = Place::new().score(&trained(), |job| job.methods = &[Method::Tdds]).unwrap_err();
    assert!(error.to_string().contains("window"), "{error}");
}

fn recipe(changes: &[&str]) -> Recipe {
    let changes: Vec<_> = changes.iter().map(|change| change.parse().unwrap()).collect();
    Recipe::for_scores(&changes).unwrap()
}

#[test]
fn any_score_table_selects() {
    let place = Place::new();
    place.score(&toy(), |_| {}).unwrap();
    let recipe = recipe(&["select.keep=0.5", "select.by=margin"]);
    let uris = [place.uri("scores.parquet")];
    let scores = Scores::read(&uris, &recipe.select.by, &Storage::default()).unwrap();
    let selected = scores.select_into(&recipe, None).unwrap();
    assert_eq!((selected.samples, selected.kept, selected.output.as_deref()), (4, 2, None));
    let kept: Vec<_> =
        selected.classes.iter().map(|c| (c.name.as_str(), c.total, c.kept)).collect();
    assert_eq!(kept, [("0", 2, 1), ("1", 2, 1)], "s1 and s4 have the smallest margins");
    assert!((selected.cut.unwrap() - f64::from(0.5_f32.tanh())).abs() < 1e-6);
}

#[test]
fn a_bare_table_of_ids_labels_and_scores_is_enough() {
    let place = Place::new();
    let table = |score: ArrayRef| {
        vec![
            ("id", Arc::new(Int64Array::from(vec![3, 1, 2])) as ArrayRef),
            ("label", Arc::new(Int32Array::from(vec![0, 1, 1])) as ArrayRef),
            ("margin", score),
        ]
    };
    let good =
        place.write("good.parquet", table(Arc::new(Float64Array::from(vec![0.3, 0.1, 0.2]))));
    let bad = place.write("bad.parquet", table(texts(&["0.3", "0.1", "0.2"])));
    let recipe = recipe(&["select.keep_rows=1", "select.by=margin"]);
    let read = |uri: &str, by: &By| Scores::read(&[uri.to_owned()], by, &Storage::default());
    let selection = read(&good, &recipe.select.by).unwrap().select(&recipe).unwrap();
    let kept = selection["kept"].as_boolean();
    let ids: Vec<&str> = selection["id"].as_string::<i32>().iter().flatten().collect();
    assert_eq!(ids, ["1", "2", "3"]);
    assert_eq!(kept.iter().flatten().collect::<Vec<_>>(), [true, false, false]);
    let error = read(&bad, &recipe.select.by).err().unwrap().to_string();
    assert!(error.contains("the column `margin` is Utf8, but must hold numbers"), "{error}");
    let error = read(&good, &By::Method(Method::El2n)).err().unwrap().to_string();
    assert!(error.contains("there is no column `el2n`; it has `id`, `label`, `margin`"), "{error}");
}
