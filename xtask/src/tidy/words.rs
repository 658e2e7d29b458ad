//! Open ends: a mark that something is to be done names the issue that says so.

use super::Fault;
use super::rules::Rules;
use super::tree::Tree;

/// In two parts, or this file would be full of them.
const MARKS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

pub fn check(tree: &Tree, _: &Rules) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, file) in tree.files.iter().filter(|(name, _)| *name != "Cargo.lock") {
        for (at, line) in file.text.lines().enumerate() {
            if let Some(mark) = MARKS.iter().find(|mark| open_end(line, mark)) {
                let what = format!("{mark} without an issue; write {mark}(#123)");
                faults.push(Fault { file: name.clone(), line: at + 1, what });
            }
        }
    }
    faults
}

/// Whether `mark` stands in `line` as a word of its own, without `(#<number>)` behind it.
fn open_end(line: &str, mark: &str) -> bool {
    line.match_indices(mark).any(|(at, _)| {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let (before, after) = (&line[..at], &line[at + mark.len()..]);
        if before.ends_with(word) || after.starts_with(word) {
            return false;
        }
        let issue = after.strip_prefix("(#").and_then(|rest| rest.split_once(')'));
        !issue
            .is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_names_its_issue() {
        let mark = MARKS[0];
        for (line, open) in [
            (format!("// {mark}: later"), true),
            (format!("// {mark}(someone): later"), true),
            (format!("// {mark}(#): later"), true),
            (format!("// {mark}(#12): later"), false),
            (format!("let {mark}S = 1;"), false),
            (format!("MY_{mark}"), false),
            (format!("{mark}(#1) and {mark}"), true),
            ("// later".to_owned(), false),
        ] {
            let found = check(&Tree::of(&[("a", &line)]), &Rules::default());
            assert_eq!(found.len(), usize::from(open), "{line}");
        }
    }
}
