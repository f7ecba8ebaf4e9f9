use super::{Setup, Worker, quoted};

#[test]
fn a_text_is_quoted_in_capnp_syntax() {
    assert_eq!(quoted("plain"), r#""plain""#);
    assert_eq!(quoted("a\"b\\c\nd\te"), r#""a\"b\\c\nd\x09e""#);
    assert_eq!(quoted("ä"), "\"ä\"");
}

#[test]
fn each_worker_has_a_service_and_a_socket() {
    let setup = Setup::default()
        .worker("app", Worker::script("2026-01-01", "export default {}").text("NAME", "old").text("NAME", "\"new\""))
        .worker("cron", Worker::trigger("app"));
    let text = setup.capnp();
    let wanted = [
        r#"(name = "app", worker = (modules = [(name = "index.js", esModule = embed "0-index.js")], bindings = [(name = "NAME", text = "\"new\"")], compatibilityDate = "2026-01-01", compatibilityFlags = []))"#,
        r#"embed "1-index.js")], bindings = [(name = "WORKER", service = "app")]"#,
        r#"(name = "app", address = "127.0.0.1:0", http = (), service = "app")"#,
        r#"(name = "cron", address = "127.0.0.1:0", http = (), service = "cron")"#,
    ];
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
}

#[test]
fn durable_objects_are_stored_in_their_folder() {
    let worker = Worker::script("2026-01-01", "").objects("THINGS", "Thing", std::path::Path::new("/stored"));
    let other = Worker::script("2026-01-01", "").objects_of("OTHERS", "Thing", "app");
    let text = Setup::default().worker("app", worker).worker("other", other).capnp();
    let wanted = [
        r#"(name = "THINGS", durableObjectNamespace = "Thing")"#,
        r#"(name = "OTHERS", durableObjectNamespace = (className = "Thing", serviceName = "app"))"#,
        r#"durableObjectNamespaces = [(className = "Thing", uniqueKey = "Thing", enableSql = true)], durableObjectStorage = (localDisk = "disk 0"))"#,
        r#"(name = "disk 0", disk = (path = "/stored", writable = true))"#,
    ];
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
}
