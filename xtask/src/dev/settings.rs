//! The configuration of the Worker and the simulator for one run of `cargo xtask dev`.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::keygen::{self, ApiKey};

/// Ports, origins, and secrets generated for this run.
#[derive(Debug)]
pub struct Settings {
    pub worker_port: u16,
    pub sim_port: u16,
    /// The Worker's origin.
    pub worker_url: String,
    /// The simulator's origin.
    pub simulator_url: String,
    pub app_id: String,
    pub app_secret: String,
    pub api_key: ApiKey,
    sealing_key: String,
    /// Signs the events that the Worker delivers.
    pub events_secret: String,
    /// Where the browser goes after an installation: `AFTER_INSTALL_URL` of the environment, or empty.
    after_install_url: String,
}

impl Settings {
    pub fn generate(worker_port: u16, sim_port: u16) -> Result<Self> {
        Ok(Self {
            worker_port,
            sim_port,
            worker_url: format!("http://localhost:{worker_port}"),
            simulator_url: format!("http://127.0.0.1:{sim_port}"),
            app_id: guid()?,
            app_secret: guid()?,
            api_key: ApiKey::generate("dev", &keygen::SCOPES.join("+"))?,
            sealing_key: keygen::sealing_key()?,
            events_secret: keygen::events_secret()?,
            after_install_url: std::env::var("AFTER_INSTALL_URL").unwrap_or_default(),
        })
    }

