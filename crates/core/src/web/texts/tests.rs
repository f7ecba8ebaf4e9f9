use std::collections::BTreeSet;

use super::*;

const SUBJECTS: [Subject; 8] = [
    Subject::Finished,
    Subject::Already,
    Subject::Failed,
    Subject::Expired,
    Subject::OtherBrowser,
    Subject::Wait,
    Subject::Unavailable,
    Subject::Nothing,
];
const LABELS: [Label; 6] = [Label::App, Label::Start, Label::Retry, Label::Wix, Label::Support, Label::RequestId];

/// All texts of a language, with names.
fn texts(texts: Texts) -> Vec<(String, &'static str)> {
    let labels = LABELS.map(|label| (format!("{label:?}"), texts.label(label)));
    let pages = SUBJECTS.into_iter().flat_map(|subject| {
        let [title, text] = texts.page(subject);
        [(format!("{subject:?}, title"), title), (format!("{subject:?}, text"), text)]
    });
    labels.into_iter().chain(pages).collect()
}

fn english() -> Texts {
    languages().next().unwrap()
}

#[test]
fn the_file_has_six_languages_with_as_many_lines() {
    let codes: Vec<&str> = languages().map(Texts::lang).collect();
    assert_eq!(codes, ["en", "es", "pt", "de", "fr", "he"]);
    for language in languages() {
        assert_eq!(language.0.lines().count(), 1 + LABELS.len() + 2 * SUBJECTS.len(), "{}", language.lang());
    }
}

/// The words in braces.
fn placeholders(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect()
}

#[test]
fn every_language_has_every_text_with_the_same_placeholders() {
    for language in languages() {
        for ((name, text), (_, english)) in texts(language).into_iter().zip(texts(english())) {
            let name = format!("{} {name}", language.lang());
            assert!(!text.is_empty() && text == text.trim() && !text.contains("  "), "{name}");
            assert_eq!(placeholders(text), placeholders(english), "{name}");
            assert_eq!(text.matches(['{', '}']).count(), 2 * placeholders(english).len(), "{name}");
            // The same sentences: a translator did not forget one.
            assert_eq!(text.ends_with('.'), english.ends_with('.'), "{name}");
            assert!(text.chars().count() < 200, "{name} is too long");
        }
    }
    let known: BTreeSet<&str> = texts(english()).iter().flat_map(|(_, text)| placeholders(text)).collect();
    assert_eq!(known, BTreeSet::from(["app"]));
}

#[test]
fn no_text_is_left_in_english_or_taken_from_another_language() {
    let mut seen = BTreeSet::new();
    for language in languages() {
        let own: BTreeSet<&str> = texts(language).into_iter().map(|(_, text)| text).collect();
        for text in &own {
            assert!(!seen.contains(text), "{}: {text} is also of another language", language.lang());
        }
        seen.extend(own);
    }
    // Words that are the same in these languages are not English words of these texts.
    for language in languages().skip(1) {
        for (name, text) in texts(language) {
            for word in ["the", "this", "please", "you", "your", "again", "was", "site's", "window", "app's"] {
                let has = text.split(|char: char| !char.is_alphanumeric()).any(|part| part.eq_ignore_ascii_case(word));
                assert!(!has, "{} {name}: {text}", language.lang());
            }
        }
    }
}

#[test]
fn hebrew_is_written_in_hebrew_from_right_to_left() {
    for language in languages() {
        assert_eq!(language.dir() == "rtl", language.lang() == "he");
        for (name, text) in texts(language) {
            let has_hebrew = text.chars().any(|char| ('\u{5d0}'..='\u{5ea}').contains(&char));
            assert_eq!(has_hebrew, language.lang() == "he", "{} {name}", language.lang());
        }
    }
}

#[test]
fn the_preferred_language_follows_accept_language() {
    for (accept, lang) in [
        ("", "en"),
        ("es", "es"),
        ("es-MX", "es"),
        ("es-419,es;q=0.9,en;q=0.8", "es"),
        ("pt-BR", "pt"),
        ("PT-br", "pt"),
        ("de-CH-1996", "de"),
        ("fr", "fr"),
        ("he", "he"),
        ("he-IL,he;q=0.9,en-US;q=0.8", "he"),
        ("iw", "he"),
        ("iw-IL", "he"),
        ("en-GB", "en"),
        ("ja", "en"),
        ("ja, de;q=0.2", "de"),
        ("en;q=0.7, de;q=0.8", "de"),
        ("en;q=0.7,de;q=0.700", "en"),
        ("de;q=0.7,en;q=0.7", "de"),
        ("de;q=0, en;q=0.1", "en"),
        ("de;q=0", "en"),
        ("fr;q=0.123, de;q=0.12", "fr"),
        ("fr ; q=0.5 , de ;Q=0.6", "de"),
        ("fr;q=1.000", "fr"),
        ("*", "en"),
        ("*, de;q=0.5", "de"),
        // What is malformed does not count.
        ("fr;q=2", "en"),
        ("fr;q=1.001", "en"),
        ("fr;q=0.1234", "en"),
        ("fr;q=-1", "en"),
        ("fr;q=", "en"),
        ("fr;level=1", "en"),
        ("fr;q=0.+1", "en"),
        (",,;;==", "en"),
        ("german", "en"),
        ("esp", "en"),
        ("e\u{301}s", "en"),
    ] {
        assert_eq!(preferred(Some(accept)).lang(), lang, "{accept}");
    }
    assert_eq!(preferred(None).lang(), "en");
}
