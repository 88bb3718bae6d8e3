import type { Project, Rule, User } from "../../../client/api-types.gen.ts";
import { ServerRefused } from "../../../core/command-error.ts";
import { type ErrorDetail, PrismError } from "../../../core/errors.ts";
import { AlertTest, EventTest } from "../../../features/records/configuration/test-shapes.ts";
import { durationText } from "../../../http/api/file-form.ts";
import { checkShape } from "../../../http/body/input.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { callOf, listOf } from "../../resource.ts";

/* Tests in configuration files: these labels at that time page these people, after these minutes. */

export type ConfigTest = AlertTest | EventTest;

export interface ConfigTestResult {
  readonly name: string;
  readonly ok: boolean;
  /** What was expected, and what came. */
  readonly failures: readonly string[];
  /** What happens, in a sentence of the server. */
  readonly sentence: string;
}

/** The tests of a file, and what is wrong with the others; paths begin with the index in `tests`. */
export function readTests(given: readonly unknown[]): {
  readonly tests: readonly ConfigTest[];
  readonly problems: readonly ErrorDetail[];
} {
  const tests: ConfigTest[] = [];
  const problems: ErrorDetail[] = [];
  for (const [index, value] of given.entries())
    try {
      const isOfEvent = typeof value === "object" && value !== null && "event" in value;
      tests.push(isOfEvent ? checkShape(EventTest, value, "body") : checkShape(AlertTest, value, "body"));
    } catch (error) {
      if (!(error instanceof PrismError)) throw error;
      for (const detail of (error.details ?? []) as readonly ErrorDetail[])
        problems.push({ ...detail, path: [index, detail.path].filter((part) => part !== "").join(".") });
    }
  return { tests, problems };
}

/** Ways of a person for pages of an urgency; undefined: not known. */
export type WaysOf = (username: string, urgency: string) => readonly string[] | undefined;

/**
 * Asks a server what would happen. Nothing is stored. @param waysOf in place of what the server knows of devices
 * @throws CommandError, ServerRefused without the rights
 */
export async function runTests(
  server: ServerClient,
  tests: readonly ConfigTest[],
  waysOf?: WaysOf,
): Promise<readonly ConfigTestResult[]> {
  const results: ConfigTestResult[] = [];
  const directory = tests.some((test) => "event" in test) ? await readDirectory(server) : NO_DIRECTORY;
  for (const test of tests) {
    const { name } = test;
    try {
      const { failures, sentence } =
        "event" in test ? await eventOutcome(server, test, directory) : await alertOutcome(server, test, waysOf);
      results.push({ name, ok: failures.length === 0, failures, sentence });
    } catch (error) {
      // Such as an unknown project, or a label that the server does not take.
      if (!(error instanceof ServerRefused) || ![400, 404, 422].includes(error.status)) throw error;
      const details = error.details.map(({ path, message }) => `${path}: ${message}`);
      const message = error.code === "PROJECT_NOT_FOUND" ? noProject(test.project) : error.message;
      results.push({ name, ok: false, failures: [message, ...details], sentence: "" });
    }
  }
  return results;
}

function noProject(slug = DEFAULT_PROJECT): string {
  return `there is no project ${slug}`;
}

type Outcome = Pick<ConfigTestResult, "failures" | "sentence">;

/** A person who is paged, with the username in lower case. */
interface Paged {
  readonly name: string;
  readonly afterMs: number;
  readonly urgency: string;
  readonly ways: readonly string[] | undefined;
}

async function alertOutcome(server: ServerClient, test: AlertTest, waysOf?: WaysOf): Promise<Outcome> {
  const { project, alert, at, firing, expect } = test;
  const time = at === undefined ? {} : { at: new Date(at).toISOString() };
  const given = { projectId: project, labels: alert, ...time, ...(firing && { firing }) };
  const { routes, answer } = await callOf(server, "explainLabels", given);
  const paged = routes.flatMap(({ next }) =>
    next.flatMap(({ afterMs, urgency, users = [] }) => {
      // A repetition has no urgency of its own: pages are those of the steps.
      if (urgency === undefined) return [];
      return users.map(({ username, ways }): Paged => {
        const name = username.toLowerCase();
        return { name, ways: waysOf ? waysOf(name, urgency) : ways, afterMs, urgency };
      });
    }),
  );
  const never = paged.filter(({ name }) => expect.never?.includes(name));
  const one = (what: "policy" | "withheld", got: readonly string[]) => {
    const wanted = expect[what];
    if (wanted === undefined || got.includes(wanted)) return [];
    return differ(what, wanted === "none" ? [] : [wanted], got);
  };
  const failures = [
    ...one(
      "policy",
      routes.map(({ policy }) => policy.name),
    ),
    ...one(
      "withheld",
      routes.flatMap(({ withheld }) => withheld.map(({ reason }) => reason)),
    ),
    ...(expect.pages ? pageFailures(expect.pages, paged) : []),
    ...never.map(({ name, afterMs }) => `never: expected no page of ${name}, got one after ${durationText(afterMs)}`),
  ];
  return { failures, sentence: answer };
}

const TOLERANCE_MS = 1000;

