import { type Command, Option } from "commander";
import type {
  AlertExplanation,
  EarlierIncidents,
  Incident,
  IncidentResults,
  ListedIncident,
  PostMortem,
} from "../../../client/api-types.gen.ts";
import { countText, ordinalText } from "../../../core/text/clean-text.ts";
import { spanText } from "../../../core/time/clock.ts";
import type { CommandContext } from "../../context.ts";
import { CommandError, describeFailure, EXIT, type Failure } from "../../output/exit-codes.ts";
import { durationFlag } from "../../output/flag-values.ts";
import { cut, type Output, printable, shortTime } from "../../output/output.ts";
import { localTime } from "../../output/text.ts";
import { type Call, callOf, listOf, resource, single, type Values, type Verb } from "../../resource.ts";
import { withServer } from "../../with-server.ts";
import { confirm } from "../access/prompt.ts";
import { explanationLines } from "./alerts.ts";
import { findSchedule } from "./oncall.ts";
import { findIncident, OF_PROJECT, timelineText, wrapped } from "./shared.ts";

const STATES = ["open", "acknowledged", "snoozed", "resolved", "unresolved"];
const NONE: Readonly<Record<string, string>> = { unresolved: "no open incidents" };
const MAX_BULK = 100;
const MAX_TITLE = 255;
/** Width of a list without the titles. */
const OTHER_COLUMNS = 56;
const ONE = "number in the project, or id";
const NOTE = ["--note <text>", "text for the timeline"] as const;

function stateOf({ state, resolvedBy, isSnoozed }: Incident): string {
  if (resolvedBy === "timeout") return "not reported";
  if (resolvedBy === "moved") return "moved";
  return isSnoozed && state !== "resolved" ? "snoozed" : state;
}

const COLUMNS = {
  NO: "number",
  STATE: stateOf,
  ...{ SEVERITY: "severity", OPENED: "openedAt@", FIRING: "firing" },
  TITLE: ({ title, summary }: ListedIncident) => {
    const width = Math.max(26, (process.stdout.columns || 0) - OTHER_COLUMNS);
    return cut(summary && summary !== title ? `${title}: ${summary}` : title, width);
  },
};

function changedLine(incident: Incident): string {
  return `${incident.number}  ${stateOf(incident)}  ${cut(incident.title, 60)}`;
}

/** A change of one incident. */
function action(of: string, text: string, ...examples: readonly string[]): Verb {
  return { text, examples, of, one: true, flags: { note: NOTE }, lines: changedLine };
}

/** A change of one incident, or of several. */
function actions(of: string, text: string, ...examples: readonly string[]): Verb {
  return {
    ...{ text, examples, flags: { note: NOTE }, changes: true },
    args: { refs: ["<incidents...>", ONE] },
    run: (call) => changeEach(call, of),
  };
}

interface RefusedChange {
  readonly ref: string;
  readonly failure: Failure;
}

/**
 * Each on its own: those before a refused one stay changed.
 * @throws CommandError with the exit code of the first refusal; of one incident the refusal itself
 */
async function changeEach({ server, out, given, scope }: Call, of: string): Promise<void> {
  const { refs, projectId: _, ...values } = given;
  const changed: Incident[] = [];
  const refused: RefusedChange[] = [];
  const all = [...new Set(refs as readonly string[])];
  for (const ref of all)
    try {
      const { id } = await findIncident(server, ref, scope);
      changed.push(await callOf<Incident>(server, of, { ...values, id }));
    } catch (error) {
      const failure = describeFailure(error);
      // Without the server the others fail, too.
      if (all.length === 1 || !failure || failure.exitCode === EXIT.unreachable) throw error;
      refused.push({ ref, failure });
    }
  const errors = refused.map(({ ref, failure: { code, summary } }) => ({ incident: ref, code, message: summary }));
  if (all.length === 1) out.result(changed[0], () => changed.map(changedLine));
  else out.result({ incidents: changed, errors }, () => changed.map(changedLine));
  const [first] = refused;
  if (!first) return;
  const lines = refused.map(({ ref, failure }) => `  ${printable(ref)}: ${failure.summary}`);
  const head = `${refused.length} of ${countText(all.length, "incident")} not changed:`;
  throw new CommandError(first.failure.exitCode, [head, ...lines].join("\n"), { code: first.failure.code });
}

/** A change of some incidents, or with `--all-open` of all. */
function bulkAction(of: string, text: string, example: string): Verb {
  return {
    ...actions(of, text, example, "12 13 14", "--all-open --yes"),
    args: { refs: ["[incidents...]", ONE] },
    flags: { note: NOTE, allOpen: ["--all-open", "every open incident"], yes: ["--yes", "do not ask"] },
    check({ refs, allOpen }) {
      if ((refs as readonly string[]).length > 0 === (allOpen === true))
        throw new CommandError(EXIT.usage, "give either incidents or --all-open");
    },
    act: (context, given) => given["allOpen"] === true && actOnAll(context, of, given),
    run: ({ given: { allOpen: _, yes: _yes, ...given }, ...call }) => changeEach({ ...call, given }, of),
  };
}

