import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { DurationInput } from "../app/duration-input.tsx";
import { SubmitButton } from "../app/submit-button.tsx";
import { ZONES } from "../app/zones.ts";
import { Combobox, Field, Form, Input, MultiCombobox, Select, Switch, Textarea, toast } from "../ui/index.ts";
import { type BodyMember, emptyOf, wordingOf, wordsOf } from "./described.ts";
import type { Edited, Resource } from "./use-resource.ts";

/** How a page shows a member, beyond what the API says of it. */
interface Look {
  /** Default: the name of the member; of a flag, the first sentence about it. */
  readonly label?: string;
  /** In place of what the API says, where that is meant for programs. */
  readonly hint?: ComponentChildren;
  readonly placeholder?: string;
  readonly mono?: boolean;
  readonly autoFocus?: boolean;
  readonly disabled?: boolean | undefined;
  /** A text of several lines. */
  readonly rows?: number;
  /** Words for the choices. */
  readonly words?: Readonly<Record<string, string>>;
  /** Of the page itself, besides the errors of the server. */
  readonly error?: string | undefined;
}

type Named<T> = {
  readonly [K in keyof T & string]: Look & {
    readonly name: K;
    /** A control of the page. */
    readonly as?: (value: T[K] | undefined, change: (value: T[K]) => void) => ComponentChildren;
  };
}[keyof T & string];

/** A member of a form: its name, or how it looks. */
export type FieldOf<T> = (keyof T & string) | Named<T>;

interface FieldsProps<T> {
  readonly of: Edited<T>;
  readonly show: readonly FieldOf<T>[];
}

/** Members with their label, control, limits, hint and error, as the API describes them. */
export function Fields<T extends object>({ of, show }: FieldsProps<T>) {
  return show.map((each) => {
    const look = (typeof each === "string" ? { name: each } : each) as Named<T>;
    of.show(look.name);
    return <MemberField key={look.name} of={of} look={look} />;
  });
}

function MemberField<T extends object>({ of, look }: { readonly of: Edited<T>; readonly look: Named<T> }) {
  const { name, as } = look;
  const member = of.members[name] as BodyMember;
  const value = of.values[name];
  const change = (next: unknown) => of.change({ [name]: next } as Partial<T>);
  const { label, hint: text } = wordingOf(name, member, look.label);
  const hint = look.hint ?? (text === "" ? undefined : marked(text));
  if (member.kind === "flag" && as === undefined) {
    return <Switch label={label} hint={hint} checked={value === true} onChange={change} disabled={look.disabled} />;
  }
  return (
    <Field
      label={label}
      hint={hint}
      required={member.required}
      optional={isOptional(member)}
      error={look.error ?? of.errorOf(name)}
    >
      {as ? as(value, change) : <Control name={name} label={label} {...{ member, value, change, look }} />}
    </Field>
  );
}

/** Whether a form can leave it empty. */
function isOptional({ kind, required, nullable, initial }: BodyMember): boolean {
  if (required) return false;
  if (kind !== "texts" && kind !== "labels") return nullable === true || initial === "";
  return initial === undefined || Object.keys(initial as object).length === 0;
}

interface ControlProps {
  readonly name: string;
  readonly label: string;
  readonly member: BodyMember;
  readonly value: unknown;
  readonly change: (value: unknown) => void;
  readonly look: Look;
}

function Control({ name, label, member, value, change, look }: ControlProps) {
  const { kind, choices = [], least, most } = member;
  const { placeholder, mono, autoFocus, disabled, rows } = look;
  const plain = { placeholder, mono, autoFocus, disabled };
  const options = choices.map((each) => ({ value: each, label: look.words?.[each] ?? wordsOf(each) }));
  const typed = (text: string) => change(text === "" ? emptyOf(member) : text);
  switch (kind) {
    case "choice":
      return <Select value={String(value ?? "")} onChange={typed} options={options} disabled={disabled} />;
    case "texts": {
      const values = (value ?? []) as readonly string[];
      return choices.length > 0 ? (
        <MultiCombobox values={values} onChange={change} options={options} {...plain} />
      ) : (
        <MultiCombobox values={values} onChange={change} custom {...plain} />
      );
    }
    case "labels":
      return <LabelsInput value={value as Labels | undefined} onChange={change} rows={rows} {...plain} />;
    case "number":
      if (name.endsWith("Ms")) {
        const ms = (value ?? null) as number | null;
        return (
          <DurationInput label={label} value={ms} onChange={change} placeholder={placeholder} disabled={disabled} />
        );
      }
      return (
        <Input
          type="number"
          min={least}
          max={most}
          value={value === undefined || value === null ? "" : String(value)}
          onChange={(text) => change(text === "" ? null : Number(text))}
          {...plain}
        />
      );
    default: {
      const text = typeof value === "string" ? value : "";
      if (name === "timezone") return <Combobox value={text} onChange={typed} options={ZONES} {...plain} />;
      return rows === undefined ? (
        <Input
          value={text}
          onChange={typed}
          maxLength={most}
          inputMode={/url$/i.test(name) ? "url" : undefined}
          {...plain}
        />
      ) : (
        <Textarea value={text} onChange={typed} maxLength={most} rows={rows} {...plain} />
      );
    }
  }
}

type Labels = Readonly<Record<string, string>>;

interface LabelsProps {
  readonly value: Labels | undefined;
  readonly onChange: (labels: Labels) => void;
  readonly rows?: number | undefined;
  readonly placeholder?: string | undefined;
}

/** Labels as `name=value`, one per line. The server refuses what is no name of a label. */
function LabelsInput({ value = {}, onChange, rows = 2, placeholder = "team=web" }: LabelsProps) {
  const [text, setText] = useState("");
  // What is typed stays as it is while it means the value, with blanks and half of a line.
  const isTyped = JSON.stringify(labelsIn(text)) === JSON.stringify(value);
  const type = (next: string) => {
    setText(next);
    onChange(labelsIn(next));
  };
  return (
    <Textarea mono value={isTyped ? text : linesOf(value)} onChange={type} rows={rows} placeholder={placeholder} />
  );
}

function linesOf(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join("\n");
}

function labelsIn(text: string): Labels {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return Object.fromEntries(
    lines.map((line) => {
      const [name = "", ...value] = line.split("=");
      return [name.trim(), value.join("=").trim()];
    }),
  );
}

/** A text of the API: code is between backticks. */
function marked(text: string): ComponentChildren {
  return text.split("`").map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part));
}

interface FormProps<T, A> {
  readonly of: Resource<T, A>;
  readonly label: string;
  /** The word on its button. */
  readonly action?: string;
  readonly disabled?: boolean;
  /** In place of the word that it is saved. */
  readonly onSaved?: (answer: A) => unknown;
  readonly children: ComponentChildren;
}

/** The form of a page; in a dialog, the dialog is the form. */
export function ResourceForm<T, A>({ of, label, action = "Save", disabled, onSaved, children }: FormProps<T, A>) {
  const submit = async () => {
    const answer = await of.send();
    if (answer === undefined) return;
    if (onSaved) await onSaved(answer);
    else toast.ok("Saved.");
  };
  return (
    <Form onSubmit={submit} label={label}>
      {children}
      <SubmitButton disabled={disabled}>{action}</SubmitButton>
    </Form>
  );
}
