//! The modules of a crate, and the modules that their paths lead to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Item, ItemMod, ItemUse, Meta, UseTree, spanned::Spanned, visit::Visit};

/// A path that leads to another module of the crate.
#[derive(Debug)]
pub(super) struct Use {
    pub(super) from_file: String,
    pub(super) from_room: String,
    pub(super) line: usize,
    pub(super) path: String,
    pub(super) to_file: String,
    pub(super) to_room: String,
    /// True if the path names an item at the crate's root.
    pub(super) through_root: bool,
    /// True if a part of a module names a definition of the module itself.
    pub(super) of_parent: bool,
}

/// A crate's modules, by their paths; the root's is empty.
pub(super) struct Crate {
    modules: BTreeMap<Vec<String>, Module>,
}

#[derive(Default)]
struct Module {
    file: String,
    children: BTreeSet<String>,
    /// The imported names, with the path of each.
    imports: BTreeMap<String, Vec<String>>,
    /// The modules whose public names are all imported.
    globs: Vec<Vec<String>>,
    /// Every path in the module's text, as it is written.
    paths: Vec<Written>,
}

struct Written {
    segments: Vec<String>,
    line: usize,
    /// True if the path only passes an item on: `pub use`.
    re_export: bool,
}

impl Crate {
    /// Reads `<root>/<package>/src`.
    pub(super) fn read(root: &Path, package: &str) -> Result<Self> {
        let mut krate = Crate {
            modules: BTreeMap::new(),
        };
        let file = Path::new(package).join("src/lib.rs");
        krate.read_file(root, Vec::new(), &file)?;
        Ok(krate)
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = &str> {
        let root = self.modules.get([].as_slice());
        root.into_iter()
            .flat_map(|root| root.children.iter().map(String::as_str))
    }

    fn read_file(&mut self, root: &Path, at: Vec<String>, file: &Path) -> Result<()> {
        let text = fs::read_to_string(root.join(file))
            .with_context(|| format!("cannot read {}", file.display()))?;
        let parsed =
            syn::parse_file(&text).with_context(|| format!("cannot parse {}", file.display()))?;
        let is_folder = at.is_empty() || file.ends_with("mod.rs");
        let folder = match (file.parent(), file.file_stem()) {
            (Some(parent), _) if is_folder => parent.to_owned(),
            (Some(parent), Some(stem)) => parent.join(stem),
            _ => PathBuf::new(),
        };
        self.read_items(root, at, file, &folder, &parsed.items)
    }

    fn read_items(
        &mut self,
        root: &Path,
        at: Vec<String>,
        file: &Path,
        folder: &Path,
        items: &[Item],
    ) -> Result<()> {
        let mut module = Module {
            file: file.to_string_lossy().into_owned(),
            ..Module::default()
        };
        let mut inner = Vec::new();
        for item in items {
            match item {
                Item::Mod(child) if !is_test(&child.attrs) => {
                    module.children.insert(child.ident.to_string());
                    inner.push(child);
                }
                Item::Mod(_) => {}
                other => module.visit_item(other),
            }
        }
        self.modules.insert(at.clone(), module);
        for child in inner {
            self.read_child(root, &at, file, folder, child)?;
        }
        Ok(())
    }

    fn read_child(
        &mut self,
        root: &Path,
        at: &[String],
        file: &Path,
        folder: &Path,
        child: &ItemMod,
    ) -> Result<()> {
        let name = child.ident.to_string();
        let path = [at, std::slice::from_ref(&name)].concat();
        if let Some((_, items)) = &child.content {
            return self.read_items(root, path, file, &folder.join(name), items);
        }
        let candidates = [
            folder.join(format!("{name}.rs")),
            folder.join(&name).join("mod.rs"),
        ];
        let found = candidates.iter().find(|path| root.join(path).exists());
        let found = found.with_context(|| format!("{}: no file for `{name}`", file.display()))?;
        self.read_file(root, path, found)
    }

    /// Returns every path from one file to another, and from one room to another.
    pub(super) fn uses(&self) -> Vec<Use> {
        let mut uses = Vec::new();
        for (at, module) in &self.modules {
            let Some(room) = at.first() else { continue };
            for written in &module.paths {
                let Some(path) = self.absolute(at, &written.segments) else {
                    continue;
                };
                let Some(to) = self.resolve(&path, 0) else {
                    continue;
                };
                let own = written.re_export && to.starts_with(at);
                let through_root = path.len() == 1 && to.first() != path.first();
                let target = &self.modules[&to];
                if own
                    || (target.file == module.file && !through_root)
                    || to.is_empty() && !through_root
                {
                    continue;
                }
                uses.push(Use {
                    from_file: module.file.clone(),
                    from_room: room.clone(),
                    line: written.line,
                    path: written.segments.join("::"),
                    to_file: target.file.clone(),
                    to_room: to.first().cloned().unwrap_or_default(),
                    through_root,
                    of_parent: at.starts_with(&to),
                });
            }
        }
        uses
    }

    /// Returns the path from the crate's root; `None` for one that leads out of the crate.
    fn absolute(&self, at: &[String], segments: &[String]) -> Option<Vec<String>> {
        let mut base = at.to_vec();
        let mut rest = segments;
        match segments.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    base.pop()?;
                    rest = &rest[1..];
                }
            }
            first if self.modules.get(at)?.children.contains(first) => {}
            _ => return None,
        }
        Some([base, rest.to_vec()].concat())
    }

    /// Returns the module that defines a path's item, past all re-exports.
    fn resolve(&self, path: &[String], depth: usize) -> Option<Vec<String>> {
        /// More re-exports of re-exports than any crate has.
        const MOST: usize = 16;
        if depth > MOST {
            return None;
        }
        let mut at: Vec<String> = Vec::new();
        for (index, segment) in path.iter().enumerate() {
            let module = self.modules.get(&at)?;
            if module.children.contains(segment) {
                at.push(segment.clone());
                continue;
            }
            if let Some(import) = module.imports.get(segment) {
                let import = self.absolute(&at, import)?;
                let rest = [import, path[index + 1..].to_vec()].concat();
                return self.resolve(&rest, depth + 1);
            }
            for glob in &module.globs {
                let Some(glob) = self.absolute(&at, glob) else {
                    continue;
                };
                let target = self.modules.get(&glob);
                if target.is_some_and(|target| target.imports.contains_key(segment)) {
                    let rest = [glob, path[index..].to_vec()].concat();
                    return self.resolve(&rest, depth + 1);
                }
            }
            return Some(at);
        }
        Some(at)
    }
}

