//! Bad input: one clear message, a non-zero exit code, no panic, and nothing that looks whole.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Float32Array, Int64Array, ListArray, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;

use crate::support::{Place, Toy, run, toy_recipe, write_parquet};

/// Runs and plans the recipe; both must fail with this exit code and name all of these.
fn refused(place: &Place, recipe: &str, code: i32, named: &[&str]) {
    refused_by(&["run", "plan"], place, recipe, code, named);
    assert!(!place.path("run").exists(), "something was written");
}

/// As [`refused`], for what only decoding shows: a plan does not decode.
fn refused_by(commands: &[&str], place: &Place, recipe: &str, code: i32, named: &[&str]) {
    for command in commands {
        let path = place.recipe("bad.toml", recipe);
        let output = run(&[command, &path]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{command}: {stderr}");
        let errors: Vec<&str> = stderr.lines().filter(|l| l.starts_with("error:")).collect();
        assert_eq!(errors.len(), 1, "{stderr}");
        for name in named {
            assert!(errors[0].contains(name), "`{name}` is not in: {stderr}");
        }
        assert!(!stderr.contains("panicked"), "{stderr}");
        assert!(output.stdout.is_empty());
    }
    assert_nothing_whole(&place.path("run"));
}

fn assert_nothing_whole(run: &Path) {
    for whole in ["manifest.json", "coreset/_SUCCESS", "coreset/data"] {
        assert!(!run.join(whole).exists(), "{whole} is there");
    }
}

fn toy(place: &Place) -> String {
    toy_recipe(&place.text("toy.parquet"), &place.text("run"), "")
}

/// A dataset of id, label and one feature list, any of which may be null.
fn rows(ids: Vec<Option<&str>>, labels: Vec<Option<i64>>, features: Vec<Vec<f32>>) -> RecordBatch {
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let offsets = OffsetBuffer::from_lengths(features.iter().map(Vec::len));
    let values: Float32Array = features.into_iter().flatten().collect::<Vec<f32>>().into();
    let list = ListArray::try_new(item.clone(), offsets, Arc::new(values), None).unwrap();
    let columns: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from(ids)), Arc::new(Int64Array::from(labels)), Arc::new(list)];
    let schema = Schema::new(vec![
        Field::new("id", DataType::Utf8, true),
        Field::new("label", DataType::Int64, true),
        Field::new("features", DataType::List(item), true),
    ]);
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

fn ten() -> (Vec<Option<&'static str>>, Vec<Option<i64>>, Vec<Vec<f32>>) {
    let ids = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].map(Some).to_vec();
    (ids, (0..10).map(|i| Some(i % 2)).collect(), (0..10).map(|i| vec![i as f32, 1.0]).collect())
}

#[test]
fn ids_labels_and_columns() {
    let place = Place::new();
    let write = |ids, labels, features| {
        write_parquet(&place.path("toy.parquet"), &rows(ids, labels, features), 4);
    };
    let (mut ids, labels, features) = ten();
    ids[7] = Some("c");
    write(ids, labels, features);
    refused(&place, &toy(&place), 1, &["`c`", "toy.parquet"]);

    let (mut ids, labels, features) = ten();
    ids[3] = None;
    write(ids, labels, features);
    refused(&place, &toy(&place), 1, &["without an id", "row 3"]);

    let (ids, mut labels, features) = ten();
    labels[3] = None;
    write(ids, labels, features);
    refused(&place, &toy(&place), 1, &["label", "row 3"]);

    let (ids, _, features) = ten();
    write(ids, vec![Some(1); 10], features);
    refused(&place, &toy(&place), 1, &["class"]);

    let (ids, labels, features) = ten();
    write(ids, labels, features);
    refused(
        &place,
        &toy(&place).replace("[model]", "label = \"lable\"\n[model]"),
        1,
        &["`lable`", "label"],
    );
    refused(
        &place,
        &toy(&place).replace("[model]", "filter = \"id = 'nobody'\"\n[model]"),
        1,
        &["filter"],
    );
    refused(
        &place,
        &toy(&place).replace("[model]", "filter = \"nope > 1\"\n[model]"),
        2,
        &["nope"],
    );
    refused(&place, &toy(&place).replace("k = 3", "k = 11"), 1, &["11", "10"]);
    refused(&place, &toy(&place).replace("k = 3", "k = 6\nstratify = true"), 1, &["stratify"]);
}

