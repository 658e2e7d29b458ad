//! Who knows whom: dependencies of packages, and paths inside them.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::Fault;
use super::rules::{Layer, Rules};
use super::tree::Tree;

pub fn check(tree: &Tree, rules: &Rules) -> Vec<Fault> {
    let mut faults = packages(tree, rules);
    faults.extend(apart(tree, rules));
    faults
}

/// The packages of ours, by the name that dependents write.
struct Ours(BTreeMap<String, String>);

impl Ours {
    fn of(rules: &Rules, manifests: &BTreeMap<String, toml::Table>) -> Self {
        let named = rules.layers.keys().filter_map(|folder| {
            let name = manifests.get(folder)?.get("package")?.get("name")?.as_str()?;
            Some((name.to_owned(), folder.clone()))
        });
        Self(named.collect())
    }

    /// Whether a row's word covers the package in `folder`.
    fn covers(word: &str, folder: &str) -> bool {
        let last = folder.rsplit('/').next().unwrap_or(folder);
        word == last || (word == "shared" && folder.starts_with("shared/"))
    }
}

fn packages(tree: &Tree, rules: &Rules) -> Vec<Fault> {
    let manifests: BTreeMap<String, toml::Table> = tree
        .ending("/Cargo.toml")
        .filter_map(|(file, text)| Some((file.strip_suffix("/Cargo.toml")?.to_owned(), text.parse().ok()?)))
        .collect();
    let ours = Ours::of(rules, &manifests);
    let mut faults = Vec::new();
    let members = tree.files.get("Cargo.toml").and_then(|file| file.text.parse::<toml::Table>().ok());
    let members = members.as_ref().and_then(|root| root.get("workspace")?.get("members")?.as_array());
    for member in members.into_iter().flatten().filter_map(toml::Value::as_str) {
        if !rules.layers.contains_key(member) {
            let what = format!("the package {member} has no row in xtask/tidy.toml");
            faults.push(Fault { file: "Cargo.toml".to_owned(), line: 0, what });
        }
    }
    for (folder, layer) in &rules.layers {
        let file = format!("{folder}/Cargo.toml");
        let Some(manifest) = manifests.get(folder) else {
            let what = format!("{folder} is in xtask/tidy.toml and has no Cargo.toml");
            faults.push(Fault { file, line: 0, what });
            continue;
        };
        for (table, dependency) in dependencies(manifest) {
            let Some(known) = ours.0.get(dependency) else { continue };
            if !may(layer, table, known) {
                let what = format!("{folder} must not know {known} ([{table}] {dependency})");
                faults.push(Fault { file: file.clone(), line: 0, what });
            }
        }
    }
    faults
}

fn dependencies(manifest: &toml::Table) -> impl Iterator<Item = (&'static str, &str)> {
    ["dependencies", "build-dependencies", "dev-dependencies"].into_iter().flat_map(|table| {
        let named = manifest.get(table).and_then(toml::Value::as_table);
        named.into_iter().flat_map(move |named| named.keys().map(move |name| (table, name.as_str())))
    })
}

fn may(layer: &Layer, table: &str, known: &str) -> bool {
    let tests = layer.tests.iter().filter(|_| table == "dev-dependencies");
    layer.knows.iter().chain(tests).any(|word| Ours::covers(word, known))
}

fn apart(tree: &Tree, rules: &Rules) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (file, text) in tree.ending(".rs") {
        let nevers: Vec<&str> = rules
            .apart
            .iter()
            .filter(|apart| file.strip_prefix(&apart.files).is_some_and(|rest| rest.starts_with(['/', '.'])))
            .map(|apart| &*apart.never)
            .collect();
        let (false, Ok(parsed)) = (nevers.is_empty(), syn::parse_file(text)) else { continue };
        let mut paths = Paths { module: module_of(file), found: BTreeSet::new() };
        paths.visit_file(&parsed);
        for (path, line) in paths.found {
            if let Some(never) = nevers.iter().find(|never| within(&path, never)) {
                faults.push(Fault {
                    file: file.to_owned(),
                    line,
                    what: format!("names {path}, must not know {never}"),
                });
            }
        }
    }
    faults
}

