//! What the two models are worth: curves and the tables beside them.

use maud::{Markup, html};

use super::{
    curves,
    format::{count, figure, fixed, percent, probability},
    table, text,
};
use crate::{Evaluation, ModelEvaluation, OperatingPoint, ScoreBin, evaluation::points};

pub(super) fn separation(evaluation: &Evaluation) -> Markup {
    html! {
        div class="figures" {
            (curves::ks(evaluation))
            (curves::roc(evaluation))
            (curves::precision_recall(evaluation))
            (curves::gains(evaluation))
        }
    }
}

pub(super) fn deciles(evaluation: &Evaluation) -> Markup {
    let groups = evaluation.joint.deciles();
    let base = evaluation.base_rate().unwrap_or(1.0);
    let rows: Vec<Vec<Markup>> = groups
        .iter()
        .zip(points(&groups))
        .enumerate()
        .map(|(i, (group, point))| {
            vec![
                text(name(&groups, i)),
                text(range(&groups, i)),
                text(count(group.rows)),
                text(count(group.positives)),
                text(percent(group.rate())),
                text(fixed(group.rate() / base, 2)),
                text(fixed(point.lift, 2)),
                text(percent(point.tpr)),
                text(figure(point.separation())),
            ]
        })
        .collect();
    let header =
        ["tenth", "score", "rows", "positives", "rate", "lift", "cumulative lift", "gain", "KS"];
    html! {
        div class="figures" { (curves::lift(evaluation)) (curves::distribution(evaluation)) }
        (table("Tenths of the test rows by the joint score", &header, &rows))
        p class="note" {
            "Rate: share of positives in the group. Gain: share of all positives in it and the groups above. "
            @if groups.len() < 10 {
                "Tenths that were too small to be told are merged with their neighbours. "
            }
        }
    }
}

/// Of the tenths in a group the first and the last.
fn name(groups: &[ScoreBin], i: usize) -> String {
    let last = groups.get(i + 1).map_or(10, |next| next.decile.saturating_sub(1));
    match groups[i].decile {
        first if first < last => format!("{first}–{last}"),
        first => first.to_string(),
    }
}

fn range(groups: &[ScoreBin], i: usize) -> String {
    let above = i.checked_sub(1).and_then(|above| groups[above].low);
    match (groups[i].low, above) {
        (Some(low), _) => format!("≥ {}", fixed(low, 2)),
        (None, Some(above)) => format!("< {}", fixed(above, 2)),
        (None, None) => "all".to_owned(),
    }
}

pub(super) fn thresholds(evaluation: &Evaluation) -> Markup {
    let joint = &evaluation.joint;
    let mut rows: Vec<Vec<Markup>> = Vec::new();
    let named = [("largest KS", &joint.at_ks), ("largest F1", &joint.at_best_f1)];
    for (name, point) in named {
        rows.extend(
            point
                .as_ref()
                .map(|point| operating(&format!("{name} ({})", figure(point.target)), point)),
        );
    }
    let at = |what: &str, point: &OperatingPoint| {
        operating(&format!("{what} ≥ {}\u{202f}%", fixed(100.0 * point.target, 0)), point)
    };
    let shown = |point: &&OperatingPoint| point.threshold.is_some();
    rows.extend(joint.recall_at_precision.iter().filter(shown).map(|p| at("precision", p)));
    rows.extend(joint.precision_at_recall.iter().filter(shown).map(|p| at("recall", p)));
    let header =
        ["where", "score from", "probability", "rows called positive", "precision", "recall", "F1"];
    html! {
        (table("Where one could work, joint model", &header, &rows))
        p class="note" {
            "A row is called positive if its score is at least the threshold. For each precision the "
            "threshold of largest recall, and the other way round, among the ends of "
            (joint.bins.len()) " groups of rows; at probability 0.5 F1 is " (figure(joint.f1)) "."
        }
    }
}

fn operating(name: &str, point: &OperatingPoint) -> Vec<Markup> {
    let score = |of: fn(f64) -> String| point.threshold.map_or_else(|| "–".to_owned(), of);
    let sum = point.precision + point.recall;
    let f1 = if sum > 0.0 { 2.0 * point.precision * point.recall / sum } else { 0.0 };
    vec![
        text(name),
        text(score(|score| fixed(score, 2))),
        text(score(|score| percent(probability(score)))),
        text(percent(point.share)),
        text(percent(point.precision)),
        text(percent(point.recall)),
        text(figure(f1)),
    ]
}

