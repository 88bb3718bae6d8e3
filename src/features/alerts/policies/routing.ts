import * as v from "valibot";
import { type ErrorDetail, MAX_ERROR_DETAILS, PrismError } from "../../../core/errors.ts";
import { DAY_MS } from "../../../core/time/clock.ts";
import { doc, integer, jsonObject, named, namesOf, object, sameShape, text } from "../../../http/api/shapes.ts";
import { checkShape } from "../../../http/body/input.ts";
import type { Urgency } from "../../../store/schema/alerts.ts";
import { type LabelRecord, type Labels, labelRecord, labelsOf, labelsText, pickLabels } from "../model/labels.ts";
import { type Matcher, matchersText, parseMatcher } from "../model/matchers.ts";
import {
  compileMatchers,
  type LabelsTest,
  MAX_DOCUMENT_SIZE,
  type PatternTests,
  patternTest,
  preparePatterns,
} from "../model/matching.ts";
import { parseTimeIntervals, type TimeInterval } from "../model/time-intervals.ts";
import { DEFAULT_POLICY, type GroupTimes } from "./policy.ts";

/*
 * The routing document of a project. It has the meaning of Alertmanager's `route`, `inhibit_rules`
 * and `time_intervals`: https://prometheus.io/docs/alerting/latest/configuration/
 */

const MAX_ROUTES = 1000;
const MAX_DEPTH = 32;
const MAX_ITEMS = 1000;
/** Each look at an alert asks every rule. */
const MAX_INHIBIT_RULES = 100;
const MAX_CHILD_BYTES = 1_048_576;
const ALL_LABELS = "...";

const name = text(255, 1);
const names = v.pipe(v.array(name), v.maxLength(100));
const matchers = v.pipe(v.array(text(4096, 1)), v.maxLength(100));
const labels = v.record(v.pipe(v.string(), v.maxLength(255)), v.pipe(v.string(), v.maxLength(1024)));

