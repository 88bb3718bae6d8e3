import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { PrismBinary } from "./prism-binary.ts";

test("the executable has the client's script in it, the one of its own build", async (t) => {
  const prism = new PrismBinary(t);
  await prism.start();
  const reply = await fetch(`${prism.url}/prism-client.js`);
  assert.equal(reply.status, 200);
  assert.match(reply.headers.get("content-type") ?? "", /^text\/javascript/);
  const built = readFileSync(join(import.meta.dirname, "../../dist/prism-client/index.js"), "utf8");
  assert.equal(await reply.text(), built);
});
