import assert from "node:assert/strict";
import test from "node:test";
import * as v from "valibot";
import { type PermissionHolder, runAs, SYSTEM } from "../../../src/core/caller.ts";
import { uuidv7 } from "../../../src/core/ids.ts";
import { plannedAccess } from "../../../src/features/access/index.ts";
import { fromFile, type Names, toFile } from "../../../src/http/api/file-form.ts";
import { object } from "../../../src/http/api/shapes.ts";
import { type ConfigKind, NOTHING_PLANNED, type Planned, type Spec } from "../../../src/module/config-kind.ts";
import type { Trx } from "../../../src/store/database.ts";
import type { ProjectRole } from "../../../src/store/schema.ts";
import { makeUser } from "../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import type { Scope } from "../../helpers/scope.ts";
import { rowsOf } from "../../helpers/tables.ts";

const NO_NAMES: Names = { idOf: () => undefined, nameOf: () => undefined };
const HOSTS = { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } };

/** As a plan makes a spec of an object in a file. */
function specOf(kind: ConfigKind, file: unknown): Spec {
  const problems: never[] = [];
  const schema = object(kind.entries());
  const given = v.parse(schema, fromFile(schema, file, NO_NAMES, problems));
  assert.deepEqual(problems, []);
  return { ...kind.defaults, ...given };
}

/** The kinds of a server, as one caller applies them. */
class Applying {
  readonly prism: TestPrism;
  readonly caller: PermissionHolder;
  readonly #planned: Planned;

  constructor(prism: TestPrism, caller: PermissionHolder, planned = NOTHING_PLANNED) {
    this.prism = prism;
    this.caller = caller;
    this.#planned = planned;
  }

