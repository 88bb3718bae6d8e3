import assert from "node:assert/strict";
import { test } from "node:test";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { answered, type Reply, type TestPrism } from "../../../helpers/prism.ts";
import { alertWorld, MINUTE } from "./support.ts";

/* Without the right to end it no one touches the alert of another sender. */

interface Victim {
  readonly key: string;
  readonly labels: Record<string, string>;
}

interface Request {
  readonly path: string;
  readonly body: object;
}

interface Outcomes {
  readonly data?: readonly { readonly status: string }[];
}

interface Found {
  readonly key: string;
  readonly severity: string | null;
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
  readonly generatorUrl: string | null;
  readonly endsAt: string | null;
  readonly startsAt: string;
}

const LABELS = { alertname: "Disk", severity: "critical", host: "db-1" };
const ANNOTATIONS = { summary: "The disk is full" };
const CHANGED = { summary: "all is fine", runbook_url: "https://phish.example/" };

const alertsOf = async (prism: TestPrism): Promise<Found[]> =>
  (await prism.get<{ data: Found[] }>("/api/v1/alerts?projectId=default")).body.data;

const native = (alert: object): Request => ({ path: "/api/v1/alerts", body: { alerts: [alert] } });

/** How the alert of a victim is opened, and how another sender names it. */
const DOORS: Readonly<
  Record<
    string,
    {
      open: (prism: TestPrism, endsAt: string) => Promise<unknown>;
      touch: (victim: Victim, end: string) => readonly Request[];
    }
  >
> = {
  "the native API, by key": {
    open: (prism, endsAt) =>
      answered(
        200,
        prism.post("/api/v1/alerts", {
          alerts: [
            { key: "k", labels: LABELS, annotations: ANNOTATIONS, generatorUrl: "https://own.example/", endsAt },
          ],
        }),
      ),
    touch: (_victim, endsAt) => [
      native({ key: "k", labels: { ...LABELS, severity: "info" }, annotations: CHANGED, endsAt }),
      native({ key: "k", labels: { ...LABELS, maint: "yes" }, severity: "info", endsAt }),
    ],
  },
  "the native API, by guessed labels": {
    open: (prism, endsAt) =>
      answered(
        200,
        prism.post("/api/v1/alerts", {
          alerts: [{ labels: LABELS, annotations: ANNOTATIONS, generatorUrl: "https://own.example/", endsAt }],
        }),
      ),
    touch: ({ key }, endsAt) => [
      native({ labels: LABELS, severity: "info", annotations: CHANGED, endsAt }),
      native({ key: key.slice("api:".length), labels: { alertname: "Other" }, endsAt }),
    ],
  },
  "Alertmanager's API, by guessed labels": {
    open: (prism, endsAt) =>
      answered(
        200,
        prism.post("/alertmanager/api/v2/alerts", [
          { labels: LABELS, annotations: ANNOTATIONS, generatorURL: "https://own.example/", endsAt },
        ]),
      ),
    touch: (_victim, endsAt) => [
      {
        path: "/alertmanager/api/v2/alerts",
        body: [{ labels: LABELS, annotations: CHANGED, generatorURL: "https://phish.example/", endsAt }],
      },
    ],
  },
};

for (const [name, { open, touch }] of Object.entries(DOORS))
  test(`${name}: a user who may only send prolongs the alert of another sender, and changes nothing else`, async (t) => {
    const { prism, clock, alerts } = await alertWorld(t, { "rateLimit.enabled": "false" });
    const bob = await makeUser(prism, "bob", ["User"]);
    const at = (minutes: number): string => new Date(clock.now() + minutes * MINUTE).toISOString();
    await open(prism, at(10));
    const [before] = await alertsOf(prism);
    assert.ok(before);
    const sender = alerts().list(prism.parts.offers.defaultProjectId)[0]?.sender;
    clock.advance(1000);
    const ends: readonly { readonly end: string; readonly isLater: boolean }[] = [
      { end: at(5), isLater: false },
      { end: at(20), isLater: true },
    ];
    for (const { end, isLater } of ends)
      for (const request of touch(before, end)) {
        const reply: Reply<Outcomes> = await prism.post<Outcomes>(request.path, request.body, { token: bob.token });
        assert.equal(reply.status, 200, reply.text);
        for (const { status } of reply.body.data ?? []) assert.equal(status, "repeated");
        const [after, ...others] = await alertsOf(prism);
        assert.deepEqual(others, []);
        const shown = ({ key, severity, labels, annotations, generatorUrl, startsAt }: Found) => ({
          ...{ key, severity, labels, annotations, generatorUrl, startsAt },
        });
        assert.deepEqual(after && shown(after), shown(before));
        assert.equal(after?.endsAt, isLater ? end : before.endsAt);
        assert.equal(alerts().list(prism.parts.offers.defaultProjectId)[0]?.sender, sender);
      }
    // A transaction of its own would decide the same.
    await alerts().flush();
    assert.equal((await alertsOf(prism)).length, 1);
  });

