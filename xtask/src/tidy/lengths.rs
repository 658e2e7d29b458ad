//! Lengths of functions and files, and the head that each file of Rust has.

use std::collections::BTreeSet;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Fault;
use super::rules::Rules;
use super::tree::Tree;

pub fn check(tree: &Tree, rules: &Rules) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (mut longer, mut longer_files) = (BTreeSet::new(), BTreeSet::new());
    for (file, text) in tree.ending(".rs") {
        let lines = text.lines().count();
        let mut fault = |line, what: String| faults.push(Fault { file: file.to_owned(), line, what });
        if lines > rules.length.file {
            longer_files.insert(file.to_owned());
            if !rules.length.files.contains_key(file) {
                fault(0, format!("{lines} lines, at most {}", rules.length.file));
            }
        }
        if !text.trim_start().starts_with("//!") && !is_test_file(file) {
            fault(1, "no //! that says what this file is".to_owned());
        }
        let Ok(parsed) = syn::parse_file(text) else {
            fault(0, "no Rust that can be read".to_owned());
            continue;
        };
        let mut functions = Functions { in_tests: is_test_file(file), found: Vec::new() };
        functions.visit_file(&parsed);
        for Function { name, line, lines, test } in functions.found {
            let most = if test { rules.length.test_function } else { rules.length.function };
            let key = format!("{file} {name}");
            if lines > most {
                if !rules.length.functions.contains_key(&key) {
                    fault(line, format!("function {name} has {lines} lines, at most {most}"));
                }
                longer.insert(key);
            }
        }
    }
    let listed = rules.length.functions.keys().filter(|key| !longer.contains(*key));
    let listed = listed.chain(rules.length.files.keys().filter(|file| !longer_files.contains(*file)));
    faults.extend(listed.map(|key| Fault {
        file: "xtask/tidy.toml".to_owned(),
        line: 0,
        what: format!("'{key}' is listed and not too long, or not there"),
    }));
    faults
}

/// Whether all of a file is compiled for tests only.
fn is_test_file(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    file.starts_with("e2e/") || file.contains("/tests/") || name == "tests.rs" || name.ends_with("_tests.rs")
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
    test: bool,
}

struct Functions {
    in_tests: bool,
    found: Vec<Function>,
}

impl Functions {
    fn add(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let (first, last) = (signature.span().start().line, block.span().end().line);
        let (name, lines) = (signature.ident.to_string(), last - first + 1);
        self.found.push(Function { name, line: first, lines, test: self.in_tests });
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let before = self.in_tests;
        self.in_tests |= module.attrs.iter().any(only_for_tests);
        visit::visit_item_mod(self, module);
        self.in_tests = before;
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.add(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

fn only_for_tests(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let mut rules = Rules::default();
        (rules.length.function, rules.length.test_function, rules.length.file) = (3, 5, 20);
        rules
    }

    fn function(name: &str, lines: usize) -> String {
        format!("fn {name}() {{\n{}}}\n", "    ();\n".repeat(lines - 2))
    }

    fn whats(files: &[(&str, &str)], rules: &Rules) -> Vec<String> {
        check(&Tree::of(files), rules).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_too_long_is_named_with_its_line() {
        let inner = format!("struct S;\nimpl S {{\n{}}}\n", function("inner", 4));
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function("patient", 5));
        let text = format!("//! Head.\n{}{}{inner}", function("short", 3), function("long", 4));
        assert_eq!(
            whats(&[("a.rs", &text), ("b.rs", &format!("//! Head.\n{tests}"))], &rules()),
            [
                "a.rs:5: function long has 4 lines, at most 3",
                "a.rs:11: function inner has 4 lines, at most 3"
            ]
        );
        let long = format!("//! Head.\n{}", "// x\n".repeat(20));
        assert_eq!(whats(&[("a.rs", &long)], &rules()), ["a.rs: 21 lines, at most 20"]);
        assert_eq!(whats(&[("a.rs", "fn f() {}")], &rules()), ["a.rs:1: no //! that says what this file is"]);
    }

    #[test]
    fn a_listed_function_may_be_long_and_must_be() {
        let mut rules = rules();
        rules.length.functions.insert("a.rs long".to_owned(), "a table".to_owned());
        let text = |lines| format!("//! Head.\n{}", function("long", lines));
        assert!(whats(&[("a.rs", &text(9))], &rules).is_empty());
        assert_eq!(whats(&[("a.rs", &text(3))], &rules).len(), 1, "a list that nobody needs grows for ever");
    }
}
