//! Made-up data of two parties, of any size and sparsity.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufWriter, Write as _},
    path::Path,
};

use caesar_e2e::{Dataset, Format, Party, synthetic::Numbers};

/// What a party's columns are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Columns {
    /// So many numbers, about normal.
    Dense(u32),
    /// So many fields of so many values each; a row has one value of each field.
    OneHot {
        /// Non-zeros a row.
        fields: u32,
        /// Columns a field.
        values: u32,
    },
}

impl Columns {
    pub(crate) fn count(self) -> u64 {
        match self {
            Columns::Dense(columns) => u64::from(columns),
            Columns::OneHot { fields, values } => u64::from(fields) * u64::from(values),
        }
    }

    pub(crate) fn entries_a_row(self) -> u64 {
        match self {
            Columns::Dense(columns) => u64::from(columns),
            Columns::OneHot { fields, .. } => u64::from(fields),
        }
    }
}

/// Rows of both parties and how the label depends on their columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) a: Columns,
    pub(crate) b: Columns,
    /// Log-odds of a row whose columns say nothing.
    pub(crate) offset: f64,
}

/// The weight of a column, as random as needed and the same for all rows.
fn weight(party: Party, column: u64) -> f64 {
    Numbers::new(2 * column + party as u64 + 1).normal()
}

/// One row of both parties.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) label: bool,
    /// Column, from 0 within the party, and value: A's entries, then B's.
    pub(crate) entries: [Vec<(u64, f64)>; 2],
}

/// The entries of one row, and what they add to the log-odds.
fn entries(columns: Columns, party: Party, numbers: &mut Numbers) -> (Vec<(u64, f64)>, f64) {
    let entries: Vec<(u64, f64)> = match columns {
        Columns::Dense(count) => (0..u64::from(count)).map(|j| (j, numbers.normal())).collect(),
        Columns::OneHot { fields, values } => (0..u64::from(fields))
            .map(|field| {
                let value = numbers.bits() % u64::from(values);
                (field * u64::from(values) + value, 1.0)
            })
            .collect(),
    };
    let score: f64 = entries.iter().map(|&(j, x)| x * weight(party, j)).sum();
    (entries, score / (columns.entries_a_row() as f64).sqrt())
}

/// `rows` rows of this shape, the same for the same seed.
pub(crate) fn rows(shape: Shape, rows: usize, seed: u64) -> impl Iterator<Item = Row> {
    let mut numbers = Numbers::new(seed);
    (0..rows).map(move |_| {
        let id = format!("{:016x}", numbers.bits());
        let (a, score_a) = entries(shape.a, Party::A, &mut numbers);
        let (b, score_b) = entries(shape.b, Party::B, &mut numbers);
        let odds = (shape.offset + score_a + score_b).exp();
        Row { id, label: numbers.unit() < odds / (1.0 + odds), entries: [a, b] }
    })
}

/// Writes `rows` rows of both parties to files of this name; both have the same ids, in orders of
/// their own.
pub(crate) fn write(
    folder: &Path,
    name: &str,
    shape: &Shape,
    rows: usize,
    seed: u64,
) -> io::Result<[Dataset; 2]> {
    let mut sides = [Side::create(folder, name, Party::A, shape.a)?, {
        Side::create(folder, name, Party::B, shape.b)?
    }];
    for row in self::rows(*shape, rows, seed) {
        for (side, entries) in sides.iter_mut().zip(&row.entries) {
            side.row(&row.id, row.label, entries)?;
        }
    }
    let [a, b] = sides;
    Ok([a.finish(folder, name)?, b.finish(folder, name)?])
}

/// The files of one party.
struct Side {
    party: Party,
    columns: Columns,
    rows: BufWriter<File>,
    ids: Option<BufWriter<File>>,
}

impl Side {
    fn create(folder: &Path, name: &str, party: Party, columns: Columns) -> io::Result<Self> {
        let create = |suffix| File::create(path(folder, name, party, suffix)).map(BufWriter::new);
        let (mut rows, ids) = match columns {
            Columns::Dense(_) => (create("csv")?, None),
            Columns::OneHot { .. } => (create("svm")?, Some(create("ids")?)),
        };
        if let Columns::Dense(count) = columns {
            let label = if party == Party::B { ",y" } else { "" };
            let names: String = (0..count).map(|c| format!(",x{c}")).collect();
            writeln!(rows, "id{label}{names}")?;
        }
        Ok(Self { party, columns, rows, ids })
    }

    fn row(&mut self, id: &str, label: bool, entries: &[(u64, f64)]) -> io::Result<()> {
        let label = u8::from(label);
        let mut text = String::new();
        for (column, value) in entries {
            let _ = match self.columns {
                Columns::Dense(_) => write!(text, ",{value:.4}"),
                Columns::OneHot { .. } => write!(text, " {}:{value}", column + 1),
            };
        }
        match (&mut self.ids, self.party) {
            (None, Party::A) => writeln!(self.rows, "{id}{text}"),
            (None, Party::B) => writeln!(self.rows, "{id},{label}{text}"),
            (Some(ids), party) => {
                writeln!(ids, "{id}")?;
                let label = if party == Party::B { label } else { 0 };
                writeln!(self.rows, "{label}{text}")
            }
        }
    }

    fn finish(mut self, folder: &Path, name: &str) -> io::Result<Dataset> {
        self.rows.flush()?;
        let at = |suffix| path(folder, name, self.party, suffix);
        let (file, format) = match &mut self.ids {
            None => {
                let label_column = (self.party == Party::B).then(|| "y".to_owned());
                (at("csv"), Format::Csv { id_column: "id".to_owned(), label_column })
            }
            Some(ids) => {
                ids.flush()?;
                let columns = Some(self.columns.count());
                (at("svm"), Format::Libsvm { ids: at("ids"), columns })
            }
        };
        Ok(Dataset::new(self.party, name, &file, format))
    }
}

fn path(folder: &Path, name: &str, party: Party, suffix: &str) -> std::path::PathBuf {
    folder.join(format!("{name}_{}.{suffix}", party.name()))
}
