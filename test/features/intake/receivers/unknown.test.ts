import assert from "node:assert/strict";
import test from "node:test";
import { describeBody } from "../../../../src/core/text/describe-body.ts";
import { digestOf, partsOf } from "../../../../src/features/intake/receivers/senders/unknown.ts";

/** A body of a sender that no row knows, and what is read of it: title, text, link, state. */
const READ: readonly [string, unknown, string, string | null, (string | null)?, (string | null)?][] = [
  [
    "names in capitals",
    { PROBETYPE: "URL", PROBE_ID: "1", PROBE_STATUS: "DOWN", PROBENAME: "Shop", OUTAGE_REASON: "Connection timed out" },
    ...(["Shop: DOWN", "Connection timed out", null, "firing"] as const),
  ],
  [
    "names within objects",
    { account: { name: "Acme" }, check: { name: "Disk", status: "critical" }, host: { name: "db-1" }, output: "97 %" },
    ...(["Disk on db-1: critical", null, null, "firing"] as const),
  ],
  [
    "a job, and its page",
    { job_name: "Nightly", exit_result: "failed", error_details: "No space left", details_url: "https://x.example/7" },
    ...(["Nightly: failed", "No space left", "https://x.example/7", "firing"] as const),
  ],
  [
    "a state that is a boolean",
    { serviceName: "checkout", isHealthy: false, last_error: "503 from the database" },
    ...(["checkout: not healthy", "503 from the database", null, "firing"] as const),
  ],
  [
    "a recovery",
    { monitor: "Shop", newState: "recovered", previousState: "down" },
    ...(["Shop: recovered", null, null, "resolved"] as const),
  ],
  ["a reason only", { id: "4fe31f36-1b2c", part: { reason: "Disk full", kind: "x y" } }, "R: Disk full", "Disk full"],
  [
    "a kind of event only",
    { eventType: "CERTIFICATE_EXPIRES", target: "shop.example" },
    "CERTIFICATE_EXPIRES on shop.example",
    null,
  ],
  ["a list of texts", ["Disk A full", "Disk B full"], "R: Disk A full", "Disk A full\nDisk B full"],
  ["a named list of texts", { list: ["Disk A full", "Disk B full"] }, "R: Disk A full", "Disk A full\nDisk B full"],
  ["a place only", { ip_address: "192.0.2.7", status: "offline" }, "192.0.2.7: offline", null, null, "firing"],
  [
    "the organisation is not what happened",
    { organization_name: "Acme", alarmMessage: "Fan stopped" },
    "R: Fan stopped",
    "Fan stopped",
  ],
  ["nothing", { id: 4, at: "2026-01-31T08:00:05Z" }, "R", null],
];

test("a body of a sender that is not known is read by the ends of its names", () => {
  for (const [name, body, title, reason, link = null, state = null] of READ) {
    const described = describeBody(body, "R");
    assert.deepEqual(
      [described.title, described.reason, described.link, described.state],
      [title, reason, link, state],
      name,
    );
  }
});

test("what differs in times, counters and ids only is the same, all else is not", () => {
  const body = {
    ...{ id: 7, event_id: "a1", created_at: "2026-01-31T08:00:05Z", count: 1, occurrences: 4, when: 1769846405 },
    ...{ host: "db-1", message: "Failed at 08:00:05, run 5f5c9a3a-7d53-4d73-9b6c-6a2f8e0c1a01", load: 0.97 },
  };
  const later = {
    ...{ id: 8, event_id: "b2", created_at: "2026-01-31T09:00:05Z", count: 2, occurrences: 9, when: 1769850005 },
    ...{ host: "db-1", message: "Failed at 09:10:05, run 5f5c9a3a-7d53-4d73-9b6c-6a2f8e0c1a99", load: 0.98 },
  };
  assert.equal(digestOf(body), digestOf(later));
  for (const other of [
    { ...body, host: "db-2" },
    { ...body, message: "Failed" },
    { ...body, code: 500 },
    [body],
    "text",
  ])
    assert.notEqual(digestOf(other), digestOf(body), JSON.stringify(other));
  assert.notEqual(digestOf({ message: "VM 101 failed" }), digestOf({ message: "VM 102 failed" }));
});

test("a list of objects is told element by element, but not what a body has besides its own text", () => {
  const list = [{ name: "a" }, { name: "b" }];
  assert.deepEqual(partsOf(list), list);
  assert.deepEqual(partsOf({ version: "0.2", total: 2, events: list }), list);
  assert.equal(partsOf({ message: "Two failed", events: list }), null);
  assert.equal(partsOf({ check: "Disk", status: "down", tags: list }), null);
  assert.equal(partsOf({ a: list, b: list }), null);
  assert.equal(partsOf([1, 2]), null);
  assert.equal(partsOf([]), null);
  assert.equal(partsOf({ name: "x" }), null);
});

test("a lone list of objects deep in a body is told element by element, if what holds it says nothing", () => {
  const list = [{ name: "a", status: "slow" }, { name: "b" }];
  for (const body of [
    { data: { alerts: list } },
    { source: "s", result: { items: list } },
    { version: "1", meta: { page: 1 }, data: { total: 2, alerts: list } },
    { a: { b: { c: { d: list } } } },
  ])
    assert.deepEqual(partsOf(body), list, JSON.stringify(body));
  for (const body of [
    { a: { b: { c: { d: { e: list } } } } },
    { data: { a: list, b: list } },
    { data: { a: list }, result: { b: list } },
    { message: "Two failed", data: { alerts: list } },
    { data: { message: "Two failed", alerts: list } },
    { check: { name: "Disk", status: "down" }, data: { tags: list } },
    { data: { fields: [{ name: "host", value: "db-1" }] } },
    { data: [1, 2], more: { names: ["a"] } },
    { ...Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`n${i}`, i])), data: { alerts: list } },
  ])
    assert.equal(partsOf(body), null, JSON.stringify(body).slice(0, 200));
});

test("of a long name the end is read, however deep it is", () => {
  const long = (end: string) => "x".repeat(200_000) + end;
  let body: unknown = { status: "down", [long("hostname")]: "db-1", [long("reason")]: "Disk full" };
  for (let depth = 0; depth < 5; depth++) body = { [long("check")]: body };
  const { where, word, state, reason } = describeBody(body);
  assert.deepEqual([where, word, state, reason], ["db-1", "down", "firing", "Disk full"]);
});
