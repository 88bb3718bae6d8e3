import { DAY_MS, type EpochMs, HOUR_MS, instantOf, offsetChange, toRfc3339 } from "../../core/time/clock.ts";
import { durationText } from "../../http/api/file-form.ts";
import type { MissingAnswer } from "./answers.ts";
import { free, type ImportedFiles, slugOf } from "./files.ts";
import type { OldRendering } from "./proof.ts";
import { type ProvenSchedule, provenSchedule, type ScheduleToProve } from "./schedules.ts";
import { WEEK_MS, wallOf } from "./windows.ts";

/* People and projects of systems with teams, schedules and escalations. */

export interface OldPerson {
  readonly id: string;
  readonly email: string | null;
  readonly name: string | null;
  readonly timezone?: string | null;
  readonly phone?: string | null;
  readonly contactRules?: object | null;
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
}

export interface TeamPolicy {
  readonly name: string;
  readonly steps: readonly EscalationStep[];
  /** It opens no incidents. */
  readonly isNobody?: true;
}

type Role = "owner" | "editor" | "viewer";
const MAX_STEPS = 50;

/** A project of the files. */
export class TeamProject {
  readonly slug: string;
  readonly name: string;
  readonly members = new Map<string, Role>();
  readonly lists: Record<
    "oncall" | "policies" | "heartbeats" | "receivers" | "integrations" | "overrides" | "silences",
    object[]
  > = { oncall: [], policies: [], heartbeats: [], receivers: [], integrations: [], overrides: [], silences: [] };
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
    const plain = name.trim().slice(0, 90) || kind;
    let found = plain;
    for (let n = 2; taken.has(found); n++) found = `${plain} ${n}`;
    taken.add(found);
    return found;
  }

  /** Who is named in a project is a member of it. */
  needs(users: Iterable<string>): void {
    for (const user of users) if (!this.members.has(user)) this.members.set(user, "viewer");
  }
}

export class TeamFiles {
  readonly files: ImportedFiles;
  readonly now: EpochMs;
  readonly untilMs: number;
  readonly #accept: ReadonlySet<string>;
  readonly #projects = new Map<string, TeamProject>();
  readonly #slugs = new Set<string>();
  readonly #usernames = new Map<string, string>();
  readonly #taken = new Set<string>();
  readonly #phones = new Set<string>();
  readonly #people: object[] = [];
  readonly #tests: object[] = [];

  constructor(files: ImportedFiles, now: EpochMs, { untilMs, accept }: { untilMs: number; accept: readonly string[] }) {
    this.files = files;
    this.now = now;
    this.untilMs = untilMs;
    this.#accept = new Set(accept);
  }

