import type { Config } from "./load.ts";
import { flattenOptions, isOption, type OptionTree } from "./option.ts";
import { OPTIONS } from "./options.ts";
import { tlsFilesOf } from "./public-url.ts";

/** Changes found by a reload, by dotted key: applied now, or pending until the next start. */
export interface ChangedSettings {
  readonly inForce: readonly string[];
  readonly needRestart: readonly string[];
}

export function changedSettings(before: Config, after: Config): ChangedSettings {
  const changed = flattenOptions(OPTIONS).filter(([key]) => textOf(before, key) !== textOf(after, key));
  // A new certificate is applied; a listening socket cannot switch between TLS and plain HTTP.
  const isSwitched = (tlsFilesOf(before) === null) !== (tlsFilesOf(after) === null);
  const keys = (reloadable: boolean): string[] =>
    changed
      .filter(([key, option]) => (option.reloadable && !(isSwitched && key.startsWith("tls."))) === reloadable)
      .map(([key]) => key);
  return { inForce: keys(true), needRestart: keys(false) };
}

function textOf(config: Config, key: string): string {
  return JSON.stringify(settingOf(config, key)) ?? "";
}

/** The value of a setting by its dotted key. */
export function settingOf(config: Config, key: string): unknown {
  return key.split(".").reduce<unknown>((node, name) => (node as Readonly<Record<string, unknown>>)[name], config);
}

/** The configuration of the start with the reloadable settings of a later one. */
export function withReloadable<T extends object>(started: T, next: T, tree: OptionTree = OPTIONS): T {
  const current = { ...started } as Record<string, unknown>;
  for (const [name, node] of Object.entries(tree)) {
    const value = (next as Readonly<Record<string, unknown>>)[name];
    if (!isOption(node)) current[name] = withReloadable(current[name] as object, value as object, node);
    else if (node.reloadable) current[name] = value;
  }
  return Object.freeze(current) as T;
}
