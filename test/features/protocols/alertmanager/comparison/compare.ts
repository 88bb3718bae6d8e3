import { isDeepStrictEqual } from "node:util";
import { type Lab, pairsOf, SIDES } from "./lab.ts";
import type { Body, Post, SideName } from "./recorder.ts";
import { type Difference, MEMBERS_SINCE, type Scenario } from "./scenario.ts";

/* The posts of both for one scenario, by webhook and group, phase by phase. */

interface Seen {
  readonly pairs: readonly string[];
  readonly body: Body;
  /** Entries of a known difference were taken out. */
  readonly isReduced: boolean;
}

/** @param version of the installed Alertmanager, such as `0.25.0` @returns what differs */
export function problemsOf(scenario: Scenario, lab: Lab, version: string): string[] {
  const differences = (scenario.differences ?? []).filter(({ before }) => !before || isBefore(version, before));
  const problems = SIDES.flatMap((side) => flawsOf(lab.postsOf(side), side, scenario));
  const found = new Set<Difference>();
  const byGroup = { alertmanager: groupsOf(lab, "alertmanager"), prism: groupsOf(lab, "prism") };
  for (const group of new Set([...byGroup.alertmanager.keys(), ...byGroup.prism.keys()])) {
    const [theirs, ours] = SIDES.map((side) => {
      const phases = byGroup[side].get(group) ?? [];
      return reduced(phases, (pair) => {
        const known = differences.filter((each) => each.side === side && each.pair === pair);
        for (const each of known) found.add(each);
        return known.length > 0;
      });
    }) as [Seen[][], Seen[][]];
    for (const [phase] of lab.ends.entries())
      problems.push(...comparePhase({ theirs, ours, phase }, lab, scenario).map((text) => `${group}: ${text}`));
  }
  const missing = differences.filter((each) => !found.has(each));
  return [...problems, ...missing.map(({ pair, side }) => `the known difference "${pair}" of ${side} did not appear`)];
}

/** Bodies that no scenario may have. */
function flawsOf(posts: readonly Post[], side: SideName, { repeats = false }: Scenario): string[] {
  const last = new Map<string, string>();
  return posts.flatMap(({ path, body }) => {
    const flaws: string[] = [];
    const fingerprints = body.alerts.map(({ fingerprint }) => fingerprint);
    if (new Set(fingerprints).size < fingerprints.length) flaws.push(`a fingerprint twice in ${fingerprints.join()}`);
    const [key, text] = [`${path} ${body.groupKey}`, pairsOf(body).join(", ")];
    if (last.get(key) === text && !repeats) flaws.push(`the same post again: ${text}`);
    last.set(key, text);
    return flaws.map((flaw) => `${side}, ${key}: ${flaw}`);
  });
}

/** Posts by webhook and group, in the phases of the scenario; what came after the last one is of the last one. */
function groupsOf(lab: Lab, side: SideName): ReadonlyMap<string, readonly (readonly Seen[])[]> {
  const groups = new Map<string, Seen[][]>();
  for (const [at, { path, body }] of lab.postsOf(side).entries()) {
    const found = lab.ends.findIndex((end) => at < end[side]);
    const phase = found === -1 ? lab.ends.length - 1 : found;
    const key = `${path} ${side === "alertmanager" ? plainKey(body.groupKey) : body.groupKey}`;
    const phases = groups.get(key) ?? lab.ends.map(() => []);
    groups.set(key, phases);
    phases[phase]?.push({ pairs: pairsOf(body), body, isReduced: false });
  }
  return groups;
}

/** See the list of differences: the text of `match_re`. */
function plainKey(key: string): string {
  return key.replaceAll(/=~"\^\(\?:(.*?)\)\$"/g, '=~"$1"');
}

/** Without the entries of known differences, and without posts that say nothing else. */
function reduced(phases: readonly (readonly Seen[])[], isKnown: (pair: string) => boolean): Seen[][] {
  let last = "";
  return phases.map((posts) =>
    posts.flatMap((seen): Seen[] => {
      const pairs = seen.pairs.filter((pair) => !isKnown(pair));
      const isReduced = pairs.length < seen.pairs.length;
      const text = pairs.join();
      if (isReduced && (pairs.length === 0 || text === last)) return [];
      last = text;
      return [{ ...seen, pairs, isReduced }];
    }),
  );
}

