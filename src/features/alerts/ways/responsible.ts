import type { Trx } from "../../../store/database.ts";
import { administrators, ownersOf, type UserDirectory } from "../../access/index.ts";

/** Who looks after policies of a project. */
export interface Responsible {
  readonly users: readonly string[];
  /** False: they are administrators, and no members of it. */
  readonly isOfProject: boolean;
}

/** Who made the policies if that is an active member, else the project's owners, else administrators. */
export async function responsibleFor(
  users: Pick<UserDirectory, "reachable">,
  trx: Trx,
  projectId: string,
  policyIds: readonly string[],
): Promise<Responsible> {
  const policies = await trx.selectFrom("policies").select(["id", "createdBy"]).where("id", "in", policyIds).execute();
  const makers = new Set(policyIds.map((id) => policies.find((policy) => policy.id === id)?.createdBy ?? ""));
  const found = new Set(users.reachable([...makers], projectId));
  if (found.size < makers.size)
    for (const id of users.reachable(await ownersOf(trx, projectId), projectId)) found.add(id);
  if (found.size > 0) return { users: [...found], isOfProject: true };
  return { users: (await administrators(trx)).map(({ id }) => id), isOfProject: false };
}
