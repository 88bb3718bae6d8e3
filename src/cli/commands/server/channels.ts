import type { Command } from "commander";
import type { ChangedChannel, ChannelView, PresetView, TestResult } from "../../../features/channels/schema.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { readInput, readJsonObject } from "../../files.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { collectFlag, integerFlag } from "../../output/flag-values.ts";
import { type Output, printable, table } from "../../output/output.ts";
import { type Call, callOf, filled, listOf, pickNamed, resource, tableOf, type Values } from "../../resource.ts";
import { ofProjects, projectCell, typesIn } from "./webhooks.ts";

const LIST = "listChannels";

/** The operator of the machine has no own channels, and sees those of all users. */
function channelsOf(server: ServerClient, project: unknown): ReturnType<typeof ofProjects<ChannelView>> {
  return ofProjects(server, LIST, project, () => listOf(server, LIST, { scope: "all" }));
}

async function findChannel(server: ServerClient, ref: string): Promise<ChannelView> {
  const { found } = await channelsOf(server, undefined);
  return pickNamed(found, ref, "channel", "{id}  {name}  {preset}");
}

/** The server of the first field with a URL; null for services with one address, and secret URLs. */
function hostOf(fields: ChannelView["fields"]): string | null {
  const url = Object.values(fields).find(
    (value) => typeof value === "string" && URL.canParse(value) && value.includes("://"),
  );
  return url === undefined ? null : new URL(String(url)).host;
}

/** Flags of the content, for `create` and `update`. */
const CONTENT = {
  field: [
    "--field <key=value>",
    "a field of the preset; key=@file or key=- keeps a secret out of ps",
    collectFlag,
  ] as const,
  eventTypes: ["--types <types>", "event types, comma separated: order.*,backup.failed (default: all)"] as const,
  minPriority: ["--min-priority <n>", "send notifications of this priority and above", integerFlag(0, 1000)] as const,
  template: ["--template <json>", "the channel's own templates: JSON, @file or - for stdin"] as const,
};

async function contentOf({ field = [], eventTypes, template, ...given }: Values): Promise<Values> {
  const fields: Record<string, string> = {};
  for (const each of field as readonly string[]) {
    const at = each.indexOf("=");
    if (at < 1) throw new CommandError(EXIT.usage, "--field must be key=value");
    const key = each.slice(0, at);
    fields[key] = (await readInput(each.slice(at + 1), `--field ${key}`)).trim();
  }
  return {
    ...given,
    fields,
    eventTypes: typesIn(eventTypes),
    template: template === undefined ? undefined : await readJsonObject(String(template), "--template"),
  };
}

/** A name that two channels have selects none of them. */
async function noteSameName(server: ServerClient, { id, name }: ChannelView, out: Output): Promise<void> {
  const { found } = await channelsOf(server, undefined);
  const [other] = found.filter((each) => each.name === name && each.id !== id);
  if (!other) return;
  out.note(`Another channel is named ${printable(name)}: commands find both by their ids only.`);
  out.note(`prism channels update ${other.id} changes that one; prism channels delete ${other.id} removes it.`);
}

