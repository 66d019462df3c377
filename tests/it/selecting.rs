//! What decides beside the scores, from the recipe to the proof: joined tables, filters, quotas, budgets
//! and strategies.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::support::{Place, Toy, run, succeed, toy_recipe, write_parquet};

const ROWS: usize = 120;

/// A toy dataset with the columns `split` and `weight`, and three tables about it.
fn prepared() -> Place {
    let place = Place::new();
    let toy = Toy::new(ROWS, 3);
    let batch = toy.batch(0..ROWS);
    let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
    let schema = batch.schema();
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        columns.push((field.name(), Arc::clone(column)));
    }
    let split = (0..ROWS).map(|i| if i % 4 == 0 { "extra" } else { "core" });
    columns.push(("split", Arc::new(StringArray::from_iter_values(split))));
    columns
        .push(("weight", Arc::new(Int64Array::from_iter_values((0..ROWS as i64).map(|i| i % 7)))));
    write_parquet(&place.path("toy.parquet"), &RecordBatch::try_from_iter(columns).unwrap(), 40);
    let mut csv = vec!["id,source,day".to_owned()];
    let mut json: Vec<String> = Vec::new();
    for (i, id) in toy.ids.iter().enumerate().rev() {
        csv.push(format!("{id},{},2024-01-{:02}", ["web", "book"][i % 2], i % 28 + 1));
        json.push(format!(
            "{{\"key\": \"{id}\", \"licence\": \"{}\"}}",
            ["mit", "gpl", "none"][i / 3 % 3]
        ));
    }
    std::fs::write(place.path("about.csv"), csv.join("\n")).unwrap();
    std::fs::write(place.path("licences.jsonl"), json.join("\n")).unwrap();
    std::fs::write(place.path("licences.json"), format!("[{}]", json.join(","))).unwrap();
    // One sample has no row here.
    let known = 1..ROWS;
    let tokens: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(StringArray::from_iter_values(known.clone().map(|i| &toy.ids[i])))),
        ("tokens", Arc::new(Float64Array::from_iter_values(known.map(|i| 1.0 + (i % 5) as f64)))),
    ];
    write_parquet(&place.path("tokens.parquet"), &RecordBatch::try_from_iter(tokens).unwrap(), 50);
    place
}

fn recipe(place: &Place, name: &str, changes: &str, tables: &str) -> String {
    let text = toy_recipe(&place.text("toy.parquet"), &place.text(name), tables);
    let text = text.replace("keep = 0.5\nstages = 2", changes);
    place.recipe(&format!("{name}.toml"), &text)
}

/// Runs and verifies; gives the summary.
fn selected(place: &Place, name: &str, changes: &str, tables: &str) -> serde_json::Value {
    let recipe = recipe(place, name, changes, tables);
    let summary = succeed(&["run", &recipe, "--json", "--quiet"]);
    let proof = run(&["verify", &place.text(name)]);
    assert!(proof.status.success(), "{changes}:\n{}", String::from_utf8_lossy(&proof.stdout));
    serde_json::from_str(&summary).unwrap()
}

fn refused(place: &Place, name: &str, changes: &str, tables: &str) -> String {
    let output = run(&["plan", &recipe(place, name, changes, tables)]);
    assert!(!output.status.success(), "{changes} {tables} is planned");
    String::from_utf8(output.stderr).unwrap()
}

fn join(place: &Place, file: &str, more: &str) -> String {
    format!("[[join]]\nuri = \"{}\"\n{more}\n", place.text(file))
}

fn read(path: &Path) -> RecordBatch {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// Of each kept sample its number, and of all samples the reasons.
fn outcome(place: &Place, name: &str) -> (Vec<usize>, BTreeMap<String, usize>) {
    let table = read(&place.path(&format!("{name}/tables/selection.parquet")));
    let (ids, reasons) = (table["id"].as_string::<i32>(), table["reason"].as_string::<i32>());
    let (mut kept, mut counts) = (Vec::new(), BTreeMap::new());
    for (id, reason) in ids.iter().flatten().zip(reasons.iter().flatten()) {
        if reason == "kept" {
            kept.push(id[1..].parse().unwrap());
        }
        *counts.entry(reason.to_owned()).or_default() += 1;
    }
    for twin in ["random", "random_stratified"] {
        assert_eq!(table[twin].as_boolean().true_count(), kept.len());
    }
    (kept, counts)
}

#[test]
fn joined_tables_filter_bound_and_are_proven() {
    let place = prepared();
    let tables = [
        join(&place, "about.csv", "columns = ['source', 'day']"),
        join(&place, "licences.jsonl", "on = 'key'"),
        join(&place, "tokens.parquet", ""),
    ]
    .concat();
    let rules = "keep = 0.3\nstages = 2\nfilter = \"licence <> 'none' AND tokens IS NOT NULL AND split = 'core'\"\n\
                 quota = [{ each = ['source', 'label'], min = 4 }, { is = { licence = 'gpl' }, max = 20 }]";
    selected(&place, "run", rules, &tables);
    let (kept, reasons) = outcome(&place, "run");
    assert_eq!(kept.len(), 36);
    assert!(kept.iter().all(|i| i / 3 % 3 != 2 && i % 4 != 0 && *i > 0));
    assert_eq!(
        reasons["filtered"],
        ROWS - (0..ROWS).filter(|i| i / 3 % 3 != 2 && i % 4 != 0).count()
    );
    assert!(kept.iter().filter(|i| **i / 3 % 3 == 1).count() <= 20);
    for (source, label) in (0..2).flat_map(|s| (0..3).map(move |l| (s, l))) {
        assert!(kept.iter().filter(|i| **i % 2 == source && **i % 3 == label).count() >= 4);
    }
    let metadata = read(&place.path("run/tables/metadata.parquet"));
    let names: Vec<_> = metadata.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["id", "split", "source", "day", "licence", "tokens"]);
    assert_eq!(metadata["tokens"].null_count(), 1);
    let file: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.path("run/run.json")).unwrap()).unwrap();
    assert_eq!(file["join"].as_array().unwrap().len(), 3);
    // A table that changed is another run, and the proof says so.
    std::fs::write(place.path("licences.jsonl"), "{\"key\": \"s00001\", \"licence\": \"mit\"}")
        .unwrap();
    let again = run(&["run", place.path("run.toml").to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1), "{}", String::from_utf8_lossy(&again.stderr));
    let proof = run(&["verify", &place.text("run")]);
    assert!(!proof.status.success());
}

