use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::crypto::SealingKey;
use crate::testing::jws::{OTHER_PUBLIC_KEY, PUBLIC_KEY};
use crate::testing::world::{APP_ID, APP_SECRET, SEALING_KEY, config, sha256_hex};

fn faults(changes: &[(&str, &str)]) -> Vec<Fault> {
    config(changes).err().unwrap_or_default()
}

fn names(faults: &[Fault]) -> Vec<&'static str> {
    faults.iter().map(|fault| fault.name).collect()
}

fn valid(changes: &[(&str, &str)]) -> Config {
    config(changes).unwrap_or_else(|faults| panic!("{faults:?}"))
}

#[test]
fn a_value_that_is_not_set_has_its_default() {
    let config = valid(&[("RECHECK_HOURS", "")]);
    assert_eq!(config.instances.events.recheck_seconds, Some(24 * 3_600));
    assert_eq!(config.instances.wix.app_id.as_str(), APP_ID);
    assert_eq!(config.instances.wix.app_secret.expose(), APP_SECRET);
    assert!(config.instances.wix.app_secret_previous.is_none());
    assert_eq!(config.web.public_url, None);
    assert_eq!(config.instances.wix.api_url, "https://www.wixapis.com");
    assert_eq!(config.instances.wix.site_url.as_str(), "https://www.wix.com/");
    assert_eq!(config.web.after_install_url, None);
    assert_eq!(config.web.share_url_id, None);
    assert_eq!(config.instances.setup, SetupPolicy::OnRequest);
    assert_eq!(config.instances.clock_offset_seconds, 0);
}

#[test]
fn an_empty_value_is_a_missing_one() {
    let optional = [
        "WIX_APP_SECRET_PREVIOUS",
        "PUBLIC_URL",
        "WIX_API_URL",
        "WIX_SITE_URL",
        "FINISH_CONFIGURATION",
        "AFTER_INSTALL_URL",
        "WIX_SHARE_URL_ID",
        "ENVIRONMENT",
        "CLOCK_OFFSET_SECONDS",
        "EVENTS_URL",
        "EVENTS_TARGET",
        "PLUGINS_URL",
        "PLUGINS_TARGET",
        "EVENTS_SECRETS",
        "EVENTS_KEEP_HOURS",
        "EVENTS_RETAIN_HOURS",
        "EVENTS_TYPES",
        "RECHECK_HOURS",
        "RETENTION_DAYS",
        "WIX_RATE_LIMIT",
        "APP_NAME",
        "SUPPORT_URL",
        "LOG_LEVEL",
    ];
    for empty in ["", " ", "\n"] {
        let config = valid(&optional.map(|name| (name, empty)));
        assert_eq!(config.instances.wix.api_url, "https://www.wixapis.com");
    }
}

#[test]
fn all_missing_values_are_named_at_once() {
    let Err(faults) = Config::parse(|_| Binding::Missing) else { panic!("an empty configuration must be refused") };
    assert_eq!(
        names(&faults),
        ["WIX_APP_ID", "WIX_PUBLIC_KEYS", "WIX_APP_SECRET", "SEALING_KEYS", "API_KEYS", "INSTANCES"]
    );
    for fault in &faults {
        assert!(fault.fix.contains(fault.name), "{fault:?}");
        assert!(fault.fix.contains("wrangler") && fault.fix.ends_with('.'), "{fault:?}");
    }
}

#[test]
fn all_malformed_values_are_named_at_once() {
    let all = [
        "WIX_APP_ID",
        "WIX_PUBLIC_KEYS",
        "WIX_APP_SECRET",
        "WIX_APP_SECRET_PREVIOUS",
        "SEALING_KEYS",
        "API_KEYS",
        "PUBLIC_URL",
        "WIX_API_URL",
        "WIX_SITE_URL",
        "AFTER_INSTALL_URL",
        "WIX_SHARE_URL_ID",
        "FINISH_CONFIGURATION",
        "ENVIRONMENT",
        "CLOCK_OFFSET_SECONDS",
        "APP_NAME",
        "SUPPORT_URL",
        "LOG_LEVEL",
        "EVENTS_URL",
        "EVENTS_TARGET",
        "PLUGINS_URL",
        "PLUGINS_TARGET",
        "EVENTS_SECRETS",
        "EVENTS_KEEP_HOURS",
        "EVENTS_RETAIN_HOURS",
        "EVENTS_TYPES",
        "RECHECK_HOURS",
        "RETENTION_DAYS",
        "WIX_RATE_LIMIT",
    ];
    // The tab makes it a bad name of the app too.
    assert_eq!(names(&faults(&all.map(|name| (name, "a bad\tvalue")))), all);
}