  async kind(name: string): Promise<ConfigKind> {
    const { context } = this.prism.parts.features;
    const kinds = await context.configKinds(plannedAccess(context, this.#planned));
    const [kind, ...others] = kinds.filter((each) => each.kind === name);
    assert.ok(kind && others.length === 0, name);
    return kind;
  }

  async list(name: string, projectId: string | null = null) {
    return (await this.kind(name)).list(this.prism.parts.features.context.db.read, projectId);
  }

  /** What stores an object in a transaction; hosts are resolved before. */
  async storing(name: string, file: unknown, projectId: string | null = null, id = uuidv7()) {
    const kind = await this.kind(name);
    const owner = { caller: this.caller, projectId };
    const spec = specOf(kind, file);
    const isKnown = (each: { name: string }) => kind.isSingle || each.name === spec[kind.key ?? "name"];
    const stored = projectId === "new" ? undefined : (await this.list(name, projectId)).find(isKnown);
    const prepared = await kind.prepare?.(owner, spec, stored ?? null, id);
    return async (trx: Trx) => {
      if (stored) await kind.update(trx, owner, stored, spec, prepared);
      else await kind.create(trx, owner, id, spec, prepared);
    };
  }

  write<T>(work: (trx: Trx) => Promise<T>): Promise<T> {
    return runAs({ ...SYSTEM, principal: this.caller }, () => this.prism.parts.features.context.db.write(work));
  }

  async apply(name: string, file: unknown, projectId: string | null = null): Promise<void> {
    await this.write(await this.storing(name, file, projectId));
  }

  async remove(name: string, object: string, projectId: string | null = null): Promise<void> {
    const kind = await this.kind(name);
    const stored = (await kind.list(this.prism.parts.features.context.db.read, projectId)).find(
      (s) => s.name === object,
    );
    assert.ok(stored);
    await this.write(async (trx) => kind.remove?.(trx, { caller: this.caller, projectId }, stored));
  }

  /** The object as files have it, which read again is what is stored. */
  async filed(name: string, object_: string, projectId: string | null = null): Promise<Record<string, unknown>> {
    const kind = await this.kind(name);
    const stored = (await kind.list(this.prism.parts.features.context.db.read, projectId)).find(
      (s) => s.name === object_,
    );
    assert.ok(stored, object_);
    const file = toFile(object(kind.entries()), stored.spec, NO_NAMES) as Record<string, unknown>;
    assert.deepEqual(specOf(kind, file), { ...kind.defaults, ...stored.spec });
    return file;
  }
}

async function open(t: Scope) {
  const prism = await startPrism(t, HOSTS);
  const { context } = prism.parts.features;
  const as = async (username: string, roles: readonly string[], planned?: Planned) => {
    const { id } = await makeUser(prism, username, roles);
    return new Applying(prism, context.principals.ofUser(id), planned);
  };
  return { prism, context, as, admin: await as("ada", ["Admin"]) };
}

const WAYS = { high: [{ after: "0s", channels: ["email"] }], low: [] };

test("one transaction makes a role, a person with it, a project, its members and a channel, or nothing", async (t) => {
  const { prism, as, admin } = await open(t);
  const held = ["roles:manage", "users:read", "users:manage", "projects:create", "incidents:act", "oncall:write"];
  await admin.apply("roles", { name: "Platform", permissions: held });
  const { caller } = await as("pia", ["Platform"]);
  const [roleId, cy, duty, room] = [uuidv7(), uuidv7(), uuidv7(), uuidv7()];
  const planned: Planned = {
    projects: new Map([["duty", duty]]),
    people: new Map([["cy", cy]]),
    members: new Map([
      [
        duty,
        new Map([
          [caller.userId ?? "", "owner"],
          [cy, "editor"],
        ]),
      ],
    ]),
  };
  const applying = new Applying(prism, caller, planned);
  const lead = { name: "Duty lead", permissions: ["incidents:act", "oncall:write"] };
  const person = { username: "cy", email: "Cy@Example.com", roles: ["Duty lead"], invite: true, contactRules: WAYS };
  const fields = { url: "https://127.0.0.1:8443/", topic: "duty", token: "tk_secretofduty" };
  const storing = [
    await applying.storing("roles", lead, null, roleId),
    await applying.storing("people", person, null, cy),
    await applying.storing("projects", { slug: "duty", name: "Duty", settings: { retentionDays: 90 } }, null, duty),
    await applying.storing("members", { members: { pia: "owner", cy: "editor" } }, duty),
    await applying.storing("channels", { name: "Room", preset: "ntfy", fields }, duty, room),
  ];
  const all = async (trx: Trx) => {
    for (const store of storing) await store(trx);
  };
  const counts = () => rowsOf(prism, "select (select count(*) from users) + (select count(*) from projects) as n");
  const before = counts();
  const undone = new Error("undone");
  const rolledBack = applying.write(async (trx) => {
    await all(trx);
    throw undone;
  });
  await assert.rejects(rolledBack, undone);
  assert.deepEqual(counts(), before);

  await applying.write(all);
  assert.deepEqual(await admin.filed("roles", "Duty lead"), { ...lead, description: "" });
  const { email, roles } = await admin.filed("people", "cy");
  assert.deepEqual([email, roles], ["cy@example.com", ["Duty lead"]]);
  assert.deepEqual(rowsOf(prism, `select status from users where id = '${cy}'`), [{ status: "pending" }]);
  assert.deepEqual(rowsOf(prism, `select urgency, afterMs from contact_rules where userId = '${cy}'`), [
    { urgency: "high", afterMs: 0 },
  ]);
  assert.deepEqual(await admin.filed("members", "members", duty), { members: { cy: "editor", pia: "owner" } });
  const [channel] = await admin.list("channels", duty);
  assert.equal(channel?.id, room);
  assert.deepEqual(channel?.spec["fields"], { url: fields.url });
  assert.deepEqual(channel?.secrets, { "fields.topic": "duty", "fields.token": fields.token });
  const actions = rowsOf<{ action: string }>(prism, "select action from audit_log order by seq").map(
    (row) => row.action,
  );
  const made = ["role.create", "user.register", "user.contact_rules", "project.create", "member.add", "channel.create"];
  assert.deepEqual(actions.slice(-made.length), made);
  assert.equal(rowsOf(prism, `select id from api_keys where projectId = '${duty}'`).length, 0);
});

test("checks see the projects, people and members of the same apply", async (t) => {
  const { prism, context, as, admin } = await open(t);
  const [cy, dee, duty, bare] = [uuidv7(), uuidv7(), uuidv7(), uuidv7()];
  const old = await makeUser(prism, "old");
  await admin.apply("people", { username: "fay", invite: true });
  const [fay] = (await admin.list("people")).filter(({ name }) => name === "fay");
  const { body: shop } = await prism.post<{ id: string }>("/api/v1/projects", { name: "shop" });
  const planned: Planned = {
    projects: new Map([
      ["duty", duty],
      ["bare", bare],
    ]),
    people: new Map([
      ["cy", cy],
      ["dee", dee],
      ["fay", fay?.id ?? ""],
    ]),
    members: new Map<string, ReadonlyMap<string, ProjectRole>>([
      [shop.id, new Map([[cy, "editor"]])],
      [duty, new Map([[cy, "owner"]])],
    ]),
  };
  const { projects, users } = plannedAccess(context, planned);
  const stored = context.principals.ofUser(old.id);
  assert.deepEqual([projects.find("duty"), projects.exists(duty), projects.find("shop")], [duty, true, shop.id]);
  assert.equal(projects.require(stored, "duty", "policies:write"), duty);
  assert.throws(() => projects.require(stored, "shop", "project:read"), { code: "PROJECT_NOT_FOUND" });
  assert.throws(() => context.projects.require(stored, "duty", "project:read"), { code: "PROJECT_NOT_FOUND" });
  assert.deepEqual(users.existing(["cy", cy], shop.id, "to"), [cy]);
  assert.deepEqual(users.reachable([cy, dee, old.id], duty), [cy]);
  const reader = (await as("una", ["User"])).caller;
  const toReader = () => runAs({ ...SYSTEM, principal: reader }, () => users.existing(["cy"], shop.id, "to"));
  assert.throws(toReader, { code: "RECIPIENT_NOT_FOUND" });
  assert.deepEqual(users.absent([dee], duty), [{ id: dee, text: "dee, who is not a member of the project" }]);
  assert.throws(() => users.existing(["dee"], shop.id, "to"), { code: "RECIPIENT_NOT_FOUND" });
  // Before its members are named, a new project has its owner.
  const { caller } = admin;
  const reached = runAs({ ...SYSTEM, principal: caller }, () => users.reachable([caller.userId ?? "", cy], bare));
  assert.deepEqual(reached, [caller.userId]);
  assert.deepEqual([context.users.find("cy"), context.users.find("fay")], [undefined, undefined]);
  assert.deepEqual([users.find("cy"), users.find("FAY")], [cy, fay?.id]);
});

test("roles are changed and removed, and give no more than the caller has", async (t) => {
  const { as, admin } = await open(t);
  await admin.apply("roles", { name: "Watch", permissions: ["events:read", "audit:read"] });
  await admin.apply("roles", { name: "Watch", permissions: ["events:read"], description: "Reads" });
  assert.deepEqual(await admin.filed("roles", "Watch"), {
    ...{ name: "Watch", permissions: ["events:read"], description: "Reads" },
  });
  const viewer = await as("vi", ["Viewer"]);
  await assert.rejects(viewer.apply("roles", { name: "More", permissions: ["users:manage"] }), {
    code: "PRIVILEGE_ESCALATION",
  });
  await admin.remove("roles", "Watch");
  assert.deepEqual(await admin.list("roles"), []);
});

test("people keep what a file leaves out, and their own ways", async (t) => {
  const { prism, as, admin } = await open(t);
  await assert.rejects(admin.apply("people", { username: "ben" }), { code: "USER_NOT_FOUND" });
  await admin.apply("people", { username: "ben", email: "ben@example.com", phone: "+49 30 1234567", invite: true });
  const ben = await admin.filed("people", "ben");
  assert.deepEqual([ben["phone"], ben["roles"], ben["timezone"]], ["+49301234567", ["User"], null]);
  await admin.apply("people", { username: "ben", name: "Ben", roles: ["Viewer", "User"], contactRules: WAYS });
  assert.deepEqual(await admin.filed("people", "ben"), { ...ben, name: "Ben", roles: ["User", "Viewer"] });
  assert.deepEqual(rowsOf(prism, "select * from contact_rules"), []);
  await assert.rejects(admin.apply("people", { username: "ben", email: null }), { code: "VALIDATION_FAILED" });
  const operator = await as("otto", ["Operator"]);
  await assert.rejects(operator.apply("people", { username: "ada", email: "otto@example.com" }), {
    code: "PRIVILEGE_ESCALATION",
  });
  await assert.rejects(operator.apply("people", { username: "eve", invite: true, roles: ["Admin"] }), {
    code: "PRIVILEGE_ESCALATION",
  });
  assert.equal((await admin.kind("people")).remove, undefined);
});

test("projects take all their settings from the file; only projects:all sets a limit", async (t) => {
  const { as, admin } = await open(t);
  const owner = await as("olga", ["User"]);
  await owner.apply("projects", { slug: "shop", name: "Shop", settings: { retentionDays: 30, own: { a: 1 } } });
  await owner.apply("projects", { slug: "shop", name: "Shop 2", settings: { digest: { timezone: "Europe/Berlin" } } });
  const file = { slug: "shop", name: "Shop 2", settings: { digest: { timezone: "Europe/Berlin" } } };
  assert.deepEqual(await owner.filed("projects", "shop"), { ...file, storageBytes: null });
  await assert.rejects(owner.apply("projects", { ...file, storageBytes: 2_000_000 }), { code: "UNAUTHORIZED_ROLE" });
  await assert.rejects(owner.apply("projects", { slug: "big", name: "Big", storageBytes: 2_000_000 }), {
    code: "UNAUTHORIZED_ROLE",
  });
  await admin.apply("projects", { ...file, storageBytes: 2_000_000 });
  assert.equal((await owner.filed("projects", "shop"))["storageBytes"], 2_000_000);
  const other = await as("oscar", ["User"]);
  await assert.rejects(other.apply("projects", { ...file, name: "Mine" }), { code: "PROJECT_NOT_FOUND" });
  assert.equal((await owner.kind("projects")).remove, undefined);
});

test("members are those of the file; nobody gives himself more, or locks himself out", async (t) => {
  const { as, admin, prism } = await open(t);
  const owner = await as("olga", ["Operator"]);
  const editor = await as("ed", ["Operator"]);
  await makeUser(prism, "vi");
  await owner.apply("projects", { slug: "shop", name: "Shop" });
  const id = (await owner.list("projects")).find(({ name }) => name === "shop")?.id ?? "";
  const members = (caller: Applying, map: Record<string, string>) => caller.apply("members", { members: map }, id);
  await members(owner, { olga: "owner", ed: "editor", vi: "viewer" });
  assert.deepEqual(await owner.filed("members", "members", id), {
    members: { ed: "editor", olga: "owner", vi: "viewer" },
  });
  await assert.rejects(members(editor, { olga: "owner", ed: "owner" }), { code: "UNAUTHORIZED_ROLE" });
  await assert.rejects(members(owner, { ed: "owner" }), { code: "VALIDATION_FAILED" });
  await assert.rejects(members(owner, { olga: "owner", nobody: "viewer" }), { code: "USER_NOT_FOUND" });
  await assert.rejects(members(admin, { ed: "editor" }), { code: "LAST_ADMIN" });
  await members(admin, { ed: "owner", olga: "viewer" });
  assert.deepEqual(await owner.filed("members", "members", id), { members: { ed: "owner", olga: "viewer" } });
  assert.deepEqual(rowsOf(prism, `select ownerId from projects where id = '${id}'`), [
    { ownerId: editor.caller.userId },
  ]);
  const adding = await as("una", ["User"]);
  await members(admin, { ed: "owner", una: "owner" });
  await assert.rejects(members(adding, { ed: "owner", una: "owner", vi: "viewer" }), { code: "UNAUTHORIZED_ROLE" });
});

test("channels keep secrets that the file leaves out, and lose other fields", async (t) => {
  const { context, admin } = await open(t);
  const id = context.defaultProjectId;
  const secrets = { token: "a".repeat(30), user: "u".repeat(30) };
  const push = { name: "Push", preset: "pushover", fields: { ...secrets, device: "phone", sound: "siren" } };
  await admin.apply("channels", { ...push, eventTypes: ["a.*"], active: false }, id);
  const [made] = await admin.list("channels", id);
  assert.deepEqual(made?.spec["fields"], { device: "phone", sound: "siren" });
  await admin.apply("channels", { ...push, fields: { device: "tablet" } }, id);
  const [changed] = await admin.list("channels", id);
  assert.deepEqual([changed?.id, changed?.version], [made?.id, 2]);
  assert.deepEqual(changed?.secrets, { "fields.token": secrets.token, "fields.user": secrets.user });
  assert.deepEqual(await admin.filed("channels", "Push", id), {
    ...{ name: "Push", preset: "pushover", fields: { device: "tablet" }, eventTypes: ["*"], minPriority: 0 },
    ...{ sendResolved: true, acknowledgeLink: true, template: null, active: true },
  });
  const other = { ...push, preset: "gotify", fields: { url: "https://127.0.0.1:8443/", token: "x" } };
  await assert.rejects(admin.apply("channels", other, id), { code: "VALIDATION_FAILED" });
  await admin.remove("channels", "Push", id);
  assert.deepEqual(await admin.list("channels", id), []);
});

test("a channel's secrets go to another server only when the file gives them again", async (t) => {
  const { context, admin } = await open(t);
  const id = context.defaultProjectId;
  const fields = { url: "https://127.0.0.1:8443/", topic: "duty", token: "tk_first" };
  const room = { name: "Room", preset: "ntfy", fields };
  await admin.apply("channels", room, id);
  await admin.apply("channels", { ...room, fields: { url: fields.url, token: "tk_second" } }, id);
  const secretsOf = async () => (await admin.list("channels", id))[0]?.secrets;
  assert.deepEqual(await secretsOf(), { "fields.topic": "duty", "fields.token": "tk_second" });
  const url = "https://127.0.0.1:9443/";
  await assert.rejects(admin.apply("channels", { ...room, fields: { url } }, id), { code: "VALIDATION_FAILED" });
  await admin.apply("channels", { ...room, fields: { url, topic: "duty", token: "tk_second" } }, id);
  assert.deepEqual((await admin.list("channels", id))[0]?.spec["fields"], { url });
  const refused = { name: "Far", preset: "ntfy", fields: { url: "http://10.0.0.1/", topic: "t" } };
  await assert.rejects(admin.apply("channels", refused, id), { code: "URL_REFUSED" });
});
