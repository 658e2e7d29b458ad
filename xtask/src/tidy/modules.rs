//! Files of Rust that no crate has as a module: left behind, and never compiled.

use std::collections::{BTreeSet, VecDeque};

use super::Fault;
use super::rules::Rules;
use super::tree::Tree;

pub fn check(tree: &Tree, rules: &Rules) -> Vec<Fault> {
    let named = reached(tree);
    let strays = tree.ending(".rs").filter(|(file, _)| !named.contains(*file));
    let strays = strays.filter(|(file, _)| !rules.stray.modules.contains_key(*file));
    let fault = |(file, _): (&str, &str)| Fault {
        file: file.to_owned(),
        line: 0,
        what: "is a module of no crate".to_owned(),
    };
    strays.map(fault).collect()
}

/// Files that are reached from the root of a crate by `mod` and `#[path]`.
fn reached(tree: &Tree) -> BTreeSet<String> {
    let mut waiting: VecDeque<(String, bool)> = tree
        .ending(".rs")
        .filter(|(file, _)| is_root(file))
        .map(|(file, _)| (file.to_owned(), true))
        .collect();
    let mut named = BTreeSet::new();
    while let Some((file, root)) = waiting.pop_front() {
        if !named.insert(file.clone()) {
            continue;
        }
        let Some(parsed) = tree.files.get(&file).and_then(|found| syn::parse_file(&found.text).ok()) else {
            continue;
        };
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", &file));
        let own = if root || name == "mod.rs" {
            folder.to_owned()
        } else {
            file.trim_end_matches(".rs").to_owned()
        };
        let mut children = Vec::new();
        modules(&parsed.items, folder, &own, &mut children);
        waiting.extend(
            children.into_iter().filter(|child| tree.files.contains_key(child)).map(|child| (child, false)),
        );
    }
    named
}

/// Where the modules of `items` may lie; `own` is the folder for those without a path.
fn modules(items: &[syn::Item], folder: &str, own: &str, found: &mut Vec<String>) {
    for item in items {
        let syn::Item::Mod(module) = item else { continue };
        let name = module.ident.to_string();
        match (&module.content, path_of(&module.attrs)) {
            (Some((_, inner)), _) => modules(inner, folder, &format!("{own}/{name}"), found),
            (None, Some(path)) => found.push(join(folder, &path)),
            (None, None) => {
                found.extend([format!("{own}/{name}.rs"), format!("{own}/{name}/mod.rs")]);
            }
        }
    }
}

fn path_of(attributes: &[syn::Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

/// `path` seen from `folder`, with its `..` taken away.
pub fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether cargo takes the file for the root of a crate, by where it lies (or, for e2e, by what `spike/Cargo.toml` says).
fn is_root(file: &str) -> bool {
    let parts: Vec<&str> = file.rsplit('/').take(3).collect();
    match parts[..] {
        ["lib.rs" | "main.rs", "src", ..] | ["build.rs", ..] | ["main.rs", "it", "tests"] => true,
        [_, "bin", "src"] | [_, "fuzz_targets", ..] => true,
        [_, "benches" | "examples", _] => true,
        _ => file == "e2e/main.rs",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_crate_names_is_stray() {
        let tree = Tree::of(&[
            ("a/src/lib.rs", "mod b;\nmod c;\nmod inner { mod deep; }\n#[path = \"../other/d.rs\"]\nmod d;"),
            ("a/src/b.rs", "#[cfg(test)]\nmod tests;"),
            ("a/src/b/tests.rs", ""),
            ("a/src/c/mod.rs", "mod e;"),
            ("a/src/c/e.rs", ""),
            ("a/src/inner/deep.rs", ""),
            ("a/other/d.rs", ""),
            ("a/tests/it/main.rs", "mod f;"),
            ("a/tests/it/f.rs", ""),
            ("a/src/left.rs", ""),
            ("a/src/c/left.rs", ""),
        ]);
        let found: Vec<String> =
            check(&tree, &Rules::default()).into_iter().map(|fault| fault.file).collect();
        assert_eq!(found, ["a/src/c/left.rs", "a/src/left.rs"]);
    }
}
