// The minimum: a Worker that responds "hello", with the same handlers as wix-edge.
export default {
  async fetch() {
    return new Response("hello");
  },
  async scheduled() {},
};
