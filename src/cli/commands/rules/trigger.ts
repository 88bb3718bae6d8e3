import type { Command } from "commander";
import { toRfc3339 } from "../../../core/clock.ts";
import { readJsonObject } from "../../files.ts";
import { online } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { durationFlag, futureFlag } from "../../output/flag-values.ts";

interface Flags {
  readonly delay?: number;
  readonly at?: number;
  readonly cron?: string;
  readonly timezone?: string;
  readonly notify?: string;
  readonly title?: string;
  readonly body?: string;
  readonly event?: string;
  readonly persist?: boolean;
  readonly channel?: string;
  readonly payload?: string;
}

interface TriggerReply {
  readonly jobId: string;
  readonly runAt: string;
}

export function addTrigger(program: Command): void {
  program
    .command("trigger")
    .description("notify a user, send an event or publish to a channel, later or repeatedly; survives a restart")
    .argument("<label>", "label of the timer")
    .option(
      "--delay <duration>",
      "time to wait: 500ms, 5s, 10m, 2h, 1d; a bare number is ms (default: 0)",
      durationFlag,
    )
    .option("--at <time>", "time to fire, instead of --delay: 2026-01-31T08:00:00Z; a past time means now", futureFlag)
    .option("--cron <pattern>", "repeat by cron, instead of --delay: five or six fields")
    .option("--timezone <zone>", "time zone of --cron, such as Europe/Berlin (default: the server's)")
    .option("--notify <user>", "recipient: me, id, external id, username or mail address")
    .option("--title <text>", "title of the notification")
    .option("--body <text>", "text of the notification")
    .option("--event <name>", "type of the event to send to project default, instead of a notification")
    .option("--persist", "store the event, so that rules are evaluated on it (default)")
    .option("--no-persist", "send the event only to modules that listen for it; no rule is evaluated")
    .option("--channel <name>", "named channel to publish to, instead of a notification")
    .option("--payload <json>", "payload of the event or channel entry: JSON, @file, or - for stdin")
    .addHelpText(
      "after",
      `
Examples:
  $ prism trigger tea --delay 4m --notify ann --title Tea --body 'It is ready'
  $ prism trigger stand-up --cron '0 9 * * 1-5' --timezone Europe/Berlin --notify ann --title Stand-up --body Now
  $ prism trigger nightly --at 2026-02-01T03:00:00Z --event report.due --payload '{"day":"today"}'
  $ prism trigger lunch --delay 2h --channel kitchen --payload '{"text":"Lunch"}'`,
    )
    .action(async (label: string, flags: Flags, command: Command) => {
      const body = { label, ...whenOf(flags), action: await actionOf(flags) };
      await online(command, async (server, { out }) => {
        const { jobId, runAt } = await server.post<TriggerReply>("/api/v1/time/trigger", body);
        const isRecurring = flags.cron !== undefined;
        out.result({ jobId, runAt }, () => `${jobId}  ${isRecurring ? "first " : ""}runs at ${runAt}`);
        out.note(effectOf(flags));
        if (isRecurring || Date.parse(runAt) > Date.now()) out.note(`To cancel it: prism timers cancel ${jobId}`);
      });
    });
}

/** What the timer will do, in a sentence. */
function effectOf({ notify, event, channel, persist }: Flags): string {
  if (notify !== undefined) return `It notifies ${notify}.`;
  if (channel !== undefined) return `It publishes to the channel ${channel}.`;
  return persist === false
    ? `It sends the event ${event} to modules that listen for it. No rule is evaluated on it: that needs --persist.`
    : `It stores the event ${event} in project default, and rules are evaluated on it.`;
}

/** @throws CommandError 2 for several times, or a zone without a time */
function whenOf({ delay, at, cron, timezone }: Flags): Record<string, unknown> {
  if ([delay, at, cron].filter((value) => value !== undefined).length > 1)
    throw usage("give only one of --delay, --at and --cron");
  if (cron !== undefined) return { cron, ...(timezone === undefined ? {} : { timezone }) };
  if (timezone !== undefined) throw usage("--timezone needs --cron");
  return at === undefined ? { delayMs: delay ?? 0 } : { runAt: toRfc3339(at) };
}

/** @throws CommandError 2 unless the flags name exactly one action */
async function actionOf(flags: Flags): Promise<Record<string, unknown>> {
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
  const data = payload === undefined ? {} : { payload: await readJsonObject(payload, "--payload") };
  if (channel !== undefined) return { type: "message", channel, ...data };
  return { type: "event", event, ...data, persist: persist !== false };
}

function usage(message: string): CommandError {
  return new CommandError(EXIT.usage, message);
}
