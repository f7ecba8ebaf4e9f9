// `wix-edge setup`: from an app at Wix to a deployed Worker. Every step can be repeated, so a run continues another that
// broke off: keys are written to a file before anything is deployed, and a secret that the Worker has is never replaced,
// except the app secret, if it is given.

import { createHash } from "node:crypto";
import { resolve } from "node:path";

import { isCancel, select } from "@clack/prompts";
import type { Command } from "commander";

import { ConfigFile, environmentName } from "../config.js";
import { UserError } from "../error.js";
import { KeyFile, MADE } from "../keyfile.js";
import { wholeNumber } from "../options.js";
import { version } from "../package.js";
import { environmentConfig, workerConfig } from "../project/worker.js";
import { accounts, deploy, namespace, secretNames } from "../setup/cloudflare.js";
import { knowsKey, ready, waitUntilReady, wixValues } from "../setup/report.js";
import { cancelled, isAttended, secretOf, varsOf, type Options } from "../setup/values.js";
import { isLoopback } from "../shapes.js";
import { wrangler, type Call } from "../wrangler.js";

/** Adds the command. */
export function setup(program: Command): void {
  program
    .command("setup")
    .description("Ask for the app's values, make the keys, deploy, and print what to enter at Wix.")
    .option("--env <name>", "a wrangler environment, such as staging, with a namespace, secrets and keys of its own")
    .option("--dry-run", "print each step and change nothing")
    .option("--yes", "ask nothing: every value comes from an option, the environment or wrangler.jsonc")
    .option("--app-id <id>", "the App ID (or: the variable WIX_APP_ID)")
    .option("--public-key-file <path>", "a file with the public key (or: WIX_PUBLIC_KEYS)")
    .option("--secret-file <path>", "a file with the App Secret Key (or: WIX_APP_SECRET)")
    .option("--secret-stdin", "read the App Secret Key from standard input")
    .option("--events-url <url>", "your back end's address for events (or: EVENTS_URL)")
    .option("--account <id>", "the Cloudflare account, if you have several (or: CLOUDFLARE_ACCOUNT_ID)")
    .option("--url <url>", "the Worker's address, if wrangler does not tell it")
    .option("--wait <seconds>", "how long to wait for /readyz", wholeNumber(0, 3600), 120)
    .action((options: Options) => new Setup(process.cwd(), options).run());
}

class Setup {
  private readonly file: ConfigFile;
  private readonly keyFile: KeyFile;
  private readonly environment: string | undefined;
  private readonly call: Call;

  constructor(
    folder: string,
    private readonly options: Options,
  ) {
    this.environment = options.env === undefined ? undefined : environmentName(options.env);
    this.file = ConfigFile.read(resolve(folder));
    this.keyFile = new KeyFile(folder, this.environment);
    this.call = { folder };
  }

  async run(): Promise<void> {
    this.addEnvironment();
    const isFirst = this.keyFile.keys.deployed === undefined;
    const values = await varsOf(this.options, this.settings(), isFirst);
    for (const [name, value] of Object.entries(values)) {
      if ((this.settings().vars?.[name] ?? "") !== value) this.set(["vars", name], value);
    }
    if (this.options.dryRun === true) return this.explain();

    this.keyFile.protect();
    await this.login();
    const stored = secretNames(this.words(), this.call);
    this.refuseToReplace(stored ?? []);
    const secret = await secretOf(this.options, stored?.includes("WIX_APP_SECRET") ?? false);

    const made = this.keyFile.complete();
    if (made.length > 0) {
      this.keyFile.save();
      say(`${this.keyFile.name}: made ${made.join(", ")}`);
    }
    if (stored === undefined) this.createNamespace();
    if (this.file.save()) say("wrangler.jsonc: written");

    const secrets = Object.fromEntries(
      MADE.filter((name) => !stored?.includes(name)).map((name) => [name, this.keyFile.keys[name] ?? ""]),
    );
    if (secret !== undefined) secrets.WIX_APP_SECRET = secret;
    this.deploy(secrets);
    await this.finish();
  }

