import type { Route } from "../../../http/api/route.ts";
import { callerOf } from "../../../http/server/access.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import type { Uses } from "../../../module/feature.ts";

/**
 * The routes that change what files may own, and the kind. Not here, as they are work of the night: pause, resume,
 * rotate, test, overrides, swaps, silences, acknowledgements.
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

interface Place {
  readonly params?: Readonly<Record<string, string | undefined>> | undefined;
  readonly query?: { readonly projectId?: string | undefined } | undefined;
}

/**
 * The route, which refuses to change what only files may change: MANAGED_BY_CODE. Who may not see the project gets the
 * handler's answer.
 */
export function refusingLocked(route: Route, offers: Uses<"projects" | "managedObjects">): Route {
  const kind = LOCKED_ROUTES.get(route.id ?? "");
  if (kind === undefined) return route;
  const { handle } = route;
  const requireUnlocked = (exchange: Exchange, { params, query }: Place): void => {
    const { projects, managedObjects } = offers;
    const caller = callerOf(exchange);
    const given = params?.["id"];
    const id = OF_PROJECT.has(kind) ? projects.find(given ?? projects.refOf(caller, query?.projectId)) : given;
    const locked = id === undefined ? undefined : managedObjects.lockOf(kind, id);
    if (!locked) return;
    if (locked.projectId === null || projects.has(caller, locked.projectId, "project:read")) throw locked.error();
  };
  return Object.defineProperty(route, "handle", {
    value: (...[exchange, input]: Parameters<typeof handle>) => {
      requireUnlocked(exchange, input as Place);
      return handle(exchange, input);
    },
  });
}
