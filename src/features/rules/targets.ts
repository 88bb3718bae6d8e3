import { PrismError } from "../../core/errors.ts";
import type { Trx } from "../../store/database.ts";
import type { UserDirectory } from "../access/index.ts";
import * as queries from "./queries.ts";

type Targets = Pick<queries.RuleRow, "targetRoles" | "targetUsers">;

interface GivenTargets {
  readonly targetRoles?: readonly string[] | undefined;
  readonly targetUsers?: readonly string[] | undefined;
}

/**
 * Whom a rule is to reach, as it is stored: ids, for a role that is renamed stays meant. What is not given stays and is not asked about again,
 * so that a rule can be renamed after one of its users was disabled; a rule that moves to another project has its users asked for there.
 * @param old the rule as it was; null for a new one. @throws ROLE_NOT_FOUND, RECIPIENT_NOT_FOUND, VALIDATION_FAILED without any recipient
 */
export async function resolveTargets(
  trx: Trx,
  directory: UserDirectory,
  projectId: string | null,
  given: GivenTargets,
  old: (Targets & Pick<queries.RuleRow, "projectId">) | null,
): Promise<Targets> {
  const isMoved = old !== null && old.projectId !== projectId;
  const users = given.targetUsers ?? (isMoved ? (JSON.parse(old.targetUsers) as string[]) : undefined);
  const targets = {
    targetRoles: given.targetRoles ? JSON.stringify(await roleIds(trx, given.targetRoles)) : (old?.targetRoles ?? "[]"),
    targetUsers: users
      ? JSON.stringify(await directory.recipients(users, trx, projectId, "targetUsers"))
      : (old?.targetUsers ?? "[]"),
  };
  if (targets.targetRoles !== "[]" || targets.targetUsers !== "[]") return targets;
  throw new PrismError("VALIDATION_FAILED", "The body is not valid", {
    details: [{ path: "targetRoles", code: "REQUIRED", message: "name at least one role or user" }],
  });
}

async function roleIds(trx: Trx, refs: readonly string[]): Promise<string[]> {
  const names = await queries.roleNames(trx);
  const ids = refs.map((ref, at) => {
    const id = roleId(names, ref);
    if (id === undefined) {
      throw new PrismError("ROLE_NOT_FOUND", `No such role: ${ref}`, {
        details: [{ path: `targetRoles.${at}`, code: "ROLE_NOT_FOUND", message: "is no role" }],
      });
    }
    return id;
  });
  return [...new Set(ids)];
}

/** The id of a role that is meant by id or by name, in whatever case. */
export function roleId(names: ReadonlyMap<string, string>, ref: string): string | undefined {
  if (names.has(ref)) return ref;
  const wanted = ref.toLowerCase();
  for (const [id, name] of names) if (name.toLowerCase() === wanted) return id;
  return undefined;
}
