import type { Command } from "commander";
import type { ChangedChannel, ChannelView, PresetView, TestResult } from "../../../features/channels/schema.ts";
import { contextOf } from "../../context.ts";
import { readInput, readJsonObject } from "../../files.ts";
import { deleteAfterQuestion, everyItem, online, pick } from "../../on-server.ts";
import { CommandError, EXIT, ServerRefused } from "../../output/exit-codes.ts";
import { collectFlag, integerFlag } from "../../output/flag-values.ts";
import { type Output, printable, table } from "../../output/output.ts";
import type { ServerClient } from "../../server-client.ts";
import { slugsOf } from "../access/projects.ts";

const PATH = "/api/v1/channels";

interface Found {
  readonly channels: readonly ChannelView[];
  readonly slugs: ReadonlyMap<string, string>;
}

/** Of one project; by default the caller's own and those of each readable project. */
async function channelsOf(server: ServerClient, project: string | undefined): Promise<Found> {
  const slugs = await slugsOf(server);
  if (project !== undefined)
    return { channels: await everyItem<ChannelView>(server, PATH, { projectId: project }), slugs };
  const own = await everyItem<ChannelView>(server, PATH).catch(ignoreRefusal);
  // The operator of the machine has no own channels, and sees those of all users.
  if (own === null) return { channels: await everyItem<ChannelView>(server, PATH, { scope: "all" }), slugs };
  const channels = [...own];
  for (const projectId of slugs.keys())
    channels.push(...((await everyItem<ChannelView>(server, PATH, { projectId }).catch(ignoreRefusal)) ?? []));
  return { channels, slugs };
}

/** Members of a project may lack the right to its channels. */
function ignoreRefusal(error: unknown): null {
  if (error instanceof ServerRefused && (error.status === 403 || error.status === 404)) return null;
  throw error;
}

async function findChannel(server: ServerClient, ref: string): Promise<ChannelView> {
  const { channels } = await channelsOf(server, undefined);
  return pick(channels, ref, {
    one: "channel",
    namesOf: ({ name }) => [name],
    lineOf: ({ id, name, preset }) => `${id}  ${name}  ${preset}`,
  });
}

function channelsTable({ channels, slugs }: Found): string[] {
  if (channels.length === 0) return ["no channels"];
  return table(
    ["ID", "PROJECT", "ACTIVE", "FAILURES", "PRESET", "HOST", "NAME"],
    channels.map(({ id, projectId, active, failures, preset, fields, name }) => [
      id,
      projectId === null ? "(own)" : (slugs.get(projectId) ?? projectId),
      active ? "yes" : "no",
      failures,
      preset,
      hostOf(fields),
      name,
    ]),
  );
}

/** The server of the first field with a URL; null for services with one address, and secret URLs. */
function hostOf(fields: ChannelView["fields"]): string | null {
  const url = Object.values(fields).find(
    (value) => typeof value === "string" && URL.canParse(value) && value.includes("://"),
  );
  return url === undefined ? null : new URL(String(url)).host;
}

interface ContentFlags {
  readonly project?: string;
  readonly user?: string;
  readonly name?: string;
  readonly field?: readonly string[];
  readonly types?: string;
  readonly minPriority?: number;
  readonly template?: string;
}

/** Flags of the content, for `create` and `update`. */
function withContent(command: Command): Command {
  return command
    .option("--field <key=value>", "a field of the preset; key=@file or key=- keeps a secret out of ps", collectFlag)
    .option("--types <types>", "event types, comma separated: order.*,backup.failed (default: all)")
    .option("--min-priority <n>", "send notifications of this priority and above", integerFlag(0, 1000))
    .option("--template <json>", "the channel's own templates: JSON, @file or - for stdin");
}

async function contentOf({ field = [], types, minPriority, template }: ContentFlags) {
  const fields: Record<string, string> = {};
  for (const each of field) {
    const at = each.indexOf("=");
    if (at < 1) throw new CommandError(EXIT.usage, "--field must be key=value");
    const key = each.slice(0, at);
    fields[key] = (await readInput(each.slice(at + 1), `--field ${key}`)).trim();
  }
  return {
    fields,
    eventTypes: types?.split(",").map((type) => type.trim()),
    minPriority,
    template: template === undefined ? undefined : await readJsonObject(template, "--template"),
  };
}

