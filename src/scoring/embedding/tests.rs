//! Goldens, traps and edges of the scores of embeddings.
