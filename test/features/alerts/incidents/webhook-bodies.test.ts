import assert from "node:assert/strict";
import { test } from "node:test";
import { StoredAlert } from "../../../../src/features/alerts/book/alert-book.ts";
import type { IncidentRow } from "../../../../src/features/alerts/incidents/incident.ts";
import { opened } from "../../../../src/features/alerts/incidents/machine.ts";
import {
  type BodyContent,
  bodyOf,
  type EntryRules,
  entriesOf,
} from "../../../../src/features/alerts/incidents/webhook-bodies.ts";
import { fingerprintOf, type LabelRecord, labelsOf } from "../../../../src/features/alerts/model/labels.ts";
import { UNSET } from "../../../../src/features/alerts/policies/policy.ts";
import type { AlertRow, AlertView } from "../../../../src/features/alerts/types.ts";
import { rowsWith } from "../../../helpers/values.ts";

const AT = Date.parse("2026-03-01T10:00:00Z");
const RULES: EntryRules = { isEnded: false, firingLater: new Set(), sendResolved: true, isWithheld: () => false };

function alertOf(id: string, labels: LabelRecord, more: Partial<AlertRow> = {}): AlertView {
  return new StoredAlert({
    ...{ id, projectId: "p", key: id, fingerprint: fingerprintOf(labelsOf(labels)), source: "alertmanager" },
    ...{
      labels: JSON.stringify(labels),
      annotations: "{}",
      generatorUrl: null,
      severity: null,
      sourceId: null,
      sender: null,
    },
    ...{ state: "firing", startsAt: AT, firesAt: null, endsAt: null, lastAt: AT, resolvedAt: null },
    ...{ timedOut: 0, isTimeoutEnd: 0, count: 1 },
    ...more,
  });
}

const ended = { state: "resolved", resolvedAt: AT + 60_000 } as const;

const ROW: IncidentRow = {
  ...{ id: "i", number: 7, projectId: "p", policyId: "y", policyVersion: 1, title: "A", notices: 1 },
  ...{ groupKey: '{}/{team="db"}:{alertname="A"}', groupLabels: '{"alertname":"A"}', alerts: 3, firing: 2 },
  route: JSON.stringify({ labels: { tier: "1" }, muteIntervals: [], activeIntervals: [] }),
  ...{ version: 1, updatedAt: AT },
  ...opened(AT, { ...UNSET, groupWaitMs: 0, groupIntervalMs: 60_000, repeatMs: 3_600_000 }, AT),
} as IncidentRow;

async function contentOf(alerts: readonly AlertView[], rules: Partial<EntryRules> = {}): Promise<BodyContent> {
  const { shown: entries } = await entriesOf(alerts, { ...RULES, ...rules });
  const publicUrl = "https://prism.example/base/";
  const notices = { delivered: 2, failed: 1, trying: 1 };
  const told = { severityBefore: null, movedTo: null, notices };
  return { row: ROW, policy: "db.team (1)", entries, reason: "new-alerts", at: AT, id: "m1", publicUrl, ...told };
}

interface Posted {
  readonly status: string;
  readonly alerts: readonly { readonly status: string; readonly labels: LabelRecord; readonly fingerprint: string }[];
  readonly notification_reason: string;
  readonly truncatedAlerts: number;
}

async function posted(alerts: readonly AlertView[], rules: Partial<EntryRules> = {}, maxAlerts = 0, maxBytes?: number) {
  const body = await bodyOf({ format: "alertmanager", maxAlerts }, await contentOf(alerts, rules), maxBytes);
  const value = JSON.parse(body.bytes.toString()) as Posted;
  return { ...body, value, names: value.alerts.map(({ status, labels }) => `${labels["n"]} ${status}`) };
}

test("the body for the format alertmanager has the members of Alertmanager 0.34, in its order", async () => {
  const alerts = [
    alertOf(
      "2",
      { alertname: "A", n: "2", team: "db" },
      { annotations: '{"s":"x","d":"2"}', generatorUrl: "http://g" },
    ),
    alertOf("1", { alertname: "A", n: "1", team: "db" }, { annotations: '{"s":"x","d":"1"}', ...ended }),
  ];
  const { bytes } = await posted(alerts);
  assert.equal(
    bytes.toString(),
    JSON.stringify({
      receiver: "db\\.team \\(1\\)",
      status: "firing",
      alerts: [
        {
          status: "resolved",
          labels: { alertname: "A", n: "1", team: "db" },
          annotations: { s: "x", d: "1" },
          startsAt: "2026-03-01T10:00:00.000Z",
          endsAt: "2026-03-01T10:01:00.000Z",
          generatorURL: "",
          fingerprint: alerts[1]?.fingerprint,
        },
        {
          status: "firing",
          labels: { alertname: "A", n: "2", team: "db" },
          annotations: { s: "x", d: "2" },
          startsAt: "2026-03-01T10:00:00.000Z",
          endsAt: "0001-01-01T00:00:00Z",
          generatorURL: "http://g",
          fingerprint: alerts[0]?.fingerprint,
        },
      ],
      notification_reason: "new alerts added",
      groupLabels: { alertname: "A" },
      commonLabels: { alertname: "A", team: "db" },
      commonAnnotations: { s: "x" },
      routeLabels: { tier: "1" },
      externalURL: "https://prism.example/base",
      version: "4",
      groupKey: '{}/{team="db"}:{alertname="A"}',
      truncatedAlerts: 0,
    }),
  );
});

