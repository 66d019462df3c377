//! Encoded images to 8-bit pixels.

use std::io::Cursor;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use fast_image_resize as fir;
use fir::images::{Image, ImageRef};
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::load::Fault;
use crate::error::{Error, Result};
use crate::fence::fence;
use crate::recipe::Data;
use crate::samples::Shape;

/// The encoded images of one batch.
pub(super) struct ImageRows<'a> {
    outer: Option<&'a StructArray>,
    bytes: &'a ArrayRef,
}

impl<'a> ImageRows<'a> {
    pub(super) fn new(batch: &'a RecordBatch, column: &str) -> Result<Self> {
        let missing = || Error::internal(format!("the column `{column}` was not read"));
        let array = batch.column_by_name(column).ok_or_else(missing)?;
        match array.as_struct_opt() {
            None => Ok(Self { outer: None, bytes: array }),
            Some(outer) => {
                let bytes = outer.column_by_name("bytes").ok_or_else(missing)?;
                Ok(Self { outer: Some(outer), bytes })
            }
        }
    }

    /// The encoded image of a row, if there is one.
    pub(super) fn get(&self, row: usize) -> Option<&'a [u8]> {
        if self.outer.is_some_and(|outer| outer.is_null(row)) || self.bytes.is_null(row) {
            return None;
        }
        match self.bytes.data_type() {
            DataType::Binary => Some(self.bytes.as_binary::<i32>().value(row)),
            DataType::LargeBinary => Some(self.bytes.as_binary::<i64>().value(row)),
            DataType::BinaryView => Some(self.bytes.as_binary_view().value(row)),
            _ => None,
        }
    }
}

/// A decoded image.
pub(super) struct Decoded {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    /// `height x width x channels`.
    pixels: Vec<u8>,
}

/// How images are decoded.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    max_pixels: u64,
    /// Height and width.
    resize: Option<[u32; 2]>,
}

impl Rules {
    pub(super) fn new(data: &Data) -> Self {
        Self { max_pixels: data.max_image_pixels, resize: data.resize }
    }

    /// The same, but images keep the size that they have.
    pub(super) fn at_own_size(self) -> Self {
        Self { resize: None, ..self }
    }

    /// Decodes one image, or says why it cannot be used.
    pub(super) fn decode(self, bytes: Option<&[u8]>) -> Result<Decoded, String> {
        let Some(bytes) = bytes else {
            return Err("the image has no bytes (paths are not followed)".to_owned());
        };
        // Decoders of foreign bytes may have defects; one sample must not end the run.
        let decoded = fence(|| self.decode_bytes(bytes));
        decoded.unwrap_or_else(|| Err(undecodable("the decoder failed")))
    }

    fn decode_bytes(self, bytes: &[u8]) -> Result<Decoded, String> {
        let format = image::guess_format(bytes).ok();
        match format {
            Some(ImageFormat::Jpeg) if !has_jpeg_end(bytes) => {
                return Err(undecodable("the JPEG data end too early"));
            }
            Some(ImageFormat::Png | ImageFormat::Jpeg) => {}
            _ => return Err(undecodable("it is neither PNG nor JPEG")),
        }
        let mut reader = ImageReader::new(Cursor::new(bytes));
        reader.set_format(format.unwrap_or(ImageFormat::Png));
        reader.limits(self.limits(bytes));
        let decoder = reader.into_decoder().map_err(undecodable)?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(format!(
                "the image has {width}x{height} pixels, more than data.max_image_pixels = {}",
                self.max_pixels
            ));
        }
        let image = DynamicImage::from_decoder(decoder).map_err(undecodable)?;
        self.resized(Decoded::new(image))
    }

    /// Room for the pixels at 16 bits and four channels, and for the decoder's own buffers. A PNG gets
    /// it by its own size: what it holds beside the pixels, such as a colour profile, may expand too.
    fn limits(self, bytes: &[u8]) -> Limits {
        let pixels = png_pixels(bytes).map_or(self.max_pixels, |n| n.min(self.max_pixels));
        let mut limits = Limits::default();
        limits.max_alloc = Some(pixels.saturating_mul(16).saturating_add(1 << 24));
        limits
    }

    fn resized(self, image: Decoded) -> Result<Decoded, String> {
        match self.resize {
            Some(size) => image.resized(size),
            None => Ok(image),
        }
    }
}

