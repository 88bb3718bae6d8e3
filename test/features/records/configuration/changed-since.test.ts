import assert from "node:assert/strict";
import test from "node:test";
import { later } from "../../../../src/store/database.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { configure, type FileObject } from "./configuration.ts";

/** Runs `change` after the next apply has read what is stored, before it has the writer. */
function beforeNextWrite(prism: TestPrism, change: () => Promise<unknown>): void {
  const { db } = prism.parts.features.core;
  const write = db.write.bind(db);
  db.write = async (fn, options) => {
    db.write = write;
    await change();
    return write(fn, options);
  };
}

const beat = (name: string, timeout: string): FileObject => ["heartbeats", "default", { name, timeout }];
const rule = (description: string): FileObject => [
  "rules",
  "default",
  { name: "R", description, condition: "true", targetRoles: ["Duty"] },
];
const policy = (description: string): FileObject => [
  "policies",
  "default",
  { name: "P", description, steps: [{ type: "notify", roles: ["Duty"] }] },
];
const schedule = (description: string): FileObject => ["oncall", "default", { name: "S", description }];

/** What others change meanwhile, and the apply that it refuses. */
const CASES: readonly (readonly [name: string, sql: string, given: readonly FileObject[]])[] = [
  ["a change", "update heartbeats set version = version + 1 where name = 'B'", [beat("A", "2h")]],
  ["a deletion", "delete from heartbeats where name = 'B'", [beat("A", "2h")]],
  [
    "a new object of the name",
    "update heartbeats set name = 'C', slug = 'c', version = version + 1 where name = 'B'",
    [beat("C", "2h")],
  ],
  ["another name of a role of a rule", "update roles set name = 'Other' where name = 'Duty'", [rule("new")]],
  ["another name of a role of a policy", "update roles set name = 'Other' where name = 'Duty'", [policy("new")]],
  [
    "a changed shift",
    "update oncall_shifts set updatedAt = updatedAt + 1 where scheduleId in (select id from oncall_schedules)",
    [schedule("new")],
  ],
];

for (const [name, sql, given] of CASES)
  test(`an apply is refused after ${name} since it was compared, and stores nothing`, async (t) => {
    const prism = await startPrism(t);
    const shift = {
      ...{ name: "Weeks", start: "2026-01-05T09:00:00", duration: "1d" },
      ...{ recurrence: { frequency: "weekly" }, turns: [["dev"]] },
    };
    const before: FileObject[] = [
      ["roles", null, { name: "Duty", permissions: ["events:read"] }],
      ...[beat("A", "1h"), beat("B", "1h"), rule("old"), policy("old")],
      ["oncall", "default", { name: "S", description: "old", shifts: [shift] }],
    ];
    const made = await configure(prism, "apply", before);
    assert.equal(made.status, 200, JSON.stringify(made.body));
    const stored = () => JSON.stringify(rowsOf(prism, "select kind, name, spec, version from managed_objects"));
    const rows = stored();
    beforeNextWrite(prism, () =>
      prism.parts.features.core.db.write(async (trx) => {
        later(trx, sql, []);
      }),
    );
    const { status, body } = await configure(prism, "apply", given);
    assert.equal(status, 409);
    assert.match(JSON.stringify(body), /CHANGED_SINCE/);
    assert.equal(stored(), rows);
  });
