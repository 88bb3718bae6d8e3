import { type DescribedOption, describeConfig } from "../../../config/describe.ts";
import type { LoadedConfig } from "../../../config/load.ts";
import { ConfigRefused } from "../../../config/option.ts";
import { type Check, fail, pass, warn } from "./check.ts";

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
    ...(config.env === "production" && !config.rateLimit.enabled
      ? [warn("configuration", "rateLimit.enabled is false: nothing limits requests")]
      : []),
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

/** There is nothing to reach; whoever runs redis:check is told so (D34). */
export function checkRedis(warnings: readonly string[]): Check[] {
  const ignored = warnings.find((warning) => warning.startsWith("REDIS_"));
  return [
    pass("redis", "embedded: Prism has its own broker and queues and needs no Redis"),
    ...(ignored === undefined ? [] : [warn("redis", ignored)]),
  ];
}
