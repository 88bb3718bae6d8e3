import { type Command, Option } from "commander";
import type { Silence, SilencePreview } from "../../../client/api-types.gen.ts";
import { countText } from "../../../core/clean-text.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { durationFlag } from "../../output/flag-values.ts";
import { cut, shortTime } from "../../output/output.ts";
import { type Call, resource, type Values } from "../../resource.ts";
import { findIncident, OF_PROJECT, SEARCHED, wrapped } from "./shared.ts";

const STATES = ["pending", "active", "expired"];

/** Options for the matchers of a silence. */
const SELECTION = {
  args: { matchers: ["[matchers...]", `matchers such as team="db" or instance=~"db-.*"`] },
  flags: {
    incidentId: ["--incident <n>", "the labels that all alerts of this incident have"],
    notificationId: ["--notification <id>", "as --incident, for the incident of a notification"],
  },
  check({ matchers, incidentId, notificationId }: Values) {
    const [first] = matchers as readonly string[];
    if ([first, incidentId, notificationId].filter((each) => each !== undefined).length !== 1)
      throw new CommandError(EXIT.usage, "give one of matchers, --incident or --notification");
  },
  /** @throws CommandError 2, 6, 7 */
  async values({ incidentId, matchers, ...given }: Values, { server }: Call) {
    const projectId = given["projectId"] ?? "default";
    const incident =
      incidentId === undefined
        ? {}
        : { incidentId: (await findIncident(server, String(incidentId), { projectId })).id };
    return { ...given, ...incident, ...((matchers as readonly string[]).length === 0 ? {} : { matchers }) };
  },
} as const;

/** Silences on a running server. */
export function addSilences(program: Command): void {
  resource(program, "silences", "silence", {
    text: "list, show, add, preview and expire silences",
    examples: ["silences list", "silences add --incident 12 --for 2h"],
    ref: "id or comment, or a prefix",
    list: "listSilences",
    names: ["comment"],
    line: "{id}  {text:36}",
    searched: SEARCHED,
    scope: { projectId: OF_PROJECT },
    verbs: {
      list: {
        text: "list silences that have not ended, the last to end first",
        examples: ["", "--state active"],
        of: "listSilences",
        flags: { state: new Option("--state <state>", "only in this state").choices(STATES) },
        limit: 50,
        values: ({ state, ...given }) => ({ ...given, state: state ?? "pending,active" }),
        columns: { ID: "id:id", STATE: "state", UNTIL: "window.endsAt|endsAt@", MATCHERS: "text:34" },
      },
      show: {
        text: "show a silence",
        examples: ["0198c1de"],
        one: true,
        of: "getSilence",
        lines: (silence: Silence, { out }) => [
          out.bold(`Silence ${silence.id}`),
          `  ${silence.state}, ${shortTime(silence.startsAt)} to ${shortTime(silence.endsAt)}, ${silence.hits} hits`,
          ...wrapped(silence.text, "  "),
          ...wrapped(silence.comment, "  "),
        ],
      },
      add: {
        ...SELECTION,
        text: "silence alerts",
        examples: [`'team="db"' --for 2h --comment 'New disks'`, "--incident 12 --for 8h"],
        of: "createSilence",
        flags: {
          ...SELECTION.flags,
          durationMs: ["--for <duration>", "how long", durationFlag, 7_200_000],
          comment: ["--comment <text>", "the reason, for other people", ""],
        },
        lines: ({ id, endsAt, text }: Silence) => `${id}  until ${shortTime(endsAt)}  ${cut(text)}`,
      },
      preview: {
        ...SELECTION,
        text: "show which alerts a silence would silence now; nothing is stored",
        examples: [`'team="db"'`],
        of: "previewSilence",
        lines: (preview: SilencePreview) => [
          ...wrapped(preview.text),
          countText(preview.hits, "firing alert matches", "firing alerts match"),
          ...preview.incidents.map(({ number, title }) => `  incident ${number}  ${cut(title, 60)}`),
          ...preview.warnings.flatMap(({ message }) => wrapped(`warning: ${message}`)),
        ],
      },
      expire: {
        text: "end a silence now",
        examples: ["0198c1de"],
        one: true,
        of: "expireSilence",
        json: ({ id }: Silence) => ({ id, expired: true }),
        say: "{id}  expired",
      },
    },
  });
}
