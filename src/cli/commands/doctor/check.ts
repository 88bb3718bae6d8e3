import { serverWarnings } from "../../../config/checks.ts";
import { type DescribedOption, describeConfig } from "../../../config/describe.ts";
import type { LoadedConfig } from "../../../config/load.ts";
import { ConfigRefused } from "../../../config/option.ts";

/** What one look at the installation found. */
export interface Check {
  readonly name: string;
  readonly status: "PASS" | "WARN" | "FAIL";
  readonly message: string;
  /** What to do about it. */
  readonly remedy?: string;
}

export function pass(name: string, message: string): Check {
  return { name, status: "PASS", message };
}

export function warn(name: string, message: string, remedy?: string): Check {
  return { name, status: "WARN", message, ...(remedy === undefined ? {} : { remedy }) };
}

export function fail(name: string, message: string, remedy?: string): Check {
  return { name, status: "FAIL", message, ...(remedy === undefined ? {} : { remedy }) };
}

/** Runs a look; what it throws is a finding, too. */
export async function attempt(name: string, look: () => Promise<readonly Check[]>): Promise<readonly Check[]> {
  try {
    return await look();
  } catch (error) {
    return [fail(name, error instanceof Error ? error.message : String(error))];
  }
}

/** `1536` is `1.5 KiB`. */
export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const amount = bytes / 1024 ** power;
  return `${power === 0 ? amount : amount.toFixed(1)} ${units[power]}`;
}

/** The configuration in force, or why there is none. */
export type ConfigFinding =
  | { readonly loaded: LoadedConfig; readonly checks: readonly Check[]; readonly settings: readonly DescribedOption[] }
  | { readonly loaded: null; readonly checks: readonly Check[]; readonly settings: readonly [] };

/** @param load reads the configuration as a server would. */
export function checkConfig(load: () => LoadedConfig): ConfigFinding {
  let loaded: LoadedConfig;
  try {
    loaded = load();
  } catch (error) {
    if (!(error instanceof ConfigRefused)) throw error;
    const checks = error.problems.map((problem) => fail("configuration", problem));
    return { loaded: null, checks, settings: [] };
  }
  const { config, origins, warnings } = loaded;
  const settings = describeConfig(config, origins);
  const given = settings.filter(({ origin }) => origin !== "default" && origin !== "generated");
  const checks = [
    pass("configuration", `${config.env}; ${given.length} of ${settings.length} settings are not at their default`),
    ...warnings.map((warning) => warn("configuration", warning)),
    ...serverWarnings(config).map((warning) => warn("configuration", warning)),
    ...checkSecrets(loaded),
  ];
  return { loaded, checks, settings };
}

/** That production has good ones is part of a valid configuration. */
function checkSecrets({ origins }: LoadedConfig): Check[] {
  const generated = ["auth.jwtSecret", "encryptionKey"].filter((key) => origins.get(key) === "generated");
  if (generated.length === 0) return [pass("secrets", "configured")];
  return [pass("secrets", `${generated.join(" and ")}: generated at the first start and kept in secrets.json`)];
}

/** There is nothing to reach; whoever runs redis:check is told so. */
export function checkRedis(warnings: readonly string[]): Check[] {
  const ignored = warnings.find((warning) => warning.startsWith("REDIS_"));
  return [
    pass("redis", "embedded: Prism has its own broker and queues and needs no Redis"),
    ...(ignored === undefined ? [] : [warn("redis", ignored)]),
  ];
}
