//! Line charts as inline SVG. Colours come from the page's classes `s0` to `s7`, so that they follow light and dark.

use std::fmt::Write as _;

use super::html::escape;
use super::number::{measure, tick};
use super::scale::{Axis, Scale};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 250.0;
/// Room for the axes' names and numbers.
const LEFT: f64 = 72.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 40.0;
/// The classes there are; further lines take the same ones, dashed.
const COLOURS: usize = 8;

/// A chart over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// What the values are, with their unit.
    pub unit: String,
    /// The axis of the values.
    pub scale: Scale,
    /// The end of the axis of time, which begins at 0; seconds.
    pub seconds: f64,
    /// The lines, in the order of the legend.
    pub lines: Vec<Line>,
}

/// One line of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it is called.
    pub name: String,
    /// Seconds and value, in the order of time. A value that is not a number, or not above zero on a logarithmic axis,
    /// is a gap.
    pub points: Vec<(f64, f64)>,
}

impl Chart {
    /// The most points drawn of a line. Of more the lowest and the highest of each part are kept, which looks the same.
    pub const POINTS_MAX: usize = 1200;

    /// Whether there is anything to draw.
    pub fn is_empty(&self) -> bool {
        let drawn = |value: f64| value.is_finite() && (self.scale == Scale::Linear || value > 0.0);
        !self.lines.iter().flat_map(|line| &line.points).any(|(_, value)| drawn(*value))
    }

    /// A `<figure>` with title, legend and drawing.
    pub fn svg(&self) -> String {
        let values = self.lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value);
        let plot = Plot { time: Axis::time(self.seconds), values: Axis::over(self.scale, values) };
        let mut text = format!("<figure><figcaption>{}</figcaption>{}", escape(&self.title), self.legend());
        let _ = write!(
            text,
            r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#,
            escape(&format!("{}, {}", self.title, self.unit))
        );
        plot.value_axis(&mut text, &self.unit, self.scale);
        plot.time_axis(&mut text);
        for (at, line) in self.lines.iter().enumerate() {
            plot.line(&mut text, at, line);
        }
        text.push_str("</svg></figure>\n");
        text
    }

    fn legend(&self) -> String {
        let mut text = r#"<ul class="legend">"#.to_owned();
        for (at, line) in self.lines.iter().enumerate() {
            let _ = write!(text, r#"<li><i class="{}"></i>{}</li>"#, class(at), escape(&line.name));
        }
        text.push_str("</ul>");
        text
    }
}

fn class(at: usize) -> String {
    let dashed = if at >= COLOURS { " dashed" } else { "" };
    format!("s{}{dashed}", at % COLOURS)
}

struct Plot {
    time: Axis,
    values: Axis,
}

impl Plot {
    fn x(&self, seconds: f64) -> Option<f64> {
        Some(LEFT + self.time.place(seconds)? * (WIDTH - LEFT - RIGHT))
    }

    fn y(&self, value: f64) -> Option<f64> {
        Some(HEIGHT - BOTTOM - self.values.place(value)? * (HEIGHT - TOP - BOTTOM))
    }

    fn value_axis(&self, text: &mut String, unit: &str, scale: Scale) {
        let (right, name_x) = (WIDTH - RIGHT, LEFT - 6.0);
        for value in self.values.ticks() {
            let Some(y) = self.y(value) else { continue };
            let name = if scale == Scale::Log { measure(value) } else { tick(value, self.values.step) };
            let _ = write!(text, r#"<path class="grid" d="M{LEFT} {y:.1}H{right}"/>"#);
            let _ = write!(text, r#"<text class="y" x="{name_x:.0}" y="{:.1}">{name}</text>"#, y + 4.0);
        }
        let middle = f64::midpoint(TOP, HEIGHT - BOTTOM);
        let unit = escape(unit);
        let turned = format!("translate(14 {middle:.0}) rotate(-90)");
        let _ = write!(text, r#"<text class="x" transform="{turned}">{unit}</text>"#);
    }

    fn time_axis(&self, text: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for seconds in self.time.ticks() {
            let Some(x) = self.x(seconds) else { continue };
            let name = tick(seconds, self.time.step);
            let _ = write!(text, r#"<path class="axis" d="M{x:.1} {bottom}v4"/>"#);
            let _ = write!(text, r#"<text class="x" x="{x:.1}" y="{:.0}">{name}</text>"#, bottom + 17.0);
        }
        let (middle, low) = (f64::midpoint(LEFT, right), HEIGHT - 6.0);
        let _ = write!(text, r#"<path class="axis" d="M{LEFT} {bottom}H{right}"/>"#);
        let _ = write!(text, r#"<text class="x" x="{middle:.0}" y="{low:.0}">seconds</text>"#);
    }

    /// The line in pieces between its gaps; a piece of one point is a dot.
    fn line(&self, text: &mut String, at: usize, line: &Line) {
        let places: Vec<Option<(f64, f64)>> = thin(&line.points, Chart::POINTS_MAX)
            .into_iter()
            .map(|(seconds, value)| Some((self.x(seconds)?, self.y(value)?)))
            .collect();
        let _ = write!(text, r#"<g class="{}"><title>{}</title>"#, class(at), escape(&line.name));
        for piece in places.split(Option::is_none) {
            if let [Some((x, y))] = piece {
                let _ = write!(text, r#"<circle cx="{x:.1}" cy="{y:.1}" r="2.5"/>"#);
            } else if !piece.is_empty() {
                let points: Vec<String> =
                    piece.iter().flatten().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
                let _ = write!(text, r#"<polyline points="{}"/>"#, points.join(" "));
            }
        }
        text.push_str("</g>");
    }
}

/// At most `most` points with the same extremes: of each part of the line the lowest and the highest, or its gap.
fn thin(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    if points.len() <= most {
        return points.to_vec();
    }
    let size = points.len().div_ceil(most / 2);
    let mut kept = Vec::with_capacity(most);
    for part in points.chunks(size) {
        let numbers = || (0..part.len()).filter(|at| part[*at].1.is_finite());
        let by_value = |one: &usize, two: &usize| part[*one].1.total_cmp(&part[*two].1);
        match (numbers().min_by(by_value), numbers().max_by(by_value)) {
            (Some(low), Some(high)) => {
                kept.push(part[low.min(high)]);
                if low != high {
                    kept.push(part[low.max(high)]);
                }
            }
            _ => kept.push(part[0]),
        }
    }
    kept
}

#[cfg(test)]
#[path = "chart_tests.rs"]
mod tests;
