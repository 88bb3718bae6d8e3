import { currentCaller, runAs } from "../../../core/caller.ts";
import type { Route } from "../../../http/api/route.ts";
import { callerOf } from "../../../http/server/access.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import type { Uses } from "../../../module/feature.ts";

/**
 * The routes that change what files may own, and the kind: they are refused before they do any work. Not here, as they
 * are work of the night: pause, resume, rotate, test, overrides, swaps, silences, acknowledgements.
 */
const LOCKED: Readonly<Record<string, string>> = {
  ...{ updateRole: "roles", deleteRole: "roles", updateUser: "people", deleteUser: "people" },
  ...{ updateProject: "projects", deleteProject: "projects" },
  ...{ addProjectMember: "members", updateProjectMember: "members", removeProjectMember: "members" },
  ...{ updateChannel: "channels", deleteChannel: "channels" },
  ...{ updateOnCallSchedule: "oncall", deleteOnCallSchedule: "oncall" },
  ...{ createOnCallShift: "oncall", updateOnCallShift: "oncall", deleteOnCallShift: "oncall" },
  ...{ updatePolicy: "policies", patchPolicy: "policies", deletePolicy: "policies", putRouting: "routes" },
  ...{ updateRule: "rules", patchRule: "rules", deleteRule: "rules", restoreRuleVersion: "rules" },
  ...{ updateHeartbeat: "heartbeats", deleteHeartbeat: "heartbeats" },
  ...{ updateReceiver: "receivers", deleteReceiver: "receivers" },
  ...{ updateIntegration: "integrations", deleteIntegration: "integrations" },
  ...{ updateWebhook: "webhooks", deleteWebhook: "webhooks", putStatusPage: "statusPage" },
  ...{ setBucketThreshold: "buckets", deleteTransferBucket: "buckets" },
  ...{ updateSchedule: "jobs", deleteSchedule: "jobs" },
};
/** Their objects have the id of the project. */
const OF_PROJECT: ReadonlySet<string> = new Set(["projects", "members", "routes", "statusPage"]);

export const LOCKED_ROUTES: ReadonlyMap<string, string> = new Map(Object.entries(LOCKED));

/**
 * Changes of what files may own, as the audit trail names them. All other routes are refused by the rows that they
 * record: imports and other protocols find the objects only in what they are sent.
 */
const LOCKED_CHANGES: Readonly<Record<string, string>> = {
  ...{ "role.update": "roles", "role.delete": "roles", "user.update": "people", "user.delete": "people" },
  ...{ "channel.update": "channels", "channel.delete": "channels", "routing.update": "routes" },
  ...{ "policy.update": "policies", "policy.delete": "policies", "rule.update": "rules", "rule.delete": "rules" },
  ...{ "heartbeat.update": "heartbeats", "heartbeat.delete": "heartbeats" },
  ...{ "receiver.update": "receivers", "receiver.delete": "receivers", "status_page.update": "statusPage" },
  ...{ "integration.update": "integrations", "integration.delete": "integrations" },
  ...{ "webhook.update": "webhooks", "webhook.delete": "webhooks" },
  ...{ "ntfy_topic.update": "ntfyTopics", "ntfy_topic.delete": "ntfyTopics", "ntfy_access.set": "ntfyAccess" },
  ...{ "schedule.update": "jobs", "schedule.delete": "jobs" },
};
/** Routes, by id or path, that record such a change and are allowed, and why. */
const ALLOWED_ROUTES: ReadonlyMap<string, string> = new Map([
  ["applyConfiguration", "the files themselves"],
  ["updateMe", "people keep their own profile"],
  ["patchProfile", "people keep their own profile"],
  ["changePassword", "no file has a password"],
  ["/api/v1/operator/users/:ref/password", "no file has a password"],
]);

interface Place {
  readonly params?: Readonly<Record<string, string | undefined>> | undefined;
  readonly query?: { readonly projectId?: string | undefined } | undefined;
}

type LockOffers = Uses<"projects" | "managedObjects">;

/**
 * The route, which refuses to change what only files may change: MANAGED_BY_CODE. Who may not see the project gets the
 * handler's answer.
 */
export function refusingLocked(route: Route, offers: LockOffers): Route {
  const { id = route.path, handle, method, quiet, withoutContext } = route;
  if (method === "GET" || quiet || withoutContext || ALLOWED_ROUTES.has(id)) return route;
  return Object.defineProperty(route, "handle", {
    value: (...[exchange, input]: Parameters<typeof handle>) => {
      const { managedObjects } = offers;
      if (!managedObjects.hasLocks) return handle(exchange, input);
      requireUnlocked(offers, LOCKED_ROUTES.get(id), exchange, input as Place);
      const onAudit = (action: string, resourceId = "") => {
        const kind = LOCKED_CHANGES[action];
        if (kind !== undefined) managedObjects.requireUnlocked(kind, resourceId);
      };
      return runAs({ ...currentCaller(), onAudit }, () => handle(exchange, input));
    },
  });
}

function requireUnlocked(
  { projects, managedObjects }: LockOffers,
  kind: string | undefined,
  exchange: Exchange,
  { params, query }: Place,
): void {
  if (kind === undefined) return;
  const caller = callerOf(exchange);
  const given = params?.["id"];
  const id = OF_PROJECT.has(kind) ? projects.find(given ?? projects.refOf(caller, query?.projectId)) : given;
  const locked = id === undefined ? undefined : managedObjects.lockOf(kind, id);
  if (!locked) return;
  if (locked.projectId === null || projects.has(caller, locked.projectId, "project:read")) throw locked.error();
}
