//! The charts of a report, from the bins that the node told.

use maud::{Markup, html};

use super::{
    chart::{Axis, Chart, key},
    format::{figure, fixed, percent, probability},
};
use crate::{
    CurvePoint, Evaluation, ModelEvaluation, ScoreBin, TrainingPoint,
    evaluation::{merged, points},
};

/// Bins that the distribution of scores is drawn with: fewer are smoother.
const DISTRIBUTION_BINS: u64 = 24;
/// Two-sided 95 % point of the normal distribution.
const Z: f64 = 1.96;

/// A chart with its caption.
fn figure_of(chart: &Chart, caption: &Markup) -> Markup {
    html! { figure { (chart.render()) figcaption { (caption) } } }
}

fn joint_and_bank() -> Markup {
    keys(&[("joint", "joint"), ("bank", "bank alone")])
}

fn keys(of: &[(&str, &str)]) -> Markup {
    html! { span class="keys" { @for (class, name) in of { (key(class, name)) } } }
}

fn threshold(point: &CurvePoint) -> String {
    point.threshold.map_or_else(
        || "all rows".to_owned(),
        |score| format!("score ≥ {} (probability {})", fixed(score, 2), figure(probability(score))),
    )
}

/// TPR and FPR of the joint model against the share of rows, and where they are furthest apart.
pub(super) fn ks(evaluation: &Evaluation) -> Markup {
    let joint = &evaluation.joint;
    let points = joint.points();
    let Some(best) =
        points.iter().copied().reduce(|best, p| match p.separation() > best.separation() {
            true => p,
            false => best,
        })
    else {
        return html! {};
    };
    let description = format!(
        "Among the {} of rows with the highest scores are {} of the positives and {} of the \
         negatives: of the ends of groups it is there that the curves are furthest apart, by {}. Over all \
         thresholds KS is {}.",
        percent(best.share),
        percent(best.tpr),
        percent(best.fpr),
        figure(best.separation()),
        figure(joint.ks.value)
    );
    let mut chart = Chart::new(
        "chart-ks",
        "KS curve of the joint model",
        &description,
        Axis::shares("share of rows, highest scores first"),
        Axis::shares("share of the class"),
    );
    let curve = |of: fn(&CurvePoint) -> f64| {
        std::iter::once((0.0, 0.0)).chain(points.iter().map(move |p| (p.share, of(p))))
    };
    chart.line("gap", [(best.share, best.fpr), (best.share, best.tpr)]);
    chart.line("positive", curve(|p| p.tpr)).line("negative", curve(|p| p.fpr));
    let gap = format!("KS {}", figure(best.separation()));
    chart.note("start", (best.share, best.fpr + 0.75 * (best.tpr - best.fpr)), (6.0, 4.0), &gap);
    chart.hints(points.iter().map(|p| {
        let says = format!(
            "{}: {} of positives, {} of negatives, {} apart",
            threshold(p),
            percent(p.tpr),
            percent(p.fpr),
            figure(p.separation())
        );
        ((p.share, p.tpr), says)
    }));
    let caption = html! {
        strong { "KS curve, joint model. " } (description) " "
        (keys(&[("positive", "positives"), ("negative", "negatives")]))
    };
    figure_of(&chart, &caption)
}

/// Points of both models with their names.
fn models(evaluation: &Evaluation) -> [(&'static str, &'static str, Vec<CurvePoint>); 2] {
    [
        ("bank", "bank alone", evaluation.bank_only.points()),
        ("joint", "joint", evaluation.joint.points()),
    ]
}

fn curves(
    chart: &mut Chart,
    evaluation: &Evaluation,
    origin: Option<(f64, f64)>,
    place: fn(&CurvePoint) -> (f64, f64),
    says: fn(&CurvePoint) -> String,
) {
    for (class, name, points) in models(evaluation) {
        chart.line(class, origin.into_iter().chain(points.iter().map(place)));
        let hint = |p: &CurvePoint| (place(p), format!("{name}, {}: {}", threshold(p), says(p)));
        chart.hints(points.iter().map(hint));
    }
}