#[test]
fn an_empty_dataset() {
    let place = Place::new();
    write_parquet(&place.path("toy.parquet"), &rows(vec![], vec![], vec![]), 4);
    refused(&place, &toy(&place), 1, &["no row"]);
    std::fs::create_dir_all(place.path("empty")).unwrap();
    refused(&place, &toy_recipe(&place.text("empty"), &place.text("run"), ""), 1, &["empty"]);
    refused(
        &place,
        &toy_recipe(&place.text("nowhere.parquet"), &place.text("run"), ""),
        1,
        &["nowhere.parquet"],
    );
}

#[test]
fn samples_that_cannot_be_used_are_counted_against_the_limit() {
    let place = Place::new();
    let (ids, labels, mut features) = ten();
    features[4][1] = f32::NAN;
    write_parquet(&place.path("toy.parquet"), &rows(ids, labels, features), 4);
    refused_by(&["run"], &place, &toy(&place), 1, &["`e`", "max_quarantined"]);
}

#[test]
fn keep_outside_of_its_range() {
    let place = Place::new();
    Toy::new(60, 2).write(&place.path("toy.parquet"));
    for keep in ["0", "0.0", "1.5", "-0.1", "nan"] {
        refused(
            &place,
            &toy(&place).replace("keep = 0.5", &format!("keep = {keep}")),
            2,
            &["bad.toml:17:", "keep"],
        );
    }
    refused(
        &place,
        &toy(&place).replace("keep = 0.5", "kep = 0.5"),
        2,
        &["bad.toml:17:1", "`keep`"],
    );
    refused(&place, &toy(&place).replace("keep = 0.5", "keep_rows = 61"), 2, &["61", "60"]);
}

#[test]
fn class_rules_that_cannot_hold() {
    let place = Place::new();
    // 40 samples of class 0 and 20 of class 1, of which 30 are kept.
    let mut data = Toy::new(60, 3);
    data.labels.iter_mut().for_each(|label| *label /= 2);
    data.write(&place.path("toy.parquet"));
    for (rule, named) in [
        (
            "cap = 10",
            ["`select.cap` keeps at most 20 samples, but 30", "`0` 10 of 40, `1` 10 of 20"],
        ),
        ("floor = 0.8", ["`select.floor` keeps at least 48 samples, but 30", "`0` 32 of 40"]),
        ("floor = 15\ncap = 0.5", ["class `1` has 20 samples", "`select.cap`, 10"]),
        ("target = { 0 = 0.1, 1 = 0.9 }", ["`select.target`", "`1` 27 of 20"]),
        ("target = { 0 = 0.5, 11 = 0.5 }", ["`11`, which is no class", "the classes are `0`, `1`"]),
        ("target = { 0 = 1.0 }", ["`select.target`", "leaves out `1`"]),
    ] {
        let recipe = toy(&place).replace("keep = 0.5", &format!("keep = 0.5\n{rule}"));
        refused(&place, &recipe, 2, &named);
    }
}

#[test]
fn files_that_are_not_parquet() {
    let place = Place::new();
    Toy::new(600, 2).write(&place.path("good.parquet"));
    let good = std::fs::read(place.path("good.parquet")).unwrap();
    let cut = [1, 4, good.len() / 2, good.len() - 8, good.len() - 1];
    for bytes in cut.map(|n| &good[..n]).into_iter().chain([b"id,label\na,1\n" as &[u8], b""]) {
        std::fs::write(place.path("toy.parquet"), bytes).unwrap();
        refused(&place, &toy(&place), 1, &["toy.parquet"]);
    }
}

