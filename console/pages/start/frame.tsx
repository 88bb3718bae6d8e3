import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { BrandMark } from "../../app/brand.tsx";

export interface StartFrameProps {
  readonly title: string;
  /** One line that says what the page does. */
  readonly sub?: ComponentChildren;
  /** Links under the card. */
  readonly links?: ComponentChildren;
  readonly wide?: boolean;
  /** Above the card: the steps of a set-up. */
  readonly above?: ComponentChildren;
  readonly children?: ComponentChildren;
}

/** A page of visitors without a session: the mark, and one card. */
export function StartFrame({ title, sub, links, wide, above, children }: StartFrameProps) {
  useEffect(() => {
    document.title = `${title} · Prism`;
  }, [title]);
  return (
    <main class={wide ? "start wide" : "start"}>
      <div class="start-brand">
        <BrandMark size={28} />
        <span>Prism</span>
      </div>
      {above}
      <section class="start-card" aria-labelledby="start-title">
        <header>
          <h1 id="start-title" tabIndex={-1}>
            {title}
          </h1>
          {sub !== undefined && sub !== "" && <p class="muted small">{sub}</p>}
        </header>
        {children}
      </section>
      {links !== undefined && <div class="start-links">{links}</div>}
    </main>
  );
}