    /// Writes the Worker's configuration to a file that only its owner may read.
    pub fn write(&self, path: &Path, public_key: &str) -> Result<()> {
        if path.exists() {
            fs::remove_file(path)?;
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        file.write_all(self.lines(public_key).as_bytes())?;
        Ok(())
    }

    /// The app's back end, which the simulator plays.
    fn events_url(&self) -> String {
        format!("{}/_app/events", self.simulator_url)
    }

    /// Where the same back end answers service plugin calls.
    fn plugins_url(&self) -> String {
        format!("{}/_app/plugins", self.simulator_url)
    }

    /// No value contains a quote, a `$` or a line break, which have a meaning in such a file.
    fn lines(&self, public_key: &str) -> String {
        let (events_url, plugins_url) = (self.events_url(), self.plugins_url());
        let values = [
            ("ENVIRONMENT", "development"),
            ("FINISH_CONFIGURATION", "on-install"),
            ("WIX_API_URL", &self.simulator_url),
            ("WIX_SITE_URL", &self.simulator_url),
            ("WIX_APP_ID", &self.app_id),
            ("WIX_APP_SECRET", &self.app_secret),
            ("WIX_PUBLIC_KEYS", public_key),
            ("SEALING_KEYS", &self.sealing_key),
            ("API_KEYS", &self.api_key.entry),
            ("AFTER_INSTALL_URL", &self.after_install_url),
            ("EVENTS_URL", &events_url),
            ("PLUGINS_URL", &plugins_url),
            ("EVENTS_SECRETS", &self.events_secret),
        ];
        values.iter().fold(String::new(), |text, (name, value)| text + name + "=\"" + value + "\"\n")
    }

    /// The text that is printed when both are ready.
    pub fn welcome(&self) -> String {
        let Self { worker_url, simulator_url, api_key, .. } = self;
        let key = &api_key.secret;
        let events_url = self.events_url();
        format!(
            "
────────────────────────────────────────────────────────────────────────────────
  Ready.

  1. Open the simulated Wix and press \"Install app\":

       {simulator_url}

  2. The Worker's own page:

       {worker_url}

  3. List the installations that the Worker knows:

       curl {worker_url}/v1/instances \\
         -H 'Authorization: Bearer {key}'

  4. Ask it for an access token of one of them. <instance id> is the
     `instance_id` in that list, a GUID of 36 characters:

       curl -X POST '{worker_url}/v1/instances/<instance id>/token' \\
         -H 'Authorization: Bearer {key}'

     The API key has every scope and is valid until Ctrl-C. Your own program,
     as in docs/your-app.md, reads it from the environment:

       export WIX_EDGE_URL={worker_url}
       export WIX_EDGE_KEY={key}
       export WIX_API_URL={simulator_url}

  5. Beside the installation, choose an event and press \"Send\". The Worker
     delivers it to the app's back end, which the simulator plays at

       {events_url}

     The simulator's table \"Webhooks\" shows what became of it there. Choose
     how the back end answers to see the Worker deliver again.

  Calls to paths of Wix's API that are not simulated are answered 200 with a
  description of the call (the simulator's switch `echo_other_paths`).
  A change under src/ or crates/core/src/ is built and loaded when it is saved.
  Ctrl-C stops everything.
────────────────────────────────────────────────────────────────────────────────
"
        )
    }
}

/// The app's public key from the simulator's answer: the base64 of the DER, on one line as the file requires.
pub fn public_key(answer: &str) -> Result<String> {
    let app: Value = serde_json::from_str(answer).context("the simulator's description of the app must be JSON")?;
    let key = app.get("public_key_base64").and_then(Value::as_str);
    Ok(key.context("the simulator's description of the app has no public key")?.to_owned())
}

/// A random GUID (RFC 9562, version 4), the form of Wix's app ids and secrets.
fn guid() -> Result<String> {
    let number = u128::from_be_bytes(keygen::random()?);
    let (version, variant) = (76, 62);
    let number = number & !((0xf << version) | (0x3 << variant)) | (0x4 << version) | (0x2 << variant);
    let hex = keygen::hex(&number.to_be_bytes());
    let mut rest = hex.as_str();
    let mut groups = Vec::new();
    for length in [8, 4, 4, 4, 12] {
        let (group, after) = rest.split_at(length);
        groups.push(group);
        rest = after;
    }
    Ok(groups.join("-"))
}

#[cfg(test)]
mod tests {
    use super::{Settings, guid, public_key};
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use tempfile::TempDir;

    #[test]
    fn a_guid_is_of_version_4() {
        let guid = guid().expect("randomness");
        let lengths: Vec<usize> = guid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(guid.as_bytes()[14], b'4', "{guid}");
        assert!(b"89ab".contains(&guid.as_bytes()[19]), "{guid}");
    }

    #[test]
    fn an_answer_without_a_public_key_is_refused() {
        assert_eq!(public_key(r#"{"public_key_base64":"MIIB=="}"#).expect("there is one"), "MIIB==");
        public_key("{}").expect_err("there is none");
    }

    #[test]
    fn only_the_owner_may_read_the_settings() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("settings.env");
        fs::write(&path, "left over").expect("written");
        Settings::generate(1, 2).expect("randomness").write(&path, "MIIB").expect("written");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).expect("there");
        assert!(text.contains("WIX_PUBLIC_KEYS=\"MIIB\"\n") && !text.contains('$'), "{text}");
    }

    #[test]
    fn the_browser_goes_where_the_environment_says() {
        let settings = Settings {
            after_install_url: "http://localhost:3000/connected".to_owned(),
            ..Settings::generate(1, 2).expect("randomness")
        };
        let lines = settings.lines("MIIB");
        assert!(lines.contains("AFTER_INSTALL_URL=\"http://localhost:3000/connected\"\n"), "{lines}");
    }

    #[test]
    fn the_workers_configuration_does_not_contain_the_api_key() {
        let settings = Settings::generate(1, 2).expect("randomness");
        assert!(!settings.lines("MIIB").contains(&settings.api_key.secret));
        assert!(settings.welcome().contains(&settings.api_key.secret));
    }

    #[test]
    fn events_are_delivered_to_the_simulator_with_a_secret_that_is_not_printed() {
        let settings = Settings::generate(1, 2).expect("randomness");
        let (lines, url) = (settings.lines("MIIB"), "http://127.0.0.1:2/_app/events");
        assert!(settings.events_secret.starts_with("whsec_"));
        assert!(lines.contains(&format!("EVENTS_URL=\"{url}\"\n")), "{lines}");
        assert!(lines.contains("PLUGINS_URL=\"http://127.0.0.1:2/_app/plugins\"\n"), "{lines}");
        assert!(lines.contains(&format!("EVENTS_SECRETS=\"{}\"\n", settings.events_secret)), "{lines}");
        let welcome = settings.welcome();
        assert!(welcome.contains(url) && !welcome.contains("whsec_"), "{welcome}");
    }

    /// The shell's commands in the text, each on one line.
    fn commands(welcome: &str) -> Vec<String> {
        let joined = welcome.replace("\\\n", "");
        joined.lines().map(str::trim).filter(|line| line.starts_with("curl ")).map(str::to_owned).collect()
    }

    #[test]
    fn the_first_command_is_complete_and_the_other_explains_its_placeholder() {
        let settings = Settings::generate(1, 2).expect("randomness");
        let welcome = settings.welcome();
        let [list, token] = commands(&welcome).try_into().expect("two commands");
        let words: Vec<&str> = list.split_whitespace().collect();
        let header = format!("Bearer {}'", settings.api_key.secret);
        assert_eq!(words[..2], ["curl", "http://localhost:1/v1/instances"]);
        assert!(list.ends_with(&header) && !list.contains(['<', '>']), "nothing to fill in: {list}");
        // In quotes: a shell would read from a file of that name.
        assert!(token.contains("'http://localhost:1/v1/instances/<instance id>/token'"), "{token}");
        assert!(token.contains("-X POST") && token.ends_with(&header), "{token}");
        assert!(welcome.contains("<instance id> is the"), "{welcome}");
        assert!(!welcome.contains("INSTANCE_ID"), "{welcome}");
    }

    #[test]
    fn a_programs_settings_are_in_the_form_of_the_shell() {
        let settings = Settings::generate(1, 2).expect("randomness");
        let welcome = settings.welcome();
        for (name, value) in [
            ("WIX_EDGE_URL", "http://localhost:1"),
            ("WIX_EDGE_KEY", settings.api_key.secret.as_str()),
            ("WIX_API_URL", "http://127.0.0.1:2"),
        ] {
            assert!(welcome.contains(&format!("export {name}={value}\n")), "{name}: {welcome}");
        }
        assert!(welcome.contains("echo_other_paths"), "{welcome}");
    }
}
