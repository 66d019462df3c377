//! Statistics of evaluations: how good trained models are, how sure that is, and how alike two scores
//! are. Pure functions of numbers.
//!
//! - [`Metrics`]: one trained model on a test set. [`Interval`]: several seeds together.
//! - [`Gap`]: two groups of models on the same test samples.
//! - [`verdict`]: the plain sentence; [`Standing`]: the same in one word. [`Gate`]: a condition that a pipeline must hold.
//! - [`pearson`], [`spearman`], [`jaccard`]: two scores, two orders, two sets.

mod correlation;
mod gap;
mod gate;
mod interval;
mod metrics;
mod verdict;

pub use correlation::{jaccard, pearson, spearman};
pub use gap::Gap;
pub use gate::{Gate, Gated};
pub use interval::Interval;
pub use metrics::{Judged, Metrics};
pub use verdict::{Against, Standing, verdict};
