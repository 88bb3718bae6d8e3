import assert from "node:assert/strict";
import { fromFile, type Names, toFile } from "../../../../../src/http/api/file-form.ts";
import { object } from "../../../../../src/http/api/shapes.ts";
import type { ConfigKind, Spec } from "../../../../../src/module/config-kind.ts";
import type { Reply, TestPrism } from "../../../../helpers/prism.ts";
import type { Made } from "./objects.ts";

/** A name is its own id. */
const AS_NAMED: Names = { idOf: (_kind, { name }) => name, nameOf: (_kind, id) => ({ name: id }) };

/** Paths of resources that have the usual requests. */
const PATHS: Readonly<Record<string, string>> = {
  roles: "/api/v1/roles",
  channels: "/api/v1/channels",
  oncall: "/api/v1/oncall/schedules",
  policies: "/api/v1/policies",
  rules: "/api/v1/rules",
  heartbeats: "/api/v1/heartbeats",
  receivers: "/api/v1/receivers",
  integrations: "/api/v1/integrations",
  webhooks: "/api/v1/webhooks",
  buckets: "/api/v1/transfer-buckets",
  jobs: "/api/v1/schedules",
};

/** Their `PUT` replaces all members. */
const IS_REPLACED: readonly string[] = ["oncall", "roles", "policies", "rules", "jobs", "webhooks"];

/** Makes objects by requests, as people do who have no files. */
export class Api {
  readonly #prism: TestPrism;
  readonly #kinds: readonly ConfigKind[];
  readonly #ids = new Map<string, string>();

  constructor(prism: TestPrism, kinds: readonly ConfigKind[]) {
    this.#prism = prism;
    this.#kinds = kinds;
  }

  idOf({ kind, project, name }: Pick<Made, "kind" | "project" | "name">): string {
    const id = this.#ids.get(`${kind} ${project} ${name}`);
    assert.ok(id, `${kind} ${project} ${name}`);
    return id;
  }

  note({ kind, project, name }: Pick<Made, "kind" | "project" | "name">, id: string): void {
    this.#ids.set(`${kind} ${project} ${name}`, id);
  }

