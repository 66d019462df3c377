//! Foreign Parquet is believed only as far as its own bytes go.
//!
//! - `limits`: what a recipe allows.
//! - `footer`: the schema, before the decoder builds it.
//! - `pages`: every page header, before the decoder makes room for the page.
//! - `inflate`: codecs that would not stop.
//! - `pieces`: rows as views, so that a value repeated by its dictionary is in memory once, given on
//!   in batches of bounded size.
//! - `thrift`: enough of the format of footers and page headers.

mod footer;
mod inflate;
mod limits;
mod pages;
mod pieces;
mod thrift;

pub use limits::Limits;

pub(super) use footer::check as check_footer;
pub(super) use pages::{Chunk, Guarded, Refusal};
pub use pieces::{BATCH_ROWS, Pieces};
pub(super) use pieces::{as_views, batch_rows, holds_views, panicked};
