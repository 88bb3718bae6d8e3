import { PrismError } from "../../core/errors.ts";
import { fieldsAfter } from "../../features/channels/fields.ts";
import { readPreset } from "../../features/channels/preset.ts";
import { PRESETS } from "../../features/channels/presets/index.ts";
import type { EnvReference, ImportedFiles } from "./files.ts";

/** A channel of another program. */
export interface OldChannel {
  /** Free in its project. */
  readonly name: string;
  readonly preset: string;
  /** Empty ones are left out. */
  readonly fields: Readonly<Record<string, unknown>>;
}

interface FileChannel {
  readonly name: string;
  readonly preset: string;
  readonly fields: Readonly<Record<string, string | EnvReference>>;
}

/** A channel of a file, its secrets as references. Undefined: its preset refuses a field, which the report says. */
export function channelOf(files: ImportedFiles, project: string, old: OldChannel): FileChannel | undefined {
  const { name, preset, fields: given } = old;
  const own = PRESETS.find((each) => each.name === preset);
  if (own === undefined) throw new TypeError(`there is no preset ${preset}`);
  const texts = Object.entries(given).flatMap(([key, value]) =>
    value === undefined || value === null || value === "" ? [] : [[key, String(value)] as const],
  );
  try {
    fieldsAfter(readPreset(own), Object.fromEntries(texts));
  } catch (error) {
    if (!(error instanceof PrismError)) throw error;
    const problems = (error.details ?? []).map(({ path = "", message }) => `${path.replace("fields.", "")} ${message}`);
    files.note("channel", name, "not taken", `${preset}: ${problems.join("; ")}. Make it by prism channels create`);
    return undefined;
  }
  const isSecret = (key: string) => own.fields.find((field) => field.key === key)?.secret === true;
  const fields = texts.map(
    ([key, value]) => [key, isSecret(key) ? files.secret(value, project, name, key) : value] as const,
  );
  files.count("channels");
  return { name, preset, fields: Object.fromEntries(fields) };
}
