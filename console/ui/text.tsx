import { Check, Copy } from "lucide";
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { copyText, cx } from "./dom.ts";
import { Icon } from "./icon.tsx";
import { toast } from "./toast-store.ts";

/** A link inside text. @param external opens in a new tab without a referrer. */
export function Link({
  href,
  external,
  quiet,
  title,
  children,
}: {
  readonly href: string;
  readonly external?: boolean | undefined;
  readonly quiet?: boolean | undefined;
  readonly title?: string | undefined;
  readonly children?: ComponentChildren;
}) {
  const away = external === true ? { target: "_blank", rel: "noreferrer noopener" } : {};
  return (
    <a class={cx("link", quiet && "quiet")} href={href} title={title} dir="auto" {...away}>
      {children}
    </a>
  );
}

/** Keys of a shortcut, such as "Ctrl K". */
export function KeyHint({ keys }: { readonly keys: string }) {
  return <kbd class="kbd">{keys}</kbd>;
}

/**
 * Text a user typed: isolated from the direction around it; a long word wraps. @param lines clamp.
 */
export function UserText({
  children,
  lines,
  mono,
}: {
  readonly children: string;
  readonly lines?: number | undefined;
  readonly mono?: boolean | undefined;
}) {
  const clamp = lines === undefined ? undefined : { WebkitLineClamp: lines };
  return (
    <bdi
      class={cx("user-text", mono && "mono", lines !== undefined && "clamp")}
      style={clamp}
      title={lines === undefined ? undefined : children}
    >
      {children}
    </bdi>
  );
}

/** A short identifier or path in the middle of text; cut with an ellipsis, whole in its title. */
export function CodeInline({ children }: { readonly children: string | number }) {
  return (
    <code class="code-in" dir="auto" title={String(children)}>
      {children}
    </code>
  );
}

const CONFIRMED_FOR_MS = 1600;

/** Copies a text to the clipboard and confirms it. @param quiet the icon only. */
export function CopyButton({
  text,
  label = "Copy",
  quiet,
  small = true,
  onCopied,
}: {
  readonly text: string | (() => string);
  readonly label?: string | undefined;
  readonly quiet?: boolean | undefined;
  readonly small?: boolean | undefined;
  readonly onCopied?: (() => void) | undefined;
}) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), CONFIRMED_FOR_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async () => {
    const isDone = await copyText(typeof text === "string" ? text : text());
    if (!isDone) return toast.error("The browser refused access to the clipboard");
    setCopied(true);
    onCopied?.();
  };
  const name = copied ? "Copied" : label;
  return (
    <button
      class={cx("btn", quiet === true ? "quiet icon-only" : "default", small && "small", copied && "done")}
      type="button"
      onClick={copy}
      aria-label={quiet === true ? name : undefined}
      data-tip={quiet === true ? name : undefined}
    >
      <Icon node={copied ? Check : Copy} />
      {quiet !== true && <span class="btn-t">{name}</span>}
      <span class="sr-only" role="status">
        {copied && "Copied"}
      </span>
    </button>
  );
}
