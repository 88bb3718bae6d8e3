import assert from "node:assert/strict";
import test from "node:test";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism } from "../../../helpers/prism.ts";
import { httpServer } from "../../channels/presets/http.ts";
import { configure, type FileObject, problemsOf } from "./configuration.ts";

const HOSTS = { "webhooks.allowPrivateCidrs": "127.0.0.0/8" };

const policy = (name: string, steps: unknown, more: object = {}): FileObject => [
  "policies",
  "default",
  { name, steps, ...more },
];
const routes = (route: object): FileObject => ["routes", "default", { route }];
const notify = (...users: string[]) => ({ type: "notify", users });
const room = (active: boolean): FileObject => [
  "channels",
  "default",
  {
    name: "Room",
    preset: "ntfy",
    active,
    fields: { url: "https://127.0.0.1:8443/", topic: { env: "PRISM_SECRET_T" } },
  },
];
const duty = (shifts: unknown): FileObject => ["oncall", "default", { name: "Duty", timezone: "UTC", shifts }];
const onDuty = { type: "notify", schedules: [{ name: "Duty" }] };

test("a plan warns of ways that lead nowhere, only of what it changes", async (t) => {
  const prism = await startPrism(t, { settings: HOSTS });
  await makeUser(prism, "ada");
  const ben = await makeUser(prism, "ben");
  const way = { name: "Phone", preset: "http", fields: httpServer().fields("http://127.0.0.1:9/") };
  await answered(201, prism.post("/api/v1/channels", way, { token: ben.token }));
  const plan = async (...files: readonly FileObject[]) => {
    const { status, body } = await configure(prism, "plan", files);
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(problemsOf(body), []);
    return body.warnings.map(({ kind, name, at, code }) => `${kind} ${name} ${at} ${code}`);
  };
  const apply = async (...files: readonly FileObject[]) => {
    const { status, body } = await configure(prism, "apply", files, { secrets: { "env:PRISM_SECRET_T": "duty" } });
    assert.equal(status, 200, JSON.stringify(body));
  };

  await t.test("of a policy: no steps, a person without a way, no route", async () => {
    assert.deepEqual(await plan(policy("Empty", []), routes({ policy: "Empty" })), [
      "policies Empty duty.yaml:1:1 no-steps",
    ]);
    assert.deepEqual(await plan(policy("Ada", [notify("ada")]), routes({ policy: "Ada" })), [
      "policies Ada duty.yaml:1:1 person-without-way",
    ]);
    const good = policy("Ben", [notify("ben")]);
    assert.deepEqual(await plan(good, routes({ policy: "Ben" })), []);
    assert.deepEqual(await plan(good, policy("Other", [notify("ben")]), routes({ policy: "Ben" })), [
      "policies Other duty.yaml:2:1 not-routed",
    ]);
    // One that another falls back to, and any without routes of its own.
    const falling = policy("Ben", [notify("ben")], { fallback: "Other" });
    assert.deepEqual(await plan(falling, policy("Other", [notify("ben")]), routes({ policy: "Ben" })), []);
    assert.deepEqual(await plan(good), []);
  });

  await t.test("of a schedule: nobody, a gap of the next weeks, someone without a way", async () => {
    const night = [policy("Night", [onDuty]), routes({ policy: "Night" })] as const;
    const first = await configure(prism, "plan", [duty([]), ...night]);
    assert.deepEqual(
      first.body.warnings.map(({ kind, code }) => [kind, code]),
      [["policies", "schedule-gap"]],
    );
    assert.match(first.body.warnings[0]?.message ?? "", /^No one is on call on Duty now, and the step has no other/);
    const day = new Date().toISOString().slice(0, 10);
    const weeks = { name: "Weeks", start: `${day}T00:00:00`, recurrence: { frequency: "daily" } };
    const all = duty([{ ...weeks, duration: "1d", turns: [["ben"]] }]);
    assert.deepEqual(await plan(all, ...night), []);
    const until = new Date(Date.now() + 20 * 86_400_000).toISOString();
    const ends = { ...weeks, duration: "1d", turns: [["ben"]], recurrence: { frequency: "daily", until } };
    assert.deepEqual(await plan(duty([ends]), ...night), ["policies Night duty.yaml:2:1 schedule-gap"]);
    await apply(all, ...night);
    // The policy is not in the files of this plan.
    assert.deepEqual(await plan(duty([])), ["policies Night null schedule-gap"]);
    assert.deepEqual(await plan(duty([{ ...weeks, duration: "1d", turns: [["ben"], ["ada"]] }])), [
      "oncall Duty duty.yaml:1:1 person-without-way",
    ]);
  });

  await t.test("of a channel that is disabled, and of what has its alerts in a policy that pages no one", async () => {
    const calling = [policy("Calls", [{ type: "channel", name: "Room" }]), routes({ policy: "Calls" })] as const;
    await apply(room(true), ...calling);
    assert.deepEqual(await plan(room(false)), ["policies Calls null channel-disabled"]);
    const beat: FileObject = ["heartbeats", "default", { name: "Nightly", timeout: "1d", labels: { team: "db" } }];
    const grafana: FileObject = ["receivers", "default", { name: "Grafana", preset: "grafana" }];
    assert.deepEqual(await plan(beat, grafana), []);
    const dead = routes({ policy: "Calls", routes: [{ matchers: ['team="db"'], policy: "Empty" }] });
    assert.deepEqual(await plan(policy("Empty", []), dead, beat, grafana), [
      "policies Empty duty.yaml:1:1 no-steps",
      "heartbeats Nightly duty.yaml:3:1 alerts-reach-no-one",
    ]);
    assert.deepEqual(await plan(room(false), beat, grafana), [
      "policies Calls null channel-disabled",
      "heartbeats Nightly duty.yaml:2:1 alerts-reach-no-one",
      "receivers Grafana duty.yaml:3:1 alerts-reach-no-one",
    ]);
  });

  await t.test("of a new owner without a way; people of the same plan count", async () => {
    const project: FileObject = ["projects", null, { slug: "duty", name: "Duty" }];
    const members: FileObject = ["members", "duty", { ada: "owner", ben: "owner" }];
    assert.deepEqual(await plan(project, members), ["members members duty.yaml:2:1 person-without-way"]);
    const cy: FileObject = ["people", null, { username: "cy", email: "cy@example.com", invite: true }];
    const always = { name: "All", start: "2026-01-01T00:00:00", duration: "1d", recurrence: { frequency: "daily" } };
    const duty: FileObject = [
      "oncall",
      "duty",
      { name: "D", timezone: "UTC", shifts: [{ ...always, turns: [["cy"]] }] },
    ];
    const night: FileObject = [
      "policies",
      "duty",
      { name: "N", steps: [{ type: "notify", schedules: [{ name: "D" }] }] },
    ];
    const found = await plan(cy, project, ["members", "duty", { ben: "owner", cy: "editor" }], duty, night);
    assert.ok(
      found.every((each) => /person-(without-way|inactive)$/.test(each)),
      found.join("\n"),
    );
  });

  await t.test("an empty plan says nothing", async () => {
    await apply(policy("Empty", []), routes({ policy: "Empty" }));
    assert.deepEqual(await plan(policy("Empty", []), routes({ policy: "Empty" })), []);
  });
});
