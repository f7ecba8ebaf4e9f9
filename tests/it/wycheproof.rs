//! Project Wycheproof's vectors for RSASSA-PKCS1-v1_5 with SHA-256, run against workerd's WebCrypto.
//!
//! The vectors' messages are not webhooks, so tests cannot post them to the Worker. A small Worker
//! (`wycheproof/worker.mjs`) makes the same calls as `src/crypto.rs`: a key imported as `spki`, the same algorithm and
//! hash. **Proven**: with these calls, the runtime accepts valid signatures and rejects invalid ones of any length. **Not
//! proven**: that the Worker makes these calls and uses their result. `webhook_refusals.rs` tests that.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leash::Leash;
use serde_json::json;
use tempfile::TempDir;
use wycheproof::TestResult;
use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};

use crate::harness::request;

const SCRIPT: &str = include_str!("wycheproof/worker.mjs");
const TIMEOUT: Duration = Duration::from_mins(1);

/// The small Worker, in plain workerd.
struct Verifier {
    url: String,
    _leash: Leash,
    _folder: TempDir,
}

impl Verifier {
    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let port = leash::free_port().expect("a free port");
        fs::write(folder.path().join("worker.mjs"), SCRIPT).expect("a writable directory");
        fs::write(folder.path().join("config.capnp"), config(root, port)).expect("a writable directory");
        let mut workerd = Command::new(root.join("node_modules/.bin/workerd"));
        workerd.args(["serve", "config.capnp"]).current_dir(folder.path());
        let leash = Leash::spawn("workerd serve", &workerd, |_| {});
        let mut leash = leash.unwrap_or_else(|error| panic!("{error}; `npm ci` installs workerd"));
        let url = format!("http://127.0.0.1:{port}");
        let until = Instant::now() + TIMEOUT;
        while request("POST", &url).json(&json!({})).try_send().is_err() {
            leash.check_running().unwrap_or_else(|error| panic!("{error}"));
            assert!(Instant::now() < until, "workerd must listen on {url}:\n{}", leash.tail());
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { url, _leash: leash, _folder: folder }
    }
}

/// workerd's configuration, with the compatibility date of the Worker.
fn config(root: &Path, port: u16) -> String {
    let text = fs::read_to_string(root.join("wrangler.toml")).expect("wrangler.toml beside Cargo.toml");
    let table: toml::Table = text.parse().expect("wrangler.toml is TOML");
    let date = table["compatibility_date"].as_str().expect("a date");
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    modules = [(name = "worker.mjs", esModule = embed "worker.mjs")],
    compatibilityDate = "{date}",
  ))],
  sockets = [(name = "http", address = "127.0.0.1:{port}", http = (), service = "main")],
);
"#
    )
}

#[test]
fn webcrypto_accepts_the_valid_and_rejects_the_invalid_vectors() {
    let verifier = Verifier::start();
    let sets = [(TestName::Rsa2048Sha256, 259), (TestName::Rsa3072Sha256, 259), (TestName::Rsa4096Sha256, 258)];
    for (name, at_least) in sets {
        let set = TestSet::load(name).expect("the vectors");
        let (mut vectors, mut refused) = (0, 0);
        for group in &set.test_groups {
            let of_group = group.tests.iter().map(
                |vector| json!({ "message": STANDARD.encode(&vector.msg), "signature": STANDARD.encode(&vector.sig) }),
            );
            let question = json!({ "spki": STANDARD.encode(&group.der), "vectors": of_group.collect::<Vec<_>>() });
            let response = request("POST", &verifier.url).json(&question).send().expect(200).json();
            let responses = response.as_array().expect("a list");
            assert_eq!(responses.len(), group.tests.len());
            for (vector, accepted) in group.tests.iter().zip(responses) {
                // Each set has one "acceptable" vector, without the NULL parameter of the hash algorithm, as legacy signers
                // wrote it. The runtime rejects it, which is right for webhooks.
                let wanted = vector.result == TestResult::Valid;
                assert_eq!(accepted, wanted, "{name:?} {}: {} {:?}", vector.tc_id, vector.comment, vector.flags);
                vectors += 1;
                refused += usize::from(accepted == false);
            }
        }
        println!("{name:?}: {vectors} vectors, {refused} refused");
        assert!(vectors >= at_least && refused > vectors / 2, "{vectors} vectors, {refused} refused");
    }
}
