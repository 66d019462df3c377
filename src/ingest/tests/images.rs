//! Images of every type and kind of damage.

use arrow::array::{BinaryViewArray, LargeBinaryArray};
use image::{GrayAlphaImage, GrayImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;
use crate::error::ErrorKind;
use crate::samples::Shape;

const LINES: &str = "image = 'image'";

/// 8 x 8 pixels, written by another encoder than ours, which makes neither kind.
const PROGRESSIVE_JPEG: &[u8] = include_bytes!("progressive.jpg");
const CMYK_JPEG: &[u8] = include_bytes!("cmyk.jpg");
/// 2 x 3 pixels of the colour (10, 20, 30), one bit each.
const PALETTE_PNG: &[u8] = include_bytes!("palette.png");

fn grey(value: u8) -> Vec<u8> {
    png(GrayImage::from_pixel(2, 3, Luma([value])))
}

fn colour(values: [u8; 3]) -> Vec<u8> {
    png(RgbImage::from_pixel(2, 3, Rgb(values)))
}

fn image_shape(channels: usize) -> Shape {
    Shape::Image { channels, height: 3, width: 2 }
}

#[test]
fn binary_columns_of_every_type() {
    let images: Vec<Vec<u8>> = (0..2).map(grey).collect();
    let bytes = || images.iter().map(Vec::as_slice);
    let swapped: ArrayRef = Arc::new(StructArray::from(vec![
        (Arc::new(Field::new("path", DataType::Utf8, true)), texts(&["p", "q"])),
        (
            Arc::new(Field::new("bytes", DataType::LargeBinary, true)),
            Arc::new(LargeBinaryArray::from_iter_values(bytes())) as ArrayRef,
        ),
    ]));
    let kinds: [ArrayRef; 4] = [
        Arc::new(BinaryArray::from_iter_values(bytes())),
        Arc::new(LargeBinaryArray::from_iter_values(bytes())),
        Arc::new(BinaryViewArray::from_iter_values(bytes())),
        swapped,
    ];
    for array in kinds {
        let mut columns = image_columns(&[None, None]);
        columns[2].1 = array;
        let loaded = Dataset::of(columns).load(LINES).unwrap();
        assert_eq!(decoded(&loaded), [[0; 6], [1; 6]].concat());
        assert_eq!(loaded.samples.inputs.shape(), image_shape(1));
    }
}

#[test]
fn pixels_are_channel_major() {
    let image = RgbImage::from_fn(2, 3, |x, y| {
        let at = (y * 2 + x) as u8;
        Rgb([at, 10 + at, 20 + at])
    });
    let loaded =
        Dataset::of(image_columns(&[Some(png(image)), Some(colour([1, 2, 3]))])).load(LINES);
    let expected = [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 20, 21, 22, 23, 24, 25];
    assert_eq!(decoded(&loaded.unwrap())[..18], expected);
}

#[test]
fn grey_among_colour_becomes_colour_wherever_it_stands() {
    let expected = [[7; 18].as_slice(), &[1; 6], &[2; 6], &[3; 6]].concat();
    for swap in [false, true] {
        let mut images = [Some(grey(7)), Some(colour([1, 2, 3]))];
        let mut blocks: Vec<&[u8]> = expected.chunks(18).collect();
        if swap {
            images.reverse();
            blocks.reverse();
        }
        let dataset = Dataset::of(image_columns(&images));
        let loaded = dataset.load(LINES).unwrap();
        assert_eq!(loaded.samples.inputs.shape(), image_shape(3));
        assert_eq!(decoded(&loaded), blocks.concat());
    }
}

#[test]
fn sixteen_bits_alpha_and_palette_become_eight_bit_grey_or_colour() {
    let deep = ImageBuffer::from_pixel(2, 3, Luma([0x8080_u16]));
    let alpha = GrayAlphaImage::from_pixel(2, 3, LumaA([9, 100]));
    let images = [Some(png(deep)), Some(png(alpha))];
    let loaded = Dataset::of(image_columns(&images)).load(LINES).unwrap();
    assert_eq!(decoded(&loaded), [[0x80; 6], [9; 6]].concat());

    let deep = ImageBuffer::from_pixel(2, 3, Rgb([0xFFFF_u16, 0, 0x0101]));
    let alpha = RgbaImage::from_pixel(2, 3, Rgba([1, 2, 3, 0]));
    let images = [Some(png(deep)), Some(png(alpha)), Some(PALETTE_PNG.to_vec())];
    let loaded = Dataset::of(image_columns(&images)).load(LINES).unwrap();
    let first = [[255; 6], [0; 6], [1; 6], [1; 6], [2; 6], [3; 6], [10; 6], [20; 6], [30; 6]];
    assert_eq!(decoded(&loaded), first.concat());
}

#[test]
fn broken_images_are_quarantined_with_a_reason() {
    let whole = png(RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8 * 3, y as u8, 7])));
    let jpeg = encoded(
        &RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8, y as u8, 9])).into(),
        ImageFormat::Jpeg,
    );
    let good = || Some(whole.clone());
    let images = [
        good(),
        None,
        Some(Vec::new()),
        Some(b"GIF89a, or so it says".to_vec()),
        Some(whole[..whole.len() / 2].to_vec()),
        Some(jpeg[..jpeg.len() / 2].to_vec()),
        Some(huge_png()),
        Some(jpeg.clone()),
        good(),
    ];
    let dataset = Dataset::of(image_columns(&images));
    let loaded = dataset.load("image = 'image'\nmax_quarantined = 0.9").unwrap();
    assert_eq!(loaded.samples.ids, ["s0", "s7", "s8"]);
    assert_eq!(loaded.samples.labels, [0, 1, 0]);
    let reasons: Vec<&str> = loaded.quarantine.iter().map(|q| q.reason.as_str()).collect();
    assert_eq!(reasons[0], "the image has no bytes (paths are not followed)");
    assert_eq!(reasons[1], "the image cannot be decoded: it is neither PNG nor JPEG");
    assert_eq!(reasons[2], reasons[1]);
    assert!(reasons[3].starts_with("the image cannot be decoded: "), "{}", reasons[3]);
    assert_eq!(reasons[4], "the image cannot be decoded: the JPEG data end too early");
    assert_eq!(
        reasons[5],
        "the image has 60000x60000 pixels, more than data.max_image_pixels = 50000000"
    );
    let (samples, quarantine) = tables_of(&loaded);
    assert_eq!((samples.num_rows(), quarantine.num_rows()), (3, 6));
    let pixels = decoded(&loaded);
    assert_eq!(pixels[..64 * 64 * 3], pixels[2 * 64 * 64 * 3..]);

    let error = dataset.load(LINES).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    let said = error.to_string();
    assert!(
        said.starts_with(
            "6 of 9 samples cannot be used, more than data.max_quarantined = 0.001 allows: `s1`: "
        ),
        "{said}"
    );
    assert!(
        said.contains("`s5`") && said.contains("and 1 more") && !said.contains("`s6`"),
        "{said}"
    );
}

