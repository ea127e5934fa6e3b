//! Charts as inline SVG: a frame with axes, and marks in the units of the data.

use maud::{Markup, PreEscaped, html};

/// Size of a chart in its own units, which are about pixels.
const SIZE: (f64, f64) = (380.0, 270.0);
/// Room left of, right of, above and below the frame.
const LEFT: f64 = 54.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 40.0;

/// One axis.
pub(super) struct Axis {
    /// What it measures, with its unit.
    pub(super) label: &'static str,
    /// Its ends.
    pub(super) range: (f64, f64),
    /// Whether its numbers are shares, written as percentages.
    pub(super) percent: bool,
}

impl Axis {
    /// From 0 to 100 %.
    pub(super) fn shares(label: &'static str) -> Self {
        Self { label, range: (0.0, 1.0), percent: true }
    }

    /// From 0 to a round number that is at least `high`.
    pub(super) fn up_to(label: &'static str, high: f64) -> Self {
        let step = step(high);
        Self { label, range: (0.0, (high / step - 1e-9).ceil().max(1.0) * step), percent: false }
    }

    /// Round numbers in the range, a handful.
    fn ticks(&self) -> Vec<(f64, String)> {
        let (low, high) = self.range;
        let step = step(high - low);
        let decimals = if self.percent { 0 } else { (-step.log10().floor()).max(0.0) as usize };
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let text = |value: f64| match self.percent {
            true => format!("{}\u{202f}%", super::format::fixed(100.0 * value, 0)),
            false => super::format::fixed(value, decimals),
        };
        (first..=last).map(|k| (k as f64 * step, text(k as f64 * step))).collect()
    }
}

/// 1, 2 or 5 times a power of ten, of which a range has four to eight.
fn step(range: f64) -> f64 {
    let rough = range.max(1e-9) / 4.0;
    let power = 10f64.powf(rough.log10().floor());
    let digit = [5.0, 2.0].into_iter().find(|d| d * power <= rough * (1.0 + 1e-9));
    digit.unwrap_or(1.0) * power
}

/// A chart under construction.
pub(super) struct Chart {
    id: &'static str,
    title: String,
    description: String,
    x: Axis,
    y: Axis,
    marks: Vec<Markup>,
}

impl Chart {
    /// `title` and `description` are what a reader hears who does not see it.
    pub(super) fn new(
        id: &'static str,
        title: impl Into<String>,
        description: impl Into<String>,
        x: Axis,
        y: Axis,
    ) -> Self {
        let (title, description) = (title.into(), description.into());
        Self { id, title, description, x, y, marks: Vec::new() }
    }

    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let place = |v: f64, (low, high): (f64, f64)| ((v - low) / (high - low)).clamp(0.0, 1.0);
        (
            LEFT + place(x, self.x.range) * (SIZE.0 - LEFT - RIGHT),
            SIZE.1 - BOTTOM - place(y, self.y.range) * (SIZE.1 - TOP - BOTTOM),
        )
    }

    fn path(&self, points: impl IntoIterator<Item = (f64, f64)>) -> String {
        let mut path = String::new();
        for point in points {
            let (x, y) = self.at(point);
            path.push_str(&format!("{}{x:.1} {y:.1}", if path.is_empty() { "M" } else { "L" }));
        }
        path
    }

    /// A line through the points.
    pub(super) fn line(
        &mut self,
        class: &str,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> &mut Self {
        let path = self.path(points);
        self.marks.push(html! { path class={ "line " (class) } d=(path) {} });
        self
    }

    /// The area between the points and the bottom.
    pub(super) fn area(&mut self, class: &str, points: &[(f64, f64)]) -> &mut Self {
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return self };
        let bottom = self.y.range.0;
        let ends = [(last.0, bottom), (first.0, bottom)];
        let path = self.path(points.iter().copied().chain(ends));
        self.marks.push(html! { path class={ "area " (class) } d={ (path) "Z" } {} });
        self
    }

    /// A dot that says something when it is pointed at.
    pub(super) fn dot(&mut self, class: &str, point: (f64, f64), says: &str) -> &mut Self {
        let (x, y) = self.at(point);
        let (x, y) = (format!("{x:.1}"), format!("{y:.1}"));
        self.marks.push(html! {
            circle class={ "dot " (class) } cx=(x) cy=(y) r="3" { title { (says) } }
        });
        self
    }

    /// Places that say something when they are pointed at, and are not seen.
    pub(super) fn hints(
        &mut self,
        points: impl IntoIterator<Item = ((f64, f64), String)>,
    ) -> &mut Self {
        for (point, says) in points {
            let (x, y) = self.at(point);
            let (x, y) = (format!("{x:.1}"), format!("{y:.1}"));
            let hint = html! { circle class="hint" cx=(x) cy=(y) r="6" { title { (says) } } };
            self.marks.push(hint);
        }
        self
    }

    /// Words beside a point; `anchor` is `start`, `middle` or `end`.
    pub(super) fn note(
        &mut self,
        anchor: &str,
        point: (f64, f64),
        offset: (f64, f64),
        text: &str,
    ) -> &mut Self {
        let (x, y) = self.at(point);
        let (x, y) = (format!("{:.1}", x + offset.0), format!("{:.1}", y + offset.1));
        self.marks.push(html! { text class="note" text-anchor=(anchor) x=(x) y=(y) { (text) } });
        self
    }

    /// The chart.
    pub(super) fn render(&self) -> Markup {
        let (right, bottom) = (SIZE.0 - RIGHT, SIZE.1 - BOTTOM);
        let (title, description) = (format!("{}-title", self.id), format!("{}-desc", self.id));
        let middle = (LEFT + (right - LEFT) / 2.0, TOP + (bottom - TOP) / 2.0);
        html! {
            svg class="chart" id=(self.id) viewBox={ "0 0 " (SIZE.0) " " (SIZE.1) } role="img"
                aria-labelledby={ (title) " " (description) } {
                title id=(title) { (self.title) }
                desc id=(description) { (self.description) }
                g class="grid" {
                    @for (value, text) in self.x.ticks() {
                        @let x = format!("{:.1}", self.at((value, 0.0)).0);
                        path d={ "M" (x) " " (TOP) "V" (bottom) } {}
                        text x=(x) y=(bottom + 15.0) text-anchor="middle" { (text) }
                    }
                    @for (value, text) in self.y.ticks() {
                        @let y = self.at((0.0, value)).1;
                        path d={ "M" (LEFT) " " (format!("{y:.1}")) "H" (right) } {}
                        text x=(LEFT - 6.0) y=(format!("{:.1}", y + 3.5)) text-anchor="end" { (text) }
                    }
                }
                text class="axis" x=(middle.0) y=(SIZE.1 - 6.0) text-anchor="middle" { (self.x.label) }
                text class="axis" transform={ "translate(12 " (middle.1) ") rotate(-90)" }
                    text-anchor="middle" { (self.y.label) }
                @for mark in &self.marks { (mark) }
                path class="frame" d={ "M" (LEFT) " " (TOP) "V" (bottom) "H" (right) } {}
            }
        }
    }
}

