// The keys that `wix-edge setup` makes. Cloudflare never shows a secret again, so they are kept in a file.

import { chmodSync, existsSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { UserError } from "./error.js";
import { apiKey, eventsSecret, sealingKey } from "./keys.js";

/** The secrets that `setup` makes. */
export const MADE = ["SEALING_KEYS", "API_KEYS", "EVENTS_SECRETS"] as const;

/** The scopes of the API keys that `setup` makes. */
const SCOPES = { backend: "token+instances+events+proxy", console: "admin+instances+events" };

/** What the file has in it. */
export interface Keys {
  /** The secret `SEALING_KEYS`: a list. */
  SEALING_KEYS?: string;
  /** The secret `API_KEYS`: a list of hashes. */
  API_KEYS?: string;
  /** The secret `EVENTS_SECRETS`: a list. */
  EVENTS_SECRETS?: string;
  /** The API keys themselves, by the name of their entry. */
  api_keys?: Record<string, string>;
  /** The Worker's address. */
  url?: string;
  /** The SHA-256 of what was deployed last: configuration and version. */
  deployed?: string;
}

/** The name of the file of an environment. */
export function keyFileName(environment?: string): string {
  return environment === undefined ? "wix-edge.keys.json" : `wix-edge.${environment}.keys.json`;
}

/** The file of an environment. */
export class KeyFile {
  readonly name: string;
  readonly path: string;
  keys: Keys = {};

  /** Reads the file, if it exists. */
  constructor(folder: string, environment?: string) {
    this.name = keyFileName(environment);
    this.path = join(folder, this.name);
    if (!existsSync(this.path)) return;
    this.keys = parsed(readFileSync(this.path, "utf8"), this.path);
  }

  /** Takes the file from other users, if an editor or a copy opened it to them. */
  protect(): void {
    if (existsSync(this.path) && (statSync(this.path).mode & 0o077) !== 0) chmodSync(this.path, 0o600);
  }

  /** Makes the keys that are missing. Returns their names. */
  complete(): string[] {
    const missing = MADE.filter((name) => this.keys[name] === undefined);
    for (const name of missing) {
      if (name === "SEALING_KEYS") this.keys.SEALING_KEYS = sealingKey();
      if (name === "EVENTS_SECRETS") this.keys.EVENTS_SECRETS = eventsSecret();
      if (name === "API_KEYS") {
        const made = Object.entries(SCOPES).map(([client, scopes]) => ({ client, ...apiKey(client, scopes) }));
        this.keys.API_KEYS = made.map(({ entry }) => entry).join(",");
        this.keys.api_keys = Object.fromEntries(made.map(({ client, secret }) => [client, secret]));
      }
    }
    return missing;
  }

  /** Writes the file at once or not at all, so that no interruption damages it. Only its owner can read it. */
  save(): void {
    const text = { about: "Keep a copy of this file. Without SEALING_KEYS the stored refresh tokens are lost.", ...this.keys };
    const beside = `${this.path}.new`;
    writeFileSync(beside, `${JSON.stringify(text, null, 2)}\n`, { mode: 0o600 });
    chmodSync(beside, 0o600);
    renameSync(beside, this.path);
  }
}

function parsed(text: string, path: string): Keys {
  const damaged = new UserError(`${path} must be JSON as \`wix-edge setup\` wrote it. Put your copy of the file back.`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw damaged;
  }
  if (typeof value !== "object" || value === null) throw damaged;
  const { about, ...keys } = value as Keys & { about?: string };
  const texts = [...MADE, "url", "deployed"] as const;
  if (texts.some((name) => keys[name] !== undefined && (typeof keys[name] !== "string" || keys[name] === ""))) throw damaged;
  return keys;
}