#[test]
fn an_unwritable_output() {
    let place = Place::new();
    Toy::new(60, 2).write(&place.path("toy.parquet"));
    std::fs::write(place.path("file"), "a file, no directory").unwrap();
    let output = place.text("file/run");
    let path = place.recipe("bad.toml", &toy_recipe(&place.text("toy.parquet"), &output, ""));
    let answer = run(&["run", &path]);
    let stderr = String::from_utf8_lossy(&answer.stderr);
    assert_eq!(answer.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("error:") && stderr.contains("file/run") && !stderr.contains("panicked"),
        "{stderr}"
    );
}

#[test]
fn an_image_header_that_claims_sixty_thousand_pixels_a_side() {
    let place = Place::new();
    let (ids, labels, _) = ten();
    let mut images = vec![png(8); 10];
    images[6] = huge_png();
    write_images(&place, ids, labels, &images);
    let recipe = toy(&place).replace("features = \"features\"", "image = \"image\"");
    refused_by(&["run"], &place, &recipe, 1, &["`g`", "60000"]);
    // With room in quarantine the run goes on, and the sample is named with its reason.
    let path =
        place.recipe("good.toml", &recipe.replace("[model]", "max_quarantined = 0.2\n[model]"));
    let summary = crate::support::succeed(&["run", &path, "--json", "--quiet"]);
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!((&summary["quarantined"], &summary["usable"]), (&1.into(), &9.into()));
}

#[test]
fn a_changed_recipe_or_input_is_refused_with_what_changed() {
    let place = Place::new();
    Toy::new(60, 2).write(&place.path("toy.parquet"));
    let path = place.recipe("toy.toml", &toy(&place));
    crate::support::succeed(&["run", &path, "--quiet"]);
    let answer = run(&["run", &path, "--set", "select.keep=0.25"]);
    let stderr = String::from_utf8_lossy(&answer.stderr);
    assert_eq!(answer.status.code(), Some(1));
    assert!(stderr.contains("select.keep: 0.5 -> 0.25"), "{stderr}");
    Toy::new(61, 2).write(&place.path("toy.parquet"));
    let answer = run(&["run", &path]);
    let stderr = String::from_utf8_lossy(&answer.stderr);
    assert_eq!(answer.status.code(), Some(1));
    assert!(stderr.contains("toy.parquet") && stderr.contains("bytes"), "{stderr}");
}

#[test]
fn what_is_left_after_quarantine_must_still_fit_the_recipe() {
    let place = Place::new();
    let (ids, labels, mut features) = ten();
    features[4][1] = f32::NAN;
    write_parquet(&place.path("toy.parquet"), &rows(ids, labels, features), 4);
    let lenient = toy(&place).replace("[model]", "max_quarantined = 0.9\n[model]");
    refused_by(&["run"], &place, &lenient.replace("keep = 0.5", "keep_rows = 10"), 2, &["10", "9"]);
    // Nothing was committed that a mended recipe would trip over.
    assert!(!place.path("run/commits").exists());

    let (ids, labels, mut features) = ten();
    features.iter_mut().step_by(2).for_each(|row| row[0] = f32::INFINITY);
    write_parquet(&place.path("toy.parquet"), &rows(ids, labels, features), 4);
    let output = place.text("another");
    refused_by(
        &["run"],
        &place,
        &lenient.replace(&place.text("run"), &output),
        1,
        &["at least two classes"],
    );
}

#[test]
fn an_input_that_changes_during_a_run_is_refused() {
    let place = Place::new();
    Toy::new(60, 2).write(&place.path("toy.parquet"));
    let recipe = unseen::recipe::parse(&toy(&place), "toy.toml", &[]).unwrap();
    let run = unseen::run::Run::new(recipe).unwrap();
    run.plan().unwrap();
    Toy::new(60, 3).write(&place.path("toy.parquet"));
    let error = run.execute(&unseen::run::Silent).unwrap_err().to_string();
    assert!(error.contains("toy.parquet") && error.contains("written again"), "{error}");
    assert_nothing_whole(&place.path("run"));
}

