//! Which data a job uses, and how it is divided.

use caesar_proto::v1::{ColumnSplit, JobSpec};

use super::{check_name, printable, unacceptable};
use crate::{config::Role, data::Split, error::Failure};

/// Patterns in a list of features, and values of a column that divides.
const MAX_LIST: usize = 1000;

/// Names of data sets, lists of features and the division. `sets` are pairs of a training and a test
/// set's name; without a division both have one, with a division only the training set has.
///
/// # Errors
/// `job.spec`.
pub fn check_data(spec: &JobSpec, sets: &[(&str, &str)]) -> Result<(), Failure> {
    check_name(spec)?;
    let divided = spec.split_hash.is_some() || spec.split_column.is_some();
    let named = |name: &str| !name.is_empty() && printable(name);
    for (train, test) in sets {
        if !named(train) || (!divided && !named(test)) {
            return Err(unacceptable(
                "train_a, test_a, train_b and test_b must be 1 to 128 printable characters",
                "use the names of the two nodes' catalogues",
            ));
        }
        if divided && !test.is_empty() {
            return Err(unacceptable(
                "test_a and test_b must be empty where data.split divides the training sets",
                "remove either the test sets or data.split",
            ));
        }
    }
    for (field, patterns) in [("features_a", &spec.features_a), ("features_b", &spec.features_b)] {
        if patterns.len() > MAX_LIST || !patterns.iter().all(|p| named(p)) {
            return Err(unacceptable(
                format!("{field} must be at most 1000 patterns of 1 to 128 printable characters"),
                "use names of columns with * and ?, and ! in front of what is left out",
            ));
        }
    }
    if divided { check_division(spec) } else { Ok(()) }
}

fn check_division(spec: &JobSpec) -> Result<(), Failure> {
    match (&spec.split_hash, &spec.split_column) {
        (Some(hash), None) => {
            if !(hash.test > 0.0 && hash.test < 1.0) {
                return Err(unacceptable(
                    "data.split.hash.test must be above 0 and below 1",
                    "it is the share of the test rows",
                ));
            }
            if !printable(&hash.salt) {
                return Err(unacceptable(
                    "data.split.hash.salt must have at most 128 printable characters",
                    "shorten it",
                ));
            }
            Ok(())
        }
        (None, Some(column)) => {
            let ColumnSplit { side, column, test } = column;
            // What A is told of a column of B's.
            let unnamed = side == "B" && column.is_empty() && test.is_empty();
            let named = !column.is_empty()
                && (1..=MAX_LIST).contains(&test.len())
                && test.iter().chain([column]).all(|text| printable(text));
            if ["A", "B"].contains(&side.as_str()) && (named || unnamed) {
                return Ok(());
            }
            Err(unacceptable(
                "data.split needs side \"A\" or \"B\", its column, and 1 to 1000 values of test rows",
                "side is whose data set has the column",
            ))
        }
        _ => {
            Err(unacceptable("data.split has both a hash and a column", "divide by one of the two"))
        }
    }
}

/// How a side divides its training set.
///
/// # Errors
/// `job.spec` if the specification has no division.
pub fn split(spec: &JobSpec, role: Role) -> Result<Split, Failure> {
    match (&spec.split_hash, &spec.split_column) {
        (Some(hash), _) => Ok(Split::Hash { test: hash.test, salt: hash.salt.clone() }),
        (None, Some(column)) if column.side == role.side().name() => {
            Ok(Split::Column { column: column.column.clone(), test: column.test.clone() })
        }
        (None, Some(_)) => Ok(Split::Both),
        (None, None) => Err(unacceptable(
            "there are neither test sets nor a division of the training sets",
            "name test_a and test_b, or set data.split",
        )),
    }
}

/// What A has to know of a division by a column: of a column of B's only that it is B's.
pub fn split_column_for_a(spec: &JobSpec) -> Option<ColumnSplit> {
    let column = spec.split_column.as_ref()?;
    Some(match column.side.as_str() {
        "A" => column.clone(),
        side => ColumnSplit { side: side.to_owned(), ..ColumnSplit::default() },
    })
}
