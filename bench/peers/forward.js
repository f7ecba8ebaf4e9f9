// A Worker that only forwards: it replaces the key of the call, and streams both bodies unchanged.
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    const headers = new Headers(request.headers);
    headers.set("authorization", env.TOKEN);
    return fetch(env.WIX_API_URL + pathname.slice(pathname.indexOf("/wix/") + 4), {
      method: request.method,
      headers,
      body: request.body,
      redirect: "manual",
    });
  },
};