/** Pages of the same time are compared together. Without an expected one, there must be none at all. */
function pageFailures(pages: NonNullable<AlertTest["expect"]["pages"]>, paged: readonly Paged[]): string[] {
  const times = [...new Set(pages.map(({ after }) => after))].sort((a, b) => a - b);
  const timeOf = ({ afterMs }: Paged) => times.find((time) => Math.abs(time - afterMs) <= TOLERANCE_MS) ?? afterMs;
  const last = times.at(-1) ?? Number.POSITIVE_INFINITY;
  const compared = paged.filter((each) => timeOf(each) <= last);
  const all = [...new Set([...times, ...compared.map(timeOf)])].sort((a, b) => a - b);
  return all.flatMap((time) => {
    const what = `after ${durationText(time)}`;
    const [wanted, got] = [
      pages.filter(({ after }) => after === time),
      compared.filter((each) => timeOf(each) === time),
    ];
    const others = differ(
      what,
      wanted.flatMap(({ to }) => to),
      got.map(({ name }) => name),
    );
    if (others.length > 0) return others.map((text) => `${text}${elsewhere(wanted, got, paged)}`);
    return wanted.flatMap(({ to, urgency, ways = {} }) => [
      ...to.flatMap((person) => {
        const found = got.filter(({ name }) => name === person).map((each) => each.urgency);
        return differ(`${what}, urgency of ${person}`, urgency && !found.includes(urgency) ? [urgency] : found, found);
      }),
      ...Object.entries(ways).flatMap(([person, own]) => {
        const found = got.find(({ name }) => name === person.toLowerCase());
        return differ(`${what}, ways of ${person}`, own, found?.ways ?? ["what is not known"]);
      }),
    ]);
  });
}

/** When those are paged who are missing, such as `; eli comes after 15m`. */
function elsewhere(
  wanted: readonly { readonly to: readonly string[] }[],
  got: readonly Paged[],
  paged: readonly Paged[],
) {
  const missing = new Set(wanted.flatMap(({ to }) => to).filter((person) => !got.some(({ name }) => name === person)));
  const found = [...missing].flatMap((person) => {
    const times = paged.filter(({ name }) => name === person).map(({ afterMs }) => afterMs);
    return times.length === 0 ? [] : `; ${person} comes after ${durationText(Math.min(...times))}`;
  });
  return found.join("");
}

/** A failure if the lists have other items. */
function differ(what: string, wanted: readonly string[], got: readonly string[]): string[] {
  const [expected, found] = [listed(wanted), listed(got)];
  return expected === found ? [] : [`${what}: expected ${expected}, got ${found}`];
}

/** Sorted, each once. */
function listed(given: readonly string[]): string {
  return [...new Set(given)].sort().join(", ") || "none";
}

/** What rules refer to. */
interface Directory {
  readonly rules: readonly Rule[];
  readonly projects: readonly Project[];
  /** The active ones. */
  readonly users: readonly Pick<User, "id" | "username" | "roles">[];
}

const NO_DIRECTORY: Directory = { rules: [], projects: [], users: [] };
const DEFAULT_PROJECT = "default";

async function readDirectory(server: ServerClient): Promise<Directory> {
  const rules = await listOf(server, "listRules", { active: true });
  const projects = await listOf(server, "listProjects", {});
  return { rules, projects, users: await listOf(server, "listUsers", { status: "active" }) };
}

/** Which rules match an event, and whom they name; limits over time do not count. */
async function eventOutcome(server: ServerClient, test: EventTest, directory: Directory): Promise<Outcome> {
  const { project = DEFAULT_PROJECT, event, expect } = test;
  const own = directory.projects.find(({ id, slug }) => project === slug || project === id);
  if (!own) return { failures: [noProject(project)], sentence: "" };
  // The default project has everyone who is named.
  const members =
    own.slug === DEFAULT_PROJECT
      ? directory.users.map(({ id }) => id)
      : (await listOf(server, "listProjectMembers", { id: own.id })).map(({ userId }) => userId);
  const matching: Rule[] = [];
  for (const rule of directory.rules.filter(({ projectId }) => projectId === null || projectId === own.id))
    if ((await callOf(server, "testRule", { condition: rule.condition, event })).matched) matching.push(rule);
  const reaches = ({ projectId, targetUsers, targetRoles }: Rule, { id, roles }: Directory["users"][number]): boolean =>
    (projectId === null || members.includes(id)) &&
    (targetUsers.includes(id) || targetRoles.some((role) => roles.includes(role)));
  const people = directory.users.filter((user) => matching.some((rule) => reaches(rule, user)));
  const notifying = matching.filter((rule) => people.some((user) => reaches(rule, user)));
  const [rules, notifies] = [matching.map(({ name }) => name), people.map(({ id, username }) => username ?? id)];
  const channels = notifying.flatMap((rule) => rule.channels.map(wayOf));
  const lower = (names: readonly string[]) => names.map((name) => name.toLowerCase());
  const failures = [
    ...(expect.rules ? differ("rules", expect.rules, rules) : []),
    ...(expect.notifies ? differ("notifies", expect.notifies, lower(notifies)) : []),
    ...(expect.channels ? differ("channels", expect.channels.map(wayOf), channels) : []),
  ];
  const sentence = `Rules that match: ${listed(rules)}. They notify: ${listed(notifies)}.`;
  return { failures, sentence };
}

/** What contact rules call a channel. */
function wayOf(channel: string): string {
  if (channel === "pusher") return "in_app";
  return ["fcm", "apns", "webpush"].includes(channel) ? "push" : channel;
}
