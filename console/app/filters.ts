import { useLocation } from "preact-iso/router";
import { setParameters } from "./navigate.ts";

export interface Filters<K extends string> {
  readonly values: Readonly<Record<K, string>>;
  /** Whether a value differs from the one that it has when it is absent. */
  readonly isFiltered: boolean;
  set(changes: Partial<Record<K, string>>): void;
  /** Props of the control of a filter. */
  bind(name: K): { readonly value: string; readonly onChange: (value: string) => void };
  clear(): void;
}

/**
 * The filters of a list, kept in the address of the page, so that a link contains them.
 * @param absent the names of the parameters, each with its value when it is absent
 */
export function useFilters<K extends string>(absent: Readonly<Record<K, string>>): Filters<K> {
  const { query } = useLocation();
  const names = Object.keys(absent) as K[];
  const values = Object.fromEntries(names.map((name) => [name, query[name] ?? absent[name]])) as Record<K, string>;
  const set = (changes: Partial<Record<K, string>>) => setParameters(changes, absent);
  return {
    values,
    isFiltered: names.some((name) => values[name] !== absent[name]),
    set,
    bind: (name) => ({
      value: values[name],
      onChange: (value) => set({ [name]: value } as Partial<Record<K, string>>),
    }),
    clear: () => set(absent),
  };
}
