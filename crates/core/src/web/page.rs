//! The pages that people see: plain words, no script, no external resource.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::values::Fault;

/// A page and its Content-Security-Policy.
pub struct Page {
    /// The whole document.
    pub html: String,
    /// The policy, which allows the page's own style only.
    pub policy: String,
}

/// The policy of a response without a page. It has no `frame-ancestors`, since Wix may show pages in a frame.
pub const NOTHING: &str = "default-src 'none'; base-uri 'none'; form-action 'none'";

const STYLE: &str = include_str!("page.css");

/// A page in a language, with a direction of writing.
pub(super) fn page([lang, dir]: [&str; 2], title: &str, content: &Markup) -> Page {
    let html = html! {
        (DOCTYPE)
        html lang=(lang) dir=(dir) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (content) } }
        }
    };
    let policy = format!("{NOTHING}; style-src 'sha256-{}'", STANDARD.encode(Sha256::digest(STYLE)));
    Page { html: html.into_string(), policy }
}

/// Formats the parts of a text between backticks as code.
fn prose(text: &str) -> Markup {
    html! {
        @for (at, piece) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (piece) } } @else { (piece) }
        }
    }
}

/// The home page: what this server is, and whether it is ready.
#[must_use]
pub fn home(faults: &[Fault], request_id: Option<&str>) -> Page {
    page(
        ["en", "ltr"],
        "wix-edge",
        &html! {
            @if faults.is_empty() {
                p.mark.good aria-hidden="true" { "✓" }
                h1 { "This server is ready" }
            } @else {
                p.mark.bad aria-hidden="true" { "!" }
                h1 { "This server is not ready" }
            }
            p {
                "This is the server of a Wix app. It takes part in the app's installation, receives webhooks from "
                "Wix and stores the app's access to the sites that installed it. Visitors need to do nothing here."
            }
            @if !faults.is_empty() {
                h2 { "What is wrong" }
                dl {
                    @for fault in faults {
                        dt { code { (fault.name) } ": " (fault.problem) }
                        dd { (prose(fault.fix)) }
                    }
                }
            }
            p.small { "Version " (env!("CARGO_PKG_VERSION")) @if let Some(id) = request_id { ", request " code { (id) } } }
        },
    )
}
