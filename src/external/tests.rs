//! Predictions of a hand-made toy, and every way in which they can break their contract.
