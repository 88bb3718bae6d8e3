import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { placeNextTo } from "./dom.ts";

/**
 * A short explanation of one element on hover and focus; screen readers read it after the element.
 */
export function Tooltip({ text, children }: { readonly text: string; readonly children?: ComponentChildren }) {
  return (
    <span class="tipped" data-tip={text}>
      {children}
      <span class="sr-only"> ({text})</span>
    </span>
  );
}

const OPENS_AFTER_MS = 350;

/**
 * One tooltip for the whole page: shows the `data-tip` of what the pointer or the focus is on. A
 * focused table row shows the exact time of its first relative time. @internal
 */
export function Tips() {
  const tip = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const { current } = tip;
    return current === null ? undefined : watchTips(current);
  }, []);
  return <div class="pop tip" ref={tip} id="tip" popover="manual" role="tooltip" />;
}

function tipTarget(event: Event): HTMLElement | null {
  if (!(event.target instanceof Element)) return null;
  const own = event.target.closest<HTMLElement>("[data-tip]");
  if (own !== null || event.type !== "focusin" || !event.target.matches("tr")) return own;
  return event.target.querySelector<HTMLElement>("time[data-tip]");
}

function watchTips(tip: HTMLElement): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let shownFor: HTMLElement | null = null;
  const hide = () => {
    clearTimeout(timer);
    if (shownFor?.getAttribute("aria-describedby") === tip.id) shownFor.removeAttribute("aria-describedby");
    shownFor = null;
    if (tip.matches(":popover-open")) tip.hidePopover();
  };
  const show = (target: HTMLElement) => {
    if (!target.isConnected || shownFor !== target) return;
    tip.textContent = target.dataset["tip"] ?? "";
    if (tip.matches(":popover-open")) tip.hidePopover();
    tip.showPopover();
    const isNamedByTip = target.getAttribute("aria-label") === tip.textContent;
    if (!isNamedByTip && !target.hasAttribute("aria-describedby")) target.setAttribute("aria-describedby", tip.id);
    placeNextTo(tip, target, { align: "center", side: "above", gap: 6 });
  };
  const enter = (event: Event) => {
    const target = tipTarget(event);
    if (target === shownFor) return;
    hide();
    if (target === null || (event.type === "focusin" && !(event.target as Element).matches(":focus-visible"))) return;
    shownFor = target;
    timer = setTimeout(show, event.type === "focusin" ? 0 : OPENS_AFTER_MS, target);
  };
  const leave = (event: PointerEvent) => {
    if (event.relatedTarget === null) hide();
  };
  const onKey = (event: KeyboardEvent) => event.key === "Escape" && hide();
  const stop = new AbortController();
  const options = { signal: stop.signal, passive: true };
  document.addEventListener("pointerover", enter, options);
  document.addEventListener("pointerout", leave, options);
  document.addEventListener("focusin", enter, options);
  document.addEventListener("focusout", hide, options);
  document.addEventListener("pointerdown", hide, options);
  document.addEventListener("keydown", onKey, options);
  document.addEventListener("scroll", hide, { ...options, capture: true });
  return () => {
    stop.abort();
    hide();
  };
}
