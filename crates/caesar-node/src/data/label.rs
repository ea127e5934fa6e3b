//! Labels of typed tables: zeros and ones, or one class against all others.

use super::{DataError, Place, Source, parse_number};

/// How the text in the label column becomes a label.
#[derive(Clone, Copy, Debug)]
pub(super) enum Classes<'a> {
    /// 0 or 1, `true` or `false`.
    Binary,
    /// 1 for this class, 0 for any other.
    Positive(&'a str),
}

impl<'a> Classes<'a> {
    pub(super) fn of(source: &'a Source) -> Self {
        source.positive_class.as_deref().map_or(Classes::Binary, Classes::Positive)
    }

    /// The label that a cell says; `None` stands for a missing one.
    pub(super) fn label(
        self,
        cell: Option<&str>,
        place: impl FnOnce() -> Place,
        line: u64,
    ) -> Result<bool, DataError> {
        match (self, cell.map(str::trim_ascii)) {
            (Classes::Positive(_), None) => Err(DataError::MissingLabel { place: place(), line }),
            (Classes::Positive(class), Some(cell)) => Ok(cell == class.trim_ascii()),
            (Classes::Binary, cell) => cell.and_then(binary).ok_or_else(|| {
                DataError::LabelNotBinary { place: place(), line, allowed: "0 or 1" }
            }),
        }
    }
}

fn binary(cell: &str) -> Option<bool> {
    match parse_number(cell) {
        Some(0.0) => Some(false),
        Some(1.0) => Some(true),
        Some(_) => None,
        None if cell.eq_ignore_ascii_case("true") => Some(true),
        None if cell.eq_ignore_ascii_case("false") => Some(false),
        None => None,
    }
}
