//! Small files that claim or expand to far more than they are: each ends in an error that names it,
//! in bounded memory.

use std::io::Write as _;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::writer::{ColumnCloseResult, ColumnWriter};
use parquet::data_type::{ByteArray, FixedLenByteArrayType, FloatType, Int64Type};
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnDescPtr;
use unseen::seed::Seed;

use crate::bad_input::{png, png_chunk, write_images};
use crate::support::{Place, Toy, toy_recipe};

/// Rows of the files; with a value of a megabyte in each they have more than a gigabyte.
const ROWS: usize = 1100;

const MEGABYTE: usize = 1 << 20;

/// What a bomb may take beyond a harmless run.
const MOST_BYTES: u64 = 256 << 20;

/// What writes the last column of a group.
type Last = Box<dyn FnOnce(&mut SerializedRowGroupWriter<'_, Vec<u8>>, ColumnDescPtr)>;

/// A file of `id`, `label`, `x` and one more column of type `kind`, which `last` writes.
fn bomb(kind: &str, codec: Compression, last: Last) -> Vec<u8> {
    let schema = format!(
        "message bomb {{ required int64 id; required int64 label; required float x; {kind} }}"
    );
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_dictionary_page_size_limit(2 * MEGABYTE)
        .set_column_encoding("delta".into(), Encoding::DELTA_BYTE_ARRAY)
        .set_column_dictionary_enabled("delta".into(), false)
        .build();
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    let descriptor = file.schema_descr().column(3);
    let mut group = file.next_row_group().unwrap();
    let numbers = |of: fn(i64) -> i64| (0..ROWS as i64).map(of).collect::<Vec<_>>();
    for values in [numbers(|i| i), numbers(|i| i % 2)] {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    let mut column = group.next_column().unwrap().unwrap();
    let x: Vec<f32> = (0..ROWS).map(|i| i as f32).collect();
    column.typed::<FloatType>().write_batch(&x, None, None).unwrap();
    column.close().unwrap();
    last(&mut group, descriptor);
    group.close().unwrap();
    file.into_inner().unwrap()
}

/// The same megabyte, which begins with `head` and which no codec makes smaller, in each row.
fn same_megabyte(head: Vec<u8>, levels: Option<[Vec<i16>; 2]>) -> Last {
    Box::new(move |group, _| {
        let mut random = Seed::new(3).rng();
        let mut value = head;
        value.resize_with(MEGABYTE, || random.below(128) as u8);
        let values = vec![ByteArray::from(value); ROWS];
        let (def, rep) = levels.map_or((None, None), |[def, rep]| (Some(def), Some(rep)));
        let mut column = group.next_column().unwrap().unwrap();
        if let ColumnWriter::ByteArrayColumnWriter(column) = column.untyped() {
            column.write_batch(&values, def.as_deref(), rep.as_deref()).unwrap();
        } else {
            let values: Vec<_> = values.into_iter().map(Into::into).collect();
            column.typed::<FixedLenByteArrayType>().write_batch(&values, None, None).unwrap();
        }
        column.close().unwrap();
    })
}

/// A column chunk made by hand.
fn by_hand(bytes: Vec<u8>, codec: Compression, values: i64, dictionary: bool) -> Last {
    Box::new(move |group, descriptor| {
        let metadata = ColumnChunkMetaData::builder(descriptor)
            .set_compression(codec)
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY])
            .set_num_values(values)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(bytes.len() as i64)
            .set_data_page_offset(0)
            .set_dictionary_page_offset(dictionary.then_some(0))
            .build()
            .unwrap();
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: ROWS as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        group.append_column(&Bytes::from(bytes), close).unwrap();
    })
}

/// A page with its header: a dictionary, or data in this encoding.
fn page(dictionary: bool, encoding: i64, values: i64, decoded: i64, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (head, value) in
        [(0x15, if dictionary { 2 } else { 0 }), (0x15, decoded), (0x15, body.len() as i64)]
    {
        bytes.push(head);
        varint(&mut bytes, value << 1);
    }
    // Field 5 is the header of a data page, field 7 that of a dictionary.
    bytes.push(if dictionary { 0x4c } else { 0x2c });
    let plain = if dictionary { &[values, encoding][..] } else { &[values, encoding, 3, 3] };
    for value in plain {
        bytes.push(0x15);
        varint(&mut bytes, value << 1);
    }
    bytes.extend([0, 0]);
    bytes.extend(body);
    bytes
}

