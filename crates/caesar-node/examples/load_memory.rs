//! Shows that files far larger than memory allows are loaded within the bound.
//!
//!     cargo run --locked --release -p caesar-node --example load_memory -- [MIB] [FOLDER]
//!
//! Writes a CSV of that many MiB (2048) with numbers, money, categories and gaps, and a Parquet file of the
//! same rows; loads each in a process of its own; compares the tables and the peaks of resident memory with
//! what the gauge counted and with the default bound. The files are removed afterwards.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::{
    env,
    error::Error,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use caesar_node::data::{Format, Gauge, Source, load_one};
use mpc_core::matrix::{Features, Table, Values};
use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type},
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Rows of a row group.
const GROUP: usize = 100_000;
/// Columns of each kind.
const COUNTS: usize = 12;
const MONEY: usize = 14;
const REALS: usize = 6;
const CATEGORIES: usize = 8;
/// What reading takes beside the tables, as docs/data.md says.
const BESIDE: u64 = 64 << 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some("load") => load(Path::new(&arguments[1])),
        size => {
            let mib = size.map_or(Ok(2048), str::parse);
            let folder = arguments.get(1).map_or_else(env::temp_dir, PathBuf::from);
            mib.map_err(Into::into).and_then(|mib| compare(mib, &folder))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// Some rows, column by column.
#[derive(Default)]
struct Group {
    ids: Vec<String>,
    counts: Vec<Vec<Option<i32>>>,
    /// Money, then reals.
    doubles: Vec<Vec<Option<f64>>>,
    categories: Vec<Vec<Option<String>>>,
}

impl Group {
    fn new(first: usize, rows: usize, numbers: &mut Numbers) -> Self {
        let mut column = |draw: &mut dyn FnMut(&mut Numbers) -> f64| -> Vec<Option<f64>> {
            (0..rows).map(|_| (numbers.below(10) > 0).then(|| draw(numbers))).collect()
        };
        let mut doubles: Vec<_> = (0..MONEY)
            .map(|_| column(&mut |n| n.below(100_000_000) as f64 / 100.0 - 250_000.0))
            .collect();
        doubles.extend((0..REALS).map(|_| column(&mut |n| n.below(1 << 53) as f64 / 9e15)));
        let counts = (0..COUNTS).map(|c| {
            let range = [3, 100, 30_000][c % 3];
            (0..rows)
                .map(|_| (numbers.below(10) > 0).then(|| numbers.below(range) as i32))
                .collect()
        });
        let counts = counts.collect();
        let categories = (0..CATEGORIES).map(|c| {
            let levels = [2, 20, 400, 3000][c % 4];
            let level = |n: &mut Numbers| format!("level-{}", n.below(levels));
            (0..rows).map(|_| (numbers.below(20) > 0).then(|| level(numbers))).collect()
        });
        let categories = categories.collect();
        let ids = (first..first + rows).map(|row| format!("customer-{row:09}")).collect();
        Self { ids, counts, doubles, categories }
    }

    fn write_csv(&self, out: &mut impl std::io::Write) -> std::io::Result<()> {
        fn cell<T: std::fmt::Display>(
            out: &mut impl std::io::Write,
            cell: Option<&T>,
        ) -> std::io::Result<()> {
            match cell {
                Some(value) => write!(out, ",{value}"),
                None => write!(out, ","),
            }
        }
        for (row, id) in self.ids.iter().enumerate() {
            write!(out, "{id}")?;
            for column in &self.counts {
                cell(out, column[row].as_ref())?;
            }
            for column in &self.doubles {
                cell(out, column[row].as_ref())?;
            }
            for column in &self.categories {
                cell(out, column[row].as_ref())?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    fn write_parquet(&self, mut out: SerializedRowGroupWriter<'_, File>) -> Outcome<()> {
        fn put<T: DataType>(
            out: &mut SerializedRowGroupWriter<'_, File>,
            cells: &[Option<T::T>],
        ) -> Outcome<()> {
            let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
            let values: Vec<T::T> = cells.iter().flatten().cloned().collect();
            let mut column = out.next_column()?.ok_or("the schema has fewer columns")?;
            column.typed::<T>().write_batch(&values, Some(&levels), None)?;
            column.close()?;
            Ok(())
        }
        let text = |cells: &[Option<String>]| -> Vec<Option<ByteArray>> {
            cells.iter().map(|cell| cell.as_deref().map(ByteArray::from)).collect()
        };
        let ids: Vec<Option<String>> = self.ids.iter().cloned().map(Some).collect();
        put::<ByteArrayType>(&mut out, &text(&ids))?;
        for column in &self.counts {
            put::<Int32Type>(&mut out, column)?;
        }
        for column in &self.doubles {
            put::<DoubleType>(&mut out, column)?;
        }
        for column in &self.categories {
            put::<ByteArrayType>(&mut out, &text(column))?;
        }
        out.close()?;
        Ok(())
    }
}

fn write_files(csv: &Path, parquet: &Path, bytes: u64) -> Outcome<usize> {
    let names =
        |prefix: &'static str, count: usize| (0..count).map(move |i| format!("{prefix}{i}"));
    let numbers = names("count", COUNTS).map(|name| ("int32", name, ""));
    let doubles = names("money", MONEY).chain(names("real", REALS));
    let doubles = doubles.map(|name| ("double", name, ""));
    let categories = names("category", CATEGORIES).map(|name| ("binary", name, " (utf8)"));
    let columns: Vec<_> = numbers.chain(doubles).chain(categories).collect();
    let fields: String = columns.iter().map(|(t, n, a)| format!("optional {t} {n}{a}; ")).collect();
    let schema = format!("message rows {{ optional binary id (utf8); {fields} }}");
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let schema = Arc::new(parse_message_type(&schema)?);
    let mut parquet =
        SerializedFileWriter::new(File::create(parquet)?, schema, Arc::new(properties))?;
    let mut text = BufWriter::new(File::create(csv)?);
    write!(text, "id")?;
    for (_, name, _) in &columns {
        write!(text, ",{name}")?;
    }
    writeln!(text)?;
    let (mut numbers, mut rows) = (Numbers(2026), 0);
    while csv.metadata()?.len() < bytes {
        let group = Group::new(rows, GROUP, &mut numbers);
        group.write_csv(&mut text)?;
        text.flush()?;
        group.write_parquet(parquet.next_row_group()?)?;
        rows += GROUP;
    }
    parquet.close()?;
    Ok(rows)
}

fn compare(mib: u64, folder: &Path) -> Outcome<()> {
    let files = ["csv", "parquet"].map(|kind| folder.join(format!("caesar-load-memory.{kind}")));
    let outcome = write_files(&files[0], &files[1], mib << 20).and_then(|rows| {
        println!("{rows} rows, {} columns", COUNTS + MONEY + REALS + CATEGORIES);
        let mut digests = Vec::new();
        for file in &files {
            let run = Command::new(env::current_exe()?).arg("load").arg(file).output()?;
            let said = String::from_utf8_lossy(&run.stdout).into_owned();
            print!("{said}");
            if !run.status.success() {
                return Err("a file was not loaded within its bound".into());
            }
            digests.push(said.lines().last().unwrap_or_default().to_owned());
        }
        match digests[0] == digests[1] {
            true => Ok(()),
            false => Err("the tables of the two files differ".into()),
        }
    });
    files.iter().for_each(|file| drop(fs::remove_file(file)));
    outcome
}

fn load(path: &Path) -> Outcome<()> {
    let format = Format::from_path(path).ok_or("neither .csv nor .parquet")?;
    let gauge = Arc::new(Gauge::new(Source::DEFAULT_MEMORY));
    let (done, watched) = (Arc::new(AtomicBool::new(false)), gauge.clone());
    let over = done.clone();
    // Progress, as a job shows it.
    let watch = thread::spawn(move || {
        let mut steps = Vec::new();
        while !over.load(Ordering::Relaxed) {
            steps.push(watched.progress().0);
            thread::sleep(Duration::from_millis(100));
        }
        steps
    });
    let start = Instant::now();
    let table = load_one(&Source::new(path, format), &gauge)?;
    let seconds = start.elapsed().as_secs_f64();
    let peak = peak_bytes()?;
    done.store(true, Ordering::Relaxed);
    let steps = watch.join().map_err(|_| "the watch panicked")?;
    let counted = gauge.used() as u64;
    let mib = |bytes: u64| bytes >> 20;
    println!(
        "{}: file {} MiB, {seconds:.1} s, counted {} MiB, peak {} MiB, bound {} MiB, progress seen {} times",
        path.display(),
        mib(path.metadata()?.len()),
        mib(counted),
        mib(peak),
        mib(gauge.limit() as u64),
        steps.windows(2).filter(|pair| pair[0] < pair[1]).count(),
    );
    println!("{}", digest(&table));
    if peak > counted + BESIDE {
        return Err("the peak is above what was counted and 64 MiB".into());
    }
    Ok(())
}

/// The most that this process has had in memory.
fn peak_bytes() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no VmHWM")?;
    Ok(kib.trim().parse::<u64>()? << 10)
}

fn digest(table: &Table) -> String {
    let mut hash = blake3::Hasher::new();
    table.ids.iter().for_each(|id| {
        hash.update(id.as_bytes()).update(&[0]);
    });
    let Features::Typed(columns) = &table.features else { return String::new() };
    for column in columns {
        hash.update(column.name.as_bytes());
        match &column.values {
            Values::Numeric(numbers) => numbers.iter().for_each(|number| {
                hash.update(&number.unwrap_or(f64::NAN).to_bits().to_le_bytes());
            }),
            Values::Categorical(codes) => (0..codes.len()).for_each(|row| {
                hash.update(codes.get(row).unwrap_or("-").as_bytes()).update(&[0]);
            }),
        }
    }
    format!("table {}", hash.finalize().to_hex())
}
