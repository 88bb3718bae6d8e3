import { Argument, type Command, Option } from "commander";
import type { MirrorLine, MirrorReport, ObservedReply } from "../../../client/api-types.gen.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { EXIT } from "../../output/exit-codes.ts";
import { pastFlag, timeOf } from "../../output/flag-values.ts";
import { type Output, printable, shortTime } from "../../output/output.ts";
import { type Call, callOf, resource } from "../../resource.ts";
import { API_FLAGS } from "../import/import-flags.ts";
import { OF_PROJECT } from "./shared.ts";

/** `prism mirror`: a project beside the system in use. */
export function addMirror(program: Command): void {
  resource(program, "mirror", "mirror", {
    text: "compare a mirror project with the system beside it: pull, report",
    examples: ["mirror report --project shop"],
    verbs: {
      pull: {
        text: "read what the system beside a mirror project did, and report it to Prism",
        about: `It needs --url and, as --token or PRISM_TOKEN, a key of the project with the scope mirror:observe. What was
reported before is ignored, so run it every minute, with a --from that is longer than alarms last.`,
        examples: ["oncall --from-url https://oncall.example.com --from-token @oncall.token --from 7d"],
        args: { system: new Argument("<system>", "the other system").choices(["oncall"]) },
        flags: {
          fromUrl: API_FLAGS.fromUrl,
          fromToken: API_FLAGS.fromToken,
          from: ["--from <time>", "alert groups created from then on: 24h, a day or an RFC 3339 time", pastFlag],
        },
        changes: true,
        run: pull,
      },
      report: {
        text: "show whom both notified, and when: the same, earlier, later, another person, missing, extra",
        about: `It compares the first notice of each alarm to each person. While anything is missing in Prism it ends
with 8. See the page "Beside the old system: the mirror" (prism docs mirror).`,
        examples: ["--project shop", "--project shop --from 24h --format markdown"],
        flags: {
          project: OF_PROJECT,
          from: ["--from <time>", "from then on: 24h, a day or an RFC 3339 time (default: 7d)", pastFlag],
          format: new Option("--format <format>", "form of the report").choices(["text", "markdown", "json"]),
        },
        async run({ server, out, given: { project, from, format } }) {
          const report = await callOf(server, "getMirrorReport", { project, from: timeOf(from) });
          if (format === "json" && !out.json) out.line(JSON.stringify(report, null, 2));
          else if (format === "markdown" && !out.json) out.line(await markdownOf(report));
          else out.result(report, () => reportLines(report, out));
          if (report.counts.missing > 0) process.exitCode = EXIT.checkFailed;
        },
      },
    },
  });
}

const DAY_MS = 86_400_000;
/** Acts of a request that the server takes. */
const AT_ONCE = 50;

/** @throws CommandError 2, 4, 5, 7 */
async function pull({ server, out, given }: Call): Promise<void> {
  const { openOnCall } = await import("../import/oncall.ts");
  const { onCallObservations } = await import("../../../remote/import/oncall/groups.ts");
  const from = Number(given["from"] ?? Date.now() - DAY_MS);
  const observed = await onCallObservations(await openOnCall(given), from);
  const all = { stored: 0, known: 0, acknowledged: 0, resolved: 0 };
  for (let at = 0; at < observed.length; at += AT_ONCE) {
    const part = observed.slice(at, at + AT_ONCE);
    const reply = await server.post<ObservedReply>("/api/v1/mirror/observed", part);
    for (const name of ["stored", "known", "acknowledged", "resolved"] as const) all[name] += reply[name];
  }
  out.result(
    all,
    () => `${all.stored} new, ${all.known} known; acknowledged here: ${all.acknowledged}, resolved: ${all.resolved}`,
  );
}

