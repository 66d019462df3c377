//! Codecs whose decoders go on until their input ends, whatever the page header says.

use std::io::{self, Read};

use ::parquet::basic::Compression;

/// The most bytes that one byte of deflate can stand for. Source: RFC 1951, a copy of 258 bytes
/// takes at least two bits.
const DEFLATE_RATIO: u64 = 1032;

/// What a page may decode to beyond its header's word: less does no harm, and the decoder finds it.
const HARMLESS: u64 = 16 << 20;

/// Whether a page decodes to far more than the `claimed` bytes. Other codecs than these get a
/// buffer of that size and stay in it.
pub(super) fn inflates_beyond(codec: Compression, page: &[u8], claimed: u64) -> bool {
    let bound = claimed.saturating_add(HARMLESS);
    match codec {
        Compression::GZIP(_) => {
            (page.len() as u64).saturating_mul(DEFLATE_RATIO) > bound
                && longer(flate2::read::MultiGzDecoder::new(page), bound)
        }
        Compression::BROTLI(_) => longer(brotli::Decompressor::new(page, 1 << 16), bound),
        // Old writers put frames where blocks belong, and the decoder tries both.
        Compression::LZ4 => longer(lz4_flex::frame::FrameDecoder::new(page), bound),
        _ => false,
    }
}

/// Whether `bytes` gives more than `bound`, reading no further.
fn longer(bytes: impl Read, bound: u64) -> bool {
    let mut rest = bytes.take(bound.saturating_add(1));
    // Damage is for the decoder to tell; it has given what it could by then.
    let mut buffer = vec![0; 1 << 16];
    let mut read = 0;
    loop {
        match rest.read(&mut buffer) {
            Ok(0) => return read > bound,
            Ok(n) => read += n as u64,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return read > bound,
        }
    }
}
