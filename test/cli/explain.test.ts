import assert from "node:assert/strict";
import test from "node:test";
import { localTime, withLocalTimes } from "../../src/cli/output/text.ts";
import type { ExplainView } from "../../src/features/explain/schema.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { runCli, runJson } from "./run-cli.ts";

test("prism explain", async (t) => {
  const prism = await startPrism(t);
  const cwd = prism.dir;
  const env = { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken, TZ: "Europe/Berlin" };
  const run = (...args: string[]) => runCli(["explain", ...args], { cwd, env });
  await makeUser(prism, "anna");
  const rule = { targetUsers: ["me"], condition: "event.amount > 100 and event.amount < 9000" };
  await prism.post("/api/v1/rules", { ...rule, name: "Big payment \u001b[31m" });
  await prism.post("/api/v1/rules", { ...rule, name: "Huge payment", condition: "event.amount > 9000" });
  const event = await prism.post<{ id: string }>("/events", { type: "payment", payload: { amount: 500 } });
  const { id } = event.body;

  await t.test("prints the timeline in order, in local time, and ends with the answer", async () => {
    const { status, stdout } = await run(id);
    assert.equal(status, 0);
    const order = [
      `Event ${id}`,
      "  payment (info), project default\n",
      "occurred",
      "received, offset 1",
      "rules decided",
      "Rules that matched: 1",
      "  fired  Big payment",
      "Other rules: 1",
      "  condition false  Huge payment (version 1)",
      "the condition was false: event.amount was 500",
      "Notification ",
      "1 recipient: 0 reached live, 0 read it, 0 acknowledged it",
      "1 rule matched: 1 sent a notification; 1 person has it in the inbox.",
    ];
    const places = order.map((text) => stdout.indexOf(text));
    assert.ok(!places.includes(-1), `${order[places.indexOf(-1)]} in\n${stdout}`);
    const sorted = [...places].sort((a, b) => a - b);
    assert.deepEqual(places, sorted);
    assert.match(stdout, /^ {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \+0[12]:00 {2}received/m);
    assert.equal(stdout.split("event.amount = 500").length, 2, "a value is shown once");
    assert.equal(stdout.includes("\u001b"), false, "nothing steers the terminal");
    assert.ok(
      stdout.split("\n").every((line) => line.length <= 160),
      "lines are short",
    );
  });

  await t.test("--user says why a user was not notified", async () => {
    const { stdout } = await run(id, "--user", "anna");
    assert.match(stdout, /^anna was not notified$/m);
    assert.match(stdout, /anna was not notified \(Big payment .*: is not one of the users whom the rule names\)\.\n$/);
  });

  await t.test("takes a notification as well, and --json gives the structure", async () => {
    const view = await runJson<ExplainView>(["explain", id], { cwd, env });
    const notificationId = view.notifications[0]?.id ?? "";
    const again = await runJson<ExplainView>(["explain", notificationId, "--user", "me"], { cwd, env });
    assert.deepEqual(
      [again.subject, again.event?.id, again.user?.told],
      [{ kind: "notification", id: notificationId }, id, true],
    );
    const { stdout } = await run(notificationId);
    assert.match(stdout, /A rule made it from an event, and it went to 1 person/);
    const direct = await prism.post<{ id: string }>("/api/v1/notifications", {
      recipients: ["anna"],
      title: "Hello",
      message: "there",
    });
    const alone = (await run(direct.body.id)).stdout;
    assert.match(alone, /^Notification \S+\n {2}Hello\n/);
    assert.equal(alone.split(direct.body.id).length, 2, `named once in\n${alone}`);
  });

  await t.test("takes an incident and an alert", async () => {
    await prism.post("/api/v1/alerts", { alerts: [{ labels: { alertname: "DiskFull" } }] });
    const first = async (path: string) => (await prism.get<{ data: { id: string }[] }>(path)).body.data[0]?.id ?? "";
    for (const path of ["/api/v1/incidents", "/api/v1/alerts"]) {
      await eventually("the alert has an incident", async () => (await first(path)) !== "");
      const { status, stdout } = await run(await first(path));
      assert.equal(status, 0, path);
      assert.match(stdout, /DiskFull/, path);
    }
    // The time until the next step passes between two calls.
    const explained = async (of: string) => (await run(of, "--json")).stdout.replaceAll(/"afterMs":\s*\d+/g, "");
    const byId = await explained(await first("/api/v1/incidents"));
    for (const number of ["1", "#1"]) assert.equal(await explained(number), byId, number);
    await prism.post("/api/v1/projects", { name: "Ops", slug: "ops" });
    await prism.post("/api/v1/alerts", { projectId: "ops", alerts: [{ labels: { alertname: "OfOps" } }] });
    await eventually("two projects have an incident 1", async () =>
      (await run("1")).stderr.includes("several projects"),
    );
    assert.match((await run("1", "--project", "ops")).stdout, /OfOps/);
    const none = await run("77");
    assert.deepEqual([none.status, none.stderr], [6, "prism: there is no incident 77\n"]);
  });

  await t.test("an unknown object exits 6, and an invalid token 5", async () => {
    const missing = await run("0198c0de-0000-7000-8000-000000000000");
    assert.deepEqual([missing.status, missing.stdout], [6, ""]);
    assert.match(missing.stderr, /^prism: there is no event, notification, incident or alert 0198c0de-/);
    assert.equal((await runCli(["explain", id], { cwd, env: { PRISM_URL: prism.url } })).status, 5);
  });
});

test("times of a sentence are shown as the wall clock shows them, with the offset", () => {
  const text = localTime("2026-03-29T01:00:05.250Z");
  assert.match(text, /^2026-03-\d\d \d\d:\d\d:05\.250 [+-]\d\d:\d\d$/);
  assert.equal(Date.parse(text.replace(" ", "T").replace(" ", "")), Date.parse("2026-03-29T01:00:05.250Z"));
  assert.equal(withLocalTimes("since 2026-03-29T01:00:05.250Z."), `since ${text}.`);
});
