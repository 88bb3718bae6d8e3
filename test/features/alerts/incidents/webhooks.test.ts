import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { answered } from "../../../helpers/prism.ts";
import { startRecorder, type WebhookRecorder } from "../../../helpers/webhook-recorder.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

interface AlertmanagerBody {
  readonly status: string;
  readonly alerts: readonly { readonly status: string; readonly labels: { readonly host: string } }[];
  readonly notification_reason: string;
  readonly truncatedAlerts: number;
}

/** Alerts of one group, with a webhook of Alertmanager's form and a group interval of five minutes. */
class WebhookWorld {
  readonly world: IncidentWorld;
  readonly recorder: WebhookRecorder<AlertmanagerBody>;

  private constructor(world: IncidentWorld, recorder: WebhookRecorder<AlertmanagerBody>) {
    this.world = world;
    this.recorder = recorder;
  }

  static async start(t: TestContext, step: object = {}, policy: object = {}): Promise<WebhookWorld> {
    const recorder = await startRecorder<AlertmanagerBody>(t);
    const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
    const steps = [{ type: "webhook", url: `${recorder.url}/hook`, format: "alertmanager", ...step }];
    await answered(200, world.prism.patch(`/api/v1/policies/${world.projectId}`, { steps, ...policy }));
    const route = { policy: "default", groupBy: ["alertname"], groupWaitMs: 0, groupIntervalMs: 5 * MINUTE };
    const inhibitRules = [{ sourceMatchers: ['alertname="Source"'], targetMatchers: ['host="a"'], equal: [] }];
    const put = await world.prism.put("/api/v1/routes", { route: { ...route, repeatMs: 1440 * MINUTE }, inhibitRules });
    assert.equal(put.status, 200, put.text);
    return new WebhookWorld(world, recorder);
  }

  fire(host: string): Promise<void> {
    return this.world.fire(host, { labels: { alertname: "Disk", host } });
  }

  async fireBoth(): Promise<void> {
    const { prism, projectId } = this.world;
    const input = (host: string) => ({
      ...{ projectId, source: "api" as const, sourceId: null, key: `api:${host}` },
      labels: { alertname: "Disk", host },
    });
    await prism.parts.offers.alerts.submit([input("a"), input("b")]);
    await this.world.incidents.check();
  }

  end(host: string): Promise<void> {
    return this.world.resolveAlert(host, { labels: { alertname: "Disk", host } });
  }

  async silence(host: string): Promise<string> {
    const body = { matchers: [`host="${host}"`], comment: "test", durationMs: 1440 * MINUTE };
    const made = await answered(201, this.world.prism.post<{ id: string }>("/api/v1/silences", body));
    return made.body.id;
  }

  /** What was posted, once there are so many posts: `reason: host state, host state`. */
  async posts(count: number): Promise<string[]> {
    await eventually(`${count} posts`, () => this.recorder.posts.length >= count);
    await this.world.prism.parts.offers.pages.idle();
    return this.recorder.posts.map(({ body }) => {
      const alerts = body.alerts.map(({ status, labels }) => `${labels.host} ${status}`);
      return `${body.notification_reason}: ${alerts.join(", ")}`;
    });
  }
}

test("an alert that fires again before its end was sent calls no webhook, alone and in a group", async (t) => {
  const hooks = await WebhookWorld.start(t);
  await hooks.fireBoth();
  await hooks.posts(1);
  for (let flap = 0; flap < 2; flap += 1) {
    await hooks.world.pass(6 * MINUTE);
    await hooks.end("a");
    await hooks.world.pass(MINUTE);
    await hooks.fire("a");
  }
  await hooks.world.pass(20 * MINUTE);
  await hooks.end("b");
  await hooks.world.pass(5 * MINUTE);
  await hooks.end("a");
  await hooks.world.pass(5 * MINUTE);
  assert.deepEqual(await hooks.posts(3), [
    "first notification: a firing, b firing",
    "some alerts resolved: a firing, b resolved",
    "all alerts resolved: a resolved",
  ]);
});

test("alerts that ended and alerts that joined are one post", async (t) => {
  const hooks = await WebhookWorld.start(t);
  await hooks.fireBoth();
  await hooks.posts(1);
  await hooks.end("a");
  await hooks.fire("c");
  await hooks.world.pass(5 * MINUTE);
  await hooks.posts(2);
  await hooks.end("b");
  await hooks.end("c");
  await hooks.world.pass(5 * MINUTE);
  assert.deepEqual(await hooks.posts(3), [
    "first notification: a firing, b firing",
    "new alerts added: a resolved, b firing, c firing",
    "all alerts resolved: b resolved, c resolved",
  ]);
  const log = await hooks.world.log((await hooks.world.only()).id);
  assert.equal(log.filter((kind) => kind === "webhook").length, 3);
});

