import { type Command, Option } from "commander";
import type { Silence, SilencePreview } from "../../../client/api-types.gen.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { spanText, toRfc3339 } from "../../../core/time/clock.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { durationFlag } from "../../output/flag-values.ts";
import { cut, shortTime } from "../../output/output.ts";
import { type Call, callOf, resource, type Values } from "../../resource.ts";
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

/** Windows that are shown of a recurring silence. */
const SHOWN_WINDOWS = 3;
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

type ShownSilence = Silence & {
  /** The current window of a recurring silence, and the next ones. */
  readonly windows?: readonly Span[];
};

interface Span {
  readonly startsAt: string;
  readonly endsAt: string;
}

const dayOf = (text: string): string => DAYS[Number(text) % 7] ?? text;

/** When windows start, in words for patterns of one time of day. */
function startText(cron: string): string {
  const fields = cron.trim().split(/\s+/);
  const [minute = "", hour = "", ofMonth = "", month = "", weekday = ""] = fields;
  const isTime = fields.length === 5 && month === "*" && /^\d{1,2}$/.test(minute) && /^\d{1,2}$/.test(hour);
  const at = `at ${hour.padStart(2, "0")}:${minute.padStart(2, "0")}`;
  if (isTime && weekday === "*" && /^\d{1,2}$/.test(ofMonth)) return `on day ${ofMonth} of each month ${at}`;
  if (isTime && ofMonth === "*") {
    if (weekday === "*") return `every day ${at}`;
    if (/^[0-7](?:,[0-7])*$/.test(weekday)) return `every ${weekday.split(",").map(dayOf).join(", ")} ${at}`;
    if (/^[0-7]-[0-7]$/.test(weekday)) return `${weekday.split("-").map(dayOf).join(" to ")} ${at}`;
  }
  return `by the cron pattern ${cron}`;
}

async function withWindows(silence: Silence): Promise<ShownSilence> {
  const { state, startsAt, endsAt, recurrence } = silence;
  if (recurrence === null || state === "expired") return silence;
  const { NO_END, spansFrom } = await import("../../../features/alerts/silences/spans.ts");
  const end = endsAt === null ? NO_END : Date.parse(endsAt);
  const windows: Span[] = [];
  for (const span of spansFrom({ startsAt: Date.parse(startsAt), endsAt: end, recurrence }, Date.now())) {
    windows.push({ startsAt: toRfc3339(span.startsAt), endsAt: toRfc3339(span.endsAt) });
    if (windows.length === SHOWN_WINDOWS) break;
  }
  return { ...silence, windows };
}

function timeLines({ state, startsAt, endsAt, hits, recurrence, windows = [] }: ShownSilence): string[] {
  if (recurrence === null) return [`  ${state}, ${shortTime(startsAt)} to ${shortTime(endsAt)}, ${hits} hits`];
  const { cron, durationMs, until, timezone } = recurrence;
  const length = until === undefined ? `for ${spanText(durationMs ?? 0)}` : `until ${until}`;
  const end = endsAt === null ? "" : `, up to ${shortTime(endsAt)}`;
  return [
    `  ${state}, ${hits} hits`,
    ...wrapped(`recurs ${startText(cron)} ${length}, ${timezone}${end}`, "  "),
    ...windows.map((span, at) => {
      const word = at === 0 && state === "active" ? "now " : "next";
      return `  ${word}  ${shortTime(span.startsAt)} to ${shortTime(span.endsAt)}`;
    }),
  ];
}

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
        text: "show a silence, and when a recurring one is active next",
        examples: ["0198c1de"],
        one: true,
        get: async ({ server, found }) => withWindows(await callOf(server, "getSilence", { id: found["id"] })),
        lines: (silence: ShownSilence, { out }) => [
          out.bold(`Silence ${silence.id}`),
          ...timeLines(silence),
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
