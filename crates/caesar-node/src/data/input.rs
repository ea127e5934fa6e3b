//! Bytes of a data file: gzip by content, byte order mark removed, length bounded.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::DataError;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
const BUFFER_BYTES: usize = 1 << 17;

/// An open data file.
pub(super) struct Input {
    /// The file's name without its folder, for errors.
    pub(super) file: String,
    zipped: bool,
    limit: u64,
}

/// The text of a file.
pub(super) type Text = BufReader<Bounded<Chain<Cursor<Vec<u8>>, Box<dyn Read>>>>;

impl Input {
    /// Opens `path`. Reading more than `limit` bytes of (decompressed) text fails.
    pub(super) fn open(path: &Path, limit: u64) -> Result<(Self, Text), DataError> {
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let mut input = Input { file, zipped: false, limit };
        let text = input.start(path).map_err(|e| input.error(&e))?;
        Ok((input, text))
    }

    fn start(&mut self, path: &Path) -> io::Result<Text> {
        let mut raw = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
        let magic = head::<2>(&mut raw)?;
        self.zipped = magic == GZIP_MAGIC;
        let raw = Cursor::new(magic).chain(raw);
        let mut text: Box<dyn Read> =
            if self.zipped { Box::new(MultiGzDecoder::new(raw)) } else { Box::new(raw) };
        let mut start = head::<3>(&mut text)?;
        if start == BYTE_ORDER_MARK {
            start.clear();
        }
        let all = Bounded { inner: Cursor::new(start).chain(text), left: self.limit };
        Ok(BufReader::with_capacity(BUFFER_BYTES, all))
    }

    /// What a failed read means.
    pub(super) fn error(&self, error: &io::Error) -> DataError {
        let file = self.file.clone();
        match error.kind() {
            ErrorKind::FileTooLarge => {
                DataError::TooLarge { file, what: "bytes of text", limit: self.limit }
            }
            // The decoder's own kinds; the system gives none of them for a read.
            ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof
                if self.zipped =>
            {
                DataError::GzipCorrupt { file }
            }
            _ => DataError::Unreadable { file, reason: error.to_string() },
        }
    }
}

/// The first `N` bytes, or all if there are fewer.
fn head<const N: usize>(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(N);
    from.take(N as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Fails with [`ErrorKind::FileTooLarge`] when there are more than `left` bytes.
pub(super) struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.left = self.left.checked_sub(read as u64).ok_or(ErrorKind::FileTooLarge)?;
        Ok(read)
    }
}

/// The lines of a text without their ends (`\n` or `\r\n`), counted from 1.
pub(super) struct Lines {
    input: Input,
    text: Text,
    bytes: Vec<u8>,
    line: u64,
}

impl Lines {
    pub(super) fn open(path: &Path, limit: u64) -> Result<Self, DataError> {
        let (input, text) = Input::open(path, limit)?;
        Ok(Self { input, text, bytes: Vec::new(), line: 0 })
    }

    pub(super) fn file(&self) -> &str {
        &self.input.file
    }

    /// The next line's number and text, `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &str)>, DataError> {
        self.bytes.clear();
        let read = self.text.read_until(b'\n', &mut self.bytes);
        if read.map_err(|e| self.input.error(&e))? == 0 {
            return Ok(None);
        }
        self.line += 1;
        let line = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match std::str::from_utf8(line) {
            Ok(text) => Ok(Some((self.line, text))),
            Err(_) => Err(DataError::NotUtf8 { file: self.input.file.clone(), line: self.line }),
        }
    }
}