#[test]
fn a_number_in_place_of_text_is_a_fault() {
    let lookup = |name: &str| if name == "WIX_APP_ID" { Binding::NotText } else { Binding::Missing };
    let Err(faults) = Config::parse(lookup) else { panic!("a number must be refused") };
    assert_eq!(faults[0].name, "WIX_APP_ID");
    assert!(faults[0].problem.contains("quotes"), "{}", faults[0].problem);
    assert_eq!(faults.iter().filter(|fault| fault.name == "WIX_APP_ID").count(), 1);

    let lookup = |name: &str| if name == "CLOCK_OFFSET_SECONDS" { Binding::NotText } else { Binding::Missing };
    let Err(faults) = Config::parse(lookup) else { panic!("missing values must be refused") };
    assert!(names(&faults).contains(&"CLOCK_OFFSET_SECONDS"));
}

#[test]
fn a_missing_kv_binding_is_a_fault() {
    let Err(faults) = Config::parse(|_| Binding::Missing) else { panic!("a missing binding must be refused") };
    let fault = faults.last().unwrap();
    assert_eq!(fault.name, "INSTANCES");
    assert!(fault.fix.contains("kv namespace create INSTANCES"));
}

#[test]
fn an_invalid_value_is_a_fault_with_its_name() {
    let key_of_31 = format!("k1:{}", STANDARD.encode([7; 31]));
    let twice = format!("k1:{SEALING_KEY},k1:{SEALING_KEY}");
    let hash = sha256_hex("key");
    let no_scope = format!("name:{hash}:root");
    let second_bad = format!("name:{hash},name");
    for (name, value) in [
        ("WIX_APP_ID", "11111111222243338444555555555555"),
        ("WIX_APP_ID", "00000000-0000-0000-0000-000000000000"),
        ("WIX_PUBLIC_KEYS", "MIIB"),
        ("WIX_APP_SECRET", "short"),
        ("WIX_APP_SECRET", "has blanks in it"),
        ("WIX_APP_SECRET_PREVIOUS", "short"),
        ("SEALING_KEYS", SEALING_KEY),
        ("SEALING_KEYS", &key_of_31),
        ("SEALING_KEYS", &twice),
        ("SEALING_KEYS", ","),
        ("API_KEYS", "name:1234"),
        ("API_KEYS", &no_scope),
        ("API_KEYS", &second_bad),
        ("FINISH_CONFIGURATION", "always"),
        ("FINISH_CONFIGURATION", "On-Install"),
        ("ENVIRONMENT", "staging"),
    ] {
        assert_eq!(names(&faults(&[(name, value)])), [name], "{value}");
    }
}

#[test]
fn a_fault_in_a_list_has_the_number_of_its_entry() {
    let bad = format!("k1:{SEALING_KEY}, k2:AAAA");
    let problem = &faults(&[("SEALING_KEYS", &bad)])[0].problem;
    assert!(problem.contains("entry 2"), "{problem}");
}

#[test]
fn lists_may_have_blanks_and_a_comma_at_the_end() {
    let sealing = format!(" k2:{SEALING_KEY} ,\nk1:{} , ", STANDARD.encode([8; 32]));
    let keys = format!("a:{}, b:{}:token,", sha256_hex("a"), sha256_hex("b"));
    let public = format!("{PUBLIC_KEY},{OTHER_PUBLIC_KEY}");
    let config = valid(&[("SEALING_KEYS", &sealing), ("API_KEYS", &keys), ("WIX_PUBLIC_KEYS", &public)]);
    assert_eq!(config.instances.keys.first().id(), "k2");
    assert_eq!(config.instances.keys.sealing().iter().map(SealingKey::id).collect::<Vec<_>>(), ["k2", "k1"]);
    assert_eq!(config.instances.keys.state().len(), 2);
    assert_eq!(config.web.api_keys.len(), 2);
    assert_eq!(config.instances.wix.public_keys.len(), 2);
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    for (value, origin) in [
        ("https://app.example", "https://app.example"),
        ("https://app.example/", "https://app.example"),
        (" https://APP.example:8443/ \n", "https://app.example:8443"),
        ("https://app.example:443", "https://app.example"),
        ("http://localhost:8787", "http://localhost:8787"),
        ("http://wix.localhost:8787", "http://wix.localhost:8787"),
        ("http://127.0.0.1:9/", "http://127.0.0.1:9"),
        ("http://127.8.9.1", "http://127.8.9.1"),
        ("http://[::1]:9", "http://[::1]:9"),
    ] {
        for name in ["PUBLIC_URL", "WIX_API_URL", "WIX_SITE_URL"] {
            let config = valid(&[(name, value)]);
            let parsed = match name {
                "PUBLIC_URL" => config.web.public_url.unwrap(),
                "WIX_API_URL" => config.instances.wix.api_url,
                _ => origin_of(&config.instances.wix.site_url),
            };
            assert_eq!(parsed, origin, "{name}");
        }
    }
}

