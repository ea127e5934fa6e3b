//! A column of categories: a dictionary of its levels and one code a row.

use std::{collections::HashMap, fmt};

use super::CHUNK_ROWS;

/// Categories of one column. Code 0 stands for a missing one, code k for level k − 1. `Debug` shows sizes
/// only.
#[derive(Clone, Default)]
pub struct Codes {
    len: usize,
    chunks: Vec<Chunk>,
    levels: Vec<Box<str>>,
}

#[derive(Clone)]
enum Chunk {
    Byte(Box<[u8]>),
    Short(Box<[u16]>),
    Int(Box<[u32]>),
}

impl Chunk {
    fn narrow(codes: &[u32]) -> Self {
        match codes.iter().max() {
            Some(0..=0xff) => Chunk::Byte(codes.iter().map(|&code| code as u8).collect()),
            Some(0..=0xffff) => Chunk::Short(codes.iter().map(|&code| code as u16).collect()),
            _ => Chunk::Int(codes.into()),
        }
    }

    fn get(&self, i: usize) -> u32 {
        match self {
            Chunk::Byte(codes) => codes[i].into(),
            Chunk::Short(codes) => codes[i].into(),
            Chunk::Int(codes) => codes[i],
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Chunk::Byte(codes) => codes.len(),
                Chunk::Short(codes) => 2 * codes.len(),
                Chunk::Int(codes) => 4 * codes.len(),
            }
    }
}

impl Codes {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The code of a row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn code(&self, row: usize) -> u32 {
        self.chunks[row / CHUNK_ROWS].get(row % CHUNK_ROWS)
    }

    /// The text of a row, `None` if it is missing.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn get(&self, row: usize) -> Option<&str> {
        let level = self.code(row).checked_sub(1)?;
        Some(&self.levels[level as usize])
    }

    /// The levels in the order in which they came.
    pub fn levels(&self) -> &[Box<str>] {
        &self.levels
    }
}

impl<'a> FromIterator<Option<&'a str>> for Codes {
    fn from_iter<T: IntoIterator<Item = Option<&'a str>>>(values: T) -> Self {
        let mut builder = CodesBuilder::default();
        for value in values {
            builder.push(value);
        }
        builder.finish().0
    }
}

impl fmt::Debug for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Codes({} rows, {} levels, ..)", self.len, self.levels.len())
    }
}

/// Takes the categories of a column row by row.
#[derive(Default)]
pub struct CodesBuilder {
    done: Codes,
    open: Vec<u32>,
    known: HashMap<Box<str>, u32>,
}

impl CodesBuilder {
    /// Bytes that a builder takes beside its dictionary and the chunks it has made.
    pub const OPEN_BYTES: usize = 4 * CHUNK_ROWS;
    /// What a level takes beside its text, twice: in the dictionary and in the builder's table of it.
    const LEVEL_BYTES: usize = 128;

    /// The next row's category, or `None` if it is missing. Returns the bytes that this has taken.
    pub fn push(&mut self, value: Option<&str>) -> usize {
        let mut bytes = 0;
        let code = match value {
            None => 0,
            Some(text) => match self.known.get(text) {
                Some(&code) => code,
                None => {
                    self.done.levels.push(text.into());
                    let code = u32::try_from(self.done.levels.len())
                        .expect("the memory bound ends a column long before 2^32 levels");
                    self.known.insert(text.into(), code);
                    bytes += Self::LEVEL_BYTES + 2 * text.len();
                    code
                }
            },
        };
        if self.open.capacity() == 0 {
            self.open.reserve_exact(CHUNK_ROWS);
        }
        self.open.push(code);
        self.done.len += 1;
        if self.open.len() == CHUNK_ROWS {
            bytes += self.close();
        }
        bytes
    }

    fn close(&mut self) -> usize {
        let chunk = Chunk::narrow(&self.open);
        self.open.clear();
        let bytes = chunk.bytes();
        self.done.chunks.push(chunk);
        bytes
    }

    /// The column, and the bytes of its last chunk.
    pub fn finish(mut self) -> (Codes, usize) {
        let bytes = if self.open.is_empty() { 0 } else { self.close() };
        (self.done, bytes)
    }
}

impl fmt::Debug for CodesBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CodesBuilder({} rows, ..)", self.done.len)
    }
}
