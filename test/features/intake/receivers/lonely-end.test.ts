import assert from "node:assert/strict";
import test from "node:test";
import { BUILT_IN_PRESETS } from "../../../../src/features/intake/receivers/presets/index.ts";
import { eventually } from "../../../helpers/eventually.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { MailInTest } from "../mail-in/support.ts";
import { type Row, STATES } from "./presets/support/states.ts";
import { ReceiverTest } from "./support.ts";

async function notificationsIn(prism: TestPrism): Promise<{ title: string; message: string }[]> {
  await eventually("decided", () => scalarOf(prism, "select count(*) from events where processedAt is null") === 0);
  return rowsOf(prism, "select title, message from notifications where kind = 'rule' order by id");
}

test("an end that finds no alert is an event that is told, also where the sender calls it information", async (t) => {
  const receivers = await ReceiverTest.start(t);
  const receiver = await receivers.make({ name: "Shop" });
  await receivers.send(receiver, { title: "db-1 is up", key: "db-1", status: "resolved", level: "info" });
  const [end, ...others] = await receivers.events();
  assert.deepEqual(others, []);
  assert.deepEqual([end?.type, end?.level, end?.payload["status"]], ["message", "info", "resolved"]);
  const [request] = await receivers.requests(receiver);
  assert.equal(request?.outcome["events"], 1);
  assert.match(JSON.stringify(request?.outcome["alerts"]), /"outcome":"unchanged"/);
  const notified = await notificationsIn(receivers.prism);
  assert.equal(notified.length, 1);
  assert.match(notified[0]?.title ?? "", /db-1 is up/);
});

test("an end with an event beside it is one event, which is told", async (t) => {
  const receivers = await ReceiverTest.start(t);
  const receiver = await receivers.make({ mapping: { output: "both" } });
  await receivers.send(receiver, { title: "Disk", key: "disk", status: "resolved" });
  assert.deepEqual(
    (await receivers.events()).map(({ level }) => level),
    ["info"],
  );
  assert.deepEqual(
    (await notificationsIn(receivers.prism)).map(({ title }) => title),
    ["Resolved: Disk"],
  );
});

test("the end of an alert is told by its incident, and the repetition of that end is no news", async (t) => {
  const receivers = await ReceiverTest.start(t);
  const receiver = await receivers.make({});
  await receivers.send(receiver, { title: "Disk", key: "disk", status: "firing" });
  await receivers.send(receiver, { title: "Disk", key: "disk", status: "resolved" });
  await receivers.send(receiver, { title: "Disk", key: "disk", status: "resolved" });
  assert.deepEqual(await notificationsIn(receivers.prism), []);
  assert.deepEqual(await receivers.alerts(), []);
});

test("a receiver that notifies no one stores such an end, and tells nobody", async (t) => {
  const receivers = await ReceiverTest.start(t);
  const receiver = await receivers.make({ notify: "none" });
  await receivers.send(receiver, { title: "Disk", key: "disk", status: "resolved" });
  assert.equal((await receivers.events()).length, 1);
  assert.deepEqual(await notificationsIn(receivers.prism), []);
});

const REPO = { full_name: "a/b" };
const workflow = {
  action: "completed",
  repository: REPO,
  workflow_run: { name: "Test", workflow_id: 1, head_branch: "main", conclusion: "success", event: "push" },
};
/** Ends of senders whose rows have none. */
const ENDS: Readonly<Record<string, readonly Row[]>> = {
  ...STATES,
  github: [["a run that succeeds", workflow, "resolved", { headers: { "x-github-event": "workflow_run" } }]],
  standardwebhooks: [["an end", { type: "disk.ok", data: { id: "d", status: "resolved", name: "Disk" } }, "resolved"]],
  apprise: [],
  "formatted-webhook": [["ok", { alert_uid: "d", title: "Disk", state: "ok" }, "resolved"]],
  mail: [
    ["an end", { title: "Disk", text: "", status: "resolved", level: null, key: "d", automatic: null }, "resolved"],
  ],
  generic: [["an end", { title: "Disk", status: "resolved", key: "disk" }, "resolved"]],
};
/** Senders that report each success of a job: one that ends nothing is silent (docs/receivers.md). */
const ROUTINE: ReadonlySet<string> = new Set(["github", "gitlab", "jenkins", "argocd"]);

test("an end that finds no alert is told for each sender that has ends", async (t) => {
  const it = await ReceiverTest.start(t, { settings: { "rateLimit.enabled": "false" } });
  let ends = 0;
  for (const preset of BUILT_IN_PRESETS) {
    const { name, secret } = preset;
    const rows = (ENDS[name] ?? []).filter(([, , becomes]) => becomes.startsWith("resolved"));
    const isKeyed = !("output" in preset.mapping && preset.mapping.output === "events");
    assert.ok(!isKeyed || rows.length > 0 || name === "apprise", `${name} has alerts, and no row of an end`);
    for (const [what, body, , given = {}] of rows)
      await t.test(`${name}: ${what}`, async () => {
        const open = secret === "required" ? { secret: "a secret", verify: [{ scheme: "credential" }] } : {};
        const receiver = await it.make({ name: `${name} ${what}`, preset: name, ...open });
        const before = (await notificationsIn(it.prism)).length;
        const { headers = {}, method, query, contentType = "application/json" } = given;
        const text = typeof body === "string" ? body : JSON.stringify(body);
        const { status } = await it.send(receiver, method === "GET" ? undefined : text, {
          headers: { "content-type": contentType, authorization: "Bearer a secret", ...headers },
          ...(method !== undefined && { method }),
          ...(query !== undefined && { suffix: `?${query}` }),
        });
        assert.ok(status < 300);
        const [request] = await it.requests(receiver);
        assert.ok(Number(request?.outcome["events"]) > 0, JSON.stringify(request?.outcome));
        const notified = await notificationsIn(it.prism);
        assert.equal(notified.length - before, ROUTINE.has(name) ? 0 : 1, JSON.stringify(notified.slice(before)));
        assert.deepEqual(await it.alerts(), []);
        ends += 1;
      });
  }
  t.diagnostic(`${ends} ends`);
});

test("an end by mail that finds no alert is told", async (t) => {
  const mails = await MailInTest.start(t);
  const { address } = await mails.receiver();
  for (const [subject, title] of [
    ["[Success] Daily VM (5 objects)", /Daily VM/],
    [
      "Resolved:Sev2 Azure Monitor Alert cpu on web-1 (microsoft.compute/virtualmachines) at 1/1/2026 12:21:11 PM",
      /cpu on web-1/,
    ],
    ["[PRTG Network Monitor (P1)] Ping (Ping) Down ENDED (now: Up)", /Ping/],
    ["Checkmk: web-1/CPU CRIT -> OK", /web-1\/CPU/],
    ["Device web-1 recovered from Devices up/down", /web-1/],
    ["[core/shop] Alert resolved", /core\/shop/],
  ] as const)
    await t.test(subject, async () => {
      const before = (await notificationsIn(mails.prism)).length;
      assert.match(await mails.mail({ to: address, subject, text: "The details" }), /^250/);
      const news = (await notificationsIn(mails.prism)).slice(before);
      assert.equal(news.length, 1, JSON.stringify(news));
      assert.match(news[0]?.title ?? "", title);
    });
});
