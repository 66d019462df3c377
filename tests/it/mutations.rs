//! Seeded mutations of everything that is read from outside: no panic gets out, and what is refused
//! is named.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, DictionaryArray, Float32Array, Int64Array, ListArray, StringArray,
    StructArray,
};
use arrow::datatypes::{Field, Float32Type, Int32Type};
use arrow::record_batch::RecordBatch;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use unseen::recipe::Data;
use unseen::seed::{Random, Seed};
use unseen::storage::{Dir, FORMAT, Ledger, Record};
use unseen::{ErrorKind, ingest};

use crate::support::{Place, run, toy_recipe};

/// In all 2,000 of each CI run.
const PARQUET: usize = 1200;
const RECIPES: usize = 400;
const RECORDS: usize = 400;

/// The most memory that one mutation may take.
const MOST_BYTES: u64 = 512 << 20;

/// A copy of `bytes` with one to three changes; of every second copy all in place, because few formats
/// are read far after anything has moved.
fn mutated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let kinds = if random.coin() { 3 } else { 7 };
    for _ in 0..=random.below(3) {
        change(&mut bytes, kinds, random);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, kinds: u32, random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    let mut at = || random.below(length as u32) as usize;
    let (a, b, c) = (at(), at(), at());
    let (start, end) = (a.min(b), a.max(b).min(a.min(b) + 64));
    match random.below(kinds) {
        0 => bytes[a] ^= 1 << (b % 8),
        3 => bytes.truncate(a),
        4 => drop(bytes.drain(start..end)),
        5 => {
            let range = bytes[start..end].to_vec();
            bytes.splice(c..c, range);
        }
        1 => {
            let block = bytes[start..end].to_vec();
            let to = c.min(length - block.len());
            let other = bytes[to..to + block.len()].to_vec();
            bytes[to..to + block.len()].copy_from_slice(&block);
            bytes[start..end].copy_from_slice(&other);
        }
        2 => {
            const NUMBERS: [i64; 8] = [0, 1, -1, 0x7f, 0x7fff_ffff, 0x8000_0000, 1 << 40, i64::MIN];
            let number = NUMBERS[b % NUMBERS.len()].to_le_bytes();
            let width = [1, 4, 8][c % 3].min(length - a);
            bytes[a..a + width].copy_from_slice(&number[..width]);
        }
        // The largest number that a varint can be.
        _ => {
            bytes.splice(a..=a, [[0xff; 4].as_slice(), &[0x0f]].concat());
        }
    }
}

/// Datasets of every layout, small, each with the columns that its recipe names.
fn layouts() -> Vec<(&'static str, RecordBatch, &'static str)> {
    const ROWS: i64 = 40;
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values((0..ROWS).map(|i| format!("s{i}"))));
    let labels: ArrayRef = Arc::new(Int64Array::from_iter_values((0..ROWS).map(|i| i % 2)));
    let lists = (0..ROWS).map(|i| Some(vec![Some(i as f32), Some(1.0), Some(0.5)]));
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(lists));
    let numbers: ArrayRef = Arc::new(Float32Array::from_iter_values((0..ROWS).map(|i| i as f32)));
    let words = (0..ROWS).map(|i| ["cat", "dog", "a longer name"][i as usize % 3]);
    let words: ArrayRef = Arc::new(words.collect::<DictionaryArray<Int32Type>>());
    let images = BinaryArray::from_iter_values((0..ROWS).map(|_| crate::bad_input::png(8)));
    let images: ArrayRef = Arc::new(images);
    let inner = StructArray::from(vec![
        (Arc::new(Field::new("bytes", images.data_type().clone(), false)), Arc::clone(&images)),
        (Arc::new(Field::new("path", ids.data_type().clone(), false)), Arc::clone(&ids)),
    ]);
    let nested: ArrayRef = Arc::new(inner);
    let batch = |columns: Vec<(&str, &ArrayRef)>| {
        let columns = columns.into_iter().map(|(name, column)| (name, Arc::clone(column)));
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let (id, label) = (("id", &ids), ("label", &labels));
    vec![
        ("lists", batch(vec![id, label, ("features", &lists)]), "features = 'features'"),
        (
            "numbers",
            batch(vec![id, label, ("x", &numbers), ("y", &labels)]),
            "features = ['x', 'y']",
        ),
        ("images", batch(vec![id, label, ("image", &images)]), "image = 'image'"),
        (
            "structs",
            batch(vec![id, label, ("image", &nested)]),
            "image = 'image'\nid_from = 'content'",
        ),
        (
            "words",
            batch(vec![id, ("label", &words), ("x", &numbers)]),
            "features = 'x'\nfilter = \"label <> 'dog'\"",
        ),
    ]
}

