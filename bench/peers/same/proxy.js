// A forwarder by hand, with the work of wix-edge: it keeps bodies up to 64 KiB, to send them again after a 401.

import { Refused, headers, respond } from "./common.js";
import { authorize, countCall, freshToken } from "./tokens.js";

const PATH = /^\/v1\/instances\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/wix\/((?:[\w\-.~!$&'()*+,=]+\/?)+)$/i;
const REPLAY_LIMIT = 64 * 1024;
const DEADLINE = 15_000;
const SLOWEST_UPLOAD = 256;
const TO_WIX = [
  "accept", "accept-language", "content-encoding", "content-language", "content-type", "if-match", "if-modified-since",
  "if-none-match", "if-range", "if-unmodified-since", "range", "x-wix-consistent",
];
const FROM_WIX = [
  "accept-ranges", "allow", "content-disposition", "content-language", "content-range", "content-type", "etag",
  "last-modified", "location", "retry-after", "x-wix-consistent", "x-wix-request-id",
];

/** The headers of a list that a message has. */
function pick(message, names) {
  const found = {};
  for (const name of names) {
    const value = message.headers.get(name);
    if (value !== null) found[name] = value;
  }
  return found;
}

async function send(url, method, headers, body, { accessToken }, work, millis) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), millis);
  work.notes.wix_calls = (work.notes.wix_calls ?? 0) + 1;
  try {
    const { signal } = controller;
    const all = { ...headers, authorization: accessToken };
    return await fetch(url, { method, headers: all, body, redirect: "manual", cache: "no-store", signal });
  } catch {
    throw new Refused(controller.signal.aborted ? 504 : 502, "wix_failed", "Wix did not answer");
  } finally {
    clearTimeout(timer);
  }
}

async function forward(request, env, work, id, url) {
  const length = Number(request.headers.get("content-length") ?? 0);
  const isKept = length <= REPLAY_LIMIT;
  const body = request.body === null ? null : isKept ? await request.bytes() : request.body;
  const kept = pick(request, TO_WIX);
  const call = (body, token, millis) => {
    countCall(env, id, Date.now());
    return send(url, request.method, kept, body, token, work, millis);
  };
  const millis = DEADLINE + (isKept ? 0 : length / SLOWEST_UPLOAD);
  let response = await call(body, await freshToken(env, work, id, false), millis);
  work.notes.outcome = "passed_on";
  if (response.status === 401) {
    const token = await freshToken(env, work, id, true);
    if (isKept) {
      response = await call(body, token, DEADLINE);
      work.notes.outcome = "passed_on_again";
    } else {
      work.notes.outcome = "not_replayed";
    }
  }
  const wixId = response.headers.get("x-wix-request-id");
  if (wixId !== null) work.notes.wix_request_id = wixId;
  const { status } = response;
  return new Response(response.body, { status, headers: headers(work.id, pick(response, FROM_WIX)) });
}

export default {
  fetch(request, env) {
    const { pathname, search } = new URL(request.url);
    const [, id, path] = PATH.exec(pathname) ?? [];
    if (id === undefined) return new Response("not found", { status: 404 });
    return respond(
      request,
      "/v1/instances/{id}/wix/…",
      async (work) => {
        await authorize(request, env, work);
        work.notes.instance_id = id.toLowerCase();
        return forward(request, env, work, id.toLowerCase(), `${env.WIX_API_URL}/${path}${search}`);
      },
      "application/problem+json",
    );
  },
};