#[test]
fn every_cut_of_an_image_is_survived() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let whole = encoded(
            &RgbImage::from_fn(8, 8, |x, y| Rgb([x as u8 * 30, y as u8, 7])).into(),
            format,
        );
        let mut images: Vec<_> =
            (0..whole.len()).step_by(7).map(|n| Some(whole[..n].to_vec())).collect();
        let cut = images.len();
        // Two damaged ones, which may or may not decode, must not end the run either.
        for at in [whole.len() / 3, whole.len() / 2] {
            let mut damaged = whole.clone();
            damaged[at..at + 8].fill(0xFF);
            images.push(Some(damaged));
        }
        images.push(Some(whole));
        let loaded = Dataset::of(image_columns(&images))
            .load("image = 'image'\nmax_quarantined = 1.0")
            .unwrap();
        assert!(loaded.quarantine.len() >= cut, "{} of {cut}", loaded.quarantine.len());
        assert!(!loaded.samples.is_empty());
    }
}

#[test]
fn progressive_and_cmyk_jpeg_decode() {
    let images = [Some(PROGRESSIVE_JPEG.to_vec()), Some(CMYK_JPEG.to_vec())];
    let loaded = Dataset::of(image_columns(&images)).load(LINES).unwrap();
    assert_eq!(loaded.quarantine, []);
    assert_eq!(loaded.samples.inputs.shape(), Shape::Image { channels: 3, height: 8, width: 8 });
}

#[test]
fn the_end_of_a_thumbnail_is_not_the_end_of_a_jpeg() {
    let plain = encoded(
        &RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8 * 3, y as u8 * 2, 9])).into(),
        ImageFormat::Jpeg,
    );
    let thumbnail = b"\xFF\xE1\x00\x0CExif\0\0\xFF\xD8\xFF\xD9";
    let whole = [&plain[..2], thumbnail, &plain[2..]].concat();
    let scan = whole.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    let cut = |at: usize| Some(whole[..at].to_vec());
    let late = scan + (whole.len() - scan) / 2;
    let images = [Some(whole.clone()), Some(plain), cut(late), cut(whole.len() / 2)];
    let loaded =
        Dataset::of(image_columns(&images)).load("image = 'image'\nmax_quarantined = 0.9").unwrap();
    assert_eq!(loaded.samples.ids, ["s0", "s1"]);
    let pixels = decoded(&loaded);
    assert_eq!(pixels[..pixels.len() / 2], pixels[pixels.len() / 2..]);
    for quarantined in &loaded.quarantine {
        let reason = "the image cannot be decoded: the JPEG data end too early";
        assert_eq!(quarantined.reason, reason);
    }
}

