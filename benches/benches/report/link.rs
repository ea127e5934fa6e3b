//! The lines over which two parties are measured.

use std::time::Duration;

use caesar_e2e::proxy::Shape;

/// A line between two programs on this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// As tables name it.
    pub(crate) name: &'static str,
    /// Round trip and Mbit/s each way; none for loopback without anything between the two.
    line: Option<(Duration, u64)>,
}

/// Nothing between the two.
pub(crate) const LOOPBACK: Link = Link { name: "loopback", line: None };
/// Narrow and near: the link of the target.
pub(crate) const NARROW: Link =
    Link { name: "32 Mbit/s", line: Some((Duration::from_millis(1), 32)) };
/// Wider and far away.
pub(crate) const FAR: Link =
    Link { name: "100 Mbit/s, 40 ms", line: Some((Duration::from_millis(40), 100)) };

impl Link {
    /// What the proxy between the two is to do, if there is one.
    pub(crate) fn shape(&self) -> Option<Shape> {
        self.line.map(|(round_trip, megabits)| Shape::line(round_trip, megabits))
    }

    /// Bytes a second each way, where that is limited.
    pub(crate) fn bytes_per_second(&self) -> Option<u64> {
        self.shape().and_then(|shape| shape.bytes_per_second)
    }
}
