//! The Worker's page of problems, `/problems`: docs/problems.md as HTML. The `type` of each error names a section of it.

use std::fs;

use anyhow::{Context as _, Result};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use crate::workspace::Workspace;

const STYLE: &str = include_str!("problems.css");

/// The files of the page, below the static assets.
pub fn assets(workspace: &Workspace) -> Result<[(&'static str, String); 2]> {
    let source = workspace.root.join("docs/problems.md");
    let markdown = fs::read_to_string(&source).with_context(|| format!("{} cannot be read", source.display()))?;
    Ok([("problems.html", page(&markdown)), ("problems/page.css", STYLE.to_owned())])
}

/// The page.
fn page(markdown: &str) -> String {
    let mut body = String::new();
    html::push_html(&mut body, with_anchors(markdown).into_iter());
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Problems: wix-edge</title>\n\
         <link rel=\"stylesheet\" href=\"/problems/page.css\">\n<main>\n{body}</main>\n</html>\n"
    )
}

/// The document, in which each heading has the anchor that it has on a page of the repository.
pub fn with_anchors(markdown: &str) -> Vec<Event<'_>> {
    let mut events: Vec<Event> = Parser::new_ext(markdown, Options::ENABLE_TABLES).collect();
    let mut heading = None;
    let mut anchors = Vec::new();
    for (index, event) in events.iter().enumerate() {
        match (event, &mut heading) {
            (Event::Start(Tag::Heading { .. }), _) => heading = Some((index, String::new())),
            (Event::Text(text) | Event::Code(text), Some((_, title))) => title.push_str(text),
            (Event::End(TagEnd::Heading(_)), _) => anchors.extend(heading.take()),
            _ => {}
        }
    }
    for (index, title) in anchors {
        if let Some(Event::Start(Tag::Heading { id, .. })) = events.get_mut(index) {
            *id = Some(CowStr::from(anchor(&title)));
        }
    }
    events
}

/// Lowercase, with hyphens for blanks, without punctuation.
fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::{anchor, page};

    #[test]
    fn every_code_has_its_anchor() {
        let markdown = include_str!("../../docs/problems.md");
        let page = page(markdown);
        let codes: Vec<&str> =
            markdown.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
        assert!(codes.contains(&"wix_failed"));
        for code in codes {
            assert_eq!(page.matches(&format!("<h3 id=\"{code}\">")).count(), 1, "{code}");
        }
        assert!(page.contains("<h2 id=\"any-request\">") && page.contains("<a href=\"#any-request\">"));
        let links = page.matches("<a href=\"").count();
        assert_eq!(links, page.matches("<a href=\"#").count(), "other documents are not beside the page");
    }

    #[test]
    fn an_anchor_is_that_of_the_repositorys_page() {
        assert_eq!(anchor("What goes wrong, and what to do"), "what-goes-wrong-and-what-to-do");
        assert_eq!(anchor("`v1:todo`"), "v1todo");
    }
}