/// ROC of both models.
pub(super) fn roc(evaluation: &Evaluation) -> Markup {
    let (joint, bank) = (evaluation.joint.auc.value, evaluation.bank_only.auc.value);
    let description = format!(
        "The area under the curve is {} for the joint model and {} for the bank alone; {} is chance.",
        figure(joint),
        figure(bank),
        figure(0.5)
    );
    let mut chart = Chart::new(
        "chart-roc",
        "ROC curves of both models",
        &description,
        Axis::shares("false positive rate"),
        Axis::shares("true positive rate"),
    );
    chart.line("reference", [(0.0, 0.0), (1.0, 1.0)]);
    let says = |p: &CurvePoint| format!("TPR {}, FPR {}", percent(p.tpr), percent(p.fpr));
    curves(&mut chart, evaluation, Some((0.0, 0.0)), |p| (p.fpr, p.tpr), says);
    let caption = html! { strong { "ROC. " } (description) " " (joint_and_bank()) };
    figure_of(&chart, &caption)
}

/// Precision against recall of both models.
pub(super) fn precision_recall(evaluation: &Evaluation) -> Markup {
    let base = evaluation.base_rate().unwrap_or_default();
    let description = format!(
        "Average precision is {} for the joint model and {} for the bank alone; {} is chance.",
        figure(evaluation.joint.average_precision),
        figure(evaluation.bank_only.average_precision),
        figure(base)
    );
    let mut chart = Chart::new(
        "chart-pr",
        "Precision and recall of both models",
        &description,
        Axis::shares("recall"),
        Axis::shares("precision"),
    );
    chart.line("reference", [(0.0, base), (1.0, base)]);
    let says =
        |p: &CurvePoint| format!("precision {}, recall {}", percent(p.precision), percent(p.tpr));
    curves(&mut chart, evaluation, None, |p| (p.tpr, p.precision), says);
    let caption =
        html! { strong { "Precision and recall. " } (description) " " (joint_and_bank()) };
    figure_of(&chart, &caption)
}

/// Positives found against rows looked at, of both models.
pub(super) fn gains(evaluation: &Evaluation) -> Markup {
    let found = |model: &ModelEvaluation| {
        let points = points(&model.deciles());
        points.first().map_or((0.0, 0.0), |p| (p.share, p.tpr))
    };
    let ((share, joint), (bank_share, bank)) =
        (found(&evaluation.joint), found(&evaluation.bank_only));
    let description = format!(
        "Of all positives {} are among the highest {} of rows by the joint score, and {} among the \
         highest {} by the bank's own.",
        percent(joint),
        percent(share),
        percent(bank),
        percent(bank_share)
    );
    let mut chart = Chart::new(
        "chart-gains",
        "Cumulative gains of both models",
        &description,
        Axis::shares("share of rows, highest scores first"),
        Axis::shares("share of the positives found"),
    );
    chart.line("reference", [(0.0, 0.0), (1.0, 1.0)]);
    let says = |p: &CurvePoint| {
        format!("{} of rows hold {} of positives", percent(p.share), percent(p.tpr))
    };
    curves(&mut chart, evaluation, Some((0.0, 0.0)), |p| (p.share, p.tpr), says);
    let caption = html! { strong { "Cumulative gains. " } (description) " " (joint_and_bank()) };
    figure_of(&chart, &caption)
}

/// Lift of each group of rows, of both models.
pub(super) fn lift(evaluation: &Evaluation) -> Markup {
    let Some(base) = evaluation.base_rate().filter(|base| *base > 0.0) else { return html! {} };
    let [bank, joint] = [&evaluation.bank_only, &evaluation.joint].map(|model| {
        let mut from = 0.0;
        let step = |bin: ScoreBin| {
            let to = from + bin.rows as f64 / evaluation.rows as f64;
            let part = (from, to, bin.rate() / base);
            from = to;
            part
        };
        model.deciles().into_iter().map(step).collect::<Vec<_>>()
    });
    let highest = joint.iter().chain(&bank).map(|part| part.2).fold(1.0, f64::max);
    let first = |parts: &[(f64, f64, f64)]| parts.first().map_or(0.0, |part| part.2);
    let description = format!(
        "In the highest group positives are {} times as frequent as in all rows by the joint \
         model, and {} times by the bank alone.",
        fixed(first(&joint), 2),
        fixed(first(&bank), 2)
    );
    let mut chart = Chart::new(
        "chart-lift",
        "Lift by tenths of the rows, both models",
        &description,
        Axis::shares("share of rows, highest scores first"),
        Axis::up_to("lift", highest),
    );
    let outline = |parts: &[(f64, f64, f64)]| -> Vec<(f64, f64)> {
        parts.iter().flat_map(|&(from, to, lift)| [(from, lift), (to, lift)]).collect()
    };
    chart.area("joint", &outline(&joint));
    chart.line("reference", [(0.0, 1.0), (1.0, 1.0)]);
    chart.line("bank", outline(&bank)).line("joint", outline(&joint));
    chart.hints(joint.iter().map(|&(from, to, lift)| {
        let says =
            format!("joint, rows {} to {}: lift {}", percent(from), percent(to), fixed(lift, 2));
        (((from + to) / 2.0, lift), says)
    }));
    let caption = html! { strong { "Lift by tenths. " } (description) " " (joint_and_bank()) };
    figure_of(&chart, &caption)
}

