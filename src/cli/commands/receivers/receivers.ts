import { type Command, Option } from "commander";
import { readInput, readJsonObject } from "../../files.ts";
import { deleteAfterQuestion, everyItem, online, pick } from "../../on-server.ts";
import { durationFlag } from "../../output/flag-values.ts";
import { type Output, printable, table } from "../../output/output.ts";
import type { ServerClient } from "../../server-client.ts";
import { cut, OF_PROJECT, type ProjectFlag, shortTime, subcommand, wrapped } from "../alerts/things.ts";

const PATH = "/api/v1/receivers";
const MAPPING = "members that override the preset's mapping: JSON, @file, or - for stdin";
const ONE = ["<receiver>", "id or name, or a prefix"] as const;

interface Receiver {
  readonly id: string;
  readonly name: string;
  readonly preset: string;
  readonly active: boolean;
  readonly notify: "members" | "none";
  readonly hasSecret: boolean;
  readonly prefix: string;
  readonly lastRequestAt: string | null;
  readonly version: number;
  readonly url?: string | null;
  readonly mailAddress?: string | null;
}

interface LoggedRequest {
  readonly id: string;
  readonly at: string;
  readonly result: string;
  readonly status: number;
  readonly method: string;
  readonly bytes: number;
  readonly outcome: { readonly events?: number; readonly message?: string; readonly problem?: string };
}

interface Preset {
  readonly name: string;
  readonly title: string;
  readonly group: string;
  readonly secret: string;
  readonly setup: readonly string[];
}

interface Tried {
  readonly result: string;
  readonly problem: string | null;
  readonly events: readonly { readonly type: string; readonly level: string; readonly payload: { title?: unknown } }[];
  readonly alerts: readonly {
    readonly key: string;
    readonly status: string;
    readonly labels: Record<string, string>;
  }[];
}

async function findReceiver(server: ServerClient, ref: string, { project }: ProjectFlag): Promise<Receiver> {
  return pick(await everyItem<Receiver>(server, PATH, { projectId: project }), ref, {
    one: "receiver",
    namesOf: ({ name }) => [name],
    lineOf: ({ id, name }) => `${id}  ${name}`,
  });
}

function lineOf({ id, preset, active, name }: Receiver): string {
  return `${id}  ${preset}  ${active ? "active" : "paused"}  ${printable(name)}`;
}

/** @throws CommandError 2 */
async function mappingOf(given: string | undefined): Promise<Record<string, unknown> | undefined> {
  return given === undefined ? undefined : readJsonObject(given, "--mapping");
}

/** @throws CommandError 2 */
async function secretOf(given: string | undefined): Promise<string | undefined> {
  return given === undefined ? undefined : (await readInput(given, "--secret")).trim();
}

/** URL and mail address, which are shown once. */
function issuedLines({ id, preset, url, mailAddress }: Receiver, out: Output): string[] {
  if (preset === "mail" && !mailAddress)
    out.note("No mail arrives: the mail listener is off. Set PRISM_MAIL_IN_PORT, restart, and rotate the receiver.");
  if (url && /^https?:\/\/localhost[:/]/.test(url))
    out.note(
      "Only this machine reaches localhost: for another machine or a container, start with HOST=0.0.0.0 and set " +
        "publicUrl (PRISM_PUBLIC_URL) to the address that it uses.",
    );
  return [url ?? id, ...(mailAddress ? [mailAddress] : [])];
}

function addRead(receivers: Command): void {
  subcommand(receivers, "list", "list receivers by name", ["", "--project ops"])
    .option(...OF_PROJECT)
    .action(({ project }: ProjectFlag, command: Command) =>
      online(command, async (server, { out }) => {
        const found = await everyItem<Receiver>(server, PATH, { projectId: project });
        const row = (each: Receiver) => [
          each.preset,
          each.active ? "yes" : "no",
          shortTime(each.lastRequestAt),
          cut(each.name),
        ];
        out.result({ receivers: found }, () =>
          found.length === 0 ? "no receivers" : table(["PRESET", "ACTIVE", "LAST REQUEST", "NAME"], found.map(row)),
        );
      }),
    );
  subcommand(receivers, "show", "show a receiver", ["Backups", "Backups --json"])
    .argument(...ONE)
    .option(...OF_PROJECT)
    .action((ref: string, flags: ProjectFlag, command: Command) =>
      online(command, async (server, { out }) => {
        const found = await findReceiver(server, ref, flags);
        const secret = found.hasSecret ? "with a secret" : "without a secret";
        out.result(found, () => [
          lineOf(found),
          `  URL ${found.prefix}…, ${secret}, last request ${shortTime(found.lastRequestAt)}`,
          `  notifies ${found.notify === "none" ? "no one" : "its project's members"} of events that no rule takes`,
          ...(found.preset === "mail" ? ["  its mail address is shown once, by create and rotate"] : []),
        ]);
      }),
    );
  subcommand(receivers, "presets", "list what can send to a receiver", ["", "--json"]).action(
    (_flags: object, command: Command) =>
      online(command, async (server, { out }) => {
        const { data } = await server.get<{ data: Preset[] }>(`${PATH}/presets`);
        const row = ({ name, group, secret, title }: Preset) => [name, group, secret, cut(title)];
        out.result({ presets: data }, () => table(["NAME", "GROUP", "SECRET", "TITLE"], data.map(row)));
      }),
  );
}

