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
const state = { measured: zero(), fail: "" };

const { fetch: send } = globalThis;
globalThis.fetch = (url, init) => {
  if (`${url}`.endsWith("/events")) state.measured.attempts += 1;
  return send(url, init);
};

/** The storage with counts. `setAlarm` is billed as a row written. */
function measuredStorage(storage) {
  return {
    getAlarm: async () => (state.fail === "no-alarm" ? null : storage.getAlarm()),
    setAlarm: (at) => {
      state.measured.set_alarms += 1;
      return storage.setAlarm(at);
    },
    sql: {
      exec: (...given) => {
        if (state.fail === "sql") throw new Error("scripted: no storage");
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
    super({ storage: measuredStorage(given.storage), waitUntil: (promise) => given.waitUntil(promise) }, env);
    state.measured.objects += 1;
  }

  async fetch(request) {
    state.measured.requests += 1;
    if (state.fail === "throw") throw new Error("scripted: the object fails");
    if (state.fail === "hang") await new Promise((resolve) => setTimeout(resolve, 3_000));
    return super.fetch(request);
  }

  async alarm() {
    const { measured } = state;
    measured.alarms += 1;
    const [started, before] = [Date.now(), measured.attempts];
    await super.alarm();
    // The attempts are this invocation's if no other object makes any meanwhile.
    const run = { attempts: measured.attempts - before, started, ended: Date.now() };
    if (run.attempts > 0 && measured.alarm_runs.length < 100) measured.alarm_runs.push(run);
  }
}

export default {
  ...worker,
  fetch(request, env, context) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== "/objects") return worker.fetch(request, env, context);
    if (searchParams.has("reset")) state.measured = zero();
    state.fail = searchParams.get("fail") ?? state.fail;
    trap.next = searchParams.get("trap") ?? trap.next;
    return Response.json({ ...state.measured, instances: trap.instances, trap: trap.next ?? null });
  },
};
