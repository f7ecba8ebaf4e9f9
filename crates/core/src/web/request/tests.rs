use super::*;

use proptest::prelude::*;

fn request(url: &str) -> Request<()> {
    Request::new(Method::GET, url.to_owned(), ())
}

proptest! {
    #[test]
    fn path_query_and_parameters_are_those_that_the_url_standard_finds(
        text in "https?://[a-z]{1,5}(\\.example|\\[::1\\])?(:[0-9]{1,3})?[/?#\\\\.a-z%=&+@:é ]{0,20}",
    ) {
        if let Ok(url) = Url::parse(&text) {
            // The runtime writes URLs in this form.
            let request = request(url.as_str());
            prop_assert_eq!(request.path(), url.path());
            prop_assert_eq!(request.query(), url.query());
            prop_assert_eq!(request.origin(), url.origin().ascii_serialization());
            let values: Vec<_> = url.query_pairs().filter(|(name, _)| name == "a").map(|(_, value)| value).collect();
            let expected = match values.as_slice() {
                [] => Some(None),
                [value] => Some(Some(value.to_string())),
                _ => None,
            };
            prop_assert_eq!(request.parameter("a").ok(), expected);
        }
    }
}

#[test]
fn plain_text_is_http_over_a_public_network() {
    for url in ["http://app.example/", "http://app.example.:80/x", "http://192.0.2.1/", "http://[2001:db8::1]/", "none"]
    {
        assert!(request(url).is_plain_text(), "{url}");
    }
    let others = [
        "https://app.example/",
        "http://localhost:1/",
        "http://a.localhost/",
        "http://edge/",
        "http://127.0.0.1/",
        "http://[::1]/",
    ];
    for url in others {
        assert!(!request(url).is_plain_text(), "{url}");
    }
}
