import type { Database as Sqlite } from "better-sqlite3";
import { type ChangedSettings, changedSettings, settingOf } from "../../../config/changes.ts";
import { type DescribedOption, describeConfig } from "../../../config/describe.ts";
import { type Config, type LoadedConfig, type Origin, problemOf } from "../../../config/load.ts";
import { ConfigRefused, flattenOptions, type Option } from "../../../config/option.ts";
import { OPTIONS } from "../../../config/options.ts";
import { EDITABLE, type StoredSettings, writeStoredSettings } from "../../../config/stored-settings.ts";
import type { SealedBox } from "../../../core/crypto/sealed-box.ts";
import { PrismError } from "../../../core/errors.ts";
import type { Uses } from "../../../module/feature.ts";
import { storeSecret } from "../../../store/own-secret.ts";
import { CONSOLE_SETTINGS, settingSealContext } from "../../../store/sealed-settings.ts";

export interface SettingsParts {
  /** The configuration of the start. */
  readonly started: Config;
  readonly configuration: { readonly loaded: LoadedConfig };
  /** Applies the reloadable settings. */
  apply(next: LoadedConfig): ChangedSettings;
}

export type SettingsContext = SettingsParts & Uses<"audit" | "db" | "box" | "clock" | "isReplicated">;

/** Changes by dotted key; null removes a stored value. */
export type SettingValues = Readonly<Record<string, unknown>>;

export interface SettingView extends Omit<DescribedOption, "seed" | "reloadable"> {
  /** The flag, variable or setting that gives the value. */
  readonly source: string | null;
  /** Whether the console can change it now: it is editable, and no other source has it. */
  readonly isFree: boolean;
  /** The value takes effect at the next start. */
  readonly restartRequired: boolean;
}

/** The settings with their origins, and those that take effect at the next start. */
export function settingsView({ configuration: { loaded }, started }: SettingsParts) {
  const { needRestart } = changedSettings(started, loaded.config);
  const data = describeConfig(loaded.config, loaded.origins).map(
    ({ seed: _, reloadable: _r, ...option }): SettingView => ({
      ...option,
      source: loaded.names.get(option.key) ?? null,
      isFree: option.editable && FREE.has(option.origin),
      restartRequired: needRestart.includes(option.key),
    }),
  );
  return { data, restartRequired: needRestart };
}

/** Origins below which nothing hides a value of the console. */
const FREE: ReadonlySet<Origin> = new Set(["default", "console"]);

export interface SettingProblem {
  /** Null: the settings contradict each other. */
  readonly key: string | null;
  readonly code: "UNKNOWN" | "NOT_EDITABLE" | "SETTING_FIXED" | "VALUE" | "REQUIRED";
  readonly message: string;
}

/** Values that were checked, and the configuration with them. */
export type CheckedSettings =
  | { readonly problems: readonly SettingProblem[]; readonly next: null }
  | { readonly problems: readonly []; readonly next: LoadedConfig; readonly changes: ChangedSettings };

/** Checks values as a start would, and changes nothing. */
export function checkSettings({ configuration: { loaded } }: SettingsParts, values: SettingValues): CheckedSettings {
  const stored = new Map(loaded.stored);
  const problems = Object.entries(values).flatMap(([key, value]) => problemsOf(loaded, key, value));
  if (problems.length > 0) return { problems, next: null };
  for (const [key, value] of Object.entries(values)) {
    if (value === null) stored.delete(key);
    else stored.set(key, value);
  }
  try {
    const next = loaded.reload(stored);
    const changes = changedSettings(loaded.config, next.config);
    const unsafe = passwordProblem(loaded, changes, values);
    return unsafe ? { problems: [unsafe], next: null } : { problems: [], next, changes };
  } catch (error) {
    if (!(error instanceof ConfigRefused)) throw error;
    return { problems: error.problems.map((message) => ({ key: null, code: "VALUE", message })), next: null };
  }
}

/** {@link checkSettings}. @throws SETTING_FIXED, VALIDATION_FAILED */
export function requireSettings(parts: SettingsParts, values: SettingValues) {
  const checked = checkSettings(parts, values);
  if (checked.next) return checked;
  const { problems } = checked;
  const details = problems.map(({ key, ...rest }) => ({ path: key === null ? "values" : `values.${key}`, ...rest }));
  throw problems.every(({ code }) => code === "SETTING_FIXED")
    ? new PrismError("SETTING_FIXED", "Another source of the configuration sets this", { details })
    : new PrismError("VALIDATION_FAILED", "The settings are not valid", { details });
}

const OPTION_OF: ReadonlyMap<string, Option<unknown>> = new Map(flattenOptions(OPTIONS));

