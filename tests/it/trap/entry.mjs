// The built Worker with one more route, /trap, which arms a trap and returns its state.

import { trap } from "./hook.mjs";
import worker from "./index.js";

export default {
  ...worker,
  fetch(request, env, context) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== "/trap") return worker.fetch(request, env, context);
    trap.next = searchParams.get("next") ?? trap.next;
    return Response.json(trap);
  },
};
