import type { Config } from "../../../config/load.ts";
import { flattenOptions } from "../../../config/option.ts";
import { OPTIONS } from "../../../config/options.ts";
import { tlsFilesOf } from "../../../config/public-url.ts";

/** What a reload finds changed, by dotted key: what is in force from now on, and what waits for the next start. */
export interface ChangedSettings {
  readonly inForce: readonly string[];
  readonly needRestart: readonly string[];
}

export function changedSettings(before: Config, after: Config): ChangedSettings {
  const changed = flattenOptions(OPTIONS).filter(([key]) => settingOf(before, key) !== settingOf(after, key));
  // Another certificate is taken over; a socket that listens does not begin or cease to speak TLS.
  const isSwitched = (tlsFilesOf(before) === null) !== (tlsFilesOf(after) === null);
  const keys = (reloadable: boolean): string[] =>
    changed
      .filter(([key, option]) => (option.reloadable && !(isSwitched && key.startsWith("tls."))) === reloadable)
      .map(([key]) => key);
  return { inForce: keys(true), needRestart: keys(false) };
}

function settingOf(config: Config, key: string): string {
  const value = key.split(".").reduce<unknown>((node, name) => (node as Record<string, unknown>)[name], config);
  return JSON.stringify(value) ?? "";
}
