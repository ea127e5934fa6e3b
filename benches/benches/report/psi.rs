//! The private set intersection of two large sets, between two real nodes on loopback: how long it takes
//! and how much memory a node needs.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufWriter, Write as _},
    path::Path,
};

use caesar_client::{DataSets, JobSpec, JobState, ModulusBits, Report, Training};
use caesar_e2e::{
    Dataset, Format, Limits, Pair, PairPlan, Party, Profile, build_node, resources::Resources,
    synthetic::Numbers,
};
use serde::{Deserialize, Serialize};

/// Ids of each party's training set.
const IDS: [usize; 2] = [100_000, 1_000_000];
/// Common ids of the training sets: few, so that the training that follows is short.
const COMMON: usize = 2_000;
/// Rows of the test sets, all of them common; their intersection takes no time worth naming.
const TEST_ROWS: usize = 100;

/// One figure of the report; the names are read by other programs and stay.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Psi {
    /// Ids on each side.
    ids: u64,
    /// From the first message to the last, the test set's intersection included.
    seconds: f64,
    /// Most memory the larger of the two nodes has had resident, data sets included.
    peak_mib: f64,
}

type AnyError = Box<dyn std::error::Error>;

/// Both sizes, each between two fresh nodes that compute on one thread.
pub(crate) fn measure(seed: u64) -> Result<Vec<Psi>, AnyError> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let binary = build_node(Profile::Release)?;
    IDS.into_iter()
        .map(|ids| {
            let folder = tempfile::tempdir()?;
            let [train_a, train_b] = write(folder.path(), "train", ids, COMMON, seed)?;
            let [test_a, test_b] = write(folder.path(), "test", TEST_ROWS, TEST_ROWS, seed + 1)?;
            let plan = PairPlan::new(binary.clone(), vec![train_a, test_a], vec![train_b, test_b]);
            let pair =
                Pair::start(&PairPlan { limits: Limits { threads: 1, ..plan.limits }, ..plan })?;
            let report = runtime.block_on(job(&pair))?;
            let peak = |party| Resources::of(pair.node(party).pid()).map(|r| r.peak_resident_kib);
            let peak_kib = peak(Party::A)?.max(peak(Party::B)?);
            pair.stop()?;
            let figure = Psi {
                ids: ids as u64,
                seconds: report.seconds_psi,
                peak_mib: peak_kib as f64 / 1024.0,
            };
            eprintln!("{figure:?}");
            Ok(figure)
        })
        .collect()
}

/// The report's section.
pub(crate) fn markdown(figures: &[Psi]) -> String {
    let mut out = String::from(
        "Two nodes on loopback, each computing on one thread, with the \
         same number of ids each. Memory is the most that the larger node had resident in the whole job, \
         its data set (two columns) included.\n\n\
         | ids a side | seconds | ids a second | peak MiB |\n|---|---|---|---|\n",
    );
    for Psi { ids, seconds, peak_mib } in figures {
        let rate = *ids as f64 / seconds;
        writeln!(out, "| {ids} | {seconds:.1} | {rate:.0} | {peak_mib:.0} |")
            .expect("writing to a string cannot fail");
    }
    out
}

async fn job(pair: &Pair) -> Result<Report, AnyError> {
    let bank = pair.client(Party::B).await?;
    let data = DataSets::alike("train", "test");
    let training = Training { epochs: Some(1), ..Training::default() };
    let bits = Some(ModulusBits::Bits2048);
    let id = bank.submit(&JobSpec { modulus_bits: bits, training, ..JobSpec::new(data) }).await?.id;
    let job = bank.wait(&id).await?;
    if job.state != JobState::Succeeded {
        return Err(format!("a job is {}: {:?}", job.state, job.failure).into());
    }
    Ok(bank.result(&id).await?)
}

/// Writes `rows` rows of two columns for each party. `common` ids are in both files, spread evenly; all
/// others are in one.
fn write(
    folder: &Path,
    name: &str,
    rows: usize,
    common: usize,
    seed: u64,
) -> io::Result<[Dataset; 2]> {
    let mut numbers = Numbers::new(seed);
    let paths = [Party::A, Party::B].map(|p| folder.join(format!("{name}_{}.csv", p.name())));
    let mut a = BufWriter::new(File::create(&paths[0])?);
    let mut b = BufWriter::new(File::create(&paths[1])?);
    writeln!(a, "id,x0,x1")?;
    writeln!(b, "id,y,x0,x1")?;
    for row in 0..rows {
        let own = [numbers.bits(), numbers.bits()];
        let ids = if row % (rows / common) == 0 { [own[0]; 2] } else { own };
        let x: [f64; 4] = std::array::from_fn(|_| numbers.normal());
        let label = u8::from(numbers.unit() < 1.0 / (1.0 + (-x.iter().sum::<f64>()).exp()));
        writeln!(a, "{:016x},{:.4},{:.4}", ids[0], x[0], x[1])?;
        writeln!(b, "{:016x},{label},{:.4},{:.4}", ids[1], x[2], x[3])?;
    }
    a.flush()?;
    b.flush()?;
    let dataset = |party: Party, path: &Path| {
        let label_column = (party == Party::B).then(|| "y".to_owned());
        Dataset::new(party, name, path, Format::Csv { id_column: "id".to_owned(), label_column })
    };
    Ok([dataset(Party::A, &paths[0]), dataset(Party::B, &paths[1])])
}