#[test]
fn a_host_beyond_ascii_is_refused_with_a_hint_at_its_ascii_form() {
    for name in ["PUBLIC_URL", "WIX_API_URL", "WIX_SITE_URL", "AFTER_INSTALL_URL"] {
        for value in ["https://Bücher.example", "https://TÖST.example/"] {
            let faults = faults(&[(name, value)]);
            assert!(faults.len() == 1 && faults[0].problem.contains("xn--"), "{name} {faults:?}");
        }
        valid(&[(name, "https://xn--bcher-kva.example")]);
    }
    let path = "https://app.example/f\u{e4}hrt?hin=\u{e4}";
    let url = valid(&[("AFTER_INSTALL_URL", path)]).web.after_install_url.unwrap();
    assert_eq!(url.as_str(), "https://app.example/f%C3%A4hrt?hin=%C3%A4");
}

#[test]
fn plain_http_is_accepted_for_loopback_only() {
    for value in [
        "http://app.example",
        "http://localhost.example",
        "http://notlocalhost",
        "http://10.0.0.1",
        "http://192.168.1.1",
        "http://0.0.0.0",
        "http://[::2]",
        "http://127.0.0.1.example",
        "ftp://localhost",
        "ws://localhost",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/hosts",
        "app.example",
        "//app.example",
        "localhost:8787",
        "https://",
        "https://user@app.example",
        "https://:pass@app.example",
    ] {
        for name in ["PUBLIC_URL", "WIX_API_URL", "WIX_SITE_URL", "AFTER_INSTALL_URL"] {
            assert_eq!(names(&faults(&[(name, value)])), [name], "{value}");
        }
    }
}

#[test]
fn an_origin_with_a_path_query_or_fragment_is_refused() {
    for value in
        ["https://app.example/path", "https://app.example/?", "https://app.example?a=b", "https://app.example/#"]
    {
        for name in ["PUBLIC_URL", "WIX_API_URL", "WIX_SITE_URL"] {
            assert_eq!(names(&faults(&[(name, value)])), [name], "{value}");
        }
    }
}

#[test]
fn after_install_url_may_be_any_page() {
    let url = "https://app.example/done?from=wix#top";
    assert_eq!(valid(&[("AFTER_INSTALL_URL", url)]).web.after_install_url.unwrap().as_str(), url);
}

#[test]
fn the_share_url_id_is_a_guid() {
    let id = "12121212-3434-4565-8787-909090909090";
    let config = valid(&[("WIX_SHARE_URL_ID", &id.to_uppercase())]);
    assert_eq!(config.web.share_url_id.unwrap().as_str(), id);
    for bad in ["https://wix.to/abc", "12121212", "00000000-0000-0000-0000-000000000000"] {
        assert_eq!(names(&faults(&[("WIX_SHARE_URL_ID", bad)])), ["WIX_SHARE_URL_ID"], "{bad}");
    }
}

#[test]
fn the_apps_name_has_up_to_100_characters() {
    for name in ["R", "Rates & <Taxes>", "\u{5e9}\u{5dc}\u{5d5}\u{5dd}", &"\u{e9}".repeat(100)] {
        assert_eq!(valid(&[("APP_NAME", name)]).web.app_name.as_deref(), Some(name));
    }
    for name in ["two\nlines", "a\u{7f}b", "a\u{85}b", &"\u{e9}".repeat(101)] {
        assert_eq!(names(&faults(&[("APP_NAME", name)])), ["APP_NAME"], "{name:?}");
    }
}