interface WriteFlags extends ProjectFlag {
  readonly secret?: string;
  readonly mapping?: string;
  readonly notify?: "members" | "none";
  readonly name?: string;
}

function notifyOption(): Option {
  const text = "who is notified of its events that no rule takes: the project's members (default of create), or none";
  return new Option("--notify <who>", text).choices(["members", "none"]);
}

function addCreate(receivers: Command): void {
  subcommand(receivers, "create", "create a receiver and print its URL, a credential", [
    "Backups",
    "GitHub --preset github --secret @secret.txt",
  ])
    .argument("<name>", "name")
    .option(...OF_PROJECT)
    .option("--preset <preset>", "what sends the requests", "generic")
    .option("--secret <secret>", "key of the signatures, token or password: text, @file, or - for stdin")
    .option("--mapping <json>", MAPPING)
    .addOption(notifyOption())
    .action(
      (
        name: string,
        { project, preset, secret, mapping, notify }: WriteFlags & { readonly preset: string },
        command: Command,
      ) =>
        online(command, async (server, { out }) => {
          const given = { secret: await secretOf(secret), mapping: await mappingOf(mapping), notify };
          const made = await server.post<Receiver>(PATH, { projectId: project, name, preset, ...given });
          out.result(made, () => issuedLines(made, out));
        }),
    );
}

function addChange(receivers: Command): void {
  subcommand(receivers, "update", "change name, secret, mapping or who is notified", [
    "Backups --mapping @mapping.json",
    "Backups --notify none",
  ])
    .argument(...ONE)
    .option(...OF_PROJECT)
    .option("--name <name>", "new name")
    .option("--secret <secret>", "new secret: text, @file or -; the old one is refused at once")
    .option("--mapping <json>", MAPPING)
    .addOption(notifyOption())
    .action((ref: string, { name, secret, mapping, notify, ...flags }: WriteFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const { id, version } = await findReceiver(server, ref, flags);
        const body = { name, secret: await secretOf(secret), mapping: await mappingOf(mapping), notify };
        const changed = await server.change<Receiver>("PATCH", `${PATH}/${id}`, body, version);
        out.result(changed, () => lineOf(changed));
      }),
    );
  subcommand(receivers, "rotate", "replace the URL and print it, or the secret", ["Backups --grace 1h"])
    .argument(...ONE)
    .option(...OF_PROJECT)
    .option("--secret <secret>", "replaces the secret in place of the URL: text, @file or -")
    .option("--grace <duration>", "how long the old one still works", durationFlag)
    .action((ref: string, { secret, grace, ...flags }: WriteFlags & { readonly grace?: number }, command: Command) =>
      online(command, async (server, { out }) => {
        const { id } = await findReceiver(server, ref, flags);
        const body = { secret: await secretOf(secret), graceMs: grace };
        const made = await server.post<Receiver>(`${PATH}/${id}/rotate`, body);
        out.result(made, () => (made.url ? issuedLines(made, out) : lineOf(made)));
      }),
    );
  for (const name of ["pause", "resume"] as const)
    subcommand(receivers, name, name === "pause" ? "refuse its requests" : "take its requests again", ["Backups"])
      .argument(...ONE)
      .option(...OF_PROJECT)
      .action((ref: string, flags: ProjectFlag, command: Command) =>
        online(command, async (server, { out }) => {
          const { id } = await findReceiver(server, ref, flags);
          const changed = await server.post<Receiver>(`${PATH}/${id}/${name}`, {});
          out.result(changed, () => lineOf(changed));
        }),
      );
  subcommand(receivers, "delete", "delete a receiver; its events and alerts stay", ["Backups --yes"])
    .argument(...ONE)
    .option(...OF_PROJECT)
    .option("--yes", "do not ask")
    .action(async (ref: string, { yes, ...flags }: ProjectFlag & { readonly yes?: boolean }, command: Command) => {
      const found = await deleteAfterQuestion(command, yes, {
        find: (server) => findReceiver(server, ref, flags),
        question: ({ name }) => `Delete the receiver ${printable(name)}?`,
        remove: (server, { id }) => server.delete(`${PATH}/${id}`),
      });
      return online(command, async (_server, { out }) =>
        out.result({ id: found.id, deleted: true }, () => `${found.id}  ${printable(found.name)}  deleted`),
      );
    });
}

