import {
  DAY_MS,
  type EpochMs,
  HOUR_MS,
  instantOf,
  isTimezone,
  offsetChange,
  toRfc3339,
} from "../../core/time/clock.ts";
import { type Matcher, matcherText } from "../../features/alerts/model/matchers.ts";
import { durationText } from "../../http/api/file-form.ts";
import { freeUsername } from "./accounts.ts";
import type { MissingAnswer } from "./answers.ts";
import { free, type ImportedFiles, plainName, slugOf } from "./files.ts";
import type { ApiImportOptions } from "./http-source.ts";
import type { OldRendering, ScheduleForm } from "./proof.ts";
import type { ReportRow } from "./report.ts";
import { labelsFor, type OldRoute, routeTree, ruleFor } from "./routes.ts";
import { type ProvenSchedule, provenSchedule, type ScheduleToProve } from "./schedules.ts";
import { WEEK_MS, wallOf } from "./windows.ts";

/* People and projects of systems with teams, schedules and escalations. */

export interface OldPerson {
  readonly id: string;
  readonly email: string | null;
  readonly name: string | null;
  /** One that is not known here is left out. */
  readonly timezone?: string | null;
  readonly phone?: string | null;
  readonly contactRules?: object | null;
  /** Default: made of the mail address or the name. */
  readonly username?: string;
  /** In all projects that have the person. Default: `viewer`, or as the team says. */
  readonly role?: Role;
}

/** A schedule of the old system, where its people and its place in the files are asked. */
export interface TakenSchedule {
  readonly project: TeamProject;
  readonly name: string;
  readonly old: OldRendering;
  /** Null: it follows the old system's calendar, and is empty in a test. */
  readonly exact: ProvenSchedule["exact"];
  /** Where a test has other people: overrides are made after the files, and what differs was accepted. */
  readonly unlike: readonly { readonly start: EpochMs; readonly end: EpochMs }[];
}

/** What one step of an escalation notifies, counted from the alert. */
export interface EscalationStep {
  readonly atMs: number;
  readonly users: readonly string[];
  readonly schedules: readonly { readonly schedule: TakenSchedule; readonly who?: "next" }[];
  readonly roundRobin?: boolean;
  /** Undefined: that of the policy. */
  readonly urgency?: "high" | "low";
}

export interface TeamPolicy {
  readonly name: string;
  readonly steps: readonly EscalationStep[];
  /** It opens no incidents. */
  readonly isNobody?: true;
}

type Role = "owner" | "editor" | "viewer";
const MAX_STEPS = 50;
const SHARED_PHONE = "has the phone of another person: write another one";

interface OldTeam {
  readonly id: string;
  readonly name: string;
}

const LISTS = [
  ...(["channels", "oncall", "policies", "heartbeats", "receivers", "integrations"] as const),
  ...(["overrides", "swaps", "silences"] as const),
] as const;
type List = (typeof LISTS)[number];

/** A project of the files. */
export class TeamProject {
  readonly slug: string;
  readonly name: string;
  readonly members = new Map<string, Role>();
  readonly lists = Object.fromEntries(LISTS.map((list) => [list, []])) as unknown as Readonly<Record<List, object[]>>;
  /** By name. */
  readonly policies = new Map<string, TeamPolicy>();
  routes: object | null = null;
  readonly comments: string[] = [];
  readonly #names = new Map<string, Set<string>>();

  constructor(slug: string, name: string) {
    this.slug = slug;
    this.name = name;
  }

  /** A name that no other object of this kind has in the project. */
  nameFor(kind: string, name: string): string {
    const taken = this.#names.get(kind) ?? new Set(kind === "policies" ? ["default"] : []);
    this.#names.set(kind, taken);
    return free(plainName(name).slice(0, 90) || kind, taken);
  }

  /** Who is named in a project is a member of it. */
  needs(users: Iterable<string>): void {
    for (const user of users) if (!this.members.has(user)) this.members.set(user, "viewer");
  }
}

