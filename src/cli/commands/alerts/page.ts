import { type Command, Option } from "commander";
import { online } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { cut } from "../../output/output.ts";
import { findSchedule } from "./oncall-things.ts";
import { findIncident, type Incident, OF_PROJECT, type ProjectFlag, subcommand } from "./things.ts";

const PATH = "/api/v1/incidents";
const MAX_TITLE = 255;

interface PageFlags extends ProjectFlag {
  readonly urgency?: string;
  readonly policy?: string;
}

/** The first line is the title; a text that has more is the message, too. */
function textOf(text: string): { title: string; message?: string } {
  const title = [...(text.trim().split("\n")[0] ?? "")].slice(0, MAX_TITLE).join("");
  return title === text.trim() ? { title } : { title, message: text.trim() };
}

const lineOf = ({ number, state, title }: Incident): string => `${number}  ${state}  ${cut(title, 60)}`;

/** Pages a person without an alert. */
export function addPage(program: Command): void {
  program
    .command("page")
    .description("page a person: opens an incident without alerts")
    .argument("<user>", "member of the project: id, external id, username or mail address")
    .argument("<text>", "what it is about; the first line is the title")
    .option(...OF_PROJECT)
    .addOption(new Option("--urgency <urgency>", "which contact rules are used").choices(["high", "low"]))
    .option("--policy <policy>", "name of the policy that follows after 10 minutes (default: default)")
    .addHelpText(
      "after",
      "\nUnacknowledged for 10 minutes, the steps of the policy start.\n" +
        "\nExamples:\n" +
        "  $ prism page ada 'The shop is slow, can you look?'\n" +
        "  $ prism page ada 'Disk of db-2 is full' --policy Database --project ops",
    )
    .action((user: string, text: string, { project, urgency, policy }: PageFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const body = { projectId: project, ...textOf(text), users: [user], urgency, policy };
        const incident = await server.post<Incident>(PATH, body);
        out.result(incident, () => lineOf(incident));
      }),
    );
}

interface NamedFlags extends ProjectFlag {
  readonly note?: string;
  readonly schedule?: string;
}

/** `prism incidents add-responder` and `reassign`. */
export function addPeople(incidents: Command): void {
  for (const [name, path, description, example] of [
    ["add-responder", "responders", "page further people of an incident now", "12 ada --note 'Knows the disks'"],
    ["reassign", "reassign", "give an incident to others, who are paged now", "12 ada"],
  ] as const) {
    const command = subcommand(incidents, name, description, [example])
      .argument("<incident>", "number in the project, or id")
      .argument(
        path === "responders" ? "[users...]" : "<users...>",
        "id, external id, username or mail address of members",
      )
      .option(...OF_PROJECT)
      .option("--note <text>", "text for the timeline");
    if (path === "responders") command.option("--schedule <schedule>", "and who is on call: id or name, or a prefix");
    command.action((ref: string, users: string[], flags: NamedFlags, self: Command) => {
      if (users.length === 0 && flags.schedule === undefined)
        throw new CommandError(EXIT.usage, "name users or --schedule");
      return online(self, async (server, { out }) => {
        const { id } = await findIncident(server, ref, flags);
        const schedule = flags.schedule === undefined ? undefined : await findSchedule(server, flags.schedule, flags);
        const schedules = schedule === undefined ? {} : { schedules: [{ id: schedule.id }] };
        const body = { users, note: flags.note, ...schedules };
        const incident = await server.post<Incident>(`${PATH}/${id}/${path}`, body);
        out.result(incident, () => lineOf(incident));
      });
    });
  }
}
