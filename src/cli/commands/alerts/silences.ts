import { type Command, Option } from "commander";
import { countText } from "../../../core/clean-text.ts";
import { everyItem, online, pick } from "../../on-server.ts";
import { durationFlag, integerFlag } from "../../output/flag-values.ts";
import { table } from "../../output/output.ts";
import type { ServerClient } from "../../server-client.ts";
import {
  cut,
  findIncident,
  OF_PROJECT,
  type ProjectFlag,
  requireOne,
  SEARCHED,
  shortTime,
  subcommand,
  wrapped,
} from "./things.ts";

const PATH = "/api/v1/silences";
const STATES = ["pending", "active", "expired"];

interface Silence {
  readonly id: string;
  readonly state: string;
  readonly text: string;
  readonly comment: string;
  readonly createdBy: string;
  readonly hits: number;
  readonly startsAt: string;
  readonly endsAt: string | null;
  readonly window: { readonly startsAt: string; readonly endsAt: string } | null;
}

interface Preview {
  readonly text: string;
  readonly hits: number;
  readonly incidents: readonly { readonly number: number; readonly title: string }[];
  readonly warnings: readonly { readonly message: string }[];
}

interface SelectFlags extends ProjectFlag {
  readonly incident?: string;
  readonly notification?: string;
}

interface AddFlags extends SelectFlags {
  readonly for: number;
  readonly comment: string;
}

async function findSilence(server: ServerClient, ref: string, { project }: ProjectFlag): Promise<Silence> {
  const found = await everyItem<Silence>(server, PATH, { projectId: project }, SEARCHED);
  return pick(found, ref, {
    one: "silence",
    namesOf: ({ comment }) => [comment],
    lineOf: ({ id, text }) => `${id}  ${cut(text)}`,
  });
}

function addRead(silences: Command): void {
  subcommand(silences, "list", "list silences that have not ended, the last to end first", ["", "--state active"])
    .option(...OF_PROJECT)
    .addOption(new Option("--state <state>", "only in this state").choices(STATES))
    .option("--limit <n>", "list at most this many", integerFlag(1, 100_000), 50)
    .action(({ project, state, limit }: ProjectFlag & { state?: string; limit: number }, command: Command) =>
      online(command, async (server, { out }) => {
        const query = { projectId: project, state: state ?? "pending,active", limit: Math.min(limit, 100) };
        const found = await everyItem<Silence>(server, PATH, query, limit);
        out.result({ silences: found }, () =>
          found.length === 0
            ? "no silences"
            : table(
                ["ID", "STATE", "UNTIL", "MATCHERS"],
                found.map((each) => [
                  each.id.slice(0, 13),
                  each.state,
                  shortTime(each.window?.endsAt ?? each.endsAt),
                  cut(each.text, 34),
                ]),
              ),
        );
      }),
    );
  subcommand(silences, "show", "show a silence", ["0198c1de"])
    .argument("<silence>", "id or comment, or a prefix")
    .option(...OF_PROJECT)
    .action((ref: string, flags: ProjectFlag, command: Command) =>
      online(command, async (server, { out }) => {
        const { id } = await findSilence(server, ref, flags);
        const silence = await server.get<Silence>(`${PATH}/${id}`);
        out.result(silence, () => [
          out.bold(`Silence ${silence.id}`),
          `  ${silence.state}, ${shortTime(silence.startsAt)} to ${shortTime(silence.endsAt)}, ${silence.hits} hits`,
          ...wrapped(silence.text, "  "),
          ...wrapped(silence.comment, "  "),
        ]);
      }),
    );
}

/** What a silence matches, from the command line. @throws CommandError 2, 6, 7 */
async function selectionOf(server: ServerClient, matchers: readonly string[], flags: SelectFlags) {
  const { project, incident, notification } = flags;
  const selected =
    incident === undefined
      ? {}
      : { incidentId: (await findIncident(server, incident, { project: project ?? "default" })).id };
  const given = matchers.length === 0 ? {} : { matchers };
  return { projectId: project, ...given, ...selected, notificationId: notification };
}

function requireSelection(matchers: readonly string[], { incident, notification }: SelectFlags): void {
  requireOne([matchers[0], incident, notification], "matchers, --incident or --notification");
}

function addWrite(silences: Command): void {
  const selecting = (command: Command): Command =>
    command
      .argument("[matchers...]", `matchers such as team="db" or instance=~"db-.*"`)
      .option(...OF_PROJECT)
      .option("--incident <n>", "the labels that all alerts of this incident have")
      .option("--notification <id>", "as --incident, for the incident of a notification");
  selecting(
    subcommand(silences, "add", "silence alerts", [
      `'team="db"' --for 2h --comment 'New disks'`,
      "--incident 12 --for 8h",
    ]),
  )
    .option("--for <duration>", "how long", durationFlag, 7_200_000)
    .option("--comment <text>", "the reason, for other people", "")
    .action((matchers: readonly string[], flags: AddFlags, command: Command) => {
      requireSelection(matchers, flags);
      return online(command, async (server, { out }) => {
        const body = { ...(await selectionOf(server, matchers, flags)), durationMs: flags.for, comment: flags.comment };
        const silence = await server.post<Silence>(PATH, body);
        out.result(silence, () => `${silence.id}  until ${shortTime(silence.endsAt)}  ${cut(silence.text)}`);
      });
    });
  selecting(
    subcommand(silences, "preview", "show what a silence would withhold now; nothing is stored", [`'team="db"'`]),
  ).action((matchers: readonly string[], flags: SelectFlags, command: Command) => {
    requireSelection(matchers, flags);
    return online(command, async (server, { out }) => {
      const preview = await server.post<Preview>(`${PATH}/preview`, await selectionOf(server, matchers, flags));
      out.result(preview, () => [
        ...wrapped(preview.text),
        countText(preview.hits, "firing alert matches", "firing alerts match"),
        ...preview.incidents.map(({ number, title }) => `  incident ${number}  ${cut(title, 60)}`),
        ...preview.warnings.flatMap(({ message }) => wrapped(`warning: ${message}`)),
      ]);
    });
  });
  subcommand(silences, "expire", "end a silence now", ["0198c1de"])
    .argument("<silence>", "id or comment, or a prefix")
    .option(...OF_PROJECT)
    .action((ref: string, flags: ProjectFlag, command: Command) =>
      online(command, async (server, { out }) => {
        const { id } = await findSilence(server, ref, flags);
        await server.delete(`${PATH}/${id}`);
        out.result({ id, expired: true }, () => `${id}  expired`);
      }),
    );
}

/** Silences on a running server. */
export function addSilences(program: Command): void {
  const silences = program
    .command("silences")
    .description("list, show, add, preview and expire silences")
    .addHelpText("after", "\nExamples:\n  $ prism silences list\n  $ prism silences add --incident 12 --for 2h");
  addRead(silences);
  addWrite(silences);
}
