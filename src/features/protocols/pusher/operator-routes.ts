import { type Route, route, undescribed } from "../../../http/api/route.ts";
import type { Context } from "../../../module/feature.ts";
import { rotatePusherSecret } from "./pusher-app.ts";

const PATH = "/api/v1/operator/pusher-app";
/** On the control socket only. */
const shared = { tag: "Operator", access: { operatorOnly: true }, undocumented: true, response: undescribed } as const;

/** The operator's routes for the server's own app. */
export function operatorRoutes(context: Context<"pusher">): Route[] {
  const { config, pusher, readsOnly, isForCommand } = context;
  const shown = route({
    ...shared,
    method: "GET",
    path: PATH,
    summary: "Get the app of the Pusher server; the secret of a configured one is not shown",
    handle() {
      if (readsOnly) throw readsOnly;
      const { appId, key, secret } = pusher;
      return config.pusher.secret === undefined ? { appId, key, secret } : { appId, key };
    },
  });
  const rotate = route({
    ...shared,
    method: "POST",
    path: `${PATH}/rotate`,
    summary: "Give this server's own Pusher app another secret",
    handle: () => rotatePusherSecret(context),
  });
  // A running server would go on with the secret that it has read.
  return isForCommand ? [shown, rotate] : [shown];
}