/** The question is asked while no connection is held. @throws CommandError 2, 7 */
async function actOnAll(context: CommandContext, of: string, { projectId, note, yes }: Values): Promise<void> {
  const open = await withServer(context, (server) => {
    server.bePatient();
    return listOf(server, "listIncidents", { projectId, state: "open" });
  });
  const question = `${of === "resolveIncident" ? "Resolve" : "Acknowledge"} ${open.length} open incidents?`;
  if (open.length > 0 && yes !== true && !(await confirm(question)))
    throw new CommandError(EXIT.usage, "nothing was changed; --yes does it without asking");
  const results = await withServer(context, async (server) => {
    const all: IncidentResults["data"][number][] = [];
    for (let at = 0; at < open.length; at += MAX_BULK) {
      const ids = open.slice(at, at + MAX_BULK).map(({ id }) => id);
      all.push(...(await callOf<IncidentResults>(server, `${of}s`, { ids, note })).data);
    }
    return all;
  });
  const failed = results.filter(({ error }) => error !== null);
  context.out.result({ incidents: results }, () => `${results.length - failed.length} incidents changed`);
  const [first] = failed;
  if (first)
    throw new CommandError(EXIT.conflict, `${failed.length} incidents were not changed: ${first.error?.message}`);
}

/** @throws CommandError 2 */
function requirePeople({ users, schedule }: Values): void {
  if ((users as readonly string[]).length === 0 && schedule === undefined)
    throw new CommandError(EXIT.usage, "name users or --schedule");
}

const PEOPLE = "id, external id, username or mail address of members";
const lineOf = ({ number, state, title }: Incident): string => `${number}  ${state}  ${cut(title, 60)}`;

interface Shown {
  readonly view: AlertExplanation;
  readonly incident: Incident;
  readonly earlier: EarlierIncidents;
}

async function shownOf({ server, given: { userId }, found: { id } }: Call): Promise<Shown> {
  const view = await callOf(server, "explainIncident", { id, userId });
  const earlier = await callOf<EarlierIncidents>(server, "getEarlierIncidents", { id });
  return { view, incident: await callOf(server, "getIncident", { id }), earlier };
}

/** @throws CommandError 2 for a template that cannot be used */
async function exportIncident({ server, out, given: { format, template }, found: { id } }: Call): Promise<void> {
  const postMortem = await callOf<PostMortem>(server, "getPostMortem", { id });
  if (format === "json" || out.json) return out.line(JSON.stringify(postMortem, null, 2));
  if (template === undefined) return out.line(postMortem.markdown.trimEnd());
  const { readFile } = await import("node:fs/promises");
  const { postMortemText } = await import("../../../features/reports/post-mortem-text.ts");
  const text = await readFile(String(template), "utf8").catch((error: unknown) => {
    throw new CommandError(EXIT.usage, `cannot read ${printable(String(template))}: ${(error as Error).message}`);
  });
  try {
    out.line(postMortemText(postMortem, text).trimEnd());
  } catch (error) {
    throw new CommandError(EXIT.usage, `${printable(String(template))}: ${(error as Error).message}`);
  }
}

/** How often it was here before, and the last times. */
function earlierLines({ count, days, medianMs, isCut, last }: EarlierIncidents, out: Output): string[] {
  if (count === 0) return [`  first in ${days} days`];
  const median = medianMs === null ? "" : `, median ${spanText(medianMs)}`;
  return [
    `  ${isCut ? "at least " : ""}${ordinalText(count + 1)} in ${days} days${median}; before:`,
    ...last.flatMap(({ number, openedAt, resolvedAt, acknowledgedBy, note, ...end }) => {
      const lasted = resolvedAt === null ? 0 : Date.parse(resolvedAt) - Date.parse(openedAt);
      const who = acknowledgedBy.map(({ name, userId }) => name || userId).join(", ");
      const text = `${number}, ${endText(end)} after ${spanText(lasted)}${who === "" ? "" : `, acknowledged by ${who}`}`;
      const noted = note === null ? [] : wrapped(`Note: ${cut(note, 200)}`, "      ");
      return [out.dim(`    ${localTime(openedAt)}`), ...wrapped(text, "    "), ...noted];
    }),
  ];
}

const ENDS: Readonly<Record<string, string>> = {
  timeout: "no longer reported",
  auto: "resolved by its policy",
  policy: "resolved by a step",
  mirror: "resolved in the other system",
};

function endText({
  resolvedBy,
  resolvedByName,
}: Pick<EarlierIncidents["last"][number], "resolvedBy" | "resolvedByName">) {
  return ENDS[resolvedBy ?? ""] ?? (resolvedByName === null ? "resolved" : `resolved by ${resolvedByName}`);
}

