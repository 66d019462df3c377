//! The laws a recipe keeps beyond its types.
