//! A job's records in files of its folder.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use mpc_core::session::{RecordFile, Vault, VaultError};
use zeroize::Zeroizing;

use super::{
    format::{
        Chain, FRAME_BYTES, HEADER_BYTES, Header, Kind, OVERHEAD, SealError, TAG_BYTES, frame,
    },
    keys::Keys,
};
use crate::job::JobId;

/// The vault of one job: a folder with mode 0700, files with mode 0600.
pub struct FileVault {
    folder: PathBuf,
    job: JobId,
    keys: Keys,
    /// Files that records have been appended to.
    appended: BTreeMap<RecordFile, Appended>,
    /// Tests: how many bytes the disk still takes.
    #[cfg(test)]
    pub(super) room: Option<usize>,
}

impl fmt::Debug for FileVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileVault({})", self.folder.display())
    }
}

/// The end of an appended file.
struct Appended {
    file: File,
    chain: Chain,
    /// Bytes of complete records.
    len: u64,
    /// More than that may be in the file, of a record that was not written completely.
    torn: bool,
}

/// A record as it stands in a file.
enum Stored {
    /// Its kind, and its bytes without kind and length.
    Record(Kind, Zeroizing<Vec<u8>>),
    /// The file ends before it does.
    Torn,
    /// Nothing that was ever written begins like this.
    Malformed,
}

/// A step of a read.
enum Next {
    Record(Zeroizing<Vec<u8>>),
    End,
    Corrupt,
}

type Outcome<T> = Result<T, VaultError>;

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> VaultError {
    let path = path.to_owned();
    move |error| VaultError::Io { action, detail: format!("{}: {error}", path.display()) }
}

fn name(file: RecordFile) -> String {
    match file {
        RecordFile::Setup => "setup".to_owned(),
        RecordFile::Transform => "transform".to_owned(),
        RecordFile::Snapshot(n) => format!("snapshot-{n:010}"),
        RecordFile::Log(n) => format!("log-{n:010}"),
        RecordFile::Openings => "openings".to_owned(),
    }
}

fn file_of_name(text: &str) -> Option<RecordFile> {
    let file = match text.split_once('-') {
        None if text == "setup" => RecordFile::Setup,
        None if text == "transform" => RecordFile::Transform,
        None if text == "openings" => RecordFile::Openings,
        Some(("snapshot", n)) => RecordFile::Snapshot(n.parse().ok()?),
        Some(("log", n)) => RecordFile::Log(n.parse().ok()?),
        _ => return None,
    };
    // One name each.
    (name(file) == text).then_some(file)
}

fn read_header(file: &mut impl Read) -> io::Result<Option<Header>> {
    let mut bytes = [0; HEADER_BYTES];
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(Header::decode(&bytes)),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    }
}

impl FileVault {
    pub(super) fn new(folder: PathBuf, job: JobId, keys: Keys) -> Self {
        Self {
            folder,
            job,
            keys,
            appended: BTreeMap::new(),
            #[cfg(test)]
            room: None,
        }
    }

    /// Whether a file was written with a key that this node does not have. Files that are not what
    /// they should be show when they are read.
    pub(super) fn has_foreign_key(&self) -> bool {
        let Ok(entries) = fs::read_dir(&self.folder) else { return false };
        entries.flatten().any(|entry| {
            let header = File::open(entry.path()).and_then(|mut file| read_header(&mut file));
            matches!(header, Ok(Some(header)) if self.keys.find(header.key).is_none())
        })
    }

    fn path(&self, file: RecordFile) -> PathBuf {
        self.folder.join(name(file))
    }

    fn temporary(&self, file: RecordFile) -> PathBuf {
        self.folder.join(name(file) + ".tmp")
    }

    /// All writing of content goes through here.
    fn put(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        if let Some(room) = &mut self.room {
            let fits = bytes.len().min(*room);
            *room -= fits;
            file.write_all(&bytes[..fits])?;
            return if fits < bytes.len() {
                Err(io::ErrorKind::StorageFull.into())
            } else {
                Ok(())
            };
        }
        file.write_all(bytes)
    }

