import type { ComponentChildren } from "preact";
import { useLayoutEffect, useState } from "preact/hooks";
import { Button } from "./button.tsx";
import { Dialog, openDialog, useClose } from "./dialog.tsx";
import { Field } from "./field.tsx";
import { Input, Textarea } from "./inputs.tsx";

export interface ConfirmOptions {
  /** The question: "Delete the rule Host down?" */
  readonly title: string;
  /** Consequence of the action. */
  readonly text?: string | undefined;
  /** The verb on the button: "Delete". */
  readonly action: string;
  readonly danger?: boolean | undefined;
  /** A word that must be typed first. */
  readonly typed?: string | undefined;
  readonly body?: ComponentChildren;
}

export interface AskOptions {
  readonly title: string;
  readonly text?: string | undefined;
  readonly label: string;
  readonly action: string;
  readonly value?: string | undefined;
  readonly placeholder?: string | undefined;
  readonly hint?: string | undefined;
  readonly required?: boolean | undefined;
  readonly multiline?: boolean | undefined;
}

/** Asks once before something that cannot be undone. */
export function confirm(options: ConfirmOptions): Promise<boolean> {
  return new Promise((answer) => openDialog(<ConfirmDialog {...options} answer={answer} />));
}

/** Asks for one text; undefined if the user cancels. */
export function ask(options: AskOptions): Promise<string | undefined> {
  return new Promise((answer) => openDialog(<AskDialog {...options} answer={answer} />));
}

interface QuestionProps extends Pick<ConfirmOptions, "title" | "text" | "action" | "danger"> {
  readonly blocked: boolean;
  /** Cancel gets the focus. */
  readonly isCancelFirst?: boolean | undefined;
  readonly onSubmit: () => void;
  readonly onCancel: () => void;
  readonly children?: ComponentChildren;
}

function Question({ text, action, danger, blocked, isCancelFirst, onCancel, children, ...dialog }: QuestionProps) {
  // However it ends; an answer before is not changed.
  useLayoutEffect(() => onCancel, []);
  const footer = (
    <>
      <Button onClick={useClose()} autoFocus={isCancelFirst}>
        Cancel
      </Button>
      <Button type="submit" variant={danger ? "danger-solid" : "primary"} disabled={blocked}>
        {action}
      </Button>
    </>
  );
  return (
    <Dialog size="sm" {...dialog} footer={footer}>
      {text !== undefined && (
        <p class="small" dir="auto">
          {text}
        </p>
      )}
      {children}
    </Dialog>
  );
}

function ConfirmDialog(props: ConfirmOptions & { readonly answer: (value: boolean) => void }) {
  const { typed, body, answer, ...question } = props;
  const [word, setWord] = useState("");
  return (
    <Question
      {...question}
      blocked={typed !== undefined && word.trim() !== typed}
      isCancelFirst={question.danger && typed === undefined}
      onSubmit={() => answer(true)}
      onCancel={() => answer(false)}
    >
      {body}
      {typed !== undefined && (
        <Field label={`Type ${typed} to confirm`}>
          <Input value={word} onChange={setWord} mono autoFocus />
        </Field>
      )}
    </Question>
  );
}

function AskDialog(props: AskOptions & { readonly answer: (value: string | undefined) => void }) {
  const { label, placeholder, hint, required = false, multiline, answer, value: initial = "", ...question } = props;
  const [value, setValue] = useState(initial);
  const control = { value, onChange: setValue, placeholder, autoFocus: true };
  return (
    <Question
      {...question}
      blocked={required && value.trim() === ""}
      onSubmit={() => answer(value.trim())}
      onCancel={() => answer(undefined)}
    >
      <Field label={label} hint={hint} required={required} optional={!required}>
        {multiline === true ? <Textarea {...control} rows={3} /> : <Input {...control} />}
      </Field>
    </Question>
  );
}
