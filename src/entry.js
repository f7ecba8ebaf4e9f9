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

/** The length of a body that is read on the way in; 0 of any other. */
function shortLength({ method, headers }) {
  if (method === "GET" || method === "HEAD") return 0;
  const length = Number(headers.get("content-length"));
  return length <= SHORT ? length : 0;
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
    const length = shortLength(request);
    // Anybody can send bodies, so there is a bound on what is held of them at a time. Beyond it the core decides.
    if (!(length > 0) || !instance().reserve(length)) return answer(request, env, context);
    const release = () => {
      if (!state.criticalError) wasm.release(length);
    };
    const answered = request.bytes().then(
      (body) => answer(request, env, context, body),
      () => answer(request, env, context, null),
    );
    answered.then(release, release);
    return answered;
  },

  async scheduled(event, env, context) {
    try {
      await instance().scheduled(event, env, context);
    } catch (error) {
      throw judged(error);
    }
  },
};
