import assert from "node:assert/strict";
import { renameSync } from "node:fs";
import test from "node:test";
import { failureOf, sortErrno, withDiskReason } from "../../src/store/sqlite/sqlite-errors.ts";
import { WriteHealth, WriteRecord } from "../../src/store/write-health.ts";
import { LogLines } from "../helpers/log-lines.ts";
import { openTestStore, temporaryDatabase } from "../helpers/store.ts";
import { testBothWriters } from "./support/both-writers.ts";
import { TestSource } from "./support/write-sets.ts";

testBothWriters(
  "a store that SQLite finds full says so, and recovers with the next commit that has room",
  async (t, writer) => {
    const file = temporaryDatabase(t);
    const store = openTestStore(t, { writer, file, maxBytes: 4096 });
    assert.equal(await store.canWrite(), false);
    assert.equal(await store.health.check(), "full");
    assert.deepEqual(
      store.log.lines.map(({ fields }) => fields["problem"]),
      ["full"],
    );
    await store.close();
    const roomy = openTestStore(t, { writer, file });
    assert.equal(await roomy.health.check(), null);
  },
);

testBothWriters("commits of others answer for a probe, so a long line of writes is no failure", async (t, writer) => {
  const store = openTestStore(t, { writer });
  await new TestSource(store.committer).writeEvent();
  // A transaction holds the writer: a probe would wait for it.
  await store.committer.acquireTransaction();
  const { commits } = store.committer.record;
  assert.equal(await store.health.check(), null);
  assert.equal(store.committer.record.commits, commits, "nothing was written for it");
  store.committer.releaseTransaction();
});

testBothWriters("a database file that is removed while it is open is noticed", async (t, writer) => {
  const store = openTestStore(t, { writer });
  assert.equal(store.health.known(), null);
  renameSync(store.file, `${store.file}.moved`);
  assert.equal(await store.health.check(), "gone");
  renameSync(`${store.file}.moved`, store.file);
  assert.equal(store.health.known(), null);
});

test("a failed commit counts until commits succeed and a second has passed, so that a recovered server is not kept out", () => {
  let now = 0;
  const record = new WriteRecord(() => now);
  record.failed("full");
  now = 6000;
  assert.equal(record.failure, "full", "nothing was committed since");
  record.committed();
  now = 6001;
  assert.equal(record.failure, null);
  record.failed("broken");
  record.committed();
  now = 7000;
  assert.equal(record.failure, "broken", "others may still fail");
  now = 12_000;
  record.committed();
  assert.equal(record.failure, null);
  record.failed("internal");
  record.failed("busy");
  assert.equal(record.failure, null, "neither says anything about the disk");
});

test("an idle database is written at most every five seconds, and each failure has its name", async (t) => {
  let now = 0;
  const record = new WriteRecord(() => now);
  let probes = 0;
  const probe = async (): Promise<boolean> => {
    probes++;
    record.committed();
    return true;
  };
  const health = new WriteHealth({ file: temporaryDatabase(t), record, log: new LogLines(), probe });
  for (; now < 20_000; now += 1000) assert.equal(await health.check(), null);
  assert.equal(probes, 4);
  for (const [failure, problem] of [
    ["full", "full"],
    ["readonly", "readonly"],
    ["broken", "failed"],
    ["closed", "failed"],
  ] as const) {
    record.failed(failure);
    assert.equal(health.known(), problem);
  }
});

test("a write that the file system refused is sorted by the reason", () => {
  const refused = Object.assign(new Error("disk I/O error"), { code: "SQLITE_IOERR_WRITE" });
  for (const [code, failure] of [
    ["ENOSPC", "full"],
    ["EDQUOT", "full"],
    ["EROFS", "readonly"],
    ["EIO", "broken"],
  ] as const)
    assert.equal(failureOf(withDiskReason(refused, () => sortErrno(code))), failure, code);
  assert.equal(failureOf(withDiskReason(refused, () => null)), "broken", "a disk that works again");
  const other = Object.assign(new Error("constraint"), { code: "SQLITE_CONSTRAINT" });
  assert.equal(
    withDiskReason(other, () => assert.fail("nothing to look at")),
    other,
  );
});
