import type { ComponentChildren } from "preact";
import { SubmitButton } from "../app/submit-button.tsx";
import { Field, Form, Switch, toast } from "../ui/index.ts";
import { Control, type ControlLook } from "./control.tsx";
import { type BodyMember, wordingOf } from "./described.ts";
import type { Edited, Resource } from "./use-resource.ts";

/** How a page shows a member, beyond what the API says of it. */
interface Look extends ControlLook {
  /** Default: the name of the member; of a flag, the first sentence about it. */
  readonly label?: string;
  /** In place of what the API says, where that is meant for programs. */
  readonly hint?: ComponentChildren;
  /** Of the page itself, besides the errors of the server. */
  readonly error?: string | undefined;
  /** In place of what the API says, where more is known; false: not called optional, too. */
  readonly required?: boolean;
  /** At the right of the label. */
  readonly action?: ComponentChildren;
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
  /** Only their controls, such as those within a sentence. */
  readonly areBare?: boolean;
}

/** Members with their label, control, limits, hint and error, as the API describes them. */
export function Fields<T extends object>({ of, show, areBare }: FieldsProps<T>) {
  return show.map((each) => {
    const look = (typeof each === "string" ? { name: each } : each) as Named<T>;
    of.show(look.name);
    return <MemberField key={look.name} of={of} look={look} isBare={areBare} />;
  });
}

interface MemberProps<T> {
  readonly of: Edited<T>;
  readonly look: Named<T>;
  readonly isBare: boolean | undefined;
}

function MemberField<T extends object>({ of, look, isBare }: MemberProps<T>) {
  const { name, as } = look;
  const member = of.members[name] as BodyMember;
  const value = of.values[name];
  const change = (next: unknown) => of.change({ [name]: next } as Partial<T>);
  const { label, hint: text } = wordingOf(name, member, look.label);
  const hint = (look.hint ?? marked(text)) || undefined;
  if (member.kind === "flag" && as === undefined) {
    return <Switch label={label} hint={hint} checked={value === true} onChange={change} disabled={look.disabled} />;
  }
  const control = as ? as(value, change) : <Control {...{ name, label, member, value, change, look, isBare }} />;
  if (isBare) return control;
  const required = look.required ?? member.required;
  const isBroken = member.kind === "other" && as === undefined && typeof value === "string";
  return (
    <Field
      label={label}
      hint={hint}
      required={required}
      optional={look.required === undefined && !required && isOptional(member)}
      error={look.error ?? (isBroken ? "It is not JSON." : of.errorOf(name))}
      action={look.action}
    >
      {control}
    </Field>
  );
}

/** Whether a form can leave it empty. */
function isOptional({ kind, nullable, initial }: BodyMember): boolean {
  const isText = kind === "text" || kind === "texts" || kind === "labels";
  return nullable === true || (isText && Object.keys(initial ?? {}).length === 0);
}

/** A text of the API: code is between backticks. */
function marked(text: string): ComponentChildren {
  if (text === "") return undefined;
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
