//! The condition on ids: every row has one, and no two rows have the same.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use thiserror::Error;

/// How many offending rows an [`IdError`] lists.
pub const SHOWN_ROWS: usize = 5;

/// Ids that cannot identify rows. Lists the first [`SHOWN_ROWS`] offending rows, counted from 0; the
/// text counts from 1. Never carries an id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdError {
    /// Rows whose id is empty or nothing but white space.
    #[error("{count} ids are empty, first in {}", Rows(.rows))]
    Empty {
        /// How many rows.
        count: usize,
        /// The first of them.
        rows: Vec<usize>,
    },
    /// Rows whose id stands in an earlier row too.
    #[error("{count} rows repeat the id of an earlier row, first {}", Pairs(.repeats))]
    Duplicate {
        /// How many rows.
        count: usize,
        /// The first of them, each after the row where its id stands first.
        repeats: Vec<(usize, usize)>,
    },
}

struct Rows<'a>(&'a [usize]);

impl fmt::Display for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.len() == 1 { "row " } else { "rows " })?;
        for (i, row) in self.0.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, row + 1)?;
        }
        Ok(())
    }
}

struct Pairs<'a>(&'a [(usize, usize)]);

impl fmt::Display for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (first, repeat)) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}row {} that of row {}", repeat + 1, first + 1)?;
        }
        Ok(())
    }
}

/// Checks that every id is non-empty and unique. Ids are compared exactly, byte by byte: case,
/// leading zeros and white space count.
pub fn validate_ids(ids: &[String]) -> Result<(), IdError> {
    let empty = || ids.iter().enumerate().filter(|(_, id)| id.trim().is_empty());
    let count = empty().count();
    if count > 0 {
        let rows = empty().map(|(row, _)| row).take(SHOWN_ROWS).collect();
        return Err(IdError::Empty { count, rows });
    }

    let mut first_row = HashMap::with_capacity(ids.len());
    let (mut count, mut repeats) = (0, Vec::new());
    for (row, id) in ids.iter().enumerate() {
        match first_row.entry(id.as_str()) {
            Entry::Vacant(entry) => {
                entry.insert(row);
            }
            Entry::Occupied(entry) => {
                count += 1;
                if repeats.len() < SHOWN_ROWS {
                    repeats.push((*entry.get(), row));
                }
            }
        }
    }
    match count {
        0 => Ok(()),
        _ => Err(IdError::Duplicate { count, repeats }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(list: &[&str]) -> Vec<String> {
        list.iter().map(|&s| s.to_owned()).collect()
    }

    #[test]
    fn unique_ids_pass_and_are_compared_exactly() {
        assert_eq!(validate_ids(&ids(&["a", "A", "01", "1", " 1"])), Ok(()));
    }

    #[test]
    fn empty_ids_are_counted_and_the_first_are_listed() {
        let list = ids(&["a", "", "b", " \t", "", "", "", ""]);
        let error = validate_ids(&list).unwrap_err();
        assert_eq!(error, IdError::Empty { count: 6, rows: vec![1, 3, 4, 5, 6] });
        assert_eq!(error.to_string(), "6 ids are empty, first in rows 2, 4, 5, 6, 7");
    }

    #[test]
    fn every_repeat_counts_once_and_points_at_the_first_row() {
        let error = validate_ids(&ids(&["x1", "y", "x1", "z", "x1", "y"])).unwrap_err();
        assert_eq!(error, IdError::Duplicate { count: 3, repeats: vec![(0, 2), (0, 4), (1, 5)] });
        let text = error.to_string();
        assert!(text.contains("row 3 that of row 1"), "{text}");
        assert!(!text.contains("x1"), "an id is in the message: {text}");
    }
}
