import type { RouteTraffic } from "../../../src/client/api-types.gen.ts";
import { Badge, formatNumber, formatRelative, plural } from "../../ui/index.ts";
import type { NodePath, RouteNode } from "./routing-types.ts";

type Count = RouteTraffic["routes"][number];

/** What routes matched, by their indexes from the root. */
export type CountByPath = ReadonlyMap<string, Count>;

/** The answer lists the routes parents first, as the tree is walked. */
export function countsOf(root: RouteNode, { routes }: RouteTraffic): CountByPath {
  const found = new Map<string, Count>();
  const walk = (node: RouteNode, path: NodePath) => {
    const count = routes[found.size];
    if (count) found.set(path.join(), count);
    for (const [at, child] of (node.routes ?? []).entries()) walk(child, [...path, at]);
  };
  walk(root, []);
  return found;
}

export function Matched({ count }: { readonly count: Count | undefined }) {
  if (!count) return null;
  const { matched, lastAt } = count;
  if (matched === 0) return <Badge tone="warn">matched nothing in 7 days</Badge>;
  return (
    <span class="muted small" title={lastAt === null ? undefined : `The last one began ${formatRelative(lastAt)}`}>
      matched {formatNumber(matched)} in 7 days
    </span>
  );
}

/** What the numbers of the tree are. @param traffic undefined: it is being counted */
export function TrafficNote({ traffic }: { readonly traffic: RouteTraffic | undefined }) {
  if (!traffic) return <p class="muted small">The alerts of the last 7 days are run through these routes: counting.</p>;
  const { alerts, isCut, routes } = traffic;
  if (alerts === 0) return <p class="muted small">No alert fired in the last 7 days: no route matched any.</p>;
  const dead = routes.filter(({ matched }) => matched === 0).length;
  return (
    <p class="muted small">
      {plural(alerts, "alert")} of the last 7 days, run through these routes
      {dead > 0 && `: ${plural(dead, "route")} matched none`}.
      {isCut && " There were more: only the newest are examined."}
    </p>
  );
}
