//! Bytes of a data file: gzip or zstd by content, byte order mark removed, length bounded.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::{DataError, Gauge};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// A zstd stream that asks for a larger window, as a power of two, is refused: it would be memory.
const ZSTD_WINDOW: u32 = 27;
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
const BUFFER_BYTES: usize = 1 << 17;

/// An open data file.
pub(super) struct Input {
    /// The file's name without its folder, for errors.
    pub(super) file: String,
    /// Its length.
    pub(super) bytes: u64,
    /// The format of a compressed one.
    zipped: Option<&'static str>,
    limit: u64,
}

/// The text of a file.
pub(super) type Text<'g> = BufReader<Bounded<Chain<Cursor<Vec<u8>>, Box<dyn Read + 'g>>>>;

/// The bytes of a file, counted.
struct Counted<'g> {
    file: File,
    gauge: &'g Gauge,
}

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(out)?;
        self.gauge.advance(read as u64);
        Ok(read)
    }
}

impl Input {
    /// Opens `path`. Reading more than `limit` bytes of (decompressed) text fails.
    pub(super) fn open<'g>(
        path: &Path,
        limit: u64,
        gauge: &'g Gauge,
    ) -> Result<(Self, Text<'g>), DataError> {
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let mut input = Input { file, bytes: 0, zipped: None, limit };
        let text = input.start(path, gauge).map_err(|e| input.error(&e))?;
        Ok((input, text))
    }

    fn start<'g>(&mut self, path: &Path, gauge: &'g Gauge) -> io::Result<Text<'g>> {
        let file = File::open(path)?;
        self.bytes = file.metadata()?.len();
        let mut raw = BufReader::with_capacity(BUFFER_BYTES, Counted { file, gauge });
        let magic = head::<4>(&mut raw)?;
        let (gzip, zstd) = (magic.starts_with(&GZIP_MAGIC), magic == ZSTD_MAGIC);
        let raw = Cursor::new(magic).chain(raw);
        let mut text: Box<dyn Read + 'g> = if gzip {
            self.zipped = Some("gzip");
            Box::new(MultiGzDecoder::new(raw))
        } else if zstd {
            self.zipped = Some("zstd");
            let mut decoder = zstd::Decoder::with_buffer(raw)?;
            decoder.window_log_max(ZSTD_WINDOW)?;
            Box::new(decoder)
        } else {
            Box::new(raw)
        };
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
            kind => match self.zipped {
                // The decoders' own kinds; the system gives none of them for a read.
                Some(format)
                    if matches!(
                        kind,
                        ErrorKind::InvalidInput
                            | ErrorKind::InvalidData
                            | ErrorKind::UnexpectedEof
                            | ErrorKind::Other
                    ) =>
                {
                    DataError::CompressionCorrupt { file, format }
                }
                _ => DataError::Unreadable { file, reason: error.to_string() },
            },
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
pub(super) struct Lines<'g> {
    input: Input,
    text: Text<'g>,
    bytes: Vec<u8>,
    line: u64,
}

impl<'g> Lines<'g> {
    pub(super) fn open(path: &Path, limit: u64, gauge: &'g Gauge) -> Result<Self, DataError> {
        let (input, text) = Input::open(path, limit, gauge)?;
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