fn varint(bytes: &mut Vec<u8>, value: i64) {
    let mut rest = value as u64;
    while rest > 0x7f {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

/// A zstd frame of one value of `length` bytes as Parquet writes it: its length, then zeros. A block
/// of one repeated byte takes four bytes. Source: RFC 8878, 3.1.1.
fn zstd_of_zeros(length: u32) -> Vec<u8> {
    const BLOCK: u32 = 128 << 10;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x80, 0x38];
    frame.extend((length + 4).to_le_bytes());
    let head = |last: bool, kind: u32, size: u32| {
        (u32::from(last) | kind << 1 | size << 3).to_le_bytes()[..3].to_vec()
    };
    frame.extend(head(false, 0, 4));
    frame.extend(length.to_le_bytes());
    for at in (0..length).step_by(BLOCK as usize) {
        let size = BLOCK.min(length - at);
        frame.extend(head(at + size == length, 1, size));
        frame.push(0);
    }
    frame
}

/// A gzip stream of `megabytes` of zeros.
fn gzip_of_zeros(megabytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; MEGABYTE]).unwrap();
    // Streams may follow each other.
    encoder.finish().unwrap().repeat(megabytes)
}

/// A footer with nothing but a schema: groups of these numbers of children, then a leaf for each
/// child that is missing.
fn only_a_schema(children: impl Iterator<Item = i64>) -> Vec<u8> {
    let (mut elements, mut open) = (Vec::new(), 1);
    for children in children {
        // Optional, named `g`.
        elements.push([&[0x35, 2, 0x18, 1, b'g', 0x15][..], &zigzag(children), &[0]].concat());
        open += children - 1;
    }
    for _ in 0..open.min(1) {
        elements.push(vec![0x15, 2, 0x25, 2, 0x18, 1, b'l', 0]);
    }
    let mut footer = vec![0x15, 2, 0x19, 0xfc];
    varint(&mut footer, elements.len() as i64);
    footer.extend(elements.concat());
    footer.extend([0x16, 0, 0x19, 0x0c, 0]);
    with_footer(b"PAR1", &footer)
}

fn zigzag(value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint(&mut bytes, value << 1);
    bytes
}

fn with_footer(data: &[u8], footer: &[u8]) -> Vec<u8> {
    [data, footer, &(footer.len() as u32).to_le_bytes(), b"PAR1"].concat()
}

/// A harmless file whose footer is changed.
fn lying(change: impl FnOnce(ParquetMetaData) -> ParquetMetaData) -> Vec<u8> {
    let place = Place::new();
    Toy::new(60, 2).write(&place.path("toy.parquet"));
    let bytes = std::fs::read(place.path("toy.parquet")).unwrap();
    let length = u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize;
    let (data, footer) = bytes[..bytes.len() - 8].split_at(bytes.len() - 8 - length);
    let metadata = change(ParquetMetaDataReader::decode_metadata(footer).unwrap());
    let mut written = data.to_vec();
    ParquetMetaDataWriter::new(&mut written, &metadata).finish().unwrap();
    written
}

fn claiming_rows(rows: i64) -> Vec<u8> {
    lying(|metadata| {
        let group =
            metadata.row_group(0).clone().into_builder().set_num_rows(rows).build().unwrap();
        metadata.into_builder().set_row_groups(vec![group]).build()
    })
}

/// The exit code, stderr and peak memory of the binary.
fn measured(args: &[&str]) -> (i32, String, u64) {
    const SCRIPT: &str = "import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code & 255)";
    let mut command = Command::new("python3");
    command.args(["-c", SCRIPT, env!("CARGO_BIN_EXE_unseen")]).args(args);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let peak = String::from_utf8(output.stdout).unwrap().trim().parse::<u64>().unwrap() << 10;
    (output.status.code().unwrap(), stderr, peak)
}

/// The peak memory of a run on a small dataset.
fn harmless() -> u64 {
    static PEAK: OnceLock<u64> = OnceLock::new();
    *PEAK.get_or_init(|| {
        let place = Place::new();
        Toy::new(60, 2).write(&place.path("toy.parquet"));
        let recipe = toy_recipe(&place.text("toy.parquet"), &place.text("run"), "");
        let (code, stderr, peak) =
            measured(&["run", &place.recipe("toy.toml", &recipe), "--quiet"]);
        assert_eq!(code, 0, "{stderr}");
        peak
    })
}

