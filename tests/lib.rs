//! Nothing here: the suites are in `it/`.
