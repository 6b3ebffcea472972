//! Training with PAFs in place.
