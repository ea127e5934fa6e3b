//! Tests of the whole module: one harness for real and ideal functionalities.

mod agree;
mod attacks;
mod harness;
mod reuse;
mod vectors;