function presetLines({ title, setup, fields }: PresetView): string[] {
  const columns = { FIELD: "key", REQUIRED: "required", SECRET: "secret", EXAMPLE: "example", "": "title" };
  return [title, ...setup.map((line, at) => `${at + 1}. ${line}`), ...tableOf(columns, fields)];
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

async function showPresets({ server, out, given: { name } }: Call): Promise<void> {
  const { presets } = await callOf<{ presets: PresetView[] }>(server, "listChannelPresets", {});
  if (name === undefined)
    return out.result({ presets }, () => tableOf({ PRESET: "name", GROUP: "group", SERVICE: "title" }, presets));
  const preset = presets.find((each) => each.name === name);
  if (!preset) throw new CommandError(EXIT.notFound, `there is no preset ${name}`);
  out.result(preset, () => presetLines(preset));
}

/** Channels of users and projects on a running server. */
export function addChannels(program: Command): void {
  resource(program, "channels", "channel", {
    text: "list, create, test, update and delete channels to chat, push and paging services",
    examples: ["channels presets", "channels test on-call --dry-run"],
    ref: "id or name, or a prefix of one",
    find: findChannel,
    verbs: {
      list: {
        text: "list channels: your own, and those of the projects you may view",
        examples: ["", "--project ops --json"],
        flags: { projectId: ["--project <project>", "channels of one project: id or slug"] },
        async run({ server, out, given }) {
          const { found, slugs } = await channelsOf(server, given["projectId"]);
          const columns = {
            ID: "id",
            PROJECT: ({ projectId }: ChannelView) => projectCell(projectId, slugs),
            ...{ ACTIVE: "active", FAILURES: "failures", PRESET: "preset" },
            HOST: ({ fields }: ChannelView) => hostOf(fields),
            NAME: "name",
          };
          out.result({ channels: found }, () => (found.length === 0 ? ["no channels"] : tableOf(columns, found)));
        },
      },
      create: {
        text: "create a channel; prism channels presets lists the services and their fields",
        examples: ["ntfy --user dev --field topic=on-call", "slack --project ops --field url=@slack-url.txt"],
        of: "createChannel",
        args: { preset: ["<preset>", "name of the preset, such as slack, telegram or ntfy"] },
        flags: {
          name: ["--name <name>", "name for people (default: the preset's)"],
          projectId: ["--project <project>", "send notifications of this project: id or slug (default: your own)"],
          userId: ["--user <user>", "send notifications of this user; next to the server this or --project is needed"],
          ...CONTENT,
        },
        excludes: [["projectId", "userId"]],
        values: async (given) => ({ ...(await contentOf(given)), name: given["name"] ?? given["preset"] }),
        say: "{id}",
        async after(made: ChannelView, { server, out }) {
          out.note(`Try it: prism channels test ${made.id}`);
          await noteSameName(server, made, out);
        },
      },
      update: {
        text: "change a channel; fields that are not named keep their value",
        examples: ["on-call --field token=- --enable < token.txt"],
        one: true,
        of: "updateChannel",
        flags: {
          name: ["--name <name>", "name for people"],
          ...CONTENT,
          enable: ["--enable", "enable it, and reset its count of failures"],
          disable: ["--disable", "disable it; it is kept"],
        },
        excludes: [["enable", "disable"]],
        async values({ enable, disable, ...given }) {
          const { fields, ...content } = await contentOf(given);
          const active = enable ? true : disable ? false : undefined;
          return { ...content, active, ...(given["field"] ? { fields } : {}) };
        },
        say: "{id}  {name}  updated",
        after({ warnings }: ChangedChannel, { out }) {
          for (const { message } of warnings) out.note(`warning: ${printable(message)}`);
        },
      },
      delete: {
        text: "delete a channel; pending deliveries to it are not sent",
        examples: ["on-call --yes"],
        one: true,
        of: "deleteChannel",
        ask: "Delete the channel {name} ({id})?",
        json: ({ id, name }: ChannelView) => ({ id, name, deleted: true }),
        say: "{id}  {name}  deleted",
      },
      show: {
        text: "show a channel; secrets are hidden",
        examples: ["on-call"],
        one: true,
        lines: (channel: ChannelView) => [
          `${filled("{id}  {name}  {preset}", channel)}  ${channel.active ? "active" : "disabled"}`,
          ...(channel.disabledReason === null ? [] : [`disabled: ${printable(channel.disabledReason)}`]),
          ...table(["FIELD", "VALUE"], Object.entries(channel.fields)),
        ],
      },
      presets: {
        text: "list the services to which channels can send, or the fields of one",
        examples: ["", "telegram"],
        args: { name: ["[preset]", "name of a preset"] },
        run: showPresets,
      },
      test: {
        text: "send a test message; exits 8 unless the service accepts it",
        examples: ["on-call", "on-call --dry-run"],
        one: true,
        of: "testChannel",
        flags: {
          dryRun: ["--dry-run", "print the request, without secrets; nothing is sent"],
          update: ["--update", "then change the message to resolved, if the service can"],
          event: ["--event <json>", "the message or event: JSON, @file or - for stdin"],
        },
        values: async ({ event, ...given }) => ({
          ...given,
          event: event === undefined ? undefined : await readJsonObject(String(event), "--event"),
        }),
        lines: resultLines,
        after(result: TestResult) {
          if (result.class !== "ok" && result.class !== null)
            throw new CommandError(EXIT.checkFailed, printable(result.error ?? `the answer is ${result.class}`));
        },
      },
    },
  });
}
