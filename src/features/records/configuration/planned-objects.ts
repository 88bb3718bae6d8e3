import type { PermissionHolder } from "../../../core/caller.ts";
import { uuidv7 } from "../../../core/ids.ts";
import type { Planned } from "../../../module/config-kind.ts";
import type { Context } from "../../../module/feature.ts";
import type { ProjectRole } from "../../../store/schema.ts";
import type { GivenObject } from "./schema.ts";

/** What the same apply makes of projects, people and members. */
export function plannedOf(
  { projects, users }: Context<"projects" | "users">,
  caller: PermissionHolder,
  given: readonly GivenObject[],
): Planned {
  const { permissions } = caller;
  const of = (kind: string) => given.filter((each) => each.kind === kind);
  const textsOf = (kind: string, member: string) =>
    of(kind).flatMap(({ spec: { [member]: text } }) => (typeof text === "string" ? [text] : []));
  // Others would find out which projects exist: their objects of a new one have no project either way.
  const slugs = permissions.has("projects:create") ? textsOf("projects", "slug") : [];
  const usernames = permissions.has("users:manage") ? textsOf("people", "username") : [];
  const made = new Map(slugs.filter((slug) => projects.find(slug) === undefined).map((slug) => [slug, uuidv7()]));
  // Those who were invited count, too: they get their pages once they have chosen a password.
  const unknown = usernames.filter((name) => users.find(name) === undefined);
  const people = new Map(unknown.map((name) => [name, users.findAny(name) ?? uuidv7()]));
  const members = of("members").flatMap(({ project = "", spec }) => {
    const id = made.get(project) ?? projects.find(project);
    if (id === undefined) return [];
    const roles = Object.entries(spec).flatMap(([ref, role]) => {
      const userId = people.get(ref) ?? users.find(ref);
      const mayName = permissions.has("users:read") || users.reachable([userId ?? ""], id).length > 0;
      return userId === undefined || !mayName ? [] : [[userId, role as ProjectRole] as const];
    });
    return [[id, new Map(roles)] as const];
  });
  return { projects: made, people, members: new Map(members) };
}