function problemsOf({ origins, names }: LoadedConfig, key: string, value: unknown): SettingProblem[] {
  const option = OPTION_OF.get(key);
  if (!option) return [{ key, code: "UNKNOWN", message: "is not a setting" }];
  if (!EDITABLE.has(key)) return [{ key, code: "NOT_EDITABLE", message: "can be changed on the server only" }];
  if (value === null) return [];
  const origin = origins.get(key) ?? "default";
  if (!FREE.has(origin)) {
    const message = `is set by ${names.get(key) ?? key} (${ORIGIN_TEXT[origin]}); change it there`;
    return [{ key, code: "SETTING_FIXED", message }];
  }
  const problem = problemOf(option, value);
  return problem === undefined ? [] : [{ key, code: "VALUE", message: problem }];
}

const ORIGIN_TEXT: Readonly<Record<Origin, string>> = {
  flag: "flag of the command",
  environment: "environment",
  ".env": ".env",
  "secrets.env": "secrets.env",
  file: "configuration file",
  console: "console",
  default: "default",
  generated: "generated",
};

/** Settings that decide who receives the password of the mail server. */
const RECEIVERS = ["smtp.host", "smtp.port", "smtp.allowPlain"];

/** A password that the caller does not know is sent to no other server. */
function passwordProblem(
  { config, origins }: LoadedConfig,
  { inForce }: ChangedSettings,
  values: SettingValues,
): SettingProblem | null {
  const changed = RECEIVERS.find((key) => inForce.includes(key));
  if (changed === undefined || config.smtp.pass === undefined || Object.hasOwn(values, "smtp.pass")) return null;
  if (FREE.has(origins.get("smtp.pass") ?? "default"))
    return { key: "smtp.pass", code: "REQUIRED", message: `must be given again with another ${changed}` };
  const message = "cannot change here while the password is set on the server; change both there";
  return { key: changed, code: "SETTING_FIXED", message };
}

/**
 * Stores values and applies those that need no restart. Changes run one after another.
 * @throws as {@link requireSettings}
 */
export class SettingsStore {
  readonly #context: SettingsContext;
  #last: Promise<unknown> = Promise.resolve();

  constructor(context: SettingsContext) {
    this.#context = context;
  }

  change(values: SettingValues): Promise<ChangedSettings> {
    const changing = this.#last.then(() => this.#change(values));
    this.#last = changing.catch(() => undefined);
    return changing;
  }

  async #change(values: SettingValues): Promise<ChangedSettings> {
    const { next, changes } = requireSettings(this.#context, values);
    const { audit, apply, started, db, isReplicated } = this.#context;
    const changed = [...changes.inForce, ...changes.needRestart];
    // Recorded first: there must be no change without an entry.
    await db.write(async (trx) => {
      const metadata = { settings: changed };
      await audit.record({ action: "config.change", resourceType: "config", metadata }, { trx });
      if (isReplicated) await storeSecret(this.#context, CONSOLE_SETTINGS, Object.fromEntries(next.stored), trx);
    });
    await writeStoredSettings(started.dataDir, next.stored);
    return apply(next);
  }
}

/** The settings of the console as a cluster has them; null: it has none. @throws UnsealError */
export function sharedSettings(connection: Sqlite, box: SealedBox): StoredSettings | null {
  const sealed = connection
    .prepare<[string], Buffer>("select value from settings where key = ?")
    .pluck()
    .get(CONSOLE_SETTINGS);
  if (sealed === undefined) return null;
  const text = box.open(settingSealContext(CONSOLE_SETTINGS), sealed).toString("utf8");
  return new Map(Object.entries(JSON.parse(text) as Record<string, unknown>));
}

/** The first leader of a cluster brings its own settings. */
export async function shareSettings(context: SettingsContext): Promise<void> {
  const { db, configuration, isReplicated } = context;
  const { stored } = configuration.loaded;
  if (!isReplicated || stored.size === 0) return;
  await db.write(async (trx) => {
    const row = await trx.selectFrom("settings").select("key").where("key", "=", CONSOLE_SETTINGS).executeTakeFirst();
    if (!row) await storeSecret(context, CONSOLE_SETTINGS, Object.fromEntries(stored), trx);
  });
}

/** The changed settings with their new values; secrets are masked. */
export function shownChanges({ inForce, needRestart }: ChangedSettings, { config }: LoadedConfig) {
  return [...inForce, ...needRestart].map((key) => ({
    key,
    value: OPTION_OF.get(key)?.secret ? "***" : (settingOf(config, key) ?? null),
    restartRequired: needRestart.includes(key),
  }));
}
