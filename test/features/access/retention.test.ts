import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { silentLogger } from "../../../src/core/log.ts";
import { createOneTimeToken } from "../../../src/features/access/sessions/mail-links.ts";
import { openSession } from "../../../src/features/access/sessions/sessions.ts";
import { sweepAll } from "../../../src/store/retention.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { makeUser } from "../../helpers/people.ts";
import { startPrism } from "../../helpers/prism.ts";
import { countOf, rowsOf } from "../../helpers/tables.ts";

const DAY = 86_400_000;

async function start(t: TestContext) {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: { "rateLimit.enabled": "false" } });
  const context = { database: prism.parts.base.database, clock, log: silentLogger };
  return { prism, clock, sweep: () => sweepAll(context, prism.parts.offers.sweeps()) };
}

test("a login goes thirty days after its end, with its refresh tokens", async (t) => {
  const { prism, clock, sweep } = await start(t);
  const { database: db, config } = prism.parts.base;
  const { accounts } = prism.parts.offers;
  const { id } = await makeUser(prism, "anna");
  await db.write((trx) => openSession(accounts, id, { ip: "127.0.0.1", userAgent: "test" }, trx));
  const before = [countOf(prism, "sessions"), countOf(prism, "refresh_tokens")];
  clock.advance(config.auth.sessionMaxMs + 30 * DAY - 1000);
  await sweep();
  assert.deepEqual([countOf(prism, "sessions"), countOf(prism, "refresh_tokens")], before);
  clock.advance(1000);
  await sweep();
  assert.deepEqual([countOf(prism, "sessions"), countOf(prism, "refresh_tokens")], [0, 0]);
});

test("links go a day after their end, disabled devices after thirty days", async (t) => {
  const { prism, clock, sweep } = await start(t);
  const { database: db } = prism.parts.base;
  const { id } = await makeUser(prism, "anna");
  await db.write(async (trx) => {
    await createOneTimeToken(clock, id, "reset_password", trx);
    const times = { createdAt: clock.now(), updatedAt: clock.now() };
    for (const [device, disabledAt] of [
      ["old", clock.now()],
      ["live", null],
    ] as const) {
      const row = { id: `device-${device}`, userId: id, kind: "fcm" as const, device, token: Buffer.from("x") };
      await trx
        .insertInto("push_devices")
        .values({ ...row, tokenHash: device, disabledAt, ...times })
        .execute();
    }
  });
  clock.advance(DAY + 3_600_000 - 1000);
  await sweep();
  assert.deepEqual([countOf(prism, "one_time_tokens"), countOf(prism, "push_devices")], [1, 2]);
  clock.advance(1000);
  await sweep();
  assert.equal(countOf(prism, "one_time_tokens"), 0);
  clock.advance(30 * DAY);
  await sweep();
  assert.deepEqual(rowsOf(prism, "select device from push_devices"), [{ device: "live" }]);
});

test("who a removed user was is forgotten after thirty days; the row and its id stay", async (t) => {
  const { prism, clock, sweep } = await start(t);
  const { id } = await makeUser(prism, "anna");
  const other = await makeUser(prism, "otto");
  assert.equal((await prism.delete(`/api/v1/users/${id}`)).status, 204);
  clock.advance(30 * DAY - 1000);
  await sweep();
  const known = "select username, name from users where id = ?";
  assert.equal(rowsOf<{ username: string | null }>(prism, known, id)[0]?.username, "anna");
  clock.advance(1000);
  await sweep();
  assert.deepEqual(rowsOf(prism, known, id), [{ username: null, name: "" }]);
  assert.equal(rowsOf<{ username: string | null }>(prism, known, other.id)[0]?.username, "otto");
});