/// Share of positives against the predicted probability, by groups of rows of both models.
pub(super) fn calibration(evaluation: &Evaluation) -> Markup {
    let (joint, bank) = (evaluation.joint.deciles(), evaluation.bank_only.deciles());
    let upper = |bin: &ScoreBin| wilson(bin).1.max(bin.mean_probability);
    let highest = joint.iter().chain(&bank).map(upper).fold(0.0, f64::max);
    let top = Axis::up_to("", highest).range.1.min(1.0);
    let error = evaluation.joint.calibration_error.unwrap_or_default();
    let description = format!(
        "On average a group's share of positives is {} away from its predicted probability by the \
         joint model. Bars are 95 % intervals of the observed share.",
        percent(error)
    );
    let axis = |label| Axis { label, range: (0.0, top), percent: true };
    let mut chart = Chart::new(
        "chart-calibration",
        "Calibration of both models",
        &description,
        axis("mean predicted probability"),
        axis("observed share of positives"),
    );
    chart.line("reference", [(0.0, 0.0), (top, top)]);
    chart.line("bank", bank.iter().map(|bin| (bin.mean_probability, bin.rate())));
    for bin in &joint {
        let (low, high) = wilson(bin);
        chart.line("whisker", [(bin.mean_probability, low), (bin.mean_probability, high)]);
    }
    chart.line("joint", joint.iter().map(|bin| (bin.mean_probability, bin.rate())));
    for bin in &joint {
        let says = format!(
            "joint, {} rows: predicted {}, observed {}",
            bin.rows,
            percent(bin.mean_probability),
            percent(bin.rate())
        );
        chart.dot("joint", (bin.mean_probability, bin.rate()), &says);
    }
    let caption = html! { strong { "Calibration. " } (description) " " (joint_and_bank()) };
    figure_of(&chart, &caption)
}

/// Wilson's interval of a bin's share of positives.
fn wilson(bin: &ScoreBin) -> (f64, f64) {
    let (n, p) = (bin.rows as f64, bin.rate());
    let centre = p + Z * Z / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    ((centre - spread) / scale, (centre + spread) / scale)
}

/// Density of the joint scores in each class.
pub(super) fn distribution(evaluation: &Evaluation) -> Markup {
    let parts = coarse(&evaluation.joint.bins);
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return html! {} };
    let (low, high) = (last.0, first.1);
    let positives: u64 = parts.iter().map(|part| part.2.positives).sum();
    let all: u64 = parts.iter().map(|part| part.2.rows).sum();
    let density = |of: fn(&ScoreBin) -> u64, total: u64| -> Vec<(f64, f64)> {
        let height = |&(from, to, bin): &(f64, f64, ScoreBin)| {
            let density = of(&bin) as f64 / total.max(1) as f64 / (to - from);
            [(from, density), (to, density)]
        };
        parts.iter().rev().flat_map(height).collect()
    };
    let negative = density(|bin| bin.rows - bin.positives, all - positives);
    let positive = density(|bin| bin.positives, positives);
    let highest = negative.iter().chain(&positive).map(|p| p.1).fold(0.0, f64::max);
    let mean = |of: fn(&ScoreBin) -> u64, total: u64| {
        let sum: f64 = parts.iter().map(|part| part.2.mean_score * of(&part.2) as f64).sum();
        fixed(sum / total.max(1) as f64, 2)
    };
    let description = format!(
        "Scores of the joint model are about {} on average among the positives and {} among the \
         negatives. Each area is one; bars at both ends reach further than they are drawn.",
        mean(|bin| bin.positives, positives),
        mean(|bin| bin.rows - bin.positives, all - positives)
    );
    let mut chart = Chart::new(
        "chart-distribution",
        "Distribution of the joint scores by class",
        &description,
        Axis { label: "score (log-odds)", range: (low, high), percent: false },
        Axis::up_to("density", highest),
    );
    chart.area("negative", &negative).area("positive", &positive);
    chart.line("negative", negative).line("positive", positive);
    let caption = html! {
        strong { "Score distribution. " } (description) " "
        (keys(&[("area positive", "positives"), ("area negative", "negatives")]))
    };
    figure_of(&chart, &caption)
}

