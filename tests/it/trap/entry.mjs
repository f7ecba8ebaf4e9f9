// The built Worker with one more route, /trap, which arms a trap and returns its state: also how many token requests have begun.

import { trap } from "./hook.mjs";
import worker from "./index.js";

export default {
  ...worker,
  fetch(request, env, context) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== "/trap") {
      const response = worker.fetch(request, env, context);
      if (pathname.endsWith("/token")) trap.begun = (trap.begun ?? 0) + 1;
      return response;
    }
    trap.next = searchParams.get("next") ?? trap.next;
    return Response.json(trap);
  },
};
