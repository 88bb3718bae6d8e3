import { useState } from "preact/hooks";
import { DurationInput } from "../app/duration-input.tsx";
import { ZONES } from "../app/zones.ts";
import { Combobox, DateTimeInput, Input, MultiCombobox, Select, Textarea } from "../ui/index.ts";
import { type BodyMember, emptyOf, wordsOf } from "./described.ts";

/** What a page may choose of a control. */
export interface ControlLook {
  readonly placeholder?: string;
  readonly mono?: boolean;
  readonly autoFocus?: boolean;
  readonly disabled?: boolean | undefined;
  readonly readOnly?: boolean | undefined;
  readonly suffix?: string;
  readonly type?: "password";
  readonly autocomplete?: string;
  /** A text of several lines. */
  readonly rows?: number;
  readonly autoGrow?: boolean;
  /** Words for the choices. */
  readonly words?: Readonly<Record<string, string>>;
}

interface Props {
  readonly name: string;
  readonly label: string;
  readonly member: BodyMember;
  readonly value: unknown;
  readonly change: (value: unknown) => void;
  readonly look: ControlLook;
  /** No field has the label: the control says it to screen readers. */
  readonly isBare?: boolean | undefined;
}

/** The control of a member, by its kind; by its name, where that says more. */
export function Control({ name, label, member, value, change, look, isBare }: Props) {
  const { kind, choices = [], least, most } = member;
  const { placeholder, mono, autoFocus, disabled, readOnly, suffix, type, autocomplete, rows, autoGrow, words } = look;
  const own = isBare ? { label } : {};
  const plain = { placeholder, mono, autoFocus, disabled, ...own };
  const options = choices.map((each) => ({ value: each, label: words?.[each] ?? wordsOf(each) }));
  const typed = (text: string) => change(text === "" ? emptyOf(member) : text);
  const text = value === undefined || value === null ? "" : String(value);
  const written = { value, change, rows, placeholder };
  switch (kind) {
    case "choice":
      return <Select value={text} onChange={typed} options={options} disabled={disabled} {...own} />;
    case "texts": {
      const values = (value ?? []) as readonly string[];
      const which = choices.length > 0 ? { options } : { custom: true };
      return <MultiCombobox values={values} onChange={change} {...which} {...plain} />;
    }
    case "labels":
      return <Written {...written} read={labelsIn} write={linesOf} placeholder={placeholder ?? "team=web"} />;
    case "object":
    case "other":
      return <Written {...written} read={(json) => readJson(json, member)} write={jsonOf} />;
    case "number": {
      if (name.endsWith("Ms")) {
        const ms = (value ?? null) as number | null;
        return <DurationInput {...{ label, placeholder, disabled }} value={ms} onChange={change} />;
      }
      const number = (typed: string) => change(typed === "" ? null : Number(typed));
      return (
        <Input
          type="number"
          min={least}
          max={most}
          value={text}
          onChange={number}
          {...{ suffix, readOnly }}
          {...plain}
        />
      );
    }
    default: {
      if (name === "timezone") return <Combobox value={text} onChange={typed} options={ZONES} {...plain} />;
      if (name.endsWith("At")) return <DateTimeInput value={text} onChange={typed} />;
      // Programs that fill forms in know fields by their names.
      const filled = autocomplete !== undefined && { name };
      const limited = { value: text, onChange: typed, maxLength: most, readOnly, ...plain, ...filled };
      if (rows !== undefined) return <Textarea {...limited} {...{ rows, autoGrow }} />;
      const byName = { email: "email", phone: "tel" } as const;
      const as = type ?? (Object.hasOwn(byName, name) ? byName[name as keyof typeof byName] : "text");
      const mode = /url$/i.test(name) ? { inputMode: "url" as const } : {};
      return <Input {...limited} {...mode} type={as} suffix={suffix} autocomplete={autocomplete} />;
    }
  }
}

interface WrittenProps {
  readonly value: unknown;
  readonly change: (value: unknown) => void;
  readonly read: (text: string) => unknown;
  readonly write: (value: unknown) => string;
  readonly rows?: number | undefined;
  readonly placeholder?: string | undefined;
}

/** A value that is typed as text, which stays as it is typed while it means the value. */
function Written({ value, change, read, write, rows = 2, placeholder }: WrittenProps) {
  const [text, setText] = useState("");
  const isTyped = JSON.stringify(read(text)) === JSON.stringify(value);
  const type = (next: string) => {
    setText(next);
    change(read(next));
  };
  return <Textarea mono value={isTyped ? text : write(value)} onChange={type} {...{ rows, placeholder }} />;
}

/** One per line. */
function linesOf(labels: unknown): string {
  return Object.entries((labels ?? {}) as Readonly<Record<string, string>>)
    .map(([name, value]) => `${name}=${value}`)
    .join("\n");
}

/** The server refuses what is no name of a label. */
function labelsIn(text: string): Readonly<Record<string, string>> {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return Object.fromEntries(
    lines.map((line) => {
      const [name = "", ...value] = line.split("=");
      return [name.trim(), value.join("=").trim()];
    }),
  );
}

function jsonOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** What is not JSON stays a text, which the server refuses. */
function readJson(text: string, { nullable }: BodyMember): unknown {
  if (text.trim() === "") return nullable ? null : {};
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
