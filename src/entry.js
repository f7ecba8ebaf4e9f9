// The Worker's entry, as the runtime calls it. A trap leaves the wasm instance in a state that nobody knows, so the next
// request gets a new one; its imports say so, and what comes here.

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

function judged(error) {
  if (error instanceof WebAssembly.RuntimeError) {
    console.error("Critical", error);
    state.criticalError = true;
  }
  return error;
}

// What fails in a microtask or a timer comes here.
addEventListener("error", (event) => judged(event.error));

// A body of so many bytes is read on the way in: to wait for it costs far less here than in wasm.
const SHORT = 64 * 1024;

function hasShortBody({ method, headers }) {
  if (method === "GET" || method === "HEAD") return false;
  const length = Number(headers.get("content-length"));
  return length > 0 && length <= SHORT;
}

/** `body` is null where it broke off, and undefined where it was not read. */
function answer(request, env, context, body) {
  try {
    const answer = instance().fetch(request, env, context, body);
    if (!(answer instanceof Promise)) return answer;
    // A request is finished even if whoever asked goes away: an install half stored helps nobody.
    context.waitUntil(answer);
    return answer.catch((error) => {
      throw judged(error);
    });
  } catch (error) {
    throw judged(error);
  }
}

export default {
  fetch(request, env, context) {
    if (!hasShortBody(request)) return answer(request, env, context);
    return request.bytes().then(
      (body) => answer(request, env, context, body),
      () => answer(request, env, context, null),
    );
  },

  async scheduled(event, env, context) {
    try {
      await instance().scheduled(event, env, context);
    } catch (error) {
      throw judged(error);
    }
  },
};
