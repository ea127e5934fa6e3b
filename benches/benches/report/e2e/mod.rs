//! Whole jobs between two real nodes: rows a second of the training part, and the time to a model as
//! good as the reference.

pub(crate) mod cases;
mod data;
pub(crate) mod nodes;

use std::fmt::Write as _;

use caesar_client::{ModulusBits, Training};
use serde::{Deserialize, Serialize};

use crate::link::{FAR, LOOPBACK, Link, NARROW};
use cases::Case;
use nodes::{Nodes, Session};

/// Rows a mini-batch.
pub(crate) const BATCH: u32 = 1024;
/// How far from the reference KS a model may be that counts as equally good.
const KS_MARGIN: f64 = 0.005;
/// Passes over the data after which it is given up.
const MOST_EPOCHS: u32 = 64;

pub(crate) type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// One case on one link. The first names are read by other programs and stay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct E2e {
    pub(crate) case: String,
    pub(crate) bits: u32,
    pub(crate) rows: u64,
    pub(crate) columns: u64,
    pub(crate) nnz_per_row: u64,
    /// Rows a mini-batch.
    #[serde(default = "usual_batch")]
    pub(crate) batch: u32,
    pub(crate) link: String,
    pub(crate) rows_per_second: f64,
    /// Payload of both nodes in training.
    pub(crate) bytes_per_row: f64,
    /// Share of the line used while it was in use, 0 to about 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) link_used: Option<f64>,
}

fn usual_batch() -> u32 {
    BATCH
}

/// How long it takes to train a model as good as scikit-learn's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TimeToKs {
    pub(crate) case: String,
    pub(crate) bits: u32,
    pub(crate) link: String,
    pub(crate) reference_ks: f64,
    pub(crate) ks: f64,
    pub(crate) epochs: u32,
    /// Absent if no number of epochs was enough.
    pub(crate) seconds_train: Option<f64>,
}

/// What was measured, and what was left out.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) figures: Vec<E2e>,
    pub(crate) time_to_ks: Vec<TimeToKs>,
    pub(crate) notes: Vec<String>,
}

/// All cases whose name has `wanted` in it, on the links whose name has `links` in it; `rows` of the
/// paper-scale case.
pub(crate) fn measure(
    seed: u64,
    wanted: &str,
    links: &str,
    rows: Option<usize>,
) -> Result<Measured, AnyError> {
    let nodes = Nodes::new(seed)?;
    let (cases, notes) = cases::all(wanted, rows)?;
    let mut out = Measured { notes, ..Measured::default() };
    for case in &cases {
        if LOOPBACK.name.contains(links) {
            let direct = nodes.start(case, &LOOPBACK)?;
            let bits = [ModulusBits::Bits2048, ModulusBits::Bits3072];
            out.measure_case(case, &direct, &[LOOPBACK], &bits)?;
            if let Some(reference_ks) = case.reference_ks {
                let figure = time_to_ks(case, &direct, reference_ks)?;
                eprintln!("{figure:?}");
                out.time_to_ks.push(figure);
            }
            direct.stop()?;
        }
        let shaped: Vec<Link> =
            [NARROW, FAR].into_iter().filter(|link| link.name.contains(links)).collect();
        if let Some(first) = shaped.first() {
            let session = nodes.start(case, first)?;
            // Longer keys need the line less, not more.
            out.measure_case(case, &session, &shaped, &[ModulusBits::Bits2048])?;
            session.stop()?;
        }
    }
    Ok(out)
}

impl Measured {
    fn measure_case(
        &mut self,
        case: &Case,
        session: &Session<'_>,
        links: &[Link],
        bits: &[ModulusBits],
    ) -> Result<(), AnyError> {
        for &bits in bits {
            for link in links {
                session.set_link(link);
                let figure = rate(case, session, bits, link)?;
                eprintln!("{figure:?}");
                self.figures.push(figure);
            }
        }
        Ok(())
    }
}

/// One epoch, the median of three jobs.
pub(crate) fn rate(
    case: &Case,
    session: &Session<'_>,
    bits: ModulusBits,
    link: &Link,
) -> Result<E2e, AnyError> {
    let training =
        Training { epochs: Some(1), batch_size: Some(case.batch), ..Training::default() };
    let run = session.median(bits, &training, link)?;
    Ok(E2e {
        case: case.name.clone(),
        bits: run.report.modulus_bits,
        rows: run.rows(),
        columns: case.columns,
        nnz_per_row: case.nnz_per_row.round() as u64,
        batch: case.batch,
        link: link.name.to_owned(),
        rows_per_second: run.rows_per_second(),
        bytes_per_row: run.payload as f64 / run.rows() as f64,
        link_used: run.link_used,
    })
}

/// Twice as many epochs until the model is good enough, everything else by default.
fn time_to_ks(case: &Case, session: &Session<'_>, reference_ks: f64) -> Result<TimeToKs, AnyError> {
    let mut epochs = 1;
    loop {
        let training = Training { epochs: Some(epochs), ..Training::default() };
        let report = session.run(ModulusBits::Bits2048, &training, &LOOPBACK)?.report;
        let good = report.ks_joint >= reference_ks - KS_MARGIN;
        if good || epochs == MOST_EPOCHS {
            return Ok(TimeToKs {
                case: case.name.clone(),
                bits: report.modulus_bits,
                link: LOOPBACK.name.to_owned(),
                reference_ks,
                ks: report.ks_joint,
                epochs,
                seconds_train: good.then_some(report.seconds_train),
            });
        }
        epochs *= 2;
    }
}

/// The part of the report for readers.
pub(crate) fn markdown(figures: &[E2e], time_to_ks: &[TimeToKs], notes: &[String]) -> String {
    let mut out = String::from(
        "Two nodes as processes, one thread each; one epoch, rows over the seconds of the \
         training part, the median of three jobs. Loopback has nothing between the \
         nodes, the other links are a proxy. Bytes are the nodes' payload in training, both ways \
         together; the floor is two ciphertexts a row. \"Line used\" is the share of the line's rate \
         while it was in use, of the busier direction.\n\n\
         | case | rows | columns | non-zeros a row | mini-batch | bits | link | rows a second | bytes a row | floor | \
         line used |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for f in figures {
        let used = f.link_used.map_or("-".to_owned(), |used| format!("{:.0} %", 100.0 * used));
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {:.0} | {:.0} | {} | {used} |",
            f.case,
            f.rows,
            f.columns,
            f.nnz_per_row,
            f.batch,
            f.bits,
            f.link,
            f.rows_per_second,
            f.bytes_per_row,
            // Two ciphertexts of twice the modulus.
            2 * 2 * f.bits / 8,
        );
    }
    out += "\nPaper scale is a slice of made-up data like the CAESAR paper's, 1.2 million rows of 30,100 \
            and 70,100 columns with 2 % positives; `--rows N` sets its rows.\n";
    for note in notes {
        let _ = writeln!(out, "\n{note}");
    }
    out += "\nTime to a KS of at least the reference's (scikit-learn's) less 0.005, all settings but the \
            epochs by default, one job for each of 1, 2, 4, ... epochs until it is enough:\n\n\
            | case | bits | link | reference KS | KS | epochs | seconds of training |\n\
            |---|---|---|---|---|---|---|\n";
    for f in time_to_ks {
        let seconds = f.seconds_train.map_or("not reached".to_owned(), |s| format!("{s:.1}"));
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:.4} | {:.4} | {} | {seconds} |",
            f.case, f.bits, f.link, f.reference_ks, f.ks, f.epochs
        );
    }
    out
}