interface TestFlags extends ProjectFlag {
  readonly mapping?: string;
  readonly request?: string;
  readonly body?: string;
  readonly contentType?: string;
}

function addRequests(receivers: Command): void {
  subcommand(receivers, "requests", "list the last requests of a receiver", ["Backups"])
    .argument(...ONE)
    .option(...OF_PROJECT)
    .action((ref: string, flags: ProjectFlag, command: Command) =>
      online(command, async (server, { out }) => {
        const { id } = await findReceiver(server, ref, flags);
        const requests = await everyItem<LoggedRequest>(server, `${PATH}/${id}/requests`, {}, 100);
        out.result({ requests }, () => (requests.length === 0 ? "no requests" : requests.flatMap(requestLines)));
      }),
    );
  subcommand(receivers, "test", "show what a request would store; nothing is stored", [
    "Backups",
    "Backups --body @request.json --mapping @mapping.json",
  ])
    .argument(...ONE)
    .option(...OF_PROJECT)
    .option("--mapping <json>", MAPPING)
    .option("--request <id>", "a request of the log (default: the sample of the preset)")
    .option("--body <text>", "body of a request: text, @file, or - for stdin")
    .option("--content-type <type>", "type of the body (default: application/json)")
    .action((ref: string, flags: TestFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const { id } = await findReceiver(server, ref, flags);
        const { mapping, request: requestId, body: file, contentType } = flags;
        const request = file === undefined ? undefined : { body: await readInput(file, "--body"), contentType };
        const body = { mapping: await mappingOf(mapping), requestId, request };
        const tried = await server.post<Tried>(`${PATH}/${id}/test`, body);
        out.result(tried, () => triedLines(tried));
      }),
    );
  subcommand(receivers, "replay", "store a request of the log again", ["Backups 0198c0de-0000-7000-8000-000000000000"])
    .argument(...ONE)
    .argument("<request>", "id of the request")
    .option(...OF_PROJECT)
    .action((ref: string, requestId: string, flags: ProjectFlag, command: Command) =>
      online(command, async (server, { out }) => {
        const { id } = await findReceiver(server, ref, flags);
        const path = `${PATH}/${id}/requests/${encodeURIComponent(requestId)}/replay`;
        const stored = await server.post<{ result: string; eventIds: string[]; alerts: object[] }>(path, {});
        const { result, eventIds, alerts } = stored;
        out.result(stored, () => `${result}: events ${eventIds.length}, alerts ${alerts.length}`);
      }),
    );
}

function requestLines({ id, at, result, status, method, bytes, outcome }: LoggedRequest): string[] {
  const line = `${id}  ${shortTime(at)}  ${result} ${status}  ${method} ${bytes} bytes`;
  const why = outcome.message ?? outcome.problem;
  return why === undefined ? [line] : [line, ...wrapped(why, "  ")];
}

function triedLines({ result, problem, events, alerts }: Tried): string[] {
  return [
    result,
    ...(problem === null ? [] : wrapped(problem, "  ")),
    ...events.flatMap(({ type, level, payload }) =>
      wrapped(`event ${type} ${level}: ${String(payload.title ?? "")}`, "  "),
    ),
    ...alerts.flatMap(({ key, status, labels }) =>
      wrapped(`alert ${key} ${status}: ${labels["alertname"] ?? ""}`, "  "),
    ),
  ];
}

/** Receivers on a running server. */
export function addReceivers(program: Command): void {
  const receivers = program
    .command("receivers")
    .description("URLs at which other programs deliver: list, create, change, test and replay")
    .addHelpText("after", "\nExamples:\n  $ prism receivers create Backups\n  $ prism receivers requests Backups");
  addRead(receivers);
  addCreate(receivers);
  addChange(receivers);
  addRequests(receivers);
}
