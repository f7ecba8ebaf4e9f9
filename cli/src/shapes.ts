// The form of the values that the user enters, checked as the Worker checks them (crates/core/src/config).

import { createPublicKey } from "node:crypto";

import { UserError } from "./error.js";

/** What a pasted text may have around it, or between its characters, without anybody seeing it. */
const INVISIBLE = /[\u0000\u200b-\u200f\u202a-\u202e\u2060\ufeff]/g;

/** A text without invisible characters, and without whitespace around it. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, "").trim();
}

/** The app id: a GUID, in lower case. */
export function appId(text: string): string {
  const id = visible(text).toLowerCase();
  const shaped = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/.test(id);
  if (!shaped || /^[0-]*$/.test(id)) throw new UserError("the app id must be a GUID, as the app's dashboard shows it");
  return id;
}

/** The app secret. The message never shows a part of it. */
export function appSecret(text: string): string {
  const secret = visible(text).replace(/[\r\n]/g, "");
  if (secret.length < 8) throw new UserError("the app secret must have at least 8 characters");
  if (!/^[\x21-\x7e]*$/.test(secret)) throw new UserError("the app secret must be printable ASCII without spaces");
  if (/["'`]/.test(secret)) throw new UserError("the app secret must not contain quotes");
  return secret;
}

/** The URL of the back end for events. */
export function eventsUrl(text: string): string {
  const entered = visible(text);
  if (entered === "") return "";
  const url = URL.canParse(entered) ? new URL(entered) : undefined;
  if (!url) throw new UserError("the URL for events must be a whole URL, such as https://app.example/events");
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url))) {
    throw new UserError("the URL for events must be https (http is accepted on loopback only)");
  }
  if (url.username || url.password) throw new UserError("the URL for events must not contain a user name or password");
  return url.href;
}

/** Whether a URL leads to this machine. */
export function isLoopback({ hostname }: URL): boolean {
  return hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}

/**
 * The public keys: PEM, PEM on one line with `\n`, base64 of PEM, or base64 of the DER, several after each other or
 * separated by commas. Returns base64 of the DER, separated by commas.
 */
export function publicKeys(text: string): string {
  const pasted = visible(text).replace(/^["']+|["']+$/g, "");
  const unescaped = pasted.replaceAll("\\\\", "\\").replaceAll("\\r", "").replaceAll("\\n", "\n");
  const keys = unescaped.split(",").map(visible).filter((piece) => piece !== "").flatMap(keysOf);
  if (keys.length === 0) throw new UserError("the public key must not be empty");
  return keys.join(",");
}

const BEGIN = "-----BEGIN";

function keysOf(piece: string): string[] {
  if (piece.includes(BEGIN)) return keysOfPem(piece);
  const bytes = base64(piece);
  const pem = bytes.toString("latin1");
  return pem.includes(BEGIN) ? keysOfPem(pem) : [keyOf(bytes)];
}

function keysOfPem(text: string): string[] {
  const [, ...blocks] = text.split(BEGIN);
  return blocks.map((block) => {
    const [, label, rest] = /^([^-]*)-----(.*)$/s.exec(block) ?? [];
    if (label === undefined || rest === undefined) throw new UserError("the public key must begin with the whole BEGIN line: paste all of it");
    if (label.includes("PRIVATE")) throw new UserError("the public key must be the public one: this is a private key");
    if (label.trim() !== "PUBLIC KEY") {
      throw new UserError("the public key's first line must be -----BEGIN PUBLIC KEY-----");
    }
    const end = rest.indexOf("-----END");
    if (end < 0) throw new UserError("the public key must end with the line -----END PUBLIC KEY-----: paste all of it");
    return keyOf(base64(rest.slice(0, end)));
  });
}

function base64(text: string): Buffer {
  const encoded = text.replace(/\s/g, "").replace(/=+$/, "");
  if (encoded.length % 4 === 1 || !/^[\w+/-]+$/.test(encoded)) throw new UserError("the public key must be PEM or base64");
  return Buffer.from(encoded, "base64");
}

function keyOf(der: Buffer): string {
  const key = read(der);
  if (key.asymmetricKeyType !== "rsa") throw new UserError("the public key must be an RSA key");
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  if (modulusLength < 2048 || modulusLength > 4096) {
    throw new UserError("the public key's RSA key must have 2048 to 4096 bits");
  }
  if (publicExponent < 3n || publicExponent % 2n === 0n) {
    throw new UserError("the public key's RSA key must have an odd exponent of at least 3");
  }
  return key.export({ format: "der", type: "spki" }).toString("base64");
}

function read(der: Buffer): ReturnType<typeof createPublicKey> {
  try {
    return createPublicKey({ key: der, format: "der", type: "spki" });
  } catch {
    throw new UserError("the public key must be whole: the text was altered or cut off");
  }
}