test("receivers, integrations and rules have keys of their own: what others name is another alert", async (t) => {
  const { prism } = await alertWorld(t, { "rateLimit.enabled": "false" });
  const { body: made } = await answered(
    201,
    prism.post<{ url: string }>("/api/v1/receivers", { name: "r", preset: "generic" }),
  );
  const url = `${prism.url}${new URL(made.url).pathname}`;
  const body = JSON.stringify({ title: "Disk", key: "disk", status: "firing", severity: "critical" });
  const headers = { "Content-Type": "application/json" };
  assert.ok((await fetch(url, { method: "POST", headers, body })).ok);
  const integration = await answered(
    201,
    prism.post<{ key: string }>("/api/v1/integrations", { kind: "pagerduty", name: "p", labels: {} }),
  );
  const payload = { summary: "disk", source: "db", severity: "critical" };
  const event = { routing_key: integration.body.key, event_action: "trigger", dedup_key: "disk", payload };
  await answered(202, prism.post("/v2/enqueue", event, { token: null }));
  const rule = { name: "Disk", condition: "event.type == 'disk'", alert: { key: "disk", severity: "critical" } };
  await answered(201, prism.post("/api/v1/rules", { ...rule, projectId: "default" }));
  await answered(202, prism.post("/api/v1/events", { type: "disk" }));
  await prism.parts.offers.alerts.signalled();
  const before = await alertsOf(prism);
  assert.equal(before.length, 3);
  const bob = await makeUser(prism, "bob", ["User"]);
  for (const { key, labels } of before)
    await answered(
      200,
      prism.post(
        "/api/v1/alerts",
        { alerts: [{ key, labels: { ...labels, severity: "info" } }] },
        { token: bob.token },
      ),
    );
  const after = await alertsOf(prism);
  for (const { key, labels, severity } of before) {
    const same = after.find((each) => each.key === key);
    assert.deepEqual([same?.labels, same?.severity], [labels, severity]);
  }
});

test("the sender itself, another token of the same user, a key of the project and incidents:act change it as before", async (t) => {
  const { prism, alerts } = await alertWorld(t, { "rateLimit.enabled": "false" });
  const [ann, bob] = [await makeUser(prism, "ann", ["User"]), await makeUser(prism, "bob", ["User"])];
  const scopes = { name: "t", scopes: ["events:write"] };
  const token = await answered(
    201,
    prism.post<{ token: string }>("/api/v1/users/me/tokens", scopes, { token: ann.token }),
  );
  const report = (severity: string, options: { token?: string; apiKey?: string }) =>
    prism.post<{ data: { status: string }[] }>(
      "/api/v1/alerts",
      { alerts: [{ key: "k", labels: { alertname: "Disk", severity } }] },
      options,
    );
  const statusOf = async (severity: string, options: { token?: string; apiKey?: string }) =>
    (await report(severity, options)).body.data[0]?.status;
  assert.equal(await statusOf("critical", { token: ann.token }), "opened");
  assert.equal(await statusOf("info", { token: bob.token }), "repeated");
  assert.equal(await statusOf("warning", { token: token.body.token }), "changed");
  assert.equal(await statusOf("error", { token: ann.token }), "changed");
  assert.equal(await statusOf("info", {}), "changed");
  const [alert] = alerts().list(prism.parts.offers.defaultProjectId);
  assert.equal(alert?.severity, "info");
  const shop = await makeProject(prism, "shop");
  const second = await answered(
    201,
    prism.post<{ key: string }>(`/api/v1/projects/${shop.id}/keys`, { name: "second" }),
  );
  assert.equal(await statusOf("critical", { apiKey: shop.apiKey }), "opened");
  assert.equal(await statusOf("warning", { apiKey: second.body.key }), "changed");
});

test("what another sender prolongs lasts until the next report of its own sender, which sets the end again", async (t) => {
  const { prism, clock } = await alertWorld(t, { "rateLimit.enabled": "false" });
  const [ann, bob] = [await makeUser(prism, "ann", ["User"]), await makeUser(prism, "bob", ["User"])];
  const at = (minutes: number): string => new Date(clock.now() + minutes * MINUTE).toISOString();
  const labels = { alertname: "Disk" };
  const post = (alert: object, options: { token?: string }) =>
    answered(200, prism.post("/api/v1/alerts", { alerts: [{ labels, ...alert }] }, options));
  const endOf = async (key: string) => (await alertsOf(prism)).find((each) => each.key === `api:${key}`)?.endsAt;
  for (const [key, owner] of [
    ["key", {}],
    ["person", { token: ann.token }],
  ] as const)
    for (const foreign of [{ endsAt: "2099-01-01T00:00:00Z" }, {}]) {
      await post({ key, endsAt: at(10) }, owner);
      await post({ key, ...foreign }, { token: bob.token });
      const prolonged = await endOf(key);
      assert.equal(prolonged ?? null, foreign.endsAt === undefined ? null : new Date(foreign.endsAt).toISOString());
      clock.advance(1000);
      const end = at(5);
      await post({ key, endsAt: end }, owner);
      assert.equal(await endOf(key), end);
    }
  const alertmanager = (endsAt: object, options: { token?: string }) =>
    answered(200, prism.post("/alertmanager/api/v2/alerts", [{ labels: { alertname: "Cpu" }, ...endsAt }], options));
  const cpu = async () => (await alertsOf(prism)).find((each) => each.labels["alertname"] === "Cpu")?.endsAt;
  await alertmanager({}, {});
  const own = await cpu();
  await alertmanager({ endsAt: "2099-01-01T00:00:00Z" }, { token: bob.token });
  clock.advance(MINUTE);
  await alertmanager({}, {});
  assert.equal(await cpu(), new Date(Date.parse(own ?? "") + MINUTE).toISOString());
});