/** A node of the tree as it is written. */
export interface RouteNode {
  readonly policy?: string | undefined;
  readonly matchers?: readonly string[] | undefined;
  readonly continue?: boolean | undefined;
  readonly groupBy?: readonly string[] | undefined;
  readonly groupWaitMs?: number | undefined;
  readonly groupIntervalMs?: number | undefined;
  readonly repeatMs?: number | undefined;
  readonly muteIntervals?: readonly string[] | undefined;
  readonly activeIntervals?: readonly string[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly routes?: readonly RouteNode[] | undefined;
}

const Route = named(
  "Route",
  "A node of the routing tree; members that are left out are its parent's, except matchers and intervals",
  object({
    policy: v.optional(doc(namesOf("policies", name), "Name of the policy")),
    matchers: v.optional(doc(matchers, 'Matchers such as `team="db"`, all of which must match; none at the root')),
    continue: v.optional(doc(v.boolean(), "Whether its siblings are asked too after it matched; default false")),
    groupBy: v.optional(doc(names, 'Labels whose values make a group; `["..."]`: all labels')),
    groupWaitMs: v.optional(doc(integer(0, DAY_MS), "Wait before the first notification of a group")),
    groupIntervalMs: v.optional(doc(integer(1000, 7 * DAY_MS), "Shortest time between looks at a group")),
    repeatMs: v.optional(doc(integer(60_000, 365 * DAY_MS), "An open incident is notified again after this time")),
    muteIntervals: v.optional(doc(names, "Time intervals in which nothing is sent")),
    activeIntervals: v.optional(doc(names, "Time intervals outside of which nothing is sent")),
    labels: v.optional(doc(labels, "Labels of the route, added to its parent's")),
    routes: v.optional(
      sameShape(
        doc(
          v.pipe(v.array(jsonObject(MAX_CHILD_BYTES)), v.maxLength(MAX_ITEMS)),
          "Children, asked in order: such nodes",
        ),
      ),
    ),
  }),
);

const InhibitRule = object({
  name: v.optional(doc(text(255), "Name shown in explanations")),
  sourceMatchers: doc(matchers, "Matchers of the alerts that inhibit"),
  targetMatchers: doc(matchers, "Matchers of the alerts that are inhibited"),
  equal: v.optional(doc(names, "Labels that must have the same value on both")),
});

const NamedInterval = object({
  name: doc(name, "Name for routes and policies"),
  intervals: doc(
    v.pipe(v.array(v.looseObject({})), v.maxLength(100)),
    "Items as in Alertmanager's `time_intervals`, with `location` for the zone",
  ),
});

export const RoutingDocument = named(
  "RoutingDocument",
  "How alerts of a project reach policies",
  object({
    route: doc(Route, "The root: it takes every alert that no child takes"),
    inhibitRules: v.optional(
      doc(v.pipe(v.array(InhibitRule), v.maxLength(MAX_INHIBIT_RULES)), "Alerts that mute others"),
    ),
    timeIntervals: v.optional(doc(v.pipe(v.array(NamedInterval), v.maxLength(MAX_ITEMS)), "Named time intervals")),
  }),
);
export type RoutingDocument = v.InferOutput<typeof RoutingDocument>;

/** Without a document everything goes to the built-in policy, a first alert at once. */
export const BUILT_IN_ROUTING: RoutingDocument = {
  route: { policy: DEFAULT_POLICY, groupBy: ["alertname"], groupWaitMs: 0, groupIntervalMs: 60_000 },
};

/** The settings of a node, its parents' included. An incident keeps those of its route. */
export interface RouteSettings extends GroupTimes {
  readonly policy: string;
  readonly groupBy: readonly string[];
  readonly muteIntervals: readonly string[];
  readonly activeIntervals: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** Texts of the matchers from the root to the node, such as `{}`, `{team="db"}`. */
  readonly path: readonly string[];
  /** Set for the incident that reports a silent source. */
  readonly silentSource?: SilentSource;
}

/** Settings that an incident about a silent source takes over from the incidents it replaces. */
export interface SilentSource {
  readonly sender: string;
  /** The highest of theirs: steps of lower urgency are raised to it. */
  readonly urgency: Urgency;
  /** How many they are. */
  readonly incidents: number;
  /** Ids of users who were notified of them, or would have been. */
  readonly people: readonly string[];
}

/** As in Alertmanager. */
const ROOT_SETTINGS: RouteSettings = {
  policy: DEFAULT_POLICY,
  groupBy: [],
  groupWaitMs: 30_000,
  groupIntervalMs: 300_000,
  repeatMs: 14_400_000,
  muteIntervals: [],
  activeIntervals: [],
  labels: {},
  path: [],
};

interface CompiledRoute {
  readonly settings: RouteSettings;
  readonly test: LabelsTest;
  readonly continues: boolean;
  readonly children: readonly CompiledRoute[];
}

/** A route that takes an alert, and the group it belongs to. */
export interface RouteMatch {
  readonly settings: RouteSettings;
  /** Alertmanager's text form, such as `{}/{team="db"}:{alertname="A"}`. */
  readonly groupKey: string;
  readonly groupLabels: LabelRecord;
}

export interface CompiledInhibitRule {
  readonly name: string;
  readonly sourceMatchers: readonly Matcher[];
  readonly targetMatchers: readonly Matcher[];
  readonly equal: readonly string[];
}

/** A document ready for use. */
export interface CompiledRouting {
  /** 0: the built-in document. */
  readonly version: number;
  readonly document: RoutingDocument;
  /** Every route that takes an alert with these labels, in the order of the tree. */
  match(labels: LabelRecord): RouteMatch[];
  /** All nodes, parents first. */
  readonly routes: readonly RouteSettings[];
  readonly inhibitRules: readonly CompiledInhibitRule[];
  readonly timeIntervals: ReadonlyMap<string, readonly TimeInterval[]>;
}

/** The settings of the root, for incidents that no alert opens. */
export function rootSettings({ routes }: CompiledRouting): RouteSettings {
  return routes[0] ?? ROOT_SETTINGS;
}

/**
 * {@link compileRouting} of a document that a request gives, at its cost and in turns of the loop.
 * @throws VALIDATION_FAILED, WORK_LIMITED
 */
export async function compileGiven(document: RoutingDocument): Promise<CompiledRouting> {
  return compileRouting(document, 0, await preparePatterns(matchersIn(document), MAX_DOCUMENT_SIZE));
}

/** Those that can be read. */
function matchersIn({ route, inhibitRules = [] }: RoutingDocument): Matcher[] {
  const textsIn = ({ matchers: own = [], routes = [] }: RouteNode): string[] => [...own, ...routes.flatMap(textsIn)];
  const others = inhibitRules.flatMap(({ sourceMatchers, targetMatchers }) => [...sourceMatchers, ...targetMatchers]);
  return [...textsIn(route), ...others].flatMap((each) => attempt(() => [parseMatcher(each)], "", []));
}

/** @throws VALIDATION_FAILED with the path of each problem */
export function compileRouting(
  document: RoutingDocument,
  version: number,
  testOf: PatternTests = patternTest,
): CompiledRouting {
  const problems: ErrorDetail[] = [];
  const timeIntervals = intervalsOf(document, problems);
  const compiling = { problems, testOf, timeIntervals, count: { routes: 0 } };
  const root = compileRoute(document.route, ROOT_SETTINGS, "route", compiling);
  const inhibitRules = (document.inhibitRules ?? []).map((rule, at) => ({
    name: rule.name ?? "",
    sourceMatchers: parsed(rule.sourceMatchers, `inhibitRules.${at}.sourceMatchers`, compiling),
    targetMatchers: parsed(rule.targetMatchers, `inhibitRules.${at}.targetMatchers`, compiling),
    equal: rule.equal ?? [],
  }));
  if (problems.length > 0) throw invalid(problems);
  return {
    version,
    document,
    match: (record) => matchesOf(root, labelsOf(record)),
    routes: settingsIn(root),
    inhibitRules,
    timeIntervals,
  };
}

/** The document with each node of its tree checked as the root was. @throws VALIDATION_FAILED */
export function checkedRouting(document: RoutingDocument): RoutingDocument {
  return { ...document, route: withCheckedChildren(document.route, "route", 1) };
}

type RouteInput = v.InferOutput<typeof Route>;

function withCheckedChildren(node: RouteInput, path: string, depth: number): RouteInput {
  if (node.routes === undefined) return node;
  if (depth > MAX_DEPTH) throw invalid([problem(path, `the tree is deeper than ${MAX_DEPTH} routes`)]);
  const routes = node.routes.map((child, at) => {
    const childPath = `${path}.routes.${at}`;
    return withCheckedChildren(checkedAt(child, childPath), childPath, depth + 1);
  });
  return { ...node, routes };
}

function checkedAt(child: unknown, path: string): RouteInput {
  try {
    return checkShape(Route, child, "body");
  } catch (error) {
    if (!(error instanceof PrismError)) throw error;
    const details = error.details ?? [];
    throw invalid(details.map((each) => ({ ...each, path: each.path ? `${path}.${each.path}` : path })));
  }
}

function invalid(problems: readonly ErrorDetail[]): PrismError {
  const details = problems.slice(0, MAX_ERROR_DETAILS);
  return new PrismError("VALIDATION_FAILED", "The routing document is not valid", { details });
}

/** The names of policies that a document uses, with the path of each. */
export function policiesIn({ route }: RoutingDocument): { readonly name: string; readonly path: string }[] {
  const walk = ({ policy, routes = [] }: RouteNode, path: string): { name: string; path: string }[] => [
    ...(policy === undefined ? [] : [{ name: policy, path: `${path}.policy` }]),
    ...routes.flatMap((child, at) => walk(child, `${path}.routes.${at}`)),
  ];
  return walk(route, "route");
}

function intervalsOf(
  { timeIntervals = [] }: RoutingDocument,
  problems: ErrorDetail[],
): Map<string, readonly TimeInterval[]> {
  const found = new Map<string, readonly TimeInterval[]>();
  for (const [at, { name: interval, intervals }] of timeIntervals.entries()) {
    const path = `timeIntervals.${at}`;
    if (found.has(interval)) problems.push(problem(`${path}.name`, "is the name of another interval too"));
    const items = intervals.flatMap((item, i) =>
      attempt(() => parseTimeIntervals([item]), `${path}.intervals.${i}`, problems),
    );
    found.set(interval, items);
  }
  return found;
}

interface Compiling {
  readonly problems: ErrorDetail[];
  readonly testOf: PatternTests;
  readonly timeIntervals: ReadonlyMap<string, unknown>;
  readonly count: { routes: number };
}

function compileRoute(node: RouteNode, parent: RouteSettings, path: string, compiling: Compiling): CompiledRoute {
  const { problems, testOf } = compiling;
  const isRoot = parent.path.length === 0;
  compiling.count.routes += 1;
  if (compiling.count.routes === MAX_ROUTES + 1) problems.push(problem(path, `the tree has over ${MAX_ROUTES} routes`));
  requireValid(node, path, isRoot, compiling);
  const own = parsed(node.matchers ?? [], `${path}.matchers`, compiling);
  const test = problems.length === 0 ? compileMatchers(own, testOf) : () => false;
  const settings: RouteSettings = {
    policy: node.policy ?? parent.policy,
    groupBy: node.groupBy ?? parent.groupBy,
    groupWaitMs: node.groupWaitMs ?? parent.groupWaitMs,
    groupIntervalMs: node.groupIntervalMs ?? parent.groupIntervalMs,
    repeatMs: node.repeatMs ?? parent.repeatMs,
    muteIntervals: node.muteIntervals ?? [],
    activeIntervals: node.activeIntervals ?? [],
    labels: { ...parent.labels, ...node.labels },
    path: [...parent.path, matchersText(own)],
  };
  const isTooDeep = settings.path.length > MAX_DEPTH;
  if (isTooDeep) problems.push(problem(path, `the tree is deeper than ${MAX_DEPTH} routes`));
  const children = isTooDeep
    ? []
    : (node.routes ?? []).map((child, at) => compileRoute(child, settings, `${path}.routes.${at}`, compiling));
  return { settings, test, continues: node.continue ?? false, children };
}

function requireValid(
  { matchers: own = [], continue: continues, groupBy = [], muteIntervals = [], activeIntervals = [] }: RouteNode,
  path: string,
  isRoot: boolean,
  { problems, timeIntervals }: Compiling,
): void {
  if (isRoot && own.length > 0) problems.push(problem(`${path}.matchers`, "the root takes every alert"));
  if (isRoot && continues) problems.push(problem(`${path}.continue`, "the root has no siblings"));
  if (isRoot && muteIntervals.length + activeIntervals.length > 0)
    problems.push(problem(path, "the root takes no intervals; use them in its children"));
  if (groupBy.includes(ALL_LABELS) && groupBy.length > 1)
    problems.push(problem(`${path}.groupBy`, `${ALL_LABELS} must be alone`));
  if (new Set(groupBy).size < groupBy.length) problems.push(problem(`${path}.groupBy`, "names a label twice"));
  for (const [member, list] of Object.entries({ muteIntervals, activeIntervals }))
    for (const [at, interval] of list.entries())
      if (!timeIntervals.has(interval))
        problems.push(problem(`${path}.${member}.${at}`, `no time interval has the name ${JSON.stringify(interval)}`));
}

function parsed(texts: readonly string[], path: string, { problems, testOf }: Compiling): readonly Matcher[] {
  return texts.flatMap((each, at) =>
    attempt(
      () => {
        const matcher = parseMatcher(each);
        compileMatchers([matcher], testOf);
        return [matcher];
      },
      `${path}.${at}`,
      problems,
    ),
  );
}

function attempt<T>(read: () => readonly T[], path: string, problems: ErrorDetail[]): readonly T[] {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PrismError)) throw error;
    problems.push(problem(path, error.message));
    return [];
  }
}

