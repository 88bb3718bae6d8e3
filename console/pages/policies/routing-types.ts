import type { Labels } from "../../app/matchers.ts";

export interface RouteNode {
  readonly policy?: string;
  readonly matchers?: readonly string[];
  readonly continue?: boolean;
  readonly groupBy?: readonly string[];
  readonly groupWaitMs?: number;
  readonly groupIntervalMs?: number;
  readonly repeatMs?: number;
  readonly muteIntervals?: readonly string[];
  readonly activeIntervals?: readonly string[];
  readonly labels?: Labels;
  readonly routes?: readonly RouteNode[];
}

export interface InhibitRule {
  readonly name?: string;
  readonly sourceMatchers: readonly string[];
  readonly targetMatchers: readonly string[];
  readonly equal?: readonly string[];
}

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

export interface Routing extends RoutingDocument {
  readonly projectId: string;
  readonly version: number;
  readonly updatedAt: string | null;
}

export interface RouteMatch {
  readonly path: readonly string[];
  readonly policy: { readonly id: string; readonly name: string; readonly version: number };
  readonly groupKey: string;
  readonly groupWaitMs: number;
  readonly groupIntervalMs: number;
  readonly repeatMs: number;
  readonly mutedBy: readonly string[];
}

/** Indexes from the root. */
export type NodePath = readonly number[];

export function documentOf({ route, inhibitRules, timeIntervals }: Routing): RoutingDocument {
  return { route, inhibitRules, timeIntervals };
}

export function nodeAt(root: RouteNode, path: NodePath): RouteNode | undefined {
  return path.reduce<RouteNode | undefined>((node, at) => node?.routes?.[at], root);
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
