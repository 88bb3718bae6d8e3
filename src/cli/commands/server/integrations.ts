import type { Command } from "commander";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { single, tableOf } from "../../resource.ts";

interface Integration {
  readonly direction: "in" | "out";
  readonly preset: string;
  readonly title: string;
  readonly group: string;
  /** Topic of `prism docs`. */
  readonly docs: string;
  readonly setup: readonly string[];
}

/** Programs that send to Prism, and services that Prism sends to. */
export function addIntegrations(program: Command): void {
  single(program, "integrations", {
    text: "list the programs that can send to Prism, and the services that it can send to",
    about: "Needs no server. A receiver takes the requests of a program, a channel sends to a service.",
    examples: ["", "github", "--out --json"],
    args: { name: ["[name]", "a preset or a part of a title: shows how to set it up"] },
    flags: {
      in: ["--in", "programs that send to Prism only"],
      out: ["--out", "services that Prism sends to only"],
    },
    async act({ out }, { name, ...only }) {
      const all = (await builtIn()).filter(({ direction }) => only["in"] === only["out"] || only[direction] === true);
      const found = name === undefined ? all : matching(all, String(name));
      if (found.length === 0)
        throw new CommandError(EXIT.notFound, `there is no program or service ${name}; "prism integrations" lists all`);
      out.result(found, () => (name === undefined ? tableOf(COLUMNS, found) : found.flatMap(detailsOf).slice(1)));
    },
  });
}

/** The built-in presets. Loaded late: no other command needs them without a server. */
async function builtIn(): Promise<Integration[]> {
  const [{ BUILT_IN_PRESETS }, { PRESETS }] = await Promise.all([
    import("../../../features/intake/receivers/presets/index.ts"),
    import("../../../features/channels/presets/index.ts"),
  ]);
  const views = (direction: "in" | "out", presets: readonly Omit<Integration, "direction" | "preset">[]) =>
    presets.map((each) => {
      const { name, title, group, docs, setup } = each as typeof each & { readonly name: string };
      const steps = setup.map((line) => line.replaceAll("{url}", "the receiver's URL"));
      return { direction, preset: name, title, group, docs: `integrations/${docs}`, setup: steps };
    });
  return [...views("in", BUILT_IN_PRESETS), ...views("out", PRESETS)];
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

function detailsOf({ direction, preset, title, docs, setup }: Integration): string[] {
  const command = direction === "in" ? "prism receivers create" : "prism channels create";
  const heading = `${title} (${direction === "in" ? "sends to Prism" : "Prism sends to it"})`;
  const steps = setup.map((line, at) => `  ${at + 1}. ${line}`);
  return ["", heading, ...steps, `  ${command} … --preset ${preset}; prism docs ${docs}`];
}
