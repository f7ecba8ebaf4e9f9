// The floor: a Worker that says hello, with as many entries as ours has.
export default {
  async fetch() {
    return new Response("hello");
  },
  async scheduled() {},
};