  /** wrangler passes no bindings on to an environment, so they are repeated in it. */
  private addEnvironment(): void {
    const name = this.environment;
    if (name === undefined || this.file.environment(name) !== undefined) return;
    this.file.set(["env", name], environmentConfig(workerConfig(), name, this.file.counters()));
  }

  private async login(): Promise<void> {
    let found = accounts(this.call);
    if (!found && isAttended(this.options)) {
      wrangler(["login"], { ...this.call, attended: true });
      found = accounts(this.call);
    }
    if (!found) throw new UserError("log in to Cloudflare first: `npx wrangler login`, or set CLOUDFLARE_API_TOKEN");
    const chosen = this.options.account ?? process.env.CLOUDFLARE_ACCOUNT_ID ?? this.file.config.account_id;
    if (chosen === undefined && found.length > 1) this.useAccount(await this.chooseAccount(found));
    else if (this.options.account !== undefined) this.useAccount(this.options.account);
  }

  private async chooseAccount(found: { id: string; name: string }[]): Promise<string> {
    if (!isAttended(this.options)) {
      const list = found.map(({ id, name }) => `  ${id}  ${name}`).join("\n");
      throw new UserError(`you have several Cloudflare accounts: choose one with --account\n\n${list}`);
    }
    const options = found.map(({ id, name }) => ({ value: id, label: name, hint: id }));
    const answer = await select({ message: "Cloudflare account", options });
    if (isCancel(answer)) throw cancelled();
    return answer;
  }

  /** The account is in `wrangler.jsonc`, so that a later deployment goes to the same one. */
  private useAccount(id: string): void {
    this.call.variables = { ...this.call.variables, CLOUDFLARE_ACCOUNT_ID: id };
    if (this.file.config.account_id !== id) this.file.set(["account_id"], id);
  }

  /** A list that is not in the key file must not be replaced: what it seals could not be opened any more. */
  private refuseToReplace(stored: string[]): void {
    const lost = MADE.filter((name) => stored.includes(name) && this.keyFile.keys[name] === undefined);
    if (lost.length === 0) return;
    const form = Object.fromEntries(lost.map((name) => [name, "the whole list"]));
    throw new UserError(`the Worker has ${lost.join(", ")} already, and ${this.keyFile.name} has not. Nothing is changed.

- If setup ran on another machine or in another folder, copy its ${this.keyFile.name} here.
- If you keep the lists elsewhere, write them to ${this.keyFile.name}: ${JSON.stringify(form)}
- If SEALING_KEYS is lost, leave it as it is: the Worker continues with it. Deploy with \`npx wrangler deploy\`.
- Only if /readyz names a value as malformed, such as an example of the deploy button, delete that one with
  \`npx wrangler secret delete NAME${this.environment === undefined ? "" : ` --env ${this.environment}`}\`, and run setup again.`);
  }

  /** Only for a new Worker: one that exists keeps the namespace that it has, also if `wrangler.jsonc` has no id. */
  private createNamespace(): void {
    const namespaces = this.settings().kv_namespaces ?? [];
    const at = namespaces.findIndex(({ binding }) => binding === "INSTANCES");
    if (at < 0) throw new UserError("wrangler.jsonc must bind a KV namespace as INSTANCES (kv_namespaces)");
    if (namespaces[at]?.id) return;
    const title = `${this.file.worker(this.environment)}-instances`;
    this.set(["kv_namespaces", at, "id"], namespace(title, this.call));
    say(`KV namespace: ${title}`);
  }

