//! Tests only. Every relative link of the documents leads to a file, and to a heading of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Tag};

use crate::problems::with_anchors;

/// Folders without documents of ours.
const SKIPPED: [&str; 5] = ["node_modules", "target", "build", "dist", "staging"];

/// What a document has.
#[derive(Default)]
struct Document {
    anchors: BTreeSet<String>,
    links: Vec<String>,
}

fn documents(folder: &Path, found: &mut BTreeMap<PathBuf, Document>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !SKIPPED.contains(&name.as_str()) {
            documents(&path, found);
        } else if path.extension().is_some_and(|end| end == "md") {
            let text = fs::read_to_string(&path).expect("a text");
            found.insert(path, read(&text));
        }
    }
}

fn read(text: &str) -> Document {
    let mut document = Document::default();
    for event in with_anchors(text) {
        match event {
            Event::Start(Tag::Heading { id: Some(id), .. }) => {
                // A heading that occurs twice has a number on the repository's page, which no link should rely on.
                document.anchors.insert(id.into_string());
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                document.links.push(dest_url.into_string());
            }
            _ => {}
        }
    }
    document
}

/// The path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} leaves the repository", path.display()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    let mut all = BTreeMap::new();
    documents(root, &mut all);
    assert!(all.contains_key(&root.join("docs/api.md")), "the documents are there");

    let mut broken = Vec::new();
    for (path, document) in &all {
        for link in document.links.iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { path.clone() } else { plain(&path.with_file_name(file)) };
            let has_anchor = || all.get(&file).is_some_and(|target| target.anchors.contains(anchor));
            if !file.exists() || !(anchor.is_empty() || has_anchor()) {
                broken.push(format!("{}: {link}", path.strip_prefix(root).unwrap_or(path).display()));
            }
        }
    }
    assert!(broken.is_empty(), "these links lead nowhere:\n{}", broken.join("\n"));
}
