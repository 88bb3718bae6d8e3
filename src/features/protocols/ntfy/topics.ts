import type { Selectable } from "kysely";
import type { TokenScope } from "../../../core/permissions.ts";
import type { PermissionHolder, Principal } from "../../../core/principal.ts";
import { DAY_MS, type EpochMs } from "../../../core/time/clock.ts";
import { hasTokenScope } from "../../../http/server/access.ts";
import type { Uses } from "../../../module/feature.ts";
import type { NtfyPermission, NtfyTopicKind, NtfyTopicsTable } from "../../../store/schema.ts";
import { mayRead, mayWrite, TopicAccess } from "./access.ts";
import { NtfyError } from "./errors.ts";

export type TopicRow = Selectable<NtfyTopicsTable>;

/** A topic, or the one that a first publish would make. */
export interface NtfyTopic {
  readonly name: string;
  readonly kind: NtfyTopicKind;
  readonly projectId: string | null;
  readonly userId: string | null;
  /** Types of events that it shows. */
  readonly patterns: readonly string[];
  readonly isNew: boolean;
}

interface TopicsParts extends Uses<"reader" | "projects"> {
  readonly anonymous: () => NtfyPermission;
}

/** The topics in memory, and who may use them (docs/ntfy.md). Effects of commits keep them current. */
export class Topics {
  readonly access = new TopicAccess();
  readonly #parts: TopicsParts;
  readonly #byName = new Map<string, NtfyTopic>();
  /** When each was last used, to the day. */
  readonly #usedAt = new Map<string, EpochMs>();
  readonly #unstored = new Set<string>();

  constructor(parts: TopicsParts) {
    this.#parts = parts;
  }

  /** Builds the memory from the table, before the server answers. */
  load(): void {
    this.access.load(this.#parts.reader);
    this.changed({ changed: this.#parts.reader.prepare<[], TopicRow>("select * from ntfy_topics").all() });
  }

  changed({ changed = [], deleted = [] }: { changed?: readonly TopicRow[]; deleted?: readonly string[] }): void {
    for (const name of deleted) {
      this.#byName.delete(name);
      this.#usedAt.delete(name);
      this.#unstored.delete(name);
    }
    for (const { name, kind, projectId, userId, patterns, createdAt, lastUsedAt } of changed) {
      this.#usedAt.set(name, lastUsedAt ?? createdAt);
      this.#byName.set(name, {
        name,
        kind,
        projectId,
        userId,
        patterns: JSON.parse(patterns) as string[],
        isNew: false,
      });
    }
  }

  /** Someone subscribes to a topic, or still does. */
  used(name: string, now: EpochMs): void {
    const usedAt = this.#usedAt.get(name);
    if (usedAt === undefined || now - usedAt < DAY_MS) return;
    this.#usedAt.set(name, now);
    this.#unstored.add(name);
  }

  /** Topics in use whose time of use is not stored. */
  takeUsed(): string[] {
    const names = [...this.#unstored];
    this.#unstored.clear();
    return names;
  }

  /**
   * The topic as this caller uses it: a new one is in the project in which the caller has a right to write
   * exactly this name, otherwise in the project of the key or the default one, otherwise in the only project
   * that the caller writes to, otherwise in that of a right with a pattern.
   */
  of(name: string, principal: Principal | null): NtfyTopic {
    const known = this.#byName.get(name);
    if (known) return known;
    const { projects } = this.#parts;
    const userId = principal && principal.kind !== "apiKey" ? principal.userId : null;
    const own = principal ? this.#projectOf(principal) : projects.defaultId;
    // A pattern of another project's owner must not take the topics that the caller makes in the own one.
    const needsExact = principal !== null && projects.has(principal, own, "events:write");
    const given = userId === null ? undefined : this.access.projectFor(userId, name, needsExact);
    return { name, kind: "messages", projectId: given ?? own, userId: null, patterns: [], isNew: true };
  }

  #projectOf(principal: Principal): string {
    const { projects } = this.#parts;
    if (principal.kind === "apiKey") return principal.projectId;
    const { defaultId } = projects;
    if (projects.has(principal, defaultId, "events:write")) return defaultId;
    const own = [...principal.memberships.keys()].filter((id) => projects.has(principal, id, "events:write"));
    return own.length === 1 ? (own[0] ?? defaultId) : defaultId;
  }

  mayRead(topic: NtfyTopic, principal: Principal | null): boolean {
    const { projects, anonymous } = this.#parts;
    if (topic.kind === "inbox") return principal !== null && isOwn(principal, topic.userId);
    if (topic.projectId === null || !projects.exists(topic.projectId)) return false;
    const given = this.#given(topic.name, topic.projectId, principal);
    if (given !== null) return mayRead(given) && isInScope(principal, "events:read");
    if (principal && projects.has(principal, topic.projectId, "events:read")) return true;
    return this.#isOpen(topic) && /read/.test(anonymous());
  }

  mayWrite(topic: NtfyTopic, principal: Principal | null): boolean {
    const { projects, anonymous } = this.#parts;
    if (topic.kind !== "messages" || topic.projectId === null || !projects.exists(topic.projectId)) return false;
    const given = this.#given(topic.name, topic.projectId, principal);
    if (given !== null) return mayWrite(given) && isInScope(principal, "events:write");
    if (principal && projects.has(principal, topic.projectId, "events:write")) return true;
    return this.#isOpen(topic) && /write/.test(anonymous());
  }

  /** @throws NtfyError 40301 */
  requireReadable(names: readonly string[], principal: Principal | null): readonly NtfyTopic[] {
    const topics = names.map((name) => this.of(name, principal));
    if (!topics.every((topic) => this.mayRead(topic, principal))) throw new NtfyError(40301);
    return topics;
  }

  /** @throws NtfyError 40301 */
  requireWritable(name: string, principal: Principal | null): NtfyTopic {
    const topic = this.of(name, principal);
    if (!this.mayWrite(topic, principal)) throw new NtfyError(40301);
    return topic;
  }

  /** Messages and events of other topics that the user reads by a right on the topic. */
  readableBy(userId: string): string[] {
    const names = [...this.#byName.values()].filter(({ name, kind, projectId }) => {
      const given = kind === "inbox" || projectId === null ? null : this.access.permission(projectId, userId, name);
      return given !== null && mayRead(given);
    });
    return names.slice(0, MAX_LISTED).map(({ name }) => name);
  }

  /** The right on the topic, of the caller or of everyone; null: the rights in the project decide. */
  #given(name: string, projectId: string, principal: Principal | null): NtfyPermission | null {
    // Owners set the rights, and keys are theirs.
    if (principal?.kind === "apiKey" || (principal && isManager(principal, projectId))) return null;
    return this.access.permission(projectId, principal?.userId ?? null, name);
  }

  /** `ntfy.anonymous` opens the topics of messages in the default project. */
  #isOpen({ kind, projectId }: NtfyTopic): boolean {
    return kind === "messages" && projectId === this.#parts.projects.defaultId;
  }
}

const MAX_LISTED = 1000;

function isManager({ memberships, permissions }: PermissionHolder, projectId: string): boolean {
  return memberships.get(projectId) === "owner" || permissions.has("projects:all");
}

/** A service token has no more than its scopes. */
function isInScope(principal: Principal | null, scope: TokenScope): boolean {
  return principal === null || principal.kind === "apiKey" || hasTokenScope(principal, [scope]);
}

function isOwn(principal: Principal, userId: string | null): boolean {
  if (principal.kind === "apiKey" || principal.userId !== userId) return false;
  return hasTokenScope(principal, ["notifications:own"]);
}
