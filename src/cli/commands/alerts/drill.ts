import { setTimeout as wait } from "node:timers/promises";
import { type Command, Option } from "commander";
import { online } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { durationFlag, integerFlag } from "../../output/flag-values.ts";
import { cut, shortTime, table } from "../../output/output.ts";
import type { ServerClient } from "../../server-client.ts";
import { nameOf, type Person } from "./oncall-things.ts";
import { OF_PROJECT, type ProjectFlag, subcommand } from "./things.ts";

const PATH = "/api/v1/drills";
const LOOK_EVERY_MS = 1000;
const DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"] as const;

interface Drill {
  readonly id: string;
  readonly user: Person;
  readonly ways: readonly {
    readonly name: string;
    readonly state: "queued" | "trying" | "accepted" | "confirmed" | "failed" | "not-sent";
    readonly acceptedMs: number | null;
    readonly confirmedMs: number | null;
    readonly error: string | null;
  }[];
}

interface Proofs {
  readonly data: readonly {
    readonly user: Person;
    readonly onCallFrom: string;
    readonly isProven: boolean;
    readonly takesPart: boolean;
    readonly ways: readonly { readonly name: string; readonly text: string }[];
  }[];
}

interface Preferences {
  readonly takesPart: boolean;
  readonly day: string;
  readonly hour: number;
  readonly timezone: string;
  readonly isEnabled: boolean;
  readonly nextAt: string | null;
}

interface DrillFlags {
  readonly now?: true;
  readonly wait?: number | true;
}

const OWN_APPS = [
  "An app of ntfy or Gotify with Prism as its server is the app, not a way:",
  "add a channel, mail or push (prism docs ways).",
];

const seconds = (ms: number | null): string => (ms === null ? "-" : `${(ms / 1000).toFixed(1)} s`);

function drillText(drills: readonly Drill[]): string[] {
  const rows = drills.flatMap(({ user, ways }) =>
    ways.length === 0
      ? [[cut(nameOf(user), 16), "-", "no way outside of the app", "-", "-"]]
      : ways.map(({ name, state, acceptedMs, confirmedMs, error }) => [
          cut(nameOf(user), 16),
          cut(name, 24),
          cut(error === null ? state : `${state}: ${error}`, 40),
          seconds(acceptedMs),
          seconds(confirmedMs),
        ]),
  );
  const lines = table(["PERSON", "WAY", "STATE", "ACCEPTED", "CONFIRMED"], rows);
  return drills.some(({ ways }) => ways.length === 0) ? [...lines, ...OWN_APPS] : lines;
}

const isOpen = ({ ways }: Drill): boolean =>
  ways.some(({ state }) => state === "queued" || state === "trying" || state === "accepted");

/** The drills when every way is confirmed or has failed, or after `limitMs`. */
async function waited(server: ServerClient, started: readonly Drill[], limitMs: number): Promise<readonly Drill[]> {
  const until = performance.now() + limitMs;
  let drills = started;
  while (drills.some(isOpen) && performance.now() < until) {
    await wait(LOOK_EVERY_MS);
    drills = await Promise.all(started.map(({ id }) => server.get<Drill>(`${PATH}/${id}`)));
  }
  return drills;
}

const DEFAULT_WAIT_MS = 120_000;

/** Test pages to people. */
export function addDrill(program: Command): void {
  const drill = program
    .command("drill")
    .description("send test pages to people, each of whom confirms them with one tap")
    .argument("[users...]", "ids, external ids or usernames (default: yourself)")
    .option("--now", "also in quiet hours of others, and during their incidents")
    .option("--wait [duration]", "wait until each way is confirmed or has failed (default: 2m)", durationFlag)
    .addHelpText(
      "after",
      "\nThe message goes by each way that pages of high urgency use. With --wait, exit 1 if a way is not confirmed.\n" +
        "\nExamples:\n  $ prism drill\n  $ prism drill ann bob --wait 5m\n  $ prism drill status",
    )
    .action((users: string[], flags: DrillFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const body = { ...(users.length > 0 && { users }), ...(flags.now && { now: true }) };
        const { data } = await server.post<{ data: readonly Drill[] }>(PATH, body);
        const limitMs = flags.wait === true ? DEFAULT_WAIT_MS : flags.wait;
        const drills = limitMs === undefined ? data : await waited(server, data, limitMs);
        out.result({ data: drills }, () => drillText(drills));
        const isConfirmed = drills.every(
          ({ ways }) => ways.length > 0 && ways.every(({ state }) => state === "confirmed"),
        );
        if (limitMs !== undefined && !isConfirmed) throw new CommandError(EXIT.failure, "not every way is confirmed");
      }),
    );
  addDrillStatus(drill);
  addDrillPreferences(drill);
}

function addDrillStatus(drill: Command): void {
  subcommand(drill, "status", "show who is on call within 7 days, and when pages last reached them", [""])
    .option(...OF_PROJECT)
    .action(({ project }: ProjectFlag, command: Command) =>
      online(command, async (server, { out }) => {
        const proofs = await server.get<Proofs>("/api/v1/oncall/proofs", { projectId: project });
        const rows = proofs.data.flatMap(({ user, onCallFrom, takesPart, ways }) => {
          const person = cut(nameOf(user), 16);
          const shown = ways.length === 0 ? [{ name: "-", text: "no way outside of the app" }] : ways;
          const lines = shown.map(({ name, text }) => [person, shortTime(onCallFrom), cut(name, 24), cut(text)]);
          return takesPart ? lines : [...lines, [person, shortTime(onCallFrom), "-", "does not take part in drills"]];
        });
        out.result(proofs, () =>
          rows.length === 0 ? "no one is on call within 7 days" : table(["PERSON", "ON CALL", "WAY", "PROOF"], rows),
        );
      }),
    );
}

interface PreferenceFlags {
  readonly day?: string;
  readonly hour?: number;
  readonly off?: true;
  readonly on?: true;
}

function addDrillPreferences(drill: Command): void {
  subcommand(drill, "preferences", "show or choose when you have weekly drills, while you are on call", [
    "",
    "--day tuesday --hour 10",
    "--off",
  ])
    .addOption(new Option("--day <day>", "day of the week").choices(DAYS))
    .option("--hour <hour>", "hour of the day in your time zone", integerFlag(0, 23))
    .addOption(new Option("--off", "take no part").conflicts("on"))
    .option("--on", "take part")
    .action(({ day, hour, off, on }: PreferenceFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const path = `${PATH}/preferences`;
        const change = { day, hour, ...(off && { takesPart: false }), ...(on && { takesPart: true }) };
        const isChange = Object.values(change).some((value) => value !== undefined);
        const view = isChange
          ? await server.change<Preferences>("PUT", path, change)
          : await server.get<Preferences>(path);
        out.result(view, () => preferencesText(view));
      }),
    );
}

function preferencesText({ takesPart, day, hour, timezone, isEnabled, nextAt }: Preferences): string {
  if (!isEnabled) return "this server has no weekly drills (drill.enabled)";
  if (!takesPart) return "you do not take part in weekly drills: the page of on-call shows it to others";
  const next = nextAt === null ? "none is planned: you are not on call within 7 days" : `next: ${shortTime(nextAt)}`;
  return `${day} ${String(hour).padStart(2, "0")}:00 (${timezone}), ${next}`;
}