    fn make_folder(&self) -> io::Result<()> {
        if self.folder.is_dir() {
            return Ok(());
        }
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.folder)?;
        // The folder itself must survive as well, and the one around it, which may be new.
        self.folder.ancestors().skip(1).take(2).try_for_each(sync_folder)
    }

    /// Writes a file under a temporary name, makes it durable, and gives it its own name.
    fn replace(
        &mut self,
        file: RecordFile,
        appended: bool,
        records: &mut dyn Iterator<Item = Outcome<Zeroizing<Vec<u8>>>>,
    ) -> Outcome<()> {
        let (path, temporary) = (self.path(file), self.temporary(file));
        let error = failed("written", &path);
        self.make_folder().map_err(&error)?;
        let written = self.write_temporary(&temporary, file, appended, records, &error);
        let replaced = written.and_then(|()| {
            fs::rename(&temporary, &path).and_then(|()| sync_folder(&self.folder)).map_err(&error)
        });
        match replaced {
            Ok(()) => {
                self.appended.remove(&file);
                Ok(())
            }
            Err(e) => {
                // What is left of it is removed at the next start at the latest.
                let _ = fs::remove_file(&temporary);
                Err(e)
            }
        }
    }

    fn write_temporary(
        &mut self,
        temporary: &Path,
        file: RecordFile,
        appended: bool,
        records: &mut dyn Iterator<Item = Outcome<Zeroizing<Vec<u8>>>>,
        error: &impl Fn(io::Error) -> VaultError,
    ) -> Outcome<()> {
        let seal_error = |e| error(seal_error(e));
        let header = Header::new(self.keys.current().id(), self.job, file, appended)
            .ok_or(SealError::Random)
            .map_err(seal_error)?
            .encode();
        let mut chain = Chain::new(self.keys.current(), &header);
        let mut out = private(OpenOptions::new().write(true).create(true).truncate(true))
            .open(temporary)
            .map_err(error)?;
        self.put(&mut out, &header).map_err(error)?;
        let mut put = |vault: &mut Self, kind, content: &[u8]| {
            let sealed = chain.seal(kind, content).map_err(seal_error)?;
            vault.put(&mut out, &sealed).map_err(error)?;
            chain.advance(&sealed);
            Ok(())
        };
        put(self, Kind::Head, &[])?;
        for record in records {
            put(self, Kind::Data, &record?)?;
        }
        if !appended {
            put(self, Kind::End, &[])?;
        }
        out.sync_all().map_err(error)
    }

    /// The end of an appended file that exists. A record that was not written completely is cut off.
    fn open_appended(&mut self, file: RecordFile) -> Outcome<&mut Appended> {
        let path = self.path(file);
        if !self.appended.contains_key(&file) {
            let mut reader = Records::open(&path, self.job, file, &self.keys, "written")?;
            if !reader.header.appended {
                let whole = io::Error::other("it was written as a whole");
                return Err(failed("written", &path)(whole));
            }
            let end = reader.skip(u64::MAX).map_err(failed("written", &path))?;
            let end = end.ok_or(VaultError::Corrupt { file })?;
            let file_handle =
                OpenOptions::new().write(true).open(&path).map_err(failed("written", &path))?;
            let mut chain = reader.chain;
            chain.skip_to(end.index, end.last);
            let appended = Appended { file: file_handle, chain, len: end.len, torn: true };
            self.appended.insert(file, appended);
        }
        let appended = self.appended.get_mut(&file).expect("it was inserted above");
        if appended.torn {
            appended.file.set_len(appended.len).map_err(failed("written", &path))?;
            appended.torn = false;
        }
        Ok(appended)
    }

    fn is_under_former_key(&self, file: RecordFile) -> Outcome<bool> {
        if self.appended.contains_key(&file) {
            return Ok(false);
        }
        let records = Records::open(&self.path(file), self.job, file, &self.keys, "read")?;
        Ok(records.header.key != self.keys.current().id())
    }

    /// Writes an appended file again, under the current key.
    fn rewrite(&mut self, file: RecordFile) -> Outcome<()> {
        let path = self.path(file);
        let mut reader = Records::open(&path, self.job, file, &self.keys, "read")?;
        let mut records = std::iter::from_fn(|| match reader.next() {
            Ok(Next::Record(record)) => Some(Ok(record)),
            Ok(Next::End) => None,
            Ok(Next::Corrupt) => Some(Err(VaultError::Corrupt { file })),
            Err(e) => Some(Err(failed("read", &path)(e))),
        });
        self.replace(file, true, &mut records)
    }
}

