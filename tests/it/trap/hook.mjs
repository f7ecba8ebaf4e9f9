// Stands between the built index.js and the wasm instances that it makes: a call into wasm can be made to ask for 4 GiB
// first, which wasm does not have, so that it traps as it would in earnest. Nothing in the build is changed.

const { Instance } = WebAssembly;

/** Which call traps next: "fetch", or "closure" for what goes on after a promise; and how many instances there were. */
export const trap = { next: undefined, instances: 0 };

function kind(name) {
  if (name === "fetch") return "fetch";
  return name.includes("closures") ? "closure" : undefined;
}

WebAssembly.Instance = function (module, imports) {
  const { exports } = new Instance(module, imports);
  trap.instances += 1;
  const hooked = {};
  for (const [name, value] of Object.entries(exports)) {
    hooked[name] = kind(name) === undefined ? value : (...given) => {
      if (trap.next === kind(name)) {
        trap.next = undefined;
        exports.__wbindgen_malloc(0xffff_fff0, 1);
      }
      return value(...given);
    };
  }
  return { exports: hooked };
};
