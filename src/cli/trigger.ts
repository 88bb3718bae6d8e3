import type { Command } from "commander";
import { contextOf } from "./context.ts";
import { CommandError, EXIT } from "./exit-codes.ts";
import { durationFlag } from "./flag-values.ts";
import { readJsonObject } from "./read-input.ts";
import { serverOf } from "./server-client.ts";

interface Flags {
  readonly delay: number;
  readonly notify?: string;
  readonly title?: string;
  readonly body?: string;
  readonly event?: string;
  readonly payload?: string;
  readonly persist?: boolean;
}

interface TriggerReply {
  readonly jobId: string;
  readonly runAt: string;
}

export function addTrigger(program: Command): void {
  program
    .command("trigger")
    .description("notify somebody, or emit an event, after a delay; the server remembers it over a restart")
    .argument("<label>", "what to call it")
    .option("--delay <duration>", "how long to wait: 500ms, 5s, 10m, 2h, 1d; a bare number is ms", durationFlag, 0)
    .option("--notify <user>", "whom: me, username, external id or id")
    .option("--title <text>", "title of the notification")
    .option("--body <text>", "text of the notification")
    .option("--event <name>", "the event to emit, instead of a notification")
    .option("--payload <json>", "payload of the event: JSON, @file, or - for stdin")
    .option("--persist", "store the event in project default, so that rules see it")
    .addHelpText(
      "after",
      `
Examples:
  $ prism trigger tea --delay 4m --notify me --title Tea --body 'It is ready'
  $ prism trigger nightly --delay 5s --event report.due --payload '{"day":"today"}' --persist`,
    )
    .action(async (label: string, flags: Flags, command: Command) => {
      const context = contextOf(command);
      const action = await actionOf(flags);
      const body = { label, delayMs: flags.delay, action };
      const { jobId, runAt } = await serverOf(context).post<TriggerReply>("/api/v1/time/trigger", body);
      context.out.result({ jobId, runAt }, () => `${jobId}  runs at ${runAt}`);
    });
}

/** @throws CommandError 2 unless the flags say exactly one thing */
async function actionOf(flags: Flags): Promise<Record<string, unknown>> {
  const { notify, event, title, body, payload, persist } = flags;
  if ((notify === undefined) === (event === undefined)) throw usage("give --notify or --event, one of them");
  if (notify !== undefined) {
    if (title === undefined || body === undefined) throw usage("--notify needs --title and --body");
    if (payload !== undefined || persist) throw usage("--payload and --persist belong to --event");
    return { type: "notify", payload: { userId: notify, title, body } };
  }
  if (title !== undefined || body !== undefined) throw usage("--title and --body belong to --notify");
  return {
    type: "event",
    event,
    ...(payload === undefined ? {} : { payload: await readJsonObject(payload, "--payload") }),
    ...(persist ? { persist } : {}),
  };
}

function usage(message: string): CommandError {
  return new CommandError(EXIT.usage, message);
}
