// The WebCrypto calls of src/crypto.rs with the same parameters, for messages that are not webhooks.
// Request: {"spki","vectors":[{"message","signature"}]}, all base64. Response: whether each signature is valid.

const bytes = (base64) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));

export default {
  async fetch(request) {
    const { spki, vectors } = await request.json();
    const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("spki", bytes(spki), algorithm, false, ["verify"]);
    const verify = ({ message, signature }) =>
      crypto.subtle.verify("RSASSA-PKCS1-v1_5", key, bytes(signature), bytes(message));
    return Response.json(await Promise.all(vectors.map(verify)));
  },
};