/// Runs on `file`; the error must name it and these, within the memory that a bomb may take.
fn refused(name: &str, file: &[u8], features: &str, named: &[&str]) {
    assert!(file.len() <= 2 << 20, "{name} has {} bytes", file.len());
    let place = Place::new();
    std::fs::write(place.path("bomb.parquet"), file).unwrap();
    let recipe = toy_recipe(&place.text("bomb.parquet"), &place.text("run"), "");
    let recipe = recipe.replace("features = \"features\"", features);
    let harmless = harmless();
    let (code, stderr, peak) = measured(&["run", &place.recipe("bomb.toml", &recipe), "--quiet"]);
    let more = peak.saturating_sub(harmless) >> 20;
    println!("{name}: {} bytes, {more} MiB more than a harmless run: {stderr}", file.len());
    assert_eq!(code, 1, "{name}: {stderr}");
    assert!(stderr.starts_with("error: ") && stderr.lines().count() == 1, "{name}: {stderr}");
    for what in named.iter().chain(&["bomb.parquet"]) {
        assert!(stderr.contains(what), "{name}: `{what}` is not in {stderr}");
    }
    assert!(peak < harmless + MOST_BYTES, "{name} took {more} MiB");
}

const X: &str = "features = 'x'";
const EXPANSION: &[&str] = &["data.max_expansion = 100"];

#[test]
fn one_value_of_a_gigabyte() {
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let value = zstd_of_zeros(1 << 30);
    let page = page(false, 0, ROWS as i64, (1 << 30) + 4, &value);
    let file = bomb("required binary blob;", zstd, by_hand(page, zstd, ROWS as i64, false));
    refused("a value of zeros", &file, X, EXPANSION);
}

#[test]
fn a_stream_that_goes_on_behind_its_page() {
    let gzip = Compression::GZIP(parquet::basic::GzipLevel::default());
    let page = page(false, 0, ROWS as i64, 100, &gzip_of_zeros(1024));
    let file = bomb("required binary blob;", gzip, by_hand(page, gzip, ROWS as i64, false));
    refused("an endless stream", &file, X, &["a page holds more than its header says"]);
}

#[test]
fn a_dictionary_that_repeats_a_megabyte() {
    let bytes = "required binary blob;";
    let text = "required binary blob (UTF8);";
    let fixed = "required fixed_len_byte_array(1048576) blob;";
    let list =
        "required group blob (LIST) { repeated group list { required binary item (UTF8); } }";
    let (same, raw) = (|| same_megabyte(Vec::new(), None), Compression::UNCOMPRESSED);
    let image = same_megabyte(png(8), None);
    refused("passed along", &bomb(bytes, raw, same()), X, EXPANSION);
    refused("an image", &bomb(bytes, raw, image), "image = 'blob'", EXPANSION);
    refused("a text", &bomb(text, raw, same()), X, EXPANSION);
    refused("a label", &bomb(text, raw, same()), "features = 'x'\nlabel = 'blob'", EXPANSION);
    refused("an id", &bomb(text, raw, same()), "features = 'x'\nid = 'blob'", EXPANSION);
    refused(
        "a filter",
        &bomb(text, raw, same()),
        "features = 'x'\nfilter = \"blob <> 'a'\"",
        EXPANSION,
    );
    refused("of fixed length", &bomb(fixed, raw, same()), X, EXPANSION);
    let one_each = || Some([vec![1; ROWS], vec![0; ROWS]]);
    refused("a list", &bomb(list, raw, same_megabyte(Vec::new(), one_each())), X, EXPANSION);
    let delta = "required binary delta (UTF8);";
    refused("each like the one before", &bomb(delta, raw, same()), X, EXPANSION);
    let id = "features = 'x'\nid = 'delta'";
    refused("an id like the one before", &bomb(delta, raw, same()), id, EXPANSION);
}

