import { X } from "lucide";
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { Button, FormBusy, IconButton } from "./button.tsx";
import { cx } from "./dom.ts";
import { FormFailure, useSubmit } from "./field.tsx";

export interface DialogProps {
  readonly open: boolean;
  readonly onClose: () => void;
  readonly title: string;
  readonly subtitle?: ComponentChildren;
  readonly size?: "sm" | "md" | "lg" | undefined;
  /** The verb on the main button of a form. */
  readonly action?: string | undefined;
  /** The form cannot be sent yet. */
  readonly blocked?: boolean | undefined;
  /** Other buttons at the bottom, the main one last. */
  readonly footer?: ComponentChildren;
  /** Makes the dialog a form. A rejection is shown inside; closing is the caller's. */
  readonly onSubmit?: (() => unknown) | undefined;
  readonly children?: ComponentChildren;
}

/** A question or a form over the page. Native: focus trap, Esc, focus returns to where it was. */
export function Dialog(props: DialogProps) {
  return props.open ? <Sheet {...props} kind="dialog" /> : null;
}

/** Details beside the page: a sheet at the right, on phones at the bottom. */
export function Drawer(props: DialogProps) {
  return props.open ? <Sheet {...props} kind="drawer" /> : null;
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
  const submitButton = action !== undefined && (
    <Button variant="primary" type="submit" disabled={blocked}>
      {action}
    </Button>
  );
  const footer = props.footer ?? (submitButton || undefined);
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  const { busy, failure, submit } = useSubmit(onSubmit);
  useLayoutEffect(() => {
    const { current } = dialog;
    if (current === null) return;
    current.showModal();
    focusFirst(current);
    return () => current.close(); // closed before it is removed: the focus returns
  }, []);
  // Esc, the backdrop and the cross do nothing while it submits.
  const close = () => busy || onClose();
  const content = (
    <>
      <div class="sheet-body">
        <FormFailure error={failure} />
        {children}
      </div>
      {footer !== undefined && <div class="sheet-foot">{footer}</div>}
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