/** A name that two channels have selects none of them. */
async function noteSameName(server: ServerClient, { id, name }: ChannelView, out: Output): Promise<void> {
  const { channels } = await channelsOf(server, undefined);
  const [other] = channels.filter((each) => each.name === name && each.id !== id);
  if (!other) return;
  out.note(`Another channel is named ${printable(name)}: commands find both by their ids only.`);
  out.note(`prism channels update ${other.id} changes that one; prism channels delete ${other.id} removes it.`);
}

function addManageChannels(channels: Command): void {
  channels
    .command("list")
    .description("list channels: your own, and those of the projects you may view")
    .option("--project <project>", "channels of one project: id or slug")
    .addHelpText("after", "\nExamples:\n  $ prism channels list\n  $ prism channels list --project ops --json")
    .action(({ project }: ContentFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const found = await channelsOf(server, project);
        out.result({ channels: found.channels }, () => channelsTable(found));
      }),
    );
  withContent(
    channels
      .command("create")
      .description("create a channel; prism channels presets lists the services and their fields")
      .argument("<preset>", "name of the preset, such as slack, telegram or ntfy")
      .option("--name <name>", "name for people (default: the preset's)")
      .option("--project <project>", "send notifications of this project: id or slug (default: your own)")
      .option("--user <user>", "send notifications of this user; next to the server this or --project is needed"),
  )
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism channels create ntfy --user dev --field topic=on-call\n" +
        "  $ prism channels create slack --project ops --field url=@slack-url.txt",
    )
    .action((preset: string, flags: ContentFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const { name = preset, project: projectId, user: userId } = flags;
        const body = { preset, name, projectId, userId, ...(await contentOf(flags)) };
        const made = await server.post<ChannelView>(PATH, body);
        out.result(made, () => made.id);
        out.note(`Try it: prism channels test ${made.id}`);
        await noteSameName(server, made, out);
      }),
    );
  withContent(
    channels
      .command("update")
      .description("change a channel; fields that are not named keep their value")
      .argument("<channel>", "id or name, or a prefix of one")
      .option("--name <name>", "name for people"),
  )
    .option("--enable", "enable it, and reset its count of failures")
    .option("--disable", "disable it; it is kept")
    .addHelpText("after", "\nExample:\n  $ prism channels update on-call --field token=- --enable < token.txt")
    .action((ref: string, flags: ContentFlags & { enable?: true; disable?: true }, command: Command) =>
      online(command, async (server, { out }) => {
        const { fields, ...content } = await contentOf(flags);
        const active = flags.enable ? true : flags.disable ? false : undefined;
        const changes = { ...content, name: flags.name, active, ...(flags.field ? { fields } : {}) };
        const { id } = await findChannel(server, ref);
        const changed = await server.change<ChangedChannel>("PATCH", `${PATH}/${id}`, changes);
        out.result(changed, () => `${changed.id}  ${printable(changed.name)}  updated`);
        for (const { message } of changed.warnings) out.note(`warning: ${printable(message)}`);
      }),
    );
  channels
    .command("delete")
    .description("delete a channel; pending deliveries to it are not sent")
    .argument("<channel>", "id or name, or a prefix of one")
    .option("--yes", "do not ask")
    .addHelpText("after", "\nExample:\n  $ prism channels delete on-call --yes")
    .action(async (ref: string, { yes }: { readonly yes?: boolean }, command: Command) => {
      const { id, name } = await deleteAfterQuestion(command, yes, {
        find: (server) => findChannel(server, ref),
        question: (channel) => `Delete the channel ${printable(channel.name)} (${channel.id})?`,
        remove: (server, channel) => server.delete(`${PATH}/${channel.id}`),
      });
      contextOf(command).out.result({ id, name, deleted: true }, () => `${id}  ${printable(name)}  deleted`);
    });
}

