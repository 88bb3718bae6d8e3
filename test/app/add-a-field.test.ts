import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("a field is one line and a migration: API description, types, forms, command line and answers have it", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ["scripts/add-a-field.mjs"], { cwd: root });
  const [changed = "", ...places] = stdout.trim().split("\n");
  assert.match(
    changed,
    /^changed: migrations\/\d{4}_heartbeats_runbook\.ts, src\/features\/heartbeats\/heartbeat\.ts$/,
  );
  assert.deepEqual(
    places.map((line) => line.split(": ")[0]),
    [
      "API description",
      "types of the client and the console",
      "forms of the console",
      "command line",
      "answer of the server",
    ],
  );
});