pub(super) fn calibration(evaluation: &Evaluation) -> Markup {
    let base = evaluation.base_rate().unwrap_or_default();
    let reference = base * (1.0 - base);
    let line = |name: &str, of: fn(&ModelEvaluation) -> Option<f64>| {
        let cell = |model| text(of(model).map_or_else(|| "–".to_owned(), |v| fixed(v, 4)));
        vec![text(name), cell(&evaluation.joint), cell(&evaluation.bank_only)]
    };
    let skill = |model: &ModelEvaluation| text(percent(1.0 - model.brier / reference));
    let rows = [
        line("Brier score", |m| Some(m.brier)),
        vec![
            text("better than the base rate by"),
            skill(&evaluation.joint),
            skill(&evaluation.bank_only),
        ],
        line("log loss", |m| Some(m.log_loss)),
        line("expected calibration error", |m| m.calibration_error),
        line("average precision", |m| Some(m.average_precision)),
        line("F1 at probability 0.5", |m| Some(m.f1)),
    ];
    let groups = evaluation.joint.deciles();
    let bins: Vec<Vec<Markup>> = groups
        .iter()
        .enumerate()
        .map(|(i, group)| {
            vec![
                text(name(&groups, i)),
                text(count(group.rows)),
                text(percent(group.mean_probability)),
                text(percent(group.rate())),
                text(fixed(100.0 * (group.mean_probability - group.rate()), 1)),
            ]
        })
        .collect();
    html! {
        div class="figures" {
            (curves::calibration(evaluation))
            div {
                (table("Probabilities and labels", &["figure", "joint", "bank alone"], &rows))
                p class="note" {
                    "Calling every row the base rate of " (percent(base)) " has a Brier score of "
                    (fixed(reference, 4)) "."
                }
            }
        }
        (table(
            "Predicted and observed, joint model",
            &["tenth", "rows", "mean predicted", "observed", "difference, points"],
            &bins,
        ))
    }
}

pub(super) fn stability(evaluation: &Evaluation) -> Markup {
    let Some(stability) = &evaluation.stability else {
        return html! { p { "There are too few rows for a stability index." } };
    };
    let train: u64 = stability.bins.iter().map(|bin| bin.train_rows).sum();
    let test: u64 = stability.bins.iter().map(|bin| bin.test_rows).sum();
    let mut above = None;
    let rows: Vec<Vec<Markup>> = stability
        .bins
        .iter()
        .map(|bin| {
            let name = match (bin.low, above) {
                (Some(low), _) => format!("≥ {}", fixed(low, 2)),
                (None, Some(above)) => format!("< {}", fixed(above, 2)),
                (None, None) => "all".to_owned(),
            };
            above = bin.low;
            let share = |rows: u64, all: u64| rows as f64 / all.max(1) as f64;
            let (e, a) = (share(bin.train_rows, train), share(bin.test_rows, test));
            let term = if e > 0.0 && a > 0.0 { (a - e) * (a / e).ln() } else { 0.0 };
            vec![text(name), text(percent(e)), text(percent(a)), text(fixed(term, 4))]
        })
        .collect();
    let judged = match stability.psi {
        psi if psi < 0.1 => "below 0.1, which is commonly read as stable",
        psi if psi < 0.25 => "between 0.1 and 0.25, which is commonly read as a shift to look into",
        _ => "0.25 or more, which is commonly read as a large shift",
    };
    html! {
        p {
            "The population stability index between training and test rows is "
            strong { (figure(stability.psi)) } ": " (judged) ". It is of the scores of the bank's own model: "
            "the joint model's scores of training rows are not opened to anyone."
        }
        (table(
            "Scores of the bank's own model",
            &["score", "training rows", "test rows", "contribution"],
            &rows,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{name, range};
    use crate::ScoreBin;

    #[test]
    fn groups_are_named_by_their_tenths_and_scores() {
        let group = |decile, low| ScoreBin {
            decile,
            rows: 10,
            positives: 5,
            low,
            mean_score: 0.0,
            mean_probability: 0.5,
        };
        let groups = [group(1, Some(1.25)), group(4, Some(-0.5)), group(5, None)];
        let names: Vec<String> = (0..3).map(|i| name(&groups, i)).collect();
        assert_eq!(names, ["1–3", "4", "5–10"]);
        let ranges: Vec<String> = (0..3).map(|i| range(&groups, i)).collect();
        assert_eq!(ranges, ["≥ 1.25", "≥ −0.50", "< −0.50"]);
    }
}
