import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import test from "node:test";
import { Applier } from "../../src/cluster/follow/applier.ts";
import { encodeRecord, recordBox } from "../../src/cluster/log/record.ts";
import { openForWriting } from "../../src/store/sqlite/connection.ts";
import { temporaryDir } from "../helpers/store.ts";

const BOX = recordBox(["a secret of the tests"]);

const idOf = (n: number): string => n.toString(16).padStart(16, "0");

/** The messages of a record that stores a row. */
function messagesOf(n: number, bytes: Buffer): Buffer[] {
  const content = {
    kind: "statements",
    statements: { texts: ["insert into a (bytes) values (?)"], calls: [[0, 1, [bytes]]] },
  } as const;
  return encodeRecord({ id: idOf(n), previous: n === 1 ? "" : idOf(n - 1), term: 1, node: "b", at: n, content }, BOX);
}

test("a record is applied once the file can be written again, also one of several messages", (t) => {
  const file = join(temporaryDir(t), "prism.db");
  const [connection, tool] = [1, 2].map(() => openForWriting({ file, busyTimeoutMs: 0 }));
  assert.ok(connection && tool);
  t.after(() => [connection, tool].map((each) => each.close()));
  connection.exec("create table a (bytes blob)");
  const applier = new Applier(connection, BOX);
  const log = [messagesOf(1, Buffer.from("small")), messagesOf(2, randomBytes(1_000_000))].flat();
  assert.equal(log.length, 3, "the second record has two messages");
  const take = (from: number): void => {
    for (let at = from; at < log.length; at++) applier.apply({ sequence: at + 1, bytes: log[at] ?? Buffer.alloc(0) });
  };

  tool.exec("begin immediate");
  assert.throws(() => take(0), /locked/);
  assert.deepEqual([applier.sequence, applier.position.sequence], [0, 0]);
  tool.exec("rollback");
  applier.apply({ sequence: 1, bytes: log[0] ?? Buffer.alloc(0) });
  tool.exec("begin immediate");
  assert.throws(() => take(applier.sequence), /locked/);
  assert.deepEqual([applier.sequence, applier.position.sequence], [1, 1], "as before its first message");
  tool.exec("rollback");
  take(applier.sequence);
  assert.deepEqual([applier.sequence, applier.position.sequence], [3, 3]);
  assert.equal(connection.prepare("select count(*) from a").pluck().get(), 2);
});
