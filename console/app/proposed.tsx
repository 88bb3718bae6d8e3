import type { ComponentChildren } from "preact";
import { Banner, formatNumber, plural } from "../ui/index.ts";

/** What a change would have saved, as a link of the reports says. */
export interface Saving {
  readonly saves: number;
  readonly pages: number;
}

/** The parameters of such a link. */
export function savingParameters({ saves, pages }: Saving): { readonly saves: string; readonly pages: string } {
  return { saves: String(saves), pages: String(pages) };
}

/** Of the address of the page; null: it has none. */
export function savingOfAddress(): Saving | null {
  const given = new URLSearchParams(location.search);
  const [saves, pages] = [Number(given.get("saves")), Number(given.get("pages"))];
  return Number.isInteger(saves) && Number.isInteger(pages) && saves > 0 && pages >= saves ? { saves, pages } : null;
}

/** Why a form is filled in. @param children what the form shows of it */
export function ProposedBanner({
  saving: { saves, pages },
  children,
}: {
  readonly saving: Saving;
  readonly children: ComponentChildren;
}) {
  return (
    <Banner
      tone="info"
      title={`Proposed by the report: it would have saved ${formatNumber(saves)} of ${plural(pages, "page")}`}
    >
      {children}
    </Banner>
  );
}
