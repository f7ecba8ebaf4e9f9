// The built Worker with one more route, /waits, which returns what wasm has waited for.

import { waits } from "./hook.mjs";
import worker from "./index.js";

export default {
  ...worker,
  fetch(request, env, context) {
    const isOurs = new URL(request.url).pathname === "/waits";
    return isOurs ? Response.json(waits) : worker.fetch(request, env, context);
  },
};
