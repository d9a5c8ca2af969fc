//! Tests of what cannot be seen from outside. The guarantee's own are in `tests/tests/dp`.

#![allow(clippy::unwrap_used)]

mod clip;
mod noise;
mod plan;
mod sample;
mod stats;