/// The pixels that the header of a PNG claims. Source: PNG specification, 5.2 and 11.2.1: the header
/// comes first, and begins with width and height.
fn png_pixels(bytes: &[u8]) -> Option<u64> {
    let sides = bytes.starts_with(b"\x89PNG").then(|| bytes.get(16..24))??;
    let side = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
    Some(side(&sides[..4]) * side(&sides[4..]))
}

fn undecodable(why: impl std::fmt::Display) -> String {
    format!("the image cannot be decoded: {why}")
}

/// The JPEG decoder fills what is missing with grey; a photograph cut short must not pass for whole.
/// The end marker is looked for between the segments, because the payload of one may hold a whole
/// thumbnail. Source: ITU-T T.81, B.1.1.
fn has_jpeg_end(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.windows(2).position(|pair| pair[0] == 0xFF && is_segment(pair[1])) {
        match rest[at + 1..] {
            [0xD9, ..] => return true,
            // The length counts its own two bytes, not the marker.
            [_, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                rest = rest.get(at + 2 + length..).unwrap_or_default();
            }
            _ => return false,
        }
    }
    false
}

/// Whether 0xFF and this byte begin a segment or end the image. What else follows 0xFF stands alone
/// or is part of the coded pixels: stuffing, fill, TEM, RST and SOI.
fn is_segment(marker: u8) -> bool {
    !matches!(marker, 0x00 | 0x01 | 0xD0..=0xD8 | 0xFF)
}

impl Decoded {
    /// 8 bits, without alpha; grey stays grey.
    fn new(image: DynamicImage) -> Self {
        let (height, width) = (image.height() as usize, image.width() as usize);
        let grey = matches!(
            image.color(),
            ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16
        );
        let (channels, pixels) = if grey {
            (1, image.into_luma8().into_raw())
        } else {
            (3, image.into_rgb8().into_raw())
        };
        Self { channels, height, width, pixels }
    }

    pub(super) fn shape(&self) -> Shape {
        Shape::Image { channels: self.channels, height: self.height, width: self.width }
    }

    /// The pixels, `height x width x channels`.
    pub(super) fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The image at another size, height and width.
    pub(super) fn resized(self, [height, width]: [u32; 2]) -> Result<Self, String> {
        if [self.height, self.width] == [height as usize, width as usize] {
            return Ok(self);
        }
        let failed = |e: &dyn std::fmt::Display| format!("the image cannot be resized: {e}");
        let kind = if self.channels == 1 { fir::PixelType::U8 } else { fir::PixelType::U8x3 };
        let (w, h) = (self.width as u32, self.height as u32);
        let source = ImageRef::new(w, h, &self.pixels, kind).map_err(|e| failed(&e))?;
        let mut target = Image::new(width, height, kind);
        let options = fir::ResizeOptions::new()
            .resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Bilinear));
        let mut resizer = fir::Resizer::new();
        resizer.resize(&source, &mut target, &options).map_err(|e| failed(&e))?;
        let (height, width) = (height as usize, width as usize);
        Ok(Self { height, width, pixels: target.into_vec(), ..self })
    }

    /// Whether the image can be written to a place of `shape`.
    pub(super) fn fits(&self, shape: Shape) -> Result<(), Fault> {
        match shape {
            Shape::Image { height, width, .. } if (height, width) != (self.height, self.width) => {
                Err(Fault::Shape(format!("{}x{} pixels", self.width, self.height)))
            }
            Shape::Image { channels: 1, .. } if self.channels == 3 => Err(Fault::Colour),
            _ => Ok(()),
        }
    }

    /// Puts the pixels into `out`, channel-major (CHW); grey is repeated if `out` has more channels.
    pub(super) fn write(&self, out: &mut [u8]) {
        let area = self.height * self.width;
        for (c, plane) in out.chunks_exact_mut(area).enumerate() {
            let source = self.pixels.iter().skip(c % self.channels).step_by(self.channels);
            plane.iter_mut().zip(source).for_each(|(out, pixel)| *out = *pixel);
        }
    }
}
