// Random keys and their configuration entries. docs/configuration.md has the forms.

import { createHash, randomBytes } from "node:crypto";

import { UserError } from "./error.js";

/** The scopes of the Worker's `API_KEYS`. */
export const SCOPES = ["token", "instances", "events", "proxy", "admin"];

/** The variable with the API key. There is no option for it: every user of a computer can read the arguments of its programs. */
export const API_KEY = "WIX_EDGE_API_KEY";

/** The API key in the environment, or else another one that is known. */
export function givenApiKey(other?: string): string | undefined {
  const key = process.env[API_KEY]?.trim() || other;
  if (!key) return undefined;
  if (!/^[\x21-\x7e]+$/.test(key)) {
    throw new UserError(`the API key (${API_KEY}, or the one in the key file) must be printable ASCII without blanks`);
  }
  return key;
}

/** A key for the app API. */
export interface ApiKey {
  /** The key, which the client sends. */
  secret: string;
  /** The entry for `API_KEYS`: `name:sha256-hex:scope+scope`. */
  entry: string;
}

/** Makes an API key of 256 bits. */
export function apiKey(name: string, scopes: string): ApiKey {
  if (!/^[\w.-]{1,64}$/.test(name)) {
    throw new UserError('a key\'s name must be 1 to 64 letters, digits, "-", "_" or "."');
  }
  if (!scopes.split("+").every((scope) => SCOPES.includes(scope))) {
    throw new UserError(`the scopes must be some of ${SCOPES.join(", ")}, joined by "+"`);
  }
  const secret = randomBytes(32).toString("base64url");
  return { secret, entry: `${name}:${createHash("sha256").update(secret).digest("hex")}:${scopes}` };
}

/** An entry for `SEALING_KEYS`. The id is random too, so that no two keys share one. */
export function sealingKey(): string {
  return `k${randomBytes(3).toString("hex")}:${randomBytes(32).toString("base64")}`;
}

/** A secret for `EVENTS_SECRETS`. */
export function eventsSecret(): string {
  return `whsec_${randomBytes(32).toString("base64")}`;
}
