import { h } from "preact";
import type { IconNode } from "./types.ts";

export interface IconProps {
  readonly node: IconNode;
  readonly size?: number | undefined;
  /** The name of an icon without text; without a name the icon is decoration. */
  readonly label?: string | undefined;
}

/** An icon of lucide as SVG in the text's colour. */
export function Icon({ node, size = 16, label }: IconProps) {
  const naming = label === undefined ? { "aria-hidden": true } : { role: "img" as const, "aria-label": label };
  return (
    <svg
      class="icon"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width={size > 20 ? 1.5 : 2}
      stroke-linecap="round"
      stroke-linejoin="round"
      {...naming}
    >
      {node.map(([tag, attributes]) => h(tag, attributes))}
    </svg>
  );
}
