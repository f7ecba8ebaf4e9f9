// The app API and /readyz in the browser's network, with any number of installations and any trouble. The page itself comes
// from the Worker, with its headers.

const PLANS = ["pro_plan", "basic_plan", "premium_2026", undefined];
const KEY = "the-key-of-the-operator-0123456789abcdef";
const APP = "a1b2c3d4-1111-4222-8333-444455556666";

/** A GUID that is the same in every run. */
function guid(number) {
  const hex = Math.imul(number + 1, 2654435761).toString(16).replace("-", "").padStart(8, "0").slice(-8);
  return `${hex}-${(number % 65536).toString(16).padStart(4, "0")}-4abc-8def-${number.toString(16).padStart(12, "0")}`;
}

export class FakeApi {
  key = KEY;
  signedIn = true;
  readiness = { status: "ready", problems: [], notes: [] };
  /** Each call: method, path with query, status. */
  calls = [];
  /** Answers in place of the API: a function of method and path. */
  trouble = () => undefined;
  /** How long every answer takes, in milliseconds. */
  delay = 0;
  /** How long ago the Cron Trigger ran, in seconds; `undefined` if it never did. */
  cron = 100;
  /** How long ago the present round began, in seconds. */
  round = 20_000;
  /** How the test event ends: its state, attempts and last answer. */
  tested = { state: "delivered", attempts: 1, last_answer: 200 };

  constructor(size = 240, history = 130, now = Math.floor(Date.now() / 1000)) {
    this.now = now;
    this.history = history;
    this.instances = Array.from({ length: size }, (_, number) => this.#instance(number))
      .sort((one, other) => (one.instance_id < other.instance_id ? -1 : 1));
    this.days = Array.from({ length: 30 }, (_, day) => ({
      date: new Date((now - (29 - day) * 86400) * 1000).toISOString().slice(0, 10),
      installs: Math.round(9 + 8 * Math.sin(day / 3) + (day % 5)), removals: Math.round(3 + 2 * Math.cos(day / 4)) + (day === 17 ? 9 : 0),
      delivered: 400 + 13 * day, parked: day === 17 ? 21 : 0,
    }));
    this.events = new Map();
    /** The events of the app, the newest first. */
    this.tests = [];
    this.parked = this.instances.slice(3, 7).map(({ instance_id: id }, index) =>
      ({ instance_id: id, parked: 3 + 7 * index, oldest_at: now - 90000 * (index + 4) }));
  }

  #instance(number) {
    const statuses = ["installed", "installed", "installed", "installed", "needs_reconnect", "installed", "pending", "removed"];
    const status = statuses[number % 17] ?? "installed";
    const installed = this.now - 3600 * (number % 9000) - 7200;
    return {
      instance_id: guid(number), status, auth: number % 3 ? "custom" : "oauth",
      installed_at: status === "pending" ? undefined : installed,
      removed_at: status === "removed" ? installed + 3600 : undefined,
      site_id: guid(number + 1e6), site: { name: `Shop ${number}`, url: "https://shop.example.com", locale: "en", currency: "EUR" },
      plan: PLANS[number % 4], is_free: PLANS[number % 4] === undefined, app_version: "2.4.0",
      billing: { cycle: "MONTHLY", expires_at: this.now + 864000, auto_renewing: true, checked_at: this.now - 40000 },
      ...(number % 2 && { corrected: { at: installed + 1800, installed: false, removed: false, plan: true } }),
      ref: number % 2 ? `customer-${number}` : undefined,
      configured_at: number % 5 !== 2 ? installed + 60 : undefined, last_event_at: installed + 90,
      last_token: status === "pending" ? undefined : { at: installed + 120, outcome: status === "needs_reconnect" ? "refused" : "ok" },
    };
  }

  eventsOf(id) {
    if (!this.events.has(id)) {
      const types = ["wix.ecom.v1.order_approved", "installation.installed", "wix.stores.v1.product_created"];
      this.events.set(id, Array.from({ length: this.history }, (_, index) => {
        const sequence = this.history - index;
        const state = index === 0 ? "pending" : index < 3 ? "parked" : "delivered";
        return {
          event_id: `evt_${id.slice(0, 8)}${sequence}`, sequence, type: types[sequence % 3], received_at: this.now - 700 * (index + 1),
          state, attempts: state === "delivered" ? 1 : 6, ...(state === "pending" && { next_attempt_at: this.now + 240 }),
          last_answer: state === "delivered" ? 200 : index === 1 ? "timeout" : 503,
        };
      }));
    }
    return this.events.get(id);
  }

