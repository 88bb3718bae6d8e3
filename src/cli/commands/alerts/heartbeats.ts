import { type Command, Option } from "commander";
import { deleteAfterQuestion, everyItem, online, pick } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { durationFlag } from "../../output/flag-values.ts";
import { printable, table } from "../../output/output.ts";
import type { ServerClient } from "../../server-client.ts";
import { cut, OF_PROJECT, type ProjectFlag, shortTime, subcommand } from "./things.ts";

const PATH = "/api/v1/heartbeats";
const ONE = ["<heartbeat>", "id, slug or name, or a prefix"] as const;
const PINGS = ["success", "start", "fail", "log"];

interface Heartbeat {
  readonly id: string;
  readonly name: string;
  readonly slug: string;
  readonly status: string;
  readonly schedule: string | null;
  readonly timeoutMs: number;
  readonly lastPingAt: string | null;
  readonly dueAt: string | null;
  readonly pingUrl: string | null;
  readonly fedBy: string | null;
}

async function findHeartbeat(server: ServerClient, ref: string, { project }: ProjectFlag): Promise<Heartbeat> {
  return pick(await everyItem<Heartbeat>(server, PATH, { projectId: project }), ref, {
    one: "heartbeat",
    namesOf: ({ slug, name }) => [slug, name],
    lineOf: ({ id, name }) => `${id}  ${name}`,
  });
}

function lineOf({ id, status, name }: Heartbeat): string {
  return `${id}  ${status}  ${printable(name)}`;
}

function addRead(heartbeats: Command): void {
  subcommand(heartbeats, "list", "list heartbeats, newest first", [""])
    .option(...OF_PROJECT)
    .action(({ project }: ProjectFlag, command: Command) =>
      online(command, async (server, { out }) => {
        const found = await everyItem<Heartbeat>(server, PATH, { projectId: project });
        out.result({ heartbeats: found }, () =>
          found.length === 0
            ? "no heartbeats"
            : table(
                ["STATUS", "LAST PING", "DUE", "NAME"],
                found.map((each) => [
                  each.status,
                  shortTime(each.lastPingAt),
                  shortTime(each.dueAt),
                  cut(each.name, 34),
                ]),
              ),
        );
      }),
    );
  subcommand(heartbeats, "show", "show a heartbeat with its ping URL", ["nightly-backup"])
    .argument(...ONE)
    .option(...OF_PROJECT)
    .action((ref: string, flags: ProjectFlag, command: Command) =>
      online(command, async (server, { out }) => {
        const found = await findHeartbeat(server, ref, flags);
        out.result(found, () => [
          lineOf(found),
          `  ${found.schedule ?? `every ${found.timeoutMs / 1000} s`}, slug ${found.slug}`,
          ...(found.fedBy === null ? [] : [`  fed by ${printable(found.fedBy)}`]),
          `  last ping ${shortTime(found.lastPingAt)}, due ${shortTime(found.dueAt)}`,
          `  ${found.pingUrl ?? "the ping URL is secret"}`,
        ]);
      }),
    );
}

interface CreateFlags extends ProjectFlag {
  readonly schedule?: string;
  readonly timezone?: string;
  readonly every?: number;
  readonly grace?: number;
  readonly fedBy?: string;
}

function addWrite(heartbeats: Command): void {
  subcommand(heartbeats, "create", "create a heartbeat and print its ping URL", [
    "'Nightly backup' --schedule '30 2 * * *' --timezone Europe/Berlin",
    "Prometheus --fed-by 'alertname=\"Watchdog\"'",
  ])
    .argument("<name>", "name")
    .option(...OF_PROJECT)
    .option("--schedule <pattern>", "cron pattern, or calendar events of systemd")
    .option("--timezone <zone>", "IANA time zone of the schedule")
    .option("--every <duration>", "without a schedule: longest time between pings", durationFlag)
    .option("--grace <duration>", "how late a ping may be", durationFlag)
    .option("--fed-by <matchers>", 'an alert whose reports count as pings, such as alertname="Watchdog"')
    .action((name: string, { project, schedule, timezone, every, grace, fedBy }: CreateFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const body = { projectId: project, name, schedule, timezone, timeoutMs: every, graceMs: grace, fedBy };
        const made = await server.post<Heartbeat>(PATH, body);
        out.result(made, () => made.pingUrl ?? made.id);
      }),
    );
  for (const name of ["pause", "resume"] as const)
    subcommand(heartbeats, name, name === "pause" ? "stop watching a heartbeat" : "watch a heartbeat again", [
      "nightly-backup",
    ])
      .argument(...ONE)
      .option(...OF_PROJECT)
      .action((ref: string, flags: ProjectFlag, command: Command) =>
        online(command, async (server, { out }) => {
          const { id } = await findHeartbeat(server, ref, flags);
          const changed = await server.post<Heartbeat>(`${PATH}/${id}/${name}`, {});
          out.result(changed, () => lineOf(changed));
        }),
      );
  subcommand(heartbeats, "delete", "delete a heartbeat; its alert is resolved", ["nightly-backup --yes"])
    .argument(...ONE)
    .option(...OF_PROJECT)
    .option("--yes", "do not ask")
    .action(async (ref: string, { yes, ...flags }: ProjectFlag & { readonly yes?: boolean }, command: Command) => {
      const found = await deleteAfterQuestion(command, yes, {
        find: (server) => findHeartbeat(server, ref, flags),
        question: ({ name }) => `Delete the heartbeat ${printable(name)}?`,
        remove: (server, { id }) => server.delete(`${PATH}/${id}`),
      });
      return online(command, async (_server, { out }) =>
        out.result({ id: found.id, deleted: true }, () => `${found.id}  ${printable(found.name)}  deleted`),
      );
    });
}

function addPing(heartbeats: Command): void {
  subcommand(heartbeats, "ping", "ping a heartbeat", ["nightly-backup", "nightly-backup --as fail"])
    .argument(...ONE)
    .option(...OF_PROJECT)
    .addOption(new Option("--as <kind>", "what the ping means").choices(PINGS).default("success"))
    .action((ref: string, { as, ...flags }: ProjectFlag & { readonly as: string }, command: Command) =>
      online(command, async (server, { out }) => {
        const { id, pingUrl } = await findHeartbeat(server, ref, flags);
        if (pingUrl === null)
          throw new CommandError(EXIT.unauthorised, "the ping URL is a secret: this needs heartbeats:write");
        const path = new URL(pingUrl).pathname + (as === "success" ? "" : `/${as}`);
        // The answer is a text.
        for await (const text of server.stream(path)) if (text.trim() !== "OK") out.note(text);
        const after = await server.get<Heartbeat>(`${PATH}/${id}`);
        out.result(after, () => lineOf(after));
      }),
    );
}

/** Heartbeats on a running server. */
export function addHeartbeats(program: Command): void {
  const heartbeats = program
    .command("heartbeats")
    .description("list, show, create, pause, resume, ping and delete heartbeats")
    .addHelpText("after", "\nExamples:\n  $ prism heartbeats list\n  $ prism heartbeats ping nightly-backup");
  addRead(heartbeats);
  addWrite(heartbeats);
  addPing(heartbeats);
}
