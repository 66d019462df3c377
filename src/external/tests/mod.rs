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
use crate::recipe::{self, Average, Method, Mode, Outputs, Storage};
use crate::scoring::{self, Cloud};
use crate::seed::Seed;
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
    average: Average,
    label_errors: bool,
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
        let storage = Storage::default();
        let mut ask = Ask {
            labels: None,
            mode: Mode::Unseen,
            drop_seen: false,
            methods: vec![Method::Margin, Method::El2n],
            average: Average::Scores,
            label_errors: false,
        };
        change(&mut ask);
        let asked = recipe::Score {
            methods: ask.methods,
            average: ask.average,
            ..recipe::Score::default()
        };
        let job = Job {
            predictions: &[predictions.to_owned()],
            members,
            labels: ask.labels.as_deref(),
            mode: ask.mode,
            drop_seen: ask.drop_seen,
            score: &asked,
            seed: &Seed::new(0),
            storage: &storage,
        };
        let errors = NewFile::at(&self.uri("label_errors.parquet"), &storage).unwrap();
        let errors = ask.label_errors.then_some(&errors);
        score(&job, &NewFile::at(&self.uri("scores.parquet"), &storage).unwrap(), errors)
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

/// 40 samples of 4 classes, scored by model `b`, which was trained on nothing of them.
fn embedded() -> (Vec<(&'static str, ArrayRef)>, Vec<Vec<f32>>) {
    let mut rng = Seed::new(7).rng();
    let mut rows = |width: usize| -> Vec<Vec<f32>> {
        (0..40).map(|_| (0..width).map(|_| 4.0 * rng.unit() - 2.0).collect()).collect()
    };
    let (points, logits) = (rows(3), rows(4));
    let ids: Vec<String> = (0..40).map(|i| format!("s{i:02}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let columns = vec![
        ("id", texts(&ids)),
        ("model", texts(&["b"; 40])),
        ("logits", lists(&logits)),
        ("label", Arc::new(Int64Array::from_iter_values((0..40).map(|i| i % 4))) as ArrayRef),
        ("embedding", lists(&points)),
    ];
    (columns, points)
}

#[test]
fn embeddings_beside_predictions_are_compared_as_those_of_runs() {
    let place = Place::new();
    let (columns, points) = embedded();
    let predictions = place.write("predictions.parquet", columns);
    let methods: Vec<Method> = Method::ALL
        .into_iter()
        .filter(|m| m.needs() == recipe::Needs::Embeddings)
        .chain([Method::El2n, Method::Grand])
        .collect();
    let ask = |ask: &mut Ask| {
        (ask.mode, ask.methods) = (Mode::Fitting, methods.clone());
        ask.average = Average::Probabilities;
    };
    place.score_tables(&predictions, None, ask).unwrap();
    let bytes = std::fs::read(place.uri("scores.parquet")).unwrap();
    let schema = tables::scores(&methods, &[("probabilities", 4)], Outputs::Clean);
    let table = parquet::decode_table(bytes.into(), &schema).unwrap();
    let column = |name: &str| table[name].as_primitive::<Float32Type>().values().to_vec();
    let flat: Vec<f32> = points.iter().flatten().copied().collect();
    let probabilities = table["probabilities"].as_fixed_size_list().values().clone();
    let (difficulty, labels) = (column("el2n"), (0..40).map(|i| i % 4).collect::<Vec<u32>>());
    let seed = Seed::new(0);
    let tie = seed.of("tie");
    let ties: Vec<u64> = (0..40).map(|i| tie.hash(&format!("s{i:02}"))).collect();
    let cloud = Cloud {
        points: &flat,
        width: 3,
        labels: &labels,
        classes: 4,
        probabilities: Some(probabilities.as_primitive::<Float32Type>().values()),
        difficulty: Some(&difficulty),
        ties: &ties,
        chosen: &[],
    };
    let options = recipe::Embedding::default();
    for method in methods.iter().take(methods.len() - 2) {
        let seed = seed.of("embeddings").of("model=0").of(method.name());
        let wanted = scoring::embedding_scores(*method, &cloud, &options, &seed).unwrap();
        assert_eq!(column(method.name()), wanted, "{}", method.name());
    }
    let norm = |p: &Vec<f32>| p.iter().map(|x| f64::from(x * x)).sum::<f64>();
    for ((grand, el2n), point) in column("grand").iter().zip(column("el2n")).zip(&points) {
        let wanted = f64::from(el2n) * (1.0 + norm(point)).sqrt();
        assert!((f64::from(*grand) - wanted).abs() < 1e-5 * wanted, "{grand} {wanted}");
    }
}

#[test]
fn labels_that_models_contradict_are_suspected() {
    let place = Place::new();
    // 20 samples by two models; s07 has the other class's outputs.
    let ids: Vec<String> = (0..20).map(|i| format!("s{i:02}")).collect();
    let mut said = Vec::new();
    for model in ["a", "b"] {
        for (i, id) in ids.iter().enumerate() {
            let sure = if i == 7 { 5.0 } else { 2.0 + i as f32 / 10.0 };
            let right = if i == 7 { 1 - i % 2 } else { i % 2 };
            let logits = if right == 0 { vec![sure, 0.0] } else { vec![0.0, sure] };
            said.push((id.as_str(), model, logits, i as i64 % 2));
        }
    }
    let columns = vec![
        ("id", texts(&said.iter().map(|s| s.0).collect::<Vec<_>>())),
        ("model", texts(&said.iter().map(|s| s.1).collect::<Vec<_>>())),
        ("logits", lists(&said.iter().map(|s| s.2.clone()).collect::<Vec<_>>())),
        ("label", Arc::new(Int64Array::from_iter_values(said.iter().map(|s| s.3))) as ArrayRef),
    ];
    let predictions = place.write("predictions.parquet", columns);
    let ask = |ask: &mut Ask| (ask.mode, ask.label_errors) = (Mode::Fitting, true);
    let scored = place.score_tables(&predictions, None, ask).unwrap();
    assert_eq!(scored.suspected_labels, Some(1));
    let bytes = std::fs::read(place.uri("label_errors.parquet")).unwrap();
    let table = parquet::decode_table(bytes.into(), &tables::label_errors()).unwrap();
    let suspected = table["suspected"].as_boolean();
    let ids = table["id"].as_string::<i32>();
    let found: Vec<&str> =
        (0..20).filter(|at| suspected.value(*at)).map(|at| ids.value(at)).collect();
    assert_eq!(found, ["s07"]);
}
