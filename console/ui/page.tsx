import { ChevronRight, SlidersHorizontal } from "lucide";
import { type ComponentChildren, createContext } from "preact";
import { useContext, useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { dateFormat, displayZone } from "./clock.ts";
import { cx } from "./dom.ts";
import { Icon } from "./icon.tsx";
import type { IconNode, Tone } from "./types.ts";

/** The shell's part of every page's header: the search box. */
export const PageTools = createContext<ComponentChildren>(null);

export interface PageFrame {
  readonly title: string;
  /** One line that answers the page's question. */
  readonly subtitle?: ComponentChildren;
  readonly breadcrumb?: readonly { readonly label: string; readonly href: string }[] | undefined;
  /** At most two buttons, the primary action last of them; the others are in a menu after them. */
  readonly actions?: ComponentChildren;
  /** A state beside the title. */
  readonly badge?: ComponentChildren;
  /** Tabs under the header. */
  readonly tabs?: ComponentChildren;
  readonly width?: "normal" | "narrow" | "wide" | undefined;
  /** Default: the title. */
  readonly documentTitle?: string | undefined;
  readonly children?: ComponentChildren;
}

/** Names the zone of the page's times where it is not the browser's. */
function ZoneNote() {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  // Zones have several names.
  const shown = dateFormat({}, displayZone.value).resolvedOptions().timeZone;
  if (shown === own) return null;
  return (
    <span class="page-zone" title={`Your account chose this zone; this browser is in ${own}.`}>
      Times in {displayZone.value}
    </span>
  );
}

/**
 * Marks a page as new until nothing of what it shows first is loading: until then its style makes
 * what stands below a placeholder wait, because it would move when the answer arrives.
 */
function useNewMark() {
  const page = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const { current } = page;
    if (current === null) return;
    const look = () => {
      if (current.querySelector(".skeleton:not(.fits)") !== null) return;
      observer.disconnect();
      current.removeAttribute("data-new");
    };
    const observer = new MutationObserver(look);
    observer.observe(current, { childList: true, subtree: true });
    current.setAttribute("data-new", "");
    look();
    return () => observer.disconnect();
  }, []);
  return page;
}

/** A page: where it is, its title, the line that answers its question, its actions, its content. */
export function Page(props: PageFrame) {
  const {
    title,
    subtitle,
    breadcrumb,
    actions,
    badge,
    tabs,
    width = "normal",
    documentTitle = title,
    children,
  } = props;
  const tools = useContext(PageTools);
  const page = useNewMark();
  useEffect(() => {
    document.title = `${documentTitle} · Prism`;
  }, [documentTitle]);
  return (
    <div class={cx("page", width)} ref={page}>
      <header class="page-head">
        <div class="page-title">
          {breadcrumb !== undefined && breadcrumb.length > 0 && (
            <nav class="crumbs" aria-label="Breadcrumb">
              {breadcrumb.map((crumb, at) => (
                <span key={crumb.href}>
                  <a href={crumb.href} dir="auto">
                    {crumb.label}
                  </a>
                  {at < breadcrumb.length - 1 && <Icon node={ChevronRight} size={12} />}
                </span>
              ))}
            </nav>
          )}
          <div class="page-h1">
            <h1 dir="auto" tabIndex={-1}>
              {title}
            </h1>
            {badge}
          </div>
          {subtitle !== undefined && (
            <p class="page-sub" dir="auto">
              {subtitle}
            </p>
          )}
        </div>
        <ZoneNote />
        <div class="page-tools">{tools}</div>
        {actions !== undefined && <div class="page-actions">{actions}</div>}
      </header>
      {tabs !== undefined && <div class="page-tabs">{tabs}</div>}
      <div class="page-body">{children}</div>
    </div>
  );
}

export interface CardProps {
  readonly title?: string | undefined;
  readonly sub?: ComponentChildren;
  readonly actions?: ComponentChildren;
  /** A link at the right of the title: to the full list. */
  readonly link?: { readonly href: string; readonly text: string } | undefined;
  /** No padding around the content: tables. */
  readonly flush?: boolean | undefined;
  readonly tone?: Tone | undefined;
  readonly id?: string | undefined;
  readonly children?: ComponentChildren;
}

/** A surface with a title. */
export function Card({ title, sub, actions, link, flush, tone, id, children }: CardProps) {
  const titleId = useId();
  const hasHead = title !== undefined || actions !== undefined || link !== undefined;
  return (
    <section class={cx("card", flush && "flush", tone && `toned ${tone}`)} id={id} aria-labelledby={title && titleId}>
      {hasHead && (
        <div class="card-head">
          <div class="grow">
            {title !== undefined && (
              <h2 id={titleId} dir="auto">
                {title}
              </h2>
            )}
            {sub !== undefined && <p class="muted small">{sub}</p>}
          </div>
          {actions}
          {link && (
            <a class="link small nowrap" href={link.href}>
              {link.text}
            </a>
          )}
        </div>
      )}
      {children !== undefined && <div class="card-body">{children}</div>}
    </section>
  );
}

interface ToolbarProps {
  readonly label?: string | undefined;
  /** A phone shows its icon alone until it is used. */
  readonly search?: ComponentChildren;
  /** How many of the filters are in use: a phone folds them behind a button with this number. */
  readonly active?: number | undefined;
  /** At the right; a phone scrolls it sideways. */
  readonly end?: ComponentChildren;
  readonly children?: ComponentChildren;
}

