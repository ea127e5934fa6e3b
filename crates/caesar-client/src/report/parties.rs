//! Who learned what (docs/SPEC.md, "Leakage"), and how the figures came to be.

use maud::{Markup, html};

use super::format::{count, fixed};
use crate::Report;

pub(super) fn learned(report: &Report) -> Markup {
    let (train, test) = (count(report.intersection_train), count(report.intersection_test));
    html! {
        div class="table" role="region" aria-labelledby="table-learned" tabindex="0" {
            table class="prose" {
                caption id="table-learned" { "What this job told to whom" }
                thead {
                    tr {
                        td {}
                        th scope="col" { "learned" }
                        th scope="col" { "did not learn" }
                    }
                }
                tbody {
                    tr {
                        th scope="row" { "A, the platform" }
                        td {
                            "Which of its ids the bank has too (" (train) " for training, " (test) " for the "
                            "test) and how many ids the bank has; the number of the bank's columns and bounds "
                            "of their size, rounded; the settings, except how rows are weighted and why training "
                            "ends; when messages came; that the job ended."
                        }
                        td {
                            "Labels, scores, any figure on this page but those; rows, values and weights of "
                            "the bank; ids that only the bank has."
                        }
                    }
                    tr {
                        th scope="row" { "B, the bank" }
                        td {
                            "The same of the platform; the joint scores of the " (test) " common test rows, "
                            "with noise of ±2" sup { "−10" } " from the platform, and with them all figures "
                            "here; "
                            @if report.validation_rows > 0 {
                                "the joint scores of the " (count(report.validation_rows)) " rows that were set "
                                "aside, after each epoch, with the same noise; "
                            }
                            "how long the platform's steps took."
                        }
                        td {
                            "Rows, values and weights of the platform; ids that only the platform has; "
                            "joint scores of training rows, errors and gradients."
                        }
                    }
                    tr {
                        th scope="row" { "The client, who reads this" }
                        td { "This page." }
                        td {
                            "Any id, any row's score, label or value, any weight; a count of fewer rows than "
                            (min_rows(report)) "."
                        }
                    }
                    tr {
                        th scope="row" { "Anyone else" }
                        td { "Sizes and times of encrypted messages, if they watch the network." }
                        td { "All of the above." }
                    }
                }
            }
        }
        p class="note" {
            "Neither party has the model: the weights of each side's columns stay there, encrypted under the "
            "other side's key. This holds against parties that follow the protocol."
        }
    }
}

fn min_rows(report: &Report) -> u32 {
    report.evaluation.as_ref().map_or(1, |evaluation| evaluation.min_bin_rows)
}

pub(super) fn method(report: &Report) -> Markup {
    html! {
        dl class="method" {
            div {
                dt { "Bank alone" }
                dd {
                    "Logistic regression on the bank's columns only, in the clear at the bank, fitted until it "
                    "converges, with an L2 penalty of C = 1. The gain is what the platform's columns add to it."
                }
            }
            div {
                dt { "KS" }
                dd {
                    "Largest difference between the share of positives and the share of negatives with a "
                    "score of at least a threshold, over all thresholds. Equal scores stay together."
                }
            }
            div {
                dt { "AUC" }
                dd { "Probability that a positive scores above a negative; equal scores count a half." }
            }
            @if let Some(evaluation) = &report.evaluation {
                div {
                    dt { "Intervals" }
                    dd {
                        "The central " (fixed(100.0 * evaluation.confidence, 0)) "\u{202f}% of "
                        (count(evaluation.resamples.into())) " resamples of the test rows, drawn with replacement "
                        "in each class apart, the same rows for both models. They cover the choice of test "
                        "rows, not that of training rows. KS is a maximum, so its resamples lie a little high."
                    }
                }
                div {
                    dt { "Groups" }
                    dd {
                        "Curves and tables are made of at most 100 groups of neighbouring scores. A group has "
                        "at least " (evaluation.min_bin_rows) " rows and " (evaluation.min_bin_class_rows)
                        " of each class, or is merged with its neighbour; all curves and tables of a model are "
                        "sums over the same groups. Thresholds are rounded, and figures of all rows have "
                        "four decimals."
                    }
                }
            }
            div {
                dt { "Calibration error" }
                dd {
                    "Mean over the rows of the difference between the mean probability and the share of "
                    "positives of their tenth."
                }
            }
            div {
                dt { "Stability index" }
                dd { "Sum of (test − training) · ln(test / training) over the shares of the groups." }
            }
        }
    }
}
