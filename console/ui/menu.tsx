import { Check, ChevronDown, Ellipsis } from "lucide";
import { useId, useRef, useState } from "preact/hooks";
import { cx, placeNextTo } from "./dom.ts";
import { Icon } from "./icon.tsx";
import { KeyHint } from "./text.tsx";
import { toast } from "./toast-store.ts";
import type { Action, IconNode } from "./types.ts";

export interface MenuItem {
  readonly label: string;
  readonly icon?: IconNode | undefined;
  readonly onSelect?: Action | undefined;
  readonly href?: string | undefined;
  readonly danger?: boolean | undefined;
  readonly disabled?: boolean | undefined;
  /** Shows a tick: the item is a choice. */
  readonly checked?: boolean | undefined;
  readonly keys?: string | undefined;
  readonly hint?: string | undefined;
}

export type MenuEntry = MenuItem | { readonly heading: string } | "separator";

export interface MenuProps {
  /** The name of the button and of the menu. */
  readonly label: string;
  readonly icon?: IconNode | undefined;
  /** A button with this text and a chevron instead of an icon. */
  readonly text?: string | undefined;
  readonly variant?: "default" | "quiet" | "primary" | undefined;
  readonly small?: boolean | undefined;
  readonly items: readonly MenuEntry[];
  readonly align?: "start" | "end" | undefined;
}

async function select(item: MenuItem): Promise<void> {
  try {
    await item.onSelect?.();
  } catch (error) {
    toast.error(error);
  }
}

/** Actions that need no button of their own. Arrows, Home, End and first letters move. */
export function Menu({ label, icon, text, variant = "quiet", small, items, align = "end" }: MenuProps) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const menu = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState(false);
  const itemsOf = () => [
    ...(menu.current?.querySelectorAll<HTMLElement>("[role^=menuitem]:not([aria-disabled])") ?? []),
  ];
  const onToggle = (event: Pick<ToggleEvent, "newState">) => {
    // Items are removed after the browser has given the focus back, which it does from inside only.
    if (event.newState === "closed") return setOpen(false);
    if (menu.current === null || button.current === null) return;
    placeNextTo(menu.current, button.current, { align });
    itemsOf()[0]?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const all = itemsOf();
    const at = all.indexOf(document.activeElement as HTMLElement);
    const next = nextItem(all, at, event.key);
    if (event.key === "Tab") menu.current?.hidePopover();
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    next.focus();
  };
  return (
    <>
      <button
        ref={button}
        class={cx("btn", variant, small && "small", text === undefined && "icon-only")}
        type="button"
        popovertarget={id}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-label={text === undefined ? label : text === label ? undefined : `${label}: ${text}`}
        data-tip={text === undefined ? label : undefined}
        onKeyDown={(event) => {
          if (event.key !== "ArrowDown") return;
          event.preventDefault();
          menu.current?.showPopover();
        }}
      >
        {(icon !== undefined || text === undefined) && <Icon node={icon ?? Ellipsis} />}
        {text !== undefined && <span class="btn-t">{text}</span>}
        {text !== undefined && <Icon node={ChevronDown} size={14} />}
      </button>
      <div
        ref={menu}
        class="pop menu"
        id={id}
        popover="auto"
        role="menu"
        aria-label={label}
        tabIndex={-1}
        onBeforeToggle={(event) => {
          if (event.newState !== "open") return;
          delete event.currentTarget.dataset["placed"];
          setOpen(true);
        }}
        onToggle={onToggle}
        onKeyDown={onKeyDown}
      >
        {open &&
          items.map((entry, index) => (
            <Entry key={`${index}`} entry={entry} close={() => menu.current?.hidePopover()} />
          ))}
      </div>
    </>
  );
}

function nextItem(all: readonly HTMLElement[], at: number, key: string): HTMLElement | undefined {
  if (key === "ArrowDown") return all[(at + 1) % all.length];
  if (key === "ArrowUp") return all.at(at <= 0 ? -1 : at - 1);
  if (key === "Home") return all[0];
  if (key === "End") return all.at(-1);
  if (key.length !== 1 || key === " ") return undefined;
  const startsWithKey = (item: HTMLElement) => item.textContent?.trim().toLowerCase().startsWith(key.toLowerCase());
  return [...all.slice(at + 1), ...all.slice(0, at + 1)].find(startsWithKey);
}

function Entry({ entry, close }: { readonly entry: MenuEntry; readonly close: () => void }) {
  if (entry === "separator") return <hr class="menu-line" />;
  if ("heading" in entry) return <div class="menu-head">{entry.heading}</div>;
  const { label, icon, href, danger, disabled, checked, keys, hint } = entry;
  const content = (
    <>
      {icon && <Icon node={icon} />}
      <span class="item-t">
        <span dir="auto" class="user-text">
          {label}
        </span>
        {hint !== undefined && <span class="item-h">{hint}</span>}
      </span>
      {checked === true && <Icon node={Check} size={14} />}
      {keys !== undefined && <KeyHint keys={keys} />}
    </>
  );
  const common = {
    class: cx("item", danger && "danger"),
    role: checked === undefined ? ("menuitem" as const) : ("menuitemradio" as const),
    "aria-checked": checked,
    tabIndex: -1,
  };
  if (href !== undefined && disabled !== true) {
    return (
      <a {...common} href={href} onClick={close}>
        {content}
      </a>
    );
  }
  return (
    <button
      {...common}
      type="button"
      aria-disabled={disabled || undefined}
      onClick={() => {
        if (disabled === true) return;
        close();
        select(entry);
      }}
    >
      {content}
    </button>
  );
}
