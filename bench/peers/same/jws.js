// Verifies a compact JWS by RS256 with WebCrypto and a key that is imported once.

import { Refused, object } from "./common.js";

const SKEW = 60;
const RS256 = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const text = new TextDecoder("utf-8", { fatal: true });
let key;

function publicKey(env) {
  key ??= crypto.subtle.importKey("spki", Uint8Array.fromBase64(env.PUBLIC_KEY), RS256, false, ["verify"]);
  return key;
}

function decoded(part) {
  try {
    return Uint8Array.fromBase64(part, { alphabet: "base64url" });
  } catch {
    throw new Refused(400, "malformed", "the parts must be base64url");
  }
}

/** The claims of a message, as bytes. */
export async function verified(env, body) {
  let token;
  try {
    token = text.decode(body).trim();
  } catch {
    throw new Refused(400, "malformed", "the body must be a JWT");
  }
  const parts = token.split(".");
  if (parts.length !== 3) throw new Refused(400, "malformed", "the body must be a JWT");
  const header = object(text.decode(decoded(parts[0])), "the header must be JSON");
  if (header.alg !== "RS256") throw new Refused(401, "bad_signature", "the algorithm must be RS256");
  if (header.crit !== undefined) throw new Refused(401, "bad_signature", "the JWT must not require extensions");
  const signature = decoded(parts[2]);
  const signed = body.subarray(0, parts[0].length + 1 + parts[1].length);
  const isGenuine =
    signature.length === 256 && (await crypto.subtle.verify(RS256.name, await publicKey(env), signature, signed));
  if (!isGenuine) throw new Refused(401, "bad_signature", "the key did not make the signature");
  return text.decode(decoded(parts[1]));
}

function time(seconds, isNeeded) {
  if (seconds === undefined && !isNeeded) return undefined;
  if (typeof seconds !== "number" || !(seconds >= 0 && seconds <= 253402300799)) {
    throw new Refused(400, "malformed", "a time must be a date");
  }
  return Math.floor(seconds);
}

/** Checks when a message is valid. Returns when it was issued. */
export function checkTimes(claims, now) {
  const [iat, exp, nbf] = [time(claims.iat, true), time(claims.exp), time(claims.nbf)];
  if (iat > now + SKEW) throw new Refused(401, "not_now", "the message was issued in the future");
  if (exp !== undefined && exp + SKEW <= now) throw new Refused(401, "not_now", "the message has expired");
  if (nbf !== undefined && nbf > now + SKEW) throw new Refused(401, "not_now", "the message is not valid yet");
  return iat;
}
