import { isDeepStrictEqual } from "node:util";
import type { ConfigKind } from "../../../../../src/module/config-kind.ts";
import { type Made, nameOf, Objects, PROJECTS } from "./objects.ts";
import { Chance } from "./values.ts";

type Way = "create" | "change" | "rename" | "delete";

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

/** Objects that chance edits. */
export class Edited {
  readonly #chance: Chance;
  readonly #kinds: readonly ConfigKind[];
  readonly #objects: Objects;
  #next = 1000;

  /** @param count of the first objects */
  constructor(kinds: readonly ConfigKind[], seed: number, count: number) {
    this.#kinds = kinds;
    this.#chance = new Chance(seed);
    this.#objects = new Objects(kinds, seed).fill(count);
  }

  /** As the edits leave them. */
  get made(): readonly Made[] {
    return this.#objects.made;
  }

  /** Draws an edit, and notes what it leaves. */
  edit(ways: readonly Way[] = ["create", "change", "change", "rename", "delete"]): Edit {
    for (;;) {
      const found = this.#draw(this.#chance.one(ways));
      if (found && !isDeepStrictEqual(found.before, found.after)) return found;
    }
  }

  #draw(what: Way): Edit | null {
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
    const { key = "name", keeps = [] } = this.#kinds.find(({ kind }) => kind === before.kind) ?? {};
    // A file that leaves out such a member keeps what the last apply stored; a request, what the last edit did.
    const leftOut = keeps.filter((member) => drawn.spec[member] === undefined);
    const kept = [key, ...(FIXED[before.kind] ?? []), ...leftOut].filter(
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