/** A phone scrolls the end of a toolbar sideways: what is chosen there stays in sight. */
function useChosenInSight(isThere: boolean) {
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const { current } = end;
    if (current === null) return;
    const observer = new ResizeObserver(() => {
      const chosen = current.querySelector(":checked")?.parentElement?.getBoundingClientRect();
      const { left, right } = current.getBoundingClientRect();
      if (chosen) current.scrollLeft += Math.max(0, chosen.right - right) + Math.min(0, chosen.left - left);
    });
    observer.observe(current);
    return () => observer.disconnect();
  }, [isThere]);
  return end;
}

/** The filters above a list; on a phone one line. */
export function Toolbar({ label = "Filters", search, active, end, children }: ToolbarProps) {
  const [isOpen, setOpen] = useState(false);
  const id = useId();
  const atEnd = useChosenInSight(end !== undefined);
  const folds = active !== undefined;
  return (
    <div class={cx("toolbar", folds && "folds")} role="group" aria-label={label}>
      {search}
      {folds && (
        <button
          type="button"
          class="btn toolbar-more"
          aria-expanded={isOpen}
          aria-controls={id}
          aria-label={active > 0 ? `Filters, ${active} in use` : "Filters"}
          onClick={() => setOpen(!isOpen)}
        >
          <Icon node={SlidersHorizontal} />
          {active > 0 && <span class="num">{active}</span>}
        </button>
      )}
      {folds ? (
        <div class="toolbar-rest" id={id}>
          {children}
        </div>
      ) : (
        children
      )}
      {end !== undefined && (
        <div class="toolbar-end" ref={atEnd}>
          {end}
        </div>
      )}
    </div>
  );
}

/** Facts of one thing: label and value. */
export function DescriptionList({
  items,
  columns = 1,
}: {
  readonly items: readonly {
    readonly label: string;
    readonly value: ComponentChildren;
    readonly hint?: ComponentChildren;
  }[];
  readonly columns?: 1 | 2 | undefined;
}) {
  return (
    <dl class={cx("facts", columns === 2 && "cols2")}>
      {items.map(({ label, value, hint }) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd dir="auto">
            {value ?? <span class="faint">—</span>}
            {hint !== undefined && <div class="field-hint">{hint}</div>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

export interface TabsProps {
  readonly label: string;
  readonly value: string;
  readonly tabs: readonly {
    readonly value: string;
    readonly label: string;
    readonly href?: string | undefined;
    readonly count?: number | undefined;
    readonly icon?: IconNode | undefined;
  }[];
  readonly onChange?: ((value: string) => void) | undefined;
  /** The panel of the current tab. */
  readonly children?: ComponentChildren;
}

/** Views of one thing. Tabs with `href` are links; the others are a tablist with arrow keys. */
export function Tabs({ label, value, tabs, onChange, children }: TabsProps) {
  const id = useId();
  const content = (tab: TabsProps["tabs"][number]) => (
    <>
      {tab.icon && <Icon node={tab.icon} size={14} />}
      {tab.label}
      {tab.count !== undefined && <span class="tab-n num">{tab.count}</span>}
    </>
  );
  if (tabs.some((tab) => tab.href !== undefined)) {
    return (
      <>
        <nav class="tabs" aria-label={label}>
          {tabs.map((tab) => (
            <a key={tab.value} href={tab.href ?? ""} aria-current={tab.value === value ? "page" : undefined}>
              {content(tab)}
            </a>
          ))}
        </nav>
        {children}
      </>
    );
  }
  const move = (event: KeyboardEvent) => {
    const at = tabs.findIndex((tab) => tab.value === value);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    const next = to === undefined ? undefined : tabs[(to + tabs.length) % tabs.length];
    if (next === undefined) return;
    event.preventDefault();
    onChange?.(next.value);
    document.getElementById(`${id}-${next.value}`)?.focus();
  };
  return (
    <>
      <div class="tabs" role="tablist" aria-label={label} onKeyDown={move}>
        {tabs.map((tab) => (
          <button
            key={tab.value}
            id={`${id}-${tab.value}`}
            type="button"
            role="tab"
            aria-selected={tab.value === value}
            aria-controls={children === undefined ? undefined : `${id}-panel`}
            tabIndex={tab.value === value ? 0 : -1}
            onClick={() => onChange?.(tab.value)}
          >
            {content(tab)}
          </button>
        ))}
      </div>
      {children !== undefined && (
        <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${value}`} class="tabpanel">
          {children}
        </div>
      )}
    </>
  );
}

/** The steps of a set-up. @param current its index; earlier steps are done. */
export function Stepper({
  steps,
  current,
  onStep,
}: {
  readonly steps: readonly {
    readonly label: string;
    readonly hint?: string | undefined;
    /** Left without being done: it gets no tick. */
    readonly isOpen?: boolean;
  }[];
  readonly current: number;
  readonly onStep?: ((step: number) => void) | undefined;
}) {
  return (
    <ol class="stepper">
      {steps.map((step, index) => {
        const state = index < current ? "done" : index === current ? "now" : "next";
        const content = (
          <>
            <span class="step-n">{state === "done" && !step.isOpen ? "✓" : index + 1}</span>
            <span class="step-t">
              {step.label}
              {step.hint !== undefined && <span class="field-hint">{step.hint}</span>}
              <span class="sr-only">{state === "done" && !step.isOpen ? " (done)" : ""}</span>
            </span>
          </>
        );
        return (
          <li key={step.label} class={state} aria-current={state === "now" ? "step" : undefined}>
            {onStep !== undefined && state === "done" ? (
              <button type="button" onClick={() => onStep(index)}>
                {content}
              </button>
            ) : (
              content
            )}
          </li>
        );
      })}
    </ol>
  );
}
