import { PrismError } from "../../../core/errors.ts";
import type { ProjectRole } from "../../../store/schema.ts";

/*
 * Who gives a right: `hand`, `file`, or the groups of a provider, as `oidc:<name>` or `proxy:<name>`. Each takes away
 * only what it gave; of several roles in a project the strongest counts.
 */

/** What each source gives: a role in the project; of a role of the server an empty text. */
export type Sources = Readonly<Record<string, string>>;
/** What groups give, as the configuration maps them; a group may give several. */
export type GroupMap = Readonly<Record<string, string | readonly string[]>>;
/** A source that is no provider's. */
export type OwnSource = "hand" | "file";

/** The strongest first. */
const ROLES: readonly ProjectRole[] = ["owner", "editor", "viewer"];

export function isOfGroups(source: string): boolean {
  return source.includes(":");
}

/** @param role of a membership that is by hand alone */
export function readSources({
  sources,
  role = "",
}: {
  readonly sources: string | null;
  readonly role?: string;
}): Sources {
  return sources === null ? { hand: role } : (JSON.parse(sources) as Sources);
}

/** As a column has them. */
export function storedSources(sources: Sources): string | null {
  return Object.keys(sources).join() === "hand" ? null : JSON.stringify(sources);
}

/** What providers give, without what people and files do. */
export function ofGroups(sources: Sources): Sources {
  return Object.fromEntries(Object.entries(sources).filter(([source]) => isOfGroups(source)));
}

/** What a person or a file gives; undefined: nothing. */
export function ownOf({ hand, file }: Sources): string | undefined {
  return hand ?? file;
}

export function without(sources: Sources, source: string): Sources {
  return Object.fromEntries(Object.entries(sources).filter(([each]) => each !== source));
}

/** @returns undefined without any */
export function strongest(roles: readonly string[]): ProjectRole | undefined {
  return ROLES.find((role) => roles.includes(role));
}

/** The source to show: null by hand; a provider only where neither a person nor a file gives as much. */
export function shownSource(sources: Sources, role = ""): string | null {
  if (sources["hand"] === role) return null;
  return sources["file"] === role ? "file" : (Object.keys(sources).find((source) => sources[source] === role) ?? null);
}

/** @param what begins the sentence, such as "The role editor" */
export function fromGroups(what: string, sources: Sources): PrismError {
  const names = Object.keys(ofGroups(sources)).map((source) => source.slice(source.indexOf(":") + 1));
  return new PrismError(
    "RIGHTS_FROM_GROUPS",
    `${what} comes from a group of ${names.join(" and ")}: change the group there, or unlink that account of the person`,
  );
}
