import { feature } from "../../../module/feature.ts";
import { silenceSweep } from "../retention.ts";
import { silenceRoutes } from "./manage.ts";

/** Silences and maintenance windows. */
export const silencesFeature = feature("silences", {
  needs: ["projects", "silences"],
  register(server, context) {
    const warnHits = () => context.settings.silences.warnHits;
    for (const each of silenceRoutes({ ...context, warnHits })) server.route(each);
  },
  sweeps: ({ settings }) => [silenceSweep(() => settings.retention.silenceDays)],
});
