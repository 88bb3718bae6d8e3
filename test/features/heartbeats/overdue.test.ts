import assert from "node:assert/strict";
import test from "node:test";
import type { Heartbeat } from "../../../src/client/api-types.gen.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { LogLines } from "../../helpers/log-lines.ts";
import { answered, startPrism } from "../../helpers/prism.ts";
import { openBeside } from "../../helpers/store.ts";
import { rowsOf } from "../../helpers/tables.ts";

test("one overdue heartbeat that cannot be stored does not hold those that are due with it", async (t) => {
  const clock = new FakeClock();
  const log = new LogLines();
  const prism = await startPrism(t, { clock, log, settings: { "rateLimit.enabled": "false" } });
  const plan = { timeoutMs: 60_000, graceMs: 60_000 };
  const made: Heartbeat[] = [];
  for (let n = 0; n < 40; n++) {
    const { body } = await answered(201, prism.post<Heartbeat>("/api/v1/heartbeats", { name: `job ${n}`, ...plan }));
    made.push(body);
    assert.equal((await fetch(prism.url + new URL(body.pingUrl ?? "").pathname)).status, 200);
  }
  const ids = made.map(({ id }) => id).sort();
  const broken = made[7]?.id ?? "";
  const idsIn = (sql: string) => rowsOf<{ id: string }>(prism, sql).map(({ id }) => id);
  const found = () => ({
    down: idsIn("select id from heartbeats where status = 'down' order by id"),
    flips: idsIn("select heartbeatId as id from heartbeat_flips where status = 'down' order by 1"),
    alerts: idsIn("select sourceId as id from alerts where state = 'firing' order by 1"),
    events: idsIn("select payload ->> 'heartbeatId' as id from events where type = 'heartbeat.down' order by 1"),
  });
  const each = (of: string[]) => ({ down: of, flips: of, alerts: of, events: of });
  const beside = openBeside(t, prism.parts.base.config.databaseFile);
  beside.exec(`create trigger refuse before insert on heartbeat_flips when new.heartbeatId = '${broken}'
    begin select raise(abort, 'broken'); end`);

  clock.advance(120_000);
  await prism.parts.offers.heartbeats.due.check();
  assert.deepEqual(found(), each(ids.filter((id) => id !== broken)));
  const failures = log.lines.filter(({ message }) => message.startsWith("cannot store overdue heartbeats"));
  assert.ok(failures.length > 0);
  for (const { fields } of failures) assert.deepEqual(fields["ids"], [broken]);

  beside.exec("drop trigger refuse");
  clock.advance(2000);
  await prism.parts.offers.heartbeats.due.check();
  assert.deepEqual(found(), each(ids), "it is late, and no other has a second flip, alert or event");
});
