// The simulator's program, which npm installs for the machine's platform.

import { existsSync } from "node:fs";
import { join } from "node:path";

import { UserError } from "../error.js";
import { installed } from "../wrangler.js";

/** The platforms that a release has a simulator for. */
const PLATFORMS = ["darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64", "win32-x64"];

/** The path of the simulator: the given one, or that of the package for this platform. */
export function simulator(given: string | undefined, platform = `${process.platform}-${process.arch}`): string {
  if (given !== undefined) {
    if (!existsSync(given)) throw new UserError(`--simulator must be the path of wix-sim; there is no ${given}`);
    return given;
  }
  const name = `wix-edge-sim-${platform}`;
  const file = platform.startsWith("win32") ? "wix-sim.exe" : "wix-sim";
  const program = join(installed(name) ?? "", "bin", file);
  if (installed(name) !== undefined && existsSync(program)) return program;
  if (!PLATFORMS.includes(platform)) {
    throw new UserError(
      `there is no built simulator for ${platform}, only for ${PLATFORMS.join(", ")}.\n` +
        "With Rust, compile it in the repository of wix-edge: `cargo build --release -p wix-sim`, and give its path with\n" +
        "--simulator target/release/wix-sim. All other commands need no simulator.",
    );
  }
  throw new UserError(
    `the package ${name} must be installed: it has the simulator for this platform, and npm leaves it out with\n` +
      "`--omit=optional`, or if node_modules was made on another platform. Run `npm install` again without that option.",
  );
}
