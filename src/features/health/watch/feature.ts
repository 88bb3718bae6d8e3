import { feature } from "../../../module/feature.ts";
import { watchFindings } from "./findings.ts";
import { ServerWatch } from "./server-watch.ts";

declare module "../../../module/feature.ts" {
  interface Offers {
    readonly watch: ServerWatch;
  }
}

/** How the server itself is watched. The app begins it, before anything that is late is done. */
export const watchFeature = feature("watch", {
  needs: ["emergency", "pages", "incidents", "notify", "storeTestEvent"],
  open(context) {
    const { log, settings, pages, incidents } = context;
    return {
      watch: new ServerWatch({
        ...{ ...context, log: log.namespace("watch") },
        options: () => ({ ...settings.current.watch, proxy: settings.current.proxy }),
        handleIncidents: () => incidents.check(),
        throughLane: (send) => pages.throughLane(send),
      }),
    };
  },
  findings: watchFindings,
  start: ({ watch }) => watch.start(),
  reload: ({ watch }) => watch.reload(),
  stop: ({ watch }) => watch.stop(),
});
