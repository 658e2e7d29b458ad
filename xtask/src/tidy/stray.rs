//! Files that do not belong into the tree: leftovers of editors and merges, the unknown in the root, the huge, the empty.

use super::Fault;
use super::rules::Rules;
use super::tree::Tree;

pub fn check(tree: &Tree, rules: &Rules) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, file) in &tree.files {
        let mut fault = |what: String| faults.push(Fault { file: name.clone(), line: 0, what });
        let first = name.split('/').next().unwrap_or(name);
        if !rules.stray.root.iter().any(|known| known == first) {
            fault(format!("'{first}' is nothing that lies in the root"));
        }
        if let Some(end) = rules.stray.ends.iter().find(|end| name.ends_with(&***end)) {
            fault(format!("no file ends in '{end}'"));
        }
        if file.bytes > rules.stray.bytes {
            fault(format!("{} bytes, at most {}", file.bytes, rules.stray.bytes));
        }
        // An empty seed is a seed: that of no input.
        if file.bytes == 0 && !name.starts_with("fuzz/seeds/") {
            fault("is empty".to_owned());
        }
        let conflict = file
            .text
            .lines()
            .position(|line| ["<<<<<<<", ">>>>>>>"].iter().any(|mark| line.starts_with(mark)));
        if let Some(line) = conflict {
            faults.push(Fault {
                file: name.clone(),
                line: line + 1,
                what: "a merge that was not ended".to_owned(),
            });
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_belong_is_named() {
        let mut rules = Rules::default();
        rules.stray.root = vec!["a".to_owned()];
        rules.stray.ends = vec![".orig".to_owned()];
        rules.stray.bytes = 30;
        let merge = format!("x\n{} ours\n", "<".repeat(7));
        let tree = Tree::of(&[
            ("a/fine", "x"),
            ("a/b.orig", "x"),
            ("a/empty", ""),
            ("a/huge", &"x".repeat(31)),
            ("a/merge", &merge),
            ("notes", "x"),
        ]);
        let found: Vec<String> = check(&tree, &rules).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "a/b.orig: no file ends in '.orig'",
                "a/empty: is empty",
                "a/huge: 31 bytes, at most 30",
                "a/merge:2: a merge that was not ended",
                "notes: 'notes' is nothing that lies in the root",
            ]
        );
    }
}
