import type { Selectable } from "kysely";
import { toRfc3339, toRfc3339OrNull } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import { isUuid, uuidv7 } from "../../../core/ids.ts";
import { DEFAULT_KEY_SCOPES, type KeyScope, type Permission } from "../../../core/permissions.ts";
import type { Principal, UserPrincipal } from "../../../core/principal.ts";
import { pageBody, readPage } from "../../../http/pagination.ts";
import { requireVersion } from "../../../http/versions.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import type { Schema } from "../../../store/schema.ts";
import { KeyAdmin } from "../key-admin.ts";
import type { ProjectsContext } from "./context.ts";
import * as queries from "./queries.ts";
import type { CreateKey, CreateProject, ListProjects, UpdateProject } from "./schema.ts";
import { mergedSettings } from "./settings.ts";
import { requireStill } from "./still-may.ts";

type ProjectRow = Selectable<Schema["projects"]>;
type KeyRow = Selectable<Schema["api_keys"]>;

/** Scopes that reach beyond the project are only given by those who hold the permission themselves. */
const GUARDED_SCOPES: readonly KeyScope[] = ["notifications:send", "realtime:publish"];

/** The scope of a service token that lets it do what a key of each scope can do. Following a project is reading its events. */
const TOKEN_SCOPES: Readonly<Record<KeyScope, Permission>> = {
  "events:write": "events:write",
  "events:read": "events:read",
  "realtime:subscribe": "events:read",
  "realtime:publish": "realtime:publish",
  "notifications:send": "notifications:send",
};

/** A slug has 64 characters; the rest is for a number. */
const MAX_SLUG_BASE = 56;

/** Projects and their keys (contract 4.6). */
export class ProjectService {
  readonly #context: ProjectsContext;
  readonly #keys: KeyAdmin;

  constructor(context: ProjectsContext) {
    this.#context = context;
    this.#keys = new KeyAdmin(context.audit, context.clock);
  }

  async list(principal: UserPrincipal, query: ListProjects) {
    const { db, projects } = this.#context;
    const request = readPage(query, ["string"]);
    const memberId = principal.permissions.has("projects:all") ? null : principal.userId;
    const filter = { memberId, defaultId: projects.defaultId, q: query.q };
    const rows = await queries.listProjects(db.read, filter, request);
    const total = request.wantsTotal ? await queries.countProjects(db.read, filter) : undefined;
    return pageBody(
      request,
      rows,
      (row) => this.#view(row, principal),
      (row) => [row.id],
      total,
    );
  }