interface Phase {
  readonly theirs: readonly (readonly Seen[])[];
  readonly ours: readonly (readonly Seen[])[];
  readonly phase: number;
}

function comparePhase({ theirs, ours, phase }: Phase, lab: Lab, { passing = [] }: Scenario): string[] {
  const [a, b] = [theirs[phase] ?? [], ours[phase] ?? []];
  const text = `phase ${phase + 1}: Alertmanager ${textOf(a)}, Prism ${textOf(b)}`;
  const isSame = isDeepStrictEqual(
    a.map(({ pairs }) => pairs),
    b.map(({ pairs }) => pairs),
  );
  if (isSame) return a.flatMap((seen, at) => compareBodies(seen, b[at] as Seen, lab).map((each) => `${text}: ${each}`));
  // A look may fall between two requests, or between two alerts of one: then a side has a post more.
  const isPassing = passing.length > 0 && isDeepStrictEqual(firingAfter(theirs, phase), firingAfter(ours, phase));
  const isSplit = a.length > 0 && b.length > 0 && isDeepStrictEqual(statusesOf(a), statusesOf(b));
  const before = [theirs, ours].flatMap((each) => each.slice(0, phase).flat().at(-1)?.pairs ?? []);
  const isPossible = (own: readonly Seen[], others: readonly Seen[]): boolean => {
    const possible = new Set([...others.flatMap(({ pairs }) => pairs), ...before, ...passing]);
    return own.every(({ pairs }) => pairs.every((pair) => possible.has(pair)));
  };
  return (isPassing || isSplit) && isPossible(a, b) && isPossible(b, a) ? [] : [text];
}

/** What a receiver takes for firing after a phase. */
function firingAfter(phases: readonly (readonly Seen[])[], phase: number): string[] {
  const known = Object.entries(statusesOf(phases.slice(0, phase + 1).flat()));
  return known.flatMap(([name, status]) => (status === "firing" ? [name] : [])).sort();
}

/** The last status of each alert. */
function statusesOf(posts: readonly Seen[]): Readonly<Record<string, string>> {
  const entries = posts.flatMap(({ pairs }) => pairs.map((pair) => pair.split(" ") as [string, string]));
  return Object.fromEntries(entries);
}

function textOf(posts: readonly Seen[]): string {
  return posts.length === 0 ? "none" : posts.map(({ pairs }) => `[${pairs.join(", ")}]`).join(" ");
}

function compareBodies(theirs: Seen, ours: Seen, lab: Lab): string[] {
  if (theirs.isReduced || ours.isReduced) return [];
  const [expected, got] = [contentOf(theirs.body, lab), contentOf(ours.body, lab)];
  if (isDeepStrictEqual(expected, got)) return [];
  return [`the body ${JSON.stringify(got)} instead of ${JSON.stringify(expected)}`];
}

/** What must be the same. A time that no request named is that of the server. */
function contentOf(body: Body, { explicitTimes }: Lab) {
  const { receiver, status, groupLabels, commonLabels, commonAnnotations, version, truncatedAlerts } = body;
  const time = (text: string): string => {
    const ms = Date.parse(text);
    return ms < 0 || explicitTimes.has(ms) ? new Date(ms).toISOString() : "the server's";
  };
  const alerts = body.alerts.map(
    ({ status: state, labels, annotations, generatorURL, fingerprint, startsAt, endsAt }) => ({
      ...{ state, labels, annotations, generatorURL, fingerprint },
      ...{ startsAt: time(startsAt), endsAt: time(endsAt) },
    }),
  );
  return { receiver, status, groupLabels, commonLabels, commonAnnotations, version, truncatedAlerts, alerts };
}

/** The members of a body, in order, that this version of Alertmanager has too. */
export function membersOf(body: Body, version: string): string[] {
  return Object.keys(body).filter((name) => !isBefore(version, MEMBERS_SINCE[name] ?? "0"));
}

function isBefore(version: string, other: string): boolean {
  const [a = [], b = []] = [version, other].map((each) => each.split(".").map(Number));
  return (a[0] ?? 0) - (b[0] ?? 0) < 0 || (a[0] === b[0] && (a[1] ?? 0) < (b[1] ?? 0));
}
