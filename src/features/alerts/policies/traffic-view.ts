import * as v from "valibot";
import { doc, named } from "../../../http/api/shapes.ts";

const RouteCount = v.object({
  path: doc(v.array(v.string()), "Matchers from the root to the route"),
  policy: doc(v.string(), "Name of its policy, as inherited"),
  matched: doc(v.number(), "Alerts that reached it, also those that a child took; 0: it matched nothing"),
  taken: doc(v.number(), "Alerts that it took itself"),
  lastAt: doc(v.nullable(v.string()), "When the last of them began; null: there is none"),
});

export const RouteTraffic = named(
  "RouteTraffic",
  "What each route matched in seven days",
  v.object({
    projectId: v.string(),
    version: doc(v.number(), "Version of the routing document that has these routes"),
    from: doc(v.string(), "Begin of the seven days"),
    alerts: doc(v.number(), "Alerts that fired in these days, and were examined"),
    isCut: doc(v.boolean(), "There were more alerts than are examined: a route without any may have matched one"),
    routes: doc(v.array(RouteCount), "All routes, parents first, in the order of the tree"),
  }),
);
export type RouteTraffic = v.InferOutput<typeof RouteTraffic>;
