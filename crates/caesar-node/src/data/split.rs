//! One data set as training and test rows.

use mpc_core::division::place;

/// How the rows of a data set are divided.
#[derive(Clone, Debug, PartialEq)]
pub enum Split {
    /// By a public hash of the id, so that both parties divide alike without a word.
    Hash {
        /// Share of the test rows, above 0 and below 1.
        test: f64,
        /// Another salt is another division.
        salt: String,
    },
    /// By the text in a column, which is no feature then.
    Column {
        /// The column's name.
        column: String,
        /// What stands in it at test rows.
        test: Vec<String>,
    },
    /// Every row may be either: the peer has the column.
    Both,
}

impl Split {
    /// Whether a row is a test row. `cell` is what stands in the column, if there is anything.
    pub(super) fn is_test(&self, id: &str, cell: Option<&str>) -> bool {
        match self {
            Split::Hash { test, salt } => place("test rows", salt, id) < *test,
            Split::Column { test, .. } => {
                cell.is_some_and(|cell| test.iter().any(|t| t == cell.trim_ascii()))
            }
            Split::Both => false,
        }
    }

    /// The column that divides, if this party has it.
    pub(super) fn column(&self) -> Option<&str> {
        match self {
            Split::Column { column, .. } => Some(column),
            Split::Hash { .. } | Split::Both => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Split;

    #[test]
    fn a_column_divides_by_its_text() {
        let split = Split::Column { column: "fold".into(), test: vec!["2024".into(), "t".into()] };
        let test = |cell| split.is_test("id", cell);
        assert!(test(Some("2024")) && test(Some(" t ")));
        assert!(!test(Some("2023")) && !test(Some("")) && !test(None) && !test(Some("2024.0")));
        assert!(!Split::Both.is_test("id", Some("2024")));
    }
}
