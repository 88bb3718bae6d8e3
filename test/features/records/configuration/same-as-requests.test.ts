import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { isDeepStrictEqual } from "node:util";
import type { AlertTrial } from "../../../../src/client/api-types.gen.ts";
import type { ConfigKind } from "../../../../src/module/config-kind.ts";
import { chanceOf, TEST_SEED } from "../../../helpers/chance.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { Api } from "./support/api.ts";
import { documentOf, HOSTS, secretsOf, send } from "./support/files.ts";
import { type Made, nameOf, Objects, PROJECTS } from "./support/objects.ts";
import { Chance } from "./support/values.ts";

const isAll = process.env["TEST_ALL_RUNS"] !== undefined;
const EDITS = isAll ? 200 : 40;
const ALERTS = isAll ? 1000 : 100;
/** Edits of one apply. */
const AT_ONCE = 10;

interface Edit {
  readonly before: Made | null;
  readonly after: Made | null;
}

/** Files never delete them. */
const KEPT = ["people", "projects", "members", "statusPage", "routes"];
/** Names of requests cannot change, or others name them by it. */
const NOT_RENAMED = [...KEPT, "ntfyTopics", "ntfyAccess", "buckets", "roles"];
/** What an object keeps for its life. */
const FIXED: Readonly<Record<string, readonly string[]>> = {
  channels: ["preset", "fields"],
  integrations: ["kind"],
  ntfyTopics: ["kind"],
  people: ["locale", "email"],
  jobs: ["queue", "kind"],
  buckets: ["renotifyMs", "currentBalance"],
};

/** Two servers with the same objects: one follows files, the other requests. */
class Pair {
  readonly #chance: Chance;
  readonly #kinds: readonly ConfigKind[];
  readonly #objects: Objects;
  #next = 1000;

  constructor(kinds: readonly ConfigKind[], seed: number) {
    this.#kinds = kinds;
    this.#chance = new Chance(seed);
    this.#objects = new Objects(kinds, seed).fill(120);
  }

  get made(): readonly Made[] {
    return this.#objects.made;
  }

  /** Draws an edit, and notes what it leaves. */
  edit(): Edit {
    for (;;) {
      const found = this.#draw();
      if (found && !isDeepStrictEqual(found.before, found.after)) return found;
    }
  }

  #draw(): Edit | null {
    const what = this.#chance.one(["create", "change", "change", "rename", "delete"]);
    if (what === "create") {
      const kind = this.#chance.one(this.#kinds.filter((each) => !KEPT.includes(each.kind) && !each.isSingle));
      const after = this.#objects.add(
        kind.kind,
        kind.scope === "server" ? null : this.#chance.one(PROJECTS),
        this.#next++,
      );
      return { before: null, after };
    }
    const before = this.#chance.one(this.made);
    if (what === "delete") {
      if (KEPT.includes(before.kind) || this.#isNamed(before)) return null;
      this.#replace(before, null);
      return { before, after: null };
    }
    if (what === "rename") return this.#renamed(before);
    const n = this.made.indexOf(before);
    const drawn = this.#objects.draw(before.kind, before.project, n, this.#next++);
    const key = this.#kinds.find(({ kind }) => kind === before.kind)?.key ?? "name";
    const kept = [key, ...(FIXED[before.kind] ?? [])].filter(
      (member) => before.kind !== "statusPage" || member !== key,
    );
    const fixed = Object.fromEntries(
      kept.flatMap((member) => (member in before.spec ? [[member, before.spec[member]]] : [])),
    );
    const spec = Object.fromEntries(Object.entries(drawn.spec).filter(([member]) => !kept.includes(member)));
    const after = { ...before, spec: { ...spec, ...fixed } };
    this.#replace(before, after);
    return { before, after };
  }

  #renamed(before: Made): Edit | null {
    const { kind, project, name } = before;
    if (NOT_RENAMED.includes(kind) || (kind === "policies" && this.#isNamed(before))) return null;
    const key = this.#kinds.find((each) => each.kind === kind)?.key ?? "name";
    const next = nameOf(kind, this.#next++);
    const after = { ...before, name: next, spec: { ...before.spec, [key]: next } };
    this.#replace(before, after);
    // Others name it by its id, which stays; files name it by its new name.
    for (const each of this.made.filter((other) => other.project === project && other !== after)) {
      const text = JSON.stringify(each.spec).replaceAll(JSON.stringify(name), JSON.stringify(next));
      this.#replace(each, { ...each, spec: JSON.parse(text) as Made["spec"] });
    }
    return { before, after };
  }

  #isNamed({ kind, project, name }: Made): boolean {
    return this.made.some(
      (each) =>
        (each.project === project || project === null) &&
        each.kind !== kind + name &&
        each.name !== name &&
        JSON.stringify(each.spec).includes(JSON.stringify(name)),
    );
  }

  #replace(before: Made, after: Made | null): void {
    const { made } = this.#objects;
    made.splice(made.indexOf(before), 1, ...(after ? [after] : []));
  }
}

