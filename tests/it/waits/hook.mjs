// Wraps the imports of the wasm instance that the built index.js creates, to see the numbers of the promises that it waits for.
// The build itself is unchanged.

const { Instance } = WebAssembly;

/** How many promises had a number, and the highest number. */
export const waits = { count: 0, highest: 0 };

WebAssembly.Instance = function (module, imports) {
  const hooked = {};
  for (const [name, functions] of Object.entries(imports)) {
    hooked[name] = { ...functions };
    for (const [key, settle] of Object.entries(functions)) {
      if (!key.startsWith("__wbg_settle_")) continue;
      hooked[name][key] = (promise, number, settled) => {
        waits.count += 1;
        waits.highest = Math.max(waits.highest, number);
        return settle(promise, number, settled);
      };
    }
  }
  return new Instance(module, hooked);
};
