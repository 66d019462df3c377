//! Selections from score tables of any origin.

use super::*;
use arrow::array::ListArray;

use crate::external::Scores;
use crate::recipe::Recipe;

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
    let scores = Scores::read(&uris, &recipe, &Storage::default()).unwrap();
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
    let read = |uri: &str, recipe| Scores::read(&[uri.to_owned()], recipe, &Storage::default());
    let selection = read(&good, &recipe).unwrap().select(&recipe).unwrap();
    let kept = selection["kept"].as_boolean();
    let ids: Vec<&str> = selection["id"].as_string::<i32>().iter().flatten().collect();
    assert_eq!(ids, ["1", "2", "3"]);
    assert_eq!(kept.iter().flatten().collect::<Vec<_>>(), [true, false, false]);
    let error = read(&bad, &recipe).err().unwrap().to_string();
    assert!(error.contains("the column `margin` is Utf8, but must hold numbers"), "{error}");
    let error = read(&good, &self::recipe(&["select.keep_rows=1", "select.by=el2n"]))
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("there is no column `el2n`; it has `id`, `label`, `margin`"), "{error}");
}

#[test]
fn any_column_of_scores_and_any_id_may_decide() {
    let place = Place::new();
    let columns = vec![
        ("id", texts(&["a", "b", "c", "d"])),
        ("label", Arc::new(Int64Array::from(vec![0, 0, 1, 1])) as ArrayRef),
        ("my loss", Arc::new(Float64Array::from(vec![0.3, 0.1, 0.2, 0.4]))),
    ];
    let uri = place.write("mine.parquet", columns);
    let metadata = place.write("metadata.parquet", vec![("id", texts(&["a", "b", "c", "d"]))]);
    let kept = |own: &str, more: &[&str]| -> Result<Vec<u8>> {
        let own = format!("score.own=[{{ name = 'mine', {own} }}]");
        let changes = [&["select.keep_rows=2", "select.by=mine", own.as_str()], more].concat();
        let (recipe, storage) = (recipe(&changes), Storage::default());
        let scores = Scores::read(std::slice::from_ref(&uri), &recipe, &storage)?;
        let table = scores.beside(&metadata, &recipe.select, &storage)?.select(&recipe)?;
        let kept = table["kept"].as_boolean().iter().flatten().map(u8::from).collect::<Vec<_>>();
        Ok(kept)
    };
    let plain = r#"sql = '"my loss"', keep = 'low'"#;
    assert_eq!(kept(plain, &[]).unwrap(), [0, 1, 1, 0]);
    assert_eq!(kept(r#"sql = 'rank("my loss")'"#, &[]).unwrap(), [1, 0, 0, 1]);
    assert_eq!(kept(plain, &["select.filter=id <> 'b'"]).unwrap(), [1, 0, 1, 0]);
    let unknown = kept("sql = 'forgetting + \"my loss\"'", &[]).unwrap_err().to_string();
    assert!(unknown.contains("names the column `forgetting`"), "{unknown}");
    assert!(unknown.ends_with("the columns are my loss"), "{unknown}");
}

#[test]
fn probabilities_of_another_number_of_classes_are_named() {
    let place = Place::new();
    let rows = [vec![0.5, 0.5], vec![0.2, 0.3, 0.5]].map(|row| row.into_iter().map(Some));
    let lists = ListArray::from_iter_primitive::<Float32Type, _, _>(rows.map(Some));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", texts(&["a", "b"])),
        ("label", Arc::new(Int64Array::from(vec![0, 1]))),
        ("margin", Arc::new(Float64Array::from(vec![0.3, 0.1]))),
        ("probabilities", Arc::new(lists)),
    ];
    let uri = place.write("ragged.parquet", columns);
    let recipe = recipe(&["select.keep_rows=1", "score.average=probabilities"]);
    let error = Scores::read(&[uri], &recipe, &Storage::default()).err().unwrap().to_string();
    assert!(error.contains("sample `b` has 3 probabilities, but `a` has 2"), "{error}");
}

#[test]
fn labels_stages_and_clusters_that_cannot_be_are_named() {
    let place = Place::new();
    let storage = Storage::default();
    let write = |name: &str, label: Vec<i64>, stage: Vec<Option<i64>>, ids: &[&str]| {
        let columns = vec![
            ("id", texts(ids)),
            ("label", Arc::new(Int64Array::from(label)) as ArrayRef),
            ("stage", Arc::new(Int64Array::from(stage))),
            ("margin", Arc::new(Float64Array::from(vec![0.3, 0.1, 0.2]))),
        ];
        let uri = place.uri(name);
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, values)| (name, values, true)),
        );
        NewFile::at(&uri, &storage).unwrap().write_table(&batch.unwrap()).unwrap();
        uri
    };
    let ids = ["a", "b", "c"];
    let one = vec![Some(1); 3];
    let recipe = recipe(&["select.keep_rows=1", "select.by=margin", "select.duplicates=one"]);
    let read = |uri: &str| Scores::read(&[uri.to_owned()], &recipe, &storage);
    for (name, label, stage, says) in [
        ("wraps", vec![0, 1 << 32, 0], one.clone(), "sample `b` has the label 4294967296"),
        ("many", vec![0, 0, 2_000_000_000], one.clone(), "sample `c` has the label 2000000000"),
        ("below", vec![-1, 0, 0], one.clone(), "sample `a` has the label -1"),
        ("zero", vec![0; 3], vec![Some(1), Some(0), Some(1)], "sample `b` has the stage 0"),
        ("null", vec![0; 3], vec![Some(1), None, Some(1)], "row 1 has no `stage` (null)"),
    ] {
        let error = read(&write(&format!("{name}.parquet"), label, stage, &ids)).err().unwrap();
        assert!(error.to_string().contains(says), "{error}");
    }
    let good = write("good.parquet", vec![0; 3], one, &ids);
    let error = read(&good).unwrap().select(&recipe).unwrap_err().to_string();
    assert!(error.contains("`id` and `cluster`"), "{error}");
    let clusters = place
        .write("clusters.parquet", vec![("id", texts(&ids)), ("cluster", texts(&["b", "b", "c"]))]);
    let scores = read(&good).unwrap().beside(&clusters, &recipe.select, &storage).unwrap();
    let table = scores.select(&recipe).unwrap();
    let reasons: Vec<&str> = table["reason"].as_string::<i32>().iter().flatten().collect();
    assert_eq!(reasons, ["duplicate", "kept", "below-cut"]);
}

