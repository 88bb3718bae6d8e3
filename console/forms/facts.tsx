import type { ComponentChildren } from "preact";
import { LabelChips } from "../app/matcher-field.tsx";
import { DescriptionList, Duration, Time } from "../ui/index.ts";
import { wordsOf } from "./described.ts";

interface MemberFact<T> {
  readonly name: keyof T & string;
  readonly label?: string;
  readonly empty?: string;
  readonly mono?: boolean;
}

/** A member of an answer: its name, or how it looks; or a fact that is no member. */
type Fact<T> = (keyof T & string) | MemberFact<T> | { readonly label: string; readonly value: ComponentChildren };

interface Props<T> {
  readonly of: T;
  readonly show: readonly Fact<T>[];
}

/** Members of a thing by their names; lists and texts without content are left out. */
export function Facts<T extends object>({ of, show }: Props<T>) {
  const items = show.flatMap((fact) => {
    if (typeof fact !== "string" && "value" in fact) return [fact];
    const look: MemberFact<T> = typeof fact === "string" ? { name: fact } : fact;
    const { name, label = wordsOf(name), empty, mono = false } = look;
    const value = of[name];
    if (isEmpty(value) && !/(?:At|Ms)$/.test(name)) return empty === undefined ? [] : [{ label, value: empty }];
    return [{ label, value: shown(name, value, empty, mono) }];
  });
  return <DescriptionList items={items} />;
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined || value === "") return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function shown(name: string, value: unknown, empty: string | undefined, mono: boolean): ComponentChildren {
  if (name.endsWith("At")) return <Time at={value as string | null} empty={empty} />;
  if (name.endsWith("Ms")) return <Duration ms={value as number | null} />;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.join(", ");
  if (typeof value === "object") return <LabelChips labels={value as Readonly<Record<string, string>>} />;
  return mono ? <code>{String(value)}</code> : String(value);
}
