import type { Command } from "commander";
import { toRfc3339 } from "../../../core/clock.ts";
import { contextOf } from "../../context.ts";
import { readJsonObject } from "../../files.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { durationFlag, futureFlag } from "../../output/flag-values.ts";
import { serverOf } from "../../server-client.ts";

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
    .description(
      "notify somebody, emit an event or publish to a channel, later; the server remembers it over a restart",
    )
    .argument("<label>", "what to call it")
    .option(
      "--delay <duration>",
      "how long to wait, by default 0: 500ms, 5s, 10m, 2h, 1d; a bare number is ms",
      durationFlag,
    )
    .option("--at <time>", "when, instead of --delay: 2026-01-31T08:00:00Z; one that is past is now", futureFlag)
    .option("--cron <pattern>", "again and again, instead of --delay: five or six cron fields")
    .option("--timezone <zone>", "zone of --cron, such as Europe/Berlin; by default the server's")
    .option("--notify <user>", "whom: me, username, external id or id")
    .option("--title <text>", "title of the notification")
    .option("--body <text>", "text of the notification")
    .option("--event <name>", "the event to emit, instead of a notification")
    .option("--persist", "store the event in project default, so that rules see it")
    .option("--channel <name>", "the channel to publish to, instead of a notification")
    .option("--payload <json>", "payload of the event or for the channel: JSON, @file, or - for stdin")
    .addHelpText(
      "after",
      `
Examples:
  $ prism trigger tea --delay 4m --notify me --title Tea --body 'It is ready'
  $ prism trigger stand-up --cron '0 9 * * 1-5' --timezone Europe/Berlin --notify me --title Stand-up --body 'In ten minutes'
  $ prism trigger nightly --at 2026-02-01T03:00:00Z --event report.due --payload '{"day":"today"}' --persist
  $ prism trigger lunch --delay 2h --channel kitchen --payload '{"text":"Lunch"}'`,
    )
    .action(async (label: string, flags: Flags, command: Command) => {
      const context = contextOf(command);
      const body = { label, ...whenOf(flags), action: await actionOf(flags) };
      const { jobId, runAt } = await (await serverOf(context)).post<TriggerReply>("/api/v1/time/trigger", body);
      context.out.result(
        { jobId, runAt },
        () => `${jobId}  ${flags.cron === undefined ? "" : "first "}runs at ${runAt}`,
      );
    });
}

/** @throws CommandError 2 when the flags say several times, or none for a zone */
function whenOf({ delay, at, cron, timezone }: Flags): Record<string, unknown> {
  if ([delay, at, cron].filter((value) => value !== undefined).length > 1)
    throw usage("give --delay, --at or --cron, one of them");
  if (cron !== undefined) return { cron, ...(timezone === undefined ? {} : { timezone }) };
  if (timezone !== undefined) throw usage("--timezone belongs to --cron");
  return at === undefined ? { delayMs: delay ?? 0 } : { runAt: toRfc3339(at) };
}

/** @throws CommandError 2 unless the flags say exactly one thing */
async function actionOf(flags: Flags): Promise<Record<string, unknown>> {
  const { notify, event, channel, title, body, payload, persist } = flags;
  if ([notify, event, channel].filter((value) => value !== undefined).length !== 1)
    throw usage("give --notify, --event or --channel, one of them");
  if (persist && event === undefined) throw usage("--persist belongs to --event");
  if (notify !== undefined) {
    if (title === undefined || body === undefined) throw usage("--notify needs --title and --body");
    if (payload !== undefined) throw usage("--payload belongs to --event and --channel");
    return { type: "notify", payload: { userId: notify, title, body } };
  }
  if (title !== undefined || body !== undefined) throw usage("--title and --body belong to --notify");
  const data = payload === undefined ? {} : { payload: await readJsonObject(payload, "--payload") };
  if (channel !== undefined) return { type: "message", channel, ...data };
  return { type: "event", event, ...data, ...(persist ? { persist } : {}) };
}

function usage(message: string): CommandError {
  return new CommandError(EXIT.usage, message);
}
