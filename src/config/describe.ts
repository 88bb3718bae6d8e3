import type { Kind } from "./kinds.ts";
import type { Config, Origin } from "./load.ts";
import { environmentName, flattenOptions, isOption, maskCredentials, type OptionTree } from "./option.ts";
import { OPTIONS } from "./options.ts";

/**
 * The content of prism.config.example.json: every setting with a default, at its default. `npm run
 * config:docs` writes the file; a test compares it with this.
 */
export function exampleConfig(tree: OptionTree = OPTIONS): Record<string, unknown> {
  const example: Record<string, unknown> = {};
  for (const [name, node] of Object.entries(tree)) {
    if (isOption(node)) {
      if (node.fallback !== undefined && !node.secret) example[name] = node.fallback;
    } else {
      const nested = exampleConfig(node);
      if (Object.keys(nested).length > 0) example[name] = nested;
    }
  }
  return example;
}

export interface DescribedOption {
  readonly key: string;
  readonly variable: string;
  readonly seed: readonly string[];
  readonly value: unknown;
  readonly origin: Origin;
  readonly reloadable: boolean;
  readonly editable: boolean;
  readonly secret: boolean;
  readonly input: NonNullable<Kind<unknown>["input"]> | "text";
  readonly choices: readonly string[] | null;
  readonly fallback: unknown;
  readonly doc: string;
}

/** The current configuration with the origin of each value; secrets are masked. */
export function describeConfig(config: Config, origins: ReadonlyMap<string, Origin>): DescribedOption[] {
  return flattenOptions(OPTIONS).map(([key, option]) => {
    const origin = origins.get(key) ?? "default";
    const value = key
      .split(".")
      .reduce<unknown>((node, name) => (node as Record<string, unknown> | undefined)?.[name], config);
    const isEmpty = value === undefined || (Array.isArray(value) && value.length === 0);
    const isSet = !isEmpty || origin === "generated";
    return {
      key,
      variable: environmentName(key),
      seed: option.seed,
      value: option.secret ? (isSet ? "***" : null) : shown(value),
      origin,
      reloadable: option.reloadable,
      editable: option.editable,
      secret: option.secret,
      input: option.kind.input ?? "text",
      choices: option.kind.choices ?? null,
      fallback: option.fallback ?? null,
      doc: option.doc,
    };
  });
}

function shown(value: unknown): unknown {
  return typeof value === "string" ? maskCredentials(value) : (value ?? null);
}

/**
 * The settings as a Markdown table. `npm run config:docs` writes it into docs/configuration.md; a
 * test compares them.
 */
export function configTable(): string {
  const rows = flattenOptions(OPTIONS).map(([key, option]) => {
    const fallback = option.fallback === undefined ? "–" : `\`${JSON.stringify(option.fallback)}\``;
    const variables = [environmentName(key), ...option.seed].map((name) => `\`${name}\``).join(" ");
    const marks = `${option.reloadable ? "R" : ""}${option.editable ? " C" : ""}`.trim();
    const cells = [`\`${key}\``, variables, fallback, option.doc.replaceAll("<", "\\<"), marks];
    return `| ${cells.join(" | ")} |`;
  });
  return ["| Setting | Variables | Default | Effect | |", "|---|---|---|---|---|", ...rows].join("\n");
}
