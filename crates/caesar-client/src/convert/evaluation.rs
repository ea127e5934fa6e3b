//! An evaluation from the wire. Its numbers are drawn and divided by, so they are checked.

use caesar_proto::v1;

use super::Checked;
use crate::{
    Estimate, Evaluation, ModelEvaluation, OperatingPoint, ScoreBin, Stability, StabilityBin,
};

/// Most bins of a model or of its stability, with room for later nodes.
const MAX_BINS: usize = 1000;

pub(super) fn evaluation_from_wire(from: v1::Evaluation) -> Checked<Evaluation> {
    const INCOMPLETE: &str = "an evaluation without a model or a figure";
    if from.rows == 0 || from.positives.is_some_and(|p| p == 0 || p >= from.rows) {
        return Err("an evaluation without rows of both classes");
    }
    let model = |model: Option<v1::ModelEvaluation>| {
        model_from_wire(model.ok_or(INCOMPLETE)?, from.rows, from.positives)
    };
    Ok(Evaluation {
        rows: from.rows,
        positives: from.positives,
        joint: model(from.joint)?,
        bank_only: model(from.bank_only)?,
        ks_gain: estimate(from.ks_gain.ok_or(INCOMPLETE)?)?,
        auc_gain: estimate(from.auc_gain.ok_or(INCOMPLETE)?)?,
        stability: from.stability.map(stability).transpose()?,
        resamples: from.resamples,
        confidence: finite(from.confidence)?,
        min_bin_rows: from.min_bin_rows,
        min_bin_class_rows: from.min_bin_class_rows,
    })
}

fn model_from_wire(
    from: v1::ModelEvaluation,
    rows: u64,
    positives: Option<u64>,
) -> Checked<ModelEvaluation> {
    const INCOMPLETE: &str = "a model without KS or AUC";
    if from.bins.len() > MAX_BINS {
        return Err("a model with too many bins");
    }
    let bins: Vec<ScoreBin> = from.bins.into_iter().map(score_bin).collect::<Checked<_>>()?;
    let sum =
        |of: fn(&ScoreBin) -> u64| bins.iter().try_fold(0u64, |sum, bin| sum.checked_add(of(bin)));
    let counted = (sum(|bin| bin.rows), sum(|bin| bin.positives));
    if !bins.is_empty() && counted != (Some(rows), positives) {
        return Err("bins that are not all test rows");
    }
    let all = |points: Vec<v1::OperatingPoint>| -> Checked<Vec<OperatingPoint>> {
        points.into_iter().map(operating_point).collect()
    };
    Ok(ModelEvaluation {
        ks: estimate(from.ks.ok_or(INCOMPLETE)?)?,
        auc: estimate(from.auc.ok_or(INCOMPLETE)?)?,
        average_precision: finite(from.average_precision)?,
        f1: finite(from.f1)?,
        brier: finite(from.brier)?,
        log_loss: finite(from.log_loss)?,
        calibration_error: from.calibration_error.map(finite).transpose()?,
        at_ks: from.at_ks.map(operating_point).transpose()?,
        at_best_f1: from.at_best_f1.map(operating_point).transpose()?,
        recall_at_precision: all(from.recall_at_precision)?,
        precision_at_recall: all(from.precision_at_recall)?,
        bins,
    })
}

fn score_bin(from: v1::ScoreBin) -> Checked<ScoreBin> {
    let v1::ScoreBin { decile, rows, positives, low, mean_score, mean_probability } = from;
    if rows == 0 || positives > rows {
        return Err("a bin with more positives than rows");
    }
    let low = low.map(finite).transpose()?;
    let (mean_score, mean_probability) = (finite(mean_score)?, finite(mean_probability)?);
    Ok(ScoreBin { decile, rows, positives, low, mean_score, mean_probability })
}

fn operating_point(from: v1::OperatingPoint) -> Checked<OperatingPoint> {
    let v1::OperatingPoint { target, threshold, precision, recall, share } = from;
    Ok(OperatingPoint {
        target: finite(target)?,
        threshold: threshold.map(finite).transpose()?,
        precision: finite(precision)?,
        recall: finite(recall)?,
        share: finite(share)?,
    })
}

fn stability(from: v1::Stability) -> Checked<Stability> {
    if from.bins.len() > MAX_BINS {
        return Err("a stability index of too many bins");
    }
    let bin = |bin: v1::StabilityBin| -> Checked<StabilityBin> {
        let v1::StabilityBin { low, train_rows, test_rows } = bin;
        Ok(StabilityBin { low: low.map(finite).transpose()?, train_rows, test_rows })
    };
    let bins = from.bins.into_iter().map(bin).collect::<Checked<_>>()?;
    Ok(Stability { psi: finite(from.psi)?, bins })
}

fn estimate(from: v1::Estimate) -> Checked<Estimate> {
    let v1::Estimate { value, low, high } = from;
    Ok(Estimate { value: finite(value)?, low: finite(low)?, high: finite(high)? })
}

