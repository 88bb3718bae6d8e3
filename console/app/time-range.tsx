import { X } from "lucide";
import { Button, formatRange, type TimeRange } from "../ui/index.ts";

/** The range of two filters in the address; null: none, or an open one. */
export function rangeOf({ from, to }: { readonly from: string; readonly to: string }): TimeRange | null {
  const range = { from: Date.parse(from), to: Date.parse(to) };
  return Number.isNaN(range.from) || Number.isNaN(range.to) ? null : range;
}

/** The two filters of a range. */
export function filtersOf(from: number, to: number): { readonly from: string; readonly to: string } {
  return { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
}

/** The chosen time, and a way out of it. */
export function ChosenTime({ range, onClear }: { readonly range: TimeRange | null; readonly onClear: () => void }) {
  if (range === null) return null;
  return (
    <Button small icon={X} title="Any time" onClick={onClear}>
      {formatRange(range)}
    </Button>
  );
}
