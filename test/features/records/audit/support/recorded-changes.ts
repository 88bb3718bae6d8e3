import assert from "node:assert/strict";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { sha256Hex } from "../../../../../src/core/crypto/tokens.ts";
import { eventually } from "../../../../helpers/eventually.ts";
import type { TestPrism } from "../../../../helpers/prism.ts";
import { openBeside } from "../../../../helpers/store.ts";
import { rowsOf } from "../../../../helpers/tables.ts";

/** Tables that a change with a record in the trail may touch. */
const TABLES = [
  "users",
  "user_roles",
  "roles",
  "sessions",
  "refresh_tokens",
  "one_time_tokens",
  "second_factors",
  "identities",
  "push_devices",
  "service_tokens",
  "projects",
  "project_members",
  "api_keys",
  "rules",
  "rule_versions",
  "notifications",
  "notification_recipients",
  "messages",
  "jobs",
  "modules",
  "job_attempts",
  "transfer_buckets",
  "schedules",
  "settings",
] as const;

/** Counters are not compared: the stream `system` may be written to at any time. */
const SELECT: Readonly<Record<string, string>> = {
  settings: "select * from settings where key not like 'sequence.%' order by 1, 2",
};
const RUNNING = "select 1 from jobs where state in ('ready', 'running', 'retrying')";

/** Something that is done and recorded. */
export interface Change<World, Prepared = unknown> {
  readonly action: string;
  readonly resourceType: string;
  /** The record is all that it leaves. */
  readonly isOnlyRecorded?: boolean;
  /** What each run of it needs, with records of its own. */
  prepare?(world: World): Promise<Prepared>;
  run(world: World, prepared: Prepared): Promise<unknown>;
}

/** A change whose preparation has a type of its own. */
export function change<World, Prepared>(each: Change<World, Prepared>): Change<World> {
  return each as Change<World>;
}

/** A hash of the rows of each table. */
function contents(prism: TestPrism): Record<string, string> {
  return Object.fromEntries(
    TABLES.map((table) => [
      table,
      sha256Hex(JSON.stringify(rowsOf(prism, SELECT[table] ?? `select * from ${table} order by 1, 2`))),
    ]),
  );
}

/**
 * Proves of each change that it leaves one record, in the transaction of the change: where the
 * record is refused, there is no change.
 */
export async function eachLeavesItsRecord<World extends { readonly prism: TestPrism }>(
  t: TestContext,
  world: World,
  changes: readonly Change<World>[],
): Promise<void> {
  const { prism } = world;
  const beside = openBeside(t, join(prism.dir, "prism.db"));
  const recorded = (action: string) =>
    rowsOf<{ resourceType: string; metadata: string }>(prism, "select * from audit_log where action = ?", action);
  for (const { action, resourceType, isOnlyRecorded, prepare, run } of changes) {
    await t.test(action, async () => {
      const first = await prepare?.(world);
      // Of a change before.
      await eventually("no job runs", () => rowsOf(prism, RUNNING).length === 0);
      beside.exec(`drop trigger if exists refuse; create trigger refuse before insert on audit_log when new.action = '${action}'
                   begin select raise(abort, 'refused'); end`);
      const untouched = contents(prism);
      const refused = await run(world, first);
      if (typeof refused === "object" && refused !== null && "status" in refused)
        assert.equal(refused.status, 500, action);
      assert.deepEqual(contents(prism), untouched, "nothing of it is there");
      beside.exec("drop trigger refuse");
      const second = await prepare?.(world);
      const [before, earlier] = [contents(prism), recorded(action).length];
      await run(world, second);
      const rows = recorded(action);
      assert.equal(rows.length, earlier + 1, "one record for one change");
      assert.equal(rows.at(-1)?.resourceType, resourceType);
      if (isOnlyRecorded !== true) assert.notDeepEqual(contents(prism), before);
    });
  }
  const { body } = await prism.get<{ ok: boolean }>("/api/v1/audit/verify");
  assert.equal(body.ok, true);
}
