//! Links of the documents: what they lead to is there, down to the heading.

use std::collections::BTreeSet;

use super::Fault;
use super::modules::join;
use super::rules::Rules;
use super::tree::Tree;

pub fn check(tree: &Tree, _: &Rules) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (file, text) in tree.ending(".md") {
        for (line, target) in links(text) {
            if let Err(why) = follow(tree, file, &target) {
                faults.push(Fault { file: file.to_owned(), line, what: format!("link '{target}': {why}") });
            }
        }
    }
    faults
}

fn follow(tree: &Tree, from: &str, target: &str) -> Result<(), String> {
    if ["http://", "https://", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
        return Ok(());
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let file = if path.is_empty() { from.to_owned() } else { join(folder, path) };
    if path.starts_with('/') || !tree.has(&file) {
        return Err("leads nowhere".to_owned());
    }
    let Some(anchor) = anchor else { return Ok(()) };
    let text = tree.files.get(&file).map_or("", |file| &file.text);
    let found = headings(text).contains(anchor);
    found.then_some(()).ok_or_else(|| format!("{file} has no such heading"))
}

/// Lines of a document outside of code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((at + 1, line))
    })
}

/// Targets of `[text](target)` outside of code, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, text) in prose(text) {
        // Of the pieces between back quotes every other one is code.
        let prose: String = text.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for (at, _) in prose.match_indices("](") {
            let Some((target, _)) = prose[at + 2..].split_once(')') else { continue };
            found.push((line, target.split(' ').next().unwrap_or(target).to_owned()));
        }
    }
    found
}

/// The anchors of a document's headings, as GitHub makes them.
fn headings(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text) {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let anchor = slug(title.trim());
        let mut unique = anchor.clone();
        for again in 1.. {
            if anchors.insert(unique.clone()) {
                break;
            }
            unique = format!("{anchor}-{again}");
        }
    }
    anchors
}

fn slug(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_a_file_and_to_a_heading() {
        let other = "# Dead letters\n## A `code`, and more!\n## Twice\n## Twice\n```\n# no heading\n```\n";
        for (link, good) in [
            ("docs/OTHER.md", true),
            ("docs", true),
            ("./docs/../docs/OTHER.md", true),
            ("docs/OTHER.md#dead-letters", true),
            ("docs/OTHER.md#a-code-and-more", true),
            ("docs/OTHER.md#twice-1", true),
            ("#here", true),
            ("https://example.org/x#y", true),
            ("docs/NONE.md", false),
            ("OTHER.md", false),
            ("/docs/OTHER.md", false),
            ("docs/OTHER.md#dead-letter", false),
            ("docs/OTHER.md#no-heading", false),
            ("docs/OTHER.md#twice-2", false),
            ("#there", false),
        ] {
            let text = format!("# Here\nSee [it]({link}).\n");
            let tree = Tree::of(&[("README.md", &text), ("docs/OTHER.md", other)]);
            let found = check(&tree, &Rules::default());
            assert_eq!(found.is_empty(), good, "{link}: {found:?}");
        }
    }

    #[test]
    fn code_has_no_links() {
        let text = "`[a](none)` and\n```\n[b](none)\n```\n[c](none) `x` [d](none)\n";
        let lines: Vec<usize> = links(text).into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [5, 5]);
    }
}