test("alerts are in the order of Alertmanager: job, instance, those without last, then all labels", async () => {
  const of = (n: string, labels: LabelRecord) => alertOf(n, { n, ...labels });
  const { names } = await posted([
    of("1", {}),
    of("2", { instance: "b" }),
    of("3", { job: "y" }),
    of("4", { job: "x", instance: "b" }),
    of("5", { job: "x", instance: "a" }),
    of("6", { job: "x" }),
  ]);
  const shown = names.map((name) => name[0]);
  assert.deepEqual(shown, ["5", "4", "6", "3", "2", "1"]);
});

test("a body has one entry for each fingerprint: the alert that fires, otherwise the newest", async () => {
  const flapped = [
    alertOf("a1", { n: "a" }, ended),
    alertOf("a2", { n: "a" }),
    alertOf("b1", { n: "b" }, { ...ended, startsAt: AT - 1 }),
    alertOf("b2", { n: "b" }, ended),
    // Of another source with the same labels, which ended.
    alertOf("c1", { n: "c" }),
    alertOf("c2", { n: "c" }, ended),
  ];
  for (const alerts of [flapped, [...flapped].reverse()]) {
    const { names } = await posted(alerts);
    assert.deepEqual(names, ["a firing", "b resolved", "c firing"]);
    const { entries } = await contentOf(alerts);
    assert.deepEqual(entries.map(({ alert }) => alert.id).sort(), ["a2", "b2", "c1"]);
  }
});

test("what is withheld is left out while it fires, its end is not", async () => {
  const alerts = [alertOf("a", { n: "a" }), alertOf("b", { n: "b" }), alertOf("c", { n: "c" }, ended)];
  const isWithheld = ({ id }: AlertView): boolean => id !== "b";
  assert.deepEqual((await posted(alerts, { isWithheld })).names, ["b firing", "c resolved"]);
  const found = await entriesOf(alerts, { ...RULES, isWithheld });
  assert.deepEqual(found.leftOut, ["a"]);
});

test("an incident that has ended reports ends only, but not of what fires in a later incident", async () => {
  const alerts = [alertOf("a", { n: "a" }), alertOf("b", { n: "b" }, ended)];
  const later = await posted(alerts, { isEnded: true });
  assert.deepEqual([later.value.status, later.names], ["resolved", ["a resolved", "b resolved"]]);
  assert.equal(later.value.notification_reason, "all alerts resolved");
  const firingLater = new Set([alerts[1]?.fingerprint ?? ""]);
  assert.deepEqual((await posted(alerts, { isEnded: true, firingLater })).names, ["a resolved"]);
});

test("a body without firing alerts says that all are resolved; without sendResolved it has no ends", async () => {
  const alerts = [alertOf("a", { n: "a" }, ended)];
  const { value } = await posted(alerts);
  assert.deepEqual([value.status, value.notification_reason], ["resolved", "all alerts resolved"]);
  assert.deepEqual((await entriesOf(alerts, { ...RULES, sendResolved: false })).shown, []);
});

test("a body has all alerts, also thousands; maxAlerts takes firing ones first and counts the others", async () => {
  const alerts = Array.from({ length: 2500 }, (_, at) =>
    alertOf(`x${at}`, { n: String(10_000 + at) }, at < 100 ? ended : {}),
  );
  const all = await posted(alerts);
  assert.deepEqual([all.value.alerts.length, all.value.truncatedAlerts, all.isTooLarge], [2500, 0, false]);
  const few = await posted(alerts, {}, 2450);
  assert.deepEqual([few.value.alerts.length, few.value.truncatedAlerts, few.isTooLarge], [2450, 50, false]);
  assert.equal(few.names.filter((name) => name.endsWith("firing")).length, 2400);
  assert.ok(few.names[0]?.endsWith("firing"));
});

test("a body that would be too large is cut as by maxAlerts, and says so", async () => {
  const alerts = Array.from({ length: 100 }, (_, at) =>
    alertOf(
      `x${at}`,
      { n: String(100 + at) },
      { annotations: JSON.stringify({ s: "é".repeat(5000) }), ...(at < 50 ? ended : {}) },
    ),
  );
  const maxBytes = 524_288 + 600_000;
  const cut = await posted(alerts, {}, 0, maxBytes);
  assert.ok(cut.bytes.length <= maxBytes);
  assert.equal(cut.isTooLarge, true);
  assert.equal(cut.value.alerts.length + cut.value.truncatedAlerts, 100);
  assert.equal(cut.names.filter((name) => name.endsWith("firing")).length, 50, "firing ones first");
  assert.deepEqual([cut.shown, cut.truncated], [cut.value.alerts.length, cut.value.truncatedAlerts]);
  const both = await posted(alerts, {}, 3, maxBytes);
  assert.deepEqual([both.value.truncatedAlerts, both.isTooLarge], [97, false]);
});

test("the body for the format prism has the incident, its alerts, and how many were cut", async () => {
  const alerts = [alertOf("a", { n: "a" }), alertOf("b", { n: "b" }, { ...ended, timedOut: 1 })];
  const { bytes } = await bodyOf({ format: "prism", maxAlerts: 0 }, await contentOf(alerts));
  const value = JSON.parse(bytes.toString()) as Record<string, unknown>;
  assert.deepEqual(Object.keys(value), ["type", "id", "reason", "timestamp", "incident", "alerts", "truncatedAlerts"]);
  assert.deepEqual(rowsWith(value["alerts"] as { state: string; timedOut: boolean }[], "state", "timedOut"), [
    ["firing", false],
    ["resolved", true],
  ]);
  const { notices } = value["incident"] as { notices: unknown };
  assert.deepEqual(notices, { delivered: 2, failed: 1, trying: 1 });
  const none = await bodyOf({ format: "prism" }, { ...(await contentOf([])), row: { ...ROW, alerts: 0 } });
  assert.deepEqual((JSON.parse(none.bytes.toString()) as Record<string, unknown>)["alerts"], []);
});
