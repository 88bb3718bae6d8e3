import { type Command, Option } from "commander";
import type { Heartbeat } from "../../../client/api-types.gen.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { durationFlag } from "../../output/flag-values.ts";
import { printable, shortTime } from "../../output/output.ts";
import { type Call, callOf, filled, resource } from "../../resource.ts";
import { OF_PROJECT } from "./shared.ts";

const PINGS = ["success", "start", "fail", "log"];
const LINE = "{id}  {status}  {name}";

/** Heartbeats on a running server. */
export function addHeartbeats(program: Command): void {
  resource(program, "heartbeats", "heartbeat", {
    text: "list, show, create, pause, resume, ping and delete heartbeats",
    examples: ["heartbeats list", "heartbeats ping nightly-backup"],
    ref: "id, slug or name, or a prefix",
    list: "listHeartbeats",
    names: ["slug", "name"],
    line: "{id}  {name}",
    scope: { projectId: OF_PROJECT },
    verbs: {
      list: {
        text: "list heartbeats, newest first",
        examples: [""],
        of: "listHeartbeats",
        columns: { STATUS: "status", "LAST PING": "lastPingAt@", DUE: "dueAt@", NAME: "name:34" },
      },
      show: {
        text: "show a heartbeat with its ping URL",
        examples: ["nightly-backup"],
        one: true,
        lines: (found: Heartbeat) => [
          filled(LINE, found),
          `  ${found.schedule ?? `every ${found.timeoutMs / 1000} s`}, slug ${found.slug}`,
          ...(found.fedBy === null ? [] : [`  fed by ${printable(found.fedBy)}`]),
          `  last ping ${shortTime(found.lastPingAt)}, due ${shortTime(found.dueAt)}`,
          `  ${found.pingUrl ?? "the ping URL is secret"}`,
        ],
      },
      create: {
        text: "create a heartbeat and print its ping URL",
        examples: [
          "'Nightly backup' --schedule '30 2 * * *' --timezone Europe/Berlin",
          "Prometheus --fed-by 'alertname=\"Watchdog\"'",
        ],
        of: "createHeartbeat",
        args: { name: ["<name>", "name"] },
        flags: {
          schedule: ["--schedule <pattern>", "cron pattern, or calendar events of systemd"],
          timezone: ["--timezone <zone>", "IANA time zone of the schedule"],
          timeoutMs: ["--every <duration>", "without a schedule: longest time between pings", durationFlag],
          graceMs: ["--grace <duration>", "how late a ping may be", durationFlag],
          fedBy: ["--fed-by <matchers>", 'an alert whose reports count as pings, such as alertname="Watchdog"'],
        },
        excludes: [
          ["timeoutMs", "schedule"],
          ["timeoutMs", "timezone"],
        ],
        say: "{pingUrl|id}",
      },
      pause: { ...change("pauseHeartbeat"), text: "stop watching a heartbeat" },
      resume: { ...change("resumeHeartbeat"), text: "watch a heartbeat again" },
      delete: {
        text: "delete a heartbeat; its alert is resolved",
        examples: ["nightly-backup --yes"],
        one: true,
        of: "deleteHeartbeat",
        ask: "Delete the heartbeat {name}?",
        json: ({ id }: Heartbeat) => ({ id, deleted: true }),
        say: "{id}  {name}  deleted",
      },
      ping: {
        text: "ping a heartbeat",
        examples: ["nightly-backup", "nightly-backup --as fail"],
        one: true,
        flags: { as: new Option("--as <kind>", "what the ping means").choices(PINGS).default("success") },
        changes: true,
        run: ping,
      },
    },
  });
}

function change(of: string) {
  return { one: true, of, examples: ["nightly-backup"], say: LINE } as const;
}

async function ping({ server, out, given, found }: Call): Promise<void> {
  const { id, pingUrl } = found as unknown as Heartbeat;
  if (pingUrl === null)
    throw new CommandError(EXIT.unauthorised, "the ping URL is a secret: this needs heartbeats:write");
  const path = new URL(pingUrl).pathname + (given["as"] === "success" ? "" : `/${given["as"]}`);
  // The answer is a text.
  for await (const text of server.stream(path)) if (text.trim() !== "OK") out.note(text);
  const after = await callOf(server, "getHeartbeat", { id });
  out.result(after, () => filled(LINE, after));
}
