import type { Database as Sqlite } from "better-sqlite3";
import type { Selectable } from "kysely";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { recentlyUsed } from "../../../core/limits/ttl-cache.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import type { PoliciesTable, Schema } from "../../../store/schema.ts";
import { holdsText, valuesOf } from "../../../store/sqlite/list-queries.ts";
import { nextChange, isWithin as within } from "../model/time-intervals.ts";
import { BUILT_IN_POLICY, DEFAULT_POLICY, type PolicyDefinition, type PolicyStep, storedDefinition } from "./policy.ts";
import {
  BUILT_IN_ROUTING,
  builtInRouting,
  type CompiledRouting,
  compileRouting,
  type RoutingDocument,
} from "./routing.ts";

export type PolicyRow = Selectable<PoliciesTable>;

/** The policy and version that an incident follows. */
export interface PolicyRef {
  readonly id: string;
  readonly version: number;
  readonly name: string;
}

const KEPT_DEFINITIONS = 2000;

/**
 * Policies and routing of all projects: copies of tables, compiled at the first use and forgotten
 * when a commit changes them. The policy `default` of a project has the project's id; until it is
 * changed it has no row, version 0 and the built-in definition.
 */
export class Policies {
  readonly #routing = new Map<string, CompiledRouting>();
  /** Projects with a document that may have changed; it is compiled again only if its version differs. */
  readonly #unread = new Set<string>();
  readonly #byName = new Map<string, ReadonlyMap<string, PolicyRef>>();
  /** Versions never change. */
  readonly #definitions = recentlyUsed<string, PolicyDefinition>(KEPT_DEFINITIONS);
  readonly #readRouting;
  readonly #readPolicies;
  readonly #readVersion;

