import { PrismError } from "../../core/errors.ts";
import type { Principal } from "../../core/principal.ts";
import type { RulesContext } from "./context.ts";
import type { RuleEvent } from "./language/language.ts";

/** An event of the log, to try a condition on. @throws EVENT_NOT_FOUND, also where the caller may not read events. */
export async function readableEvent(
  { db, projects }: RulesContext,
  principal: Principal,
  id: string,
): Promise<RuleEvent> {
  const row = await db.read.selectFrom("events").selectAll().where("id", "=", id).executeTakeFirst();
  if (!row || !projects.has(principal, row.projectId, "events:read"))
    throw new PrismError("EVENT_NOT_FOUND", "No such event");
  return {
    ...row,
    payload: JSON.parse(row.payload) as Record<string, unknown>,
    correlationId: row.correlationId ?? row.id,
  };
}
