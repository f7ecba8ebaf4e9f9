// The files of a project: what `wix-edge init` writes, and the template of the Deploy to Cloudflare button in `deploy/`.

import type { Config } from "../config.js";
import { version } from "../package.js";
import { BUTTON_README, IGNORED, PROJECT_README, SECRETS_EXAMPLE, WORKFLOW } from "./texts.js";
import { workerConfig } from "./worker.js";

/** Comments of `wrangler.jsonc`, by key. */
const COMMENTS: Record<string, string> = {
  main: "The built Worker of the installed package.",
  workers_dev:
    "With a custom domain (\"routes\" with \"custom_domain\": true), set PUBLIC_URL to it, and this to false, so that the Worker has one address.",
  preview_urls: "With preview URLs, an old version with revoked keys would stay reachable.",
  assets: "The operator's console at /console, and the page of problems. All other paths go to the Worker at once.",
  kv_namespaces: "The installations and their sealed refresh tokens. `wix-edge setup`, or the first deployment, creates the namespace.",
  durable_objects: "One object for each installation: it stores the events for your back end and delivers them.",
  migrations: "Never remove or reorder entries: Cloudflare cannot go back behind one.",
  ratelimits: "How many install flows one client address may begin a minute. Two Workers with one namespace_id share a counter.",
  triggers: "Rechecks installations, and finishes work that failed.",
  vars: "Settings that are not secret; \"\" means: not set. `wix-edge setup` fills in the first two. docs/configuration.md of wix-edge has all.",
  observability: "Cloudflare does not store the record of each invocation: it has the URL in it, and Wix puts codes into URLs.",
};

/** What the form of the deploy button says about each value. */
const DESCRIPTIONS: Record<string, string> = {
  WIX_APP_ID: "The App ID: [your app](https://dev.wix.com/apps), Develop, OAuth.",
  WIX_PUBLIC_KEYS: "The public key: [your app](https://dev.wix.com/apps), Develop, Webhooks, Get Public Key. One line or several.",
  WIX_APP_SECRET: "The App Secret Key: [your app](https://dev.wix.com/apps), Develop, OAuth.",
  SEALING_KEYS: "Run `npx wix-edge keygen sealing-key`, paste the entry, and **keep a copy**: without it the refresh tokens are lost.",
  API_KEYS: "Run `npx wix-edge keygen api-key`, paste the entry, and give the key to your back end.",
  EVENTS_URL: "Your back end's https address for events. Leave it empty to begin with: it needs the secret `EVENTS_SECRETS`.",
};

/** The files of a project, by path. */
export function projectFiles(name: string): Record<string, string> {
  return {
    ...commonFiles(name, {}),
    "README.md": PROJECT_README,
    ".github/workflows/deploy.yml": WORKFLOW,
  };
}

/** The files of the template of the deploy button. Cloudflare asks for each entry of `.dev.vars.example`. */
export function buttonFiles(): Record<string, string> {
  const bindings = Object.fromEntries(Object.entries(DESCRIPTIONS).map(([name, description]) => [name, { description }]));
  return {
    ...commonFiles("wix-edge", { cloudflare: { bindings } }),
    "README.md": BUTTON_README,
    ".dev.vars.example": SECRETS_EXAMPLE,
  };
}

function commonFiles(name: string, more: Record<string, unknown>): Record<string, string> {
  const manifest = {
    // Not the name of the dependency: npm installs no package into one of the same name.
    name: `${name}-deployment`,
    private: true,
    scripts: { dev: "wix-edge dev", setup: "wix-edge setup", deploy: "wrangler deploy", doctor: "wix-edge doctor" },
    dependencies: { "wix-edge": version() },
    // npm asks before it runs the install script of a package that is not named here.
    allowScripts: { esbuild: true, node: true, workerd: true },
    ...more,
  };
  return {
    "wrangler.jsonc": configText({ ...workerConfig(), name }),
    "package.json": `${JSON.stringify(manifest, null, 2)}\n`,
    ".gitignore": IGNORED,
  };
}

/** The order of the keys in `wrangler.jsonc`. Others follow by name. */
const ORDER = ["name", "binding", "tag", "main", "vars", "WIX_APP_ID", "WIX_PUBLIC_KEYS", "kv_namespaces", "durable_objects", "migrations"];

/** A configuration as JSON with comments. */
function configText(config: Config): string {
  const entries = Object.entries(ordered(config) as Config).map(([key, value]) => {
    const comment = COMMENTS[key] === undefined ? "" : `  // ${COMMENTS[key]}\n`;
    return `${comment}  ${JSON.stringify(key)}: ${JSON.stringify(value, null, 2).replaceAll("\n", "\n  ")}`;
  });
  const schema = '  "$schema": "node_modules/wrangler/config-schema.json"';
  return `// The configuration of wix-edge at Cloudflare. It has no secrets in it.\n{\n${[schema, ...entries].join(",\n")}\n}\n`;
}

/** A value whose objects have their keys in order. */
function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== "object" || value === null) return value;
  const rank = (key: string): number => (ORDER.includes(key) ? ORDER.indexOf(key) : ORDER.length);
  const entries = Object.entries(value).sort(([one], [other]) => rank(one) - rank(other) || (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, ordered(inner)]));
}
