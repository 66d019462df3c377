//! Foreign Parquet in, [`Samples`](crate::samples::Samples) out: the one room that trusts nobody.
//!
//! [`survey`] reads footers and thin columns and checks everything that can be checked without
//! decoding an input. [`load`] decodes; a sample that cannot be used is quarantined with a reason,
//! and a dataset that breaks the contract is one error that names the rows. This room never writes.
//!
//! Samples are ordered by id, so no result depends on the order of files or rows.

mod classes;
mod column;
mod digest;
mod embedding;
mod examples;
mod features;
mod filter;
mod glimpse;
mod images;
mod input;
mod load;
mod peek;
mod place;
mod scan;
mod schema;
mod survey;
mod table;
mod thin;

#[cfg(test)]
mod tests;

pub(crate) use column::{TEXT_TYPES, cast_exactly, holds_texts, texts};
pub use digest::Content;
pub use embedding::{embedding_width, embeddings};
pub(crate) use examples::{Examples, counted};
pub use filter::check_filter;
pub use glimpse::{Glimpse, Wanted, glimpses};
pub use input::Input;
pub use load::{Loaded, Quarantined, lane_memory, load, load_within};
pub use peek::decoded_bytes;
pub use place::Room;
pub use survey::{InputFile, Row, Survey, survey, survey_appended, survey_objects};
pub use table::tables;
pub use thin::{empty_columns, read_table, thin_columns};
