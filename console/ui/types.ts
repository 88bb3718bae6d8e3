/** Meaning of a colour: every toned element also carries a word. */
export type Tone = "ok" | "bad" | "warn" | "info" | "plain";

/** A tone, or the accent colour where nothing is good or bad. */
export type AccentTone = Tone | "accent";

/** A choice of Select, Combobox, RadioGroup and Segmented. */
export interface Option {
  readonly value: string;
  readonly label: string;
  readonly hint?: string | undefined;
  /** Options with the same group appear under its name, in the order of the first. */
  readonly group?: string | undefined;
  readonly disabled?: boolean | undefined;
  readonly icon?: IconNode | undefined;
}

/** Options by their values, in this order. */
export function choices<const K extends string>(
  labels: Readonly<Record<K, string>>,
): readonly { value: K; label: string }[] {
  return Object.entries<string>(labels).map(([value, label]) => ({ value: value as K, label }));
}

/** Options of a filter. @param first the label of "", which filters nothing */
export function optionsOf(
  first: string,
  labels: Readonly<Record<string, string | { readonly text: string }>>,
): Option[] {
  const named = Object.entries(labels).map(([value, label]) => ({
    value,
    label: typeof label === "string" ? label : label.text,
  }));
  return [{ value: "", label: first }, ...named];
}

/** The data of an icon, as the package lucide exports it. */
export type IconNode = readonly (readonly [tag: string, attrs: Record<string, string | number | undefined>])[];

/** A handler that may be asynchronous: the control shows that it is busy until it settles. */
export type Action = () => unknown;
