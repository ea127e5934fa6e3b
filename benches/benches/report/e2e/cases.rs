//! What is trained on: made-up data of several shapes, and the real data sets that are there.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use caesar_e2e::{Dataset, Format, Party, workspace_root};
use serde::Deserialize;

use super::{
    AnyError, BATCH,
    data::{self, Columns, Row, Shape},
};

/// Rows of the training intersection of made-up data.
const ROWS: usize = 10_000;
/// Rows of its test intersection, whose evaluation is not what is measured.
const TEST_ROWS: usize = 200;
/// Rows a mini-batch of the cases with large ones: what the default rule takes from 650,000 rows on.
const LARGE_BATCH: u32 = 4096;
/// Rows of their training intersection.
const LARGE_ROWS: usize = 41_000;
/// Rows of the paper-scale case unless it is told otherwise: what trains within a minute.
const PAPER_SLICE: usize = 20_480;
/// Rows of the data set of the CAESAR paper.
const PAPER_ROWS: usize = 1_200_000;

/// One data set of two parties.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// Columns of both parties.
    pub(crate) columns: u64,
    /// Mean non-zeros a row of both parties.
    pub(crate) nnz_per_row: f64,
    /// Rows a mini-batch.
    pub(crate) batch: u32,
    source: Source,
    /// KS of the reference model, if there is one.
    pub(crate) reference_ks: Option<f64>,
}

#[derive(Clone, Debug)]
enum Source {
    Made { shape: Shape, rows: usize },
    Found { folder: PathBuf, expected: Expected },
}

impl Case {
    fn made(name: &str, shape: Shape, rows: usize) -> Self {
        let both = [shape.a, shape.b];
        Self {
            name: name.to_owned(),
            columns: both.iter().map(|c| c.count()).sum(),
            nnz_per_row: both.iter().map(|c| c.entries_a_row()).sum::<u64>() as f64,
            batch: BATCH,
            source: Source::Made { shape, rows },
            reference_ks: None,
        }
    }

    /// Indicators only, ten fields a party of `values` columns each: 20 `values` columns in all, 20
    /// non-zeros a row.
    pub(crate) fn one_hot(name: &str, values: u32) -> Self {
        let columns = Columns::OneHot { fields: 10, values };
        Self::made(name, Shape { a: columns, b: columns, offset: 0.0 }, ROWS)
    }

    /// As the paper's data set: 30,100 and 70,100 columns, 20 non-zeros a row, 2 % positive rows.
    fn paper_scale(rows: usize) -> Self {
        let one_hot = |values| Columns::OneHot { fields: 10, values };
        let shape = Shape { a: one_hot(3_010), b: one_hot(7_010), offset: -4.8 };
        Self::made("paper scale", shape, rows.min(PAPER_ROWS))
    }

    /// The same with more rows and large mini-batches.
    fn in_large_batches(self) -> Self {
        let source = match self.source {
            Source::Made { shape, .. } => Source::Made { shape, rows: LARGE_ROWS },
            found @ Source::Found { .. } => found,
        };
        Self { batch: LARGE_BATCH, source, ..self }
    }

    fn found(name: &str) -> Result<Option<Self>, AnyError> {
        let Some(folder) = find(name) else { return Ok(None) };
        let text = fs::read_to_string(folder.join("expected.json"))?;
        let expected: Expected = serde_json::from_str(&text)?;
        Ok(Some(Self {
            name: name.to_owned(),
            columns: expected.features.a + expected.features.b,
            nnz_per_row: expected.nnz_per_row.a + expected.nnz_per_row.b,
            batch: BATCH,
            reference_ks: Some(expected.lr.joint.ks),
            source: Source::Found { folder, expected },
        }))
    }

    /// The training rows, if they are made up.
    pub(crate) fn rows(&self, seed: u64) -> Option<impl Iterator<Item = Row>> {
        match &self.source {
            Source::Made { shape, rows } => Some(data::rows(*shape, *rows, seed)),
            Source::Found { .. } => None,
        }
    }

