// A Worker that only forwards: the call goes on with another key, and the answer comes back, both as they are.
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
