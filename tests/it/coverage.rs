//! Methods that choose one sample after another cover the data, whoever scores and in however many
//! stages.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field};
use arrow::record_batch::RecordBatch;

use crate::options::table;
use crate::support::{Place, succeed, toy_recipe, write_parquet};

const GROUPS: usize = 60;
const COPIES: usize = 4;

/// Groups of four samples close to each other, far from other groups.
fn write_groups(path: &Path) {
    let rows = || (0..GROUPS * COPIES).map(|i| (i / COPIES, i % COPIES));
    let ids = StringArray::from_iter_values(rows().map(|(g, c)| format!("g{g:02}-{c}")));
    let labels = Int64Array::from_iter_values(rows().map(|(g, _)| (g % 2) as i64));
    let at =
        |(g, c): (usize, usize)| [10.0 * (g % 8) as f32 + 0.01 * c as f32, 10.0 * (g / 8) as f32];
    let values = Float32Array::from_iter_values(rows().flat_map(at));
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let vectors = FixedSizeListArray::new(item, 2, Arc::new(values), None);
    let columns: Vec<(&str, ArrayRef)> =
        vec![("id", Arc::new(ids)), ("label", Arc::new(labels)), ("features", Arc::new(vectors))];
    write_parquet(path, &RecordBatch::try_from_iter(columns).unwrap(), 32);
}

/// The kept ids.
fn kept(run: &Path) -> BTreeSet<String> {
    let selection = table(run, "tables/selection.parquet");
    let ids = selection["id"].as_string::<i32>().iter().flatten();
    let kept = ids.zip(selection["kept"].as_boolean()).filter(|(_, kept)| *kept == Some(true));
    kept.map(|(id, _)| id.to_owned()).collect()
}

#[test]
fn orders_by_a_column_of_embeddings_are_the_same_in_every_mode_and_number_of_stages() {
    let place = Place::new();
    write_groups(&place.path("toy.parquet"));
    let text = toy_recipe(&place.text("toy.parquet"), &place.text("run"), "");
    let recipe = place.recipe("groups.toml", &text.replace("keep = 0.5", "keep_rows = 62"));
    let pruned = |name: &str, by: &str, sets: &[&str]| {
        let (by, output) = (format!("select.by={by}"), format!("output.uri={}", place.text(name)));
        let mut line = vec!["run", &recipe, "--quiet", "--set", &by, "--set", &output];
        for set in [&["data.embedding=features", "score.embedding.from=column"], sets].concat() {
            line.extend(["--set", set]);
        }
        succeed(&line);
        succeed(&["verify", &place.text(name)]);
        kept(&place.path(name))
    };
    for by in ["k_center", "herding", "facility_location"] {
        let fitting = pruned(&format!("{by}-fitting"), by, &["mode=fitting", "select.stages=1"]);
        if by == "k_center" {
            let groups: BTreeSet<_> =
                fitting.iter().map(|id| id.split_once('-').unwrap().0).collect();
            assert_eq!(groups.len(), GROUPS, "every group is covered");
        }
        let three = pruned(&format!("{by}-three"), by, &["select.stages=3"]);
        assert_eq!(three, fitting, "{by}: the later stages go on where the first ones ended");
        let others =
            pruned(&format!("{by}-others"), by, &["select.stages=2", "folds.fit_on=complement"]);
        assert_eq!(others, fitting, "{by}");
    }
}
