// A handler of service plugin calls with jose, with the work of wix-edge: it signs the call to the app and reads the answer.

import { errors, importSPKI, jwtVerify } from "jose";
import { GUID, Refused, bytes, json, recordSighting, respond } from "./common.js";
import { sha256, signedHeaders } from "./signature.js";

const LIMIT = 1024 * 1024;
const DEADLINE = 10_000;
const PATH = /^\/plugins\/((?:[\w\-.~!$&'()*+,=]+\/?)+)$/;
const utf8 = new TextEncoder();
let key;

async function verified(env, body) {
  key ??= await importSPKI(`-----BEGIN PUBLIC KEY-----\n${env.PUBLIC_KEY}\n-----END PUBLIC KEY-----`, "RS256");
  const options = { algorithms: ["RS256"], issuer: "wix.com", audience: env.WIX_APP_ID, requiredClaims: ["iat", "exp"] };
  try {
    return (await jwtVerify(body, key, options)).payload;
  } catch (error) {
    if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) {
      throw new Refused(400, "malformed", "the body must be a JWT");
    }
    throw new Refused(401, "bad_signature", "the key did not make the signature, or not for this app and now");
  }
}

function checked({ data, iat }, now) {
  if (iat > now + 60) throw new Refused(401, "not_now", "the call was issued in the future");
  const { request, metadata } = data ?? {};
  if (typeof request !== "object" || request === null) throw new Refused(400, "malformed", "the call needs a request");
  if (typeof metadata?.appExtensionType !== "string") throw new Refused(400, "malformed", "the call needs metadata");
  const { instanceId, requestId } = metadata;
  if (instanceId && !GUID.test(instanceId)) throw new Refused(400, "malformed", "the instance must be a GUID");
  return { request, metadata, instance: instanceId?.toLowerCase(), requestId };
}

/** Sends a call to the app, which has so many milliseconds to answer, and reads the answer, which must be JSON. */
async function post(url, headers, body, millis) {
  // The timer ends with the request.
  const signal = AbortSignal.timeout(millis);
  const response = await fetch(url, { method: "POST", headers, body, redirect: "manual", cache: "no-store", signal });
  if (response.status >= 300 && response.status < 400) throw new Refused(502, "plugin_failed", "it answered a redirect");
  const text = await response.text();
  if (text.length > LIMIT) throw new Refused(502, "plugin_failed", "its answer is too long");
  try {
    JSON.parse(text);
  } catch {
    throw new Refused(502, "plugin_failed", "its answer is no JSON");
  }
  return [response.status, text];
}

async function call(request, env, work, path) {
  const claims = await verified(env, await bytes(request, LIMIT));
  const now = Math.floor(Date.now() / 1000);
  const { request: content, metadata, instance, requestId } = checked(claims, now);
  if (instance !== undefined) {
    work.notes.instance_id = instance;
    await recordSighting(env, instance, now);
  }
  const encoded = utf8.encode(JSON.stringify(metadata)).toBase64({ alphabet: "base64url", omitPadding: true });
  const body = JSON.stringify(content);
  const headers = await signedHeaders(env, `plugin_${await sha256(encoded)}`, body);
  headers["wix-edge-metadata"] = encoded;
  if (instance !== undefined) headers["wix-edge-instance-id"] = instance;
  if (requestId !== undefined) headers["wix-edge-request-id"] = requestId;
  const left = work.start + DEADLINE - Date.now();
  const [status, text] = await post(`${env.PLUGINS_URL}/${path}`, headers, body, left);
  work.notes.outcome = "passed_on";
  return json(work.id, status, text);
}

export default {
  fetch(request, env) {
    const { pathname, search } = new URL(request.url);
    const [, path] = PATH.exec(pathname) ?? [];
    if (path === undefined || search !== "" || request.method !== "POST") {
      return new Response("not found", { status: 404 });
    }
    return respond(request, "/plugins/…", (work) => call(request, env, work, path));
  },
};
