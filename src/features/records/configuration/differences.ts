import { isDeepStrictEqual } from "node:util";
import type { Spec } from "../../../module/config-kind.ts";

/** A member that differs, as files have it. */
export interface Difference {
  readonly path: string;
  readonly before: unknown;
  readonly after: unknown;
}

type Members = Readonly<Record<string, unknown>>;

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A member may be called `constructor`. */
function ownMember(members: Members, name: string): unknown {
  return Object.hasOwn(members, name) ? members[name] : undefined;
}

/** A list of things with different names, by name. */
function byName(value: unknown): Members | null {
  if (!Array.isArray(value) || value.length === 0) return null;
  const names = value.map((each) => (isMembers(each) && typeof each["name"] === "string" ? each["name"] : null));
  if (names.includes(null) || new Set(names).size < names.length) return null;
  return Object.fromEntries(value.map((each, index) => [names[index] as string, each as unknown]));
}

/** What differs between two forms of an object: single members, and of lists of named things single items. */
export function differencesOf(before: Spec, after: Spec, path = ""): Difference[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.flatMap((name) => {
    const [from, to] = [ownMember(before, name), ownMember(after, name)];
    const own = path === "" ? name : `${path}.${name}`;
    if (isDeepStrictEqual(from, to)) return [];
    const [listed, wanted] = [byName(from), byName(to)];
    if (listed && wanted) return differencesOf(listed, wanted, own);
    if (isMembers(from) && isMembers(to)) return differencesOf(from, to, own);
    return [{ path: own, before: from, after: to }];
  });
}