#[test]
fn the_support_url_is_https_or_mailto() {
    for (url, kept) in [
        ("https://app.example/help?topic=wix", "https://app.example/help?topic=wix"),
        ("https://APP.example", "https://app.example/"),
        ("mailto:help@app.example", "mailto:help@app.example"),
        ("MAILTO:help@app.example?subject=Wix%20app", "mailto:help@app.example?subject=Wix%20app"),
    ] {
        assert_eq!(valid(&[("SUPPORT_URL", url)]).web.support_url.as_deref(), Some(kept));
    }
    for url in [
        "http://app.example/help",
        "http://localhost/help",
        "https://user:word@app.example",
        "https://",
        "mailto:",
        "mailto:help",
        "help@app.example",
        "tel:+15550100",
        "javascript:alert(1)",
        "data:text/html,a@b",
    ] {
        assert_eq!(names(&faults(&[("SUPPORT_URL", url)])), ["SUPPORT_URL"], "{url}");
    }
}

#[test]
fn the_log_level_has_three_values() {
    assert_eq!(valid(&[]).instances.log_level, Level::Info);
    for (value, level) in [("info", Level::Info), ("warn", Level::Warn), ("error", Level::Error)] {
        assert_eq!(valid(&[("LOG_LEVEL", value)]).instances.log_level, level);
    }
    for value in ["Info", "debug", "off", "2"] {
        assert_eq!(names(&faults(&[("LOG_LEVEL", value)])), ["LOG_LEVEL"], "{value}");
    }
}

#[test]
fn finish_configuration_has_three_values() {
    for (value, meaning) in
        [("on-request", SetupPolicy::OnRequest), ("on-install", SetupPolicy::OnInstall), ("never", SetupPolicy::Never)]
    {
        assert_eq!(valid(&[("FINISH_CONFIGURATION", value)]).instances.setup, meaning);
    }
}

#[test]
fn a_clock_offset_is_accepted_in_development_only() {
    let with = |environment, offset| [("ENVIRONMENT", environment), ("CLOCK_OFFSET_SECONDS", offset)];
    assert_eq!(valid(&with("development", "-90")).instances.clock_offset_seconds, -90);
    assert_eq!(valid(&with("development", "600")).instances.clock_offset_seconds, 600);
    assert_eq!(valid(&with("production", "0")).instances.clock_offset_seconds, 0);
    for environment in ["production", ""] {
        for offset in ["1", "-1"] {
            let faults = faults(&with(environment, offset));
            assert_eq!(names(&faults), ["CLOCK_OFFSET_SECONDS"]);
            assert!(faults[0].problem.contains("production"), "{}", faults[0].problem);
        }
    }
    for offset in ["soon", "1.5", "1 h", "99999999999999999999"] {
        assert_eq!(names(&faults(&with("development", offset))), ["CLOCK_OFFSET_SECONDS"], "{offset}");
    }
}

#[test]
fn no_fault_shows_a_part_of_a_value() {
    let secret = "s3cr3t-value";
    for name in [
        "WIX_APP_ID",
        "WIX_PUBLIC_KEYS",
        "SEALING_KEYS",
        "API_KEYS",
        "PUBLIC_URL",
        "AFTER_INSTALL_URL",
        "WIX_SHARE_URL_ID",
        "FINISH_CONFIGURATION",
        "ENVIRONMENT",
        "CLOCK_OFFSET_SECONDS",
        "SUPPORT_URL",
        "LOG_LEVEL",
    ] {
        for value in [
            secret.to_owned(),
            format!("k1:{secret}"),
            format!("{secret}:{}", sha256_hex(secret)),
            format!("http://{secret}"),
        ] {
            for fault in faults(&[(name, &value)]) {
                let text = serde_json::to_string(&fault).unwrap();
                assert!(!text.contains("s3cr3t"), "{text}");
            }
        }
    }
    for name in ["WIX_APP_SECRET", "WIX_APP_SECRET_PREVIOUS"] {
        let faults = faults(&[(name, "s3cr3t with blanks")]);
        assert_eq!(names(&faults), [name]);
        assert!(!serde_json::to_string(&faults).unwrap().contains("s3cr3t"));
    }
}

