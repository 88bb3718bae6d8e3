import { Plus } from "lucide";
import { type ComponentChildren, createContext } from "preact";
import { useContext, useState } from "preact/hooks";
import { cx } from "./dom.ts";
import { Icon } from "./icon.tsx";
import { KeyHint } from "./text.tsx";
import { toast } from "./toast-store.ts";
import type { IconNode } from "./types.ts";

/** The emphasis of a button; one primary a view. `danger-solid` is for dialogs. */
export type ButtonVariant = "primary" | "default" | "danger" | "danger-solid" | "quiet";

/** Whether the surrounding form is being submitted. */
export const FormBusy = createContext(false);

/**
 * Runs an action that may be asynchronous: busy until it settles, no second run meanwhile, a
 * rejection becomes an error toast.
 */
export function useAction<A extends readonly unknown[]>(action: ((...args: A) => unknown) | undefined) {
  const [busy, setBusy] = useState(false);
  const run = async (...args: A) => {
    if (busy) return;
    try {
      const result = action?.(...args);
      if (!(result instanceof Promise)) return;
      setBusy(true);
      await result;
    } catch (error) {
      toast.error(error);
    } finally {
      setBusy(false);
    }
  };
  return { busy, run };
}

export interface ButtonProps {
  readonly variant?: ButtonVariant | undefined;
  readonly icon?: IconNode | undefined;
  readonly iconEnd?: IconNode | undefined;
  readonly disabled?: boolean | undefined;
  /** Renders a link that looks like a button. */
  readonly href?: string | undefined;
  readonly download?: boolean | string | undefined;
  /** With `href`: opens in a new tab without a referrer. */
  readonly external?: boolean | undefined;
  readonly type?: "button" | "submit" | undefined;
  readonly small?: boolean | undefined;
  /** As wide as its container. */
  readonly full?: boolean | undefined;
  readonly onClick?: ((event: MouseEvent) => unknown) | undefined;
  readonly title?: string | undefined;
  /** The shortcut that does the same, shown beside the text. */
  readonly keys?: string | undefined;
  readonly pressed?: boolean | undefined;
  /** Receives the focus when its dialog opens. */
  readonly autoFocus?: boolean | undefined;
  readonly children?: ComponentChildren;
}

/** A button, or with `href` a link that looks like one. */
export function Button(props: ButtonProps) {
  const { variant = "default", icon, iconEnd, small, full, href, download, keys, title, children } = props;
  const inSubmit = useContext(FormBusy) && props.type === "submit";
  const action = useAction(props.onClick);
  const busy = inSubmit || action.busy;
  const content = (
    <>
      {busy ? <span class="spin" /> : icon && <Icon node={icon} />}
      <span class="btn-t">{children}</span>
      {iconEnd && <Icon node={iconEnd} />}
      {keys !== undefined && <KeyHint keys={keys} />}
    </>
  );
  const look = cx("btn", variant, small && "small", full && "full");
  const away = props.external === true ? { target: "_blank", rel: "noreferrer noopener" } : {};
  if (href !== undefined && props.disabled !== true) {
    return (
      <a class={look} href={href} download={download} title={title} {...away}>
        {content}
      </a>
    );
  }
  return (
    <button
      class={look}
      type={props.type ?? "button"}
      disabled={props.disabled}
      aria-disabled={busy || undefined}
      aria-busy={busy || undefined}
      aria-pressed={props.pressed}
      data-autofocus={props.autoFocus}
      title={title}
      onClick={(event) => {
        if (busy) return event.preventDefault();
        action.run(event);
      }}
    >
      {content}
    </button>
  );
}

/** The main button of a list: opens the form of a new one. */
export function NewButton(props: Pick<ButtonProps, "onClick" | "children">) {
  return <Button variant="primary" icon={Plus} {...props} />;
}

export interface IconButtonProps {
  readonly icon: IconNode;
  /** The name and the tooltip. */
  readonly label: string;
  readonly onClick?: ((event: MouseEvent) => unknown) | undefined;
  readonly href?: string | undefined;
  readonly variant?: "quiet" | "default" | "danger" | undefined;
  readonly pressed?: boolean | undefined;
  readonly disabled?: boolean | undefined;
  readonly small?: boolean | undefined;
}

/** A square button with an icon only; its label is the tooltip. */
export function IconButton(props: IconButtonProps) {
  const { icon, label, href, variant = "quiet", small } = props;
  const { busy, run } = useAction(props.onClick);
  const look = cx("btn icon-only", variant, small && "small");
  const shared = {
    class: look,
    "aria-label": label,
    "data-tip": label,
    children: busy ? <span class="spin" /> : <Icon node={icon} />,
  };
  if (href !== undefined) return <a {...shared} href={href} />;
  return (
    <button
      {...shared}
      type="button"
      aria-pressed={props.pressed}
      aria-disabled={busy || undefined}
      aria-busy={busy || undefined}
      disabled={props.disabled}
      onClick={run}
    />
  );
}
