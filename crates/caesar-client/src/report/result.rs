//! The headline: both models side by side, and what to look at before it is believed.

use maud::{Markup, html};

use super::format::{figure, fixed, percent, signed};
use crate::{Estimate, Evaluation, Report};

pub(super) fn summary(report: &Report) -> Markup {
    html! {
        @match &report.evaluation {
            Some(evaluation) => {
                p class="verdict" { (verdict(evaluation)) }
                (headline(evaluation))
            }
            None => {
                p class="verdict" {
                    "KS is " (figure(report.ks_joint)) " for the joint model and "
                    (figure(report.ks_bank_only)) " for the bank alone; AUC " (figure(report.auc_joint))
                    " and " (figure(report.auc_bank_only)) "."
                }
                p { "The node that ran this job told no curves, tables and intervals." }
            }
        }
        @if report.evaluation.as_ref().is_some_and(|e| e.joint.bins.is_empty()) {
            p { "There are too few test rows of a class for curves and tables." }
        }
        (warnings(report))
    }
}

fn interval(of: &Estimate) -> String {
    format!("{} to {}", figure(of.low), figure(of.high))
}

/// One sentence that the interval of the gain bears.
fn verdict(evaluation: &Evaluation) -> String {
    let Evaluation { ks_gain, confidence, .. } = evaluation;
    let gain = format!(
        "KS {} (from {} to {}; {} interval {} to {})",
        signed(ks_gain.value, 3),
        figure(evaluation.bank_only.ks.value),
        figure(evaluation.joint.ks.value),
        fixed(100.0 * confidence, 0) + "\u{202f}%",
        signed(ks_gain.low, 3),
        signed(ks_gain.high, 3),
    );
    if ks_gain.low > 0.0 {
        format!("The joint model separates the classes better than the bank does alone: {gain}.")
    } else if ks_gain.high < 0.0 {
        format!("The joint model separates the classes worse than the bank does alone: {gain}.")
    } else {
        format!(
            "These test rows do not show that the joint model separates the classes better or worse \
             than the bank does alone: {gain}."
        )
    }
}

fn headline(evaluation: &Evaluation) -> Markup {
    let Evaluation { joint, bank_only, ks_gain, auc_gain, .. } = evaluation;
    html! {
        div class="headline" {
            (block("KS", &joint.ks, &bank_only.ks, ks_gain))
            (block("AUC", &joint.auc, &bank_only.auc, auc_gain))
            @let lifts = [joint, bank_only].map(|model| {
                model.deciles().first().zip(evaluation.base_rate()).map(|(d, base)| d.rate() / base)
            });
            @if let [Some(joint), Some(bank)] = lifts {
                div class="block" {
                    h3 { "Lift, highest tenth" }
                    p class="value" { (fixed(joint, 2)) }
                    dl {
                        div { dt { "bank alone" } dd { (fixed(bank, 2)) } }
                        div { dt { "gain" } dd { (signed(joint - bank, 2)) } }
                        @if let Some(base) = evaluation.base_rate() {
                            div { dt { "positives in all rows" } dd { (percent(base)) } }
                        }
                    }
                }
            }
        }
    }
}

fn block(name: &str, joint: &Estimate, bank: &Estimate, gain: &Estimate) -> Markup {
    html! {
        div class="block" {
            h3 { (name) }
            p class="value" { (figure(joint.value)) }
            dl {
                div { dt { "interval" } dd { (interval(joint)) } }
                div {
                    dt { "bank alone" }
                    dd { (figure(bank.value)) " " span class="aside" { "(" (interval(bank)) ")" } }
                }
                div {
                    dt { "gain" }
                    dd {
                        (signed(gain.value, 3)) " "
                        span class="aside" { "(" (signed(gain.low, 3)) " to " (signed(gain.high, 3)) ")" }
                    }
                }
            }
        }
    }
}

fn warnings(report: &Report) -> Markup {
    html! {
        @if report.warnings.is_empty() {
            p class="quiet" { "The run brought no warnings." }
        } @else {
            div class="warnings" {
                h3 { "Warnings" }
                ul { @for warning in &report.warnings { li { (warning) } } }
            }
        }
    }
}
