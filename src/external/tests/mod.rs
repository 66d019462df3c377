//! Predictions of a hand-made toy become a score table.

mod law;
mod select;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, Float32Builder, Float64Array,
    Int32Array, Int64Array, LargeListBuilder, ListBuilder, StringArray,
};
use arrow::datatypes::{Float32Type, Int32Type};
use arrow::record_batch::RecordBatch;
use tempfile::TempDir;

use super::{Job, Scored, score};
use crate::recipe::{Method, Mode, Outputs, Storage, Trajectory};
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

/// What a test asks for.
struct Ask {
    labels: Option<String>,
    mode: Mode,
    drop_seen: bool,
    methods: Vec<Method>,
}

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
    fn score(&self, said: &[Said], change: impl FnOnce(&mut Ask)) -> Result<Scored> {
        let predictions = self.write("predictions.parquet", columns(said, "logits"));
        let members = self.members(&MEMBERS);
        self.score_tables(&predictions, Some(&members), change)
    }

    fn score_tables(
        &self,
        predictions: &str,
        members: Option<&str>,
        change: impl FnOnce(&mut Ask),
    ) -> Result<Scored> {
        let (trajectory, storage) = (Trajectory::default(), Storage::default());
        let methods = vec![Method::Margin, Method::El2n];
        let mut ask = Ask { labels: None, mode: Mode::Unseen, drop_seen: false, methods };
        change(&mut ask);
        let job = Job {
            predictions: &[predictions.to_owned()],
            members,
            labels: ask.labels.as_deref(),
            mode: ask.mode,
            drop_seen: ask.drop_seen,
            methods: &ask.methods,
            trajectory: &trajectory,
            storage: &storage,
        };
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
    let column = |name: &str| table[name].as_primitive::<Float32Type>().values().to_vec();
    for (margin, gap) in column("margin").iter().zip([2.0_f32, 1.0, 0.5, 3.0]) {
        assert!((margin - (gap / 2.0).tanh()).abs() < 1e-6);
    }
    let wrong = 1.0 / (1.0 + (-3.0_f32).exp());
    assert!((column("el2n")[3] - 2.0_f32.sqrt() * wrong).abs() < 1e-6);
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
    let scored = place.score(&trained(), |ask| ask.methods = methods.to_vec()).unwrap();
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