/** Incidents on a running server. */
export function addIncidents(program: Command): void {
  const read = {
    one: true,
    examples: ["12", "12 --project ops"],
    flags: {
      userId: ["--user <user>", "also explain why this user was notified or not: id, username or me"],
    },
  } as const;
  resource(program, "incidents", "incident", {
    text: "list, ack, snooze, escalate, resolve and explain incidents",
    examples: ["incidents list", "incidents ack 12"],
    ref: ONE,
    scope: { projectId: OF_PROJECT },
    find: findIncident,
    verbs: {
      list: {
        text: "list incidents, newest first",
        examples: ["", "--state resolved --project ops"],
        of: "listIncidents",
        flags: {
          state: new Option("--state <state>", "only in this state").choices(STATES).default("unresolved"),
          mine: ["--mine", "only incidents of which you were notified"],
        },
        limit: 50,
        values: ({ mine, ...given }) => ({ ...given, mine: mine ? "true" : undefined }),
        none: ({ state }) => NONE[String(state)] ?? `no ${state} incidents`,
        columns: COLUMNS,
      },
      show: {
        ...read,
        text: "show an incident with its timeline, and how often it was here before",
        get: shownOf,
        json: ({ incident, earlier }: Shown) => ({ ...incident, earlier }),
        lines: ({ incident, view, earlier }: Shown, { out }) => [
          out.bold(`Incident ${incident.number}  ${printable(incident.title)}`),
          `  ${stateOf(incident)}, ${incident.firing} firing, opened ${shortTime(incident.openedAt)}`,
          ...earlierLines(earlier, out),
          ...timelineText(view.incidents[0]?.lines ?? [], out),
        ],
      },
      explain: {
        ...read,
        text: "explain why people were notified, why not, and what follows",
        of: "explainIncident",
        lines: (view: AlertExplanation, { out }) => explanationLines(view, out),
      },
      export: {
        one: true,
        text: "write an incident as the beginning of a post-mortem: facts, timeline, people, alerts, notes",
        examples: ["12 > incident-12.md", "12 --format json", "12 --template post-mortem.md"],
        flags: {
          format: new Option("--format <format>", "form of it").choices(["markdown", "json"]).default("markdown"),
          template: ["--template <file>", "Markdown file with {{ }} in place of the server's template"],
        },
        run: exportIncident,
      },
      ack: bulkAction("acknowledgeIncident", "acknowledge an incident: its steps stop", "12 --note 'I am on it'"),
      unack: actions("unacknowledgeIncident", "remove the acknowledgements: the steps start again", "12"),
      snooze: {
        ...actions("snoozeIncident", "pause an incident; then its steps start again", "12 --for 2h"),
        flags: { note: NOTE, durationMs: ["--for <duration>", "length of the snooze", durationFlag, 3_600_000] },
      },
      unsnooze: actions("unsnoozeIncident", "end a snooze: the steps start again", "12"),
      resolve: bulkAction("resolveIncident", "resolve an incident", "12 --note 'Disk replaced'"),
      escalate: actions("escalateIncident", "run the next step that notifies now", "12"),
      note: {
        ...action("addIncidentNote", "add a note to the timeline", "12 'Called the data centre'"),
        args: { text: ["<text>", "the note"] },
        flags: {},
      },
      "add-responder": {
        ...action("addResponders", "page further people of an incident now", "12 ada --note 'Knows the disks'"),
        args: { users: ["[users...]", PEOPLE] },
        flags: {
          note: NOTE,
          schedule: ["--schedule <schedule>", "and who is on call: id or name, or a prefix"],
        },
        check: requirePeople,
        async values({ schedule, ...given }, { server, scope }) {
          if (schedule === undefined) return given;
          const { id } = await findSchedule(server, String(schedule), scope);
          return { ...given, schedules: [{ id }] };
        },
        lines: lineOf,
      },
      reassign: {
        ...action("reassignIncident", "give an incident to others, who are paged now", "12 ada"),
        args: { users: ["<users...>", PEOPLE] },
        lines: lineOf,
      },
    },
  });
}

/** The first line is the title; a text that has more is the message, too. */
function textOf(text: string): Values {
  const title = [...(text.trim().split("\n")[0] ?? "")].slice(0, MAX_TITLE).join("");
  return title === text.trim() ? { title } : { title, message: text.trim() };
}

/** Pages a person without an alert. */
export function addPage(program: Command): void {
  single(program, "page", {
    text: "page a person: opens an incident without alerts",
    about: "Unacknowledged for 10 minutes, the steps of the policy start.",
    examples: ["ada 'The shop is slow, can you look?'", "ada 'Disk of db-2 is full' --policy Database --project ops"],
    of: "pagePeople",
    args: {
      user: ["<user>", "member of the project: id, external id, username or mail address"],
      text: ["<text>", "what it is about; the first line is the title"],
    },
    flags: {
      projectId: OF_PROJECT,
      urgency: new Option("--urgency <urgency>", "which contact rules are used").choices(["high", "low"]),
      policy: ["--policy <policy>", "name of the policy that follows after 10 minutes (default: default)"],
    },
    values: ({ user, text, ...given }) => ({ ...given, ...textOf(String(text)), users: [user] }),
    lines: lineOf,
  });
}