/// Encodings and codecs, so that each decoder has its share.
fn writers() -> Vec<WriterProperties> {
    let new = || WriterProperties::builder().set_max_row_group_row_count(Some(16));
    let delta = |name: &str, encoding| {
        new()
            .set_writer_version(WriterVersion::PARQUET_2_0)
            .set_dictionary_enabled(false)
            .set_column_encoding(name.into(), encoding)
    };
    vec![
        new().build(),
        new().set_compression(Compression::SNAPPY).set_data_page_row_count_limit(5).build(),
        new().set_compression(Compression::ZSTD(ZstdLevel::default())).build(),
        new().set_compression(Compression::GZIP(GzipLevel::default())).build(),
        new().set_compression(Compression::BROTLI(BrotliLevel::default())).build(),
        new().set_compression(Compression::LZ4_RAW).set_dictionary_enabled(false).build(),
        delta("id", Encoding::DELTA_BYTE_ARRAY).build(),
        delta("y", Encoding::DELTA_BINARY_PACKED).build(),
        delta("x", Encoding::BYTE_STREAM_SPLIT).set_compression(Compression::SNAPPY).build(),
    ]
}

fn data(place: &Place, columns: &str) -> Data {
    let text = toy_recipe(&place.text("toy.parquet"), &place.text("run"), "");
    let text = text.replace("features = \"features\"", columns);
    unseen::recipe::parse(&text, "toy.toml", &[]).unwrap().data
}

/// The most memory that this process has had.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Keeps an unchanged file as a seed for the fuzz target, if somebody wants to fuzz.
fn keep_seed(target: &str, name: &str, bytes: &[u8]) {
    let Some(corpus) = std::env::var_os("UNSEEN_CORPUS") else { return };
    let folder = std::path::PathBuf::from(corpus).join(target);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), bytes).unwrap();
}

/// What became of mutations, by name.
#[derive(Default)]
struct Tally(BTreeMap<String, usize>);

impl Tally {
    fn add(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }
}

#[test]
fn mutated_parquet_is_read_or_refused_by_name() {
    let (place, mut random, mut tally) = (Place::new(), Seed::new(23).rng(), Tally::default());
    let mut seeds = Vec::new();
    for (name, batch, columns) in layouts() {
        for properties in writers() {
            let mut writer =
                ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
            writer.write(&batch).unwrap();
            let file = writer.into_inner().unwrap();
            keep_seed("parquet_ingest", &format!("{name}-{}", seeds.len()), &file);
            seeds.push((name, file, data(&place, columns)));
        }
    }
    let mut fenced = None;
    for round in 0..PARQUET {
        let (name, whole, data) = &seeds[round % seeds.len()];
        let bytes = mutated(whole, &mut random);
        std::fs::write(place.path("toy.parquet"), &bytes).unwrap();
        let read = || {
            ingest::survey(data, None)
                .and_then(|survey| ingest::load(&survey, data, &ingest::Room::default()))
        };
        let before = peak();
        let Ok(answer) = catch_unwind(AssertUnwindSafe(read)) else {
            panic!("round {round}, {name}: a panic got out");
        };
        match answer {
            Ok(_) => tally.add("read"),
            Err(e) => {
                assert_ne!(e.kind(), ErrorKind::Internal, "round {round}, {name}: {e}");
                let text = e.to_string();
                // The file, or the sample or column in it.
                assert!(text.contains("toy.parquet") || text.contains('`'), "{name}: {text}");
                tally.add(format!("{:?}", e.kind()));
                if text.contains("the Parquet decoder failed") {
                    fenced = Some((bytes, columns_of(name)));
                }
            }
        }
        assert!(peak() < before + MOST_BYTES, "round {round}, {name}: too much memory");
    }
    println!("{PARQUET} mutated Parquet files: {:?}", tally.0);
    let Some((bytes, columns)) = fenced else { return };
    // A panic of the decoder is one line for the user, and no other.
    std::fs::write(place.path("toy.parquet"), bytes).unwrap();
    let recipe = toy_recipe(&place.text("toy.parquet"), &place.text("run"), "");
    let recipe = recipe.replace("features = \"features\"", columns);
    let answer = run(&["run", &place.recipe("toy.toml", &recipe), "--quiet"]);
    let stderr = String::from_utf8(answer.stderr).unwrap();
    assert!(stderr.starts_with("error: ") && stderr.lines().count() == 1, "{stderr}");
    assert!(stderr.contains("toy.parquet") && stderr.contains("decoder failed"), "{stderr}");
}

