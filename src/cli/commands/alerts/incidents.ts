import { type Command, Option } from "commander";
import type { AlertExplanation } from "../../../features/explain/alert-schema.ts";
import { type Context, contextOf } from "../../context.ts";
import { everyItem, online } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { durationFlag, integerFlag } from "../../output/flag-values.ts";
import { cut, printable, shortTime, table } from "../../output/output.ts";
import { withServer } from "../../with-server.ts";
import { confirm } from "../access/prompt.ts";
import { showExplanation } from "./alerts.ts";
import { addPeople } from "./page.ts";
import { findIncident, type Incident, OF_PROJECT, type ProjectFlag, subcommand, timelineText } from "./things.ts";

const PATH = "/api/v1/incidents";
const STATES = ["open", "acknowledged", "snoozed", "resolved", "unresolved"];
const NONE: Readonly<Record<string, string>> = { unresolved: "no open incidents" };
const MAX_BULK = 100;
/** Width of a list without the titles. */
const OTHER_COLUMNS = 56;
const ONE = "number in the project, or id";

function stateOf({ state, resolvedBy, isSnoozed }: Incident): string {
  if (resolvedBy === "timeout") return "not reported";
  return isSnoozed && state !== "resolved" ? "snoozed" : state;
}

interface ListFlags extends ProjectFlag {
  readonly state: string;
  readonly limit: number;
  readonly mine?: boolean;
}

function addRead(incidents: Command): void {
  subcommand(incidents, "list", "list incidents, newest first", ["", "--state resolved --project ops"])
    .option(...OF_PROJECT)
    .addOption(new Option("--state <state>", "only in this state").choices(STATES).default("unresolved"))
    .option("--mine", "only incidents of which you were notified")
    .option("--limit <n>", "list at most this many", integerFlag(1, 100_000), 50)
    .action(({ project, state, limit, mine }: ListFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const query = { projectId: project, state, mine: mine ? "true" : undefined, limit: Math.min(limit, 100) };
        const found = await everyItem<Incident>(server, PATH, query, limit);
        const width = Math.max(26, (process.stdout.columns || 0) - OTHER_COLUMNS);
        const row = (each: Incident) => [
          each.number,
          stateOf(each),
          each.severity ?? null,
          shortTime(each.openedAt),
          each.firing,
          cut(each.summary && each.summary !== each.title ? `${each.title}: ${each.summary}` : each.title, width),
        ];
        out.result({ incidents: found }, () =>
          found.length === 0
            ? (NONE[state] ?? `no ${state} incidents`)
            : table(["NO", "STATE", "SEVERITY", "OPENED", "FIRING", "TITLE"], found.map(row)),
        );
      }),
    );
  for (const [name, description] of [
    ["show", "show an incident with its timeline"],
    ["explain", "explain why people were notified, why not, and what follows"],
  ] as const)
    subcommand(incidents, name, description, ["12", "12 --project ops"])
      .argument("<incident>", ONE)
      .option(...OF_PROJECT)
      .option("--user <user>", "also explain why this user was notified or not: id, username or me")
      .action((ref: string, flags: ProjectFlag & { user?: string }, command: Command) =>
        online(command, async (server, context) => {
          const { id } = await findIncident(server, ref, flags);
          const query = flags.user === undefined ? undefined : { userId: flags.user };
          const view = await server.get<AlertExplanation>(`/api/v1/explain/incident/${id}`, query);
          if (name === "explain") return showExplanation(context, view);
          const incident = await server.get<Incident>(`${PATH}/${id}`);
          const { out } = context;
          out.result(incident, () => [
            out.bold(`Incident ${incident.number}  ${printable(incident.title)}`),
            `  ${stateOf(incident)}, ${incident.firing} firing, opened ${shortTime(incident.openedAt)}`,
            ...timelineText(view.incidents[0]?.lines ?? [], out),
          ]);
        }),
      );
}

interface ActFlags extends ProjectFlag {
  readonly note?: string;
  readonly for?: number;
  readonly allOpen?: boolean;
  readonly yes?: boolean;
}