fn within(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// `gateway/src/hot/line.rs` is `crate::hot::line`.
fn module_of(file: &str) -> Vec<String> {
    let inside = file.split_once("src/").map_or(file, |(_, inside)| inside).trim_end_matches(".rs");
    let parts = inside.split('/').filter(|part| !["mod", "lib", "main"].contains(part));
    std::iter::once("crate").chain(parts).map(str::to_owned).collect()
}

/// Every path that a file names, from `crate` on.
struct Paths {
    module: Vec<String>,
    found: BTreeSet<(String, usize)>,
}

impl Paths {
    /// A path as it is written; those that begin elsewhere than in this crate are of no interest.
    fn add(&mut self, parts: &[String], line: usize) {
        let mut base = match parts.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self" | "super") => self.module.clone(),
            _ => return,
        };
        for part in parts {
            match part.as_str() {
                "self" => {}
                "super" => drop(base.pop()),
                part => base.push(part.to_owned()),
            }
        }
        self.found.insert((base.join("::"), line));
    }

    fn tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.add(&with(&name.ident), name.ident.span().start().line),
            syn::UseTree::Rename(name) => self.add(&with(&name.ident), name.ident.span().start().line),
            syn::UseTree::Glob(star) => self.add(before, star.star_token.spans[0].start().line),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(before, item)),
        }
    }

    /// What a macro is given is not parsed: its words are read in a row.
    fn tokens(&mut self, tokens: TokenStream) {
        let (mut parts, mut line) = (Vec::new(), 0);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if parts.is_empty() {
                        line = ident.span().start().line;
                    }
                    parts.push(ident.to_string());
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {}
                TokenTree::Group(group) => {
                    self.add(&std::mem::take(&mut parts), line);
                    self.tokens(group.stream());
                }
                _ => self.add(&std::mem::take(&mut parts), line),
            }
        }
        self.add(&parts, line);
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.add(&parts, path.segments[0].ident.span().start().line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::Apart;
    use super::*;

    fn rules() -> Rules {
        let row = |knows: &[&str], tests: &[&str]| Layer {
            knows: knows.iter().map(|&word| word.to_owned()).collect(),
            tests: tests.iter().map(|&word| word.to_owned()).collect(),
        };
        Rules {
            layers: [
                ("shared/domain".to_owned(), row(&[], &[])),
                ("gateway".to_owned(), row(&["shared"], &["worker"])),
                ("worker".to_owned(), row(&["domain"], &[])),
            ]
            .into(),
            apart: vec![Apart { files: "gateway/src/hot".to_owned(), never: "crate::control".to_owned() }],
            ..Rules::default()
        }
    }

    fn whats(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files), &rules()).iter().map(ToString::to_string).collect()
    }

    fn package(name: &str, more: &str) -> String {
        format!("[package]\nname = \"{name}\"\n{more}")
    }

    #[test]
    fn a_dependency_that_no_row_allows_is_a_fault() {
        let [domain, gateway] = [package("domain", ""), package("gateway", "[dependencies]\ndomain = {}\n")];
        let with = |domain: &str, worker: &str, gateway: &str| {
            whats(&[
                ("Cargo.toml", "[workspace]\nmembers = [\"gateway\"]"),
                ("shared/domain/Cargo.toml", domain),
                ("worker/Cargo.toml", worker),
                ("gateway/Cargo.toml", gateway),
            ])
        };
        let worker = package("worker", "[dependencies]\ndomain = {}\n");
        assert!(with(&domain, &worker, &gateway).is_empty());
        let tests = format!("{gateway}[dev-dependencies]\nworker = {{}}\n");
        assert!(with(&domain, &worker, &tests).is_empty());
        let knowing = package("domain", "[dev-dependencies]\ngateway = {}\n");
        assert_eq!(
            with(&knowing, &worker, &package("gateway", "[dependencies]\nworker = {}\n")),
            [
                "gateway/Cargo.toml: gateway must not know worker ([dependencies] worker)",
                "shared/domain/Cargo.toml: shared/domain must not know gateway ([dev-dependencies] gateway)",
            ]
        );
    }

    #[test]
    fn a_member_without_a_row_and_a_row_without_a_member_are_faults() {
        let found = whats(&[("Cargo.toml", "[workspace]\nmembers = [\"new\"]")]);
        assert!(
            found.iter().any(|fault| fault == "Cargo.toml: the package new has no row in xtask/tidy.toml")
        );
        assert_eq!(found.len(), 4, "{found:?}");
    }

    #[test]
    fn a_path_to_the_other_side_is_found_however_it_is_written() {
        for text in [
            "use crate::control::x;",
            "use crate::{hot, control};",
            "use crate::control as c;",
            "use crate::control::*;",
            "use super::super::control;",
            "use super::{super::control::x};",
            "fn f() { crate::control::x(); }",
            "fn f() -> super::super::control::X { x }",
            "fn f() { println!(\"{}\", crate::control::x()); }",
            "fn f() { let x: Vec<crate::control::X> = y; }",
            "mod inner { use super::super::super::control; }",
        ] {
            let (tree, rules) = (Tree::of(&[("gateway/src/hot/line.rs", text)]), rules());
            let found = apart(&tree, &rules);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
        }
        for text in ["use crate::controls;", "use super::control;", "use other::control;", "fn control() {}"]
        {
            assert!(apart(&Tree::of(&[("gateway/src/hot/line.rs", text)]), &rules()).is_empty(), "{text}");
        }
        let elsewhere = Tree::of(&[("gateway/src/bridge.rs", "use crate::control;")]);
        assert!(apart(&elsewhere, &rules()).is_empty());
    }
}