  /** Serves a browser context in place of the Worker's API. */
  async serve(context, origin) {
    await context.route((url) => url.origin === origin && /^\/(v1|readyz)/.test(url.pathname), async (route) => {
      const request = route.request();
      const url = new URL(request.url());
      if (this.delay) await new Promise((resolve) => setTimeout(resolve, this.delay));
      const method = request.method();
      const answer = this.trouble(method, url.pathname) ?? this.#answer(method, url, request);
      this.calls.push(`${method} ${url.pathname}${url.search} ${answer.abort ?? answer.status}`);
      if (answer.abort) return route.abort(answer.abort).catch(() => {});
      return route.fulfill({
        status: answer.status, headers: { "content-type": answer.type ?? "application/json", ...answer.headers },
        body: answer.body === undefined ? "" : JSON.stringify(answer.body),
      }).catch(() => {});
    });
  }

  #answer(method, url, request) {
    const [, version, name, id, below, event, verb] = url.pathname.split("/");
    const ok = (body, status = 200) => ({ status, body });
    if (version === "readyz") return ok(this.readiness, this.readiness.problems.length ? 503 : 200);
    if (name === "session" && method === "POST") {
      this.signedIn = request.headers().authorization === `Bearer ${this.key}`;
      return this.signedIn ? ok(undefined, 204) : problem(401, "unauthorized", "The API key is missing or unknown");
    }
    if (!this.signedIn) return problem(401, "unauthorized", "The API key is missing or unknown");
    if (name === "session") {
      this.signedIn = false;
      return ok(undefined, 204);
    }
    if (name === "statistics") return ok({ days: this.days });
    if (name === "reconciliation") return ok(this.#reconciliation());
    if (name === "events") return ok(this.#test(), 202);
    if (name === "parked-events") {
      if (method === "GET") return ok({ instances: this.parked });
      const { instance_id: only } = request.postDataJSON() ?? {};
      this.parked = this.parked.filter(({ instance_id: parked }) => only && parked !== only);
      return ok({}, 202);
    }
    if (!id) return this.#page(url.searchParams);
    if (id === APP && below === "events") return ok({ events: this.tests });
    const instance = this.instances.find((known) => known.instance_id === id);
    if (method === "DELETE") {
      this.instances = this.instances.filter((known) => known !== instance);
      return ok(undefined, 204);
    }
    if (!instance) return problem(404, "unknown_instance", "The installation is unknown");
    if (!below) return ok(instance);
    if (below === "finish-configuration") {
      instance.configured_at ??= this.now;
      return ok({ instance_id: id, configured_at: instance.configured_at });
    }
    const events = this.eventsOf(id);
    if (verb === "redeliver") {
      const found = events.find(({ event_id: known }) => known === event);
      if (found.state === "delivered") return problem(410, "erased_event", "The content of the event is erased");
      setTimeout(() => Object.assign(found, { state: "delivered", attempts: found.attempts + 1, last_answer: 200, next_attempt_at: undefined }), 300);
      return ok({}, 202);
    }
    const before = Number(url.searchParams.get("cursor") ?? Infinity);
    const limit = Number(url.searchParams.get("limit") ?? 100);
    const left = events.filter(({ sequence }) => sequence < before);
    const page = left.slice(0, limit);
    return ok({ events: page, ...(left.length > page.length && { next_cursor: String(page.at(-1).sequence) }) });
  }

  #page(parameters) {
    const [search, status, cursor] = ["search", "status", "cursor"].map((name) => parameters.get(name) ?? "");
    const limit = Number(parameters.get("limit") ?? 100);
    const left = this.instances.filter((instance) =>
      instance.instance_id.startsWith(search) && instance.instance_id > cursor && (!status || instance.status === status));
    const page = left.slice(0, limit);
    const slim = page.map(({ ref, site, billing, corrected, ...rest }) => rest);
    return { status: 200, body: { instances: slim, ...(left.length > page.length && { next_cursor: page.at(-1).instance_id }) } };
  }

  /** A test event, which is attempted a moment later. */
  #test() {
    const event = {
      event_id: `evt_test${this.tests.length}`, sequence: this.tests.length + 1, type: "wix-edge.test", received_at: this.now,
      state: "pending", attempts: 0,
    };
    this.tests.unshift(event);
    setTimeout(() => Object.assign(event, this.tested), 500);
    return { event_id: event.event_id, instance_id: APP };
  }

  #reconciliation() {
    const repairs = { installed: 0, removed: 1, plan: 2 };
    const began = this.now - this.round;
    return {
      ...(this.cron !== undefined && { cron_ran_at: this.now - this.cron, cron_next_by: this.now - this.cron + 900 }),
      started_at: began, compared: 61, repaired: 3, repairs,
      previous: { started_at: began - 86400, completed_at: began, compared: 240, repaired: 0, repairs: { installed: 0, removed: 0, plan: 0 } },
    };
  }
}

/** An error as the app API returns it. */
export function problem(status, code, title, detail = `${title}.`) {
  const body = { type: `urn:wix-edge:problem:${code}`, title, status, detail, code, request_id: "01234567-89ab-4cde-8f01-23456789abcd" };
  return { status, type: "application/problem+json", body };
}