export class TeamFiles {
  readonly files: ImportedFiles;
  readonly now: EpochMs;
  readonly #teams: readonly OldTeam[];
  readonly #options: ApiImportOptions;
  readonly #projects = new Map<string, TeamProject>();
  readonly #slugs: Set<string>;
  readonly #usernames = new Map<string, string>();
  readonly #roles = new Map<string, Role>();
  readonly #taken = new Set(["me"]);
  readonly #phones = new Set<string>();
  readonly #people: {
    readonly username: string;
    readonly document: object;
    readonly rows: () => readonly ReportRow[];
  }[] = [];

  constructor(
    files: ImportedFiles,
    { now, teams }: { readonly now: EpochMs; readonly teams: readonly OldTeam[] },
    options: ApiImportOptions,
  ) {
    this.files = files;
    this.now = now;
    this.#teams = teams;
    this.#options = options;
    // That of what belongs to no team, and one that each Prism has.
    this.#slugs = new Set(["default", options.project]);
    for (const name of options.teams ?? [])
      if (!teams.some((team) => team.name === name)) files.note("team", name, "not taken", "there is no such team");
  }

  /** @param rows for the report, if the person is taken */
  addPerson(person: OldPerson, rows: readonly ReportRow[] = []): string {
    const { id, email, name, timezone, phone, contactRules, role } = person;
    const username = freeUsername(person.username ?? email ?? name ?? id, this.#taken);
    this.#usernames.set(id, username);
    if (role) this.#roles.set(username, role);
    const isShared = Boolean(phone) && this.#phones.has(phone ?? "");
    const shared: ReportRow = { kind: "person", name: username, outcome: "to do", text: SHARED_PHONE };
    if (phone) this.#phones.add(phone);
    const document = {
      username,
      ...(email !== null && { email }),
      ...{ name: (plainName(name ?? "") || username).slice(0, 200), invite: true },
      ...(isTimezone(timezone ?? "") && { timezone }),
      ...(phone && !isShared && { phone }),
      ...(contactRules && { contactRules }),
    };
    this.#people.push({ username, document, rows: () => (isShared ? [...rows, shared] : rows) });
    return username;
  }

  usernameOf(id: string | null | undefined): string | undefined {
    return id === null || id === undefined ? undefined : this.#usernames.get(id);
  }

  /**
   * The project of an object: that of the first of its teams which is wanted. Null: none of them is.
   * @param kind with `name`, for the report
   */
  projectOf(kind: string, name: string, ids: readonly (string | null | undefined)[]): TeamProject | null {
    const { teams: wanted, project } = this.#options;
    const own = ids.flatMap((id) => this.#teams.find((team) => team.id === id) ?? []);
    if (own.length === 0) return wanted === null ? this.#project("", project, project) : null;
    const first = own.find((team) => wanted === null || wanted.includes(team.name));
    if (!first) return null;
    const others = own.filter((team) => team !== first).map((team) => team.name);
    if (others.length > 0)
      this.files.note(kind, name, "changed", `is in the project of ${first.name}, no longer of ${others.join(", ")}`);
    return this.#project(first.id, first.name, slugOf(first.name));
  }

  #project(key: string, name: string, slug: string): TeamProject {
    const known = this.#projects.get(key);
    if (known) return known;
    const project = new TeamProject(key === "" ? slug : free(slug, this.#slugs), name);
    this.#projects.set(key, project);
    this.files.count("projects");
    return project;
  }

  /** Adds an object to a list of a project. */
  add(project: TeamProject, list: Exclude<List, "oncall" | "policies">, entry: object): void {
    project.lists[list].push(entry);
    this.files.count(list);
  }

  /** A silence in place of maintenance; of one that is going on the start stays, as a file makes it once. */
  addSilence(
    project: TeamProject,
    matcher: Matcher,
    { start, end }: { readonly start: EpochMs; readonly end: EpochMs },
    comment: string,
  ): void {
    const span = { startsAt: toRfc3339(start), endsAt: toRfc3339(end) };
    this.add(project, "silences", { matchers: [matcherText(matcher)], ...span, comment: comment.slice(0, 200) });
  }

  /** Writes the form without a difference, or what follows the old calendar. */
  addSchedule<F extends ScheduleForm>(
    project: TeamProject,
    {
      name,
      ...given
    }: Omit<ScheduleToProve<F>, "from" | "to" | "isAccepted" | "forms"> & {
      readonly forms: (name: string) => ScheduleToProve<F>["forms"];
      /** Also if it is not among those that were named. */
      readonly isAccepted?: boolean;
      /** How far the old system's rendering goes. */
      readonly shownTo?: EpochMs | undefined;
    },
  ): TakenSchedule {
    const own = project.nameFor("oncall", name);
    const { shownTo = Number.POSITIVE_INFINITY, forms, isAccepted: isWanted = false, ...rest } = given;
    const { untilMs, accept } = this.#options;
    const to = Math.min(this.now + untilMs, shownTo);
    const isAccepted = isWanted || accept.includes(name) || accept.includes(own);
    const proven = provenSchedule(this.files, {
      ...{ ...rest, name: own, forms: forms(own), from: this.now, to, isAccepted },
    });
    project.lists.oncall.push(proven.document);
    project.comments.push(...proven.comments);
    this.files.count("schedules");
    const { exact, overrides } = proven;
    project.needs((exact?.shifts ?? []).flatMap(({ turns }) => turns.flat()));
    for (const { start, end, users, replaces, isSwap = false } of overrides) {
      if (!(end > this.now && start < end)) continue;
      project.needs([...users, ...(replaces === undefined ? [] : [replaces])]);
      const span = { schedule: own, start: toRfc3339(start), end: toRfc3339(end) };
      const people = { users, ...(replaces !== undefined && { replaces }) };
      if (isSwap) this.add(project, "swaps", { ...span, user: replaces, takenBy: users[0] });
      else this.add(project, "overrides", { ...span, ...people, reason: `Imported from ${this.files.from}` });
    }
    const unlike = [...overrides, ...proven.differences];
    return { project, name: own, old: given.old ?? [], exact, unlike };
  }

  addPolicy(
    project: TeamProject,
    name: string,
    steps: readonly EscalationStep[],
    {
      urgency,
      lastWaitMs = 0,
      repeat = 0,
      resolves = false,
      ...members
    }: {
      readonly urgency?: "low";
      readonly lastWaitMs?: number;
      readonly repeat?: number;
      /** After the last round. */
      readonly resolves?: boolean;
      readonly description?: string;
      readonly autoResolve?: string;
      readonly ackExpires?: string;
    } = {},
  ): TeamPolicy {
    const own = project.nameFor("policies", name);
    const round: object[] = [];
    let at = 0;
    for (const { atMs, users, schedules, roundRobin = false } of steps) {
      if (atMs > at) round.push({ type: "wait", for: durationText(atMs - at) });
      at = atMs;
      project.needs(users);
      round.push({
        type: "notify",
        ...(users.length > 0 && { users }),
        ...(schedules.length > 0 && { schedules: schedules.map((each) => targetIn(project, each)) }),
        ...(urgency && { urgency }),
        ...(roundRobin && { roundRobin }),
      });
    }
    if (lastWaitMs > 0 && (repeat > 0 || resolves)) round.push({ type: "wait", for: durationText(lastWaitMs) });
    let rounds = resolves ? Array.from({ length: repeat + 1 }, () => round).flat() : round;
    if (resolves && rounds.length < MAX_STEPS) rounds = [...rounds, { type: "resolve" }];
    else if (resolves) {
      rounds = round;
      this.files.note("policy", own, "not taken", "closes the alert after its last round; resolve it by hand");
    }
    if (repeat > 9) this.files.note("policy", own, "changed", `repeats ${repeat} times; Prism repeats at most 9 times`);
    if (rounds.length > MAX_STEPS)
      this.files.note("policy", own, "not taken", `has ${rounds.length} steps; only the first ${MAX_STEPS} were taken`);
    const rest = repeat > 0 && !resolves && { repeat: Math.min(repeat, 9) };
    return this.putPolicy(project, {
      name: own,
      steps,
      document: { ...members, steps: rounds.slice(0, MAX_STEPS), ...rest },
    });
  }

  /** @param name free in the project @param steps those that tests know @param document without its name */
  putPolicy(project: TeamProject, { document, ...policy }: TeamPolicy & { readonly document: object }): TeamPolicy {
    project.lists.policies.push({ name: policy.name, ...document });
    this.files.count("policies");
    project.policies.set(policy.name, policy);
    return policy;
  }

  /** The policy of what notifies nobody. */
  nobodyOf(project: TeamProject): TeamPolicy {
    const known = [...project.policies.values()].find(({ isNobody }) => isNobody);
    if (known) return known;
    const policy = { name: project.nameFor("policies", "Nobody"), steps: [], isNobody: true } as const;
    project.lists.policies.push({ name: policy.name, opensIncidents: false });
    project.policies.set(policy.name, policy);
    return policy;
  }

  /**
   * Writes rules as the routes of a project, with tests of each.
   * @param lost what a rule took that is not among them: nothing is known of it
   */
  addRoutes(
    project: TeamProject,
    rules: readonly OldRoute[],
    lost: OldRoute["alternatives"],
    {
      groupBy = ["..."],
      intervals = [],
    }: { readonly groupBy?: readonly string[]; readonly intervals?: readonly object[] } = {},
  ): void {
    const tree = routeTree(rules);
    if (!tree) return this.files.note("routes", project.name, "not taken", "would be over 900: write them by hand");
    const { routes } = tree;
    const timeIntervals = [...intervals, ...tree.timeIntervals];
    const route = { policy: "default", groupBy, groupWait: "0s", ...(routes.length > 0 && { routes }) };
    project.routes = { ...(timeIntervals.length > 0 && { timeIntervals }), route };
    this.files.count("routes", rules.length);
    const all = [{ name: "", alternatives: lost, windows: [], timezone: "UTC", policy: "" }, ...rules];
    for (const [at, { name, alternatives, timezone }] of rules.entries()) {
      const labels = labelsFor(alternatives[0] ?? []);
      // A rule for all other times has no zone of its own.
      const zone = rules.find((each) => each.windows.length > 0 && each.name === name)?.timezone ?? timezone;
      if (labels)
        this.#addTests(project, `${name} ${at + 1}`, labels, zone, (instant) =>
          project.policies.get(ruleFor(all, labels, instant)?.policy ?? ""),
        );
    }
  }

  /** A test at each of the times at which the old system's pages are known. */
  #addTests(
    project: TeamProject,
    title: string,
    alert: Readonly<Record<string, string>>,
    timezone: string,
    expected: (at: EpochMs) => TeamPolicy | undefined,
  ): void {
    for (const [when, at] of Object.entries(testTimes(this.now, this.#options.untilMs, timezone))) {
      const policy = expected(at);
      if (policy === undefined) continue;
      const pages = policy.isNobody ? [] : pagesOf(policy, at);
      const name = `${project.slug}: ${title}, ${when}`;
      const expect = { policy: policy.name, ...(pages && { pages }) };
      this.files.test({ ...{ name, project: project.slug, at: toRfc3339(at), alert }, expect });
    }
  }

  noteMissing(missing: readonly MissingAnswer[]): void {
    for (const { what, status } of missing)
      this.files.note("request", what, "not taken", `was answered with ${status}: use a token that may read it`);
  }

  write(): ImportedFiles {
    const { files } = this;
    const projects = [...this.#projects.values()];
    const named = new Set(projects.flatMap(({ members }) => [...members.keys()]));
    const people = this.#people.filter(({ username }) => this.#options.teams === null || named.has(username));
    files.rows.push(...people.flatMap(({ rows }) => rows()));
    files.count("people", people.length);
    if (people.length > 0) files.add("people", { people: people.map(({ document }) => document) });
    const runtime: object[] = [];
    for (const { slug, name, members, lists, routes, comments } of projects) {
      const { overrides, swaps, silences, ...kinds } = lists;
      const roles = [...members].map(([user, role]) => [user, this.#roles.get(user) ?? role]).sort();
      const document = {
        ...{ slug, name: plainName(name).slice(0, 100) || slug, members: Object.fromEntries(roles) },
        ...{ ...listed(kinds), ...(routes && { routes }) },
      };
      files.add(files.fileFor(slug), { projects: [document] }, comments);
      const own = listed({ overrides, swaps, silences });
      if (Object.keys(own).length > 0) runtime.push({ slug, runtime: own });
    }
    if (runtime.length > 0) files.add("runtime", { projects: runtime });
    return files;
  }
}

function listed(lists: Readonly<Record<string, readonly object[]>>): object {
  return Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0));
}

/** A schedule as a step of a policy of a project names it. */
export function targetIn(project: TeamProject, { schedule, who }: EscalationStep["schedules"][number]): object {
  const isOwn = schedule.project === project;
  return { name: schedule.name, ...(!isOwn && { project: schedule.project.slug }), ...(who && { who }) };
}

/** Office hours, the night, and the day after the clocks change. */
function testTimes(now: EpochMs, untilMs: number, timezone: string): Readonly<Record<string, EpochMs>> {
  // A Wednesday.
  const midnight = Math.ceil((wallOf(now, timezone) + DAY_MS) / WEEK_MS) * WEEK_MS + 6 * DAY_MS;
  const at = (hours: number) => instantOf(midnight + hours * HOUR_MS, timezone);
  const times = { office: at(10.25), night: at(27.25) };
  for (let at = now + DAY_MS; at < now + untilMs - 3 * DAY_MS; at += DAY_MS)
    if (offsetChange(timezone, at, at + DAY_MS) !== undefined) return { ...times, "clock change": at + 1.5 * DAY_MS };
  return times;
}

/** What the old system pages, up to the step that depends on more than its schedules; null: nothing is known. */
function pagesOf({ steps }: TeamPolicy, from: EpochMs): object[] | null {
  const pages: { atMs: number; to: string[]; urgency: EscalationStep["urgency"] }[] = [];
  for (const { atMs, users, schedules, roundRobin, urgency } of steps) {
    const at = from + atMs;
    const isKnown = !roundRobin && schedules.every(({ schedule, who }) => who === undefined && isShown(schedule, at));
    if (!isKnown) break;
    const onCall = schedules.flatMap(({ schedule: { old } }) =>
      old.flatMap(({ start, end, users }) => (start <= at && end > at ? users : [])),
    );
    const to = [...new Set([...users, ...onCall])].sort();
    // Where it reaches nobody, Prism goes on to others.
    if (to.length === 0) break;
    const same = pages.find((page) => page.atMs === atMs && page.urgency === urgency);
    if (same) same.to = [...new Set([...same.to, ...to])].sort();
    else pages.push({ atMs, to, urgency });
  }
  if (pages.length === 0) return null;
  return pages.map(({ atMs, ...page }) => ({ after: durationText(atMs), ...page }));
}

function isShown({ exact, unlike }: TakenSchedule, at: EpochMs): boolean {
  return exact !== null && unlike.every(({ start, end }) => start > at || end <= at);
}
