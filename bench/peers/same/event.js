// The event in the claims of a webhook, and what wix-edge does with an ordinary one.

import { GUID, Refused, json, object, recordSighting } from "./common.js";
import { checkTimes, verified } from "./jws.js";

export const LIMIT = 1024 * 1024;

/** The envelope in the claim `data`. Its third layer is read for events of an installation or a plan only. */
export function envelopeOf(data) {
  const envelope = object(data, "the claim `data` must be an envelope");
  if (typeof envelope.eventType !== "string") throw new Refused(400, "malformed", "the envelope needs an eventType");
  const instance = GUID.test(envelope.instanceId) ? envelope.instanceId.toLowerCase() : undefined;
  return { ...envelope, instance };
}

/** Verifies a webhook: its envelope, and when it was issued. */
export async function verifiedEvent(env, body) {
  const now = Math.floor(Date.now() / 1000);
  const claims = object(await verified(env, body), "the claims must be JSON");
  if (typeof claims.data !== "string") throw new Refused(400, "malformed", "the claims need a text `data`");
  const iat = checkTimes(claims, now);
  return { iat, ...envelopeOf(claims.data) };
}

/** Accepts an ordinary event of an instance. */
export async function accept(env, work, { instance }) {
  if (instance !== undefined) {
    work.notes.instance_id = instance;
    await recordSighting(env, instance, Math.floor(Date.now() / 1000));
  }
  work.notes.outcome = "event_accepted";
  return json(work.id, 200, "{}");
}
