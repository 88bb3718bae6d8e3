import type {
  Routing as ApiRouting,
  Route,
  RoutingDocument as SentDocument,
  TestedRoutes,
} from "../../../src/client/api-types.gen.ts";
import { type Matcher, matcherText, readMatcher } from "../../app/matchers.ts";

export interface RouteNode extends Omit<Route, "routes"> {
  readonly routes?: readonly RouteNode[];
}

export type InhibitRule = NonNullable<SentDocument["inhibitRules"]>[number];

/** In Alertmanager's grammar. */
export interface IntervalItem {
  readonly times?: readonly { readonly start_time: string; readonly end_time: string }[];
  readonly weekdays?: readonly string[];
  readonly days_of_month?: readonly string[];
  readonly months?: readonly string[];
  readonly years?: readonly string[];
  readonly location?: string;
}

export interface NamedInterval {
  readonly name: string;
  readonly intervals: readonly IntervalItem[];
}

export interface RoutingDocument {
  readonly route: RouteNode;
  readonly inhibitRules: readonly InhibitRule[];
  readonly timeIntervals: readonly NamedInterval[];
}

export type Routing = RoutingDocument & Pick<ApiRouting, "projectId" | "version" | "updatedAt">;

export type RouteMatch = TestedRoutes["matches"][number];

/** Indexes from the root. */
export type NodePath = readonly number[];

export function documentOf({ route, inhibitRules, timeIntervals }: Routing): RoutingDocument {
  return { route, inhibitRules, timeIntervals };
}

export function nodeAt(root: RouteNode, path: NodePath): RouteNode | undefined {
  return path.reduce<RouteNode | undefined>((node, at) => node?.routes?.[at], root);
}

export function readAll(texts: readonly string[] = []): readonly Matcher[] {
  return texts.map((text) => readMatcher(text) ?? { name: text, operator: "=", value: "" });
}

/** As the server writes the matchers of a route: sorted by name and value. */
export function trailText(matchers: readonly Matcher[]): string {
  const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  const sorted = [...matchers].sort((a, b) => compare(a.name, b.name) || compare(a.value, b.value));
  return `{${sorted.map(matcherText).join(",")}}`;
}

/** The place of a route in the tree. @param trail the texts of the routes that lead to it, the root first */
export function pathOf(root: RouteNode, [, ...trail]: readonly string[]): NodePath | undefined {
  const path: number[] = [];
  let node = root;
  for (const text of trail) {
    const at = (node.routes ?? []).findIndex(({ matchers }) => trailText(readAll(matchers)) === text);
    const next = node.routes?.[at];
    if (next === undefined) return undefined;
    path.push(at);
    node = next;
  }
  return path;
}

/** The tree with another node at the path; undefined removes it. */
export function withNode(root: RouteNode, path: NodePath, node: RouteNode | undefined): RouteNode {
  const [at, ...rest] = path;
  if (at === undefined) return node ?? root;
  const routes = (root.routes ?? []).flatMap((child, index) => {
    if (index !== at) return [child];
    if (rest.length > 0) return [withNode(child, rest, node)];
    return node ? [node] : [];
  });
  return { ...root, routes };
}

/** Without the members that are undefined, so that they are inherited. */
export function cleanNode(node: { readonly [K in keyof RouteNode]: RouteNode[K] | undefined }): RouteNode {
  return Object.fromEntries(Object.entries(node).filter(([, value]) => value !== undefined)) as RouteNode;
}

export function isSamePath(left: NodePath, right: NodePath): boolean {
  return left.join() === right.join();
}
