import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { isDeepStrictEqual } from "node:util";
import { eventually } from "../../../helpers/eventually.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { signerOf } from "./presets/support/sign.ts";
import { type Made, ReceiverTest } from "./support.ts";

interface Expected {
  readonly title: string;
  /** Null: the sender states none. */
  readonly severity: string | null;
  /** Of the alert; null for an event. */
  readonly key: string | null;
  readonly state: "firing" | "resolved" | "acknowledged" | "event";
  /** Whether people hear of it. */
  readonly notifies: boolean;
  /** What its text must contain. */
  readonly text: readonly string[];
}

interface Sender {
  readonly name: string;
  readonly origin: "recorded" | "documented";
  readonly source: string;
  readonly preset?: string;
  readonly contentType?: string;
  readonly body: unknown;
  readonly expected: readonly Expected[];
}

const FOLDER = join(import.meta.dirname, "../../receivers/senders");
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));

function sendersOf(file: string): Sender[] {
  return JSON.parse(readFileSync(join(FOLDER, file), "utf8")) as Sender[];
}

interface Tried {
  readonly events: readonly {
    readonly level: string;
    readonly type: string;
    readonly payload: Readonly<Record<string, unknown>>;
  }[];
  readonly alerts: readonly {
    readonly key: string;
    readonly status: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  }[];
}

test("there are at least 60 bodies, each with its source", () => {
  const all = FILES.flatMap(sendersOf);
  assert.ok(all.length >= 60, `${all.length}`);
  for (const { name, origin, source, expected } of all) {
    assert.match(source, /^https:\/\//, name);
    assert.ok(origin === "recorded" || origin === "documented", name);
    assert.ok(expected.length > 0, name);
  }
  assert.equal(new Set(all.map(({ name }) => name)).size, all.length);
});

for (const file of FILES)
  test(`what senders report becomes what a person needs: ${file}`, async (t) => {
    const it = await ReceiverTest.start(t);
    const wrong: unknown[] = [];
    const receivers = new Map<string, Made>();
    for (const sender of sendersOf(file)) {
      const { name, preset = "generic", expected } = sender;
      const { secret, sign } = signerOf(preset);
      const isSigned = ["standardwebhooks"].includes(preset);
      const receiver = receivers.get(preset) ?? (await it.make({ name: preset, preset, ...(isSigned && { secret }) }));
      receivers.set(preset, receiver);
      const contentType = sender.contentType ?? "application/json";
      const body = typeof sender.body === "string" ? sender.body : JSON.stringify(sender.body);
      const tried = await it.prism.post<Tried>(`/api/v1/receivers/${receiver.id}/test`, {
        request: { contentType, body },
      });
      assert.equal(tried.status, 200, `${name}: ${tried.text}`);
      const before = await countsOf(it);
      const at = { seconds: Math.floor(Date.now() / 1000), id: name };
      const headers = { "Content-Type": contentType, ...(isSigned ? sign(body, at) : {}) };
      const reply = await it.send(receiver, body, { headers });
      assert.ok(reply.status < 300, `${name}: ${reply.status} ${reply.text}`);
      const after = await countsOf(it);
      const isSilent = expected.every(({ notifies }) => !notifies);
      const found = shown(tried.body, isSilent);
      const isAsExpected = found.every((each, i) =>
        isDeepStrictEqual({ ...expected.map(plain)[i], ...each }, expected.map(plain)[i]),
      );
      if (!isAsExpected || found.length !== expected.length) wrong.push({ name, found, expected: expected.map(plain) });
      const texts = [
        ...tried.body.events.map(({ payload }) => payload),
        ...tried.body.alerts.map((each) => each.annotations),
      ];
      const all = texts.map(said).join("\n");
      const missing = expected.flatMap(({ text }) => text).filter((word) => !all.includes(word));
      if (missing.length > 0) wrong.push({ name, found: all, expected: missing });
      const hasNotified =
        after.notifications > before.notifications || after.opened > before.opened || after.ended > before.ended;
      const hasAck = expected.some(({ state }) => state === "acknowledged");
      if (!hasAck && hasNotified === isSilent)
        wrong.push({ name, found: hasNotified ? "notified" : "silent", expected: [] });
    }
    assert.deepEqual(wrong, []);
    for (const text of textsIn(it)) {
      assert.doesNotMatch(text, /<br|<\/?(?:p|b|i|div|ul|li)>|&(?:nbsp|amp|lt|gt);/i);
      assert.doesNotMatch(text, /^Resolved: [\s\S]*\[FIRING/);
    }
  });

/** What people read: notifications, and the alerts of incidents. */
function textsIn({ prism }: ReceiverTest): string[] {
  return rowsOf<{ text: string }>(
    prism,
    `select title || char(10) || message as text from notifications
       union all select annotations as text from alerts`,
  ).map(({ text }) => text);
}

/** The texts that people read. */
function said(given: Readonly<Record<string, unknown>>): string {
  return [given["title"], given["message"], given["summary"], given["description"]].filter(Boolean).join(" | ");
}

function plain({ title, severity, key, state }: Expected) {
  return { title, severity, key, state };
}

const SEVERITIES: Readonly<Record<string, string>> = { warn: "warning", fatal: "critical" };

/** What would be stored: the alerts, or events without one. */
function shown({ events, alerts }: Tried, isSilent: boolean) {
  if (alerts.length > 0)
    return alerts.map(({ key, status, labels, annotations }, i) => {
      const event = events[i];
      const level = event?.level ?? "";
      const title = annotations["summary"] ?? event?.payload["title"];
      const severity = status === "firing" ? (labels["severity"] ?? null) : stated(level, status === "acknowledged");
      // An end that is stored as an alert only has a key.
      return event === undefined && status !== "firing"
        ? { key, state: status }
        : { title, severity, key, state: status };
    });
  return events.map(({ level, payload }) => ({
    title: payload["title"],
    severity: stated(level, !isSilent),
    key: null,
    state: "event",
  }));
}

/** Information notifies, too, if the sender has not said that it is that. */
function stated(level: string, notifies: boolean): string | null {
  return level === "info" && notifies ? null : (SEVERITIES[level] ?? level);
}

/** All is decided; how many notifications there are, alerts opened and ended. */
async function countsOf(it: ReceiverTest) {
  await eventually("decided", () => scalarOf(it.prism, "select count(*) from events where processedAt is null") === 0);
  const [row] = rowsOf<{ notifications: number; opened: number; ended: number }>(
    it.prism,
    `select (select count(*) from notifications where kind = 'rule') as notifications,
       (select count(*) from alerts) as opened, (select count(*) from alerts where state = 'resolved') as ended`,
  );
  return row ?? { notifications: 0, opened: 0, ended: 0 };
}