  addPerson({ id, email, name, timezone, phone, contactRules }: OldPerson): string {
    const username = free(usernameFrom((email ?? name ?? id).replace(/@.*$/, "")), this.#taken);
    this.#usernames.set(id, username);
    const isShared = Boolean(phone) && this.#phones.has(phone ?? "");
    if (isShared) this.files.note("person", username, "to do", "has the phone of another person: write another one");
    if (phone) this.#phones.add(phone);
    this.#people.push({
      username,
      ...(email !== null && { email }),
      ...{ name: (name ?? username).slice(0, 200), invite: true },
      ...(timezone && { timezone }),
      ...(phone && !isShared && { phone }),
      ...(contactRules && { contactRules }),
    });
    this.files.count("people");
    return username;
  }

  usernameOf(id: string | null | undefined): string | undefined {
    return id === null || id === undefined ? undefined : this.#usernames.get(id);
  }

  /** The project of a team; the same for the same key. */
  projectOf(key: string, name: string, slug = slugOf(name)): TeamProject {
    const known = this.#projects.get(key);
    if (known) return known;
    const project = new TeamProject(free(slug, this.#slugs), name);
    this.#projects.set(key, project);
    this.files.count("projects");
    return project;
  }

  /** Writes the form without a difference, or what follows the old calendar. */
  addSchedule(
    project: TeamProject,
    {
      name,
      ...given
    }: Omit<ScheduleToProve, "name" | "from" | "to" | "isAccepted" | "calendar" | "forms"> & {
      readonly name: string;
      readonly forms: (name: string) => ScheduleToProve["forms"];
      readonly calendar: () => ReturnType<ScheduleToProve["calendar"]>;
      /** How far the old system's rendering goes. */
      readonly shownTo?: EpochMs | undefined;
    },
  ): TakenSchedule {
    const own = project.nameFor("oncall", name);
    const { shownTo = Number.POSITIVE_INFINITY, forms, ...rest } = given;
    const to = Math.min(this.now + this.untilMs, shownTo);
    const isAccepted = this.#accept.has(name) || this.#accept.has(own);
    const proven = provenSchedule(this.files, {
      ...{ ...rest, name: own, forms: forms(own), from: this.now, to, isAccepted },
    });
    project.lists.oncall.push(proven.document);
    project.comments.push(...proven.comments);
    this.files.count("schedules");
    const { exact, overrides } = proven;
    project.needs((exact?.shifts ?? []).flatMap(({ turns }) => turns.flat()));
    for (const { start, end, users, replaces } of overrides) {
      if (end <= this.now) continue;
      project.needs([...users, ...(replaces === undefined ? [] : [replaces])]);
      const span = { start: toRfc3339(start), end: toRfc3339(end) };
      const people = { users, ...(replaces !== undefined && { replaces }) };
      project.lists.overrides.push({ schedule: own, ...span, ...people, reason: `Imported from ${this.files.from}` });
      this.files.count("overrides");
    }
    const unlike = [...overrides, ...proven.differences];
    return { project, name: own, old: given.old ?? [], exact, unlike };
  }

  /** @param then steps after the last one of each round */
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
    project.lists.policies.push({
      ...{ name: own, ...members, steps: rounds.slice(0, MAX_STEPS) },
      ...(repeat > 0 && !resolves && { repeat: Math.min(repeat, 9) }),
    });
    this.files.count("policies");
    return { name: own, steps };
  }

  /** The policy of what notifies nobody. */
  addNobody(project: TeamProject): TeamPolicy {
    const name = project.nameFor("policies", "Nobody");
    project.lists.policies.push({ name, opensIncidents: false });
    return { name, steps: [], isNobody: true };
  }

  /** A test at each of the times at which the old system's pages are known. */
  addTests(
    project: TeamProject,
    title: string,
    alert: Readonly<Record<string, string>>,
    timezone: string,
    expected: (at: EpochMs) => TeamPolicy | null,
  ): void {
    for (const [when, at] of Object.entries(testTimes(this.now, this.untilMs, timezone))) {
      const policy = expected(at);
      if (policy === null) continue;
      const pages = policy.isNobody ? [] : pagesOf(policy, at);
      if (pages === null) continue;
      const name = `${project.slug}: ${title}, ${when}`;
      this.#tests.push({ ...{ name, project: project.slug, at: toRfc3339(at), alert }, expect: { pages } });
    }
  }

  noteMissing(missing: readonly MissingAnswer[]): void {
    for (const { what, status } of missing)
      this.files.note("request", what, "not taken", `was answered with ${status}: use a token that may read it`);
  }

  write(): ImportedFiles {
    const { files } = this;
    // Lists that several objects share would be aliases in YAML.
    const add = (name: string, document: object, comments: readonly string[] = []) =>
      files.add(files.fileFor(name), JSON.parse(JSON.stringify(document)) as object, comments);
    if (this.#people.length > 0) add("people", { people: this.#people });
    const runtime: object[] = [];
    for (const project of this.#projects.values()) {
      const { slug, name, members, lists, routes, comments } = project;
      const { overrides, silences, ...kinds } = lists;
      const listed = Object.entries(kinds).filter(([, list]) => list.length > 0);
      add(
        slug,
        {
          projects: [
            {
              ...{ slug, name: name.slice(0, 100), members: Object.fromEntries([...members].sort()) },
              ...{ ...Object.fromEntries(listed), ...(routes && { routes }) },
            },
          ],
        },
        comments,
      );
      const own = { ...(overrides.length > 0 && { overrides }), ...(silences.length > 0 && { silences }) };
      if (Object.keys(own).length > 0) runtime.push({ slug, runtime: own });
    }
    if (runtime.length > 0) add("runtime", { projects: runtime });
    if (this.#tests.length > 0) add("tests", { tests: this.#tests });
    return files;
  }
}

function targetIn(project: TeamProject, { schedule, who }: EscalationStep["schedules"][number]): object {
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
  const pages: { after: string; to: string[]; atMs: number }[] = [];
  for (const { atMs, users, schedules, roundRobin } of steps) {
    const at = from + atMs;
    const isKnown = !roundRobin && schedules.every(({ schedule, who }) => who === undefined && isShown(schedule, at));
    if (!isKnown) break;
    const onCall = schedules.flatMap(({ schedule: { old } }) =>
      old.flatMap(({ start, end, users }) => (start <= at && end > at ? users : [])),
    );
    const to = [...new Set([...users, ...onCall])].sort();
    // Where it reaches nobody, Prism goes on to others.
    if (to.length === 0) break;
    const same = pages.at(-1);
    if (same?.atMs === atMs) same.to = [...new Set([...same.to, ...to])].sort();
    else pages.push({ after: durationText(atMs), to, atMs });
  }
  return pages.length === 0 ? null : pages.map(({ after, to }) => ({ after, to }));
}

function isShown({ exact, unlike }: TakenSchedule, at: EpochMs): boolean {
  return exact !== null && unlike.every(({ start, end }) => start > at || end <= at);
}

/** Usernames have at least two characters, and `me` is who asks. */
function usernameFrom(name: string): string {
  const slug = slugOf(name);
  return slug.length < 2 || slug === "me" ? `${slug}-1` : slug;
}
