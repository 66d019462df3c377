//! A run on devices that this machine lacks: whatever is done can be read and proven all the same.

use std::sync::Arc;

use arrow::array::{Float32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use tempfile::TempDir;

use super::super::super::{Evaluate, Subset, evaluate, ledger_of};
use super::*;
use crate::ErrorKind;
use crate::recipe::{Storage, parse};
use crate::run::status::known_tasks;
use crate::run::task::Task;
use crate::run::worker::Run;
use crate::run::{Memory, Silent, verify};

/// Samples whose class is the larger of two numbers.
fn write_samples(place: &TempDir) {
    let mut random = crate::seed::Seed::new(1).rng();
    let pairs: Vec<[f32; 2]> = (0..200).map(|_| [random.unit(), random.unit()]).collect();
    let fields = [("id", DataType::Utf8), ("label", DataType::Utf8), ("a", DataType::Float32)];
    let fields = fields.into_iter().chain([("b", DataType::Float32)]);
    let fields: Vec<Field> = fields.map(|(name, kind)| Field::new(name, kind, false)).collect();
    let ids = StringArray::from_iter_values((0..200).map(|i| format!("s{i:03}")));
    let label = |[a, b]: &[f32; 2]| if a > b { "more" } else { "less" };
    let labels = StringArray::from_iter_values(pairs.iter().map(label));
    let [a, b] = [0, 1].map(|j| Float32Array::from_iter_values(pairs.iter().map(|pair| pair[j])));
    let columns: Vec<arrow::array::ArrayRef> =
        vec![Arc::new(ids), Arc::new(labels), Arc::new(a), Arc::new(b)];
    let table = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let bytes = parquet::encode_table(&table).unwrap();
    std::fs::write(place.path().join("samples.parquet"), bytes).unwrap();
}

/// A finished run whose recipe says that models run on CUDA devices; they ran here.
fn finished(place: &TempDir) -> Run {
    write_samples(place);
    let dir = place.path().display();
    let text = format!(
        "device = 'cuda'\nmodel.arch = 'linear'\ntrain.epochs = 2\njudge.seeds = 1\nfolds.k = 2\n\
         data = {{ uri = '{dir}/samples.parquet', features = ['a', 'b'] }}\n\
         select = {{ by = 'margin', keep = 0.5, stages = 1 }}\noutput.uri = '{dir}/run'"
    );
    let run = Run::new(parse(&text, "cuda.toml", &[]).unwrap()).unwrap();
    run.file.begin_or_resume(run.dir()).unwrap();
    loop {
        let known = known_tasks(&run.ledger, &run.recipe).unwrap();
        let done = run.ledger.committed().unwrap();
        let Some(task) = known.iter().find(|task| !done.contains(&task.to_string())) else { break };
        if *task == Task::Judge {
            train_proxies(&run);
        }
        run.do_task(*task, "cpu", 0, 0, &Silent).unwrap();
    }
    run.publish(&Silent).unwrap();
    run
}

fn train_proxies(run: &Run) {
    let subsets = &[Subset::Coreset, Subset::RandomStratified];
    let job = Job { run, ledger: ledger_of(&run.ledger), subsets, seeds: 0..1, anew: false };
    let bench = bench(&job).unwrap().unwrap();
    bench.devices.set(vec!["cpu".to_owned()]).unwrap();
    bench.do_trials(&bench.trials().unwrap(), &Silent).unwrap();
}

#[test]
fn a_run_of_cuda_devices_is_proven_without_them_and_trained_on_no_other_kind() {
    let place = tempfile::tempdir().unwrap();
    let run = finished(&place);
    let (uri, storage) = (run.dir().uri(), &Storage::default());
    let told = verify(uri, storage).unwrap();
    let judge = told.checks.iter().find(|check| check.name == "judge").unwrap();
    assert!(told.passed && judge.detail.contains("derived again"), "{told:#?}");

    let on = |device| Evaluate {
        run: uri,
        test: &[],
        filter: None,
        seeds: Some(1),
        budget: None,
        gates: &[],
        storage,
        memory: Memory::default(),
        device: Some(device),
    };
    let absent = evaluate(&on("cuda:99"), &Silent).unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::DeviceUnavailable);
    assert!(absent.to_string().contains("it needs a device of its kind"), "{absent}");
    let other = evaluate(&on("cpu"), &Silent).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Conflict);
    assert!(other.to_string().contains("name devices of that kind, not `cpu`"), "{other}");
}
