import { signal } from "@preact/signals";
import { X } from "lucide";
import { type ComponentChildren, createContext, isValidElement, type VNode } from "preact";
import { useContext, useId, useLayoutEffect, useRef } from "preact/hooks";
import { Button, FormBusy, IconButton } from "./button.tsx";
import { cx } from "./dom.ts";
import { FormFailure, useSubmit } from "./field.tsx";

export interface DialogProps {
  readonly title: string;
  readonly subtitle?: ComponentChildren;
  readonly size?: "sm" | "md" | "lg" | undefined;
  /** The verb on the main button of a form. */
  readonly action?: string | undefined;
  /** The form cannot be sent yet. */
  readonly blocked?: boolean | undefined;
  /** Other buttons at the bottom, the main one last. */
  readonly footer?: ComponentChildren;
  /**
   * Makes the dialog a form, which closes when this is done. A rejection is shown inside; the result
   * `false` keeps it open, a dialog as the result is shown next.
   */
  readonly onSubmit?: (() => unknown) | undefined;
  /** After the user has closed it without a submit. */
  readonly onClose?: (() => void) | undefined;
  readonly children?: ComponentChildren;
}

const opened = signal<readonly VNode[]>([]);
/** Whether something is shown over the page. */
export const hasDialog = (): boolean => opened.value.length > 0;

/**
 * Shows a component with a {@link Dialog} or {@link Drawer} until it is closed or the page is left.
 * Its state exists while it is shown, its properties stay as they were given.
 */
export function openDialog(dialog: VNode): void {
  opened.value = [...opened.value, dialog];
}

/** Closes all dialogs, because the page is left. */
export function closeDialogs(): void {
  opened.value = [];
}

/** Replaces the dialog around a component, or closes it. */
const Replace = createContext<(next?: VNode) => void>(() => undefined);

/** @returns what closes the dialog around the component */
export function useClose(): () => void {
  const replace = useContext(Replace);
  return () => replace();
}

/** The open dialogs. @internal */
export function Dialogs() {
  return opened.value.map((dialog) => {
    const replace = (next?: VNode) => {
      opened.value = opened.value.flatMap((each) => (each === dialog ? (next ?? []) : each));
    };
    return (
      <Replace.Provider key={dialog} value={replace}>
        {dialog}
      </Replace.Provider>
    );
  });
}

/** A question or a form over the page. Native: focus trap, Esc, focus returns to where it was. */
export function Dialog(props: DialogProps) {
  return <Sheet {...props} kind="dialog" />;
}

/** Details beside the page: a sheet at the right, on phones at the bottom. */
export function Drawer(props: DialogProps) {
  return <Sheet {...props} kind="drawer" />;
}

function focusFirst(dialog: HTMLDialogElement): void {
  const fields = "input:not([type=hidden]):not(:disabled), textarea:not(:disabled), select:not(:disabled)";
  const wanted =
    dialog.querySelector<HTMLElement>("[data-autofocus]") ??
    dialog.querySelector<HTMLElement>(`.sheet-body :is(${fields})`) ??
    dialog.querySelector<HTMLElement>(".sheet-foot .btn:last-of-type") ??
    dialog;
  wanted.focus();
}

function isOutside(event: MouseEvent, dialog: HTMLDialogElement): boolean {
  const box = dialog.getBoundingClientRect();
  const { clientX: x, clientY: y } = event;
  return x < box.left || x > box.right || y < box.top || y > box.bottom;
}

function Sheet({ kind, ...props }: DialogProps & { readonly kind: "dialog" | "drawer" }) {
  const { onClose, title, subtitle, size = "md", action, blocked, onSubmit, children } = props;
  const submitButton = action && (
    <Button variant="primary" type="submit" disabled={blocked}>
      {action}
    </Button>
  );
  const footer = props.footer ?? submitButton;
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  const replace = useContext(Replace);
  const send = async () => {
    const next = await onSubmit?.();
    if (next !== false) replace(isValidElement(next) ? next : undefined);
  };
  const { busy, failure, submit } = useSubmit(send);
  useLayoutEffect(() => {
    const { current } = dialog;
    if (current === null) return;
    current.showModal();
    focusFirst(current);
    return () => current.close(); // closed before it is removed: the focus returns
  }, []);
  // Esc, the backdrop and the cross do nothing while it submits.
  const close = () => {
    if (busy) return;
    replace();
    onClose?.();
  };
  const content = (
    <>
      <div class="sheet-body">
        <FormFailure error={failure} />
        {children}
      </div>
      {footer && <div class="sheet-foot">{footer}</div>}
    </>
  );
  return (
    <dialog
      ref={dialog}
      class={cx("sheet", kind, size)}
      aria-labelledby={titleId}
      tabIndex={-1}
      onCancel={(event) => {
        if (event.target !== dialog.current) return; // the cancel of a file input bubbles
        event.preventDefault();
        close();
      }}
      onMouseDown={(event) => {
        if (event.target === event.currentTarget && isOutside(event, event.currentTarget)) close();
      }}
    >
      <header class="sheet-head">
        <div class="grow">
          <h2 id={titleId} dir="auto">
            {title}
          </h2>
          {subtitle !== undefined && <p class="muted small">{subtitle}</p>}
        </div>
        <IconButton icon={X} label="Close" onClick={close} disabled={busy} />
      </header>
      {onSubmit === undefined ? (
        <div class="sheet-main">{content}</div>
      ) : (
        <form class="sheet-main" onSubmit={submit} noValidate>
          <FormBusy.Provider value={busy}>{content}</FormBusy.Provider>
        </form>
      )}
    </dialog>
  );
}
