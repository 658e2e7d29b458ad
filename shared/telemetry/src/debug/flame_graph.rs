//! A flame graph: the stacks of a profile drawn on top of each other, as wide as they were often. Names too long for their box are in
//! its tooltip.

use std::collections::BTreeMap;
use std::fmt::Write;

use pprof::Report;

const WIDTH: f64 = 1200.0;
const ROW: f64 = 16.0;
/// Room of a letter.
const LETTER: f64 = 7.0;
/// Letters of a name that a tooltip shows; types of futures go on for pages.
const NAME_MAX: usize = 100;
/// Narrower boxes are not drawn.
const WIDTH_MIN: f64 = 0.3;

/// The SVG of a report.
pub(super) fn draw(report: &Report) -> String {
    let stacks = report.data.iter().map(|(frames, count)| {
        let mut stack = vec![frames.thread_name_or_id()];
        let names = frames.frames.iter().rev().flatten().map(pprof::Symbol::name);
        stack.extend(names.filter(|name| !is_shim(name)));
        (stack, u64::try_from(*count).unwrap_or(0))
    });
    svg(&Node::of(stacks))
}

/// Whether a function only calls on: closures without a name, what catches panics and starts threads, and the layers of a runtime's
/// poll. They would double the graph's height. The protobuf has them.
fn is_shim(name: &str) -> bool {
    const NAMES: [&str; 22] = [
        "call",
        "call_mut",
        "call_once",
        "catch_unwind",
        "clone3",
        "do_call",
        "poll_future",
        "poll_inner",
        "run_inner",
        "set",
        "start_thread",
        "thread_start",
        "try_with",
        "with",
        "with_mut",
        "with_scheduler",
        "enter_runtime",
        "set_scheduler",
        "__rust_begin_short_backtrace",
        "in_place_scope",
        "map_or_else",
        "unwrap_or_else",
    ];
    let bare = name.split(['<', ':']).next().unwrap_or(name);
    NAMES.contains(&bare)
        || name.starts_with('{')
        || name.contains("FnOnce<()")
        || name.ends_with("::thread_start")
}

/// Samples by what they have in common from the root on.
#[derive(Debug, Default)]
struct Node {
    samples: u64,
    callees: BTreeMap<String, Node>,
}

impl Node {
    fn of(stacks: impl Iterator<Item = (Vec<String>, u64)>) -> Self {
        let mut root = Self::default();
        for (stack, samples) in stacks {
            root.samples += samples;
            let mut node = &mut root;
            for name in stack {
                node = node.callees.entry(name).or_default();
                node.samples += samples;
            }
        }
        root
    }

    fn depth(&self) -> u32 {
        1 + self.callees.values().map(Self::depth).max().unwrap_or(0)
    }
}

fn svg(root: &Node) -> String {
    let height = f64::from(root.depth()) * ROW;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"monospace\" \
         font-size=\"11\">\n"
    );
    let scale = WIDTH / (root.samples.max(1) as f64);
    let all = Box { name: "all", left: 0.0, bottom: height, scale, total: root.samples };
    all.draw(root, &mut svg);
    svg.push_str("</svg>\n");
    svg
}

/// Where a node is drawn.
struct Box<'n> {
    name: &'n str,
    left: f64,
    bottom: f64,
    /// Of a sample.
    scale: f64,
    total: u64,
}

impl Box<'_> {
    fn draw(&self, node: &Node, svg: &mut String) {
        let width = node.samples as f64 * self.scale;
        if width < WIDTH_MIN {
            return;
        }
        let (left, top) = (self.left, self.bottom - ROW);
        let percent = 100.0 * node.samples as f64 / self.total.max(1) as f64;
        let mut name = escaped(&self.name.chars().take(NAME_MAX).collect::<String>());
        if self.name.chars().nth(NAME_MAX).is_some() {
            name.push('…');
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 171")]
        let letters = (width / LETTER) as usize;
        let shown: String = self.name.chars().take(letters).collect();
        // A colour of its own that is the same in every graph.
        let hue =
            self.name.bytes().fold(7_u32, |hue, byte| hue.wrapping_mul(31).wrapping_add(byte.into())) % 50;
        let text = match letters {
            0..3 => String::new(),
            _ => format!("<text x=\"{:.1}\" y=\"{:.1}\">{}</text>", left + 2.0, top + 12.0, escaped(&shown)),
        };
        let written = writeln!(
            svg,
            "<g><title>{name}: {} samples, {percent:.1} %</title><rect x=\"{left:.1}\" y=\"{top:.1}\" \
             width=\"{width:.1}\" height=\"{:.1}\" fill=\"hsl({hue},80%,65%)\"/>{text}</g>",
            node.samples,
            ROW - 1.0,
        );
        written.expect("a String takes all that is written");
        let mut at = left;
        for (name, callee) in &node.callees {
            Box { name, left: at, bottom: top, ..*self }.draw(callee, svg);
            at += callee.samples as f64 * self.scale;
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_calls_on_is_left_out() {
        for shim in
            ["{closure#0}<a::b>", "call_once<(), a::{closure#1}>", "with_mut<a::Stage>", "start_thread"]
        {
            assert!(is_shim(shim), "{shim}");
        }
        for named in [
            "answer",
            "poll<spike_gateway::hot::listener::take>",
            "<a::B as core::fmt::Debug>::fmt",
            "spike_gateway::run",
        ] {
            assert!(!is_shim(named), "{named}");
        }
    }

    #[test]
    fn stacks_lie_on_what_they_have_in_common() {
        let stack = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let stacks = [(stack(&["t", "main", "<Vec<u8>>::a"]), 3), (stack(&["t", "main", "b"]), 1)];
        let root = Node::of(stacks.into_iter());
        assert_eq!((root.samples, root.depth(), root.callees["t"].callees["main"].samples), (4, 4, 4));
        let svg = svg(&root);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
        assert!(
            svg.contains("<title>&lt;Vec&lt;u8&gt;&gt;::a: 3 samples, 75.0 %</title><rect x=\"0.0\""),
            "{svg}"
        );
        assert!(
            svg.contains("<title>b: 1 samples, 25.0 %</title><rect x=\"900.0\" y=\"0.0\" width=\"300.0\""),
            "{svg}"
        );
        assert_eq!(svg.matches("<g>").count(), 5);
    }
}
