//! What a run knows, as a page to open and pictures to print.
//!
//! - `section`: the parts of the page. `chart`: the pictures; `png`: the same as pixels. `markup`: HTML and
//!   its escapes.
//! - `words`: numbers as people read them.
//!
//! The page is one file: no script, no font, no request to anywhere. Texts from data and recipes are
//! hostile and pass through one escape. There is no clock: the same run gives the same bytes.

mod chart;
mod markup;
mod page;
mod plot;
mod png;
mod section;
mod words;

pub use chart::Chart;
pub use page::page;
pub use plot::Plot;
pub(crate) use words::{counted, grouped, ranged, size};
