import type { Command } from "commander";
import type { ChannelPreset } from "../../../features/channels/preset.ts";
import type { ReceiverPreset } from "../../../features/intake/receivers/preset.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { single, tableOf } from "../../resource.ts";
import { addClaims } from "./claims.ts";

interface Integration {
  readonly direction: "in" | "out";
  readonly preset: string;
  readonly title: string;
  readonly group: string;
  /** Topic of `prism docs`. */
  readonly docs: string;
  readonly setup: readonly string[];
  /** A command that makes the receiver or the channel, with examples of its values. */
  readonly command: string;
}

/** Programs that send to Prism, and services that Prism sends to. */
export function addIntegrations(program: Command): void {
  const command = single(program, "integrations", {
    text: "list the programs that can send to Prism, and the services that it can send to",
    about: "Needs no server. A receiver takes the requests of a program, a channel sends to a service.",
    examples: ["", "github", "--out --json"],
    args: { name: ["[name]", "a preset or a part of a title: shows how to set it up"] },
    flags: {
      in: ["--in", "programs that send to Prism only"],
      out: ["--out", "services that Prism sends to only"],
    },
    excludes: [["in", "out"]],
    async act({ out }, { name, ...only }) {
      const all = (await builtIn()).filter(({ direction }) => only["in"] === only["out"] || only[direction] === true);
      const found = name === undefined ? all : matching(all, String(name));
      if (found.length === 0)
        throw new CommandError(EXIT.notFound, `there is no program or service ${name}; "prism integrations" lists all`);
      out.result(found, () => (name === undefined ? tableOf(COLUMNS, found) : found.flatMap(detailsOf).slice(1)));
    },
  });
  addClaims(command);
}

/** The built-in presets. Loaded late: no other command needs them without a server. */
async function builtIn(): Promise<Integration[]> {
  const [{ BUILT_IN_PRESETS }, { PRESETS }] = await Promise.all([
    import("../../../features/intake/receivers/presets/index.ts"),
    import("../../../features/channels/presets/index.ts"),
  ]);
  const view = (
    direction: "in" | "out",
    preset: (typeof BUILT_IN_PRESETS)[number] | ChannelPreset,
    command: string,
  ) => {
    const { name, title, group, docs, setup } = preset;
    const steps = setup.map((line) => line.replaceAll("{url}", "the receiver's URL"));
    return { direction, preset: name, title, group, docs: `integrations/${docs}`, setup: steps, command };
  };
  return [
    ...BUILT_IN_PRESETS.map((each) => view("in", each, receiverCommand(each))),
    ...PRESETS.map((each) => view("out", each, channelCommand(each))),
  ];
}

function receiverCommand({ name, title, secret, verify = [] }: ReceiverPreset): string {
  const command = `prism receivers create ${quoted(title)} --preset ${name}`;
  if (secret !== "required") return command;
  return `${command} --secret ${JSON.stringify(verify).includes('"whsec"') ? "whsec_ZXhhbXBsZWV4YW1wbGVleGFtcGxl" : "example"}`;
}

/** With the fields that it needs. */
function channelCommand({ name, fields }: ChannelPreset): string {
  const needed = fields.filter((field) => field.required !== false && field.default === undefined);
  const given = needed.map(({ key, example }) => ` --field ${key}=${quoted(example)}`);
  return `prism channels create ${name} --project default${given.join("")}`;
}

/** For a shell. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Entries with exactly this preset; otherwise those with the text in preset or title. */
function matching(all: readonly Integration[], name: string): readonly Integration[] {
  const text = name.toLowerCase();
  const exact = all.filter(({ preset }) => preset === text);
  return exact.length > 0
    ? exact
    : all.filter(({ preset, title }) => preset.includes(text) || title.toLowerCase().includes(text));
}

const COLUMNS = { "": "direction", PRESET: "preset", GROUP: "group", NAME: "title", DOCS: "prism docs {docs}" };

function detailsOf({ direction, title, docs, setup, command }: Integration): string[] {
  const heading = `${title} (${direction === "in" ? "sends to Prism" : "Prism sends to it"})`;
  const steps = setup.map((line, at) => `  ${at + 1}. ${line}`);
  return ["", heading, ...steps, "", `  ${command}`, `  prism docs ${docs}`];
}
