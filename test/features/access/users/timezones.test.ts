import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { migrateUp } from "../../../../src/store/sqlite/migrate.ts";
import { MIGRATIONS } from "../../../../src/store/sqlite/migrations.gen.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { countOf } from "../../../helpers/tables.ts";

interface Zones {
  readonly timezone: string | null;
  readonly effectiveTimezone: string;
}

const ME = "/api/v1/users/me";

function zonesOf({ timezone, effectiveTimezone }: Zones): (string | null)[] {
  return [timezone, effectiveTimezone];
}

/** Changes the account, and reads it again: the answer of `GET` is cached. */
async function change(prism: TestPrism, token: string, body: object): Promise<(string | null)[]> {
  const changed = await answered(200, prism.put<Zones>(ME, body, { token }));
  const { body: read } = await prism.get<Zones>(ME, { token });
  assert.deepEqual(zonesOf(read), zonesOf(changed.body));
  return zonesOf(read);
}

test("a zone is null until its user chooses one; meanwhile the last browser's is used", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { token } = await makeUser(prism, "ann", ["User"]);
  const { body } = await prism.get<Zones>(ME, { token });
  assert.deepEqual(zonesOf(body), [null, "UTC"]);
  const audited = countOf(prism, "audit_log");
  assert.deepEqual(await change(prism, token, { browserTimezone: "Europe/Berlin" }), [null, "Europe/Berlin"]);
  assert.deepEqual(await change(prism, token, { browserTimezone: "Europe/Berlin" }), [null, "Europe/Berlin"]);
  assert.equal(countOf(prism, "audit_log"), audited, "a browser's zone is no change of the account");
  assert.deepEqual(await change(prism, token, { timezone: "UTC" }), ["UTC", "UTC"], "UTC can be chosen");
  assert.deepEqual(await change(prism, token, { browserTimezone: "Asia/Tokyo" }), ["UTC", "UTC"], "a choice stays");
  assert.deepEqual(await change(prism, token, { timezone: null }), [null, "UTC"]);
  const tooSoon = await change(prism, token, { browserTimezone: "Asia/Tokyo" });
  assert.deepEqual(tooSoon, [null, "UTC"], "one change a minute");
  clock.advance(60_000);
  assert.deepEqual(await change(prism, token, { browserTimezone: "Asia/Tokyo" }), [null, "Asia/Tokyo"]);
  const refused = await prism.put<{ error: { code: string; details: { path: string }[] } }>(
    ME,
    { browserTimezone: "Mars/Base" },
    { token },
  );
  assert.deepEqual(
    [refused.body.error.code, refused.body.error.details[0]?.path],
    ["INVALID_TIMEZONE", "browserTimezone"],
  );
});

test("an account that is read is accepted as it was when it is written back", async (t) => {
  const prism = await startPrism(t);
  const { id, token } = await makeUser(prism, "ann", ["User"]);
  const { body } = await prism.get(ME, { token });
  assert.deepEqual(await change(prism, token, body), [null, "UTC"]);
  assert.equal((await prism.patch(`/api/v1/users/${id}`, { timezone: null })).status, 200);
  const made = await prism.post<Zones>("/api/v1/users", { username: "bob", timezone: "Europe/Vienna" });
  assert.deepEqual(zonesOf(made.body), ["Europe/Vienna", "Europe/Vienna"]);
});

test("times of a user are in the zone of the last browser", async (t) => {
  const prism = await startPrism(t);
  const { token } = await makeUser(prism, "ann", ["User"]);
  await change(prism, token, { browserTimezone: "Asia/Tokyo" });
  const { body } = await prism.get<{ timezone: string }>("/time/convert?datetime=2026-01-31T08:00:00Z&userId=me", {
    token,
  });
  assert.equal(body.timezone, "Asia/Tokyo");
});

test("accounts of an old database in UTC that never changed their zone have not chosen it", (t) => {
  const connection = new SqliteDatabase(join(temporaryDir(t), "prism.db"));
  t.after(() => connection.close());
  migrateUp(
    connection,
    MIGRATIONS.filter(({ name }) => name < "0052"),
  );
  const user = connection.prepare(
    "insert into users (id, status, timezone, createdAt, updatedAt) values (?, 'active', ?, 1, 1)",
  );
  for (const [id, zone] of [
    ["never", "UTC"],
    ["back-to-utc", "UTC"],
    ["berlin", "Europe/Berlin"],
  ] as const)
    user.run(id, zone);
  connection.exec(
    `insert into audit_log (seq, id, action, actor, resourceType, resourceId, metadata, timestamp, prevHash, hash)
      values (1, 'a', 'user.update', '{}', 'user', 'back-to-utc', '{"changed":["name","timezone"]}', 1, '', '')`,
  );
  migrateUp(connection, MIGRATIONS);
  const chosen = connection.prepare("select id from users where hasChosenTimezone = 1 order by id").pluck().all();
  assert.deepEqual(chosen, ["back-to-utc", "berlin"]);
});