test("a silenced alert is left out, is named again when the silence ends, and its end is sent", async (t) => {
  const hooks = await WebhookWorld.start(t);
  await hooks.fireBoth();
  await hooks.posts(1);
  const id = await hooks.silence("a");
  await hooks.fire("c");
  await hooks.world.pass(5 * MINUTE);
  await hooks.posts(2);
  const row = await hooks.world.only();
  await eventually("it is noted", async () => (await hooks.world.log(row.id)).includes("left-out"));
  assert.ok((await hooks.world.prism.delete(`/api/v1/silences/${id}`)).status < 300);
  await hooks.world.incidents.check();
  await hooks.posts(3);
  await hooks.silence("a");
  await hooks.end("a");
  await hooks.world.pass(5 * MINUTE);
  assert.deepEqual(await hooks.posts(4), [
    "first notification: a firing, b firing",
    "new alerts added: b firing, c firing",
    "new alerts added: a firing, b firing, c firing",
    "some alerts resolved: a resolved, b firing, c firing",
  ]);
});

test("an inhibited alert is left out", async (t) => {
  const hooks = await WebhookWorld.start(t);
  await hooks.fireBoth();
  await hooks.posts(1);
  await hooks.world.fire("Source", { labels: { alertname: "Source", host: "s" } });
  await hooks.posts(2);
  await hooks.fire("c");
  await hooks.world.pass(5 * MINUTE);
  assert.equal((await hooks.posts(3))[2], "new alerts added: b firing, c firing");
});

test("what is sent late says what is true now, and nothing while all of it is silenced", async (t) => {
  const hooks = await WebhookWorld.start(t);
  hooks.recorder.status = 503;
  await hooks.fire("a");
  await hooks.end("a");
  await hooks.fire("b");
  const id = await hooks.silence("b");
  hooks.recorder.status = 200;
  await hooks.world.pass(5 * MINUTE);
  assert.ok((await hooks.world.prism.delete(`/api/v1/silences/${id}`)).status < 300);
  await hooks.world.pass(10 * MINUTE);
  await eventually("b is reported", async () => (await hooks.posts(1)).some((post) => post.endsWith("b firing")));
  for (const post of await hooks.posts(1)) assert.ok(!post.includes("a firing"), post);
});

test("an incident that a person resolves is reported as resolved, though its alerts go on firing", async (t) => {
  const hooks = await WebhookWorld.start(t);
  const ann = await hooks.world.member("ann");
  await hooks.world.fire("a", { labels: { alertname: "Disk", host: "a" }, source: "alertmanager", key: "fp:a" });
  await hooks.posts(1);
  await hooks.world.incidents.resolve((await hooks.world.only()).id, { id: ann.id, via: "api" });
  assert.deepEqual(await hooks.posts(2), ["first notification: a firing", "all alerts resolved: a resolved"]);
});

test("maxAlerts of a step shortens its bodies", async (t) => {
  const hooks = await WebhookWorld.start(t, { maxAlerts: 1 });
  await hooks.fireBoth();
  assert.deepEqual(await hooks.posts(1), ["first notification: a firing"]);
  assert.equal(hooks.recorder.posts[0]?.body.truncatedAlerts, 1);
});

test("without sendResolved, of the policy or of the step, webhooks have firing alerts only", async (t) => {
  for (const [step, policy] of [
    [{}, { sendResolved: false }],
    [{ sendResolved: false }, {}],
  ]) {
    const hooks = await WebhookWorld.start(t, step, policy);
    await hooks.fireBoth();
    await hooks.posts(1);
    await hooks.end("a");
    await hooks.world.pass(5 * MINUTE);
    await hooks.fire("c");
    await hooks.world.pass(5 * MINUTE);
    for (const alert of ["b", "c"]) await hooks.end(alert);
    await hooks.world.pass(5 * MINUTE);
    assert.deepEqual(await hooks.posts(2), [
      "first notification: a firing, b firing",
      "new alerts added: b firing, c firing",
    ]);
  }
});

test("an alert that joined during a snooze is in the post at its end, also when the others have ended", async (t) => {
  for (const endsFirst of [false, true]) {
    const hooks = await WebhookWorld.start(t);
    const ann = await hooks.world.member("ann");
    await hooks.fire("a");
    await hooks.posts(1);
    const until = hooks.world.clock.now() + 60 * MINUTE;
    await hooks.world.incidents.snooze((await hooks.world.only()).id, until, { id: ann.id, via: "api" });
    await hooks.fire("b");
    await hooks.world.pass(10 * MINUTE);
    if (endsFirst) await hooks.end("a");
    await hooks.world.pass(50 * MINUTE);
    const expected = endsFirst
      ? ["all alerts resolved: a resolved", "first notification: b firing"]
      : ["first notification: a firing, b firing"];
    assert.deepEqual((await hooks.posts(1 + expected.length)).slice(1), expected);
  }
});
