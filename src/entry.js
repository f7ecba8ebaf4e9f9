// The Worker's entry point, which the runtime calls. After a trap the state of a wasm instance is undefined, so the
// next request gets a new instance. The instance's imports record a trap in `state.criticalError`, and so does this
// file.

import * as wasm from "./index.js";

Error.stackTraceLimit = 100;
const state = wasm.__worker_init_state();

function instance() {
  if (state.criticalError) {
    console.log("Reinitializing Wasm application");
    wasm.__wbg_reset_state();
    state.criticalError = false;
    state.instanceId += 1;
  }
  return wasm;
}

/**
 * Records a trap of the wasm instance with this number, and returns the error. The trap of an instance that has been
 * replaced says nothing about the present one.
 */
function recorded(error, number) {
  if (error instanceof WebAssembly.RuntimeError && number === state.instanceId) {
    console.error("Critical", error);
    state.criticalError = true;
  }
  return error;
}

// The runtime reports errors in microtasks and timers here, and those of wasm that a settled promise called.
addEventListener("error", (event) => recorded(event.error, state.instanceId));
addEventListener("unhandledrejection", (event) => recorded(event.reason, state.instanceId));

// The longest body that is read before wasm is called, in bytes: to wait for a body costs far less here than in wasm.
const SHORT = 64 * 1024;

/** The length of a short body, or 0 if the request has none. */
function shortLength({ method, headers }) {
  if (method === "GET" || method === "HEAD") return 0;
  const length = Number(headers.get("content-length"));
  return length <= SHORT ? length : 0;
}

/** `body` has the bytes of a body that was read: null if it broke off, and undefined if it was not read. */
function respond(request, env, context, body) {
  const wasm = instance();
  const number = state.instanceId;
  try {
    const response = wasm.fetch(request, env, context, body);
    // The request runs to its end even if the client disconnects, so that no installation is stored in part.
    if (response instanceof Promise) context.waitUntil(response);
    return response;
  } catch (error) {
    throw recorded(error, number);
  }
}

/** Reads a body of this length, for which memory was reserved. */
async function respondToShort(request, env, context, length) {
  const number = state.instanceId;
  try {
    let body = null;
    try {
      // Not by `bytes()`, which costs the runtime more.
      body = new Uint8Array(await request.arrayBuffer());
    } catch {
      // It broke off.
    }
    return await respond(request, env, context, body);
  } finally {
    // The memory of another instance is not that of this body.
    if (number === state.instanceId && !state.criticalError) wasm.release(length);
  }
}

/**
 * The Durable Object of an installation. It keeps nothing but the lease of the delivery that runs, which ends by itself, and
 * whether its tables are there, so that a new wasm instance can go on with it. After a trap, the code of wasm-bindgen replaces
 * the instance at the next call.
 */
export class Installation {
  constructor(state, env) {
    this.state = state;
    this.env = env;
    this.lease = 0;
    this.hasTables = false;
  }

  async fetch(request) {
    const { pathname } = new URL(request.url);
    const body = await request.text();
    const [status, text, delivers] = await instance().object_fetch(this, pathname, body);
    if (delivers) this.state.waitUntil(instance().object_deliver(this));
    return new Response(text, { status });
  }

  alarm() {
    return instance().object_alarm(this);
  }
}

export default {
  fetch(request, env, context) {
    const length = shortLength(request);
    // An attacker can send many bodies at once, so the memory for them is limited. Beyond the limit, wasm gets the
    // request with its body unread.
    const isReserved = length > 0 && instance().reserve(length);
    return isReserved ? respondToShort(request, env, context, length) : respond(request, env, context);
  },

  async scheduled(event, env) {
    const wasm = instance();
    const number = state.instanceId;
    try {
      await wasm.scheduled(env);
    } catch (error) {
      throw recorded(error, number);
    }
  },
};
