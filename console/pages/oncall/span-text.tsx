import { spanLabel } from "./calendar-time.ts";

interface Props {
  readonly span: { readonly start: string; readonly end: string };
  readonly zone: string;
}

/** From when until when, in a zone. */
export function SpanText({ span: { start, end }, zone }: Props) {
  return <span class="num">{spanLabel(Date.parse(start), Date.parse(end), zone)}</span>;
}