#[test]
fn columns_of_a_table_of_their_own_filter_and_cost() {
    let place = Place::new();
    let scores = place.write(
        "scores.parquet",
        vec![
            ("id", texts(&["a", "b", "c", "d"])),
            ("label", Arc::new(Int32Array::from(vec![0, 1, 0, 1]))),
            ("margin", Arc::new(Float64Array::from(vec![0.1, 0.2, 0.3, 0.4]))),
        ],
    );
    let metadata = |ids: &[&str]| {
        let source = ["web", "book", "web", "web", "web"];
        let uri = place.uri(&format!("meta-{}.parquet", ids.len()));
        let columns = vec![("id", texts(ids)), ("source", texts(&source[..ids.len()]))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        NewFile::at(&uri, &Storage::default()).unwrap().write_table(&batch).unwrap();
        uri
    };
    let recipe = recipe(&["select.keep=0.5", "select.by=margin", "select.filter=source = 'web'"]);
    let storage = Storage::default();
    let select = |uri: &str, recipe: &Recipe| {
        let scores = Scores::read(std::slice::from_ref(&scores), recipe, &storage)?;
        scores.beside(uri, &recipe.select, &storage)?.select(recipe)
    };
    let table = select(&metadata(&["a", "b", "c", "d"]), &recipe).unwrap();
    let reasons: Vec<&str> = table["reason"].as_string::<i32>().iter().flatten().collect();
    assert_eq!(reasons, ["kept", "filtered", "kept", "below-cut"]);
    let error = select(&metadata(&["a", "b", "c"]), &recipe).unwrap_err().to_string();
    assert!(error.contains("`d`"), "{error}");
    let other = self::recipe(&["select.keep=0.5", "select.by=margin", "select.filter=licence = 1"]);
    let error = select(&place.uri("meta-4.parquet"), &other).unwrap_err().to_string();
    assert!(error.contains("there is no column `licence`; it has `id`, `source`"), "{error}");
}