#[test]
fn a_published_file_that_is_gone_comes_back() {
    let place = Place::new();
    Toy::new(60, 2).write(&place.path("toy.parquet"));
    let path = place.recipe("toy.toml", &toy(&place));
    crate::support::succeed(&["run", &path, "--quiet"]);
    let shard = place.path("run/coreset/data/train-00000-of-00001.parquet");
    std::fs::remove_file(&shard).unwrap();
    assert_eq!(run(&["verify", &place.text("run")]).status.code(), Some(1));
    crate::support::succeed(&["run", &path, "--quiet"]);
    assert!(shard.exists());
    crate::support::succeed(&["verify", &place.text("run")]);
}

#[test]
fn a_foreign_shard_fails_the_verification() {
    let place = Place::new();
    Toy::new(60, 2).write(&place.path("toy.parquet"));
    crate::support::succeed(&["run", &place.recipe("toy.toml", &toy(&place)), "--quiet"]);
    std::fs::copy(place.path("toy.parquet"), place.path("run/coreset/data/train-extra.parquet"))
        .unwrap();
    let answer = run(&["verify", &place.text("run")]);
    assert_eq!(answer.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&answer.stdout)
            .contains("train-extra.parquet is no file of this run")
    );
}

#[test]
fn a_damaged_run_fails_its_verification() {
    let place = Place::new();
    Toy::new(60, 2).write(&place.path("toy.parquet"));
    crate::support::succeed(&["run", &place.recipe("toy.toml", &toy(&place)), "--quiet"]);
    let table = place.path("run/tables/scores/stage-1-model-0.parquet");
    let mut bytes = std::fs::read(&table).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(&table).unwrap();
    std::fs::write(&table, bytes).unwrap();
    let answer = run(&["verify", &place.text("run")]);
    assert_eq!(answer.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&answer.stdout).contains("FAILED  checksums"));
}

pub(crate) fn png(side: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let image = image::GrayImage::from_fn(side, side, |x, y| image::Luma([(x * 16 + y) as u8]));
    image.write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    bytes
}

/// A PNG whose header says 60,000 x 60,000, with right checksums and next to nothing behind it.
fn huge_png() -> Vec<u8> {
    let mut header = 60_000_u32.to_be_bytes().repeat(2);
    header.extend([8, 0, 0, 0, 0]);
    let mut bytes = vec![0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];
    for (name, content) in
        [(*b"IHDR", header), (*b"IDAT", vec![0x78, 0x9c, 3, 0]), (*b"IEND", vec![])]
    {
        bytes.extend(png_chunk(name, &content));
    }
    bytes
}

pub(crate) fn png_chunk(name: [u8; 4], content: &[u8]) -> Vec<u8> {
    let chunk = [name.as_slice(), content].concat();
    let length = (content.len() as u32).to_be_bytes();
    [&length, chunk.as_slice(), &crc32(&chunk).to_be_bytes()].concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
    let mut crc = u32::MAX;
    for byte in bytes {
        crc = (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
    }
    !crc
}

pub(crate) fn write_images(
    place: &Place,
    ids: Vec<Option<&str>>,
    labels: Vec<Option<i64>>,
    images: &[Vec<u8>],
) {
    let images = BinaryArray::from_iter_values(images);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(ids)),
        Arc::new(Int64Array::from(labels)),
        Arc::new(images),
    ];
    let schema = Schema::new(vec![
        Field::new("id", DataType::Utf8, true),
        Field::new("label", DataType::Int64, true),
        Field::new("image", DataType::Binary, true),
    ]);
    write_parquet(
        &place.path("toy.parquet"),
        &RecordBatch::try_new(Arc::new(schema), columns).unwrap(),
        4,
    );
}