function addReadChannels(channels: Command): void {
  channels
    .command("show")
    .description("show a channel; secrets are hidden")
    .argument("<channel>", "id or name, or a prefix of one")
    .addHelpText("after", "\nExample:\n  $ prism channels show on-call")
    .action((ref: string, _flags: object, command: Command) =>
      online(command, async (server, { out }) => {
        const channel = await findChannel(server, ref);
        out.result(channel, () => [
          `${channel.id}  ${printable(channel.name)}  ${channel.preset}  ${channel.active ? "active" : "disabled"}`,
          ...(channel.disabledReason === null ? [] : [`disabled: ${printable(channel.disabledReason)}`]),
          ...table(["FIELD", "VALUE"], Object.entries(channel.fields)),
        ]);
      }),
    );
  channels
    .command("presets")
    .description("list the services to which channels can send, or the fields of one")
    .argument("[preset]", "name of a preset")
    .addHelpText("after", "\nExamples:\n  $ prism channels presets\n  $ prism channels presets telegram")
    .action((name: string | undefined, _flags: object, command: Command) =>
      online(command, async (server, { out }) => {
        const { presets } = await server.get<{ presets: PresetView[] }>(`${PATH}/presets`);
        if (name === undefined) {
          const rows = presets.map((preset) => [preset.name, preset.group, preset.title]);
          out.result({ presets }, () => table(["PRESET", "GROUP", "SERVICE"], rows));
          return;
        }
        const preset = presets.find((each) => each.name === name);
        if (!preset) throw new CommandError(EXIT.notFound, `there is no preset ${name}`);
        out.result(preset, () => presetLines(preset));
      }),
    );
  channels
    .command("test")
    .description("send a test message; exits 8 unless the service accepts it")
    .argument("<channel>", "id or name, or a prefix of one")
    .option("--dry-run", "print the request, without secrets; nothing is sent")
    .option("--update", "then change the message to resolved, if the service can")
    .option("--event <json>", "the message or event: JSON, @file or - for stdin")
    .addHelpText("after", "\nExamples:\n  $ prism channels test on-call\n  $ prism channels test on-call --dry-run")
    .action((ref: string, flags: { dryRun?: true; update?: true; event?: string }, command: Command) =>
      online(command, async (server, { out }) => {
        const { id } = await findChannel(server, ref);
        const event = flags.event === undefined ? undefined : await readJsonObject(flags.event, "--event");
        const body = { dryRun: flags.dryRun, update: flags.update, event };
        const result = await server.post<TestResult>(`${PATH}/${id}/test`, body);
        out.result(result, () => resultLines(result));
        if (result.class !== "ok" && result.class !== null)
          throw new CommandError(EXIT.checkFailed, printable(result.error ?? `the answer is ${result.class}`));
      }),
    );
}

function presetLines({ title, setup, fields }: PresetView): string[] {
  const rows = fields.map(({ key, required, secret, example, title: name }) => [
    ...[key, required ? "yes" : "no", secret ? "yes" : "no", example, name],
  ]);
  return [
    title,
    ...setup.map((line, at) => `${at + 1}. ${line}`),
    ...table(["FIELD", "REQUIRED", "SECRET", "EXAMPLE", ""], rows),
  ];
}

function resultLines({ class: name, status, request, answer, hint, cut, ms, update }: TestResult): string[] {
  const lines = name === null || request === null ? [] : [`${name}  ${status ?? "no answer"}  ${ms} ms`];
  if (request && name !== "ok") {
    lines.push(`${request.method} ${printable(request.url)}`);
    lines.push(...Object.entries(request.headers).map(([key, value]) => `${key}: ${printable(value)}`));
    if (request.body !== null) lines.push("", printable(request.body));
  }
  if (answer) lines.push(printable(answer));
  if (cut.length > 0) lines.push(`shortened: ${cut.join(", ")}`);
  if (hint !== null) lines.push(`hint: ${printable(hint)}`);
  if (update) lines.push(`update: ${update.class}  ${update.status ?? "no answer"}`);
  return lines;
}

/** Channels of users and projects on a running server. */
export function addChannels(program: Command): void {
  const channels = program
    .command("channels")
    .description("list, create, test, change and delete channels to chat, push and paging services")
    .addHelpText("after", "\nExamples:\n  $ prism channels presets\n  $ prism channels test on-call --dry-run");
  addManageChannels(channels);
  addReadChannels(channels);
}
