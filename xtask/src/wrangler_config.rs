//! `wrangler.toml` for the built Worker: the same bindings, without the build.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// The assets of the Worker, beside `index.js`.
pub const ASSETS: &str = "assets";

/// Writes `wrangler.json` into the folder of the built Worker, unless it is there already.
pub fn write(root: &Path, worker: &Path) -> Result<()> {
    let source = root.join("wrangler.toml");
    let text = fs::read_to_string(&source).with_context(|| format!("{} cannot be read", source.display()))?;
    let config = serde_json::to_string_pretty(&converted(&text, worker.join(ASSETS).is_dir())?)? + "\n";
    let path = worker.join("wrangler.json");
    if fs::read_to_string(&path).is_ok_and(|written| written == config) {
        return Ok(());
    }
    fs::write(&path, config).with_context(|| format!("{} cannot be written", path.display()))
}

fn converted(text: &str, has_assets: bool) -> Result<Value> {
    let mut config: toml::Table = text.parse().context("wrangler.toml must be TOML")?;
    config.remove("build");
    let mut config = serde_json::to_value(config)?;
    let table = config.as_object_mut().context("wrangler.toml must be a table")?;
    table.insert("main".to_owned(), json!("./index.js"));
    if has_assets {
        let assets = table.entry("assets").or_insert_with(|| json!({}));
        let assets = assets.as_object_mut().context("`assets` in wrangler.toml must be a table")?;
        assets.insert("directory".to_owned(), json!(format!("./{ASSETS}")));
    } else {
        table.remove("assets");
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::converted;
    use serde_json::json;

    const TEXT: &str = "main = \"build/index.js\"\ncompatibility_date = \"2026-10-20\"\n[build]\ncommand = \"cargo\"\n\
        [[kv_namespaces]]\nbinding = \"KV\"\n[vars]\nA = \"\"\n";

    #[test]
    fn everything_but_the_build_is_kept() {
        let expected = json!({
            "main": "./index.js",
            "compatibility_date": "2026-10-20",
            "kv_namespaces": [{ "binding": "KV" }],
            "vars": { "A": "" },
        });
        assert_eq!(converted(TEXT, false).expect("TOML"), expected);
    }

    #[test]
    fn assets_are_beside_the_worker() {
        assert_eq!(converted(TEXT, true).expect("TOML")["assets"], json!({ "directory": "./assets" }));
        let text = format!("{TEXT}[assets]\ndirectory = \"build/assets\"\nhtml_handling = \"none\"\n");
        let expected = json!({ "directory": "./assets", "html_handling": "none" });
        assert_eq!(converted(&text, true).expect("TOML")["assets"], expected);
        assert!(converted(&text, false).expect("TOML").get("assets").is_none());
    }
}
