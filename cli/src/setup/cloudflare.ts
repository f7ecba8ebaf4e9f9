// The steps at Cloudflare. wrangler carries them out.

import { mkdtempSync, readFileSync, existsSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { UserError } from "../error.js";
import { wrangler, type Call, type Output } from "../wrangler.js";

/** An account that the user may deploy to. */
export interface Account {
  id: string;
  name: string;
}

/** The accounts of the user, or `undefined` if nobody is logged in. */
export function accounts(call: Call): Account[] | undefined {
  const { ok, stdout } = wrangler(["whoami", "--json"], call);
  const found = json<{ loggedIn?: boolean; accounts?: Account[] }>(stdout);
  return ok && found?.loggedIn === true ? (found.accounts ?? []) : undefined;
}

/** The names of the Worker's secrets, or `undefined` if there is no such Worker. */
export function secretNames(environment: string[], call: Call): string[] | undefined {
  const output = wrangler(["secret", "list", "--format", "json", ...environment], call);
  if (output.ok) {
    const found = json<{ name: string }[]>(output.stdout);
    if (!found) throw failed("secret list", output);
    return found.map(({ name }) => name);
  }
  if (/Worker "[^"]*".* not found/.test(output.stderr + output.stdout)) return undefined;
  throw failed("secret list", output);
}

/** The id of the KV namespace with a title, which is made if there is none. */
export function namespace(title: string, call: Call): string {
  const find = (): string | undefined => {
    const output = wrangler(["kv", "namespace", "list"], call);
    const found = output.ok ? json<{ id: string; title: string }[]>(output.stdout) : undefined;
    if (!found) throw failed("kv namespace list", output);
    return found.find((namespace) => namespace.title === title)?.id;
  };
  const existing = find();
  if (existing !== undefined) return existing;
  const output = wrangler(["kv", "namespace", "create", title], call);
  if (!output.ok) throw failed("kv namespace create", output);
  const made = find();
  if (made === undefined) throw new UserError(`Cloudflare does not list the KV namespace ${title} yet. Run setup again.`);
  return made;
}

/**
 * Deploys the Worker with secrets, as one version: no request meets code without its secrets. Returns the Worker's
 * address, if wrangler told it.
 */
export function deploy(secrets: Record<string, string>, environment: string[], call: Call): string | undefined {
  // mkdtemp makes a folder that only its owner can enter.
  const folder = mkdtempSync(join(tmpdir(), "wix-edge-"));
  // A signal must not end this process before the file with the secrets is removed. wrangler gets it too, and ends.
  const ignore = (): void => undefined;
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, ignore);
  try {
    const words = ["deploy", ...environment];
    if (Object.keys(secrets).length > 0) {
      const file = join(folder, "secrets.json");
      writeFileSync(file, JSON.stringify(secrets), { mode: 0o600, flag: "wx" });
      words.push("--secrets-file", file);
    }
    const report = join(folder, "output.ndjson");
    const output = wrangler(words, { ...call, variables: { ...call.variables, WRANGLER_OUTPUT_FILE_PATH: report } });
    if (!output.ok) throw failed("deploy", output, Object.values(secrets));
    return existsSync(report) ? address(readFileSync(report, "utf8")) : undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
    for (const signal of signals) process.off(signal, ignore);
  }
}

/** The first address among the targets of a deployment. */
function address(report: string): string | undefined {
  for (const line of report.split("\n")) {
    const entry = json<{ type?: string; targets?: string[] }>(line);
    const target = entry?.type === "deploy" ? entry.targets?.find((text) => /^https?:\/\//.test(text)) : undefined;
    if (target !== undefined) return new URL(target).origin;
  }
  return undefined;
}

/** The JSON in an output, which may begin with other lines. */
function json<T>(output: string): T | undefined {
  const start = output.search(/^[[{]/m);
  if (start < 0) return undefined;
  try {
    return JSON.parse(output.slice(start)) as T;
  } catch {
    return undefined;
  }
}

function failed(command: string, { stdout, stderr }: Output, secrets: string[] = []): UserError {
  const said = secrets.reduce((text, secret) => text.replaceAll(secret, "…"), `${stdout}\n${stderr}`).trim();
  return new UserError(`\`wrangler ${command}\` failed. Run setup again when the cause is mended: it continues here.\n\n${said}`);
}