  /** As requests have it: with the ids of this server. */
  body(made: Made): Record<string, unknown> {
    const { kind, project, spec } = made;
    const names: Names = {
      idOf: (named, { name }) =>
        named === "people"
          ? this.idOf({ kind: named, project: null, name })
          : this.idOf({ kind: named, project, name }),
      nameOf: () => undefined,
    };
    const schema = object(this.#kind(made).entries());
    const body = fromFile(schema, fileOf(this.#kind(made), spec), names, []) as Record<string, unknown>;
    return project === null || kind === "members" ? body : { ...body, projectId: project };
  }

  #kind({ kind, project }: Made): ConfigKind {
    const found = this.#kinds.find((each) => each.kind === kind && (each.scope === "project") === (project !== null));
    assert.ok(found, kind);
    return found;
  }

  async store(made: Made): Promise<void> {
    const { kind, project } = made;
    const body = this.body(made);
    if (kind === "projects") return this.#storeProject(made, body);
    if (kind === "members") return this.#storeMembers(project ?? "", body["members"] as Record<string, string>);
    if (kind === "routes")
      return void (await this.#done("PUT", `/api/v1/routes?projectId=${project}`, without(body, "projectId"), made));
    if (kind === "statusPage")
      return void (await this.#done(
        "PUT",
        `/api/v1/status-page?projectId=${project}`,
        without(body, "projectId"),
        made,
      ));
    if (kind === "ntfyAccess") return this.#storeAccess(body, project ?? "");
    if (kind === "ntfyTopics") return void (await this.#done("POST", "/api/v1/ntfy/topics", body, made));
    if (kind === "people") {
      const { text } = await this.#done(
        "POST",
        "/api/v1/users/import",
        { users: [{ ...body, status: "active" }] },
        made,
      );
      const found = await this.#prism.get<{ data: { id: string }[] }>(`/api/v1/users?q=${made.name}`);
      assert.equal(found.body.data.length, 1, text);
      return this.note(made, found.body.data[0]?.id ?? "");
    }
    const { shifts = [], ...members } = body as { readonly shifts?: readonly Spec[] };
    const given =
      kind === "buckets" ? { ...members, name: made.name.slice(0, -4), currency: made.name.slice(-3) } : members;
    const reply = await this.#done("POST", PATHS[kind] ?? "", given, made);
    this.note(made, String(reply.body["id"]));
    for (const shift of shifts) await this.#done("POST", `${PATHS["oncall"]}/${reply.body["id"]}/shifts`, shift, made);
  }

  /** Changes an object to what is wanted. @param before as it is stored; its name may be another */
  async change(before: Made, made: Made): Promise<void> {
    const { kind, project } = made;
    if (kind === "members") return this.#changeMembers(project ?? "", before, made);
    if (kind === "routes" || kind === "statusPage") return this.store(made);
    if (kind === "ntfyAccess") {
      await this.#done("DELETE", `/api/v1/ntfy/access?projectId=${project}`, undefined, made);
      return this.store(made);
    }
    if (kind === "ntfyTopics") {
      await this.remove(before);
      return this.store(made);
    }
    const id = this.idOf(before);
    this.note(made, id);
    const { defaults, canonical = (spec: Spec) => spec } = this.#kind(made);
    const whole = { ...defaults, ...made.spec };
    // Members that follow from others are changed by what they follow from.
    const full = this.body({ ...made, spec: kind === "heartbeats" ? canonical(whole) : whole });
    const { shifts, projectId: _, ...body } = full as { readonly shifts?: readonly Spec[] } & Record<string, unknown>;
    // Files that leave out a slug keep it.
    if (kind === "heartbeats" && made.spec["slug"] === undefined) {
      const now = await this.#prism.get<{ slug: string }>(`${PATHS[kind]}/${id}`);
      body["slug"] = now.body.slug;
    }
    if (kind === "projects") return this.#changeProject(id, body, made);
    if (kind === "people")
      return void (await this.#done("PATCH", `/api/v1/users/${id}`, without(body, "locale"), made));
    if (kind === "buckets") {
      const { threshold } = body;
      return void (await this.#done("PUT", `${PATHS["buckets"]}/${id}/threshold`, { threshold }, made));
    }
    const path = `${PATHS[kind]}/${id}`;
    await this.#done(IS_REPLACED.includes(kind) ? "PUT" : "PATCH", path, body, made);
    // Files that leave out the shifts keep them.
    if (shifts !== undefined) await this.#changeShifts(path, shifts, made);
  }

  async #changeShifts(path: string, wanted: readonly Spec[], made: Made): Promise<void> {
    const { body } = await this.#prism.get<{ data: { id: string }[] }>(`${path}/shifts`);
    for (const { id } of body.data) await this.#done("DELETE", `${path}/shifts/${id}`, undefined, made);
    for (const shift of wanted) await this.#done("POST", `${path}/shifts`, shift, made);
  }

  async #changeProject(id: string, { slug: _, ...body }: Record<string, unknown>, made: Made): Promise<void> {
    const none = { alertThreshold: null, retentionDays: null, emailAlerts: null, digest: null };
    const settings = { ...none, ...(body["settings"] as object | undefined) };
    await this.#done("PATCH", `/api/v1/projects/${id}`, { ...body, settings }, made);
  }

  async #changeMembers(project: string, before: Made, made: Made): Promise<void> {
    const [old, wanted] = [before, made].map(({ spec }) => spec["members"] as Readonly<Record<string, string>>);
    for (const [username, role] of Object.entries(wanted ?? {}))
      if (old?.[username] !== role) {
        const userId = this.idOf({ kind: "people", project: null, name: username });
        const path = `/api/v1/projects/${project}/members`;
        if (old?.[username] === undefined) await this.#done("POST", path, { userId, role });
        else await this.#done("PATCH", `${path}/${userId}`, { role });
      }
    for (const username of Object.keys(old ?? {}))
      if (wanted?.[username] === undefined) {
        const userId = this.idOf({ kind: "people", project: null, name: username });
        await this.#done("DELETE", `/api/v1/projects/${project}/members/${userId}`, undefined);
      }
  }

  async remove(made: Made): Promise<void> {
    const { kind, project, name } = made;
    if (kind === "ntfyAccess")
      return void (await this.#done("DELETE", `/api/v1/ntfy/access?projectId=${project}`, undefined));
    const path = kind === "ntfyTopics" ? `/api/v1/ntfy/topics/${name}` : `${PATHS[kind]}/${this.idOf(made)}`;
    await this.#done("DELETE", path, undefined, made);
  }

  async #storeProject(made: Made, { slug, name, ...more }: Record<string, unknown>): Promise<void> {
    const { body } = await this.#done("POST", "/api/v1/projects", { slug, name }, made);
    this.note(made, String(body["id"]));
    if (Object.keys(more).length > 0) await this.#done("PATCH", `/api/v1/projects/${body["id"]}`, more, made);
  }

  async #storeMembers(project: string, wanted: Readonly<Record<string, string>>): Promise<void> {
    for (const [username, role] of Object.entries(wanted)) {
      if (username === "dev") continue;
      const userId = this.idOf({ kind: "people", project: null, name: username });
      await this.#done("POST", `/api/v1/projects/${project}/members`, { userId, role });
    }
  }

  async #storeAccess({ everyone = {}, users = {} }: Record<string, unknown>, project: string): Promise<void> {
    for (const [user, rights] of Object.entries({ ...(users as object), everyone }))
      for (const [topic, permission] of Object.entries(rights as object))
        await this.#done("PUT", "/api/v1/ntfy/access", { projectId: project, user, topic, permission });
  }

  async #done(method: string, path: string, body: unknown, made?: Made): Promise<Reply> {
    const reply = await this.#prism.request(method, path, body);
    assert.ok(reply.status < 300, `${method} ${path} ${JSON.stringify(made ?? body)}: ${reply.text}`);
    return reply;
  }
}

function without(body: Record<string, unknown>, name: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(body).filter(([each]) => each !== name));
}

/** As a file has it. */
export function fileOf(kind: ConfigKind, spec: Spec): Spec {
  return toFile(object(kind.entries()), spec, AS_NAMED) as Spec;
}