fn finite(value: f64) -> Checked<f64> {
    if value.is_finite() { Ok(value) } else { Err("a figure that is not a number") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(value: f64) -> Option<v1::Estimate> {
        Some(v1::Estimate { value, low: value - 0.1, high: value + 0.1 })
    }

    fn point(target: f64) -> v1::OperatingPoint {
        let (precision, recall, share) = (target + 0.01, target + 0.02, target + 0.03);
        v1::OperatingPoint { target, threshold: Some(-target), precision, recall, share }
    }

    fn model(from: f64) -> v1::ModelEvaluation {
        let bin = |decile, rows, low| v1::ScoreBin {
            decile,
            rows,
            positives: 5,
            low,
            mean_score: from + 1.0,
            mean_probability: from / 2.0,
        };
        v1::ModelEvaluation {
            ks: estimate(from),
            auc: estimate(from + 0.1),
            average_precision: from + 0.2,
            f1: from + 0.3,
            brier: from + 0.4,
            log_loss: from + 0.5,
            calibration_error: Some(from + 0.6),
            at_ks: Some(point(from)),
            at_best_f1: Some(point(from + 0.1)),
            recall_at_precision: vec![point(0.1), point(0.2)],
            precision_at_recall: vec![point(0.3)],
            bins: vec![bin(1, 20, Some(from)), bin(5, 30, None)],
        }
    }

    fn evaluation() -> v1::Evaluation {
        let bin = |low, train_rows, test_rows| v1::StabilityBin { low, train_rows, test_rows };
        v1::Evaluation {
            rows: 50,
            positives: Some(10),
            joint: Some(model(0.4)),
            bank_only: Some(model(0.2)),
            ks_gain: estimate(0.2),
            auc_gain: estimate(0.3),
            stability: Some(v1::Stability {
                psi: 0.05,
                bins: vec![bin(Some(0.5), 70, 20), bin(None, 80, 30)],
            }),
            resamples: 1000,
            confidence: 0.95,
            min_bin_rows: 10,
            min_bin_class_rows: 5,
        }
    }

    #[test]
    fn every_field_arrives_in_its_place() {
        let got = evaluation_from_wire(evaluation()).unwrap();
        assert_eq!((got.rows, got.positives, got.base_rate()), (50, Some(10), Some(0.2)));
        assert_eq!((got.ks_gain.value, got.auc_gain.value), (0.2, 0.3));
        assert_eq!((got.resamples, got.confidence), (1000, 0.95));
        assert_eq!((got.min_bin_rows, got.min_bin_class_rows), (10, 5));
        for (model, from) in [(&got.joint, 0.4), (&got.bank_only, 0.2)] {
            assert_eq!(
                (model.ks.value, model.ks.low, model.ks.high),
                (from, from - 0.1, from + 0.1)
            );
            assert_eq!((model.auc.value, model.average_precision), (from + 0.1, from + 0.2));
            assert_eq!((model.f1, model.brier), (from + 0.3, from + 0.4));
            assert_eq!((model.log_loss, model.calibration_error), (from + 0.5, Some(from + 0.6)));
            assert_eq!(model.at_ks.unwrap().threshold, Some(-from));
            assert_eq!(model.at_best_f1.unwrap().target, from + 0.1);
            let targets = |p: &[OperatingPoint]| p.iter().map(|p| p.target).collect::<Vec<_>>();
            assert_eq!(targets(&model.recall_at_precision), [0.1, 0.2]);
            assert_eq!(targets(&model.precision_at_recall), [0.3]);
            let first = model.bins[0];
            assert_eq!((first.decile, first.rows, first.positives), (1, 20, 5));
            assert_eq!((first.low, first.mean_score), (Some(from), from + 1.0));
            assert_eq!(first.mean_probability, from / 2.0);
        }
        let point = got.joint.precision_at_recall[0];
        let want = (0.3 + 0.01, 0.3 + 0.02, 0.3 + 0.03);
        assert_eq!((point.precision, point.recall, point.share), want);
        let stability = got.stability.unwrap();
        assert_eq!(stability.psi, 0.05);
        let last = stability.bins[1];
        assert_eq!((last.low, last.train_rows, last.test_rows), (None, 80, 30));
    }

    #[test]
    fn numbers_that_cannot_be_drawn_are_refused() {
        type Change = fn(&mut v1::Evaluation);
        let changes: [Change; 11] = [
            |e| e.rows = 0,
            |e| e.positives = Some(50),
            |e| e.positives = None,
            |e| e.joint = None,
            |e| e.ks_gain = None,
            |e| e.bank_only.as_mut().unwrap().auc = None,
            |e| e.joint.as_mut().unwrap().log_loss = f64::INFINITY,
            |e| e.joint.as_mut().unwrap().bins[0].positives = 21,
            |e| e.joint.as_mut().unwrap().bins[0].rows = u64::MAX,
            |e| e.joint.as_mut().unwrap().bins[1].low = Some(f64::NAN),
            |e| e.joint.as_mut().unwrap().bins = vec![v1::ScoreBin::default(); 1001],
        ];
        for (i, change) in changes.into_iter().enumerate() {
            let mut wrong = evaluation();
            change(&mut wrong);
            assert!(evaluation_from_wire(wrong).is_err(), "change {i} was accepted");
        }
    }
}