function showChanged({ out }: Context, incident: Incident): void {
  out.result(incident, () => `${incident.number}  ${stateOf(incident)}  ${cut(incident.title, 60)}`);
}

const ACTIONS = [
  ["ack", "acknowledge", "acknowledge an incident: its steps stop", "12 --note 'I am on it'"],
  ["unack", "unacknowledge", "remove the acknowledgements: the steps start again", "12"],
  ["snooze", "snooze", "pause an incident; then its steps start again", "12 --for 2h"],
  ["unsnooze", "unsnooze", "end a snooze: the steps start again", "12"],
  ["resolve", "resolve", "resolve an incident", "12 --note 'Disk replaced'"],
  ["escalate", "escalate", "run the next step that notifies now", "12"],
] as const;

function addActions(incidents: Command): void {
  for (const [name, action, description, example] of ACTIONS) {
    const isBulk = name === "ack" || name === "resolve";
    const command = subcommand(incidents, name, description, isBulk ? [example, "--all-open --yes"] : [example])
      .argument(isBulk ? "[incident]" : "<incident>", ONE)
      .option(...OF_PROJECT)
      .option("--note <text>", "text for the timeline");
    if (name === "snooze") command.option("--for <duration>", "length of the snooze", durationFlag, 3_600_000);
    if (isBulk) command.option("--all-open", "every open incident").option("--yes", "do not ask");
    command.action(async (ref: string | undefined, flags: ActFlags, self: Command) => {
      if ((ref === undefined) !== (flags.allOpen === true))
        throw new CommandError(EXIT.usage, "give either an incident or --all-open");
      if (ref === undefined) return actOnAll(action, flags, self);
      return online(self, async (server, context) => {
        const { id } = await findIncident(server, ref, flags);
        const body = { note: flags.note, ...(name === "snooze" ? { durationMs: flags.for } : {}) };
        showChanged(context, await server.post<Incident>(`${PATH}/${id}/${action}`, body));
      });
    });
  }
  subcommand(incidents, "note", "add a note to the timeline", ["12 'Called the data centre'"])
    .argument("<incident>", ONE)
    .argument("<text>", "the note")
    .option(...OF_PROJECT)
    .action((ref: string, text: string, flags: ProjectFlag, command: Command) =>
      online(command, async (server, context) => {
        const { id } = await findIncident(server, ref, flags);
        showChanged(context, await server.post<Incident>(`${PATH}/${id}/notes`, { text }));
      }),
    );
}

/** The question is asked while no connection is held. @throws CommandError 2, 7 */
async function actOnAll(action: string, { project, note, yes }: ActFlags, command: Command): Promise<void> {
  const context = contextOf(command);
  const query = { projectId: project, state: "open" };
  const open = await withServer(context, (server) => everyItem<Incident>(server, PATH, query));
  const question = `${action === "resolve" ? "Resolve" : "Acknowledge"} ${open.length} open incidents?`;
  if (open.length > 0 && yes !== true && !(await confirm(question)))
    throw new CommandError(EXIT.usage, "nothing was changed; --yes does it without asking");
  const results = await withServer(context, async (server) => {
    const all: { id: string; state: string | null; error: { message: string } | null }[] = [];
    for (let at = 0; at < open.length; at += MAX_BULK) {
      const ids = open.slice(at, at + MAX_BULK).map(({ id }) => id);
      const { data } = await server.post<{ data: typeof all }>(`${PATH}/${action}`, { ids, note });
      all.push(...data);
    }
    return all;
  });
  const failed = results.filter(({ error }) => error !== null);
  context.out.result({ incidents: results }, () => `${results.length - failed.length} incidents changed`);
  const [first] = failed;
  if (first)
    throw new CommandError(EXIT.conflict, `${failed.length} incidents were not changed: ${first.error?.message}`);
}

/** Incidents on a running server. */
export function addIncidents(program: Command): void {
  const incidents = program
    .command("incidents")
    .description("list, acknowledge, snooze, escalate, resolve and explain incidents")
    .addHelpText("after", "\nExamples:\n  $ prism incidents list\n  $ prism incidents ack 12");
  addRead(incidents);
  addActions(incidents);
  addPeople(incidents);
}
