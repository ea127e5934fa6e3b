//! From file names to entries of a node's catalogue.

use std::path::{Path, PathBuf};

use caesar_e2e::{Dataset, Format, Party};

use crate::DemoError;

/// Names of columns in CSV files.
pub(crate) struct Columns<'a> {
    pub(crate) id: &'a str,
    pub(crate) label: &'a str,
}

/// One party's two data sets.
pub(crate) struct PartyData {
    pub(crate) catalogue: Vec<Dataset>,
    pub(crate) description: String,
}

impl PartyData {
    /// Catalogue name of the training rows.
    pub(crate) const TRAIN: &'static str = "train";
    /// Catalogue name of the test rows.
    pub(crate) const TEST: &'static str = "test";

    /// Finds the files and what they are.
    pub(crate) fn find(
        party: Party,
        train: &Path,
        test: &Path,
        columns: &Columns<'_>,
    ) -> Result<Self, DemoError> {
        let dataset = |name, file: &Path| -> Result<Dataset, DemoError> {
            let path = existing(file)?;
            let format = format_of(party, &path, columns)?;
            Ok(Dataset::new(party, name, &path, format))
        };
        Ok(Self {
            catalogue: vec![dataset(Self::TRAIN, train)?, dataset(Self::TEST, test)?],
            description: format!("{} and {}", train.display(), test.display()),
        })
    }
}

/// The absolute path of a file that is there. Links stay as they are: their names say what a file
/// is, and the ids lie beside them.
fn existing(file: &Path) -> Result<PathBuf, DemoError> {
    let path = std::fs::metadata(file).and_then(|_| std::path::absolute(file));
    path.map_err(|e| DemoError::Usage(format!("{}: {e}", file.display())))
}

fn format_of(party: Party, path: &Path, columns: &Columns<'_>) -> Result<Format, DemoError> {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    if plain.ends_with(".csv") {
        return Ok(Format::Csv {
            id_column: columns.id.to_owned(),
            label_column: (party == Party::B).then(|| columns.label.to_owned()),
        });
    }
    let Some(stem) = plain.strip_suffix(".svm") else {
        let text = "a data file ends in .csv, .csv.gz, .svm or .svm.gz";
        return Err(DemoError::Usage(format!("{}: {text}", path.display())));
    };
    // The ids are packed or not as the rows are, or else the other way.
    let (same, other) = if plain == name { ("", ".gz") } else { (".gz", "") };
    let candidates = [same, other].map(|gz| path.with_file_name(format!("{stem}.ids{gz}")));
    match candidates.iter().find(|ids| ids.is_file()) {
        Some(ids) => Ok(Format::Libsvm { ids: ids.clone(), columns: None }),
        None => Err(DemoError::Usage(format!(
            "{} needs its ids, one a line, in {}",
            path.display(),
            candidates[0].display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use caesar_e2e::{Format, Party};

    use super::{Columns, format_of};

    const COLUMNS: Columns<'_> = Columns { id: "key", label: "default" };

    #[test]
    fn only_the_bank_has_a_label_column() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["x.csv", "x.csv.gz"] {
            let path = folder.path().join(name);
            for party in [Party::A, Party::B] {
                let Ok(Format::Csv { id_column, label_column }) = format_of(party, &path, &COLUMNS)
                else {
                    panic!("{name} is CSV");
                };
                assert_eq!(id_column, "key");
                assert_eq!(label_column.as_deref(), (party == Party::B).then_some("default"));
            }
        }
        assert!(format_of(Party::A, &folder.path().join("x.parquet"), &COLUMNS).is_err());
    }

    #[test]
    fn ids_lie_beside_the_rows_packed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let ids = |name: &str| match format_of(Party::B, &at(name), &COLUMNS) {
            Ok(Format::Libsvm { ids, .. }) => Some(ids),
            _ => None,
        };
        assert_eq!(ids("x.svm.gz"), None);
        fs::write(at("x.ids"), "").unwrap();
        assert_eq!(ids("x.svm.gz"), Some(at("x.ids")));
        assert_eq!(ids("x.svm"), Some(at("x.ids")));
        fs::write(at("x.ids.gz"), "").unwrap();
        assert_eq!(ids("x.svm.gz"), Some(at("x.ids.gz")));
        assert_eq!(ids("x.svm"), Some(at("x.ids")));
    }
}
