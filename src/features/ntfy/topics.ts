import type { Database as Sqlite } from "better-sqlite3";
import type { Selectable } from "kysely";
import { DAY_MS, type EpochMs } from "../../core/clock.ts";
import type { Principal } from "../../core/principal.ts";
import { hasTokenScope } from "../../http/access.ts";
import type { NtfyTopicKind, NtfyTopicsTable } from "../../store/schema.ts";
import type { Projects } from "../access/index.ts";
import { NtfyError } from "./errors.ts";

export type TopicRow = Selectable<NtfyTopicsTable>;

/** A topic, or the one that a first publish would make. */
export interface Topic {
  readonly name: string;
  readonly kind: NtfyTopicKind;
  readonly projectId: string | null;
  readonly userId: string | null;
  /** Types of events that it shows. */
  readonly patterns: readonly string[];
  readonly isNew: boolean;
}

export type Anonymous = "none" | "read" | "write" | "read-write";

interface TopicsParts {
  readonly reader: Sqlite;
  readonly projects: Projects;
  readonly anonymous: () => Anonymous;
}

/** The topics in memory, and who may use them (docs/ntfy.md). Effects of commits keep them current. */
export class Topics {
  readonly #parts: TopicsParts;
  readonly #byName = new Map<string, Topic>();
  /** When each was last used, to the day. */
  readonly #usedAt = new Map<string, EpochMs>();
  readonly #unstored = new Set<string>();

  constructor(parts: TopicsParts) {
    this.#parts = parts;
  }

  /** Builds the memory from the table, before the server answers. */
  load(): void {
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

  /** The topic as this caller uses it: a new one is in the caller's project, or the default one. */
  of(name: string, principal: Principal | null): Topic {
    const known = this.#byName.get(name);
    if (known) return known;
    const projectId = principal ? this.#parts.projects.refOf(principal, undefined) : this.#parts.projects.defaultId;
    return { name, kind: "messages", projectId, userId: null, patterns: [], isNew: true };
  }

  mayRead(topic: Topic, principal: Principal | null): boolean {
    const { projects, anonymous } = this.#parts;
    if (topic.kind === "inbox") return principal !== null && isOwn(principal, topic.userId);
    if (topic.projectId === null || !projects.exists(topic.projectId)) return false;
    if (principal && projects.has(principal, topic.projectId, "events:read")) return true;
    return this.#isOpen(topic) && /read/.test(anonymous());
  }

  mayWrite(topic: Topic, principal: Principal | null): boolean {
    const { projects, anonymous } = this.#parts;
    if (topic.kind !== "messages" || topic.projectId === null || !projects.exists(topic.projectId)) return false;
    if (principal && projects.has(principal, topic.projectId, "events:write")) return true;
    return this.#isOpen(topic) && /write/.test(anonymous());
  }

  /** @throws NtfyError 40301 */
  requireReadable(names: readonly string[], principal: Principal | null): readonly Topic[] {
    const topics = names.map((name) => this.of(name, principal));
    if (!topics.every((topic) => this.mayRead(topic, principal))) throw new NtfyError(40301);
    return topics;
  }

  /** @throws NtfyError 40301 */
  requireWritable(name: string, principal: Principal | null): Topic {
    const topic = this.of(name, principal);
    if (!this.mayWrite(topic, principal)) throw new NtfyError(40301);
    return topic;
  }

  /** `ntfy.anonymous` opens the topics of messages in the default project. */
  #isOpen({ kind, projectId }: Topic): boolean {
    return kind === "messages" && projectId === this.#parts.projects.defaultId;
  }
}

function isOwn(principal: Principal, userId: string | null): boolean {
  if (principal.kind === "apiKey" || principal.userId !== userId) return false;
  return hasTokenScope(principal, ["notifications:own"]);
}
