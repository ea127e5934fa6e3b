//! A data set's columns for its own people.

use std::fmt::Write as _;

use mpc_core::matrix::{Codes, Column, Encode, Features, Numbers, Recipe, Scale, Table, Values};

/// Names that are longer are cut off in the list.
const NAME_WIDTH: usize = 32;

/// The columns of a table with their kinds, missing shares, ranges and levels, as lines of text. It shows
/// least and largest values, so it is for the owner of the data only; no id is in it.
pub fn describe(table: &Table) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write!(out, "{} rows", table.ids.len());
    if let Some(labels) = &table.labels {
        let ones = labels.iter().filter(|&&label| label).count();
        let _ = write!(out, ", label 1 in {ones} of them");
    }
    if table.weights.is_some() {
        let _ = write!(out, ", with weights");
    }
    let _ = writeln!(out);
    match &table.features {
        Features::Sparse { columns, values, .. } => {
            let _ = writeln!(out, "{columns} sparse columns with {} entries", values.len());
        }
        Features::Typed(columns) => {
            let widest = columns.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
            let width = widest.clamp(6, NAME_WIDTH);
            let _ = writeln!(
                out,
                "{:>4}  {:width$}  {:11}  {:>8}  values",
                "", "column", "type", "missing"
            );
            for (number, column) in (1..).zip(columns) {
                let Line { kind, missing, values } = Line::of(column);
                let name: String = column.name.chars().take(NAME_WIDTH).collect();
                let _ = writeln!(
                    out,
                    "{number:>4}  {name:width$}  {kind:11}  {:>7.2}%  {values}",
                    100.0 * missing
                );
            }
        }
    }
    out
}

struct Line {
    kind: &'static str,
    /// Share of the rows.
    missing: f64,
    values: String,
}

impl Line {
    fn of(column: &Column) -> Self {
        match &column.values {
            Values::Numeric(numbers) => Self::numeric(numbers, &column.recipe),
            Values::Categorical(codes) => Self::categorical(codes, &column.recipe),
        }
    }

    fn numeric(numbers: &Numbers, recipe: &Recipe) -> Self {
        let present = || numbers.iter().flatten();
        let (low, high) = present()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (f64::min(l, v), f64::max(h, v)));
        let count = present().count();
        let mut values = match count {
            0 => "none".to_owned(),
            _ if low == high => format!("{low} only"),
            _ => format!("{low} to {high}"),
        };
        if let Some([low, high]) = recipe.clip {
            let _ = write!(values, ", clipped to {low} to {high}");
        }
        if recipe.log {
            values.push_str(", log");
        }
        match recipe.scale {
            Scale::Standardise => {}
            Scale::MinMax => values.push_str(", min-max"),
            Scale::None => values.push_str(", not scaled"),
        }
        Self { kind: "numeric", missing: share(numbers.len() - count, numbers.len()), values }
    }

    fn categorical(codes: &Codes, recipe: &Recipe) -> Self {
        let missing = (0..codes.len()).filter(|&row| codes.code(row) == 0).count();
        let levels = codes.levels().len();
        let encoding = match recipe.encode {
            Encode::Hash(columns) => format!(", hashed to {columns} columns"),
            Encode::OneHot if levels > recipe.max_levels as usize => {
                format!(", more than max_levels = {}", recipe.max_levels)
            }
            Encode::OneHot => String::new(),
        };
        let values = format!("{levels} levels{encoding}");
        Self { kind: "categorical", missing: share(missing, codes.len()), values }
    }
}

fn share(part: usize, of: usize) -> f64 {
    part as f64 / of.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_is_a_line_without_ids() {
        let column = |name: &str, values, recipe| Column { name: name.to_owned(), values, recipe };
        let numbers = Values::Numeric([1.5, f64::NAN, -2.0, 7.0].into_iter().collect());
        let texts = [Some("a"), Some("b"), None, None].into_iter().collect();
        let table = Table {
            ids: (0..4).map(|i| format!("customer {i}")).collect(),
            features: Features::Typed(vec![
                column("income", numbers, Recipe { log: true, ..Recipe::default() }),
                column("region", Values::Categorical(texts), Recipe::default()),
            ]),
            labels: Some(vec![true, false, true, true]),
            weights: None,
        };
        let expected = "4 rows, label 1 in 3 of them\n      \
             column  type          missing  values\n   \
             1  income  numeric        25.00%  -2 to 7, log\n   \
             2  region  categorical    50.00%  2 levels\n";
        assert_eq!(describe(&table), expected);
    }
}