#[test]
fn explain_names_the_cell_that_was_full() {
    let place = prepared();
    let tables = join(&place, "about.csv", "columns = ['source', 'day']");
    let rules = "keep = 0.5\nstages = 1\nfilter = \"id <> 's00005'\"\n\
                 quota = [{ each = ['source'], max_of_kept = 0.5 }, { is = { label = '0', source = 'book' }, max = 7 }]";
    selected(&place, "run", rules, &tables);
    let table = read(&place.path("run/tables/selection.parquet"));
    let (ids, reasons) = (table["id"].as_string::<i32>(), table["reason"].as_string::<i32>());
    let (labels, kept) = (table["label"].as_primitive::<Int32Type>(), table["kept"].as_boolean());
    let about = |at: usize| (ids.value(at)[1..].parse::<usize>().unwrap() % 2, labels.value(at));
    let is_book = |at: &usize| about(*at).0 == 1;
    let books = || (0..ROWS).filter(is_book);
    let small = books().filter(|at| about(*at).1 == 0 && kept.value(*at)).count();
    assert_eq!(small, 7, "the order would take more");
    assert_eq!(reasons.value(5), "filtered");
    let full = books().find(|at| about(*at).1 == 0 && reasons.value(*at) == "quota").unwrap();
    let told = succeed(&["explain", &place.text("run"), ids.value(full)]);
    let all = books().filter(|at| about(*at).1 == 0).count();
    let cells = format!(
        "but no more was allowed of source=book (30 of 60 kept) and of label=0,source=book (7 of {all} kept)."
    );
    assert!(told.contains(&cells), "{told}");
    assert!(
        told.contains(&format!("Cell      label=0,source=book, 7 of {all} kept, at most 7")),
        "{told}"
    );
    assert!(told.contains("Cell      source=book, "), "{told}");
}

#[test]
fn a_join_that_fits_no_sample_says_so() {
    let place = prepared();
    std::fs::write(place.path("other.csv"), "id,source\nx1,web\nx2,book\n").unwrap();
    let rules = "keep = 0.5\nfilter = \"source = 'web'\"";
    let recipe = recipe(&place, "run", rules, &join(&place, "other.csv", ""));
    let output = run(&["run", &recipe, "--quiet"]);
    let told = String::from_utf8_lossy(&output.stderr);
    let says = "other.csv: it has a row for none of the 120 samples: its ids in `id` (such as `x1`) are not those of the samples (such as `s00000`)";
    assert!(!output.status.success() && told.contains(says), "{told}");
}

#[test]
fn json_and_its_lines_join_alike() {
    let place = prepared();
    let rules = "keep = 0.25\nstages = 1\nfilter = \"licence = 'mit'\"";
    selected(&place, "a", rules, &join(&place, "licences.json", "on = 'key'"));
    selected(&place, "b", rules, &join(&place, "licences.jsonl", "on = 'key'"));
    assert_eq!(outcome(&place, "a"), outcome(&place, "b"));
}

#[test]
fn budgets_are_spent_over_stages_and_never_overdrawn() {
    let place = prepared();
    let budget = "budget = { column = 'weight', total = 60.0 }\nstages = 2";
    let summary = selected(&place, "weight", budget, "");
    let (kept, reasons) = outcome(&place, "weight");
    let spent: usize = kept.iter().map(|i| i % 7).sum();
    assert!((54..=60).contains(&spent), "{spent}");
    assert_eq!(reasons.keys().collect::<Vec<_>>(), ["budget", "kept"]);
    assert!((0..ROWS).filter(|i| i % 7 == 0).all(|free| kept.contains(&free)));
    assert_eq!(summary["stages"].as_array().unwrap().len(), 2);
    selected(
        &place,
        "bytes",
        "budget = { column = 'bytes', share = 0.3 }\nstages = [0.1, 0.2]",
        "",
    );
    let samples = read(&place.path("bytes/tables/samples.parquet"));
    let bytes = samples["bytes"].as_primitive::<Int64Type>();
    let (kept, _) = outcome(&place, "bytes");
    let spent: i64 = kept.iter().map(|i| bytes.value(*i)).sum();
    let all: i64 = bytes.values().iter().sum();
    assert!(spent as f64 <= 0.3 * all as f64 && spent as f64 > 0.25 * all as f64);
}

