//! What every page for a browser must be, and an error page above all.

use url::Url;

use super::http::Answer;

/// The headers of every answer to a browser: Wix can close its window, nothing is stored or passed on, and nothing is
/// loaded from elsewhere.
#[track_caller]
pub fn assert_browser_headers(answer: &Answer) {
    assert_eq!(answer.header("cross-origin-opener-policy"), Some("unsafe-none"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{answer:?}");
    assert_eq!(answer.header("x-frame-options"), None, "{answer:?}");
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none';"), "{answer:?}");
    assert!(!policy.contains("unsafe") && !policy.contains("frame-ancestors"), "{answer:?}");
}

/// A refusal of an address with parameters: a page in words, with the request's id, and nothing of the parameters.
#[track_caller]
pub fn assert_refused(answer: &Answer, status: u16, asked: &Url) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_browser_headers(answer);
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{answer:?}");
    assert!(answer.header("set-cookie").is_none() && answer.header("location").is_none(), "{answer:?}");
    let page = answer.text();
    assert!(page.contains("<h1>"), "{answer:?}");
    assert!(page.contains(answer.request_id()), "no request id on the page: {answer:?}");
    for (name, value) in asked.query_pairs().filter(|(_, value)| value.len() > 3) {
        let shown = page.contains(&*value) || answer.headers.iter().any(|(_, text)| text.contains(&*value));
        assert!(!shown, "the parameter {name} is shown: {answer:?}");
    }
    for word in ["OAUTH2.", "OauthNG.", "panicked", "RuntimeError", "    at ", "?code="] {
        assert!(!page.contains(word), "{word:?} is on the page: {answer:?}");
    }
}