/// The columns that the recipe of a layout names.
fn columns_of(layout: &str) -> &'static str {
    let found = layouts().into_iter().find(|(name, _, _)| *name == layout);
    found.map_or("", |(_, _, columns)| columns)
}

#[test]
fn mutated_recipes_are_read_or_refused() {
    let (mut random, mut tally) = (Seed::new(29).rng(), Tally::default());
    let recipe = toy_recipe("toy.parquet", "run", "")
        .replace("[model]", "filter = \"label = 1 AND id LIKE 'a%' OR NOT (x > 3)\"\n[model]");
    keep_seed("recipe", "toy", recipe.as_bytes());
    for round in 0..RECIPES {
        let bytes = mutated(recipe.as_bytes(), &mut random);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let read = || {
            let recipe = unseen::recipe::parse(&text, "toy.toml", &[])?;
            recipe.data.filter.as_deref().map_or(Ok(Vec::new()), ingest::check_filter)
        };
        let Ok(answer) = catch_unwind(AssertUnwindSafe(read)) else {
            panic!("round {round}: a panic got out of\n{text}");
        };
        match answer {
            Ok(_) => tally.add("read"),
            Err(e) => {
                let place = e.to_string();
                assert_eq!(e.kind(), ErrorKind::InvalidRecipe, "{place}");
                let named = place.starts_with("toy.toml:") || place.starts_with("data.filter");
                assert!(named, "round {round}: {place}");
                tally.add("refused");
            }
        }
    }
    println!("{RECIPES} mutated recipes: {:?}", tally.0);
}

#[test]
fn mutated_records_are_refused_by_name() {
    let store = Arc::new(InMemory::new());
    let ledger = Ledger::new(Dir::on(store.clone(), "memory:run"), "0123456789abcdef");
    let output = ledger.write("ingest", "a1", "x.parquet", &[7; 100], Some(3)).unwrap();
    let record = Record {
        format: FORMAT,
        run: ledger.run().to_owned(),
        task: "ingest".to_owned(),
        attempt: "a1".to_owned(),
        inputs: Vec::new(),
        outputs: vec![output],
        seed: 5,
        device: "cpu".to_owned(),
        facts: BTreeMap::from([("kept".to_owned(), 7.into())]),
    };
    ledger.commit(&record).unwrap();
    let whole = ledger.dir().read("commits/ingest.json").unwrap();
    keep_seed("commit_record", "sealed", &whole);
    keep_seed("commit_record", "bare", &serde_json::to_vec(&record).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut random = Seed::new(31).rng();
    for round in 0..RECORDS {
        let bytes = mutated(&whole, &mut random);
        if bytes == whole {
            continue;
        }
        let at = Path::from("commits/ingest.json");
        runtime.block_on(async { store.put(&at, bytes.into()).await }).unwrap();
        let found = catch_unwind(AssertUnwindSafe(|| ledger.find("ingest")));
        let error = found.unwrap_or_else(|_| panic!("round {round}: a panic got out")).unwrap_err();
        assert!(error.to_string().contains("commits/ingest.json"), "round {round}: {error}");
    }
}
