import assert from "node:assert/strict";
import { test } from "node:test";
import { answered } from "../../../helpers/prism.ts";
import { ChangeWorld, MINUTE } from "./support.ts";

/* A severity under one key, by every way in that has keys: open, acknowledged and snoozed, up and down. */

type Level = "warning" | "critical";

/** Makes what reports are sent to. @returns how one alert is reported by one key, with a severity */
type Door = (world: ChangeWorld) => Promise<(level: Level) => Promise<unknown>>;

async function receiverOf({ world: { prism } }: ChangeWorld, preset: string): Promise<(body: object) => Promise<void>> {
  const { body: made } = await answered(
    201,
    prism.post<{ url: string }>("/api/v1/receivers", { name: preset, preset }),
  );
  const url = `${prism.url}${new URL(made.url).pathname}`;
  return async (body) => {
    const headers = { "Content-Type": "application/json" };
    const reply = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    assert.ok(reply.ok, await reply.text());
  };
}

async function integrationOf({ world: { prism } }: ChangeWorld, kind: string): Promise<string> {
  const made = await answered(
    201,
    prism.post<{ key: string }>("/api/v1/integrations", { kind, name: kind, labels: {} }),
  );
  return made.body.key;
}

let count = 0;

const DOORS: Readonly<Record<string, Door>> = {
  native: async (world) => (level) => world.report(level),
  "receiver generic": async (world) => {
    const send = await receiverOf(world, "generic");
    return (level) => send({ title: "Disk", key: "disk", status: "firing", severity: level });
  },
  "receiver datadog": async (world) => {
    const send = await receiverOf(world, "datadog");
    return (level) => {
      count += 1;
      const [transition, type] = level === "warning" ? ["Warn", "warning"] : ["Triggered", "critical"];
      return send({ id: String(count), title: "Disk", transition, cycle: "1", alert_type: type });
    };
  },
  pagerduty: async (world) => {
    const key = await integrationOf(world, "pagerduty");
    return (severity) =>
      answered(
        202,
        world.world.prism.post(
          "/v2/enqueue",
          {
            ...{ routing_key: key, event_action: "trigger", dedup_key: "disk" },
            payload: { summary: `disk ${severity}`, source: "db-1", severity },
          },
          { token: null },
        ),
      );
  },
  opsgenie: async (world) => {
    const key = await integrationOf(world, "opsgenie");
    const options = { token: null, headers: { Authorization: `GenieKey ${key}` } };
    const { prism } = world.world;
    let isThere = false;
    return (level) => {
      const priority = level === "warning" ? "P3" : "P1";
      if (isThere)
        return answered(
          202,
          prism.request("PUT", "/v2/alerts/disk/priority?identifierType=alias", { priority }, options),
        );
      isThere = true;
      return answered(202, prism.request("POST", "/v2/alerts", { message: "Disk", alias: "disk", priority }, options));
    };
  },
  rule: async (world) => {
    const { prism } = world.world;
    const alert = {
      key: "{{ event.payload.host }}",
      labels: { alertname: "Disk" },
      severity: "{{ event.payload.level }}",
    };
    const rule = { name: "Disk", condition: "event.type == 'disk'", alert, projectId: "default" };
    await answered(201, prism.post("/api/v1/rules", rule));
    return (level) => answered(202, prism.post("/api/v1/events", { type: "disk", payload: { host: "db-1", level } }));
  },
  heartbeat: async (world) => {
    const { prism } = world.world;
    const { body: made } = await answered(
      201,
      prism.post<{ id: string; pingUrl: string }>("/api/v1/heartbeats", { name: "backup", severity: "warning" }),
    );
    const path = new URL(made.pingUrl).pathname;
    let isDown = false;
    return async (severity) => {
      await answered(200, prism.patch(`/api/v1/heartbeats/${made.id}`, { severity }));
      if (!isDown) await answered(200, prism.post(`${path}/fail`, undefined, { token: null }));
      isDown = true;
    };
  },
};

const STATES = ["open", "acknowledged", "snoozed"] as const;

for (const [name, door] of Object.entries(DOORS))
  for (const state of STATES) {
    test(`${name}, ${state}: a severity that rises is told to those who were told before`, async (t) => {
      const world = await ChangeWorld.start(t);
      const report = await door(world);
      await report("warning");
      await world.settle();
      await world.pass(MINUTE);
      const before = await world.notices();
      assert.match(before.join(), /^ann: Warning: [^,]*$/);
      if (state === "acknowledged") await world.act("acknowledge");
      if (state === "snoozed") await world.act("snooze", { durationMs: 120 * MINUTE });
      await world.settle();
      const posts = [world.room.posts.length, world.posts("/prism").length, world.posts("/am").length];
      await report("critical");
      await world.settle();
      await world.pass(30_000);

      const told = (await world.notices()).slice(before.length);
      assert.equal(told.length, 1, JSON.stringify([told, await world.log(await world.world.only())]));
      assert.match(told.join(), /^ann: Critical \(was warning\): /);
      const row = await world.world.only();
      assert.deepEqual([row.state, row.snoozedUntil, row.severity], ["open", null, "critical"]);
      assert.ok(world.room.posts.length > (posts[0] ?? 0));
      assert.match(JSON.stringify(world.room.posts.at(-1)), /was warning/);
      assert.equal(world.posts("/prism").length, (posts[1] ?? 0) + 1);
      const { incident, reason } = world.posts("/prism").at(-1) ?? {};
      assert.deepEqual([reason, incident?.["severityBefore"]], ["severity-raised", "warning"]);
      assert.equal(world.posts("/am").length, (posts[2] ?? 0) + 1);
      const log = await world.log(row);
      const raised = log.filter(({ kind }) => kind === "severity-raised").map(({ data }) => data);
      assert.deepEqual(raised, [{ from: "warning", to: "critical", alerts: 1 }]);
      assert.ok(!log.some(({ kind }) => kind === "alerts-resolved"));
      // The steps started again.
      await world.pass(10 * MINUTE);
      assert.match((await world.notices()).at(-1) ?? "", /^ben: Critical: /);
    });

    test(`${name}, ${state}: a severity that falls is a row of the timeline only`, async (t) => {
      const world = await ChangeWorld.start(t);
      const report = await door(world);
      await report("critical");
      await world.settle();
      await world.pass(MINUTE);
      if (state === "acknowledged") await world.act("acknowledge");
      if (state === "snoozed") await world.act("snooze", { durationMs: 120 * MINUTE });
      await world.settle();
      const before = [(await world.notices()).length, world.room.posts.length, world.posts("/prism").length];
      await report("warning");
      await world.settle();
      await world.pass(6 * MINUTE);
      // The same height again is no news.
      await report("critical");
      await world.settle();
      await world.pass(2 * MINUTE);
      assert.deepEqual([(await world.notices()).length, world.room.posts.length, world.posts("/prism").length], before);
      const kinds = (await world.log(await world.world.only())).map(({ kind }) => kind);
      assert.deepEqual(
        kinds.filter((kind) => /^severity|^alerts-/.test(kind)),
        ["severity-fell", "severity-raised"],
      );
    });
  }