    /// Columns of A.
    pub(crate) fn columns_a(&self) -> u64 {
        match &self.source {
            Source::Made { shape, .. } => shape.a.count(),
            Source::Found { expected, .. } => expected.features.a,
        }
    }

    /// Training and test rows of both parties: A's two entries of the catalogue, then B's. Made-up
    /// files go to `folder`.
    pub(crate) fn catalogues(
        &self,
        folder: &Path,
        seed: u64,
    ) -> Result<[Vec<Dataset>; 2], AnyError> {
        match &self.source {
            Source::Made { shape, rows } => {
                let [train_a, train_b] = data::write(folder, "train", shape, *rows, seed)?;
                let [test_a, test_b] = data::write(folder, "test", shape, TEST_ROWS, seed + 1)?;
                Ok([vec![train_a, test_a], vec![train_b, test_b]])
            }
            Source::Found { folder, expected } => {
                let of = |party, columns| -> Vec<Dataset> {
                    let part = |part| expected.dataset(folder, party, part, columns);
                    ["train", "test"].map(part).into()
                };
                Ok([of(Party::A, expected.features.a), of(Party::B, expected.features.b)])
            }
        }
    }
}

/// All cases whose name has `wanted` in it, and a note for each that is not there.
pub(crate) fn all(wanted: &str, rows: Option<usize>) -> Result<(Vec<Case>, Vec<String>), AnyError> {
    let dense = Shape { a: Columns::Dense(50), b: Columns::Dense(50), offset: 0.0 };
    let mut cases = vec![
        Case::made("dense", dense, ROWS),
        Case::made("dense", dense, ROWS).in_large_batches(),
        Case::one_hot("one-hot 10k", 500),
        Case::one_hot("one-hot 10k", 500).in_large_batches(),
        Case::one_hot("one-hot 100k", 5_000),
        Case::one_hot("one-hot 1M", 50_000),
        Case::paper_scale(rows.unwrap_or(PAPER_SLICE)),
    ];
    let mut missing = Vec::new();
    for name in ["default_credit", "a9a", "farm_ads"] {
        match Case::found(name)? {
            Some(case) => cases.push(case),
            None if name.contains(wanted) => missing.push(format!(
                "{name} was left out: it is neither in `data/` nor in $CAESAR_DATA."
            )),
            None => {}
        }
    }
    cases.retain(|case| case.name.contains(wanted));
    Ok((cases, missing))
}

/// The folder of a data set: below $CAESAR_DATA, or in the repository.
fn find(set: &str) -> Option<PathBuf> {
    let roots = env::var_os("CAESAR_DATA").map(PathBuf::from);
    let roots = roots.into_iter().chain([workspace_root().join("data")]);
    // Nodes read files from another folder than this program.
    let folders = roots.filter_map(|root| std::path::absolute(root.join(set)).ok());
    folders.into_iter().find(|folder| folder.join("expected.json").is_file())
}

/// What a data set says about itself.
#[derive(Clone, Debug, Deserialize)]
struct Expected {
    layout: String,
    features: Both<u64>,
    nnz_per_row: Both<f64>,
    lr: Models,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Both<T> {
    a: T,
    b: T,
}

#[derive(Clone, Debug, Deserialize)]
struct Models {
    joint: Quality,
}

#[derive(Clone, Debug, Deserialize)]
struct Quality {
    ks: f64,
}

impl Expected {
    fn dataset(&self, folder: &Path, party: Party, part: &str, columns: u64) -> Dataset {
        let letter = if party == Party::A { 'a' } else { 'b' };
        let file = |ending| folder.join(part).join(format!("party_{letter}.{ending}.gz"));
        if self.layout == "csv" {
            let label_column = (party == Party::B).then(|| "y".to_owned());
            let format = Format::Csv { id_column: "id".to_owned(), label_column };
            return Dataset::new(party, part, &file("csv"), format);
        }
        let format = Format::Libsvm { ids: file("ids"), columns: Some(columns) };
        Dataset::new(party, part, &file("svm"), format)
    }
}
