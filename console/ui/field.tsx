import { CircleAlert } from "lucide";
import { type ComponentChildren, createContext } from "preact";
import { useContext, useEffect, useId, useRef, useState } from "preact/hooks";
import { Button, FormBusy } from "./button.tsx";
import { cx } from "./dom.ts";
import { errorInfo, offerOf } from "./errors.ts";
import { Icon } from "./icon.tsx";
import { Banner } from "./status.tsx";

interface FieldState {
  readonly id: string;
  readonly describedBy: string | undefined;
  readonly invalid: boolean;
  readonly required: boolean;
}

const CurrentField = createContext<FieldState | undefined>(undefined);

/** Attributes that tie a control to its Field, or name it outside one. */
export function useControl(label: string | undefined) {
  const field = useContext(CurrentField);
  const ownId = useId();
  return {
    id: field?.id ?? ownId,
    "aria-label": label,
    "aria-describedby": field?.describedBy,
    "aria-invalid": field?.invalid === true ? ("true" as const) : undefined,
    required: field?.required === true ? true : undefined,
  };
}

export interface FieldProps {
  readonly label: string;
  readonly hint?: ComponentChildren;
  readonly error?: string | undefined;
  readonly required?: boolean | undefined;
  /** Shows the word "optional". */
  readonly optional?: boolean | undefined;
  /** At the right of the label. */
  readonly action?: ComponentChildren;
  /** One control. */
  readonly children?: ComponentChildren;
}

/** A labelled control with its hint and its error. */
export function Field({ label, hint, error, required = false, optional, action, children }: FieldProps) {
  const id = useId();
  const hintId = hint === undefined ? undefined : `${id}-hint`;
  const errorId = error === undefined ? undefined : `${id}-error`;
  const describedBy = cx(errorId, hintId) || undefined;
  return (
    <div class={cx("field", error !== undefined && "invalid")}>
      <div class="field-top">
        <label for={id}>{label}</label>
        {optional && <span class="faint">optional</span>}
        {action !== undefined && <span class="field-action">{action}</span>}
      </div>
      <CurrentField.Provider value={{ id, describedBy, invalid: error !== undefined, required }}>
        {children}
      </CurrentField.Provider>
      {error !== undefined && (
        <p class="field-error" id={errorId} dir="auto">
          <Icon node={CircleAlert} size={14} /> {error}
        </p>
      )}
      {hint !== undefined && (
        <p class="field-hint" id={hintId}>
          {hint}
        </p>
      )}
    </div>
  );
}

export interface FormProps {
  readonly onSubmit: () => unknown;
  /** Shown above the content, beside a rejection of `onSubmit`. */
  readonly error?: unknown;
  readonly label?: string | undefined;
  readonly children?: ComponentChildren;
}

/** Submits once at a time and keeps the state of it; a rejection belongs above the fields. */
export function useSubmit(onSubmit: (() => unknown) | undefined) {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>(undefined);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy || onSubmit === undefined) return;
    setBusy(true);
    setFailure(undefined);
    try {
      await onSubmit();
    } catch (error) {
      setFailure(error);
    } finally {
      setBusy(false);
    }
  };
  return { busy, failure, submit };
}

/** The message of a failed submit. */
export function FormFailure({ error }: { readonly error: unknown }) {
  const notice = useRef<HTMLDivElement>(null);
  useEffect(() => notice.current?.scrollIntoView({ block: "nearest" }), [error]);
  if (error === undefined || error === null || error === "") return null;
  const { message, details, requestId } = errorInfo(error);
  const offer = offerOf(error);
  const action = offer && (
    <Button small onClick={offer.run}>
      {offer.label}
    </Button>
  );
  return (
    <div ref={notice} class="form-failure">
      <Banner tone="bad" title={message} action={action}>
        {details.length > 0 && details.map((line) => <div key={line}>{line}</div>)}
        {requestId !== undefined && <span class="faint tiny">Request {requestId}</span>}
      </Banner>
    </div>
  );
}

/** A form that submits once at a time and shows why it failed. */
export function Form({ onSubmit, error, label, children }: FormProps) {
  const { busy, failure, submit } = useSubmit(onSubmit);
  return (
    <form class="form" onSubmit={submit} aria-label={label} noValidate>
      <FormFailure error={failure ?? error} />
      <FormBusy.Provider value={busy}>{children}</FormBusy.Provider>
    </form>
  );
}
