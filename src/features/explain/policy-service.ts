import type { PermissionHolder } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import { toRfc3339 } from "../../core/time/clock.ts";
import type { Uses } from "../../module/feature.ts";
import {
  definitionFrom,
  forecastOfPolicy,
  type PolicyDefinition,
  type RouteSettings,
  rootSettings,
  UNSET_POLICY,
} from "../alerts/index.ts";
import { type AlertExplainContext, forecastParts, nextLines } from "./alert-next.ts";
import type { PolicyTrial, PolicyTrialBody } from "./alert-schema.ts";

/* Whom a policy would notify, and when, as it is stored or with changes. Nothing is stored. */

type Context = AlertExplainContext & Uses<"originOfChannel">;

const NEW_POLICY: PolicyDefinition = { ...UNSET_POLICY, name: "" };

/** @throws PROJECT_NOT_FOUND, POLICY_NOT_FOUND, RECIPIENT_NOT_FOUND, ROLE_NOT_FOUND, VALIDATION_FAILED */
export async function explainPolicy(
  context: Context,
  principal: PermissionHolder,
  { projectId: ref, policy, draft, at: asked }: PolicyTrialBody,
): Promise<PolicyTrial> {
  const { projects, users, originOfChannel: originOf, db } = context;
  const { clock } = context.alerting;
  // Who may change the policy learns the same by saving it.
  const projectId = projects.requireOrDefault(principal, ref, draft ? "policies:write" : "events:read");
  const stored = policy === undefined ? NEW_POLICY : storedPolicy(context, projectId, policy);
  const owner = { principal, projectId };
  const definition = draft
    ? await definitionFrom({ projects, users, originOf }, db.scan, owner, draft, stored)
    : stored;
  const at = asked === undefined ? clock.now() : clock.fromWall(asked);
  const settings = { ...definition, ...timesFor(context, projectId, stored.name) };
  const actions = definition.opensIncidents
    ? await forecastOfPolicy(forecastParts(context), projectId, settings, at)
    : [];
  const next = await nextLines(context, principal, projectId, actions, at);
  return { projectId, at: toRfc3339(at), opensIncidents: definition.opensIncidents, next };
}

/** @throws POLICY_NOT_FOUND */
function storedPolicy(
  { alerting: { policies } }: AlertExplainContext,
  projectId: string,
  policy: string,
): PolicyDefinition {
  const all = policies.of(projectId);
  const found = all.get(policy) ?? [...all.values()].find(({ id }) => id === policy);
  if (!found) throw new PrismError("POLICY_NOT_FOUND", "No such policy");
  return policies.definitionOf(found);
}

/** The times of the first route to a policy; its steps begin at once. */
function timesFor({ alerting: { policies } }: AlertExplainContext, projectId: string, name: string) {
  const routing = policies.routingOf(projectId);
  const route: RouteSettings = routing.routes.find((each) => each.policy === name) ?? rootSettings(routing);
  const { groupIntervalMs, repeatMs } = route;
  return { groupWaitMs: 0, groupIntervalMs, repeatMs };
}