async function exportedWithoutSecrets(prism: TestPrism): Promise<object> {
  const path = "/api/v1/configuration/export?people=true&secrets=omit";
  return (await answered(200, prism.get<{ document: object }>(path))).body.document;
}

/** A text with names in place of the ids of this server. */
function namesFor(prism: TestPrism): (text: string) => string {
  const names = new Map<string, string>();
  for (const [table, column] of [
    ["users", "username"],
    ["policies", "name"],
    ["oncall_schedules", "name"],
    ["channels", "name"],
    ["projects", "slug"],
    ["rules", "name"],
  ])
    for (const { id, name } of rowsOf<{ id: string; name: string }>(
      prism,
      `select id, ${column} as name from ${table}`,
    ))
      names.set(id, `${table} ${name}`);
  return (text) => text.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (id) => names.get(id) ?? "id");
}

function alertOf(chance: Chance) {
  const labels = {
    alertname: chance.one(["DiskFull", "InfoOnly", "HostDown"]),
    severity: chance.one(["critical", "error", "warning", "info"]),
    team: chance.one(["db", "web", "shop"]),
    env: chance.one(["test", "live"]),
    ...(chance.is(30) && { note: 'a "b", c' }),
  };
  const at = new Date(Date.UTC(2026, 11, 1) + chance.integer(0, 60 * 24 * 60) * 60_000).toISOString();
  const firing = chance.is(30) ? [{ ...labels, severity: "critical", alertname: "Other" }] : [];
  return { labels, at, firing };
}

async function decisionOf(prism: TestPrism, named: (text: string) => string, project: string, alert: object) {
  const { body } = await answered(
    200,
    prism.post<AlertTrial>("/api/v1/explain/alert", { projectId: project, ...alert }),
  );
  const routes = body.routes.map(({ policy, ...route }) => ({ ...route, policy: policy.name }));
  return JSON.parse(named(JSON.stringify({ ...body, routes }))) as object;
}

test("edits by files and by requests give the same configuration and the same decisions", async (t: TestContext) => {
  chanceOf(t);
  const [byFile, byRequest] = [await startPrism(t, HOSTS), await startPrism(t, HOSTS)];
  const kinds = await byFile.parts.features.context.configKinds({});
  const pair = new Pair(kinds, TEST_SEED);
  const api = new Api(byRequest, kinds);
  for (const made of pair.made) await api.store(made);
  const apply = async (renamed: ReadonlyMap<Made, string>) => {
    const { objects, secrets } = documentOf(kinds, pair.made, renamed);
    const planned = await send(byFile, "plan", { objects }, { secrets, prune: true });
    const deletes = planned.body.changes?.filter(({ op }) => op === "delete").length;
    const found = await send(
      byFile,
      "apply",
      { objects },
      { secrets, prune: true, ...(deletes && { allowDeletes: deletes }) },
    );
    assert.equal(found.status, 200, `${JSON.stringify(planned.body.problems)} ${found.text}`);
  };
  await apply(new Map());
  // People who were invited have chosen a password.
  await byFile.parts.base.database.write((trx) => trx.updateTable("users").set({ status: "active" }).execute());
  byFile.rightsChanged();
  const same = async () => {
    assert.deepEqual(await exportedWithoutSecrets(byFile), await exportedWithoutSecrets(byRequest));
    assert.deepEqual(await secretsOf(byFile), await secretsOf(byRequest));
  };
  await same();
  for (let done = 0; done < EDITS; done += AT_ONCE) {
    const names = new Map<string, string>();
    for (let n = 0; n < AT_ONCE; n++) {
      const { before, after } = pair.edit();
      if (before && after) await api.change(before, after);
      else if (after) await api.store(after);
      else if (before) await api.remove(before);
      if (before && after && before.name !== after.name) {
        const key = `${after.kind} ${after.project} `;
        names.set(key + after.name, names.get(key + before.name) ?? before.name);
      }
    }
    const renamed = new Map(
      pair.made.flatMap((each) => {
        const old = names.get(`${each.kind} ${each.project} ${each.name}`);
        return old === undefined ? [] : [[each, old] as const];
      }),
    );
    await apply(renamed);
    await same();
  }
  const chance = new Chance(TEST_SEED + 1);
  const named = [byFile, byRequest].map(namesFor);
  for (let n = 0; n < ALERTS; n++) {
    const [project, alert] = [chance.one(PROJECTS), alertOf(chance)];
    const [first, second] = await Promise.all(
      [byFile, byRequest].map((prism, at) => decisionOf(prism, named[at] as (text: string) => string, project, alert)),
    );
    assert.deepEqual(first, second, JSON.stringify(alert));
  }
});