#[test]
fn pages_that_claim_more_than_they_are() {
    let raw = Compression::UNCOMPRESSED;
    let claims = |page: Vec<u8>, dictionary| by_hand(page, raw, ROWS as i64, dictionary);
    let huge = i64::from(i32::MAX);
    let file = |kind, page, dictionary| bomb(kind, raw, claims(page, dictionary));
    let number = "required int64 blob;";
    refused(
        "a size",
        &file(number, page(false, 0, ROWS as i64, huge, &[0; 64]), false),
        X,
        EXPANSION,
    );
    refused("a dictionary", &file(number, page(true, 0, huge, 64, &[0; 64]), true), X, EXPANSION);
    refused(
        "a dictionary of texts",
        &file("required binary blob (UTF8);", page(true, 0, huge, 64, &[0; 64]), true),
        X,
        EXPANSION,
    );
    let list = "required group blob (LIST) { repeated group list { required int64 item; } }";
    refused("a list", &file(list, page(false, 0, huge, 64, &[0; 64]), false), X, EXPANSION);
    let fixed = "required fixed_len_byte_array(2000000000) blob;";
    refused("a length", &file(fixed, page(false, 0, 1, 64, &[0; 64]), false), X, EXPANSION);
}

#[test]
fn footers_that_claim_more_than_the_file_has() {
    let features = "features = 'features'";
    refused("rows", &claiming_rows(1 << 40), features, &["1099511627776 rows"]);
    refused("fewer rows than none", &claiming_rows(-1), features, &["damaged"]);
    let beyond = lying(|metadata| {
        let group = metadata.row_group(0).clone();
        let columns = group.columns().iter().map(|column| {
            let column = column.clone().into_builder().set_num_values(1 << 40);
            column.set_total_compressed_size(1 << 40).build().unwrap()
        });
        let columns = columns.collect();
        let group = group.into_builder().set_column_metadata(columns).build().unwrap();
        metadata.into_builder().set_row_groups(vec![group]).build()
    });
    refused("bytes", &beyond, features, &["lies outside of the file"]);
    let children = only_a_schema(std::iter::once(i64::from(i32::MAX)));
    refused("children", &children, features, &["claims too many children"]);
}

#[test]
fn columns_in_columns_and_columns_beside_columns() {
    let features = "features = 'features'";
    for depth in [1000, 200_000] {
        let file = only_a_schema(std::iter::repeat_n(1, depth));
        refused("nested", &file, features, &["nested more than 100 levels deep"]);
    }
    let columns: Vec<String> = (0..10_000).map(|i| format!("optional int64 c{i};")).collect();
    let columns = columns.concat();
    let schema = Arc::new(parse_message_type(&format!("message wide {{ {columns} }}")).unwrap());
    let file = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    let file = file.into_inner().unwrap();
    let named = ["10000 columns", "data.max_columns = 5000"];
    refused("wide", &file, features, &named);
}

#[test]
fn a_colour_profile_of_half_a_gigabyte() {
    let place = Place::new();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; MEGABYTE];
    (0..512).for_each(|_| zlib.write_all(&zeros).unwrap());
    let profile = [b"name\0\0".as_slice(), &zlib.finish().unwrap()].concat();
    let mut image = png(8);
    // Behind the signature and the header.
    image.splice(33..33, png_chunk(*b"iCCP", &profile));
    let mut images = vec![png(8); 10];
    images[3] = image;
    let ids = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].map(Some).to_vec();
    write_images(&place, ids, (0..10).map(|i| Some(i % 2)).collect(), &images);
    let recipe = toy_recipe(&place.text("toy.parquet"), &place.text("run"), "");
    let recipe = recipe.replace("features = \"features\"", "image = 'image'");
    let (code, stderr, peak) = measured(&["run", &place.recipe("toy.toml", &recipe), "--quiet"]);
    assert_eq!(code, 0, "{stderr}");
    let more = peak.saturating_sub(harmless());
    println!("a colour profile: {} MiB more than a harmless run", more >> 20);
    assert!(more < MOST_BYTES, "{more} bytes");
}

#[test]
fn who_trusts_a_file_can_raise_the_limit() {
    let place = Place::new();
    Toy::new(60, 2).write(&place.path("toy.parquet"));
    let recipe = toy_recipe(&place.text("toy.parquet"), &place.text("run"), "");
    let path = place.recipe("toy.toml", &recipe.replace("[model]", "max_columns = 2\n[model]"));
    let (code, stderr, _) = measured(&["run", &path, "--quiet"]);
    assert!(code == 1 && stderr.contains("data.max_columns = 2"), "{stderr}");
    // A limit is no part of the result: the run goes on under another.
    let (code, stderr, _) = measured(&["run", &path, "--quiet", "--set", "data.max_columns=3"]);
    assert_eq!(code, 0, "{stderr}");
    let (code, stderr, _) = measured(&["run", &path, "--quiet", "--set", "data.max_columns=4"]);
    assert_eq!(code, 0, "{stderr}");
}
