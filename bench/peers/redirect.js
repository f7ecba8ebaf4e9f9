// A Worker that only redirects.
export default {
  async fetch() {
    return new Response(null, { status: 302, headers: { location: "https://www.wix.com/installer/install" } });
  },
};
