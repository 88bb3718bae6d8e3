import type { Database as Sqlite } from "better-sqlite3";
import type { Selectable } from "kysely";
import type { NtfyAccessTable, NtfyPermission } from "../../../store/schema.ts";

export type AccessRow = Selectable<NtfyAccessTable>;

/** The user of a row for everyone, also for callers without credentials. */
export const EVERYONE = "*";

/** Rows of a user in a project as a commit left them. */
export interface AccessChange {
  readonly projectId: string;
  readonly userId: string;
  readonly rows: readonly AccessRow[];
}

/**
 * Rights on topics in memory (docs/ntfy.md), in ntfy's order: a user's own row before everyone's, then
 * the longer pattern. Effects of commits keep them current.
 */
export class TopicAccess {
  /** By `<user> <project>`: the longest patterns first. */
  readonly #rows = new Map<string, readonly AccessRow[]>();
  /** Projects in which a user has rows. */
  readonly #projectsOf = new Map<string, Set<string>>();

  load(reader: Sqlite): void {
    const rows = reader.prepare<[], AccessRow>("select * from ntfy_access").all();
    const changes = new Map<string, { projectId: string; userId: string; rows: AccessRow[] }>();
    for (const row of rows) {
      const { projectId, userId } = row;
      const change = changes.get(keyOf(userId, projectId)) ?? { projectId, userId, rows: [] };
      change.rows.push(row);
      changes.set(keyOf(userId, projectId), change);
    }
    for (const change of changes.values()) this.changed(change);
  }

  changed({ projectId, userId, rows }: AccessChange): void {
    const projects = this.#projectsOf.get(userId) ?? new Set();
    if (rows.length === 0) {
      this.#rows.delete(keyOf(userId, projectId));
      projects.delete(projectId);
    } else {
      const sorted = rows.toSorted((a, b) => b.pattern.length - a.pattern.length || (a.pattern < b.pattern ? -1 : 1));
      this.#rows.set(keyOf(userId, projectId), sorted);
      projects.add(projectId);
    }
    if (projects.size > 0) this.#projectsOf.set(userId, projects);
    else this.#projectsOf.delete(userId);
  }

  /** @param userId null: a caller without credentials. @returns null: no row is about the topic */
  permission(projectId: string, userId: string | null, topic: string): NtfyPermission | null {
    const own = userId === null ? undefined : this.#rowOf(userId, projectId, topic);
    return (own ?? this.#rowOf(EVERYONE, projectId, topic))?.permission ?? null;
  }

  /**
   * The project in which the user may make a topic by a right of that user, the longest pattern first.
   * @param needsExact only a right for exactly this name counts
   */
  projectFor(userId: string, topic: string, needsExact: boolean): string | undefined {
    const found = [...(this.#projectsOf.get(userId) ?? [])].flatMap((id) => this.#rowOf(userId, id, topic) ?? []);
    const writable = found.filter(
      ({ permission, pattern }) => mayWrite(permission) && (!needsExact || pattern === topic),
    );
    return writable.sort((a, b) => b.pattern.length - a.pattern.length)[0]?.projectId;
  }

  #rowOf(userId: string, projectId: string, topic: string): AccessRow | undefined {
    return this.#rows.get(keyOf(userId, projectId))?.find(({ pattern }) => matchesPattern(pattern, topic));
  }
}

export function mayRead(permission: NtfyPermission): boolean {
  return permission === "read" || permission === "read-write";
}

export function mayWrite(permission: NtfyPermission): boolean {
  return permission === "write" || permission === "read-write";
}

/** Whether a name matches a pattern; its `*` matches any text. Takes at most name times pattern steps. */
export function matchesPattern(pattern: string, name: string): boolean {
  let [at, star, mark] = [0, -1, 0];
  for (let i = 0; i < name.length; ) {
    if (pattern[at] === "*") {
      star = at++;
      mark = i;
    } else if (pattern[at] === name[i]) {
      at++;
      i++;
    } else if (star >= 0) {
      at = star + 1;
      i = ++mark;
    } else return false;
  }
  while (pattern[at] === "*") at++;
  return at === pattern.length;
}

function keyOf(userId: string, projectId: string): string {
  return `${userId} ${projectId}`;
}
