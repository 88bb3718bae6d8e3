import { type Route, route } from "../../../http/api/route.ts";
import { callerOf } from "../../../http/server/access.ts";
import { feature } from "../../../module/feature.ts";
import { silenceSweep } from "../retention.ts";
import { isOwn, PATH, read, requireVisible, requireWriter, rightToChange, silences, tag, write } from "./manage.ts";
import { previewSilence, type SilencesContext } from "./requests.ts";
import * as s from "./schema.ts";
import { Silence } from "./silence.ts";

/** Silences and maintenance windows. */
export const silencesFeature = feature("silences", {
  needs: ["projects", "silences"],
  register(server, context) {
    const warnHits = () => context.settings.silences.warnHits;
    for (const each of silenceRoutes({ ...context, warnHits })) server.route(each);
  },
  async runtimeKinds(context) {
    const { silencesKind } = await import("./runtime-kind.ts");
    return [silencesKind({ ...context, warnHits: () => context.settings.silences.warnHits })];
  },
  sweeps: ({ settings }) => [silenceSweep(() => settings.retention.silenceDays)],
});

function silenceRoutes(context: SilencesContext): Route[] {
  const preview = route({
    ...{ tag, access: read, method: "POST", path: `${PATH}/preview`, id: "previewSilence" },
    summary: "List the alerts and incidents that a silence would silence now; nothing is stored",
    body: s.PreviewSilence,
    response: s.PreviewView,
    errors: ["INCIDENT_NOT_FOUND", "PROJECT_NOT_FOUND", "INVALID_CRON"],
    handle: (exchange, { body }) => previewSilence(context, callerOf(exchange), body),
  });
  const expire = route({
    ...{ tag, access: write, method: "DELETE", path: `${PATH}/:id`, id: "expireSilence", params: s.SilenceParams },
    summary: "End a silence now; it is kept for `retention.silenceDays`",
    query: s.ExpireQuery,
    errors: ["SILENCE_NOT_FOUND"],
    async handle(exchange, { params: { id }, query: { only } }) {
      const { db, projects, silences: known } = context;
      const caller = callerOf(exchange);
      await db.write(async (trx) => {
        const row = requireVisible(projects, caller, await Silence.find(trx, id), rightToChange(caller));
        // A person may end a silence of the person's own.
        if (!isOwn(projects, caller, row)) requireWriter(projects, caller, row);
        if (only === "window") await known.expireSpan(row.projectId, id, { trx });
        else await silences.remove(context, trx, row, caller, undefined);
      });
    },
  });
  return [...silences.routes(context), preview, expire];
}
