import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { chanceOf } from "../helpers/chance.ts";
import { eventually } from "../helpers/eventually.ts";
import { PrismBinary } from "./prism-binary.ts";

const KILLS = 12;
const KEYS = ["a", "b", "c"];

interface Outgoing {
  readonly id: string;
  readonly type: string;
  readonly payload: { readonly key: string };
}

interface Decided {
  readonly seq: number;
  readonly type: string;
  readonly outcome: string;
  readonly key: string;
}

test(`killed ${KILLS} times: thresholds count every match once, and every decision about an alert is an alert`, async (t) => {
  const random = chanceOf(t);
  const prism = new PrismBinary(t, {
    env: { PRISM_RATE_LIMIT_ENABLED: "false", PRISM_SUPPRESSION_ENFORCE_DEFAULT: "false" },
  });
  const unsure: Outgoing[] = [];
  const send = async (): Promise<void> => {
    for (;;) {
      const again = unsure.splice(0, 5);
      const fresh = Array.from({ length: 10 }, (): Outgoing => {
        const type = ["crash.up", "crash.down", "crash.down"][random.integer(0, 2)] ?? "crash.up";
        return { id: randomUUID(), type, payload: { key: KEYS[random.integer(0, KEYS.length - 1)] ?? "a" } };
      });
      const batch = [...again, ...fresh];
      try {
        await prism.call("POST", "/ingest", batch);
      } catch {
        unsure.push(...batch);
        return;
      }
    }
  };
  for (let kill = 0; kill < KILLS; kill++) {
    await prism.start();
    if (kill === 0) await makeRules(prism);
    const load = send();
    await new Promise((resolve) => setTimeout(resolve, random.integer(20, 200)));
    await prism.kill();
    await load;
  }
  await prism.start();
  await eventually("everything is decided and taken", () => openRows(prism) === 0, 60_000);
  assert.equal(await prism.stop(), 0);

  const db = new SqliteDatabase(join(prism.dir, "data/prism.db"), { readonly: true });
  t.after(() => db.close());
  const decisions = (rule: string): Decided[] =>
    db
      .prepare<[string], Decided>(
        `select e.seq, e.type, d.outcome, d.key from decisions d join events e on e.seq = d.eventSeq
         join rules r on r.id = d.ruleId where r.name = ? order by e.seq`,
      )
      .all(rule);
  for (const key of KEYS) {
    const counted = decisions("threshold").filter((each) => each.key === key);
    assert.ok(counted.length > 3, String(counted.length));
    assert.deepEqual(
      counted.map(({ outcome }) => outcome),
      counted.map((_, n) => (n % 3 === 2 ? "fired" : "counted")),
      "every third match of the key",
    );
    const changes = decisions("alert").filter((each) => each.key === key && each.outcome !== "counted");
    assert.deepEqual(
      changes.map(({ outcome }) => outcome),
      changes.map((_, n) => (n % 2 === 0 ? "alert-opened" : "alert-resolved")),
    );
    const alerts = db
      .prepare<[string], { state: string }>("select state from alerts where key like '%:' || ? order by startsAt, id")
      .all(key);
    assert.equal(alerts.length, changes.filter(({ outcome }) => outcome === "alert-opened").length);
    const isLive = changes.at(-1)?.outcome === "alert-opened";
    assert.deepEqual(
      alerts.map(({ state }) => state).sort(),
      alerts.map((_, n) => (isLive && n === 0 ? "firing" : "resolved")).sort(),
    );
  }
  const events = db.prepare<[string], number>("select count(*) from events where type = ?").pluck();
  const outcomes = decisions("alert").map(({ outcome }) => outcome);
  assert.equal(events.get("alert.opened"), outcomes.filter((each) => each === "alert-opened").length);
  assert.equal(events.get("alert.resolved"), outcomes.filter((each) => each === "alert-resolved").length);
});

function openRows({ dir }: PrismBinary): number | undefined {
  const db = new SqliteDatabase(join(dir, "data/prism.db"), { readonly: true });
  try {
    const open =
      "select (select count(*) from events where processedAt is null) + (select count(*) from alert_signals)";
    return db.prepare<[], number>(open).pluck().get();
  } finally {
    db.close();
  }
}

async function makeRules(prism: PrismBinary): Promise<void> {
  const key = "{{event.key}}";
  for (const rule of [
    { name: "threshold", targetUsers: ["me"], threshold: { count: 3, windowMs: 3_600_000, key } },
    { name: "alert", alert: { key, resolve: "event.type == 'crash.up'" } },
  ]) {
    const made = await prism.call("POST", "/api/v1/rules", {
      condition: "event.type == 'crash.down'",
      projectId: "default",
      ...rule,
    });
    assert.equal(made.status, 201);
  }
}
