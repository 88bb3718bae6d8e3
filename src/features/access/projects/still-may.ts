import { PrismError } from "../../../core/errors.ts";
import type { UserPrincipal } from "../../../core/principal.ts";
import type { Trx } from "../../../store/database.ts";
import type { ProjectRight } from "../project-rights.ts";
import type { ProjectsContext } from "./context.ts";
import * as queries from "./queries.ts";

/**
 * Asks for a right once more, with the writer in hand: while the caller waited for it the project may have been deleted, the member removed,
 * the account or token ended. The role is read from the table, in the transaction of the change that it allows.
 * @returns the project as it is now. @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, TOKEN_INVALID
 */
export async function requireStill(
  { projects, principals }: ProjectsContext,
  principal: UserPrincipal,
  projectId: string,
  right: ProjectRight,
  trx: Trx,
) {
  const row = await queries.findProject(trx, projectId);
  if (!row) throw new PrismError("PROJECT_NOT_FOUND", "No such project");
  const current = principals.refresh(principal);
  if (!current || current.kind === "apiKey") throw new PrismError("TOKEN_INVALID", "The credential has ended");
  const role = await queries.roleOf(trx, projectId, current.userId);
  projects.require({ ...current, memberships: new Map(role ? [[projectId, role]] : []) }, projectId, right);
  return row;
}
