// A webhook handler whose Durable Object stores each event before the answer, and delivers it, with the work of wix-edge.

import { DurableObject } from "cloudflare:workers";
import { bytes, respond } from "./common.js";
import { LIMIT, accept, verifiedEvent } from "./event.js";
import { post, sha256, signedHeaders } from "./signature.js";

const COPIES_APART = 600;
const GUARD = 30_000;
const TIMEOUT = 15_000;
const LEASE = 20_000;
const COLUMNS = "sequence, id, type, body, attempts";

/** An event for the app, without its sequence number, and its identity: its own id, or the hash of its content. */
async function eventOf({ iat, eventType, instance, data, identity, accountInfo, webhookId }) {
  const layer = parsed(data);
  const event = {
    type: eventType,
    timestamp: layer?.eventTime ?? new Date(iat * 1000).toISOString(),
    instance_id: instance,
    source: "wix",
    data: layer,
    identity: parsed(identity),
    account: accountInfo,
    anonymize: layer?.triggeredByAnonymizeRequest === true,
  };
  const own = (layer?.entityFqdn && layer?.id) || webhookId;
  const key = own ?? `evt_${await sha256(JSON.stringify([instance, eventType, event.data, event.identity]))}`;
  return { key, byContent: own === undefined, iat, event };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export class Installation extends DurableObject {
  constructor(state, env) {
    super(state, env);
    this.sql = state.storage.sql;
    this.sql.exec(`CREATE TABLE IF NOT EXISTS events (
      sequence INTEGER PRIMARY KEY, key TEXT NOT NULL, iat INTEGER NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL,
      received_at INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, answer TEXT,
      next_at INTEGER NOT NULL DEFAULT 0, done_at INTEGER, body TEXT);
      CREATE INDEX IF NOT EXISTS events_by_key ON events (key);
      CREATE INDEX IF NOT EXISTS events_pending ON events (sequence) WHERE state = 0;`);
    this.leasedUntil = 0;
  }

  /** Stores an event unless it is known, in one commit with the alarm that guards its delivery. */
  async accept({ key, byContent, iat, event }) {
    const alarm = await this.ctx.storage.getAlarm();
    const now = Date.now();
    const copies = this.sql.exec("SELECT iat FROM events WHERE key = ?", key).toArray();
    if (copies.some((copy) => !byContent || Math.abs(copy.iat - iat) <= COPIES_APART)) return "known";
    const { last } = this.sql.exec("SELECT coalesce(max(sequence), 0) AS last FROM events").one();
    const id = byContent ? `${key}_${iat}` : key;
    this.sql.exec(
      "INSERT INTO events (sequence, key, iat, id, type, received_at, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
      last + 1, key, iat, id, event.type, now, JSON.stringify({ ...event, sequence: last + 1 }),
    );
    if (alarm === null || alarm > now + GUARD) this.ctx.storage.setAlarm(now + GUARD);
    this.ctx.waitUntil(this.deliver());
    return "stored";
  }

  /** Delivers one event after another, in order. */
  async deliver() {
    while (this.leasedUntil <= Date.now()) {
      const pending = `SELECT ${COLUMNS} FROM events WHERE state = 0 AND next_at <= ? ORDER BY sequence LIMIT 1`;
      const [event] = this.sql.exec(pending, Date.now()).toArray();
      if (event === undefined) return;
      this.leasedUntil = Date.now() + LEASE;
      const answer = await this.attempt(event);
      this.leasedUntil = 0;
      if (answer !== "delivered") return;
    }
  }

  async attempt({ sequence, id, type, body, attempts }) {
    const started = Date.now();
    const headers = await signedHeaders(this.env, id, body);
    const status = await post(this.env.EVENTS_URL, headers, body, TIMEOUT, (response) => {
      response.body?.cancel().catch(() => {});
      return response.status;
    }).catch(() => "unreachable");
    const outcome = status >= 200 && status < 300 ? "delivered" : "failed";
    const now = Date.now();
    if (outcome === "delivered") {
      const done = "UPDATE events SET state = 1, attempts = attempts + 1, answer = ?, done_at = ?, body = NULL WHERE sequence = ?";
      this.sql.exec(done, String(status), now, sequence);
    } else {
      const later = "UPDATE events SET attempts = attempts + 1, answer = ?, next_at = ? WHERE sequence = ?";
      const pause = Math.min(5000 * 2 ** attempts, 3_600_000);
      this.sql.exec(later, String(status), now + pause, sequence);
      this.ctx.storage.setAlarm(now + pause);
    }
    const level = outcome === "delivered" ? "info" : "warn";
    const line = {
      level, route: "deliver", outcome, duration_ms: now - started, instance_id: this.ctx.id.name, event_id: id, sequence,
      type, attempt: attempts + 1, answer: String(status),
    };
    console[level === "info" ? "log" : level](JSON.stringify(line));
    return outcome;
  }

  async alarm() {
    this.sql.exec("DELETE FROM events WHERE state = 1 AND done_at < ?", Date.now() - 5 * 86_400_000);
    await this.deliver();
  }
}

export default {
  fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname !== "/webhook" || request.method !== "POST") return new Response("not found", { status: 404 });
    return respond(request, "/webhook", async (work) => {
      const envelope = await verifiedEvent(env, await bytes(request, LIMIT));
      const name = envelope.instance ?? env.WIX_APP_ID;
      const object = env.INSTALLATIONS.get(env.INSTALLATIONS.idFromName(name));
      const [response, delivery] = await Promise.all([
        accept(env, work, envelope),
        eventOf(envelope).then((event) => object.accept(event)),
      ]);
      work.notes.delivery = delivery;
      return response;
    });
  },
};
