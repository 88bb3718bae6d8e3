import { isDeepStrictEqual } from "node:util";
import type { PermissionHolder } from "../../core/caller.ts";
import { URGENT_PRIORITY } from "../../http/api/shapes.ts";
import { missingPermission } from "../../http/server/access.ts";
import type { Trx } from "../../store/database.ts";
import { owned, type Projects } from "../access/index.ts";
import * as queries from "./queries.ts";
import { Rule, type RuleRow, type VisibleProjects } from "./rule.ts";

// Access to rules. A rule with `projectId` null acts on the events of every project. A caller with
// `rules:write` but without `projects:all` may restrict such a rule (disable it, delete it, move it
// to a project) but not create one: it would reveal events of projects that the caller may not
// read.

export const ruleAccess = owned<RuleRow, PermissionHolder>(Rule, {
  read: "rules:read",
  write: "rules:write",
  missing: "RULE_NOT_FOUND",
  noun: "rule",
  ofNone: ({ permissions }, _row, right) => (permissions as ReadonlySet<string>).has(right),
});

export function visibleProjects(projects: Projects, principal: PermissionHolder): VisibleProjects {
  const withGlobal = principal.permissions.has("rules:read");
  if (withGlobal && seesAllProjects(principal)) return { projectIds: null, withGlobal };
  const candidates = new Set([projects.defaultId, ...principal.memberships.keys()]);
  return { projectIds: [...candidates].filter((id) => projects.has(principal, id, "rules:read")), withGlobal };
}

/**
 * The project of a new rule. @param ref id or slug; null: every project; undefined: every project
 * for holders of `projects:all`, the default project for everyone else. @throws PROJECT_NOT_FOUND,
 * UNAUTHORIZED_ROLE
 */
export function projectOf(
  projects: Projects,
  principal: PermissionHolder,
  ref: string | null | undefined,
): string | null {
  if (typeof ref === "string") return projects.require(principal, ref, "rules:write");
  if (!principal.permissions.has("rules:write"))
    throw missingPermission("rules:write", "or a projectId of a project that you own");
  if (seesAllProjects(principal)) return null;
  if (ref === undefined) return projects.defaultId;
  throw missingPermission("projects:all", "leave projectId out for a rule of the default project");
}

/** The project of a changed rule; undefined leaves it. @throws as {@link projectOf} */
export function projectAfter(
  projects: Projects,
  principal: PermissionHolder,
  old: RuleRow,
  ref: string | null | undefined,
): string | null {
  return ref === undefined || ref === old.projectId ? old.projectId : projectOf(projects, principal, ref);
}

/**
 * A changed rule as the caller may store it. Without `projects:all` a rule for every project whose
 * content changes becomes one of the default project, unless another project would lose it. @throws
 * UNAUTHORIZED_ROLE in that case
 */
export async function allowedRow(
  { defaultId }: Projects,
  principal: PermissionHolder,
  old: RuleRow,
  row: RuleRow,
  trx: Trx,
): Promise<RuleRow> {
  if (row.projectId !== null || seesAllProjects(principal)) return row;
  if (isDeepStrictEqual(contentOf(row), contentOf(old))) return row;
  if (!(await queries.hasProjectBesides(trx, defaultId))) return { ...row, projectId: defaultId };
  throw missingPermission(
    "projects:all",
    "this rule acts on every project; " +
      'send projectId "default" with the change to make it a rule of the default project',
  );
}

/**
 * An active rule that ignores quiet hours requires the permission to send notifications: otherwise
 * a project's owner could wake people who only agreed to be members. @throws UNAUTHORIZED_ROLE
 */
export function requirePriority({ permissions }: PermissionHolder, { priority, active }: RuleRow): void {
  if (priority < URGENT_PRIORITY || active === 0 || permissions.has("notifications:send")) return;
  throw missingPermission("notifications:send", `or a priority below ${URGENT_PRIORITY}`);
}

function seesAllProjects(principal: PermissionHolder): boolean {
  return principal.permissions.has("projects:all");
}

/** The members that decide who sees which events. */
function contentOf(row: RuleRow) {
  const { condition, targetRoles, targetUsers, channels, titleTemplate, messageTemplate, action } = row;
  const { suppression, dedupe, threshold, absence, alert } = row;
  const texts = { channels, titleTemplate, messageTemplate, action };
  return { condition, targetRoles, targetUsers, ...texts, suppression, dedupe, threshold, absence, alert };
}