  constructor(reader: Sqlite) {
    this.#readRouting = reader.prepare<[string], { document: string; version: number }>(
      "select document, version from alert_routing where projectId = ?",
    );
    this.#readPolicies = reader.prepare<[string], PolicyRef>(
      "select id, version, name from policies where projectId = ? and deletedAt is null order by id",
    );
    this.#readVersion = reader.prepare<[string, number], { definition: string }>(
      "select definition from policy_versions where policyId = ? and version = ?",
    );
  }

  /** A commit has changed policies or routing of these projects. */
  changed(projectIds: readonly string[]): void {
    for (const id of projectIds) {
      if (this.#routing.has(id)) this.#unread.add(id);
      this.#byName.delete(id);
    }
  }

  routingOf(projectId: string): CompiledRouting {
    const known = this.#routing.get(projectId);
    if (known && !this.#unread.delete(projectId)) return known;
    const row = this.#readRouting.get(projectId);
    if (row && known?.version === row.version) return known;
    const compiled = row
      ? compileRouting(JSON.parse(row.document) as RoutingDocument, row.version)
      : builtInRouting((name) => this.of(projectId).has(name));
    this.#routing.set(projectId, compiled);
    return compiled;
  }

  /** All policies by name, `default` included. */
  of(projectId: string): ReadonlyMap<string, PolicyRef> {
    const known = this.#byName.get(projectId);
    if (known) return known;
    const implicit: PolicyRef = { id: projectId, version: 0, name: DEFAULT_POLICY };
    const stored = this.#readPolicies.all(projectId).map((each): [string, PolicyRef] => [each.name, each]);
    const found = new Map([[DEFAULT_POLICY, implicit], ...stored]);
    this.#byName.set(projectId, found);
    return found;
  }

  /** The policy of a route: `default` if the named one is gone. */
  named(projectId: string, name: string): PolicyRef {
    const all = this.of(projectId);
    return all.get(name) ?? all.get(DEFAULT_POLICY) ?? { id: projectId, version: 0, name: DEFAULT_POLICY };
  }

  /** The definition that an incident keeps. */
  definitionOf({ id, version }: Pick<PolicyRef, "id" | "version">): PolicyDefinition {
    const key = `${id} ${version}`;
    const known = this.#definitions.get(key);
    if (known) return known;
    const row = this.#readVersion.get(id, version);
    const definition = row ? storedDefinition(row.definition) : BUILT_IN_POLICY;
    if (row) this.#definitions.set(key, definition);
    return definition;
  }

  /** Whether the instant is in the project's time interval; an unknown one contains every instant. */
  isWithin(projectId: string, interval: string, at: EpochMs): boolean {
    const intervals = this.routingOf(projectId).timeIntervals.get(interval);
    return intervals === undefined || within(intervals, at);
  }

  /** When the answer of {@link isWithin} changes next. */
  nextChange(projectId: string, interval: string, at: EpochMs): EpochMs {
    return nextChange(this.routingOf(projectId).timeIntervals.get(interval) ?? [], at);
  }
}

export function storedRouting(db: ReadDb | Trx, projectId: string) {
  return db.selectFrom("alert_routing").selectAll().where("projectId", "=", projectId).executeTakeFirst();
}

/** The routing document as the transaction has it. */
export async function routingDocument(db: ReadDb | Trx, projectId: string): Promise<RoutingDocument> {
  const row = await storedRouting(db, projectId);
  return row ? (JSON.parse(row.document) as RoutingDocument) : BUILT_IN_ROUTING;
}

const MAX_NAMED_POLICIES = 100;

type PolicyName = Pick<PolicyRow, "id" | "projectId" | "name">;

/** The policies of all projects that name an on-call schedule in a step, at most 100. */
export function policiesWithSchedule(trx: Trx, scheduleId: string): Promise<readonly PolicyName[]> {
  return policiesWith(trx, scheduleId, (step) =>
    step.type === "notify" ? step.schedules.some(({ id }) => id === scheduleId) : false,
  );
}

/** The policies that name a channel in a step, at most 100. */
export function policiesWithChannel(trx: Trx, channelId: string): Promise<readonly PolicyName[]> {
  return policiesWith(trx, channelId, (step) => channelOf(step) === channelId);
}

/** The channel that a step sends to, or whose credentials its webhook has. */
export function channelOf(step: PolicyStep): string | undefined {
  if (step.type === "channel") return step.id;
  return step.type === "webhook" ? step.channel : undefined;
}

async function policiesWith(
  trx: Trx,
  id: string,
  names: (step: PolicyStep) => boolean,
): Promise<readonly PolicyName[]> {
  const rows = await trx
    .selectFrom("policies")
    .select(["id", "projectId", "name", "definition"])
    .where("deletedAt", "is", null)
    .where(holdsText("definition", id))
    .limit(MAX_NAMED_POLICIES)
    .execute();
  return rows
    .filter(({ definition }) => storedDefinition(definition).steps.some(names))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Its channels have a URL and credentials of any service. */
const CREDENTIALS_PRESET = "http";

export type NamedChannel = Pick<Schema["channels"], "id" | "name" | "projectId" | "preset" | "fields" | "secrets">;

/** Resources that steps may name. */
export interface References {
  readonly roles: ReadonlyMap<string, string>;
  readonly channels: ReadonlyMap<string, NamedChannel>;
  /** The project of each on-call schedule. */
  readonly schedules: ReadonlyMap<string, string>;
}

/** Three reads, however many steps there are: an import of many policies must not keep other writers waiting. */
export async function readReferences(db: ReadDb | Trx, steps: readonly PolicyStep[]): Promise<References> {
  const channels = await db
    .selectFrom("channels")
    .select(["id", "name", "projectId", "preset", "fields", "secrets"])
    .where("id", "in", valuesOf(steps.flatMap((step) => channelOf(step) ?? [])))
    .execute();
  const schedules = steps.flatMap((step) => (step.type === "notify" ? step.schedules.map(({ id }) => id) : []));
  return {
    roles: await roleNames(db),
    channels: new Map(channels.map((each) => [each.id, each])),
    schedules: await projectsOfSchedules(db, schedules),
  };
}

export async function projectsOfSchedules(
  db: ReadDb | Trx,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (ids.length === 0) return new Map();
  const query = db.selectFrom("oncall_schedules").select(["id", "projectId"]).where("id", "in", valuesOf(ids));
  return new Map((await query.execute()).map(({ id, projectId }) => [id, projectId]));
}

export async function roleNames(db: ReadDb | Trx): Promise<ReadonlyMap<string, string>> {
  const rows = await db.selectFrom("roles").select(["id", "name"]).execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}

/** @throws RECIPIENT_NOT_FOUND for a channel of another project or a user, VALIDATION_FAILED for one of another host */
export function requireChannel(
  originOf: (channel: NamedChannel) => string | null,
  { channels }: References,
  projectId: string,
  step: PolicyStep,
  path: string,
): void {
  const id = channelOf(step);
  if (id === undefined) return;
  const preset = step.type === "webhook" ? CREDENTIALS_PRESET : null;
  const at = `${path}.${step.type === "webhook" ? "channel" : "id"}`;
  const found = channels.get(id);
  if (found?.projectId !== projectId || (preset !== null && found.preset !== preset)) {
    const message = `is not a channel of the project${preset === null ? "" : ` with the preset ${preset}`}`;
    throw new PrismError("RECIPIENT_NOT_FOUND", "No such channel in the project", {
      details: [{ path: at, code: "RECIPIENT_NOT_FOUND", message }],
    });
  }
  if (step.type !== "webhook") return;
  const origin = originOf(found);
  // The origin itself stays unsaid: the channel's URL may be a secret.
  if (origin !== null && origin !== new URL(step.url).origin)
    throw invalidField("body", at, `the channel ${found.name} is for another scheme, host or port than the step's url`);
}