function problem(path: string, message: string): ErrorDetail {
  return { path, code: "VALUE", message };
}

/**
 * The routing of a project without a document: alerts with the label `channels`, names separated by
 * commas, go to the policies of these names, all others to `default`.
 * @param isPolicy whether the project has a policy of this name
 */
export function builtInRouting(isPolicy: (name: string) => boolean): CompiledRouting {
  const builtIn = compileRouting(BUILT_IN_ROUTING, 0);
  const [root = ROOT_SETTINGS] = builtIn.routes;
  const match = (record: LabelRecord): RouteMatch[] => {
    const { channels: value = "" } = record;
    const policies = [...new Set(value.split(","))].filter(isPolicy);
    const path = [...root.path, matchersText([{ name: "channels", operator: "=", value }])];
    if (policies.length === 0) return builtIn.match(record);
    return policies.map((policy) => groupOf({ ...root, policy, path }, labelsOf(record)));
  };
  return { ...builtIn, match };
}

/** Depth first; a node itself takes what none of its children takes. */
function matchesOf(route: CompiledRoute, alert: Labels): RouteMatch[] {
  const matches: RouteMatch[] = [];
  for (const child of route.children) {
    if (!child.test(alert)) continue;
    matches.push(...matchesOf(child, alert));
    if (!child.continues) break;
  }
  return matches.length > 0 ? matches : [groupOf(route.settings, alert)];
}

function groupOf(settings: RouteSettings, alert: Labels): RouteMatch {
  const isAll = settings.groupBy[0] === ALL_LABELS;
  const group = isAll ? alert : pickLabels(alert, new Set(settings.groupBy));
  return { settings, groupKey: `${settings.path.join("/")}:${labelsText(group)}`, groupLabels: labelRecord(group) };
}

function settingsIn({ settings, children }: CompiledRoute): RouteSettings[] {
  return [settings, ...children.flatMap(settingsIn)];
}
