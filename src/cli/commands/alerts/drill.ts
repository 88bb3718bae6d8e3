import { setTimeout as wait } from "node:timers/promises";
import { type Command, Option } from "commander";
import type { ClusterDrill, Drill, DrillPreferences, OnCallProofs } from "../../../client/api-types.gen.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import type { CommandContext } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { durationFlag, integerFlag } from "../../output/flag-values.ts";
import { cut, shortTime, table } from "../../output/output.ts";
import { type Call, callOf, nested, single, type Values } from "../../resource.ts";
import { withServer } from "../../with-server.ts";
import { confirm } from "../access/prompt.ts";
import { nameOf } from "./oncall.ts";
import { OF_PROJECT } from "./shared.ts";

const LOOK_EVERY_MS = 1000;
const DEFAULT_WAIT_MS = 120_000;
const DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"] as const;

const OWN_APPS = [
  "An app of ntfy or Gotify with Prism as its server is the app, not a way:",
  "add a channel, mail or push (prism docs ways).",
];

const seconds = (ms: number | null): string => (ms === null ? "-" : `${(ms / 1000).toFixed(1)} s`);

function drillText({ data: drills }: Drills): string[] {
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

interface Drills {
  readonly data: readonly Drill[];
}

const isOpen = ({ ways }: Drill): boolean =>
  ways.some(({ state }) => state === "queued" || state === "trying" || state === "accepted");

/** The drills when every way is confirmed or has failed, or after `limitMs`. */
async function waited(server: ServerClient, started: readonly Drill[], limitMs: number): Promise<readonly Drill[]> {
  const until = performance.now() + limitMs;
  let drills = started;
  while (drills.some(isOpen) && performance.now() < until) {
    await wait(LOOK_EVERY_MS);
    drills = await Promise.all(started.map(({ id }) => callOf(server, "getDrill", { id })));
  }
  return drills;
}

async function started({ server, given: { users, now, wait: limit } }: Call): Promise<Drills> {
  const people = (users as readonly string[]).length > 0 ? { users } : {};
  const { data } = await callOf(server, "startDrills", { ...people, ...(now === true && { now }) });
  if (limit === undefined) return { data };
  return { data: await waited(server, data, limit === true ? DEFAULT_WAIT_MS : Number(limit)) };
}

function proofLines({ data }: OnCallProofs): string | string[] {
  const rows = data.flatMap(({ user, onCallFrom, takesPart, ways }) => {
    const head = [cut(nameOf(user), 16), shortTime(onCallFrom)];
    const shown = ways.length === 0 ? [{ name: "-", text: "no way outside of the app" }] : ways;
    const lines = shown.map(({ name, text }) => [...head, cut(name, 24), cut(text)]);
    return takesPart ? lines : [...lines, [...head, "-", "does not take part in drills"]];
  });
  return rows.length === 0 ? "no one is on call within 7 days" : table(["PERSON", "ON CALL", "WAY", "PROOF"], rows);
}

function preferencesText({ takesPart, day, hour, timezone, isEnabled, nextAt }: DrillPreferences): string {
  if (!isEnabled) return "this server has no weekly drills (drill.enabled)";
  if (!takesPart) return "you do not take part in weekly drills: the page of on-call shows it to others";
  const next = nextAt === null ? "none is planned: you are not on call within 7 days" : `next: ${shortTime(nextAt)}`;
  return `${day} ${String(hour).padStart(2, "0")}:00 (${timezone}), ${next}`;
}

const LONGEST_TAKE_OVER_MS = 120_000;

/** Ends the leader of a cluster. Over HTTP the result is waited for; the socket of the leader ends with it. */
async function takeOver(context: CommandContext, { users, yes }: Values): Promise<void> {
  const question =
    "End the leader of the cluster as if its machine were lost? Another node takes over in some seconds.";
  if (yes !== true && !(await confirm(question)))
    throw new CommandError(EXIT.usage, "nothing was done; --yes does it without asking");
  const people = (users as readonly string[]).length > 0 ? { users } : {};
  await withServer(
    context,
    async (server) => {
      const begun = await callOf(server, "drillCluster", people);
      const ended = server.token === undefined ? null : await lostUntil(server, begun.startedAt);
      const data = ended === null ? [] : await waited(server, await drillsOf(server, begun.drills), LOOK_EVERY_MS);
      context.out.result({ ...(ended ?? begun), data }, () => [
        ...(ended === null
          ? [`${begun.from} ends now. prism status and the page Cluster show the result.`]
          : [`${ended.from} was lost; ${ended.to} led after ${seconds(ended.withoutLeaderMs)}.`]),
        ...(data.length === 0 ? [] : drillText({ data })),
      ]);
    },
    { mustRun: true },
  );
}

function drillsOf(server: ServerClient, ids: readonly string[]): Promise<Drill[]> {
  return Promise.all(ids.map((id) => callOf(server, "getDrill", { id })));
}

/** @throws CommandError 8 when no node leads in time */
async function lostUntil(server: ServerClient, startedAt: string): Promise<ClusterDrill> {
  for (const until = performance.now() + LONGEST_TAKE_OVER_MS; performance.now() < until; await wait(LOOK_EVERY_MS)) {
    // Between two leaders a request may fail.
    const drill = (await callOf(server, "getCluster", {}).catch(() => null))?.cluster?.drill;
    if (drill && drill.startedAt === startedAt && drill.withoutLeaderMs !== null) return drill;
  }
  throw new CommandError(EXIT.checkFailed, "no other node took over within 2 min: see prism cluster status");
}

/** Test pages to people. */
export function addDrill(program: Command): void {
  const drill = single(program, "drill", {
    text: "send test pages to people, each of whom confirms them with one tap",
    about:
      "The message goes by each way that pages of high urgency use. With --wait, exit 1 if a person did not confirm a way.",
    examples: ["", "ann bob --wait 5m", "status"],
    args: { users: ["[users...]", "ids, external ids or usernames (default: yourself)"] },
    flags: {
      now: ["--now", "also in quiet hours of others, and during their incidents"],
      takeover: [
        "--takeover",
        "end the leader of the cluster meanwhile, as a lost machine would, and see who takes over",
      ],
      yes: ["--yes", "do not ask, with --takeover"],
      wait: ["--wait [duration]", "wait until each way is confirmed or has failed (default: 2m)", durationFlag],
    },
    excludes: [
      ["takeover", "now"],
      ["takeover", "wait"],
    ],
    async act(context, given) {
      if (given["takeover"] !== true) return false;
      await takeOver(context, given);
    },
    get: started,
    lines: drillText,
    after({ data }: Drills, { given }) {
      const isConfirmed = data.every(({ ways }) => ways.length > 0 && ways.every(({ state }) => state === "confirmed"));
      if (given["wait"] !== undefined && !isConfirmed)
        throw new CommandError(EXIT.failure, "not every way is confirmed");
    },
  });
  nested(drill, {
    status: {
      text: "show who is on call within 7 days, and when pages last reached them",
      examples: [""],
      flags: { projectId: OF_PROJECT },
      of: "listOnCallProofs",
      lines: proofLines,
    },
    preferences: {
      text: "show or choose when you have weekly drills, while you are on call",
      examples: ["", "--day tuesday --hour 10", "--off"],
      flags: {
        day: new Option("--day <day>", "day of the week").choices(DAYS),
        hour: ["--hour <hour>", "hour of the day in your time zone", integerFlag(0, 23)],
        off: new Option("--off", "take no part").conflicts("on"),
        on: ["--on", "take part"],
      },
      excludes: [
        ["off", "day"],
        ["off", "hour"],
      ],
      get({ server, given: { day, hour, off, on } }) {
        const change = { day, hour, takesPart: on ? true : off ? false : undefined };
        const isChange = Object.values(change).some((value) => value !== undefined);
        return callOf(server, isChange ? "updateDrillPreferences" : "getDrillPreferences", isChange ? change : {});
      },
      lines: preferencesText,
    },
  });
}
