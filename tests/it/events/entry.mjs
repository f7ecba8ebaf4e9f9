// The built Worker with addresses of the tests: the class `Installation` is measured and fails on request.

import { trap } from "./hook.mjs";
import worker, { Installation as Built } from "./index.js";

const zero = () => ({
  objects: 0,
  requests: 0,
  alarms: 0,
  attempts: 0,
  rows: 0,
  rows_read: 0,
  set_alarms: 0,
  alarm_runs: [],
});
const state = {
  measured: zero(),
  /** The paths of the requests to objects. */
  calls: [],
  /** The statements that write, each once, by the work that they belong to. */
  statements: [],
  /** How many attempts each invocation of an object has made, without another object that makes any meanwhile. */
  invocations: [],
  /** The path of the request to an object that is being answered; undefined in an alarm, whose time is chance. */
  path: undefined,
  failure: { kind: "" },
  /** How often the failure has happened. */
  failed: 0,
  /** How many deliveries go on after a response. */
  running: 0,
  /** The data points of the metrics. */
  points: [],
};

/** The length of each list: a test that sends more needs none of them. */
const MOST = 1_000;

/** Begins to count the attempts of another invocation. */
function begin() {
  if (state.invocations.length < MOST) state.invocations.push(0);
}

/** Whether a failure of this kind happens now, to a request with this path or to this statement. */
function fails(kind, place) {
  const { failure } = state;
  if (failure.kind !== kind || (failure.on && failure.on !== place)) return false;
  failure.times -= 1;
  if (failure.times < 0) return false;
  state.failed += 1;
  return true;
}

/** A statement that writes, such as `/accept: insert events`. */
function writing(statement) {
  const [, verb, table] = /^(CREATE TABLE|INSERT|UPDATE|DELETE)(?: IF NOT EXISTS| INTO| FROM)? (\w+)/.exec(statement) ?? [];
  const work = statement.includes("attempts + 1") ? "delivery" : state.path;
  return verb && work && `${work}: ${verb.toLowerCase()} ${table}`;
}

/** The storage with counts. `setAlarm` is billed as a row written. */
function measuredStorage(storage) {
  return {
    getAlarm: async () => (fails("no-alarm") ? null : storage.getAlarm()),
    setAlarm: (at) => {
      state.measured.set_alarms += 1;
      return storage.setAlarm(at);
    },
    transactionSync: (work) => storage.transactionSync(work),
    deleteAll: () => storage.deleteAll(),
    deleteAlarm: () => storage.deleteAlarm(),
    sql: {
      exec: (...given) => {
        const statement = writing(given[0]);
        if (statement !== undefined && !state.statements.includes(statement)) state.statements.push(statement);
        if (fails("sql", statement)) throw new Error("scripted: no storage");
        const cursor = storage.sql.exec(...given);
        const rows = [...cursor.raw()];
        state.measured.rows += cursor.rowsWritten;
        state.measured.rows_read += cursor.rowsRead;
        return { raw: () => ({ toArray: () => rows }) };
      },
    },
  };
}

export class Installation extends Built {
  constructor(given, env) {
    const waitUntil = (promise) => {
      state.running += 1;
      given.waitUntil(Promise.resolve(promise).finally(() => (state.running -= 1)));
    };
    super({ storage: measuredStorage(given.storage), waitUntil }, { ...env, METRICS });
    state.measured.objects += 1;
  }

  async fetch(request) {
    const { pathname } = new URL(request.url);
    state.measured.requests += 1;
    if (state.calls.length < MOST) state.calls.push(pathname);
    state.path = pathname;
    // A delivery after a request belongs to the request's invocation, an alarm is one of its own.
    begin();
    if (fails("throw", pathname)) throw new Error("scripted: the object fails");
    if (fails("hang", pathname)) await new Promise((resolve) => setTimeout(resolve, 3_000));
    const response = await super.fetch(request);
    // A delivery that goes on after the response belongs to no request: its time is chance.
    if (state.path === pathname) state.path = undefined;
    if (fails("lost", pathname)) throw new Error("scripted: the answer is lost");
    return response;
  }

  async alarm() {
    const { measured } = state;
    measured.alarms += 1;
    state.path = undefined;
    begin();
    const [started, before] = [Date.now(), measured.attempts];
    await super.alarm();
    // The attempts are this invocation's if no other object makes any meanwhile.
    const run = { attempts: measured.attempts - before, started, ended: Date.now() };
    if (run.attempts > 0 && measured.alarm_runs.length < 100) measured.alarm_runs.push(run);
  }
}

const sent = globalThis.fetch;
globalThis.fetch = (url, init) => {
  if (`${url}`.endsWith("/events")) {
    state.measured.attempts += 1;
    state.invocations[state.invocations.length - 1] += 1;
  }
  return sent(url, init);
};

/** The objects, whose calls fail as the runtime lets them fail. */
function failing(objects) {
  const fetch = (object, url, init) => {
    const { pathname } = new URL(url);
    if (fails("retryable", pathname)) throw Object.assign(new Error("scripted: retryable"), { retryable: true });
    if (fails("overloaded", pathname)) {
      throw Object.assign(new Error("scripted: overloaded"), { retryable: true, overloaded: true });
    }
    return object.fetch(url, init);
  };
  return {
    idFromName: (name) => objects.idFromName(name),
    get: (id) => ({ fetch: (url, init) => fetch(objects.get(id), url, init) }),
  };
}

/** An Analytics Engine dataset. workerd has none. */
const METRICS = {
  writeDataPoint(point) {
    if (fails("metrics")) throw new Error("scripted: no metrics");
    if (state.points.length < MOST) state.points.push(point);
  },
};

/** The bindings, with objects whose calls can fail. */
function changed(env) {
  return env.INSTALLATIONS ? { ...env, METRICS, INSTALLATIONS: failing(env.INSTALLATIONS) } : env;
}

export default {
  fetch(request, env, context) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== "/objects") return worker.fetch(request, changed(env), context);
    if (searchParams.has("reset")) {
      Object.assign(state, { measured: zero(), calls: [], statements: [], invocations: [], points: [] });
    }
    if (searchParams.has("fail")) {
      const times = Number(searchParams.get("times") ?? Infinity);
      state.failure = { kind: searchParams.get("fail"), on: searchParams.get("on"), times };
      state.failed = 0;
    }
    if (searchParams.has("points")) return Response.json(state.points);
    trap.next = searchParams.get("trap") ?? trap.next;
    const { measured, failed, running, calls, statements, invocations } = state;
    return Response.json({ ...measured, failed, running, calls, statements, invocations, instances: trap.instances, trap: trap.next ?? null });
  },

  scheduled(event, env, context) {
    return worker.scheduled(event, changed(env), context);
  },
};
