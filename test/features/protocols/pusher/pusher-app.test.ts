import assert from "node:assert/strict";
import test from "node:test";
import { SealedBox, UnsealError } from "../../../../src/core/crypto/sealed-box.ts";
import {
  openPusherApp,
  ownPusherApp,
  rotatePusherSecret,
} from "../../../../src/features/protocols/pusher/pusher-app.ts";
import { AuditLog } from "../../../../src/features/records/audit/audit-log.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { openBeside, openTestStore, TEST_KEY } from "../../../helpers/store.ts";

const clock = new FakeClock();
const box = new SealedBox([TEST_KEY]);
const unconfigured = { pusher: { mode: "embedded" } } as Parameters<typeof openPusherApp>[0]["config"];

test("a server and a command that are both the first have one app, which the file does not show", async (t) => {
  const server = openTestStore(t);
  const command = openTestStore(t, { file: server.file, isOwner: false });
  const [one, other] = await Promise.all([
    openPusherApp({ config: unconfigured, db: server.database, box, clock }),
    ownPusherApp({ db: command.database, box, clock }),
  ]);
  assert.deepEqual(one, other);
  const values = openBeside(t, server.file).prepare<[], Buffer | number>("select value from settings").pluck().all();
  for (const value of values) {
    const text = Buffer.isBuffer(value) ? value.toString("latin1") : String(value);
    assert.ok(!text.includes(one.secret));
  }
});

test("an app that another encryption key has sealed is neither shown nor given another secret", async (t) => {
  const { database: db } = openTestStore(t);
  const audit = new AuditLog(db, clock);
  const made = await ownPusherApp({ db, box, clock });
  const parts = { db, audit, box: new SealedBox([Buffer.alloc(32, "another")]), clock };
  await assert.rejects(ownPusherApp(parts), UnsealError);
  await assert.rejects(rotatePusherSecret(parts), UnsealError);
  assert.deepEqual(await ownPusherApp({ db, box, clock }), made);
});
