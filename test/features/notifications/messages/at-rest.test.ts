import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { createLogger } from "../../../../src/config/logger.ts";
import { databaseIn, runCli } from "../../../cli/run-cli.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { openBeside, temporaryDir } from "../../../helpers/store.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { Mailbox, PATH } from "./support/mailbox.ts";

const MARKER = "the-combination-is-hazelnut-4711";

test("S4-37 12.8 the text of a message is nowhere on disk and in no log, and only its two sides can read it", async (t) => {
  keepsPromise(t, "S4-37");
  let log = "";
  const destination = {
    write(line: string): void {
      log += line;
    },
  };
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock, log: createLogger({ level: "debug", destination }) });
  const { prism } = box;
  const vic = await box.follow(t, box.vic);
  const keyed = { token: box.uma.token, headers: { "Idempotency-Key": "k" } };
  await box.post({ recipientId: "vic", content: MARKER, delayMs: 0 }, keyed);
  await box.post({ recipientId: "vic", content: MARKER, delayMs: 0 }, keyed);
  const heard = await vic.expect({ op: "event", type: "message" });
  assert.equal((heard["data"] as { content: string }).content, MARKER);
  await box.post({ recipientId: 7, content: MARKER });
  await box.post({ recipientId: "0198c0de-0000-7000-8000-000000000000", content: MARKER });
  await prism.get(`${PATH}?q=1`, { token: box.uma.token });
  const cancelled = await box.send({ content: `${MARKER} 2`, delayMs: 60_000 });
  await box.cancel(cancelled);
  const failed = await box.send({ recipientId: "wim", content: `${MARKER} 3`, delayMs: 60_000 });
  await box.setStatus(box.wim, "disabled");
  box.pass(clock, 60_000);
  await box.until(failed, "retrying");
  const [first] = (await box.list("box=inbox", box.vic)).data;
  assert.equal(first?.content, MARKER);
  await box.read(first?.id ?? "");

  const tables = rowsOf<{ name: string }>(prism, "select name from sqlite_schema where type = 'table'");
  assert.ok(tables.some(({ name }) => name === "stream_log") && tables.some(({ name }) => name === "audit_log"));
  for (const { name } of tables)
    assert.ok(!JSON.stringify(rowsOf(prism, `select * from "${name}"`)).includes(MARKER), name);
  assert.deepEqual(
    rowsOf(prism, "select distinct data from stream_log where type = 'message'"),
    [{ data: JSON.stringify({ id: first?.id }) }],
    "the log of the streams has the id alone",
  );
  const payloads = rowsOf<{ payload: string }>(prism, "select payload from jobs where kind = 'message.deliver'");
  assert.deepEqual(Object.keys(JSON.parse(payloads[0]?.payload ?? "{}")), ["messageId"]);
  const files = readdirSync(prism.dir).filter((name) => name.startsWith("prism.db"));
  assert.ok(files.includes("prism.db-wal"));
  for (const name of files) assert.ok(!readFileSync(join(prism.dir, name)).includes("hazelnut"), name);
  assert.ok(log.includes("a message was not delivered") && log.includes('"route":"/api/v1/messages"'));
  assert.ok(!log.includes("hazelnut"));
});

test("12.8 a sealed content that is put into another row does not open there", async (t) => {
  const box = await Mailbox.open(t);
  const [mine, other] = [await box.send({ content: "mine" }), await box.send({ content: "other" })];
  await box.until(mine, "delivered");
  await box.until(other, "delivered");
  await box.prism.services.db.write(async (trx) => {
    const { content } = await trx
      .selectFrom("messages")
      .select("content")
      .where("id", "=", other)
      .executeTakeFirstOrThrow();
    await trx.updateTable("messages").set({ content }).where("id", "=", mine).execute();
  });
  const { body, status } = await box.get(mine);
  assert.deepEqual([status, body.content, body.status], [200, null, "delivered"]);
  assert.equal((await box.get(other)).body.content, "other");
  const told = await box.told(t, box.vic, (all) => all.filter(([type]) => type === "message").length === 2);
  const contents = told.flatMap(([type, what]) => (type === "message" ? [what] : []));
  assert.deepEqual(contents.toSorted(), ["other", null].toSorted());
});

test("12.8 after a rotation of the encryption key messages open with the new key alone", async (t) => {
  const [old, young] = [Buffer.alloc(32, "an old key "), Buffer.alloc(32, "a young key ")];
  const dir = temporaryDir(t);
  const keys = (key: Buffer): Record<string, string> => ({ encryptionKey: key.toString("base64") });
  const box = await Mailbox.open(t, { dir, settings: keys(old) });
  const ids = [await box.send({ content: "one" }), await box.send({ content: "two", delayMs: 60_000 })];
  await box.until(ids[0] ?? "", "delivered");
  await box.prism.stop();
  const { status, stdout, stderr } = await runCli(["key", "rotate", "--encryption", "--json"], {
    cwd: dir,
    env: {
      PRISM_DATA_DIR: dir,
      PRISM_ENCRYPTION_KEY: young.toString("base64"),
      PRISM_PREVIOUS_ENCRYPTION_KEYS: old.toString("hex"),
    },
  });
  // Two messages, the keys of the audit trail and of web push, and the credentials for Pusher.
  assert.deepEqual([status, JSON.parse(stdout)], [0, { resealed: 5, unreadable: 0 }], stderr);
  const audited = openBeside(t, databaseIn(dir))
    .prepare<[], string>("select metadata from audit_log where action = 'key.rotate'")
    .pluck()
    .all();
  assert.ok(audited.includes('{"column":"messages.content","values":2}'), audited.join());
  const again = await box.again(await startPrism(t, { dir, settings: keys(young) }));
  const contents = await Promise.all(ids.map(async (id) => (await again.get(id)).body.content));
  assert.deepEqual(contents, ["one", "two"]);
  assert.equal(scalarOf(again.prism, "select count(*) from messages"), 2);
});
