//! A typed table while it is read: columns in their compact form, and what they take.

use mpc_core::matrix::{CodesBuilder, Column, Features, NumbersBuilder, Table, Values};

use super::{
    DataError, Gauge, Source, grown,
    layout::{Kind, Layout},
    push,
};

/// What an id takes beside its text: its place in the list, its own allocation, and its place in the table that finds duplicates.
pub(super) const ID_BYTES: usize = grown(size_of::<String>()) + 16 + 64;

/// Which line of the file each row stands on. Lines nearly always follow each other, so only where they
/// do not is anything stored.
#[derive(Debug, Default)]
pub(super) struct RowLines {
    rows: usize,
    /// A row, and its line, where it is not the line after the last row's.
    jumps: Vec<(usize, u64)>,
    next: u64,
}

impl RowLines {
    pub(super) fn push(&mut self, line: u64) -> usize {
        let jump = line != self.next || self.rows == 0;
        if jump {
            push(&mut self.jumps, (self.rows, line));
        }
        self.rows += 1;
        self.next = line + 1;
        if jump { grown(size_of::<(usize, u64)>()) } else { 0 }
    }

    pub(super) fn line(&self, row: usize) -> u64 {
        let after = self.jumps.partition_point(|&(first, _)| first <= row);
        let (first, line) = self.jumps[after - 1];
        line + (row - first) as u64
    }
}

/// The values of one feature so far.
#[derive(Debug)]
pub(super) enum Cells {
    Numeric(NumbersBuilder),
    Categorical(CodesBuilder),
}

/// The rows of one table so far.
#[derive(Debug)]
pub(super) struct TableBuilder<'g> {
    gauge: &'g Gauge,
    taken: usize,
    ids: Vec<String>,
    pub(super) lines: RowLines,
    labels: Option<Vec<bool>>,
    weights: Option<Vec<f64>>,
    cells: Vec<Cells>,
}

/// The bound on memory is reached.
#[derive(Debug)]
pub(super) struct Full;

impl<'g> TableBuilder<'g> {
    /// Without rows. A column whose kind is to be found out is numeric until then.
    pub(super) fn new(layout: &Layout, gauge: &'g Gauge) -> Result<Self, Full> {
        let cells = |kind| match kind {
            Kind::Numeric | Kind::Guess => Cells::Numeric(NumbersBuilder::default()),
            Kind::Categorical => Cells::Categorical(CodesBuilder::default()),
        };
        let mut builder = Self {
            gauge,
            taken: 0,
            ids: Vec::new(),
            lines: RowLines::default(),
            labels: layout.label.map(|_| Vec::new()),
            weights: layout.weight.map(|_| Vec::new()),
            cells: layout.features.iter().map(|feature| cells(feature.kind)).collect(),
        };
        let open = |cells: &Cells| match cells {
            Cells::Numeric(_) => NumbersBuilder::OPEN_BYTES,
            Cells::Categorical(_) => CodesBuilder::OPEN_BYTES,
        };
        let bytes = builder.cells.iter().map(open).sum();
        builder.take(bytes)?;
        Ok(builder)
    }

    fn take(&mut self, bytes: usize) -> Result<(), Full> {
        if bytes == 0 {
            return Ok(());
        }
        self.taken += bytes;
        if self.gauge.take(bytes) { Ok(()) } else { Err(Full) }
    }

    pub(super) fn push_id(&mut self, id: &str, line: u64) -> Result<(), Full> {
        let jump = self.lines.push(line);
        push(&mut self.ids, id.to_owned());
        self.take(ID_BYTES + id.len() + jump)
    }

    pub(super) fn push_label(&mut self, label: bool) -> Result<(), Full> {
        push(self.labels.get_or_insert_default(), label);
        self.take(grown(size_of::<bool>()))
    }

    pub(super) fn push_weight(&mut self, weight: f64) -> Result<(), Full> {
        push(self.weights.get_or_insert_default(), weight);
        self.take(grown(size_of::<f64>()))
    }

    /// The next number of a numeric feature.
    pub(super) fn push_number(&mut self, feature: usize, value: Option<f64>) -> Result<(), Full> {
        let taken = match &mut self.cells[feature] {
            Cells::Numeric(numbers) => numbers.push(value),
            Cells::Categorical(_) => unreachable!("the reader pushes what the layout says"),
        };
        self.take(taken)
    }

    /// The next category of a categorical feature.
    pub(super) fn push_text(&mut self, feature: usize, value: Option<&str>) -> Result<(), Full> {
        let taken = match &mut self.cells[feature] {
            Cells::Categorical(codes) => codes.push(value),
            Cells::Numeric(_) => unreachable!("the reader pushes what the layout says"),
        };
        self.take(taken)
    }

    /// The table, and the line of each of its rows.
    pub(super) fn finish(
        mut self,
        layout: &Layout,
        source: &Source,
    ) -> Result<(Table, RowLines), DataError> {
        let mut columns = Vec::with_capacity(self.cells.len());
        for (feature, cells) in layout.features.iter().zip(std::mem::take(&mut self.cells)) {
            let ((values, bytes), open) = match cells {
                Cells::Numeric(numbers) => {
                    let (numbers, bytes) = numbers.finish();
                    ((Values::Numeric(numbers), bytes), NumbersBuilder::OPEN_BYTES)
                }
                Cells::Categorical(codes) => {
                    let (codes, bytes) = codes.finish();
                    ((Values::Categorical(codes), bytes), CodesBuilder::OPEN_BYTES)
                }
            };
            self.give_back(open);
            self.take(bytes).map_err(|Full| full(&layout.file, self.gauge))?;
            let recipe = source.schema.recipe(&feature.name);
            columns.push(Column { name: feature.name.clone(), values, recipe });
        }
        // What the table takes stays taken.
        self.taken = 0;
        let table = Table {
            ids: std::mem::take(&mut self.ids),
            features: Features::Typed(columns),
            labels: self.labels.take(),
            weights: self.weights.take(),
        };
        Ok((table, std::mem::take(&mut self.lines)))
    }

    fn give_back(&mut self, bytes: usize) {
        self.taken -= bytes;
        self.gauge.give_back(bytes);
    }
}

impl Drop for TableBuilder<'_> {
    /// Of a pass that is begun again nothing is kept.
    fn drop(&mut self) {
        self.gauge.give_back(self.taken);
    }
}

/// What is said when the bound on memory is reached.
pub(super) fn full(file: &str, gauge: &Gauge) -> DataError {
    DataError::MemoryLimit { file: file.to_owned(), limit_mib: gauge.limit() >> 20 }
}

#[cfg(test)]
mod tests {
    use super::RowLines;

    #[test]
    fn lines_are_found_again_wherever_they_jump() {
        let wanted = [2, 3, 4, 9, 10, 12, 13, 14, 20];
        let mut lines = RowLines::default();
        let taken: usize = wanted.into_iter().map(|line| lines.push(line)).sum();
        assert!((0..wanted.len()).all(|row| lines.line(row) == wanted[row]));
        assert_eq!(taken, 4 * 36, "four jumps");
    }
}
