// Wraps the exports of the wasm instances that the built index.js creates. An armed call first allocates 4 GiB, which wasm
// does not have, so that it traps. The build itself is unchanged.

const { Instance } = WebAssembly;

/** The call that traps next, "fetch" or "closure" (a continuation after a promise), and the number of instances so far. */
export const trap = { next: undefined, instances: 0 };

function kind(name) {
  if (name === "fetch" || name.startsWith("object_")) return name;
  return name.includes("closures") ? "closure" : undefined;
}

WebAssembly.Instance = function (module, imports) {
  const { exports } = new Instance(module, imports);
  trap.instances += 1;
  const hooked = {};
  for (const [name, value] of Object.entries(exports)) {
    hooked[name] = kind(name) === undefined ? value : (...parameters) => {
      if (trap.next === kind(name)) {
        trap.next = undefined;
        exports.__wbindgen_malloc(0xffff_fff0, 1);
      }
      return value(...parameters);
    };
  }
  return { exports: hooked };
};
