// The form of single values, as the Worker reads them (docs/configuration.md). No value is ever shown.

import { createHash } from "node:crypto";

import { UserError } from "../error.js";
import { SCOPES } from "../keys.js";

/** Why a value is refused; `undefined` if it is in order. */
export type Problem = string | undefined;

/** The first hex digits of the SHA-256. */
export function fingerprint(bytes: string | Buffer): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 8);
}

/** The entries of a comma-separated list. */
export function entries(value: string): string[] {
  return value.split(",").map((entry) => entry.trim()).filter((entry) => entry !== "");
}

/** Whether a value was left as an example. */
export function isPlaceholder(value: string): boolean {
  const text = value.trim();
  return (
    /^(<.*>|\[.*\]|\{.*\}|x{3,}|\.{3}|…)$/i.test(text) ||
    /^(change[-_ ]?me|todo|example|placeholder|replace[-_ ]?me|your[-_ ].*|paste .*)/i.test(text) ||
    /^(00000000-0000-|11111111-1111-|12345678-1234-)/.test(text)
  );
}

/** The message of a parser that refuses a value. */
export function problemOf(parse: () => unknown): Problem {
  try {
    parse();
    return undefined;
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
}

/** An origin, https or on loopback. */
export function origin(value: string): Problem {
  if (!URL.canParse(value.trim())) return "the value must be a URL";
  const { pathname, search, hash } = new URL(value.trim());
  return pathname === "/" && search === "" && hash === "" ? undefined : "the value must be scheme, host and port only";
}

/** `SEALING_KEYS`. */
export function sealingKeys(value: string): Problem {
  const all = entries(value).map((entry) => entry.split(":"));
  for (const [id = "", encoded, ...rest] of all) {
    if (encoded === undefined || rest.length > 0) return "each entry must be of the form id:base64";
    if (!/^[\w.-]+$/.test(id)) return "an id must be letters, digits, -, _ or .";
    const bytes = base64(encoded);
    if (bytes?.length !== 32) return "each key must be the base64 of 32 bytes";
    if (bytes.every((byte) => byte === bytes[0])) return "a key must be random: all bytes of one are equal";
  }
  if (all.length === 0) return "the value must not be empty";
  if (new Set(all.map(([id]) => id)).size < all.length) return "two keys have the same id";
  return new Set(all.map(([, key]) => key)).size < all.length ? "two ids have the same key" : undefined;
}

/** `API_KEYS`. */
export function apiKeys(value: string): Problem {
  const all = entries(value).map((entry) => entry.split(":"));
  for (const [name = "", hash, scopes, ...rest] of all) {
    if (hash === undefined || rest.length > 0) return "each entry must be of the form name:hash or name:hash:scope+scope";
    if (!/^[\w.-]{1,64}$/.test(name)) return "a name must be 1 to 64 letters, digits, -, _ or .";
    if (!/^[\da-f]{64}$/i.test(hash)) return "a hash must be the key's SHA-256 as 64 hexadecimal digits, not the key itself";
    if (EMPTY.includes(hash.toLowerCase())) return "a hash must be that of a key: this is the hash of an empty or a placeholder text";
    if (scopes !== undefined && !scopes.split("+").every((scope) => SCOPES.includes(scope))) {
      return `a scope must be one of ${SCOPES.join(", ")}`;
    }
  }
  if (all.length === 0) return "the value must not be empty";
  return new Set(all.map(([, hash]) => hash)).size < all.length ? "two entries have the same hash" : undefined;
}

const EMPTY = ["", "\n", "\r\n", " ", "undefined", "null", "None"].map((text) => createHash("sha256").update(text).digest("hex"));

/** `EVENTS_SECRETS`. */
export function eventsSecrets(value: string): Problem {
  for (const entry of entries(value)) {
    if (!entry.startsWith("whsec_")) return "each secret must begin with whsec_";
    const bytes = base64(entry.slice("whsec_".length));
    if (bytes === undefined || bytes.length < 24 || bytes.length > 64) return "each secret must be whsec_ and the base64 of 24 to 64 bytes";
    if (bytes.every((byte) => byte === bytes[0])) return "a secret must be random: all bytes of one are equal";
  }
  return entries(value).length === 0 ? "the value must not be empty" : undefined;
}

/** The bytes of a base64 text of either alphabet, with or without padding. */
function base64(text: string): Buffer | undefined {
  return /^[\w+/-]+={0,2}$/.test(text.replaceAll(/\s/g, "")) ? Buffer.from(text, "base64") : undefined;
}