  private deploy(secrets: Record<string, string>): void {
    const { keys } = this.keyFile;
    const digest = createHash("sha256").update(`${version()}\n${this.file.text}`).digest("hex");
    if (keys.deployed === digest && Object.keys(secrets).length === 0) return say("deployed before: nothing has changed");
    say(`deploying with ${Object.keys(secrets).sort().join(", ") || "the secrets that it has"}`);
    const url = deploy(secrets, this.words(), { ...this.call, attended: isAttended(this.options) });
    if (url !== undefined) keys.url = url;
    keys.deployed = digest;
    this.keyFile.save();
  }

  private async finish(): Promise<void> {
    const url = this.url();
    say(`waiting for ${url}/readyz`);
    await waitUntilReady(url, this.options.wait);
    const { api_keys = {} } = this.keyFile.keys;
    for (const [name, key] of Object.entries(api_keys)) {
      if ((await knowsKey(url, key)) === false) {
        say(`note: the Worker does not know the key "${name}" of ${this.keyFile.name}. Put your list again: npx wrangler secret put API_KEYS`);
      }
    }
    console.log(`
The Worker is ready: ${url}

${wixValues(this.settings().vars?.WIX_APP_ID ?? "", url)}

${this.keyFile.name} has the keys. KEEP A COPY, for example in a password manager: without SEALING_KEYS the stored
refresh tokens are lost. Your back end needs from it: api_keys.backend, and EVENTS_SECRETS to verify events.
The key api_keys.console is for you, the operator.`);
  }

  /** The address that Wix and browsers use. */
  private url(): string {
    const text = this.settings().vars?.PUBLIC_URL || this.options.url || this.keyFile.keys.url;
    if (!text) throw new UserError("wrangler did not tell the Worker's address: run setup again with --url https://…");
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (!url || !(url.protocol === "https:" || isLoopback(url))) throw new UserError("the Worker's address must be an https URL");
    return url.origin;
  }

  /** `--dry-run`: nothing is asked of Cloudflare, nothing is written. */
  private async explain(): Promise<void> {
    const { name } = this.keyFile;
    const worker = this.file.worker(this.environment);
    const words = this.words().join(" ");
    const missing = MADE.filter((secret) => this.keyFile.keys[secret] === undefined);
    const { url } = this.keyFile.keys;
    const state = url === undefined ? "" : ` (now: ${(await ready(url)).state})`;
    console.log(`A dry run: nothing is changed.

 1. wrangler whoami --json: is somebody logged in? Otherwise: wrangler login
 2. wrangler secret list ${words}: which secrets does the Worker ${worker} have? A list that it has and ${name} has
    not is never replaced
 3. write ${name} (mode 600): ${missing.join(", ") || "nothing, it is complete"}
 4. wrangler kv namespace list, and create ${worker}-instances, if the Worker is new and wrangler.jsonc has no id
 5. write wrangler.jsonc: ${this.changes()}
 6. wrangler deploy ${words} --secrets-file FILE: the Worker with each secret that it lacks, as one version. FILE has
    mode 600 and is removed
 7. wait for /readyz, at most ${this.options.wait} seconds${state}
 8. print what to enter at Wix:

${wixValues(this.settings().vars?.WIX_APP_ID ?? "", url ?? `https://${worker}.<your account>.workers.dev`)}`);
  }

  private changes(): string {
    const before = ConfigFile.read(this.call.folder);
    const { vars = {} } = this.settings();
    const old = before.environment(this.environment)?.vars ?? {};
    const changed = Object.keys(vars).filter((name) => vars[name] !== old[name]);
    const added = before.environment(this.environment) === undefined ? [`env.${this.environment ?? ""}`] : [];
    return [...added, ...changed].join(", ") || "nothing";
  }

  private settings() {
    return this.file.environment(this.environment) ?? {};
  }

  private set(path: (string | number)[], value: string): void {
    this.file.setIn(this.environment, path, value);
  }

  /** Names the environment also if it is the one at the top: otherwise wrangler warns if there are others. */
  private words(): string[] {
    return [`--env=${this.environment ?? ""}`];
  }
}

function say(text: string): void {
  console.log(`- ${text}`);
}