/// A sample of a line or an area with its name, for the caption of a chart.
pub(super) fn key(class: &str, name: &str) -> Markup {
    html! {
        span class="key" {
            svg class="sample" viewBox="0 0 26 10" aria-hidden="true" {
                @if class.starts_with("area") {
                    path class=(class) d="M1 1H25V9H1Z" {}
                } @else {
                    path class={ "line " (class) } d="M1 5H25" {}
                }
            }
            (name)
        }
        (PreEscaped(" "))
    }
}

/// A bar in a table: the share of the longest.
pub(super) fn bar(share: f64) -> Markup {
    let width = format!("{:.1}", 100.0 * share.clamp(0.0, 1.0));
    html! {
        svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
            rect width=(width) height="8" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_few_and_inside() {
        for (low, high) in [(0.0, 1.0), (0.0, 3.7), (-2.3, 1.9), (0.0, 0.013), (0.0, 1e6)] {
            let axis = Axis { label: "", range: (low, high), percent: false };
            let ticks = axis.ticks();
            assert!((3..=10).contains(&ticks.len()), "{low} to {high}: {ticks:?}");
            let inside = |v: f64| v > low - 1e-9 * high && v < high + 1e-9 * high;
            assert!(ticks.iter().all(|(v, _)| inside(*v)), "{ticks:?}");
            let distinct: std::collections::BTreeSet<_> = ticks.iter().map(|t| &t.1).collect();
            assert_eq!(distinct.len(), ticks.len(), "{ticks:?}");
        }
        assert_eq!(Axis::up_to("", 3.7).range, (0.0, 4.0));
        assert_eq!(Axis::up_to("", 4.0).range, (0.0, 4.0));
        assert_eq!(Axis::up_to("", 0.0).range.0, 0.0);
    }

    #[test]
    fn marks_stay_in_the_frame_and_text_is_escaped() {
        let mut chart = Chart::new("c", "a<b", "d&e", Axis::shares("x"), Axis::shares("<y>"));
        chart.line("joint", [(-5.0, 0.0), (9.0, 9.0)]).dot("joint", (0.5, 0.5), "<i>");
        let svg = chart.render().into_string();
        assert!(svg.contains("M54.0 230.0L360.0 10.0"), "{svg}");
        for part in ["a&lt;b", "d&amp;e", "&lt;i&gt;"] {
            assert!(svg.contains(part), "{part} is missing in {svg}");
        }
        assert!(!svg.contains("<i>"), "{svg}");
    }
}