/// Neighbouring bins put together to about [`DISTRIBUTION_BINS`], highest first, each with the ends of its
/// scores. The ends of the first and the last are not told: they are drawn as far beyond the bin's mean
/// as the mean is from the other end.
fn coarse(bins: &[ScoreBin]) -> Vec<(f64, f64, ScoreBin)> {
    let all: u64 = bins.iter().map(|bin| bin.rows).sum();
    let mut out: Vec<(f64, f64, ScoreBin)> = Vec::new();
    let mut from = 0;
    for i in 0..bins.len() {
        let Some(part) = merged(&bins[from..=i]) else { continue };
        let high = out.last().map(|(low, _, _)| *low);
        let low = part.low.unwrap_or_else(|| {
            high.map_or(part.mean_score - 0.5, |high| 2.0 * part.mean_score - high)
        });
        let high = high.unwrap_or(2.0 * part.mean_score - low);
        let wide_enough = high - low > 1e-9;
        if part.rows * DISTRIBUTION_BINS >= all && wide_enough {
            out.push((low, high, part));
            from = i + 1;
        }
    }
    // What is left at the end goes to the last part.
    if let (true, Some((low, high, part))) = (from < bins.len(), out.pop()) {
        let rest = merged(&bins[from..]).and_then(|rest| merged(&[part, rest]));
        let whole = rest.unwrap_or(part);
        let beyond = 2.0 * whole.mean_score - high;
        out.push((whole.low.unwrap_or(low.min(beyond)), high, whole));
    }
    out
}

/// KS on validation rows after each epoch, if there are such.
pub(super) fn training(curve: &[TrainingPoint]) -> Markup {
    let curve: Vec<(u32, f64)> = curve.iter().map(|point| (point.epoch, point.ks)).collect();
    let (Some(first), Some(last)) = (curve.first(), curve.last()) else { return html! {} };
    let highest = curve.iter().map(|p| p.1).fold(0.0, f64::max);
    let description = format!(
        "KS is {} after epoch {} and {} after epoch {}; the highest is {}.",
        figure(first.1),
        first.0,
        figure(last.1),
        last.0,
        figure(highest)
    );
    let end = f64::from(last.0.max(first.0 + 1));
    let mut chart = Chart::new(
        "chart-training",
        "Training curve of the joint model",
        &description,
        Axis { label: "epoch", range: (f64::from(first.0), end), percent: false },
        Axis::up_to("KS on validation rows", highest),
    );
    chart.line("joint", curve.iter().map(|&(epoch, ks)| (f64::from(epoch), ks)));
    for &(epoch, ks) in &curve {
        let says = format!("epoch {epoch}: KS {}", figure(ks));
        chart.dot("joint", (f64::from(epoch), ks), &says);
    }
    let caption = html! { strong { "Training curve. " } (description) };
    figure_of(&chart, &caption)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bin(rows: u64, positives: u64, low: Option<f64>, mean_score: f64) -> ScoreBin {
        ScoreBin { decile: 1, rows, positives, low, mean_score, mean_probability: 0.5 }
    }

    #[test]
    fn intervals_of_a_share_are_wilsons() {
        // statsmodels: proportion_confint(10, 50, method="wilson") = 0.1124375, 0.3303711
        let (low, high) = wilson(&bin(50, 10, None, 0.0));
        assert!((low - 0.11244).abs() < 1e-4 && (high - 0.33037).abs() < 1e-4, "{low} {high}");
    }

    #[test]
    fn a_distribution_has_every_row_once_and_no_bar_without_width() {
        // Two bins end at the same rounded score.
        let mut bins: Vec<ScoreBin> = (0..60)
            .map(|i| bin(20, 7, Some(3.0 - 0.1 * f64::from(i / 2)), 3.05 - 0.1 * f64::from(i / 2)))
            .collect();
        bins.push(bin(3, 1, None, -0.2));
        let parts = coarse(&bins);
        assert_eq!(parts.iter().map(|p| p.2.rows).sum::<u64>(), 60 * 20 + 3);
        assert!(parts.iter().all(|(low, high, _)| high > low), "{parts:?}");
        assert!(parts.windows(2).all(|p| p[0].0 == p[1].1), "{parts:?}");
        assert!(parts.len() >= 12 && parts.len() <= 24, "{}", parts.len());
        assert!(coarse(&[]).is_empty());
    }
}
