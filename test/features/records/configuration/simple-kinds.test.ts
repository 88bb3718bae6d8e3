import assert from "node:assert/strict";
import test from "node:test";
import * as v from "valibot";
import { OPERATOR } from "../../../../src/core/caller.ts";
import type { ErrorDetail } from "../../../../src/core/errors.ts";
import { uuidv7 } from "../../../../src/core/ids.ts";
import { Bucket } from "../../../../src/features/buckets/schema.ts";
import { Webhook } from "../../../../src/features/delivery/webhooks/webhook.ts";
import { Heartbeat } from "../../../../src/features/heartbeats/heartbeat.ts";
import { Receiver } from "../../../../src/features/intake/receivers/receiver.ts";
import { Integration } from "../../../../src/features/protocols/integrations/integration.ts";
import { ScheduleTable } from "../../../../src/features/time/schedules/schedule.ts";
import { fromFile, type Names, toFile } from "../../../../src/http/api/file-form.ts";
import { object } from "../../../../src/http/api/shapes.ts";
import type { ConfigKind, ObjectOwner, Spec, StoredObject } from "../../../../src/module/config-kind.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";

const UUID = "0b7f1d9e-6a52-4c38-9d1f-2e8a7b5c4d30";

/** Calls the kinds as an apply does, one object in each transaction. */
class Kinds {
  readonly #all: ReadonlyMap<string, ConfigKind>;
  readonly #prism: TestPrism;
  readonly projectId: string;
  readonly ids = new Map<string, string>();

  constructor(prism: TestPrism, all: readonly ConfigKind[]) {
    this.#prism = prism;
    this.#all = new Map(all.map((kind) => [kind.kind, kind]));
    this.projectId = prism.parts.features.context.defaultProjectId;
  }

  static async of(prism: TestPrism): Promise<Kinds> {
    return new Kinds(prism, await prism.parts.features.context.configKinds({}));
  }

  named(name: string): ConfigKind {
    const kind = this.#all.get(name);
    assert.ok(kind, name);
    return kind;
  }

