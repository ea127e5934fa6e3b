//! The tables of an evaluation.

use super::tables::{count, figure, table};
use crate::{Estimate, Evaluation, ModelEvaluation, OperatingPoint, Report, ScoreBin};

/// KS, AUC and what A adds to them, with their intervals.
pub(super) fn headline(evaluation: &Evaluation) -> String {
    let Evaluation { joint, bank_only, ks_gain, auc_gain, .. } = evaluation;
    let interval = format!("{:.0} % interval", 100.0 * evaluation.confidence);
    let mut quality = table(&["model", "KS", &interval, "AUC", &interval, "F1 at 0.5"], 1);
    for (name, model) in [("bank alone", bank_only), ("joint", joint)] {
        quality.add_row([
            name.to_owned(),
            figure(model.ks.value),
            between(&model.ks, figure),
            figure(model.auc.value),
            between(&model.auc, figure),
            figure(model.f1),
        ]);
    }
    quality.add_row([
        "lift".to_owned(),
        signed(ks_gain.value),
        between(ks_gain, signed),
        signed(auc_gain.value),
        between(auc_gain, signed),
        signed(joint.f1 - bank_only.f1),
    ]);
    quality.to_string()
}

/// The tenths of the joint model, if they are told.
pub(super) fn deciles(evaluation: &Evaluation) -> Option<String> {
    let groups = evaluation.joint.deciles();
    let base = evaluation.base_rate()?;
    if groups.is_empty() {
        return None;
    }
    let header = ["tenth from", "score from", "rows", "positives", "rate", "lift", "gain", "KS"];
    let mut out = table(&header, 0);
    for (group, point) in groups.iter().zip(crate::evaluation::points(&groups)) {
        out.add_row([
            group.decile.to_string(),
            group.low.map_or_else(String::new, |low| format!("{low:.2}")),
            count(group.rows),
            count(group.positives),
            percent(group.rate()),
            format!("{:.2}", group.rate() / base),
            percent(point.tpr),
            figure(point.separation()),
        ]);
    }
    Some(out.to_string())
}

/// All tables that [`report_table`](super::report_table) leaves out: probabilities, thresholds,
/// calibration, curves and stability, as on the HTML page.
pub fn evaluation_tables(report: &Report) -> String {
    let Some(evaluation) = &report.evaluation else {
        return "The node that ran this job told no evaluation.".to_owned();
    };
    let mut parts = vec![probabilities(evaluation)];
    if evaluation.joint.bins.is_empty() {
        parts.push("There are too few test rows of a class for curves and tables.".to_owned());
    } else {
        parts.push(thresholds(&evaluation.joint));
        for (name, model) in [("joint", &evaluation.joint), ("bank alone", &evaluation.bank_only)] {
            parts.push(calibration(name, &model.deciles()));
        }
        for (name, model) in [("joint", &evaluation.joint), ("bank alone", &evaluation.bank_only)] {
            parts.push(curve(name, model));
        }
    }
    parts.extend(stability(evaluation));
    parts.push(format!(
        "Intervals: {} stratified resamples. Groups of at least {} rows and {} of each class; scores \
         are log-odds, rounded.",
        count(evaluation.resamples.into()),
        evaluation.min_bin_rows,
        evaluation.min_bin_class_rows
    ));
    parts.join("\n")
}

fn probabilities(evaluation: &Evaluation) -> String {
    let mut out =
        table(&["model", "average precision", "Brier", "log loss", "calibration error"], 1);
    for (name, model) in [("bank alone", &evaluation.bank_only), ("joint", &evaluation.joint)] {
        out.add_row([
            name.to_owned(),
            figure(model.average_precision),
            figure(model.brier),
            figure(model.log_loss),
            model.calibration_error.map_or_else(String::new, figure),
        ]);
    }
    if let Some(base) = evaluation.base_rate() {
        let brier = base * (1.0 - base);
        let row = ["base rate", &figure(base), &figure(brier), "", ""].map(str::to_owned);
        out.add_row(row);
    }
    out.to_string()
}

fn thresholds(joint: &ModelEvaluation) -> String {
    let header = ["joint model", "score from", "rows", "precision", "recall"];
    let mut out = table(&header, 1);
    let mut add = |name: String, point: &OperatingPoint| {
        out.add_row([
            name,
            point.threshold.map_or_else(|| "all".to_owned(), |score| format!("{score:.2}")),
            percent(point.share),
            percent(point.precision),
            percent(point.recall),
        ]);
    };
    for (name, point) in [("largest KS", &joint.at_ks), ("largest F1", &joint.at_best_f1)] {
        if let Some(point) = point {
            add(format!("{name}, {}", figure(point.target)), point);
        }
    }
    for (name, points) in
        [("precision", &joint.recall_at_precision), ("recall", &joint.precision_at_recall)]
    {
        for point in points {
            add(format!("{name} ≥ {:.0} %", 100.0 * point.target), point);
        }
    }
    out.to_string()
}

fn calibration(name: &str, groups: &[ScoreBin]) -> String {
    let title = format!("{name}: tenth from");
    let mut out = table(&[&title, "rows", "mean predicted", "observed"], 1);
    for group in groups {
        out.add_row([
            group.decile.to_string(),
            count(group.rows),
            percent(group.mean_probability),
            percent(group.rate()),
        ]);
    }
    out.to_string()
}

/// All points of the KS, ROC, precision-recall and gains curves.
fn curve(name: &str, model: &ModelEvaluation) -> String {
    let title = format!("{name}: score from");
    let mut out = table(&[&title, "rows", "TPR", "FPR", "KS", "precision", "lift"], 0);
    for point in model.points() {
        out.add_row([
            point.threshold.map_or_else(|| "all".to_owned(), |score| format!("{score:.2}")),
            percent(point.share),
            percent(point.tpr),
            percent(point.fpr),
            figure(point.separation()),
            percent(point.precision),
            format!("{:.2}", point.lift),
        ]);
    }
    out.to_string()
}

fn stability(evaluation: &Evaluation) -> Option<String> {
    let stability = evaluation.stability.as_ref()?;
    let mut out = table(&["bank alone: score from", "training rows", "test rows"], 0);
    for bin in &stability.bins {
        out.add_row([
            bin.low.map_or_else(|| "below".to_owned(), |low| format!("{low:.2}")),
            count(bin.train_rows),
            count(bin.test_rows),
        ]);
    }
    Some(format!(
        "{out}\nPopulation stability index of the bank's own model: {}",
        figure(stability.psi)
    ))
}

fn between(of: &Estimate, write: fn(f64) -> String) -> String {
    format!("{} to {}", write(of.low), write(of.high))
}

fn signed(value: f64) -> String {
    format!("{value:+.4}")
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
