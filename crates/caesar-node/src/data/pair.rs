//! A training and a test set of one party: the same columns in the same order.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use mpc_core::matrix::{Column, Features, Values};

use super::{DataError, Place, layout::Known};

/// What the reading of a test set has to know of its training set.
pub(super) fn known(features: &Features, train: &Path) -> Option<Known> {
    let Features::Typed(columns) = features else { return None };
    let numeric =
        |column: &Column| (column.name.clone(), matches!(column.values, Values::Numeric(_)));
    Some(Known { file: file_name(train), numeric: columns.iter().map(numeric).collect() })
}

/// Gives the test set the training set's columns.
///
/// Typed columns are matched by name; their order may differ, their set may not. A sparse column that
/// occurs in only one of the two files is zero in the other.
pub(super) fn align(
    (train, train_path): (&mut Features, &Path),
    (test, test_path): (&mut Features, &Path),
) -> Result<(), DataError> {
    let (train_file, test_file) = (file_name(train_path), file_name(test_path));
    match (train, test) {
        (Features::Typed(wanted), Features::Typed(found)) => {
            reorder(wanted, found, &train_file, &test_file)
        }
        (Features::Sparse { columns: a, .. }, Features::Sparse { columns: b, .. }) => {
            let widest = (*a).max(*b);
            (*a, *b) = (widest, widest);
            Ok(())
        }
        _ => Err(DataError::FormatsDiffer { train: train_file, test: test_file }),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// `found` in the order of `wanted`.
fn reorder(
    wanted: &[Column],
    found: &mut Vec<Column>,
    train_file: &str,
    test_file: &str,
) -> Result<(), DataError> {
    let differ = |lacking: &str, column: &str, other: &str| DataError::ColumnsDiffer {
        place: Place { file: lacking.to_owned(), column: Some(column.to_owned()) },
        other: other.to_owned(),
    };
    let known: HashSet<&str> = wanted.iter().map(|column| column.name.as_str()).collect();
    let extra = found.iter().find(|column| !known.contains(column.name.as_str()));
    let extra = extra.map(|column| differ(train_file, &column.name, test_file));
    let mut by_name: HashMap<String, Column> =
        found.drain(..).map(|column| (column.name.clone(), column)).collect();
    for column in wanted {
        let matching = by_name.remove(&column.name);
        found.push(matching.ok_or_else(|| differ(test_file, &column.name, train_file))?);
    }
    extra.map_or(Ok(()), Err)
}
