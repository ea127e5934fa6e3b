//! A training and a test set of one party: the same columns in the same order.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use mpc_core::matrix::{Features, Table};

use super::{DataError, Place, Source, load};

/// Reads both sets and gives the test set the training set's columns.
///
/// Dense columns are matched by name; their order may differ, their set may not. A sparse column
/// that occurs in only one of the two files is zero in the other.
pub fn load_pair(train: &Source, test: &Source) -> Result<(Table, Table), DataError> {
    let (mut train_table, mut test_table) = (load(train)?, load(test)?);
    let names = [train, test].map(|source| file_name(&source.path));
    let [train_file, test_file] = names;
    match (&mut train_table.features, &mut test_table.features) {
        (Features::Dense { names, .. }, Features::Dense { names: found, values }) => {
            // Tables can be large: the usual case costs no copy.
            if names != found {
                *values = reorder(names, found, values, &train_file, &test_file)?;
                found.clone_from(names);
            }
        }
        (Features::Sparse { columns: a, .. }, Features::Sparse { columns: b, .. }) => {
            let widest = (*a).max(*b);
            (*a, *b) = (widest, widest);
        }
        _ => return Err(DataError::FormatsDiffer { train: train_file, test: test_file }),
    }
    Ok((train_table, test_table))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Row-major `values` with columns `found`, as columns `wanted`.
fn reorder(
    wanted: &[String],
    found: &[String],
    values: &[f64],
    train_file: &str,
    test_file: &str,
) -> Result<Vec<f64>, DataError> {
    let position: HashMap<&str, usize> = (0..).zip(found).map(|(j, n)| (n.as_str(), j)).collect();
    let differ = |lacking: &str, column: &str, other: &str| DataError::ColumnsDiffer {
        place: Place { file: lacking.to_owned(), column: Some(column.to_owned()) },
        other: other.to_owned(),
    };
    let order: Vec<usize> = wanted
        .iter()
        .map(|name| position.get(name.as_str()).copied())
        .zip(wanted)
        .map(|(j, name)| j.ok_or_else(|| differ(test_file, name, train_file)))
        .collect::<Result<_, _>>()?;
    let known: HashSet<&String> = wanted.iter().collect();
    if let Some(extra) = found.iter().find(|name| !known.contains(name)) {
        return Err(differ(train_file, extra, test_file));
    }
    let rows = values.chunks_exact(found.len());
    Ok(rows.flat_map(|row| order.iter().map(|&j| row[j])).collect())
}
