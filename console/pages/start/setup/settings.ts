import type { Setting } from "../../../../src/client/api-types.gen.ts";
import { useGet } from "../../../app/query.ts";

export type SettingValues = Readonly<Record<string, string | number | boolean | null>>;

/** The settings by key. */
export function useSettings() {
  const query = useGet<{ readonly data: readonly Setting[] }>("/settings");
  const byKey = new Map((query.data?.data ?? []).map((setting) => [setting.key, setting]));
  return { ...query, setting: (key: string) => byKey.get(key) };
}

/** A setting with a value that the console cannot change, as a text. */
export function fixedText({ source, origin }: Setting): string {
  return `Set by ${source ?? origin}; change it there.`;
}