fn seal_error(error: SealError) -> io::Error {
    io::Error::other(match error {
        SealError::TooLarge => "a record is too large",
        SealError::Random => "no random numbers",
    })
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The end of the records of a file.
struct FileEnd {
    /// Records, the head included.
    index: u64,
    last: [u8; TAG_BYTES],
    len: u64,
}

/// Reads a file's records in order.
struct Records {
    input: BufReader<File>,
    header: Header,
    chain: Chain,
    /// Bytes of the file, and of what has been read.
    size: u64,
    at: u64,
    ended: bool,
}

impl Records {
    /// Reads the header and the head.
    fn open(
        path: &Path,
        job: JobId,
        file: RecordFile,
        keys: &Keys,
        action: &'static str,
    ) -> Outcome<Self> {
        let error = failed(action, path);
        let corrupt = || VaultError::Corrupt { file };
        let input = File::open(path).map_err(&error)?;
        let size = input.metadata().map_err(&error)?.len();
        let mut input = BufReader::new(input);
        let header = read_header(&mut input).map_err(&error)?.ok_or_else(corrupt)?;
        if header.job != job || header.file != file {
            return Err(corrupt());
        }
        let chain = Chain::of(keys, &header).ok_or_else(corrupt)?;
        let mut records =
            Self { input, header, chain, size, at: HEADER_BYTES as u64, ended: false };
        let Stored::Record(Kind::Head, head) = records.record().map_err(&error)? else {
            return Err(corrupt());
        };
        records.chain.open(Kind::Head, head).ok_or_else(corrupt)?;
        Ok(records)
    }

    /// The next record as it stands in the file.
    fn record(&mut self) -> io::Result<Stored> {
        let left = self.size - self.at;
        if left < FRAME_BYTES as u64 {
            return Ok(Stored::Torn);
        }
        let mut bytes = [0; FRAME_BYTES];
        self.input.read_exact(&mut bytes)?;
        let Some((kind, length)) = frame(bytes) else { return Ok(Stored::Malformed) };
        // Checked before anything is allocated.
        if left < (OVERHEAD + length) as u64 {
            return Ok(Stored::Torn);
        }
        let mut sealed = Zeroizing::new(vec![0; OVERHEAD - FRAME_BYTES + length]);
        self.input.read_exact(&mut sealed)?;
        self.at += (OVERHEAD + length) as u64;
        Ok(Stored::Record(kind, sealed))
    }

    fn next(&mut self) -> io::Result<Next> {
        if self.ended {
            return Ok(Next::End);
        }
        let (kind, sealed) = match self.record()? {
            Stored::Record(kind, sealed) => (kind, sealed),
            // An appended file may end in the middle of a record.
            Stored::Torn if self.header.appended => return Ok(Next::End),
            Stored::Torn | Stored::Malformed => return Ok(Next::Corrupt),
        };
        let Some(content) = self.chain.open(kind, sealed) else { return Ok(Next::Corrupt) };
        Ok(match (kind, self.header.appended) {
            (Kind::Data, _) => Next::Record(content),
            (Kind::End, false) if self.at == self.size => {
                self.ended = true;
                Next::End
            }
            _ => Next::Corrupt,
        })
    }

    /// Passes over at most `records` records without opening them. `None` if the file is corrupt.
    fn skip(&mut self, records: u64) -> io::Result<Option<FileEnd>> {
        let (index, last) = self.chain.position();
        let mut end = FileEnd { index, last, len: self.at };
        for _ in 0..records {
            let sealed = match self.record()? {
                Stored::Record(Kind::Data, sealed) => sealed,
                Stored::Torn => break,
                Stored::Record(..) | Stored::Malformed => return Ok(None),
            };
            end.index += 1;
            end.last.copy_from_slice(&sealed[sealed.len() - TAG_BYTES..]);
            end.len = self.at;
        }
        Ok(Some(end))
    }
}

impl Vault for FileVault {
    fn list(&mut self) -> Outcome<Vec<RecordFile>> {
        let error = failed("read", &self.folder);
        let entries = match fs::read_dir(&self.folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(&error)?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let name = entry.map_err(&error)?.file_name();
            files.extend(name.to_str().and_then(file_of_name));
        }
        files.sort_unstable();
        Ok(files)
    }

    fn write(
        &mut self,
        file: RecordFile,
        records: &mut dyn Iterator<Item = Zeroizing<Vec<u8>>>,
    ) -> Outcome<()> {
        self.replace(file, false, &mut records.map(Ok))
    }

    fn append(&mut self, file: RecordFile, record: &[u8]) -> Outcome<()> {
        let path = self.path(file);
        let error = failed("written", &path);
        if !self.appended.contains_key(&file) {
            if !path.try_exists().map_err(&error)? {
                // Complete or not there, so that no file has half a header.
                let first = Zeroizing::new(record.to_vec());
                return self.replace(file, true, &mut std::iter::once(Ok(first)));
            }
            if self.is_under_former_key(file)? {
                self.rewrite(file)?;
            }
        }
        let appended = self.open_appended(file)?;
        let sealed = appended.chain.seal(Kind::Data, record).map_err(|e| error(seal_error(e)))?;
        // The file is borrowed from the vault, which also does the writing.
        let mut out = appended.file.try_clone().map_err(&error)?;
        let start = SeekFrom::Start(appended.len);
        let written = out.seek(start).and_then(|_| self.put(&mut out, &sealed));
        let appended = self.appended.get_mut(&file).expect("it was opened above");
        match written {
            Ok(()) => {
                appended.chain.advance(&sealed);
                appended.len += sealed.len() as u64;
                Ok(())
            }
            Err(e) => {
                // If the disk does not even take this, the next use of the file tries again.
                appended.torn = appended.file.set_len(appended.len).is_err();
                Err(error(e))
            }
        }
    }

    fn sync(&mut self, file: RecordFile) -> Outcome<()> {
        let path = self.path(file);
        let synced = match self.appended.get(&file) {
            Some(appended) => appended.file.sync_all(),
            None => File::open(&path).and_then(|file| file.sync_all()),
        };
        synced.map_err(failed("written", &path))
    }

    fn read(
        &mut self,
        file: RecordFile,
        each: &mut dyn FnMut(Zeroizing<Vec<u8>>) -> bool,
    ) -> Outcome<()> {
        let path = self.path(file);
        if self.appended.contains_key(&file) {
            // Nothing of a record that was not written completely.
            self.open_appended(file)?;
        }
        let mut records = Records::open(&path, self.job, file, &self.keys, "read")?;
        loop {
            match records.next().map_err(failed("read", &path))? {
                Next::Record(record) => {
                    if !each(record) {
                        return Ok(());
                    }
                }
                Next::End => return Ok(()),
                Next::Corrupt => return Err(VaultError::Corrupt { file }),
            }
        }
    }

    fn truncate(&mut self, file: RecordFile, records: u64) -> Outcome<()> {
        let path = self.path(file);
        let error = failed("written", &path);
        self.appended.remove(&file);
        let mut reader = Records::open(&path, self.job, file, &self.keys, "written")?;
        if !reader.header.appended {
            return Err(error(io::Error::other("it was written as a whole")));
        }
        // The head is not one of the caller's.
        let end = reader.skip(records).map_err(&error)?.filter(|end| end.index > records);
        let end = end.ok_or(VaultError::Corrupt { file })?;
        let out = OpenOptions::new().write(true).open(&path).map_err(&error)?;
        out.set_len(end.len).and_then(|()| out.sync_all()).map_err(&error)
    }

    fn remove(&mut self, file: RecordFile) -> Outcome<()> {
        let path = self.path(file);
        self.appended.remove(&file);
        match fs::remove_file(&path) {
            Ok(()) => sync_folder(&self.folder).map_err(failed("removed", &path)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(failed("removed", &path)(e)),
        }
    }
}
