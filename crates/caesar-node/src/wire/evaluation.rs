//! An evaluation as clients see it. Everything in it may leave: `mpc_core::metrics::evaluation` sees to
//! that.

use caesar_proto::v1 as proto;
use mpc_core::metrics::{
    Evaluation, ModelEvaluation,
    bins::{MIN_BIN_CLASS, MIN_BIN_ROWS},
    bootstrap::CONFIDENCE,
    evaluation::{Decile, Figure, OperatingPoint, ReleasedBin},
    stability::{Stability, StabilityBin},
};

/// The whole of it.
pub fn evaluation(of: &Evaluation) -> proto::Evaluation {
    proto::Evaluation {
        rows: of.rows as u64,
        positives: of.positives.map(|rows| rows as u64),
        joint: Some(model(&of.joint)),
        bank_only: Some(model(&of.bank_only)),
        ks_gain: Some(estimate(&of.ks_gain)),
        auc_gain: Some(estimate(&of.auc_gain)),
        stability: of.stability.as_ref().map(stability),
        resamples: of.resamples as u32,
        confidence: CONFIDENCE,
        min_bin_rows: MIN_BIN_ROWS as u32,
        min_bin_class_rows: MIN_BIN_CLASS as u32,
    }
}

/// Tenths of the rows by falling score, merged where they are too small.
pub fn deciles(of: &ModelEvaluation) -> Vec<proto::DecileRow> {
    let row = |d: Decile| proto::DecileRow {
        decile: d.decile.into(),
        rows: d.rows as u64,
        positives: d.positives as u64,
        lift: d.lift,
        ks: d.cumulative_ks,
    };
    of.deciles().into_iter().map(row).collect()
}

fn model(of: &ModelEvaluation) -> proto::ModelEvaluation {
    proto::ModelEvaluation {
        ks: Some(estimate(&of.ks)),
        auc: Some(estimate(&of.auc)),
        average_precision: of.average_precision,
        f1: of.f1,
        brier: of.brier,
        log_loss: of.log_loss,
        calibration_error: of.calibration_error,
        at_ks: of.at_ks.as_ref().map(operating_point),
        at_best_f1: of.at_best_f1.as_ref().map(operating_point),
        recall_at_precision: of.recall_at_precision.iter().map(operating_point).collect(),
        precision_at_recall: of.precision_at_recall.iter().map(operating_point).collect(),
        bins: of.bins.iter().map(bin).collect(),
    }
}

fn estimate(of: &Figure) -> proto::Estimate {
    proto::Estimate { value: of.value, low: of.interval.low, high: of.interval.high }
}

fn operating_point(of: &OperatingPoint) -> proto::OperatingPoint {
    let OperatingPoint { target, threshold, precision, recall, share } = *of;
    proto::OperatingPoint { target, threshold, precision, recall, share }
}

fn bin(of: &ReleasedBin) -> proto::ScoreBin {
    proto::ScoreBin {
        decile: of.decile.into(),
        rows: of.rows as u64,
        positives: of.positives as u64,
        low: of.low,
        mean_score: of.mean_score,
        mean_probability: of.mean_probability,
    }
}

fn stability(of: &Stability) -> proto::Stability {
    let bin = |bin: &StabilityBin| proto::StabilityBin {
        low: bin.low,
        train_rows: bin.expected as u64,
        test_rows: bin.actual as u64,
    };
    proto::Stability { psi: of.psi, bins: of.bins.iter().map(bin).collect() }
}
