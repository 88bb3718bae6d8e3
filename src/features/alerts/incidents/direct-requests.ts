import * as v from "valibot";
import type { PermissionHolder } from "../../../core/caller.ts";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { doc, example, object, text } from "../../../http/api/shapes.ts";
import type { Trx } from "../../../store/database.ts";
import type { UserDirectory } from "../../access/index.ts";
import type { PolicyRef } from "../policies/policies.ts";
import { schedules, users } from "../policies/policy.ts";
import { requireSchedules } from "../policies/service.ts";
import type { IncidentView } from "./incident.ts";
import { type Act, act, actorOf, type IncidentsContext } from "./requests.ts";
import type { Named } from "./responders.ts";
import { incidentView } from "./view.ts";

/* People page others: they open an incident, add responders to one, or give it to others. */

const note = v.optional(doc(text(1000, 1), "Added to the timeline"));
const who = {
  users: v.optional(doc(users, "Ids, external ids or usernames of members of the project")),
  schedules: v.optional(doc(schedules, "On-call schedules: their current users")),
};

export const PageBody = example(
  object({
    projectId: v.optional(doc(text(64, 1), "Id or slug of a project; default: the default project")),
    title: doc(text(255, 1), "What it is about"),
    message: v.optional(doc(text(3000), "What the people who are paged should know")),
    urgency: v.optional(doc(v.picklist(["high", "low"]), "Default `high`")),
    ...who,
    policy: v.optional(
      doc(
        text(255, 1),
        "Name or id of the policy that follows after 10 minutes without an acknowledgement, or at once if no one is " +
          "named; default `default`",
      ),
    ),
  }),
  { title: "The shop is slow", message: "Customers wait 20 s. Can you look?", users: ["admin"] },
);
type PageBody = v.InferOutput<typeof PageBody>;

export const RespondersBody = example(object({ ...who, note }), { users: ["admin"] });
type RespondersBody = v.InferOutput<typeof RespondersBody>;

export const ReassignBody = example(
  object({
    users: doc(v.pipe(users, v.minLength(1)), "Ids, external ids or usernames of members of the project"),
    note,
  }),
  { users: ["admin"] },
);
type ReassignBody = v.InferOutput<typeof ReassignBody>;

export interface DirectContext extends IncidentsContext {
  readonly users: UserDirectory;
}

/** Opens an incident. @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, RECIPIENT_NOT_FOUND, VALIDATION_FAILED */
export async function pagePeople(
  context: DirectContext,
  principal: PermissionHolder,
  body: PageBody,
  trx: Trx,
): Promise<IncidentView> {
  const { projects, policies, incidents } = context;
  const projectId = projects.requireOrDefault(principal, body.projectId, "incidents:act");
  const named = await namedIn(context, principal, projectId, body, trx);
  if (named.users.length + named.schedules.length === 0 && body.policy === undefined)
    throw invalidField("body", "users", "name users, schedules or a policy");
  const actor = { id: actorOf(principal), via: "api" };
  const row = await incidents.page(
    {
      ...named,
      projectId,
      title: body.title,
      message: body.message ?? "",
      urgency: body.urgency ?? "high",
      policy: policyIn(context, projectId, body.policy),
      by: { by: actor.id, byName: principal.kind === "operator" ? "The operator" : principal.name },
    },
    actor,
    { trx },
  );
  return incidentView(policies, row);
}

/**
 * Pages further people of an incident now, or gives it to others. @throws as {@link act},
 * RECIPIENT_NOT_FOUND, VALIDATION_FAILED
 */
export function pageFor(
  context: DirectContext,
  principal: PermissionHolder,
  id: string,
  action: "addResponders" | "reassign",
  body: RespondersBody | ReassignBody,
  trx: Trx,
): Promise<IncidentView> {
  const change: Act = async (incidents, each, actor, { projectId }) => {
    const named = await namedIn(context, principal, projectId, body, trx);
    if (named.users.length + named.schedules.length === 0)
      throw invalidField("body", "users", "name users or schedules");
    if (body.note !== undefined) await incidents.note(each, body.note, actor, { trx });
    await incidents[action](each, named, actor, { trx });
  };
  return act(context, principal, id, change, { db: trx });
}

/** @throws RECIPIENT_NOT_FOUND */
async function namedIn(
  context: DirectContext,
  principal: PermissionHolder,
  projectId: string,
  { users: refs = [], ...body }: Pick<RespondersBody, "users" | "schedules">,
  trx: Trx,
): Promise<Named> {
  const targets = (body.schedules ?? []).map(({ id, who: which = "current" as const }) => ({ id, who: which }));
  await requireSchedules(context, principal, trx, targets, "schedules");
  return { users: context.users.existing(refs, projectId, "users"), schedules: targets };
}

/** @throws POLICY_NOT_FOUND */
function policyIn({ policies }: DirectContext, projectId: string, ref = "default"): PolicyRef {
  const known = policies.of(projectId);
  const found = known.get(ref) ?? [...known.values()].find(({ id }) => id === ref);
  if (!found) throw new PrismError("POLICY_NOT_FOUND", "The project has no such policy");
  return found;
}