function reportLines(report: MirrorReport, out: Output): string[] {
  const { lines, linesLeftOut, isCut, project } = report;
  const more = [
    ...roomLines(report),
    ...(linesLeftOut > 0 ? [`and ${countText(linesLeftOut, "more line")}; --json has at most ${lines.length}`] : []),
    ...(isCut ? ["there was more than could be compared: give a later --from"] : []),
  ];
  const differing = lines.filter((line) => line.class !== "same");
  return [
    out.bold(headOf(report)),
    summaryOf(report),
    ...differing.flatMap((line) => [
      `${shortTime(timeIn(line))}  ${wordOf(line).padEnd(14)}  ${printable(line.title)}`,
      `    ${printable(sidesOf(line, report))}`,
      ...(line.incident ? [`    prism explain ${line.incident.number} --project ${project.slug}`] : []),
    ]),
    ...more,
  ];
}

function headOf({ project, system, from, to }: MirrorReport): string {
  return printable(`${project.name} beside ${system ?? "no other system"}, ${shortTime(from)} to ${shortTime(to)}`);
}

function roomLines({ roomsWithNotices: rooms }: MirrorReport): string[] {
  if (rooms.length === 0) return [];
  const what = countText(rooms.length, "room also gets", "rooms also get");
  return [printable(`${what} on-call notices (${rooms.join(", ")}): eventTypes incident.* has alarms alone`)];
}

/** Such as "212 alarms, 212 notices: 209 the same within a minute, 2 earlier, 1 other person, 0 missing". */
function summaryOf({ system, observed, alarms, counts }: MirrorReport): string {
  if (observed === 0)
    return system === null
      ? "the project is no mirror (settings.mirror), and nothing was observed of another system"
      : `nothing was observed of ${system} in this time; prism docs mirror says how its notices come here`;
  const { same, earlier, later, otherPerson, missing, extra, notComparable } = counts;
  const all = [
    `${same} the same within a minute`,
    ...(earlier > 0 ? [`${earlier} earlier`] : []),
    ...(later > 0 ? [`${later} later`] : []),
    ...(otherPerson > 0 ? [`${otherPerson} other person`] : []),
    `${missing} missing`,
    ...(extra > 0 ? [`${extra} only by Prism`] : []),
    ...(notComparable > 0 ? [`${notComparable} not comparable`] : []),
  ];
  const notices = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return `${countText(alarms, "alarm")}, ${countText(notices, "notice")}: ${all.join(", ")}`;
}

const WORDS: Readonly<Record<MirrorLine["class"], string>> = {
  missing: "missing",
  "other-person": "other person",
  later: "later",
  earlier: "earlier",
  extra: "only by Prism",
  "not-comparable": "not comparable",
  same: "the same",
};

function wordOf(line: MirrorLine): string {
  return WORDS[line.class];
}

function timeIn({ old, prism }: MirrorLine): string {
  return old?.at ?? prism?.at ?? "";
}

/** Such as "oncall: ann by sms; Prism: bob by email, 2 s later". */
function sidesOf({ old, prism, differenceMs, why }: MirrorLine, { system }: MirrorReport): string {
  const side = (one: MirrorLine["old"]): string =>
    one === null ? "nobody" : `${one.person ?? "not known who"}${one.way === null ? "" : ` by ${one.way}`}`;
  const seconds = Math.round(Math.abs(differenceMs ?? 0) / 1000);
  const when = differenceMs === null || seconds === 0 ? "" : `, ${seconds} s ${differenceMs > 0 ? "later" : "earlier"}`;
  return `${system ?? "other system"}: ${side(old)}; Prism: ${side(prism)}${when}${why === null ? "" : ` (${why})`}`;
}

/** For a merge request or a chat: texts of alarms are escaped. */
async function markdownOf(report: MirrorReport): Promise<string> {
  const { markdown } = await import("../../../features/channels/templates/markup.ts");
  const text = (given: string): string => markdown(printable(given));
  const rows = report.lines
    .filter((line) => line.class !== "same")
    .map((line) => {
      const title = text(line.title);
      const named = line.link === null ? title : `[${title}](${report.console}${line.link})`;
      return `- ${shortTime(timeIn(line))} **${wordOf(line)}**: ${named}; ${text(sidesOf(line, report))}`;
    });
  return [`**${text(headOf(report))}**`, "", text(summaryOf(report)), ...(rows.length > 0 ? ["", ...rows] : [])].join(
    "\n",
  );
}
