//! Beside the baseline that the CAESAR paper compares itself with: dense secret sharing, on the same
//! primitives, over the same lines, in the same run.

mod protocol;
mod timing;

use std::fmt::Write as _;

use caesar_client::ModulusBits;
use serde::{Deserialize, Serialize};

use crate::{
    e2e::{self, BATCH, cases::Case, nodes::Nodes},
    link::{LOOPBACK, Link, NARROW},
};
use protocol::AnyError;
use timing::{Batches, Method};

/// Columns a field, of 20 fields: 100, 1,000 and 10,000 columns.
const VALUES: [u32; 3] = [5, 50, 500];
/// Entries of the mini-batches by which the way of the offline part is chosen: about as many seconds of
/// traffic of the one and of computing of the other.
const PROBE_ENTRIES: [(Method, usize); 2] = [(Method::Ot, 160_000), (Method::He, 1_280_000)];
/// A method this much slower than the other on the probe is not measured in full.
const CLEARLY_SLOWER: f64 = 1.5;
/// Rows of the offline part at least: small mini-batches come several at a time.
const ROWS: usize = 4 * BATCH as usize;
/// Entries that are enough for a figure, offline and online.
const ENOUGH_ENTRIES: usize = 400_000;
/// Where the growth of the ratio is extrapolated to.
const FAR_COLUMNS: f64 = 100_000.0;

/// One number of columns on one link; the names are read by other programs and stay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SecureMl {
    pub(crate) columns: u64,
    pub(crate) link: String,
    /// Of the baseline, offline part included.
    pub(crate) rows_per_second: f64,
    /// Rows a second of ours over those of the baseline.
    pub(crate) ratio: f64,
    /// The method of the offline part, the faster one.
    pub(crate) offline: String,
    pub(crate) offline_rows_per_second: f64,
    pub(crate) online_rows_per_second: f64,
    /// With an offline part that costs nothing.
    pub(crate) ratio_online: f64,
    /// Ours at 20 non-zeros a row.
    pub(crate) ours_rows_per_second: f64,
    /// Both methods on smaller mini-batches.
    pub(crate) probe_ot_rows_per_second: f64,
    pub(crate) probe_he_rows_per_second: f64,
}

/// The data that ours trains on, by name.
pub(crate) fn cases(wanted: &str) -> Vec<Case> {
    let cases = VALUES.map(|values| Case::one_hot(&format!("one-hot {}", 20 * values), values));
    cases.into_iter().filter(|case| case.name.contains(wanted)).collect()
}

/// These sizes, on both links as far as their names have `links` in them.
pub(crate) fn measure(seed: u64, cases: &[Case], links: &str) -> Result<Vec<SecureMl>, AnyError> {
    let nodes = Nodes::new(seed)?;
    let mut figures = Vec::new();
    for case in cases {
        for link in [LOOPBACK, NARROW].into_iter().filter(|link| link.name.contains(links)) {
            let session = nodes.start(case, &link)?;
            let ours = e2e::rate(case, &session, ModulusBits::Bits2048, &link)?;
            session.stop()?;
            let figure = beside(&link, case.columns, ours.rows_per_second, seed)?;
            eprintln!("{figure:?}");
            figures.push(figure);
        }
    }
    Ok(figures)
}

/// The baseline at its best beside a speed of ours.
fn beside(link: &Link, columns: u64, ours: f64, seed: u64) -> Result<SecureMl, AnyError> {
    let width = usize::try_from(columns)?;
    let [ot, he] = PROBE_ENTRIES.map(|(method, entries)| {
        let rows = (entries / width).min(BATCH as usize);
        timing::offline(link, method, Batches { count: 1, rows, columns: width }, seed)
    });
    let (ot, he) = (ot?, he?);
    eprintln!("{columns} columns over {}: tried ot {ot:.2}/s, he {he:.2}/s", link.name);
    let rows = BATCH as usize;
    let count = (ROWS / rows).min(ENOUGH_ENTRIES.div_ceil(rows * width));
    let whole = Batches { count, rows, columns: width };
    let mut best = None;
    for (method, probe, other) in [(Method::Ot, ot, he), (Method::He, he, ot)] {
        if probe * CLEARLY_SLOWER > other {
            let speed = timing::offline(link, method, whole, seed)?;
            if best.is_none_or(|(_, most)| speed > most) {
                best = Some((method, speed));
            }
        }
    }
    let (method, offline) = best.ok_or("neither way of the offline part is faster")?;
    let online = timing::online(link, whole, seed)?;
    let both = 1.0 / (1.0 / offline + 1.0 / online);
    Ok(SecureMl {
        columns,
        link: link.name.to_owned(),
        rows_per_second: both,
        ratio: ours / both,
        offline: method.name().to_owned(),
        offline_rows_per_second: offline,
        online_rows_per_second: online,
        ratio_online: ours / online,
        ours_rows_per_second: ours,
        probe_ot_rows_per_second: ot,
        probe_he_rows_per_second: he,
    })
}

/// Exponent and factor of the power of the columns that the ratios follow, by least squares on
/// logarithms.
fn growth(points: &[(f64, f64)]) -> (f64, f64) {
    let n = points.len() as f64;
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let covariance: f64 = logs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let variance: f64 = logs.iter().map(|p| (p.0 - x).powi(2)).sum();
    let exponent = covariance / variance;
    (exponent, (y - exponent * x).exp())
}

/// The part of the report for readers.
pub(crate) fn markdown(figures: &[SecureMl]) -> String {
    let mut out = String::from(
        "Dense logistic regression after SecureML (Mohassel and Zhang, S&P 2017) on the same primitives, \
         one thread a party, over the same lines, beside whole jobs of this system at the same number \
         of columns, 20 non-zeros a row and 2048 bits, all measured in this run. Mini-batches have \
         1,024 rows. Data, labels and weights are shared modulo 2^64. The offline part makes matrix \
         triples by the faster of two ways: correlated transfers with whole columns as messages (ot), or \
         packed Paillier at 2048 bits (he); each is tried on a smaller mini-batch, and measured on whole \
         ones unless it was clearly slower there. No figure is scaled up. The piecewise-linear \
         sigmoid, which takes two comparisons a row, is left out and costs the baseline nothing: the \
         ratios are lower bounds, most of all where there are few columns.\n\n\
         | columns | link | ours, rows a second | SecureML | ratio | offline | offline alone | \
         online alone | ratio to online alone | ot, tried | he, tried |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for f in figures {
        let _ = writeln!(
            out,
            "| {} | {} | {:.0} | {:.2} | {:.1} | {} | {:.2} | {:.1} | {:.1} | {:.2} | {:.2} |",
            f.columns,
            f.link,
            f.ours_rows_per_second,
            f.rows_per_second,
            f.ratio,
            f.offline,
            f.offline_rows_per_second,
            f.online_rows_per_second,
            f.ratio_online,
            f.probe_ot_rows_per_second,
            f.probe_he_rows_per_second,
        );
    }
    for link in [NARROW, LOOPBACK] {
        let points: Vec<(f64, f64)> = figures
            .iter()
            .filter(|f| f.link == link.name)
            .map(|f| (f.columns as f64, f.ratio))
            .collect();
        if points.len() == VALUES.len() {
            let (exponent, factor) = growth(&points);
            let far = factor * FAR_COLUMNS.powf(exponent);
            let _ = writeln!(
                out,
                "\n{}: the ratio grows as columns^{exponent:.2} (least squares on logarithms). \
                 **Extrapolated**, not measured: {far:.0} at 100,000 columns.",
                link.name
            );
        }
    }
    out
}
