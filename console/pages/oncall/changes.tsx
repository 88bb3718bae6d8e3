import type { ChangesProps } from "./change-parts.ts";
import { Overrides } from "./overrides.tsx";
import { Swaps } from "./swaps.tsx";

/** Differences from the rotations: overrides and swaps. */
export function Changes(props: ChangesProps) {
  return (
    <div class="stack">
      <Overrides {...props} />
      <Swaps {...props} />
    </div>
  );
}