  /** Its first key has the default scopes; made by a service token only those that the token has, and without any there is no key. */
  async create(principal: UserPrincipal, { name, slug, settings }: CreateProject) {
    const { db, audit, clock, events } = this.#context;
    const now = clock.now();
    const kept = mergedSettings("{}", settings);
    const scopes = DEFAULT_KEY_SCOPES.filter((scope) => mayGive(principal, scope));
    const created = await db.write(async (trx) => {
      const row = {
        id: uuidv7(),
        slug: await freeSlug(trx, slug, name),
        name,
        ownerId: principal.userId,
        settings: kept,
        createdAt: now,
        updatedAt: now,
      };
      await trx.insertInto("projects").values(row).execute();
      await trx
        .insertInto("project_members")
        .values({ projectId: row.id, userId: principal.userId, role: "owner", createdAt: now })
        .execute();
      await audit.record({ action: "project.create", resourceType: "project", resourceId: row.id }, { trx });
      const first = { projectId: row.id, name: "default", scopes, createdBy: principal.userId };
      const key = scopes.length === 0 ? undefined : await this.#keys.create(first, trx);
      addEffect(trx, { type: "rights-changed", of: "user", userId: principal.userId });
      return { row, key };
    });
    events.emit("project:changed", { id: created.row.id });
    const row = { ...created.row, version: 1, deletedAt: null };
    return { ...this.#view(row, principal), role: "owner", apiKey: created.key?.key };
  }

  async get(principal: Principal, ref: string) {
    const { db, projects } = this.#context;
    const row = await this.#row(projects.require(principal, ref, "project:read"));
    const [last, eventCount, keys] = await Promise.all([
      queries.lastEvent(db.read, row.id),
      queries.countProjectEvents(db.scan, row.id),
      projects.has(principal, row.id, "keys:read") ? queries.listKeys(db.read, row.id) : [],
    ]);
    const body = {
      ...this.#view(row, principal),
      eventCount,
      lastEventAt: toRfc3339OrNull(last?.receivedAt ?? null),
      keys: keys.map(keyView),
    };
    return { version: row.version, body };
  }

  async update(principal: UserPrincipal, ref: string, ifMatch: string, { name, settings }: UpdateProject) {
    const { db, audit, clock, events, projects } = this.#context;
    const id = projects.require(principal, ref, "project:manage");
    await db.write(async (trx) => {
      const row = await requireStill(this.#context, principal, id, "project:manage", trx);
      requireVersion(ifMatch, row.version);
      await trx
        .updateTable("projects")
        .set({
          name: name ?? row.name,
          settings: settings ? mergedSettings(row.settings, settings) : row.settings,
          version: row.version + 1,
          updatedAt: clock.now(),
        })
        .where("id", "=", id)
        .execute();
      await audit.record(
        {
          action: "project.update",
          resourceType: "project",
          resourceId: id,
          metadata: { members: [...(name === undefined ? [] : ["name"]), ...(settings ? ["settings"] : [])] },
        },
        { trx },
      );
    });
    events.emit("project:changed", { id });
    const row = await this.#row(id);
    return { version: row.version, body: this.#view(row, principal) };
  }

  async createKey(principal: UserPrincipal, ref: string, input: CreateKey) {
    const { scopes = DEFAULT_KEY_SCOPES, name = "key" } = input;
    const issued = await this.#manage(principal, ref, (projectId, trx) => {
      requireMayGive(principal, scopes);
      return this.#keys.create({ ...input, projectId, name, scopes, createdBy: principal.userId }, trx);
    });
    return issuedView(issued);
  }

  async listKeys(principal: UserPrincipal, ref: string) {
    const { db, projects } = this.#context;
    const keys = await queries.listKeys(db.read, projects.require(principal, ref, "keys:read"));
    return { data: keys.map(keyView) };
  }

  async rotateKey(principal: UserPrincipal, ref: string, keyId: string, graceMs: number) {
    const issued = await this.#manage(principal, ref, async (projectId, trx) => {
      requireKeyId(keyId);
      const key = await this.#keys.rotate(projectId, keyId, graceMs, principal.userId, trx);
      // The new secret is a new key in the caller's hand.
      requireMayGive(principal, key.scopes);
      return key;
    });
    return issuedView(issued);
  }

  async revokeKey(principal: UserPrincipal, ref: string, keyId: string): Promise<void> {
    await this.#manage(principal, ref, (projectId, trx) => {
      requireKeyId(keyId);
      return this.#keys.revoke(projectId, keyId, trx);
    });
  }

  /** A change that only an owner may make. @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE */
  async #manage<T>(principal: UserPrincipal, ref: string, change: (projectId: string, trx: Trx) => Promise<T>) {
    const { db, projects } = this.#context;
    const projectId = projects.require(principal, ref, "project:manage");
    return db.write(async (trx) => {
      await requireStill(this.#context, principal, projectId, "project:manage", trx);
      return change(projectId, trx);
    });
  }

  async #row(id: string): Promise<ProjectRow> {
    const row = await queries.findProject(this.#context.db.read, id);
    if (!row) throw new PrismError("PROJECT_NOT_FOUND", "No such project");
    return row;
  }

  #view(row: ProjectRow, principal: Principal) {
    const membership = principal.kind === "apiKey" ? null : (principal.memberships.get(row.id) ?? null);
    const isImplicitViewer = principal.kind !== "apiKey" && row.id === this.#context.projects.defaultId;
    return {
      id: row.id,
      slug: row.slug,
      name: row.name,
      role: membership ?? (isImplicitViewer ? "viewer" : null),
      ownerId: row.ownerId,
      settings: JSON.parse(row.settings) as Record<string, unknown>,
      version: row.version,
      createdAt: toRfc3339(row.createdAt),
    };
  }
}

/** @throws PRIVILEGE_ESCALATION */
function requireMayGive(principal: UserPrincipal, scopes: readonly KeyScope[]): void {
  const refused = scopes.find((scope) => !mayGive(principal, scope));
  if (refused) throw new PrismError("PRIVILEGE_ESCALATION", `Only somebody who holds ${refused} may give it to a key`);
}

/** A key goes on when the token that made it has ended: it may do no more than the token. */
function mayGive({ permissions, tokenScopes }: UserPrincipal, scope: KeyScope): boolean {
  const needed = TOKEN_SCOPES[scope];
  return (!GUARDED_SCOPES.includes(scope) || permissions.has(needed)) && tokenScopes?.has(needed) !== false;
}

function requireKeyId(keyId: string): void {
  if (!isUuid(keyId)) throw new PrismError("API_KEY_NOT_FOUND", "No such API key");
}

async function freeSlug(trx: Trx, given: string | undefined, name: string): Promise<string> {
  if (given !== undefined) {
    if (await queries.isSlugTaken(trx, given)) throw new PrismError("NAME_TAKEN", "The slug is taken");
    return given;
  }
  const base =
    name
      .normalize("NFKD")
      .replace(/\p{M}/gu, "")
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .slice(0, MAX_SLUG_BASE)
      .replace(/^-+|-+$/g, "") || "project";
  for (let n = 1; ; n++) {
    // A name like an id does not make a slug like one.
    const slug = n === 1 && !isUuid(base) ? base : `${base}-${n}`;
    if (!(await queries.isSlugTaken(trx, slug))) return slug;
  }
}

function keyView(key: KeyRow) {
  return {
    id: key.id,
    name: key.name,
    prefix: key.prefix,
    scopes: JSON.parse(key.scopes) as KeyScope[],
    expiresAt: toRfc3339OrNull(key.expiresAt),
    lastUsedAt: toRfc3339OrNull(key.lastUsedAt),
    createdAt: toRfc3339(key.createdAt),
  };
}

function issuedView({ expiresAt, ...key }: Awaited<ReturnType<KeyAdmin["create"]>>) {
  return { ...key, expiresAt: toRfc3339OrNull(expiresAt) };
}
