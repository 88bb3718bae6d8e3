import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../..");

/**
 * Loads the server, then what opens Socket.IO in it, and says after each whether the library is
 * there. A process of its own has loaded nothing else.
 */
const SCRIPT = `
  import { createRequire } from "node:module";
  const { cache } = createRequire(import.meta.url);
  const isLoaded = () => Object.keys(cache).some((file) => file.includes("/node_modules/socket.io/"));
  await import("./src/app/start.ts");
  const before = isLoaded();
  const { openEngine } = await import("./src/live/protocols/socketio/engine.ts");
  await openEngine();
  console.log(JSON.stringify([before, isLoaded()]));
`;

test("Socket.IO is loaded when it is opened, and not with the server", () => {
  const args = ["--import", "tsx", "--input-type=module", "-e", SCRIPT];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" });
  assert.equal(stdout.trim(), "[false,true]", stderr);
});
