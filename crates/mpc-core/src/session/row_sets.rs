//! Which rows of a party's tables are trained on, set aside, and tested.

use crate::{division::place, matrix::Table, psi::Intersection};

/// Rows of one party's tables, aligned with the peer's by position.
#[derive(Clone, PartialEq)]
pub(crate) struct RowSets {
    /// Of the training table: those that are trained on.
    pub(crate) train: Vec<usize>,
    /// Of the training table: those that are set aside.
    pub(crate) validation: Vec<usize>,
    /// Of the test table.
    pub(crate) test: Vec<usize>,
}

impl std::fmt::Debug for RowSets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RowSets({:?})", self.counts())
    }
}

impl RowSets {
    /// Sets aside the part `validation` of the common training rows by a public hash of their ids: the
    /// same rows at both sides, in every attempt, and in every job on the same data.
    pub(crate) fn new(
        train_table: &Table,
        [train, test]: [&Intersection; 2],
        validation: Option<f64>,
    ) -> Self {
        let part = validation.unwrap_or(0.0);
        let (validation, train) = train
            .rows
            .iter()
            .partition(|&&row| place("validation rows", "", &train_table.ids[row]) < part);
        Self { train, validation, test: test.rows.clone() }
    }

    /// How many rows there are of each.
    pub(crate) fn counts(&self) -> [usize; 3] {
        [&self.train, &self.validation, &self.test].map(Vec::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Features;

    #[test]
    fn rows_are_set_aside_by_their_ids_alone_and_in_about_the_stated_part() {
        let ids: Vec<String> = (0..20_000).map(|i| format!("row {i}")).collect();
        let features = || Features::Typed(Vec::new());
        let of =
            |ids: Vec<String>| Table { ids, features: features(), labels: None, weights: None };
        let all = |count: usize| Intersection {
            rows: (0..count).collect(),
            peer_ids: count,
            sha256: [0; 32],
        };
        let (forward, backward) = (of(ids.clone()), of(ids.iter().rev().cloned().collect()));
        for part in [0.01, 0.2, 0.5] {
            let split = |table: &Table| {
                let sets = RowSets::new(table, [&all(20_000), &all(7)], Some(part));
                assert_eq!(sets.counts()[0] + sets.counts()[1], 20_000);
                assert_eq!(sets.counts()[2], 7);
                let mut names: Vec<String> =
                    sets.validation.iter().map(|&row| table.ids[row].clone()).collect();
                names.sort();
                names
            };
            let found = split(&forward);
            assert_eq!(found, split(&backward));
            // Binomial; six deviations of a fixed hash.
            let (expected, deviation) = (20_000.0 * part, (20_000.0 * part * (1.0 - part)).sqrt());
            assert!((found.len() as f64 - expected).abs() < 6.0 * deviation, "{}", found.len());
        }
        assert_eq!(RowSets::new(&forward, [&all(20_000), &all(7)], None).counts(), [20_000, 0, 7]);
    }
}