#[test]
fn a_progressive_jpeg_ends_after_its_last_scan() {
    let scans = PROGRESSIVE_JPEG.windows(2).enumerate().filter(|(_, pair)| *pair == [0xFF, 0xDA]);
    let scans: Vec<usize> = scans.map(|(at, _)| at).collect();
    assert!(scans.len() > 1, "{scans:?}");
    let whole = || Some(PROGRESSIVE_JPEG.to_vec());
    let cut = Some(PROGRESSIVE_JPEG[..scans[1]].to_vec());
    let loaded = Dataset::of(image_columns(&[whole(), whole(), cut]))
        .load("image = 'image'\nmax_quarantined = 0.9")
        .unwrap();
    assert_eq!(loaded.samples.ids, ["s0", "s1"]);
}

#[test]
fn sizes_that_differ_need_resize() {
    let images = [
        Some(png(GrayImage::from_pixel(4, 4, Luma([50])))),
        Some(png(GrayImage::from_pixel(9, 5, Luma([60])))),
    ];
    let dataset = Dataset::of(image_columns(&images));
    let error = dataset.load(LINES).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let said = error.to_string();
    assert!(said.contains("sample `s0` has 4x4 pixels, sample `s1` has 9x5 pixels"), "{said}");
    assert!(said.contains("data.resize"), "{said}");

    let lines = "image = 'image'\nresize = [2, 3]";
    let loaded = dataset.load(lines).unwrap();
    let shape = Shape::Image { channels: 1, height: 2, width: 3 };
    assert_eq!(loaded.samples.inputs.shape(), shape);
    assert_eq!(decoded(&loaded), [[50; 6], [60; 6]].concat());
    let found = dataset.survey(lines).unwrap();
    assert_eq!(decoded_bytes(&found, &dataset.data(lines)).unwrap(), (shape, 12));
}

#[test]
fn resize_averages_over_what_it_shrinks() {
    // Columns of 0 and 200: without antialiasing the result would be one or the other.
    let stripes = GrayImage::from_fn(32, 32, |x, _| Luma([if x % 2 == 0 { 0 } else { 200 }]));
    let images = [Some(png(stripes.clone())), Some(png(stripes))];
    let loaded =
        Dataset::of(image_columns(&images)).load("image = 'image'\nresize = [4, 4]").unwrap();
    assert!(decoded(&loaded).iter().all(|p| (90..=110).contains(p)), "{:?}", decoded(&loaded));
}

#[test]
fn the_shipped_fashion_mnist_loads_whole() {
    let uri = concat!(env!("CARGO_MANIFEST_DIR"), "/data/fashion_mnist_6k.parquet");
    let text = format!("uri = '{uri}'\nimage = 'image'\nfilter = \"split = 'train'\"");
    let data: Data = toml::from_str(&text).unwrap();
    let found = survey(&data, None).unwrap();
    assert_eq!((found.rows.len(), found.source_rows), (5000, 6000));
    assert_eq!((found.classes.len(), found.classes[9].as_str()), (10, "Ankle boot"));
    let loaded = load(&found, &data, &Room::default()).unwrap();
    assert_eq!(loaded.samples.inputs.shape(), Shape::Image { channels: 1, height: 28, width: 28 });
    assert_eq!((loaded.samples.len(), loaded.quarantine.len()), (5000, 0));
    let pixels = decoded(&loaded);
    let mean = pixels.iter().map(|&p| f64::from(p)).sum::<f64>() / pixels.len() as f64 / 255.0;
    assert!((mean - 0.286).abs() < 0.005, "{mean}");
    assert!((0..10).all(|c| loaded.samples.labels.iter().filter(|&&l| l == c).count() == 500));
}

/// A PNG whose header claims 60,000 x 60,000 pixels.
fn huge_png() -> Vec<u8> {
    let mut bytes = png(GrayImage::from_pixel(1, 1, Luma([0])));
    bytes[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |c, _| {
                if c & 1 == 1 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 }
            },
        )
    })
}
