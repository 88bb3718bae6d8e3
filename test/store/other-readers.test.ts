import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";

const COUNT = 40;

test("S1-13, S1-42: another program may read the database and copy it with VACUUM INTO while the server takes events", async (t) => {
  keepsPromise(t, ["S1-13", "S1-42"]);
  const prism = await startPrism(t);
  const other = new SqliteDatabase(join(prism.dir, "prism.db"), { readonly: true });
  t.after(() => other.close());
  const copyFile = join(prism.dir, "copy.db");
  const sent = Array.from({ length: COUNT }, (_, index) =>
    prism.post("/api/v1/events", { type: "reading.beside", payload: { index } }),
  );
  other.prepare("vacuum into ?").run(copyFile);
  for (const { status } of await Promise.all(sent)) assert.equal(status, 202);

  const count = "select count(*) from events where type = 'reading.beside'";
  assert.equal(other.prepare(count).pluck().get(), COUNT, "what was answered is seen by the other program");
  const copy = new SqliteDatabase(copyFile, { readonly: true });
  t.after(() => copy.close());
  assert.equal(copy.pragma("integrity_check", { simple: true }), "ok");
});
