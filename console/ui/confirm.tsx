import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Button } from "./button.tsx";
import { Dialog } from "./dialog.tsx";
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

type Question =
  | { readonly kind: "confirm"; readonly options: ConfirmOptions; readonly answer: (value: boolean) => void }
  | { readonly kind: "ask"; readonly options: AskOptions; readonly answer: (value: string | undefined) => void };

const questions = signal<readonly Question[]>([]);

function put(question: Question): void {
  questions.value = [...questions.value, question];
}

/** Asks once before something that cannot be undone. */
export function confirm(options: ConfirmOptions): Promise<boolean> {
  return new Promise((answer) => put({ kind: "confirm", options, answer }));
}

/** Asks for one text; undefined if the user cancels. */
export function ask(options: AskOptions): Promise<string | undefined> {
  return new Promise((answer) => put({ kind: "ask", options, answer }));
}

/** Shows the open question. @internal */
export function Questions() {
  const question = questions.value[0];
  if (question === undefined) return null;
  const close = () => {
    questions.value = questions.value.slice(1);
  };
  return question.kind === "confirm" ? (
    <ConfirmDialog
      {...question.options}
      onAnswer={(value) => {
        close();
        question.answer(value);
      }}
    />
  ) : (
    <AskDialog
      {...question.options}
      onAnswer={(value) => {
        close();
        question.answer(value);
      }}
    />
  );
}

function ConfirmDialog(props: ConfirmOptions & { readonly onAnswer: (value: boolean) => void }) {
  const { title, text, action, danger = false, typed, body, onAnswer } = props;
  const [word, setWord] = useState("");
  const isBlocked = typed !== undefined && word.trim() !== typed;
  return (
    <Dialog
      open
      size="sm"
      title={title}
      onClose={() => onAnswer(false)}
      onSubmit={() => isBlocked || onAnswer(true)}
      footer={
        <>
          <Button onClick={() => onAnswer(false)} autoFocus={danger && typed === undefined}>
            Cancel
          </Button>
          <Button type="submit" variant={danger ? "danger-solid" : "primary"} disabled={isBlocked}>
            {action}
          </Button>
        </>
      }
    >
      {text !== undefined && (
        <p class="small" dir="auto">
          {text}
        </p>
      )}
      {body}
      {typed !== undefined && (
        <Field label={`Type ${typed} to confirm`}>
          <Input value={word} onChange={setWord} mono autoFocus />
        </Field>
      )}
    </Dialog>
  );
}

function AskDialog(props: AskOptions & { readonly onAnswer: (value: string | undefined) => void }) {
  const { title, text, label, action, placeholder, hint, required = false, multiline, onAnswer } = props;
  const [value, setValue] = useState(props.value ?? "");
  const isBlocked = required && value.trim() === "";
  const control = { value, onChange: setValue, placeholder, autoFocus: true };
  return (
    <Dialog
      open
      size="sm"
      title={title}
      onClose={() => onAnswer(undefined)}
      onSubmit={() => isBlocked || onAnswer(value.trim())}
      footer={
        <>
          <Button onClick={() => onAnswer(undefined)}>Cancel</Button>
          <Button type="submit" variant="primary" disabled={isBlocked}>
            {action}
          </Button>
        </>
      }
    >
      {text !== undefined && (
        <p class="small" dir="auto">
          {text}
        </p>
      )}
      <Field label={label} hint={hint} required={required} optional={!required}>
        {multiline === true ? <Textarea {...control} rows={3} /> : <Input {...control} />}
      </Field>
    </Dialog>
  );
}
