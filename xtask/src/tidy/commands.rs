//! Commands in documents: each `make` target is one of the Makefile, each `SPIKE_` variable one that is read.

use std::collections::BTreeSet;

use super::Fault;
use super::rules::Rules;
use super::tree::Tree;

/// Where every setting is listed with its variable.
const MANUAL: &str = "configs/default.toml";

/// Read, and no setting.
const OTHER_VARIABLES: [&str; 2] = ["SPIKE_CONFIG", "SPIKE_STACK"];

pub fn check(tree: &Tree, _: &Rules) -> Vec<Fault> {
    let text = |file: &str| tree.files.get(file).map_or("", |file| &file.text);
    let targets: BTreeSet<&str> =
        text("Makefile").lines().filter_map(|line| line.strip_prefix(".PHONY: ")).collect();
    let variables: BTreeSet<&str> =
        words(text(MANUAL)).filter(|word| word.starts_with("SPIKE_")).chain(OTHER_VARIABLES).collect();
    let mut faults = Vec::new();
    for (file, text) in tree.ending(".md") {
        for (line, code) in code(text) {
            let mut fault = |what| faults.push(Fault { file: file.to_owned(), line, what });
            for target in made(&code).filter(|target| !targets.contains(target)) {
                fault(format!("the Makefile has no target '{target}'"));
            }
            for variable in words(&code).filter(|word| word.starts_with("SPIKE_") && !word.ends_with('_')) {
                if !variables.contains(variable) && !variable.starts_with("SPIKE_TEST_") {
                    fault(format!("nothing reads the variable '{variable}'"));
                }
            }
        }
    }
    faults
}

/// Lines of code with their numbers: those of fenced blocks, and what stands between back quotes.
fn code(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut fenced = false;
    text.lines().enumerate().map(move |(at, line)| {
        fenced ^= line.trim_start().starts_with("```");
        let inline = || line.split('`').skip(1).step_by(2).collect::<Vec<_>>().join("\n");
        (at + 1, if fenced { line.to_owned() } else { inline() })
    })
}

/// What is made: the words after `make` at a command's beginning.
fn made(code: &str) -> impl Iterator<Item = &str> {
    let commands = code.lines().flat_map(|line| line.trim_start_matches("$ ").split("&&"));
    commands
        .filter_map(|command| command.trim().strip_prefix("make "))
        .filter_map(|rest| rest.split(' ').find(|word| !word.contains('=')))
        .map(|word| word.trim_end_matches([';', '&']))
        .filter(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::File;

    fn faults(document: &str) -> Vec<String> {
        let mut tree = Tree::default();
        let files = [
            ("Makefile", ".PHONY: up\nup: ## servers\n.PHONY: run\n"),
            (MANUAL, "# SPIKE_REDIS_URL: a URL\nurl = \"\"\n"),
            ("README.md", document),
        ];
        for (name, text) in files {
            let file = File { bytes: text.len() as u64, text: text.to_owned() };
            tree.files.insert(name.to_owned(), file);
        }
        check(&tree, &Rules::default()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_there_is_no_fault() {
        let document = "We make tea. `make up`, `SPIKE_REDIS_URL`, `SPIKE_*`, `SPIKE_TEST_STACK`.\n\
            ```sh\nmake up && make run &\nmake STACK=x run   # make it so\nSPIKE_CONFIG=x spike serve\n```\n";
        assert_eq!(faults(document), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_there_is_told_with_its_line() {
        assert_eq!(
            faults("`make upp`\n\n```sh\n$ make up && make tea\nSPIKE_REDIS=1 spike serve\n```\n"),
            [
                "README.md:1: the Makefile has no target 'upp'",
                "README.md:4: the Makefile has no target 'tea'",
                "README.md:5: nothing reads the variable 'SPIKE_REDIS'",
            ]
        );
    }
}