  get #db() {
    return this.#prism.parts.features.context.db;
  }

  get #names(): Names {
    return {
      idOf: (_kind, { name }) => this.ids.get(name),
      nameOf: (_kind, id) => {
        const found = [...this.ids].find(([, each]) => each === id);
        return found && { name: found[0] };
      },
    };
  }

  #owner(kind: ConfigKind): ObjectOwner {
    return { caller: OPERATOR, projectId: kind.scope === "project" ? this.projectId : null };
  }

  /** The complete spec of an object of a file. */
  spec(kind: ConfigKind, file: Spec): Spec {
    const problems: ErrorDetail[] = [];
    const schema = object(kind.entries());
    const given = fromFile(schema, file, this.#names, problems);
    assert.deepEqual(problems, []);
    const spec = { ...kind.defaults, ...(v.parse(schema, given) as Spec) };
    return kind.canonical?.(spec) ?? spec;
  }

  file(kind: ConfigKind, { spec }: StoredObject): Spec {
    return toFile(object(kind.entries()), spec, this.#names) as Spec;
  }

  list(kind: ConfigKind): Promise<readonly StoredObject[]> {
    return kind.list(this.#db.read, this.#owner(kind).projectId);
  }

  async one(kind: ConfigKind, id: string): Promise<StoredObject> {
    const found = (await this.list(kind)).find((each) => each.id === id);
    assert.ok(found, `${kind.kind} ${id}`);
    return found;
  }

  async create(kind: ConfigKind, file: Spec) {
    const owner = this.#owner(kind);
    const spec = this.spec(kind, file);
    const id = kind.idOf?.(owner.projectId, spec) ?? uuidv7();
    const prepared = await kind.prepare?.(owner, spec, null, id);
    const issued = await this.#db.write((trx) => kind.create(trx, owner, id, spec, prepared));
    return { id, issued };
  }

  async update(kind: ConfigKind, stored: StoredObject, file: Spec): Promise<void> {
    const owner = this.#owner(kind);
    const spec = this.spec(kind, file);
    const prepared = await kind.prepare?.(owner, spec, stored, stored.id);
    await this.#db.write((trx) => kind.update(trx, owner, stored, spec, prepared));
  }

  async remove(kind: ConfigKind, stored: StoredObject): Promise<void> {
    assert.ok(kind.remove);
    await this.#db.write(async (trx) => kind.remove?.(trx, this.#owner(kind), stored));
  }
}

interface Case {
  readonly kind: string;
  readonly file: Spec;
  readonly changed: Spec;
  /** What they are given besides, which no list shows. */
  readonly secrets?: Spec;
  /** Audited actions in order; `null`: it is never removed. */
  readonly audited: readonly (string | null)[];
  readonly issued?: readonly string[];
  readonly rights: readonly [read: string, write: string];
}

const NIGHTLY = { name: "Nightly", schedule: "30 2 * * *", timezone: "Europe/Berlin" };
const GRAFANA = { name: "Grafana", preset: "generic", labels: { team: "db" } };
const CASES: readonly Case[] = [
  {
    kind: "heartbeats",
    file: { ...NIGHTLY, grace: "1h", tags: ["backup"] },
    secrets: { ping: UUID },
    changed: { ...NIGHTLY, schedule: "Mon..Fri 02:00", grace: "2h", slug: "night", labels: { team: "db" } },
    audited: ["heartbeat.create", "heartbeat.update", "heartbeat.delete"],
    rights: ["events:read", "heartbeats:write"],
  },
  {
    kind: "receivers",
    file: GRAFANA,
    secrets: { token: "grafana2grafana3grafana4grafana5", secret: "hunter2hunter2" },
    changed: { ...GRAFANA, active: false, notify: "none", mapping: { level: "= body.severity" } },
    audited: ["receiver.create", "receiver.update", "receiver.delete"],
    issued: ["url"],
    rights: ["events:read", "receivers:write"],
  },
  {
    kind: "integrations",
    file: { name: "Cluster", kind: "pagerduty" },
    secrets: { key: "0123456789abcdef0123456789abcdef" },
    changed: { name: "Cluster", kind: "pagerduty", labels: { team: "platform" } },
    audited: ["integration.create", "integration.update", "integration.delete"],
    issued: ["key"],
    rights: ["events:read", "policies:write"],
  },
  {
    kind: "webhooks",
    file: { url: "https://127.0.0.1:8443/hook" },
    changed: { url: "https://127.0.0.1:8443/hook", eventTypes: ["order.*"], active: false },
    audited: ["webhook.create", "webhook.update", "webhook.delete"],
    issued: ["secret"],
    rights: ["project:manage", "project:manage"],
  },
  {
    kind: "buckets",
    file: { name: "Refunds EUR", threshold: "500" },
    secrets: { currentBalance: "1250.75" },
    changed: { name: "Returns EUR", threshold: "750", renotify: "2h" },
    audited: ["bucket.balance", "bucket.threshold", "bucket.balance"],
    rights: ["buckets:read", "buckets:write"],
  },
  {
    kind: "jobs",
    file: {
      ...{ name: "stand-up", cron: "0 9 * * 1-5", queue: "timers", kind: "timer" },
      payload: { action: { type: "notify", payload: { userId: "ada", title: "Stand-up", message: "Soon" } } },
    },
    changed: {
      ...{ name: "stand-up", every: "4h", queue: "timers", kind: "timer", missed: "skip", active: false },
      payload: { action: { type: "event", event: "standup.soon", payload: { room: 4 } } },
    },
    audited: ["schedule.create", "schedule.update", "schedule.delete"],
    rights: ["jobs:read", "jobs:manage"],
  },
  {
    kind: "ntfyTopics",
    file: { name: "deployments", kind: "events", patterns: ["deploy.*"] },
    changed: { name: "deployments", kind: "events" },
    audited: ["ntfy_topic.create", "ntfy_topic.update", "ntfy_topic.delete"],
    rights: ["events:read", "events:write"],
  },
  {
    kind: "ntfyAccess",
    file: { everyone: { "alerts-*": "read" }, users: { ada: { "backup-*": "read-write", constructor: "read" } } },
    changed: { users: { ada: { "backup-*": "read" } } },
    // Each right is one; the second takes two away and changes one.
    audited: [...Array.from({ length: 7 }, () => "ntfy_access.set")],
    rights: ["project:manage", "project:manage"],
  },
  {
    kind: "statusPage",
    file: {
      ...{ enabled: true, title: "Shop" },
      groups: [
        { name: "Shop", components: [{ name: "Import", sources: [{ heartbeats: ["Feed"], effect: "outage" }] }] },
      ],
    },
    changed: { enabled: false, title: "Shop", historyDays: 30 },
    audited: ["status_page.update", "status_page.update", null],
    rights: ["events:read", "policies:write"],
  },
];

const actionsSince = async (prism: TestPrism, seq: number) => {
  const rows = prism.parts.features.context.db.read.selectFrom("audit_log").select(["seq", "action"]);
  return rows.where("seq", ">", seq).orderBy("seq").execute();
};

test("objects of configuration files are stored, listed, changed and removed as by their routes", async (t) => {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  await makeUser(prism, "ada");
  const kinds = await Kinds.of(prism);
  kinds.ids.set("Feed", (await kinds.create(kinds.named("heartbeats"), { name: "Feed" })).id);
  for (const { kind: name, file, changed, secrets = {}, audited, issued, rights } of CASES)
    await t.test(name, async () => {
      const kind = kinds.named(name);
      assert.deepEqual([kind.rights.read, kind.rights.write], rights);
      const before = (await actionsSince(prism, 0)).at(-1)?.seq ?? 0;
      const { id, issued: given } = await kinds.create(kind, { ...file, ...secrets });
      assert.deepEqual(Object.keys(given ?? {}), secrets && Object.keys(secrets).length > 0 ? [] : (issued ?? []));
      const stored = await kinds.one(kind, id);
      const wanted = kinds.spec(kind, file);
      assert.deepEqual(stored.spec, wanted);
      assert.deepEqual(kinds.spec(kind, kinds.file(kind, stored)), wanted, "the same after a round trip");
      for (const [member, value] of Object.entries(secrets)) {
        assert.ok(!JSON.stringify(stored.spec).includes(String(value)), member);
        assert.ok(kind.secrets?.includes(member) || kind.atCreation?.includes(member), member);
      }
      await kinds.update(kind, stored, changed);
      const next = await kinds.one(kind, id);
      assert.deepEqual(next.spec, kinds.spec(kind, changed));
      assert.notEqual(next.version, stored.version);
      if (audited.at(-1) === null) assert.equal(kind.remove, undefined);
      else {
        await kinds.remove(kind, next);
        assert.ok(!(await kinds.list(kind)).some((each) => each.id === id));
      }
      const actions = (await actionsSince(prism, before)).map(({ action }) => action);
      assert.deepEqual(
        actions,
        audited.filter((action) => action !== null),
      );
    });
});

test("a new member of a resource is in files without a line", async (t) => {
  const kinds = await Kinds.of(await startPrism(t));
  const resources = [
    ["heartbeats", Heartbeat, [], ["ping"]],
    ["receivers", Receiver, [], ["forwardUrl", "secret", "token"]],
    ["integrations", Integration, [], ["forwardUrl", "key"]],
    ["webhooks", Webhook, [], []],
    ["buckets", Bucket, ["currency"], []],
    ["jobs", ScheduleTable, [], []],
  ] as const;
  for (const [name, { forCreate }, without, more] of resources) {
    const members = Object.keys(forCreate).filter((each) => !without.some((other) => other === each));
    assert.deepEqual(Object.keys(kinds.named(name).entries()).sort(), [...members, ...more].sort(), name);
  }
});

test("given ping URLs, tokens and keys work, and are refused if another has them", async (t) => {
  const prism = await startPrism(t);
  const kinds = await Kinds.of(prism);
  const given = [
    ["heartbeats", { name: "A", ping: UUID.replaceAll("-", "") }, { ping: UUID }],
    ["receivers", { name: "A", preset: "generic", token: "grafana2grafana3grafana4grafana5" }, {}],
    ["integrations", { name: "A", kind: "pagerduty", key: "0123456789abcdef0123456789abcdef" }, {}],
  ] as const;
  for (const [name, file, other] of given) {
    await kinds.create(kinds.named(name), file);
    await assert.rejects(kinds.create(kinds.named(name), { ...file, ...other, name: "B" }), { code: "NAME_TAKEN" });
  }
  assert.equal((await prism.get(`/ping/${UUID}`)).status, 200);
  assert.equal((await prism.post("/in/grafana2grafana3grafana4grafana5", { title: "Full" })).status, 200);
  const event = {
    routing_key: given[2][1].key,
    event_action: "trigger",
    payload: { summary: "a", severity: "error", source: "b" },
  };
  assert.equal((await prism.post("/v2/enqueue", event)).status, 202);
});

test("without a given secret the answer has the new URL, key or secret once", async (t) => {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const kinds = await Kinds.of(prism);
  for (const { kind: name, file, issued } of CASES.filter((each) => each.issued)) {
    const kind = kinds.named(name);
    const { issued: given } = await kinds.create(kind, file);
    assert.deepEqual(Object.keys(given ?? {}), issued);
    assert.ok(kind.issues !== undefined);
    assert.ok(!JSON.stringify(await kinds.list(kind)).includes(String(Object.values(given ?? {})[0])));
  }
});

test("what runs is not in files: pause, pings, balance, disabled webhooks", async (t) => {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const kinds = await Kinds.of(prism);
  const made = async (name: string, file: Spec) => {
    const kind = kinds.named(name);
    const { id } = await kinds.create(kind, file);
    return { kind, id, spec: (await kinds.one(kind, id)).spec };
  };
  const heartbeat = await made("heartbeats", { name: "A", ping: UUID });
  const bucket = await made("buckets", { name: "Refunds EUR", threshold: "5" });
  const webhook = await made("webhooks", { url: "https://127.0.0.1:8443/hook" });
  await prism.get(`/ping/${UUID}`);
  await prism.post(`/api/v1/heartbeats/${heartbeat.id}/pause`);
  await prism.put(`/api/v1/transfer-buckets/${bucket.id}/balance`, { currentBalance: "7" });
  const disabled = { active: 0, disabledAt: 1 } as const;
  await prism.parts.features.context.db.write((trx) =>
    trx.updateTable("webhooks").set(disabled).where("id", "=", webhook.id).execute(),
  );
  for (const { kind, id, spec } of [heartbeat, bucket, webhook])
    assert.deepEqual((await kinds.one(kind, id)).spec, spec, kind.kind);
  await kinds.update(heartbeat.kind, await kinds.one(heartbeat.kind, heartbeat.id), { name: "A", grace: "2h" });
  await kinds.update(bucket.kind, await kinds.one(bucket.kind, bucket.id), { name: "Refunds EUR", threshold: "6" });
  const { body: beat } = await prism.get(`/api/v1/heartbeats/${heartbeat.id}`);
  assert.deepEqual([beat["status"], beat["pingCount"], beat["graceMs"]], ["paused", 1, 7_200_000]);
  const { body: money } = await prism.get(`/api/v1/transfer-buckets/${bucket.id}`);
  assert.deepEqual([money["currentBalance"], money["threshold"]], ["7", "6"]);
});

test("heartbeats follow their names and schedules as in requests", async (t) => {
  const kinds = await Kinds.of(await startPrism(t));
  const kind = kinds.named("heartbeats");
  const rows = [
    { file: { name: "Night Job" }, has: { slug: "night-job", kind: "simple", timeoutMs: 86_400_000 } },
    { file: { name: "Cron", schedule: "0 3 * * *" }, has: { slug: "cron", kind: "cron" } },
    { file: { name: "Unit", schedule: "Mon 03:00", slug: "" }, has: { slug: "", kind: "oncalendar" } },
    { file: { name: "Fed", fedBy: 'a="b"' }, has: { timeoutMs: 300_000, graceMs: 60_000 } },
  ];
  for (const { file, has } of rows) {
    const { id } = await kinds.create(kind, file);
    const { spec } = await kinds.one(kind, id);
    assert.deepEqual(spec, { ...spec, ...has });
    assert.deepEqual(spec, kinds.spec(kind, file));
  }
  const unreadable = kinds.create(kind, { name: "Bad", schedule: "never ever" });
  await assert.rejects(unreadable, { code: "INVALID_CRON" });
});

test("components of a status page keep their ids by group and name", async (t) => {
  const prism = await startPrism(t);
  const kinds = await Kinds.of(prism);
  const kind = kinds.named("statusPage");
  const page = (...names: string[]) => ({
    ...{ enabled: true, title: "Shop" },
    groups: [{ name: "Shop", components: names.map((name) => ({ name })) }],
  });
  const idsByName = async () => {
    const { body } = await prism.get<{ groups: { components: { id: string; name: string }[] }[] }>(
      "/api/v1/status-page",
    );
    return new Map(body.groups.flatMap(({ components }) => components.map(({ id, name }) => [name, id] as const)));
  };
  const { id } = await kinds.create(kind, page("Web", "Import"));
  const before = await idsByName();
  await kinds.update(kind, await kinds.one(kind, id), page("Import", "Search", "Web"));
  const after = await idsByName();
  assert.deepEqual([after.get("Web"), after.get("Import")], [before.get("Web"), before.get("Import")]);
  assert.equal(after.size, 3);
});

test("jobs of Prism, its modules and people's recurring timers are not in files", async (t) => {
  const prism = await startPrism(t);
  const kinds = await Kinds.of(prism);
  const action = { type: "event", event: "a.b" };
  const timer = await prism.post("/api/v1/time/trigger", { cron: "0 9 * * *", label: "mine", action });
  assert.equal(timer.status, 201, timer.text);
  await kinds.create(kinds.named("jobs"), {
    name: "own",
    every: "1h",
    queue: "timers",
    kind: "timer",
    payload: { action },
  });
  await kinds.create(kinds.named("buckets"), { name: "Refunds EUR", threshold: "5" });
  const { body } = await prism.get<{ data: { name: string }[] }>("/api/v1/schedules");
  assert.ok(body.data.length > 2, JSON.stringify(body.data));
  assert.deepEqual(
    (await kinds.list(kinds.named("jobs"))).map(({ name }) => name),
    ["own"],
  );
});

test("what cannot change, and what a caller lacks, is refused", async (t) => {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const kinds = await Kinds.of(prism);
  const fixed = [
    ["integrations", { name: "A", kind: "pagerduty" }, { name: "A", kind: "opsgenie" }],
    ["ntfyTopics", { name: "a", kind: "events" }, { name: "a", kind: "messages" }],
    ["buckets", { name: "A EUR", threshold: "1" }, { name: "A USD", threshold: "1" }],
  ] as const;
  for (const [name, file, changed] of fixed) {
    const kind = kinds.named(name);
    const { id } = await kinds.create(kind, file);
    await assert.rejects(kinds.update(kind, await kinds.one(kind, id), changed), { code: "VALIDATION_FAILED" }, name);
  }
  const { db } = prism.parts.features.context;
  const caller = { ...OPERATOR, permissions: new Set<never>() };
  for (const [name, file] of [
    ["webhooks", { url: "https://127.0.0.1:8443/hook" }],
    ["buckets", { name: "B EUR", threshold: "1" }],
  ] as const) {
    const kind = kinds.named(name);
    const owner = { caller, projectId: kind.scope === "project" ? kinds.projectId : null };
    const create = db.write((trx) => kind.create(trx, owner, uuidv7(), kinds.spec(kind, file), undefined));
    await assert.rejects(create, { code: "UNAUTHORIZED_ROLE" }, name);
  }
  const access = kinds.named("ntfyAccess");
  await assert.rejects(kinds.create(access, { users: { nobody: { a: "read" } } }), { code: "USER_NOT_FOUND" });
  assert.throws(() => kinds.spec(access, { users: { everyone: { a: "read" } } }), /everyone/);
});
