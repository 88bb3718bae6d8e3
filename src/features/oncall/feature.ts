import { withVersion } from "../../http/api/route.ts";
import { holderOf } from "../../http/server/access.ts";
import { type FeatureServer, feature, type Uses } from "../../module/feature.ts";
import { MAX_CALENDAR_BYTES } from "./calendars.ts";
import { serveDaysOff } from "./days-off-routes.ts";
import { onCallSchedules } from "./manage.ts";
import { onCallOverrides, onCallShifts, onCallSwaps } from "./manage-shifts.ts";
import { serveCalendars, servePreferences, serveReading } from "./reading-routes.ts";
import { type GapsPort, gapsBetween, namedOnCall, type OnCallPort, onCall } from "./roster.ts";
import { ON_CALL_CHANGED, type OnCallContext } from "./schedules.ts";
import * as s from "./schema.ts";
import { takeSwap } from "./shifts.ts";
import { OnCallWatch } from "./watch.ts";

const PATH = "/api/v1/oncall";

declare module "../../module/feature.ts" {
  interface Offers {
    readonly onCall: OnCallPort;
    /** The times without anyone on call on a schedule. */
    readonly gapsOf: GapsPort;
    /** Whom the on-call schedules of a project name from an instant on. */
    readonly namedOnCall: typeof namedOnCall;
    readonly onCallWatch: OnCallWatch;
  }
}

/** Who is on call: schedules with shifts, overrides, swaps and calendars. */
export const onCallFeature = feature("oncall", {
  needs: ["users"],
  uses: ["projects", "principals", "notify", "drills", "policiesWithSchedule", "outside", "incidents"],
  open: (core, later) => ({
    onCall: (...parameters) => onCall(core.users, ...parameters),
    gapsOf: (...parameters) => gapsBetween(core.users, ...parameters),
    namedOnCall,
    onCallWatch: new OnCallWatch(core, () => contextOf(later())),
  }),
  effects: ({ onCallWatch }) => ({ "oncall-due": (change) => onCallWatch.changed(change) }),
  dueWork: ({ onCallWatch }) => [onCallWatch.schedules, onCallWatch.calendars],
  stop: ({ onCallWatch }) => onCallWatch.stop(),
  register(server, given) {
    const context = contextOf(given);
    context.events.on("user:rights-changed", (data) =>
      given.onCallWatch.userChanged((data as { readonly userId: string }).userId),
    );
    // Incidents that reached no one look again when others are on call.
    context.events.on(ON_CALL_CHANGED, (data) => {
      const { id: scheduleId } = data as { readonly id: string };
      given.incidents.tryUnreached((_row, { steps }) =>
        steps.some((step) => step.type === "notify" && step.schedules.some(({ id }) => id === scheduleId)),
      );
    });
    for (const each of [...onCallSchedules.routes(context), ...onCallShifts.routes(context)]) server.route(each);
    for (const each of [...onCallOverrides.routes(context), ...onCallSwaps.routes(context)]) server.route(each);
    serveTake(server, context);
    serveDaysOff(server, context);
    serveReading(server, context);
    servePreferences(server, context);
    serveCalendars(server, context);
  },
  async configKinds(given) {
    const { onCallKind } = await import("./config-kind.ts");
    return [onCallKind(contextOf(given))];
  },
  async runtimeKinds(given) {
    const { onCallRuntimeKinds } = await import("./runtime-kinds.ts");
    return onCallRuntimeKinds(contextOf(given));
  },
  async onUserDeleted(trx, userId) {
    await trx.deleteFrom("oncall_days_off").where("userId", "=", userId).execute();
  },
  /** With their shifts and calendars, by the foreign keys. */
  async onProjectDeleted(trx, projectId) {
    const gone = trx.deleteFrom("oncall_schedules").where("projectId", "=", projectId).returning(["id", "version"]);
    return { resourceType: "oncall_schedule", rows: await gone.execute() };
  },
});

function contextOf(given: Omit<OnCallContext, "fetch"> & Uses<"outside">): OnCallContext {
  return { ...given, fetch: given.outside({ maxBodyBytes: MAX_CALENDAR_BYTES }) };
}

function serveTake(server: FeatureServer, context: OnCallContext): void {
  server.route({
    tag: "On-call",
    access: { permission: "events:read", within: "project" },
    params: s.ShiftParams,
    method: "POST",
    path: `${PATH}/schedules/:id/swaps/:shiftId/take`,
    id: "takeOnCallSwap",
    summary: "Take over the shifts of an open swap",
    body: s.TakeSwap,
    response: s.SwapView,
    errors: ["SCHEDULE_NOT_FOUND", "UNAUTHORIZED_ROLE", "RECIPIENT_NOT_FOUND", "SHIFT_NOT_FOUND", "INVALID_STATE"],
    handle: async (exchange, { params, body }) =>
      withVersion(await takeSwap(context, holderOf(exchange), params, body)),
  });
}