#[test]
fn every_strategy_and_class_rule_proves_itself() {
    let place = prepared();
    for (i, rules) in [
        "prune = 0.75\nstages = 3\nclasses = 'hard_class'",
        "keep = 0.5\nstages = 2\nstrategy = 'strata'\ndrop_hardest = 0.1",
        "keep = 0.5\nstages = 2\nstrategy = 'middle'\nclasses = 'uniform'",
        "keep = 0.5\nstages = 1\nstrategy = 'random'\ncap = 21",
        "keep_rows = 31\nstages = 2\nstrategy = 'random_stratified'",
        "keep = 0.3\nstages = 2\nduplicates = 'one'",
    ]
    .into_iter()
    .enumerate()
    {
        let summary = selected(&place, &format!("run-{i}"), rules, "");
        let (kept, _) = outcome(&place, &format!("run-{i}"));
        assert_eq!(kept.len(), [30, 60, 60, 60, 31, 36][i], "{rules}");
        assert_eq!(summary["kept"], kept.len());
    }
}

#[test]
fn a_score_of_ones_own_decides_a_run() {
    let place = prepared();
    let own = "[[score.own]]\nname = 'mix'\nsql = '0.7 * rank(margin) + 0.3 * rank(el2n)'";
    let text = toy_recipe(&place.text("toy.parquet"), &place.text("own"), own);
    let text = text.replace("by = \"margin\"", "by = \"mix\"");
    let recipe = place.recipe("own.toml", &text);
    let summary: serde_json::Value =
        serde_json::from_str(&succeed(&["run", &recipe, "--json", "--quiet"])).unwrap();
    assert_eq!(summary["by"], "mix (high is kept)");
    succeed(&["verify", &place.text("own")]);
    let wrong = place.recipe("wrong.toml", &text.replace("rank(el2n)", "rank(el3n)"));
    let says = String::from_utf8(run(&["plan", &wrong]).stderr).unwrap();
    assert!(
        says.contains("ranks the column `el3n`, which does not exist; the columns are"),
        "{says}"
    );
}

#[test]
fn what_cannot_hold_is_told_before_anything_runs() {
    let place = prepared();
    std::fs::write(place.path("twice.csv"), "id,s\ns00001,1\ns00001,2\ns00002,1\n").unwrap();
    std::fs::write(place.path("broken.json"), "[{\"id\": ").unwrap();
    std::fs::write(place.path("split.csv"), "id,split\ns00001,1\n").unwrap();
    let keep = "keep = 0.5\nstages = 1";
    for (rules, tables, says) in [
        (keep, join(&place, "twice.csv", ""), "1 ids have more than one row, such as `s00001`"),
        (keep, join(&place, "broken.json", ""), "cannot be read as JSON"),
        (keep, join(&place, "none.csv", ""), "is no file"),
        (keep, join(&place, "about.csv", "on = 'key'"), "no column `key`"),
        (
            keep,
            join(&place, "about.csv", "columns = ['id']"),
            "`join.columns` names a column twice",
        ),
        (keep, join(&place, "toy.txt", ""), "ends in .parquet, .csv, .json"),
        (keep, join(&place, "split.csv", ""), "and a [[join]] table have the column `split`"),
        (&format!("{keep}\nfilter = \"sourc = 'web'\""), String::new(), "names the column `sourc`"),
        (
            &format!("{keep}\nquota = [{{ each = ['features'], min = 1 }}]"),
            String::new(),
            "cannot be used beside scores",
        ),
        ("budget = { column = 'split', share = 0.5 }", String::new(), "a cost is a number"),
    ] {
        let told = refused(&place, "run", rules, &tables);
        assert!(told.contains(says), "{told}");
        assert!(!place.path("run").exists());
    }
    // What depends on all usable samples is told once they are, before any training.
    let quota = "quota = [{ each = ['split'], min = 40 }]";
    let recipe_of = |rules: &str| recipe(&place, "early", rules, "");
    let output = run(&["run", &recipe_of(&format!("{keep}\n{quota}")), "--quiet"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("cell split=extra has 30 samples but min asks 40"), "{told}");
    assert!(told.contains("task metadata"), "{told}");
    assert!(!place.path("early/commits/train-s1-m0.json").exists());
    let lost = "missing = 'refuse'";
    let recipe = recipe(&place, "run", keep, &join(&place, "tokens.parquet", lost));
    let output = run(&["run", &recipe, "--quiet"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("it has no row for 1 samples, such as `s00000`"), "{told}");
}
