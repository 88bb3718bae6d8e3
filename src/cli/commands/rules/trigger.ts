import type { Command } from "commander";
import { toRfc3339 } from "../../../core/time/clock.ts";
import { readJsonObject } from "../../files.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { durationFlag, futureFlag } from "../../output/flag-values.ts";
import { single, type Values } from "../../resource.ts";

interface TriggerReply {
  readonly jobId: string;
  readonly runAt: string;
}

/** Timers of one action. */
export function addTrigger(program: Command): void {
  single(program, "trigger", {
    text: "notify a user, send an event or publish to a channel, later or repeatedly; survives a restart",
    examples: [
      "tea --delay 4m --notify ann --title Tea --body 'It is ready'",
      "stand-up --cron '0 9 * * 1-5' --timezone Europe/Berlin --notify ann --title Stand-up --body Now",
      `nightly --at 2026-02-01T03:00:00Z --event report.due --payload '{"day":"today"}'`,
      `lunch --delay 2h --channel kitchen --payload '{"text":"Lunch"}'`,
    ],
    args: { label: ["<label>", "label of the timer"] },
    flags: {
      delay: [
        "--delay <duration>",
        "time to wait: 500ms, 5s, 10m, 2h, 1d; a bare number is ms (default: 0)",
        durationFlag,
      ],
      at: ["--at <time>", "time to fire, instead of --delay: 2026-01-31T08:00:00Z; a past time means now", futureFlag],
      cron: ["--cron <pattern>", "repeat by cron, instead of --delay: five or six fields"],
      timezone: ["--timezone <zone>", "time zone of --cron, such as Europe/Berlin (default: the server's)"],
      notify: ["--notify <user>", "recipient: me, id, external id, username or mail address"],
      title: ["--title <text>", "title of the notification"],
      body: ["--body <text>", "text of the notification"],
      event: ["--event <name>", "type of the event to send to project default, instead of a notification"],
      persist: ["--persist", "store the event, so that rules are evaluated on it (default)"],
      notPersist: ["--no-persist", "send the event only to modules that listen for it; no rule is evaluated"],
      channel: ["--channel <name>", "named channel to publish to, instead of a notification"],
      payload: ["--payload <json>", "payload of the event or channel entry: JSON, @file, or - for stdin"],
    },
    check: async (given) => ({ timer: { label: given["label"], ...whenOf(given), action: await actionOf(given) } }),
    get: ({ server, given: { timer } }) => server.post("/api/v1/time/trigger", timer),
    json: ({ jobId, runAt }: TriggerReply) => ({ jobId, runAt }),
    lines: ({ jobId, runAt }: TriggerReply, { given: { cron } }) =>
      `${jobId}  ${cron === undefined ? "" : "first "}runs at ${runAt}`,
    after({ jobId, runAt }: TriggerReply, { out, given }) {
      out.note(effectOf(given));
      if (given["cron"] !== undefined || Date.parse(runAt) > Date.now())
        out.note(`To cancel it: prism timers cancel ${jobId}`);
    },
  });
}

/** The action of the timer, in a sentence. */
function effectOf({ notify, event, channel, persist }: Values): string {
  if (notify !== undefined) return `It notifies ${notify}.`;
  if (channel !== undefined) return `It publishes to the channel ${channel}.`;
  return persist === false
    ? `It sends the event ${event} to modules that listen for it. No rule is evaluated on it: that needs --persist.`
    : `It stores the event ${event} in project default, and rules are evaluated on it.`;
}

/** @throws CommandError 2 for several times, or a zone without a time */
function whenOf({ delay, at, cron, timezone }: Values): Values {
  if ([delay, at, cron].filter((value) => value !== undefined).length > 1)
    throw usage("give only one of --delay, --at and --cron");
  if (cron !== undefined) return { cron, ...(timezone === undefined ? {} : { timezone }) };
  if (timezone !== undefined) throw usage("--timezone needs --cron");
  return at === undefined ? { delayMs: delay ?? 0 } : { runAt: toRfc3339(Number(at)) };
}

/** @throws CommandError 2 unless the flags name exactly one action */
async function actionOf(flags: Values): Promise<Values> {
  const { notify, event, channel, title, body, payload, persist } = flags;
  if ([notify, event, channel].filter((value) => value !== undefined).length !== 1)
    throw usage("give one of --notify, --event and --channel");
  if (persist !== undefined && event === undefined) throw usage(`--${persist ? "" : "no-"}persist needs --event`);
  if (notify !== undefined) {
    if (title === undefined || body === undefined) throw usage("--notify needs --title and --body");
    if (payload !== undefined) throw usage("--payload needs --event or --channel");
    return { type: "notify", payload: { userId: notify, title, body } };
  }
  if (title !== undefined || body !== undefined) throw usage("--title and --body need --notify");
  const data = payload === undefined ? {} : { payload: await readJsonObject(String(payload), "--payload") };
  if (channel !== undefined) return { type: "message", channel, ...data };
  return { type: "event", event, ...data, persist: persist !== false };
}

function usage(message: string): CommandError {
  return new CommandError(EXIT.usage, message);
}
