import { useGet } from "../../../app/query.ts";

/** An entry of `GET /api/v1/settings`. */
export interface Setting {
  readonly key: string;
  readonly value: unknown;
  readonly fallback: unknown;
  readonly origin: string;
  readonly source: string | null;
  /** Whether the console may change it: no source of higher precedence has a value. */
  readonly isFree: boolean;
}

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