impl Module {
    fn import(&mut self, tree: &UseTree, prefix: &[String], re_export: bool) {
        let with = |name: String| [prefix, &[name]].concat();
        match tree {
            UseTree::Path(path) => {
                self.import(&path.tree, &with(path.ident.to_string()), re_export);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, prefix, re_export);
                }
            }
            UseTree::Name(name) if name.ident == "self" => {
                let last = prefix.last().cloned().unwrap_or_default();
                self.imported(last, prefix.to_vec(), name.span(), re_export);
            }
            UseTree::Name(name) => {
                let ident = name.ident.to_string();
                self.imported(ident.clone(), with(ident), name.span(), re_export);
            }
            UseTree::Rename(rename) => {
                let path = with(rename.ident.to_string());
                self.imported(rename.rename.to_string(), path, rename.span(), re_export);
            }
            UseTree::Glob(glob) => {
                self.globs.push(prefix.to_vec());
                self.paths.push(Written {
                    segments: prefix.to_vec(),
                    line: glob.span().start().line,
                    re_export,
                });
            }
        }
    }

    fn imported(
        &mut self,
        name: String,
        path: Vec<String>,
        span: proc_macro2::Span,
        re_export: bool,
    ) {
        self.paths.push(Written {
            segments: path.clone(),
            line: span.start().line,
            re_export,
        });
        self.imports.insert(name, path);
    }

    /// Finds the paths in the tokens of a macro call, which are not parsed.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) if first == "crate" || first == "super" => {
                    let mut segments = vec![first.to_string()];
                    loop {
                        let mut colons = 0;
                        while matches!(tokens.peek(), Some(TokenTree::Punct(p)) if p.as_char() == ':')
                        {
                            tokens.next();
                            colons += 1;
                        }
                        match tokens.peek() {
                            Some(TokenTree::Ident(segment)) if colons == 2 => {
                                segments.push(segment.to_string());
                                tokens.next();
                            }
                            _ => break,
                        }
                    }
                    self.paths.push(Written {
                        segments,
                        line: first.span().start().line,
                        re_export: false,
                    });
                }
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let re_export = !matches!(item.vis, syn::Visibility::Inherited);
        self.import(&item.tree, &[], re_export);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        self.paths.push(Written {
            segments: segments.collect(),
            line: path.span().start().line,
            re_export: false,
        });
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
    }

    /// Skips attributes, which hold documentation and other macros' arguments.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        _ => &[],
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            condition == "test" || condition == "doctest" || condition.starts_with("all (test")
        }
        _ => false,
    })
}
