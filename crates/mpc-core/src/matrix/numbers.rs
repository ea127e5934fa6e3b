//! A column of numbers, in the narrowest form that gives back exactly what was put in.

use std::fmt;

use super::CHUNK_ROWS;

/// Decimal places that are tried, as powers of ten. k / 10^p is the number nearest to that decimal, which
/// is what text of p places was read as, so the division gives it back exactly.
const SCALES: [f64; 7] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];

/// Numbers of one column, some of them missing. All are finite; zero has no sign. `Debug` shows their
/// count only.
#[derive(Clone, Default)]
pub struct Numbers {
    len: usize,
    chunks: Vec<Chunk>,
}

/// [`CHUNK_ROWS`] numbers, fewer in the last chunk. The largest code of `Byte`, the smallest of the
/// signed forms and NaN stand for a missing value.
#[derive(Clone)]
enum Chunk {
    Byte(Box<[u8]>),
    Short(f64, Box<[i16]>),
    Int(f64, Box<[i32]>),
    Single(Box<[f32]>),
    Double(Box<[f64]>),
}

impl Chunk {
    /// The narrowest form of numbers of which NaN stands for a missing one.
    fn narrow(values: &[f64]) -> Self {
        let present = || values.iter().copied().filter(|v| !v.is_nan());
        let exact = |scale: f64| {
            // The largest numerator, if every value is an integer over `scale`.
            present().try_fold((0.0f64, 0.0f64), |(low, high), v| {
                let k = libm::rint(v * scale);
                (k / scale == v && k.abs() < f64::from(i32::MAX)).then(|| (low.min(k), high.max(k)))
            })
        };
        let fit = SCALES.iter().find_map(|&scale| exact(scale).map(|range| (scale, range)));
        let numerators =
            |scale: f64| values.iter().map(move |v| (v.is_nan(), libm::rint(v * scale)));
        match fit {
            Some((1.0, (low, high))) if low >= 0.0 && high < f64::from(u8::MAX) => {
                let code = |(missing, k)| if missing { u8::MAX } else { k as u8 };
                Chunk::Byte(numerators(1.0).map(code).collect())
            }
            Some((scale, (low, high)))
                if low > f64::from(i16::MIN) && high <= f64::from(i16::MAX) =>
            {
                let code = |(missing, k)| if missing { i16::MIN } else { k as i16 };
                Chunk::Short(scale, numerators(scale).map(code).collect())
            }
            Some((scale, _)) => {
                let code = |(missing, k)| if missing { i32::MIN } else { k as i32 };
                Chunk::Int(scale, numerators(scale).map(code).collect())
            }
            None if present().all(|v| f64::from(v as f32) == v) => {
                Chunk::Single(values.iter().map(|&v| v as f32).collect())
            }
            None => Chunk::Double(values.into()),
        }
    }

    fn get(&self, i: usize) -> Option<f64> {
        match self {
            Chunk::Byte(codes) => (codes[i] != u8::MAX).then(|| f64::from(codes[i])),
            Chunk::Short(scale, codes) => {
                (codes[i] != i16::MIN).then(|| f64::from(codes[i]) / scale)
            }
            Chunk::Int(scale, codes) => (codes[i] != i32::MIN).then(|| f64::from(codes[i]) / scale),
            Chunk::Single(values) => Some(f64::from(values[i])).filter(|v| !v.is_nan()),
            Chunk::Double(values) => Some(values[i]).filter(|v| !v.is_nan()),
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Chunk::Byte(codes) => codes.len(),
                Chunk::Short(_, codes) => 2 * codes.len(),
                Chunk::Int(_, codes) => 4 * codes.len(),
                Chunk::Single(values) => 4 * values.len(),
                Chunk::Double(values) => 8 * values.len(),
            }
    }
}

impl Numbers {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of a row, `None` if it is missing.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn get(&self, row: usize) -> Option<f64> {
        self.chunks[row / CHUNK_ROWS].get(row % CHUNK_ROWS)
    }

    /// The numbers of all rows.
    pub fn iter(&self) -> impl Iterator<Item = Option<f64>> + '_ {
        (0..self.len).map(|row| self.get(row))
    }
}

impl FromIterator<f64> for Numbers {
    /// NaN stands for a missing number; the others are finite.
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        let mut builder = NumbersBuilder::default();
        for value in values {
            builder.push(Some(value).filter(|v| !v.is_nan()));
        }
        builder.finish().0
    }
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Numbers({} rows, ..)", self.len)
    }
}

/// Takes the numbers of a column row by row.
#[derive(Default)]
pub struct NumbersBuilder {
    done: Numbers,
    open: Vec<f64>,
}

impl NumbersBuilder {
    /// Bytes that a builder takes beside the chunks it has made.
    pub const OPEN_BYTES: usize = 8 * CHUNK_ROWS;

    /// The next row's number, finite, or `None` if it is missing. Returns the bytes of a chunk that this
    /// has made.
    pub fn push(&mut self, value: Option<f64>) -> usize {
        if self.open.capacity() == 0 {
            self.open.reserve_exact(CHUNK_ROWS);
        }
        // Zero has no sign, whatever form a chunk takes.
        self.open.push(value.map_or(f64::NAN, |v| v + 0.0));
        self.done.len += 1;
        if self.open.len() == CHUNK_ROWS { self.close() } else { 0 }
    }

    fn close(&mut self) -> usize {
        let chunk = Chunk::narrow(&self.open);
        self.open.clear();
        let bytes = chunk.bytes();
        self.done.chunks.push(chunk);
        bytes
    }

    /// The column, and the bytes of its last chunk.
    pub fn finish(mut self) -> (Numbers, usize) {
        let bytes = if self.open.is_empty() { 0 } else { self.close() };
        (self.done, bytes)
    }
}

impl fmt::Debug for NumbersBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NumbersBuilder({} rows, ..)", self.done.len)
    }
}