#[test]
fn invisible_characters_around_a_value_are_removed() {
    let hash = sha256_hex("key");
    let api = format!("name:{hash}");
    for (before, after) in [("\u{feff}", ""), ("", "\n"), (" \t", "\r\n"), ("\u{200b}\u{a0}", "\u{2060}\u{feff} ")] {
        let around = |text: &str| format!("{before}{text}{after}");
        let values = [
            ("WIX_APP_ID", around(APP_ID)),
            ("WIX_APP_SECRET", around(APP_SECRET)),
            ("WIX_APP_SECRET_PREVIOUS", around("the-former-secret")),
            ("WIX_PUBLIC_KEYS", around(PUBLIC_KEY)),
            ("SEALING_KEYS", around(&format!("k1:{SEALING_KEY}"))),
            ("API_KEYS", around(&api)),
            ("PUBLIC_URL", around("https://wix.example.com")),
            ("FINISH_CONFIGURATION", around("never")),
            ("ENVIRONMENT", around("development")),
            ("CLOCK_OFFSET_SECONDS", around("7")),
            ("AFTER_INSTALL_URL", around("https://app.example/done")),
            ("APP_NAME", around("Rates")),
            ("SUPPORT_URL", around("mailto:help@app.example")),
            ("LOG_LEVEL", around("warn")),
        ];
        let config = valid(&values.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>());
        assert_eq!((config.instances.wix.app_secret.expose(), config.instances.clock_offset_seconds), (APP_SECRET, 7));
        assert_eq!(config.instances.setup, SetupPolicy::Never);
        assert_eq!(config.web.public_url.as_deref(), Some("https://wix.example.com"));
        assert_eq!(config.web.app_name.as_deref(), Some("Rates"));
        assert_eq!(config.web.support_url.as_deref(), Some("mailto:help@app.example"));
        assert_eq!(config.instances.log_level, Level::Warn);
        assert_eq!(config.instances.wix.app_secret_previous.unwrap().expose(), "the-former-secret");
    }
    // Invisible characters inside a value are not removed.
    for secret in ["01234567\u{feff}89", "01234567 89", "\"0123456789\"", "'0123456789'", "0123456789ü"] {
        assert_eq!(names(&faults(&[("WIX_APP_SECRET", secret)])), ["WIX_APP_SECRET"], "{secret}");
    }
}

#[test]
fn each_mistake_in_api_keys_has_a_message_of_its_own() {
    let hash = sha256_hex("key");
    let other = sha256_hex("other");
    for (value, expected) in [
        (hash.clone(), "must begin with a name"),
        (format!("{hash}:token"), "must begin with a name"),
        ("name:it-is-the-key-itself-0123456789abcdef".to_owned(), "not the key itself"),
        (format!("name:{}", "g".repeat(64)), "hexadecimal digits only"),
        (format!("name:{hash}:token,instances"), "must be joined by +"),
        (format!("name:{hash}:token,events+proxy"), "must be joined by +"),
        (format!("name:{hash}:root"), "must be token, instances"),
        (format!("na me:{hash}"), "a name must be"),
        ("name".to_owned(), "must be of the form"),
        (format!("a:{hash},b:{hash}:token"), "two entries have the same hash"),
        (format!("a:{other},b:{}", hash.to_uppercase() + ",c:" + &hash), "two entries have the same hash"),
        (format!("name:{}", sha256_hex("")), "must be that of a key"),
        (format!("name:{}", sha256_hex("\n")), "must be that of a key"),
        (format!("name:{}", sha256_hex("\u{a0}")), "must be that of a key"),
        (format!("name:{}", sha256_hex("undefined")), "must be that of a key"),
        (format!("name:{}", "0".repeat(64)), "must be that of a key"),
    ] {
        let faults = faults(&[("API_KEYS", &value)]);
        assert_eq!(names(&faults), ["API_KEYS"], "{value}");
        assert!(faults[0].problem.contains(expected), "{}: {value}", faults[0].problem);
        assert!(faults[0].fix.contains("keygen api-key"));
    }
    valid(&[("API_KEYS", &format!("a:{hash},\n b:{other}:token + events\n"))]);
}

#[test]
fn the_fix_for_a_damaged_sealing_key_is_to_restore_its_copy() {
    let missing = faults(&[("SEALING_KEYS", "")]);
    assert!(missing[0].fix.contains("keygen sealing-key") && !missing[0].fix.contains("copy of the list"));
    for damaged in ["k1", "k1:AAAA", "k1:!", &format!("k1:{}", STANDARD.encode([0; 32]))] {
        let fix = faults(&[("SEALING_KEYS", damaged)])[0].fix;
        assert!(fix.starts_with("Put your copy of the list back"), "{fix}");
    }
    let same = format!("k1:{SEALING_KEY},k2:{SEALING_KEY}");
    assert!(faults(&[("SEALING_KEYS", &same)])[0].problem.contains("two ids have the same key"));
}

#[test]
fn every_fix_mentions_wrangler_environments() {
    let Err(faults) = Config::parse(|_| Binding::Missing) else { panic!("an empty configuration must be refused") };
    for fault in faults {
        assert!(fault.fix.contains("--env NAME"), "{fault:?}");
    }
}
